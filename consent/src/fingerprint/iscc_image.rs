//! The ISCC image code of ISO 24138: 256 bits of a picture's coarse shapes.
//!
//! Role: a grey plane in, the code out. The plane is reduced to 32x32 as Pillow's bicubic filter
//! does, which is what `iscc-sdk` hashes; `iscc-lib` computes the code.
//!
//! Invariants: the two passes round as Pillow's do, across first, so that the 1,024 pixels are its
//! pixels up to a level at a tie.
//!
//! What it is not: the steps before. Orientation, white behind transparency and the cut border are
//! the caller's.

use iscc_lib::{IsccError, gen_image_code_v0, iscc_decode};

use super::picture::Grey;

/// Pixels of the reduced picture along each side; the standard's.
const SIDE: usize = 32;
/// Bits of the code, the longest that the standard has.
const BITS: u32 = 256;
/// Partial sums of a weighted sum, added side by side.
const LANES: usize = 8;

/// The code of a grey plane that has at least one pixel.
pub(super) fn iscc_image(grey: &Grey) -> Result<[u8; 32], IsccError> {
    code(&reduced(grey))
}

fn code(pixels: &[u8]) -> Result<[u8; 32], IsccError> {
    let text = gen_image_code_v0(pixels, BITS)?.iscc;
    let (_, _, _, _, digest) = iscc_decode(&text)?;
    digest.try_into().map_err(|_| IsccError::InvalidInput("a code of 256 bits has 32 bytes".into()))
}

/// What one reduced pixel takes from a line: weights of the pixels from `first` on.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// Keys' cubic with a = -1/2, which Pillow calls bicubic.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// The filter for a line of `length` pixels. When it is longer than the result the filter is as
/// much wider, so that each pixel counts.
fn taps(length: usize) -> Vec<Tap> {
    let scale = length as f64 / SIDE as f64;
    let widened = scale.max(1.0);
    let support = 2.0 * widened;
    let tap = |at: usize| {
        let center = (at as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(length);
        let weight = |pixel: usize| cubic((pixel as f64 - center + 0.5) / widened);
        let sum: f64 = (first..end).map(weight).sum();
        Tap { first, weights: (first..end).map(|pixel| (weight(pixel) / sum) as f32).collect() }
    };
    (0..SIDE).map(tap).collect()
}

fn reduced(grey: &Grey) -> Vec<u8> {
    let across = taps(grey.width);
    let mut line = vec![0.0; grey.width];
    let mut narrow = Vec::with_capacity(grey.height * SIDE);
    for y in 0..grey.height {
        line.iter_mut().zip(grey.row(y)).for_each(|(value, &pixel)| *value = f32::from(pixel));
        narrow.extend(across.iter().map(|tap| level(dot(&tap.weights, &line[tap.first..]))));
    }
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for tap in taps(grey.height) {
        let mut sums = [0.0f32; SIDE];
        for (weight, row) in tap.weights.iter().zip(narrow[tap.first * SIDE..].chunks_exact(SIDE)) {
            sums.iter_mut().zip(row).for_each(|(sum, &pixel)| *sum += weight * f32::from(pixel));
        }
        pixels.extend(sums.map(level));
    }
    pixels
}

/// Sums of products, in lanes that the compiler can keep in one register.
fn dot(weights: &[f32], values: &[f32]) -> f32 {
    let values = &values[..weights.len()];
    let (weight_lanes, weights_left) = weights.as_chunks::<LANES>();
    let (value_lanes, values_left) = values.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (weights, values) in weight_lanes.iter().zip(value_lanes) {
        for lane in 0..LANES {
            sums[lane] += weights[lane] * values[lane];
        }
    }
    let left: f32 = weights_left.iter().zip(values_left).map(|(w, v)| w * v).sum();
    sums.iter().sum::<f32>() + left
}

/// The nearest grey level; the filter overshoots at edges.
fn level(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::image::image_fingerprint;

    macro_rules! vector {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/vectors/pdq/", $name)).as_slice()
        };
    }

    #[test]
    fn codes_are_those_of_iscc_core() {
        let expected = "07c343309e3c9e8e6768e1f97c86691a96c66432cc72dae5334793c98ee1c99365";
        let found = code(vector!("iscc-core-pixels.grey")).unwrap();
        // The first byte is the rest of the code's header.
        assert_eq!(hex::encode(found), expected[2..]);
        assert_eq!(code(&[0; 1_024]).unwrap(), [0; 32]);
        // Of the other two vectors only the first bits are given: none, and that of the mean.
        assert_eq!(code(&[255; 1_024]).unwrap()[..2], [0x80, 0]);
    }

    #[test]
    fn pictures_have_the_codes_that_iscc_sdk_gives_them() {
        let known = [
            (
                vector!("landscape-512.jpg"),
                "a8a02cc7532deb79e59dc4d2ba6b49090dd82ea5722eb55aedd801a73762ac5c",
            ),
            (
                vector!("landscape-256.jpg"),
                "a8a02cc7532deb79f59dc4d2ba6349090dd82ea5722eb55aedd801a73762ac5c",
            ),
            (
                vector!("landscape-101.jpg"),
                "a8a02cc7532deb79e59cc6d2ba6b49090dd82ea5722eb59aedd801a73762ac5c",
            ),
            (
                vector!("other-384x250.jpg"),
                "ba996dee29149a2c63cb495e2e2c9d98f44b25e46cbc097c50d783f393fc6482",
            ),
            (
                vector!("cmyk.jpg"),
                "a8a02cc7532deb79e59cc6d2ba6b49090dd82ea5722eb55aedd801a73762ac5c",
            ),
            (
                vector!("progressive.jpg"),
                "a8a02cc7532deb79e59dc6d2ba6349090dd82ea5722eb59aedd801a73762ac5c",
            ),
        ];
        for (bytes, expected) in known {
            let found = image_fingerprint(bytes).unwrap().iscc;
            let expected = hex::decode(expected).unwrap();
            let far: u32 = found.iter().zip(&expected).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!(far <= 4, "{far} bits from {}", hex::encode(expected));
        }
    }

    #[test]
    fn a_reduced_picture_has_the_mean_and_the_place_of_its_parts() {
        for (width, height) in [(1, 1), (1, 65_535), (32, 32), (33, 31), (640, 480), (3, 2_000)] {
            let plain = Grey { width, height, pixels: vec![130; width * height] };
            assert_eq!(reduced(&plain), [130; 1_024]);
        }
        let left_half = |at: usize| if at % 640 < 320 { 20 } else { 220 };
        let pixels = (0..640 * 480).map(left_half).collect();
        let halves = reduced(&Grey { width: 640, height: 480, pixels });
        assert!(halves.chunks(32).all(|row| row[..14] == [20; 14] && row[18..] == [220; 14]));
    }
}
