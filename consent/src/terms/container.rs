//! Where pictures keep their metadata: XMP packets and JUMBF (content credentials) in JPEG, PNG and
//! WebP, and XMP packets in anything else.
//!
//! Invariants: lengths are checked before they are followed, pieces are joined up to a bound, and a
//! picture that is cut off inside its metadata is refused; bytes after the pixels are not looked at.
//! Of a container that is not known, packets are found by their marks, and a training assertion that
//! is plainly in it, but not where it can be read, makes it unreadable.
//! What it is not: a decoder of pictures.

use std::collections::BTreeMap;

use protocol::limits::{IMAGE_BOXES_MAX, IMAGE_METADATA_BYTES_MAX};

use super::found::{Fault, bounded};

/// What a picture holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// XMP packets.
    pub(super) xmp: Vec<Vec<u8>>,
    /// Stores of content credentials, each a run of boxes.
    pub(super) jumbf: Vec<Vec<u8>>,
}

impl Metadata {
    fn check(self) -> Result<Self, Fault> {
        let bytes: usize = self.xmp.iter().chain(&self.jumbf).map(Vec::len).sum();
        if bytes > IMAGE_METADATA_BYTES_MAX {
            return Err(Fault::TooLong { bytes, bytes_max: IMAGE_METADATA_BYTES_MAX });
        }
        Ok(self)
    }
}

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const XMP_EXTENSION: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What the picture in `bytes` holds.
pub(super) fn metadata(bytes: &[u8]) -> Result<Metadata, Fault> {
    let metadata = if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg(&bytes[2..])
    } else if let Some(chunks) = bytes.strip_prefix(PNG) {
        png(chunks)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        webp(&bytes[4..])
    } else {
        unknown(bytes)
    };
    metadata?.check()
}

fn malformed(why: &'static str) -> Fault {
    Fault::malformed("a whole picture", why)
}

/// Takes `count` bytes off the front.
pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

/// Takes a big-endian number of four bytes.
pub(super) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
}

fn jpeg(mut rest: &[u8]) -> Result<Metadata, Fault> {
    let mut metadata = Metadata::default();
    let mut extension: BTreeMap<(&[u8], u32), &[u8]> = BTreeMap::new();
    let mut boxes: BTreeMap<([u8; 2], u32), &[u8]> = BTreeMap::new();
    for _ in 0..IMAGE_BOXES_MAX {
        let Some((marker, segment)) = segment(&mut rest)? else {
            metadata.xmp.extend(joined(extension, |(guid, _)| guid, |piece| piece));
            metadata.jumbf.extend(joined(boxes, |(instance, _)| instance, after_head));
            return Ok(metadata);
        };
        if let (0xe1, Some(packet)) = (marker, segment.strip_prefix(XMP)) {
            metadata.xmp.push(packet.to_vec());
        } else if let (0xe1, Some(mut piece)) = (marker, segment.strip_prefix(XMP_EXTENSION)) {
            let cut = || malformed("a piece of its XMP is cut off");
            let guid = take(&mut piece, 32).ok_or_else(cut)?;
            let _length = take_u32(&mut piece).ok_or_else(cut)?;
            extension.insert((guid, take_u32(&mut piece).ok_or_else(cut)?), piece);
        } else if let (0xeb, Some(mut piece)) = (marker, segment.strip_prefix(b"JP")) {
            let cut = || malformed("a piece of its content credentials is cut off");
            let instance =
                take(&mut piece, 2).and_then(|two| two.try_into().ok()).ok_or_else(cut)?;
            boxes.insert((instance, take_u32(&mut piece).ok_or_else(cut)?), piece);
        }
    }
    Err(Fault::TooMany(IMAGE_BOXES_MAX, "segments"))
}

/// The next marker with its segment; none where the pixels start or the file ends.
fn segment<'a>(rest: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>, Fault> {
    let cut = || malformed("a segment is cut off");
    loop {
        match take(rest, 2) {
            Some([0xff, 0xff]) => {
                // A fill byte before the marker.
                let at = rest.iter().position(|byte| *byte != 0xff).ok_or_else(cut)?;
                let marker = rest[at];
                *rest = &rest[at + 1..];
                return body(rest, marker);
            }
            Some([0xff, 0x01 | 0xd0..=0xd8]) => (),
            Some([0xff, marker]) => return body(rest, *marker),
            Some(_) => return Err(malformed("a segment does not start where it should")),
            None => return Err(cut()),
        }
    }
}

fn body<'a>(rest: &mut &'a [u8], marker: u8) -> Result<Option<(u8, &'a [u8])>, Fault> {
    if matches!(marker, 0xd9 | 0xda) {
        return Ok(None);
    }
    let cut = || malformed("a segment is cut off");
    let length: [u8; 2] = take(rest, 2).and_then(|two| two.try_into().ok()).ok_or_else(cut)?;
    let length = usize::from(u16::from_be_bytes(length)).checked_sub(2).ok_or_else(cut)?;
    Ok(Some((marker, take(rest, length).ok_or_else(cut)?)))
}

