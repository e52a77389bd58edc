//! How fast near codes are found: `cargo bench -p tests --bench similar -- --help` says how to ask.
//!
//! It prints how many codes there are, how long the index took to build, how many queries it answers
//! a second, how many hits there were and how much memory the process ever held. With `--out` it
//! writes codes, queries and hits, for `similar.py` to check against faiss and to compare.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use consent::hamming::HammingIndex;
use consent::hamming::{Hit, Scratch};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Code = [u8; 32];
const HELP: &str = "[codes] [queries] [--clustered] [--expected] [--distance D] [--rounds N] \
    [--threads N] [--seed N] [--out DIR]";
/// Codes that are made, and then inserted, at a time.
const BLOCK: usize = 1 << 16;
/// Pictures that others are copies of.
const ORIGINALS_MAX: usize = 100_000;

/// What to measure.
struct Options {
    codes: usize,
    queries: usize,
    clustered: bool,
    /// Whether the index is told how many codes will come.
    expected: bool,
    distance: u32,
    rounds: usize,
    threads: usize,
    seed: u64,
    out: Option<PathBuf>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            codes: 1_000_000,
            queries: 2000,
            clustered: false,
            expected: false,
            distance: 31,
            rounds: 5,
            threads: 2,
            seed: 1,
            out: None,
        };
        let mut numbers = Vec::new();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--clustered" => options.clustered = true,
                "--expected" => options.expected = true,
                "--distance" => options.distance = words.next()?.parse().ok()?,
                "--rounds" => options.rounds = words.next()?.parse().ok()?,
                "--threads" => options.threads = words.next()?.parse().ok()?,
                "--seed" => options.seed = words.next()?.parse().ok()?,
                "--out" => options.out = Some(words.next()?.into()),
                number => numbers.push(number.parse().ok()?),
            }
        }
        options.codes = numbers.first().copied().unwrap_or(options.codes);
        options.queries = numbers.get(1).copied().unwrap_or(options.queries);
        (options.threads > 0 && options.rounds > 0).then_some(options)
    }
}

/// Codes from a seed. Clustered ones are as pictures give them: bits go with their neighbours and
/// with those a row away, some are mostly 0 or mostly 1, and half of the codes are copies of an
/// earlier one, some exact, most with up to 24 bits changed; few originals have very many copies.
struct Source {
    random: ChaCha8Rng,
    clustered: bool,
    originals: Vec<Code>,
}

impl Source {
    fn new(options: &Options, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(stream);
        Self { random, clustered: options.clustered, originals: Vec::new() }
    }

    fn next(&mut self) -> Code {
        if !self.clustered {
            return self.random.random();
        }
        if self.originals.is_empty() || self.random.random_bool(0.5) {
            let code = self.picture();
            if self.originals.len() < ORIGINALS_MAX {
                self.originals.push(code);
            }
            return code;
        }
        // The square makes the first ones have most copies.
        let rank: f64 = self.random.random();
        let original = self.originals[(rank * rank * self.originals.len() as f64) as usize];
        let changes = if self.random.random_bool(0.1) { 0 } else { 24 };
        self.changed(original, changes)
    }

    /// A code that is like no other.
    fn picture(&mut self) -> Code {
        let mut code: Code = self.random.random();
        if !self.clustered {
            return code;
        }
        let (mut before, mut row) = (false, [false; 16]);
        for bit in 0..256 {
            let choice = self.random.next_u32();
            let mut one = match choice & 7 {
                0..3 => before,
                3..5 => row[bit % 16],
                _ => choice >> 8 & 1 == 1,
            };
            (before, row[bit % 16]) = (one, one);
            one |= bit % 7 == 0 && choice >> 9 & 1 == 1;
            one &= bit % 13 != 0 || choice >> 10 & 3 == 0;
            code[bit / 8] = code[bit / 8] & !(1 << (bit % 8)) | u8::from(one) << (bit % 8);
        }
        code
    }

    /// The code with up to `most` bits changed.
    fn changed(&mut self, mut code: Code, most: u32) -> Code {
        for _ in 0..self.random.random_range(0..=most) {
            let bit: usize = self.random.random_range(0..256);
            code[bit / 8] ^= 1 << (bit % 8);
        }
        code
    }
}

