//! Pictures as grey planes, decoded from bytes that anybody may have sent.
//!
//! Role: read a header, hold it against the bounds, decode, lay the picture on white, turn it by
//! its EXIF orientation, find its plain border. Grey is `0.299 R + 0.587 G + 0.114 B`, rounded.
//!
//! Invariants: decoders are asked for pixels only after pixels and memory were bounded, and share
//! one budget with our own planes. The steps and their order are those of `iscc-sdk`.
//!
//! What it is not: exact. Another decoder gives other last bits.

use std::io::{BufRead, Cursor, Seek};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use protocol::limits::{IMAGE_BYTES_MAX, IMAGE_MEMORY_BYTES_MAX, IMAGE_PIXELS_MAX, IMAGE_SIDE_MAX};

use super::image::ImageError;
use super::jpeg::{decode_jpeg, jpeg_memory_bytes};

/// Sizes of a BMP file's second header; its first two letters alone begin many a text.
const BMP_HEADER_BYTES: [u32; 7] = [12, 40, 52, 56, 64, 108, 124];

/// A file format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Other(ImageFormat),
}

impl Format {
    /// By the first bytes; a name or a media type may lie.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let has = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(magic));
        let bmp_header = || {
            let size = bytes.get(14..18)?.try_into().ok()?;
            BMP_HEADER_BYTES.contains(&u32::from_le_bytes(size)).then_some(())
        };
        if has(0, b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if has(0, b"\x89PNG\r\n\x1a\n") {
            Some(Self::Other(ImageFormat::Png))
        } else if has(0, b"GIF87a") || has(0, b"GIF89a") {
            Some(Self::Other(ImageFormat::Gif))
        } else if has(0, b"RIFF") && has(8, b"WEBP") {
            Some(Self::Other(ImageFormat::WebP))
        } else if has(0, b"II*\0") || has(0, b"MM\0*") {
            Some(Self::Other(ImageFormat::Tiff))
        } else if has(0, b"BM") && bmp_header().is_some() {
            Some(Self::Other(ImageFormat::Bmp))
        } else {
            None
        }
    }
}

/// A plane of grey levels, row by row.
pub(super) struct Grey {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl Grey {
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width..(y + 1) * self.width]
    }

    fn cut(&self, area: &Area) -> Self {
        let rows = (area.top..area.bottom).map(|y| &self.row(y)[area.left..area.right]);
        Self {
            width: area.right - area.left,
            height: area.bottom - area.top,
            pixels: rows.flatten().copied().collect(),
        }
    }

    pub(super) fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let (width, height) = (self.width as u32, self.height as u32);
        let plane = GrayImage::from_raw(width, height, self.pixels).expect("a whole plane");
        let mut plane = DynamicImage::ImageLuma8(plane);
        plane.apply_orientation(orientation);
        let (width, height) = (plane.width() as usize, plane.height() as usize);
        Self { width, height, pixels: plane.into_bytes() }
    }

    /// Whether some edge is as plain as a border would be, by grey alone.
    pub(super) fn may_have_border(&self, corner: (usize, usize)) -> bool {
        let level = self.row(corner.1)[corner.0];
        let is_plain = |row: &[u8]| row.iter().all(|&pixel| pixel == level);
        let is_plain_column = |x: usize| (0..self.height).all(|y| self.row(y)[x] == level);
        is_plain(self.row(0))
            || is_plain(self.row(self.height - 1))
            || is_plain_column(0)
            || is_plain_column(self.width - 1)
    }
}

/// Rows `top..bottom` and columns `left..right`.
#[derive(PartialEq, Eq)]
pub(super) struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

/// A picture as a viewer shows it, in grey.
pub(super) struct Picture {
    pub(super) whole: Grey,
    trimmed: Option<Grey>,
}

