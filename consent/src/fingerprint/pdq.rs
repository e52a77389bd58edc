//! PDQ, a picture's hash by its coarse shapes: 256 bits and a quality.
//!
//! Role: a grey plane in, the hash of the picture and of its seven turned and mirrored forms out,
//! as "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Meta, 2019) has
//! it: blur and take 64x64 samples, keep the 16x16 lowest frequencies of the cosine transform
//! except the constant ones, and set the bits of those above their median.
//!
//! Invariants: one pass over the pixels; the same plane gives the same hash on one platform. Two
//! hashes of one picture by two decoders are near, not equal.
//!
//! What it is not: a judge. Whoever compares hashes leaves those out whose quality is low.

use std::array;
use std::f64::consts::PI;
use std::sync::LazyLock;

use super::picture::Grey;

/// Samples of the blurred picture along each side.
const SAMPLES: usize = 64;
/// Frequencies kept along each side.
const FREQUENCIES: usize = 16;
/// The shortest side that carries any shape; the reference hashes nothing below.
const SIDE_MIN: usize = 5;
/// Sum of gradients, in hundredths of the range, that makes one point of quality.
const GRADIENT_PER_QUALITY: i32 = 90;

/// The picture blurred and taken at 64x64 places, in rows.
type Samples = [[f32; SAMPLES]; SAMPLES];
/// The lowest frequencies: vertical ones by row, horizontal ones by column.
type Spectrum = [[f32; FREQUENCIES]; FREQUENCIES];

/// `sqrt(2/64) cos(pi/128 (i + 1) (2 j + 1))` at row `i`, column `j`; the constant row is left out.
static COSINES: LazyLock<[[f32; SAMPLES]; FREQUENCIES]> = LazyLock::new(|| {
    let side = SAMPLES as f64;
    let cosine = |i: usize, j: usize| (PI / 2.0 / side * ((i + 1) * (2 * j + 1)) as f64).cos();
    // The reference rounds the factor before it multiplies.
    let factor = f64::from((2.0 / side).sqrt() as f32);
    array::from_fn(|i| array::from_fn(|j| (factor * cosine(i, j)) as f32))
});

/// A picture's PDQ.
pub(super) struct Pdq {
    /// How much shape there is to hash, 0 to 100; below 50 a hash says little.
    pub(super) quality: u8,
    /// The hash in the eight orientations of [`Turn::ALL`], the picture as it is first.
    pub(super) dihedral: [[u8; 32]; 8],
}

/// PDQ of a grey plane; all zeros for one with a side below 5 pixels.
pub(super) fn pdq(grey: &Grey) -> Pdq {
    if grey.width < SIDE_MIN || grey.height < SIDE_MIN {
        return Pdq { quality: 0, dihedral: [[0; 32]; 8] };
    }
    let samples = blurred_samples(grey);
    let spectrum = spectrum(&samples);
    Pdq { quality: quality(&samples), dihedral: Turn::ALL.map(|turn| bits(&turn.apply(&spectrum))) }
}

/// An orientation by what it does to the spectrum: mirroring a picture negates every second
/// frequency, and turning it also swaps rows and columns.
struct Turn {
    swaps: bool,
    /// Negates the rows 0, 2, 4, ... of the original.
    negates_rows: bool,
    /// Negates the columns 0, 2, 4, ... of the original.
    negates_columns: bool,
}

impl Turn {
    /// As it is; turned by 90, 180 and 270 degrees; upside down; left to right; over the diagonal
    /// from the upper left; over the other one. The reference's order.
    const ALL: [Self; 8] = [
        Self::new(false, false, false),
        Self::new(true, false, true),
        Self::new(false, true, true),
        Self::new(true, true, false),
        Self::new(false, true, false),
        Self::new(false, false, true),
        Self::new(true, false, false),
        Self::new(true, true, true),
    ];

    const fn new(swaps: bool, negates_rows: bool, negates_columns: bool) -> Self {
        Self { swaps, negates_rows, negates_columns }
    }

    fn apply(&self, spectrum: &Spectrum) -> Spectrum {
        let turned = |row: usize, column: usize| {
            let value = spectrum[row][column];
            let by_row = self.negates_rows && row.is_multiple_of(2);
            let by_column = self.negates_columns && column.is_multiple_of(2);
            if by_row != by_column { -value } else { value }
        };
        array::from_fn(|row| {
            array::from_fn(
                |column| {
                    if self.swaps { turned(column, row) } else { turned(row, column) }
                },
            )
        })
    }
}

