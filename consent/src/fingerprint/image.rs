//! Fingerprints of pictures: PDQ and the ISCC image code of one decoded picture.
//!
//! Role: [`image_fingerprint`] of a JPEG, PNG, GIF, WebP, BMP or TIFF file's bytes.
//!
//! Invariants: any bytes give a fingerprint or an error, never a panic; size, pixels and memory are
//! bounded before a pixel is decoded. Of an animation the first frame counts (of an animated PNG
//! the still that it shows where animations are not known), of a TIFF the first page: the rest has
//! no fingerprint here.
//!
//! What it is not: a comparison. Distances and what they mean are the similarity index's.

use iscc_lib::IsccError;
use protocol::limits::{IMAGE_BYTES_MAX, IMAGE_MEMORY_BYTES_MAX, IMAGE_PIXELS_MAX, IMAGE_SIDE_MAX};
use thiserror::Error;

use super::iscc_image::iscc_image;
use super::pdq::pdq;
use super::picture::{Format, Picture};

/// What of a picture stays when it is encoded again or resized. Two fingerprints are compared by
/// the bits in which they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFingerprint {
    /// The picture's PDQ, most significant byte first, as the reference prints it.
    pub pdq: [u8; 32],
    /// How much shape PDQ had to hash, 0 to 100; a hash below 50 says little and matches much.
    pub pdq_quality: u8,
    /// PDQ of the picture as it is; turned by 90 degrees to the left, by 180 and by 270; upside
    /// down; left to right; mirrored at the diagonal from the upper left; at the other one. A
    /// mirrored copy has one of these.
    pub pdq_dihedral: [[u8; 32]; 8],
    /// The image code of ISO 24138, all 256 bits; changes when the picture is mirrored.
    pub iscc: [u8; 32],
}