impl Picture {
    /// Decodes a picture, with so many bytes of memory at most.
    pub(super) fn decode(bytes: &[u8], memory_bytes_max: u64) -> Result<Self, ImageError> {
        match format(bytes)? {
            Format::Jpeg => decode_jpeg(bytes, memory_bytes_max),
            Format::Other(format) => decode_other(bytes, format, memory_bytes_max),
        }
    }

    /// How many bytes of memory decoding takes that are known from the header.
    pub(super) fn memory_bytes(bytes: &[u8]) -> Result<u64, ImageError> {
        match format(bytes)? {
            Format::Jpeg => jpeg_memory_bytes(bytes),
            Format::Other(format) => {
                let reader = ImageReader::with_format(Cursor::new(bytes), format);
                let decoder = limited(reader, IMAGE_MEMORY_BYTES_MAX).into_decoder()?;
                let (width, height) = decoder.dimensions();
                let pixel_bytes = u64::from(decoder.color_type().bytes_per_pixel());
                check(width, height, pixel_bytes, IMAGE_MEMORY_BYTES_MAX)
            }
        }
    }

    /// Without the border that is all of the upper left pixel's colour.
    pub(super) fn without_border(&self) -> &Grey {
        self.trimmed.as_ref().unwrap_or(&self.whole)
    }

    pub(super) fn new(whole: Grey, area: Option<Area>, orientation: Orientation) -> Self {
        let trimmed = area.map(|area| whole.cut(&area).turned(orientation));
        Self { whole: whole.turned(orientation), trimmed }
    }
}

/// Decoded pixels before orientation, as the decoder has them.
pub(super) struct Colours {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) kind: ColorType,
    pub(super) bytes: Vec<u8>,
}

impl Colours {
    pub(super) fn picture(self, orientation: Orientation) -> Result<Picture, ImageError> {
        let row_bytes = self.width * usize::from(self.kind.bytes_per_pixel());
        let (corner_x, corner_y) = upper_left(self.width, self.height, orientation);
        let mut row = vec![[0u8; 3]; self.width];
        rgb_on_white(self.kind, &self.bytes[corner_y * row_bytes..][..row_bytes], &mut row)?;
        let corner = row[corner_x];
        let mut pixels = Vec::with_capacity(self.width * self.height);
        let mut area = Area { left: self.width, top: self.height, right: 0, bottom: 0 };
        for (y, bytes) in self.bytes.chunks_exact(row_bytes).enumerate() {
            rgb_on_white(self.kind, bytes, &mut row)?;
            pixels.extend(row.iter().map(grey));
            let Some(first) = row.iter().position(|pixel| *pixel != corner) else { continue };
            let last = row.iter().rposition(|pixel| *pixel != corner).unwrap_or(first);
            area.left = area.left.min(first);
            area.right = area.right.max(last + 1);
            area.top = area.top.min(y);
            area.bottom = y + 1;
        }
        // All of one colour: there is nothing within the border.
        let is_plain = area.right == 0;
        let all = Area { left: 0, top: 0, right: self.width, bottom: self.height };
        let whole = Grey { width: self.width, height: self.height, pixels };
        Ok(Picture::new(whole, (!is_plain && area != all).then_some(area), orientation))
    }
}

/// Where the pixel is that a viewer shows at the upper left.
pub(super) fn upper_left(width: usize, height: usize, orientation: Orientation) -> (usize, usize) {
    match orientation {
        Orientation::NoTransforms | Orientation::Rotate90FlipH => (0, 0),
        Orientation::FlipHorizontal | Orientation::Rotate270 => (width - 1, 0),
        Orientation::FlipVertical | Orientation::Rotate90 => (0, height - 1),
        Orientation::Rotate180 | Orientation::Rotate270FlipH => (width - 1, height - 1),
    }
}