/// What one sample takes from a line of pixels: weights of those from `first` on.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// Two box filters, one after the other, as the 64 samples of a line of `length` pixels see them.
///
/// The reference filters the whole picture twice and then drops all but 64x64 pixels; the weights
/// give just those. Between neighbours they overlap by a pixel or so: a line costs one pass.
fn taps(length: usize) -> Vec<Tap> {
    let window = length.div_ceil(2 * SAMPLES);
    let ahead = window.div_ceil(2) + usize::from(window.is_multiple_of(2));
    // The pixels that the box around `at` averages; at the ends of the line the box is cut.
    let cut = |at: usize| (at + ahead).saturating_sub(window)..(at + ahead).min(length);
    let tap = |sample: usize| {
        let outer = cut((2 * sample + 1) * length / (2 * SAMPLES));
        let first = cut(outer.start).start;
        let mut weights = vec![0.0; cut(outer.end - 1).end - first];
        for middle in outer.clone() {
            let inner = cut(middle);
            let weight = 1.0 / (outer.len() * inner.len()) as f32;
            weights[inner.start - first..inner.end - first].iter_mut().for_each(|w| *w += weight);
        }
        Tap { first, weights }
    };
    (0..SAMPLES).map(tap).collect()
}

fn blurred_samples(grey: &Grey) -> Samples {
    let columns = taps(grey.width);
    let mut samples = [[0.0; SAMPLES]; SAMPLES];
    let mut line = vec![0.0f32; grey.width];
    for (tap, row) in taps(grey.height).iter().zip(&mut samples) {
        line.fill(0.0);
        for (offset, &weight) in tap.weights.iter().enumerate() {
            for (sum, &pixel) in line.iter_mut().zip(grey.row(tap.first + offset)) {
                *sum += weight * f32::from(pixel);
            }
        }
        for (tap, sample) in columns.iter().zip(row) {
            *sample = tap.weights.iter().zip(&line[tap.first..]).map(|(w, l)| w * l).sum();
        }
    }
    samples
}

/// The sum of the steps between neighbours that are a hundredth of the range or more, scaled.
fn quality(samples: &Samples) -> u8 {
    // Whole hundredths, rounded towards zero: a faint slope counts as none.
    let step = |a: f32, b: f32| (((a - b) * 100.0 / 255.0) as i32).abs();
    let down = samples.windows(2).flat_map(|rows| rows[0].iter().zip(&rows[1]));
    let across = samples.iter().flat_map(|row| row.iter().zip(&row[1..]));
    let sum: i32 = down.chain(across).map(|(&a, &b)| step(a, b)).sum();
    u8::try_from((sum / GRADIENT_PER_QUALITY).min(100)).expect("at most 100")
}

fn spectrum(samples: &Samples) -> Spectrum {
    let cosines = &*COSINES;
    array::from_fn(|vertical| {
        let mut line = [0.0f32; SAMPLES];
        for (weight, row) in cosines[vertical].iter().zip(samples) {
            line.iter_mut().zip(row).for_each(|(sum, sample)| *sum += weight * sample);
        }
        array::from_fn(|horizontal| {
            cosines[horizontal].iter().zip(&line).map(|(weight, value)| weight * value).sum()
        })
    })
}

/// A bit for each frequency above the median, the last frequency's in the first byte's highest bit.
fn bits(spectrum: &Spectrum) -> [u8; 32] {
    let mut sorted = *spectrum.as_flattened().as_array::<256>().expect("16 x 16");
    let (_, median, _) = sorted.select_nth_unstable_by(127, f32::total_cmp);
    let median = *median;
    let mut hash = [0; 32];
    for (at, value) in spectrum.as_flattened().iter().enumerate() {
        hash[31 - at / 8] |= u8::from(*value > median) << (at % 8);
    }
    hash
}

#[cfg(test)]
mod tests {
    use image::metadata::Orientation;

    use super::*;
    use crate::fingerprint::image::image_fingerprint;
    use crate::fingerprint::picture::Picture;

