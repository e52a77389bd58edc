//! Pictures of a few bytes with metadata in them, for this module and those above it.

use proptest::prelude::*;

use super::*;

pub(in super::super) fn jpeg_with(segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    for (marker, body) in segments {
        bytes.extend([0xff, *marker]);
        bytes.extend(u16::try_from(body.len() + 2).expect("a short segment").to_be_bytes());
        bytes.extend(body);
    }
    bytes.extend([0xff, 0xda, 0, 2, 1, 2, 3, 0xff, 0xd9]);
    bytes
}

pub(in super::super) fn png_with(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = PNG.to_vec();
    for (kind, body) in chunks.iter().chain(&[(b"IEND", Vec::new())]) {
        bytes.extend(u32::try_from(body.len()).expect("a short chunk").to_be_bytes());
        bytes.extend(*kind);
        bytes.extend(body);
        bytes.extend([0; 4]);
    }
    bytes
}

pub(in super::super) fn webp_with(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
    for (kind, body) in chunks {
        bytes.extend(*kind);
        bytes.extend(u32::try_from(body.len()).expect("a short chunk").to_le_bytes());
        bytes.extend(body);
        bytes.extend(vec![0; body.len() % 2]);
    }
    let length = u32::try_from(bytes.len() - 8).expect("a short picture");
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes
}

pub(in super::super) fn xmp_segment(packet: &[u8]) -> (u8, Vec<u8>) {
    (0xe1, [XMP, packet].concat())
}

/// One JUMBF box in as many segments as `pieces` says.
pub(in super::super) fn jumbf_segments(jumbf: &[u8], pieces: usize) -> Vec<(u8, Vec<u8>)> {
    let size = jumbf.len().div_ceil(pieces);
    let numbered = (1u32..).zip(jumbf.chunks(size));
    numbered
        .map(|(number, piece)| {
            let head = if number == 1 { &[][..] } else { &jumbf[..8] };
            (0xeb, [&b"JP\x02\x11"[..], &number.to_be_bytes(), head, piece].concat())
        })
        .collect()
}

#[test]
fn metadata_is_found_in_each_container() {
    let jumbf = b"\0\0\0\x10jumb12345678".to_vec();
    let itxt = b"XML:com.adobe.xmp\0\0\0\0\0<x/>".to_vec();
    let mut segments = vec![(0xe0, b"JFIF\0".to_vec()), xmp_segment(b"<x/>")];
    segments.extend(jumbf_segments(&jumbf, 3).into_iter().rev());
    let expected = Metadata { xmp: vec![b"<x/>".to_vec()], jumbf: vec![jumbf.clone()] };
    assert_eq!(metadata(&jpeg_with(&segments)), Ok(expected.clone()));
    assert_eq!(
        metadata(&png_with(&[(b"iTXt", itxt), (b"caBX", jumbf.clone())])),
        Ok(expected.clone())
    );
    assert_eq!(
        metadata(&webp_with(&[(b"XMP ", b"<x/>".to_vec()), (b"C2PA", jumbf)])),
        Ok(expected)
    );
    let extension = |offset: u32, piece: &[u8]| {
        (
            0xe1,
            [XMP_EXTENSION, &[b'g'; 32], &4u32.to_be_bytes(), &offset.to_be_bytes(), piece]
                .concat(),
        )
    };
    let split = jpeg_with(&[extension(2, b"/>"), extension(0, b"<y")]);
    assert_eq!(metadata(&split).expect("a picture").xmp, [b"<y/>".to_vec()]);
    let gif = b"GIF89a...<x:xmpmeta>1</x:xmpmeta>...";
    assert_eq!(metadata(gif).expect("a picture").xmp, [b"<x:xmpmeta>1</x:xmpmeta>".to_vec()]);
}

#[test]
fn pictures_that_are_cut_off_are_refused() {
    let jpeg = jpeg_with(&[xmp_segment(b"<x/>")]);
    assert!(metadata(&jpeg[..20]).is_err());
    let png = png_with(&[(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0zip".to_vec())]);
    assert!(metadata(&png).is_err());
    assert!(metadata(&png_with(&[])[..12]).is_err());
    assert!(metadata(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffcaBX").is_err());
    let webp = webp_with(&[(b"VP8 ", vec![0; 4]), (b"XMP ", b"<x/>".to_vec())]);
    assert!(metadata(&webp[..24]).is_err());
    assert!(metadata(b"????ftypheic cawg.training-mining").is_err());
    assert_eq!(metadata(b"GIF89a"), Ok(Metadata::default()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        start in prop_oneof![Just(vec![0xff, 0xd8]), Just(PNG.to_vec()), Just(b"RIFF\0\0\0\0WEBP".to_vec()), Just(vec![])],
        rest in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        let bytes = [start, rest].concat();
        if let Ok(found) = metadata(&bytes) {
            let held: usize = found.xmp.iter().chain(&found.jumbf).map(Vec::len).sum();
            prop_assert!(held <= bytes.len());
        }
    }
}