/// A later piece of a box without the box's head, which each piece repeats.
fn after_head(piece: &[u8]) -> &[u8] {
    let head = if piece.starts_with(&[0, 0, 0, 1]) { 16 } else { 8 };
    piece.get(head..).unwrap_or_default()
}

/// Pieces of one whole put together in the order of their numbers; of all but the first only what
/// `later` leaves.
fn joined<K: Copy, W: PartialEq>(
    pieces: BTreeMap<K, &[u8]>,
    whole: impl Fn(K) -> W,
    later: impl Fn(&[u8]) -> &[u8],
) -> Vec<Vec<u8>> {
    let mut wholes: Vec<(W, Vec<u8>)> = Vec::new();
    for (key, piece) in pieces {
        match wholes.last_mut().filter(|(known, _)| *known == whole(key)) {
            Some((_, bytes)) => bytes.extend_from_slice(later(piece)),
            None => wholes.push((whole(key), piece.to_vec())),
        }
    }
    wholes.into_iter().map(|(_, bytes)| bytes).collect()
}

fn png(mut rest: &[u8]) -> Result<Metadata, Fault> {
    let cut = || malformed("a chunk is cut off");
    let mut metadata = Metadata::default();
    for _ in 0..IMAGE_BOXES_MAX {
        let length = take_u32(&mut rest).ok_or_else(cut)?;
        let kind = take(&mut rest, 4).ok_or_else(cut)?;
        let chunk = take(&mut rest, usize::try_from(length).map_err(|_| cut())?).ok_or_else(cut)?;
        take(&mut rest, 4).ok_or_else(cut)?;
        match kind {
            b"IEND" => return Ok(metadata),
            b"caBX" => metadata.jumbf.push(chunk.to_vec()),
            b"iTXt" => metadata.xmp.extend(international_text(chunk)?),
            b"zTXt" | b"tEXt" if chunk.starts_with(b"XML:com.adobe.xmp\0") => {
                return Err(malformed("its XMP is in a chunk that is not for XMP"));
            }
            _ => (),
        }
    }
    Err(Fault::TooMany(IMAGE_BOXES_MAX, "chunks"))
}

/// The XMP in a chunk of text; the XMP specification does not let it be compressed.
fn international_text(chunk: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let Some(rest) = chunk.strip_prefix(b"XML:com.adobe.xmp\0") else { return Ok(None) };
    let [0, _, rest @ ..] = rest else { return Err(malformed("its XMP is compressed")) };
    let mut parts = rest.splitn(3, |byte| *byte == 0);
    let packet = parts.nth(2).ok_or_else(|| malformed("its XMP is cut off"))?;
    Ok(Some(packet.to_vec()))
}

fn webp(mut rest: &[u8]) -> Result<Metadata, Fault> {
    let cut = || malformed("a chunk is cut off");
    let mut metadata = Metadata::default();
    // The length of all that follows, then the form's name.
    let length = take_u32(&mut rest).ok_or_else(cut)?.swap_bytes();
    if usize::try_from(length).map_err(|_| cut())? > rest.len() {
        return Err(cut());
    }
    take(&mut rest, 4).ok_or_else(cut)?;
    for _ in 0..IMAGE_BOXES_MAX {
        let Some(kind) = take(&mut rest, 4) else { return Ok(metadata) };
        let length = take_u32(&mut rest).ok_or_else(cut)?.swap_bytes();
        let length = usize::try_from(length).map_err(|_| cut())?;
        let chunk = take(&mut rest, length).ok_or_else(cut)?;
        take(&mut rest, length % 2);
        match kind {
            b"XMP " => metadata.xmp.push(chunk.to_vec()),
            b"C2PA" => metadata.jumbf.push(chunk.to_vec()),
            _ => (),
        }
    }
    Err(Fault::TooMany(IMAGE_BOXES_MAX, "chunks"))
}

/// Packets by their marks, which XMP has for containers that a reader does not know.
fn unknown(bytes: &[u8]) -> Result<Metadata, Fault> {
    for label in [b"cawg.training-mining".as_slice(), b"c2pa.training-mining"] {
        if find(bytes, label).is_some() {
            return Err(malformed("it holds a training assertion in a container not known here"));
        }
    }
    let mut metadata = Metadata::default();
    let mut rest = bytes;
    while let Some(start) = find(rest, b"<x:xmpmeta").or_else(|| find(rest, b"<rdf:RDF")) {
        let end = [b"</x:xmpmeta>".as_slice(), b"</rdf:RDF>"]
            .iter()
            .find_map(|close| find(&rest[start..], close).map(|at| start + at + close.len()))
            .ok_or_else(|| malformed("its XMP is cut off"))?;
        bounded(&rest[start..end], IMAGE_METADATA_BYTES_MAX)?;
        metadata.xmp.push(rest[start..end].to_vec());
        rest = &rest[end..];
        if metadata.xmp.len() > IMAGE_BOXES_MAX {
            return Err(Fault::TooMany(IMAGE_BOXES_MAX, "packets"));
        }
    }
    Ok(metadata)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
#[path = "tests/container.rs"]
pub(super) mod tests;
