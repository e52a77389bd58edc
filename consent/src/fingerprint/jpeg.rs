//! JPEG files as grey planes.
//!
//! Role: what `picture.rs` does for the other formats, by way of the luma that a JPEG holds anyway:
//! its colours need not be decoded.
//!
//! Invariants: a damaged or cut file is an error. Luma differs from grey by way of RGB by a level,
//! and by more only where a colour lies outside RGB.
//!
//! What it is not: a decoder; `zune-jpeg` is, the one that `image` uses.

use image::ColorType;
use image::metadata::Orientation;
use protocol::limits::{IMAGE_MEMORY_BYTES_MAX, IMAGE_SIDE_MAX};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::{JpegDecoder, SampleRatios};

use super::image::ImageError;
use super::picture::{Colours, Grey, Picture, check, upper_left};

/// A progressive file's coefficients are held until its last scan.
const COEFFICIENT_BYTES: u64 = 2;
/// Pixels that a byte can stand for: a block of 8x8 takes a bit or more. A file that claims more is
/// cut, or is there to waste our time.
const PIXELS_PER_BYTE_MAX: u64 = 512;

/// How many bytes of memory the picture of a JPEG file takes.
pub(super) fn jpeg_memory_bytes(bytes: &[u8]) -> Result<u64, ImageError> {
    memory_bytes(&decoder(bytes)?, bytes, ColorType::Rgb8, IMAGE_MEMORY_BYTES_MAX)
}

/// The picture of a JPEG file.
pub(super) fn decode_jpeg(bytes: &[u8], memory_bytes_max: u64) -> Result<Picture, ImageError> {
    let decode = |decoder: &mut _, kind| decode(decoder, bytes, kind, memory_bytes_max);
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr) => {}
        Some(ColorSpace::Luma) => {
            return decode(&mut decoder, ColorType::L8)?.picture(orientation);
        }
        _ => return decode(&mut decoder, ColorType::Rgb8)?.picture(orientation),
    }
    let Colours { width, height, bytes: pixels, .. } = decode(&mut decoder, ColorType::L8)?;
    let grey = Grey { width, height, pixels };
    if grey.may_have_border(upper_left(width, height, orientation)) {
        // Grey alone cannot tell: colours of one brightness look plain.
        drop(grey);
        let mut decoder = self::decoder(bytes)?;
        return decode(&mut decoder, ColorType::Rgb8)?.picture(orientation);
    }
    Ok(Picture::new(grey, None, orientation))
}

fn decoder(bytes: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, ImageError> {
    let side_max = IMAGE_SIDE_MAX as usize;
    let options = DecoderOptions::default().set_max_width(side_max).set_max_height(side_max);
    // Otherwise what is missing of a damaged file comes as plain grey, and its fingerprint would be
    // like no other.
    let options = options.set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(ImageError::Jpeg)?;
    Ok(decoder)
}

/// What decoding takes, held against the bounds.
fn memory_bytes(
    decoder: &JpegDecoder<ZCursor<&[u8]>>,
    file: &[u8],
    kind: ColorType,
    memory_bytes_max: u64,
) -> Result<u64, ImageError> {
    let info = decoder.info().expect("headers are decoded");
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    // Where only rows are subsampled, the decoder makes room for twice as many.
    let room = if matches!(info.sample_ratio, SampleRatios::V) { 2 } else { 1 };
    let held_bytes = COEFFICIENT_BYTES * u64::from(info.components) * room;
    let pixel_bytes = held_bytes + u64::from(kind.bytes_per_pixel());
    let taken = check(width, height, pixel_bytes, memory_bytes_max)?;
    if u64::from(width) * u64::from(height) > PIXELS_PER_BYTE_MAX * file.len() as u64 {
        return Err(ImageError::Cut { width, height, bytes: file.len() });
    }
    Ok(taken)
}

fn decode(
    decoder: &mut JpegDecoder<ZCursor<&[u8]>>,
    file: &[u8],
    kind: ColorType,
    memory_bytes_max: u64,
) -> Result<Colours, ImageError> {
    memory_bytes(decoder, file, kind, memory_bytes_max)?;
    let info = decoder.info().expect("headers are decoded");
    let colours = if kind == ColorType::L8 { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(colours));
    let bytes = decoder.decode().map_err(ImageError::Jpeg)?;
    Ok(Colours { width: info.width.into(), height: info.height.into(), kind, bytes })
}