    macro_rules! vector {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/vectors/pdq/", $name)).as_slice()
        };
    }

    fn distance(hash: &[u8; 32], hex: &str) -> u32 {
        let other = hex::decode(hex).unwrap();
        hash.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn known_pictures_hash_as_the_reference_does() {
        let known = [
            (
                vector!("landscape-512.jpg"),
                "09283d2fbad6633a76a772dac03bdd8ddbd8484d496b635a2ee5a5f1819a9082",
            ),
            (
                vector!("landscape-256.jpg"),
                "09287d2fbad6633b76a7529ac42f9d89dbd8484d496b635a2ee5e5f1819a9082",
            ),
            (
                vector!("landscape-101.jpg"),
                "09281d2dbad6ab3a772772d2c03add8ddbd8484f496b6b5a2ae5a5f1919a9882",
            ),
            (
                vector!("other-384x250.jpg"),
                "f716209d17483d966489e793e0d2f5e985179cde5c2c1a14ba4a213bc95be9ce",
            ),
            (
                vector!("cmyk.jpg"),
                "09281d2dbad63b3a76a77ad2c03add8ddbd8484d496b6b5a2ee5a5f1909a9882",
            ),
            (
                vector!("progressive.jpg"),
                "09281d2dbad63b3a76a77ad2c03add8ddbd8484d496b6b5a2ee5a5f1909a9882",
            ),
        ];
        for (bytes, expected) in known {
            let found = image_fingerprint(bytes).unwrap();
            // The bar that the reference's README sets for other implementations.
            let far = distance(&found.pdq, expected);
            assert!(far <= 10, "{far} bits from {expected}, quality {}", found.pdq_quality);
        }
        let quality = |bytes| image_fingerprint(bytes).unwrap().pdq_quality;
        assert_eq!(quality(vector!("gradient.jpg")), 49);
        assert_eq!(quality(vector!("landscape-512.jpg")), 100);
    }

    #[test]
    fn the_eight_orientations_are_the_references() {
        let expected = [
            "09283d2fbad6633a76a772dac03bdd8ddbd8484d496b635a2ee5a5f1819a9082",
            "2387a00b7c1c927ce1e8b4f23c982e49258fdb03da2cc969d7f296b77e332493",
            "5c7c9785ef83c9902372d870916e37278e8de2e51c3ec1f07bb00f5bc4cf3228",
            "76d24aa1294938d6b4bc1e5869cd84e378da71a98f7963c382a73c1d2b669e39",
            "0929c2d0bad69cc576a78d25c43b2272dbd8b7b2496b9ca52ee51a0e919a637d",
            "5c7c287aef83366e2372278f916e88d88e8d1d181c3e360f7bb0b0a4c4cfc1d7",
            "23871ff07c1c6d81e1e8490c3c98d1b62d8f24fcda2c3696d7f269487e334b6c",
            "76d2b45a2949c729b4ace1a669cd7b1c70da8e568f799c3c82a7c3e22b2661c6",
        ];
        let found = image_fingerprint(vector!("landscape-512.jpg")).unwrap();
        for (hash, expected) in found.pdq_dihedral.iter().zip(expected) {
            assert!(distance(hash, expected) <= 4);
        }
    }

    #[test]
    fn a_turned_or_mirrored_picture_has_the_hash_of_that_orientation() {
        let picture = || Picture::decode(vector!("landscape-101.jpg"), u64::MAX).unwrap().whole;
        let hashes = pdq(&picture()).dihedral;
        let orientations = [
            Orientation::NoTransforms,
            Orientation::Rotate270,
            Orientation::Rotate180,
            Orientation::Rotate90,
            Orientation::FlipVertical,
            Orientation::FlipHorizontal,
            Orientation::Rotate90FlipH,
            Orientation::Rotate270FlipH,
        ];
        for (hash, orientation) in hashes.iter().zip(orientations) {
            let turned = pdq(&picture().turned(orientation)).dihedral[0];
            // In small pictures samples lie on pixels; the reference differs by none here, and in
            // larger ones by part of a pixel.
            assert!(distance(hash, &hex::encode(turned)) <= 4, "{orientation:?}");
        }
    }

    /// The paper's filter as it stands: whole lines, twice, then every 64th place.
    fn boxed(line: &[f32], window: usize) -> Vec<f32> {
        let ahead = (window + 2) / 2;
        let mean = |at: usize| {
            let part = &line[(at + ahead).saturating_sub(window)..(at + ahead).min(line.len())];
            part.iter().sum::<f32>() / part.len() as f32
        };
        (0..line.len()).map(mean).collect()
    }

    #[test]
    fn the_weights_are_two_box_filters_taken_at_64_places() {
        for length in
            [5usize, 63, 64, 65, 127, 128, 129, 200, 256, 300, 511, 512, 513, 1_600, 4_001]
        {
            let line: Vec<f32> = (0..length).map(|x| ((x * x * 31 + x * 7) % 256) as f32).collect();
            let window = length.div_ceil(128);
            let twice = boxed(&boxed(&line, window), window);
            for (sample, tap) in taps(length).iter().enumerate() {
                let sum: f32 = tap.weights.iter().zip(&line[tap.first..]).map(|(w, l)| w * l).sum();
                let place = ((sample as f64 + 0.5) * length as f64 / 64.0) as usize;
                assert!((sum - twice[place]).abs() < 0.01, "{length}: {sample}");
            }
        }
    }

    #[test]
    fn what_has_no_shape_has_no_quality() {
        for side in [1, 4, 5, 64, 300] {
            let flat = Grey { width: side, height: side, pixels: vec![77; side * side] };
            assert_eq!(pdq(&flat).quality, 0);
        }
        let small = Grey { width: 4, height: 90, pixels: (0..=179).chain(0..=179).collect() };
        assert_eq!(pdq(&small).dihedral, [[0; 32]; 8]);
    }
}