/// Where the data goes, if anywhere.
struct Files<'a>(Option<&'a Path>);

impl Files<'_> {
    fn write(&self, name: &str, fill: impl FnOnce(&mut dyn Write)) {
        let Some(dir) = self.0 else { return fill(&mut std::io::sink()) };
        fs::create_dir_all(dir).expect("the folder can be made");
        let mut file = BufWriter::new(File::create(dir.join(name)).expect("the file can be made"));
        fill(&mut file);
        file.flush().expect("the file can be written");
    }
}

fn main() {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("usage: {HELP}");
        return;
    };
    let files = Files(options.out.as_deref());
    let (index, near, building) = build(&options, &files);
    let queries = queries(&options, &near);
    files.write("queries.bin", |file| put(file, &queries));
    println!(
        "codes        {} {}",
        index.len(),
        if options.clustered { "clustered" } else { "uniform" }
    );
    println!("build        {:.1} s", building.as_secs_f64());

    let mut answers = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..options.rounds {
        let start = Instant::now();
        answers = ask(&index, &queries, &options);
        rates.push(queries.len() as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "queries/s    {:.0} ({} threads, median of {})",
        rates[rates.len() / 2],
        options.threads,
        rates.len()
    );
    println!("slowest      {:.0} queries/s, fastest {:.0}", rates[0], rates[rates.len() - 1]);
    println!("hits         {}", answers.iter().map(Vec::len).sum::<usize>());
    println!("index        {} MiB", index.bytes_held() >> 20);
    println!("resident     {} MiB at most", resident_kib() >> 10);
    files.write("hits.bin", |file| {
        for (query, hits) in (0_u32..).zip(&answers) {
            for hit in hits {
                let row = [query, hit.tag, hit.distance].map(u32::to_le_bytes);
                file.write_all(&row.concat()).expect("the file can be written");
            }
        }
    });
    files.write("about.txt", |file| {
        let rate = rates[rates.len() / 2];
        writeln!(file, "{} {} {rate}", options.distance, options.threads)
            .expect("it can be written");
    });
}

/// The index, some of its codes, and how long it took, without the time to make the codes.
fn build(options: &Options, files: &Files<'_>) -> (HammingIndex, Vec<Code>, Duration) {
    let mut source = Source::new(options, 0);
    let capacity = if options.expected { options.codes } else { 0 };
    let mut index = HammingIndex::with_capacity(capacity);
    let (mut near, mut building) = (Vec::new(), Duration::ZERO);
    let stride = options.codes.div_ceil(options.queries.max(1));
    files.write("codes.bin", |file| {
        while index.len() < options.codes {
            let count = BLOCK.min(options.codes - index.len());
            let block: Vec<Code> = (0..count).map(|_| source.next()).collect();
            let first = index.len();
            near.extend(
                block
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| (first + at).is_multiple_of(stride))
                    .map(|(_, code)| *code),
            );
            put(file, &block);
            let start = Instant::now();
            for (tag, code) in (first as u32..).zip(&block) {
                index.insert(code, tag);
            }
            building += start.elapsed();
        }
    });
    (index, near, building)
}

/// Half of them a code of the index with up to 16 bits changed, half like none of them.
fn queries(options: &Options, near: &[Code]) -> Vec<Code> {
    let mut source = Source::new(options, 1);
    let query = |at: usize| {
        if at.is_multiple_of(2) {
            source.changed(near[at % near.len()], 16)
        } else {
            source.picture()
        }
    };
    (0..options.queries).map(query).collect()
}

fn ask(index: &HammingIndex, queries: &[Code], options: &Options) -> Vec<Vec<Hit>> {
    let share = queries.len().div_ceil(options.threads).max(1);
    thread::scope(|scope| {
        let answer = |queries: &[Code]| -> Vec<Vec<Hit>> {
            let mut scratch = Scratch::new();
            let answer = |query| index.within(query, options.distance, &mut scratch).to_vec();
            queries.iter().map(answer).collect()
        };
        let threads: Vec<_> =
            queries.chunks(share).map(|queries| scope.spawn(move || answer(queries))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no query panics")).collect()
    })
}

fn put(file: &mut dyn Write, codes: &[Code]) {
    file.write_all(codes.as_flattened()).expect("the file can be written");
}

/// The most memory that the process held, where the system says so.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