/// Pillow's weights: the same sum, rounded, for each bit of a channel.
fn grey([red, green, blue]: &[u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(*red) + 38_470 * u32::from(*green) + 7_471 * u32::from(*blue);
    ((sum + 0x8000) >> 16) as u8
}

fn rgb_on_white(kind: ColorType, bytes: &[u8], row: &mut [[u8; 3]]) -> Result<(), ImageError> {
    // The upper half of a 16-bit level, as Pillow takes it.
    let high = |bytes: [u8; 2]| (u16::from_ne_bytes(bytes) >> 8) as u8;
    let unit = |bytes: [u8; 4]| (f32::from_ne_bytes(bytes) * 255.0 + 0.5) as u8;
    match kind {
        ColorType::L8 => fill(row, bytes, |[l]| [l; 3]),
        ColorType::La8 => fill(row, bytes, |[l, a]| on_white([l; 3], a)),
        ColorType::Rgb8 => fill(row, bytes, |rgb| rgb),
        ColorType::Rgba8 => fill(row, bytes, |[r, g, b, a]| on_white([r, g, b], a)),
        ColorType::L16 => fill(row, bytes, |l| [high(l); 3]),
        ColorType::La16 => {
            fill(row, bytes, |[l, m, a, b]| on_white([high([l, m]); 3], high([a, b])))
        }
        ColorType::Rgb16 => {
            fill(row, bytes, |[r, s, g, h, b, c]| [high([r, s]), high([g, h]), high([b, c])]);
        }
        ColorType::Rgba16 => fill(row, bytes, |[r, s, g, h, b, c, a, z]| {
            on_white([high([r, s]), high([g, h]), high([b, c])], high([a, z]))
        }),
        ColorType::Rgb32F => fill(row, bytes, |pixel: [u8; 12]| floats(&pixel).map(unit)),
        ColorType::Rgba32F => fill(row, bytes, |pixel: [u8; 16]| {
            let [r, g, b, a] = floats(&pixel);
            on_white([r, g, b].map(unit), unit(a))
        }),
        kind => return Err(ImageError::Colour(kind)),
    }
    Ok(())
}

fn fill<const BYTES: usize>(
    row: &mut [[u8; 3]],
    bytes: &[u8],
    rgb: impl Fn([u8; BYTES]) -> [u8; 3],
) {
    row.iter_mut().zip(bytes.as_chunks().0).for_each(|(pixel, bytes)| *pixel = rgb(*bytes));
}

fn floats<const FLOATS: usize>(bytes: &[u8]) -> [[u8; 4]; FLOATS] {
    *bytes.as_chunks().0.as_array().expect("as many floats as channels")
}

/// A pixel of that opacity before white.
fn on_white(rgb: [u8; 3], opacity: u8) -> [u8; 3] {
    rgb.map(|level| {
        let sum = 255 * (255 - u32::from(opacity)) + u32::from(level) * u32::from(opacity) + 128;
        ((sum + (sum >> 8)) >> 8) as u8
    })
}

fn format(bytes: &[u8]) -> Result<Format, ImageError> {
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(ImageError::Bytes { bytes: bytes.len() });
    }
    Format::of(bytes).ok_or(ImageError::Format)
}

/// Refuses sizes and memory beyond the bounds, and says how many bytes it takes; `pixel_bytes` is the
/// decoder's share, output included.
pub(super) fn check(
    width: u32,
    height: u32,
    pixel_bytes: u64,
    memory_bytes_max: u64,
) -> Result<u64, ImageError> {
    let pixels = u64::from(width) * u64::from(height);
    let longest = width.max(height);
    if pixels == 0 || pixels > IMAGE_PIXELS_MAX || longest > IMAGE_SIDE_MAX {
        return Err(ImageError::Pixels { width, height });
    }
    // Our grey plane, twice: a turned or trimmed one is made beside it.
    let bytes = pixels * (pixel_bytes + 2);
    if bytes > memory_bytes_max { Err(ImageError::Memory { bytes }) } else { Ok(bytes) }
}

fn limits(memory_bytes_max: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(IMAGE_SIDE_MAX);
    limits.max_image_height = Some(IMAGE_SIDE_MAX);
    limits.max_alloc = Some(memory_bytes_max);
    limits
}