/// Why bytes have no picture's fingerprint.
#[derive(Debug, Error)]
pub enum ImageError {
    /// More bytes than are read.
    #[error("a picture's file has {bytes} bytes, {IMAGE_BYTES_MAX} are read at most")]
    Bytes {
        /// The file's.
        bytes: usize,
    },
    /// No known format's first bytes.
    #[error("not a JPEG, PNG, GIF, WebP, BMP or TIFF file by its first bytes")]
    Format,
    /// The header names more pixels than are decoded, or none.
    #[error(
        "a picture of {width} x {height} pixels, from 1 to {IMAGE_PIXELS_MAX} are decoded, with \
         sides up to {IMAGE_SIDE_MAX}"
    )]
    Pixels {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Decoding would take more memory than it may.
    #[error("a picture takes {bytes} bytes to decode, at most {IMAGE_MEMORY_BYTES_MAX} are given")]
    Memory {
        /// What it would take.
        bytes: u64,
    },
    /// A JPEG file is too short for the pixels that it names.
    #[error("a JPEG file of {bytes} bytes cannot hold {width} x {height} pixels: it is cut")]
    Cut {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The file's.
        bytes: usize,
    },
    /// A JPEG file is damaged or of a rare kind.
    #[error("the JPEG file does not decode: {}", one_line(.0))]
    Jpeg(#[source] zune_jpeg::errors::DecodeErrors),
    /// Another file is damaged or of a rare kind.
    #[error("the picture does not decode: {0}")]
    Decode(#[from] image::ImageError),
    /// The pixels are of a kind that no rule maps to grey.
    #[error("pixels of the kind {0:?} are not read")]
    Colour(image::ColorType),
    /// The image code was refused.
    #[error("no image code: {0}")]
    Code(#[from] IsccError),
}

/// Whether the first bytes are those of a format that [`image_fingerprint`] reads.
pub fn is_image(bytes: &[u8]) -> bool {
    Format::of(bytes).is_some()
}

/// The fingerprint of a picture, seen as a viewer shows it: turned by its EXIF orientation, on
/// white where it is transparent. Colour profiles are not applied.
///
/// Takes up to [`IMAGE_MEMORY_BYTES_MAX`] of memory, about 4 bytes a pixel for common files.
pub fn image_fingerprint(bytes: &[u8]) -> Result<ImageFingerprint, ImageError> {
    image_fingerprint_within(bytes, IMAGE_MEMORY_BYTES_MAX)
}

/// How many bytes of memory [`image_fingerprint`] takes that are known from the header; decoders of
/// formats but JPEG may take more by the way.
pub fn image_memory_bytes(bytes: &[u8]) -> Result<u64, ImageError> {
    Picture::memory_bytes(bytes)
}

/// As [`image_fingerprint`], with so many bytes of memory at most: for those who decode several
/// pictures at once.
pub fn image_fingerprint_within(
    bytes: &[u8],
    memory_bytes_max: u64,
) -> Result<ImageFingerprint, ImageError> {
    let picture = Picture::decode(bytes, memory_bytes_max)?;
    let pdq = pdq(&picture.whole);
    Ok(ImageFingerprint {
        pdq: pdq.dihedral[0],
        pdq_quality: pdq.quality,
        pdq_dihedral: pdq.dihedral,
        iscc: iscc_image(picture.without_border())?,
    })
}

/// Some of the decoder's messages end in a new line.
fn one_line(error: &zune_jpeg::errors::DecodeErrors) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::jpeg::JpegEncoder;
    use image::imageops::FilterType;
    use image::{DynamicImage, ImageFormat, RgbImage};
    use proptest::prelude::*;

    use super::*;

    const PICTURE: &[u8] = include_bytes!("../../../tests/vectors/pdq/landscape-512.jpg");
    const CMYK: &[u8] = include_bytes!("../../../tests/vectors/pdq/cmyk.jpg");
    const PROGRESSIVE: &[u8] = include_bytes!("../../../tests/vectors/pdq/progressive.jpg");

    const FORMATS: [ImageFormat; 6] = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn small() -> DynamicImage {
        RgbImage::from_fn(40, 24, |x, y| image::Rgb([(x * 6) as u8, (y * 9) as u8, 90])).into()
    }

    fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).unwrap();
        bytes
    }

    fn distance(left: &[u8; 32], right: &[u8; 32]) -> u32 {
        left.iter().zip(right).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    fn assert_refused(bytes: &[u8], part: &str) {
        let message = image_fingerprint(bytes).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    /// A JPEG file whose header names another size.
    fn resized_header(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
        let mut bytes = jpeg.to_vec();
        let frame = |pair: &[u8]| pair == [0xff, 0xc0] || pair == [0xff, 0xc2];
        let at = bytes.windows(2).position(frame).unwrap();
        bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
        bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
        bytes
    }

    #[test]
    fn encoding_again_and_resizing_leave_a_fingerprint_near() {
        let found = image_fingerprint(PICTURE).unwrap();
        assert!(found.pdq_quality >= 50);
        assert_eq!(found.pdq, found.pdq_dihedral[0]);
        let picture = image::load_from_memory(PICTURE).unwrap();
        let half = picture.resize_exact(256, 256, FilterType::Lanczos3);
        let grey = DynamicImage::from(picture.to_luma8());
        for copy in [jpeg(&picture, 75), jpeg(&picture, 50), jpeg(&half, 90), jpeg(&grey, 90)] {
            let copy = image_fingerprint(&copy).unwrap();
            assert!(distance(&found.pdq, &copy.pdq) <= 31);
            assert!(distance(&found.iscc, &copy.iscc) <= 31);
        }
        let mirrored = image_fingerprint(&jpeg(&picture.fliph(), 90)).unwrap();
        assert!(distance(&found.pdq, &mirrored.pdq) > 90);
        assert!(distance(&found.pdq_dihedral[5], &mirrored.pdq) <= 31);
        let turned = image_fingerprint(&jpeg(&picture.rotate270(), 90)).unwrap();
        assert!(distance(&found.pdq_dihedral[1], &turned.pdq) <= 31);
        let other = image_fingerprint(&encoded(&small(), ImageFormat::Png)).unwrap();
        assert!(distance(&found.pdq, &other.pdq) > 90 && distance(&found.iscc, &other.iscc) > 90);
    }

    #[test]
    fn every_format_is_known_by_its_first_bytes_and_read() {
        for format in FORMATS {
            let bytes = encoded(&small(), format);
            assert!(is_image(&bytes));
            assert!(image_fingerprint(&bytes).is_ok(), "{format:?}");
        }
        for bytes in [b"".as_slice(), b"BM", b"BMW is a maker of cars", b"RIFF....WAVE", b"GIF88a"]
        {
            assert!(!is_image(bytes));
            assert_refused(bytes, "not a JPEG, PNG, GIF, WebP, BMP or TIFF file");
        }
    }

    #[test]
    fn a_cut_file_is_refused_wherever_it_is_cut() {
        for format in FORMATS {
            let bytes = encoded(&small(), format);
            for length in (8..bytes.len() * 9 / 10).step_by(3) {
                let cut = image_fingerprint(&bytes[..length]);
                // TIFF keeps what describes the pixels at the end, GIF its last byte.
                assert!(cut.is_err(), "{format:?} of {} bytes cut at {length}", bytes.len());
            }
        }
        for bytes in [PICTURE, PROGRESSIVE, CMYK] {
            assert_refused(&bytes[..bytes.len() * 3 / 4], "does not decode");
        }
    }

    #[test]
    fn small_files_that_claim_to_be_large_are_refused() {
        for file in [jpeg(&small(), 80), PROGRESSIVE.to_vec(), CMYK.to_vec()] {
            assert_refused(&resized_header(&file, 65_535, 65_535), "65535 x 65535");
        }
        assert_refused(&resized_header(PROGRESSIVE, 9_999, 9_999), "cannot hold 9999 x 9999");
        // Four kinds of coefficients of so many pixels are beyond the memory, file or not.
        assert_refused(&resized_header(CMYK, 9_999, 9_999), "at most 1073741824 are given");
        assert_refused(&resized_header(PROGRESSIVE, 0, 9), "does not decode");

        let mut gif = encoded(&small(), ImageFormat::Gif);
        gif[6..10].fill(0xff);
        assert_refused(&gif, "65535 x 65535");
        let mut bmp = encoded(&small(), ImageFormat::Bmp);
        bmp[18..26].copy_from_slice(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]);
        assert_refused(&bmp, "65535 x 65535");
        bmp[18..22].fill(0);
        assert_refused(&bmp, "does not decode");
    }

    #[test]
    fn a_picture_is_decoded_within_what_its_header_says() {
        for (format, pixel_bytes) in
            FORMATS.into_iter().zip([9 + 2, 3 + 2, 4 + 2, 3 + 2, 3 + 2, 3 + 2])
        {
            let bytes = encoded(&small(), format);
            let taken = image_memory_bytes(&bytes).unwrap();
            assert_eq!(taken, 40 * 24 * pixel_bytes, "{format:?}");
            assert!(matches!(
                image_fingerprint_within(&bytes, taken / 2),
                Err(ImageError::Memory { .. } | ImageError::Decode(image::ImageError::Limits(_)))
            ));
            let whole = image_fingerprint_within(&bytes, 2 * taken + (1 << 20)).unwrap();
            assert_eq!(whole, image_fingerprint(&bytes).unwrap());
        }
        assert!(image_memory_bytes(&resized_header(PROGRESSIVE, 65_535, 65_535)).is_err());
    }

    #[test]
    fn more_bytes_than_are_read_are_refused_unseen() {
        assert_refused(&vec![0xff; IMAGE_BYTES_MAX + 1], "67108864 are read at most");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]
        #[test]
        fn damaged_files_never_panic(
            format in 0..8usize,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
            length in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut bytes = match format {
                6 => CMYK.to_vec(),
                7 => PROGRESSIVE.to_vec(),
                _ => encoded(&small(), FORMATS[format]),
            };
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if is_cut {
                bytes.truncate(length.index(bytes.len()));
            }
            if let Err(error) = image_fingerprint(&bytes) {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}
