//! How many pictures a second are decoded and fingerprinted: PDQ in eight orientations, and ISCC.
//!
//! Role: `cargo bench -p tests --bench fingerprint -- [FOLDER]` reads the folder's files, or makes
//! its own pictures; with `--write FOLDER` it only writes those, for `fingerprint.py` to read. A
//! line for one core and one for all, each the median of several passes.
//!
//! What it is not: a test. Its figures depend on the machine and on who else uses it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, thread};

use consent::fingerprint::image::image_fingerprint;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PICTURES: u64 = 48;
const SIDE: u32 = 512;
const QUALITY: u8 = 85;
const PASSES: usize = 9;

fn main() {
    // Cargo says `--bench` to every bench.
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(&(0..PICTURES).map(jpeg).collect::<Vec<_>>()),
        ["--write", folder] => write(Path::new(folder)),
        [folder] => measure(&files(Path::new(folder))),
        _ => panic!("expected nothing, a folder, or --write and a folder"),
    }
}

fn measure(pictures: &[Vec<u8>]) {
    let bytes: usize = pictures.iter().map(Vec::len).sum();
    println!("{} pictures of {} bytes on average", pictures.len(), bytes / pictures.len());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = vec![1, cores];
    counts.dedup();
    for threads in counts {
        let mut rates: Vec<f64> = (0..PASSES).map(|_| rate(pictures, threads)).collect();
        rates.sort_by(f64::total_cmp);
        let (low, median, high) = (rates[0], rates[PASSES / 2], rates[PASSES - 1]);
        println!("{threads} threads: {median:.0} pictures/s (from {low:.0} to {high:.0})");
    }
}

/// Pictures a second of one pass in which each thread takes all of them.
fn rate(pictures: &[Vec<u8>], threads: usize) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for picture in pictures {
                    image_fingerprint(picture).expect("a picture");
                }
            });
        }
    });
    (threads * pictures.len()) as f64 / start.elapsed().as_secs_f64()
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

fn write(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for seed in 0..PICTURES {
        fs::write(folder.join(format!("{seed:02}.jpg")), jpeg(seed)).expect("a file");
    }
}

/// A picture much like a photograph to an encoder: slopes of light, shapes with edges, fine noise.
fn jpeg(seed: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut number = |range: Range<f32>| random.random_range(range);
    let waves: [[f32; 4]; 6] = std::array::from_fn(|_| {
        [number(-0.03..0.03), number(-0.03..0.03), number(0.0..6.3), number(10.0..45.0)]
    });
    let side = SIDE as f32;
    let discs: [[f32; 6]; 12] = std::array::from_fn(|_| {
        let (x, y, radius) = (number(0.0..side), number(0.0..side), number(15.0..120.0));
        [x, y, radius * radius, number(0.0..255.0), number(0.0..255.0), number(0.0..255.0)]
    });
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let light: f32 = waves.iter().map(|[a, b, c, d]| d * (a * x + b * y + c).sin()).sum();
        let inside = |d: &&[f32; 6]| (x - d[0]).powi(2) + (y - d[1]).powi(2) < d[2];
        let ground = [110.0, 125.0, 140.0];
        let colour = discs.iter().rfind(inside).map_or(ground, |d| [d[3], d[4], d[5]]);
        let noise = random.random_range(-9.0..9.0f32);
        Rgb(colour.map(|level| (level + 0.6 * light + noise).clamp(0.0, 255.0) as u8))
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture).expect("encodes");
    bytes
}