fn limited<R>(mut reader: ImageReader<R>, memory_bytes_max: u64) -> ImageReader<R>
where
    R: BufRead + Seek,
{
    reader.limits(limits(memory_bytes_max));
    reader
}

fn decode_other(
    bytes: &[u8],
    format: ImageFormat,
    memory_bytes_max: u64,
) -> Result<Picture, ImageError> {
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = limited(reader, memory_bytes_max).into_decoder()?;
    let (width, height) = decoder.dimensions();
    let kind = decoder.color_type();
    check(width, height, u64::from(kind.bytes_per_pixel()), memory_bytes_max)?;
    let orientation = decoder.orientation()?;
    let decoded_bytes = decoder.total_bytes();
    let planes_bytes = 2 * u64::from(width) * u64::from(height);
    decoder.set_limits(limits(memory_bytes_max - planes_bytes))?;
    let mut decoded = vec![0; decoded_bytes as usize];
    decoder.read_image(&mut decoded)?;
    let (width, height) = (width as usize, height as usize);
    Colours { width, height, kind, bytes: decoded }.picture(orientation)
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::codecs::webp::WebPEncoder;
    use image::{ExtendedColorType, ImageBuffer, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// A slope of grey with a mark at the upper left.
    fn slope(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            if x < width / 4 && y < height / 3 {
                Rgb([250; 3])
            } else {
                Rgb([(x + 2 * y) as u8; 3])
            }
        })
    }

    /// EXIF of one entry, the orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn encode_with_exif<E: ImageEncoder>(mut encoder: E, picture: &RgbImage, orientation: u8) {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        let (width, height) = picture.dimensions();
        encoder.write_image(picture, width, height, ExtendedColorType::Rgb8).unwrap();
    }

    fn decoded(bytes: &[u8]) -> Picture {
        Picture::decode(bytes, IMAGE_MEMORY_BYTES_MAX).unwrap()
    }

    fn plane(bytes: &[u8]) -> Grey {
        decoded(bytes).whole
    }

    /// The largest difference of two planes of one size.
    fn difference(left: &Grey, right: &Grey) -> u8 {
        assert_eq!((left.width, left.height), (right.width, right.height));
        let pixels = left.pixels.iter().zip(&right.pixels);
        pixels.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn formats_without_loss_give_one_plane() {
        let picture = slope(90, 61);
        let expected = plane(&encoded(picture.clone(), ImageFormat::Png));
        assert_eq!((expected.width, expected.height), (90, 61));
        assert_eq!(expected.row(60)[89], 209);
        for format in [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            assert_eq!(difference(&plane(&encoded(picture.clone(), format)), &expected), 0);
        }
        // A palette of 256 colours, found by sampling, and JPEG lose a little.
        assert!(difference(&plane(&encoded(picture.clone(), ImageFormat::Gif)), &expected) < 6);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 98).encode_image(&picture).unwrap();
        assert!(difference(&plane(&jpeg), &expected) < 12);
    }

    #[test]
    fn grey_alpha_and_deep_pixels_are_read() {
        let picture = DynamicImage::from(slope(90, 61));
        let expected = plane(&encoded(picture.clone(), ImageFormat::Png));
        for same in [
            picture.to_luma8().into(),
            picture.to_luma_alpha8().into(),
            picture.to_rgba8().into(),
            picture.to_luma16().into(),
            picture.to_luma_alpha16().into(),
            picture.to_rgb16().into(),
            DynamicImage::from(picture.to_rgba16()),
        ] {
            assert_eq!(difference(&plane(&encoded(same, ImageFormat::Png)), &expected), 0);
        }
        let floats = picture.to_rgb32f();
        assert_eq!(difference(&plane(&encoded(floats, ImageFormat::Tiff)), &expected), 0);
        let jpeg = plane(&encoded(picture.to_luma8(), ImageFormat::Jpeg));
        assert!(difference(&jpeg, &expected) < 40);
    }

    #[test]
    fn what_is_transparent_is_white() {
        let half = RgbaImage::from_fn(8, 8, |x, _| Rgba([0, 0, 0, if x < 4 { 0 } else { 128 }]));
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
            let plane = plane(&encoded(half.clone(), format));
            assert_eq!(plane.row(3), [255, 255, 255, 255, 127, 127, 127, 127]);
        }
    }

    #[test]
    fn exif_turns_the_picture_and_its_border_is_found_as_a_viewer_sees_it() {
        // A border of two colours, so that only the right corner finds its own.
        let mut bordered = RgbImage::from_pixel(96, 64, Rgb([200, 30, 40]));
        image::imageops::replace(&mut bordered, &slope(60, 40), 32, 8);
        image::imageops::replace(&mut bordered, &RgbImage::new(96, 8), 0, 56);
        for orientation in 1..=8 {
            let mut turned = DynamicImage::from(bordered.clone());
            turned.apply_orientation(Orientation::from_exif(orientation).unwrap());
            let expected = decoded(&encoded(turned, ImageFormat::Png));
            let mut png = Vec::new();
            encode_with_exif(PngEncoder::new(&mut png), &bordered, orientation);
            let mut webp = Vec::new();
            encode_with_exif(WebPEncoder::new_lossless(&mut webp), &bordered, orientation);
            for bytes in [png, webp] {
                let found = decoded(&bytes);
                assert_eq!(difference(&found.whole, &expected.whole), 0);
                assert_eq!(difference(found.without_border(), expected.without_border()), 0);
            }
            let mut jpeg = Vec::new();
            encode_with_exif(JpegEncoder::new_with_quality(&mut jpeg, 99), &bordered, orientation);
            let found = plane(&jpeg);
            assert_eq!((found.width, found.height), (expected.whole.width, expected.whole.height));
        }
    }

    #[test]
    fn a_plain_border_is_cut_by_colour_not_by_brightness() {
        let inner = slope(48, 32);
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let mut bordered = RgbImage::from_pixel(96, 64, Rgb([9, 9, 9]));
            image::imageops::replace(&mut bordered, &inner, 16, 16);
            let found = decoded(&encoded(bordered, format));
            let found = found.without_border();
            assert!(found.width.abs_diff(48) <= 16 && found.height.abs_diff(32) <= 16);
            // Green and red of the same grey: no border, though grey alone sees nothing else.
            let level = |x: u32| if x % 32 < 16 { Rgb([0, 100, 0]) } else { Rgb([196, 0, 0]) };
            let striped = RgbImage::from_fn(96, 64, |x, _| level(x));
            let found = decoded(&encoded(striped, format));
            assert_eq!((found.without_border().width, found.without_border().height), (80, 64));
        }
        let plain = encoded(RgbImage::from_pixel(20, 10, Rgb([7, 8, 9])), ImageFormat::Png);
        assert_eq!(decoded(&plain).without_border().width, 20);
    }

    #[test]
    fn an_animation_is_its_first_frame() {
        let first = DynamicImage::from(slope(40, 30)).to_rgba8();
        let second = RgbaImage::from_pixel(40, 30, Rgba([255, 0, 0, 255]));
        let mut gif = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
        encoder.encode_frames([first.clone(), second].map(image::Frame::new)).unwrap();
        drop(encoder);
        let expected = plane(&encoded(first, ImageFormat::Gif));
        assert_eq!(difference(&plane(&gif), &expected), 0);
    }

    #[test]
    fn the_sixteen_bits_of_a_level_are_cut_to_the_upper_eight() {
        let deep: ImageBuffer<image::Luma<u16>, Vec<u16>> =
            ImageBuffer::from_fn(6, 6, |x, _| image::Luma([0x1234 * x as u16]));
        let plane = plane(&encoded(DynamicImage::ImageLuma16(deep), ImageFormat::Png));
        assert_eq!(plane.row(0), [0x00, 0x12, 0x24, 0x36, 0x48, 0x5b]);
    }
}
