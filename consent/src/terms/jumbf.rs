//! Boxes of content credentials (ISO 19566-5 JUMBF, as C2PA uses it).
//!
//! Invariants: a box's length is checked against its parent's before it is followed; nesting and
//! the number of boxes are bounded. What it is not: a validator; no signature or hash is looked at.

use protocol::limits::{IMAGE_BOXES_MAX, TERMS_DEPTH_MAX};

use super::container::{take, take_u32};
use super::found::Fault;

/// A labelled box's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content<'a> {
    /// The label of the box that holds it.
    pub(super) label: &'a str,
    /// Its type: `cbor`, `json` and others.
    pub(super) kind: &'a [u8],
    pub(super) bytes: &'a [u8],
}

/// Every content box below the superboxes in `bytes`, with its label.
pub(super) fn contents(bytes: &[u8]) -> Result<Vec<Content<'_>>, Fault> {
    let mut found = Vec::new();
    let mut left = IMAGE_BOXES_MAX;
    let mut waiting = vec![("", bytes, 0)];
    while let Some((label, mut rest, depth)) = waiting.pop() {
        let mut label: &str = label;
        while !rest.is_empty() {
            left = left.checked_sub(1).ok_or(Fault::TooMany(IMAGE_BOXES_MAX, "boxes"))?;
            let (kind, body) = next(&mut rest)?;
            match kind {
                b"jumb" if depth >= TERMS_DEPTH_MAX => {
                    return Err(Fault::TooMany(TERMS_DEPTH_MAX, "boxes in boxes"));
                }
                b"jumb" => waiting.push(("", body, depth + 1)),
                b"jumd" => label = described(body)?,
                _ => found.push(Content { label, kind, bytes: body }),
            }
        }
    }
    Ok(found)
}

fn malformed(why: &'static str) -> Fault {
    Fault::malformed("content credentials", why)
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Fault> {
    let cut = || malformed("a box is cut off");
    let length = take_u32(rest).ok_or_else(cut)?;
    let kind = take(rest, 4).ok_or_else(cut)?;
    let length = match length {
        // To the end of what holds it.
        0 => rest.len(),
        1 => {
            let high = take_u32(rest).ok_or_else(cut)?;
            let low = take_u32(rest).ok_or_else(cut)?;
            let length = usize::try_from(u64::from(high) << 32 | u64::from(low));
            length.ok().and_then(|length| length.checked_sub(16)).ok_or_else(cut)?
        }
        short => usize::try_from(short).ok().and_then(|n| n.checked_sub(8)).ok_or_else(cut)?,
    };
    Ok((kind, take(rest, length).ok_or_else(cut)?))
}

/// A description's label: after the type's 16 bytes and the toggles, of which the second says that
/// there is one.
fn described(mut body: &[u8]) -> Result<&str, Fault> {
    let toggles = take(&mut body, 17).ok_or_else(|| malformed("a description is cut off"))?[16];
    if toggles & 2 == 0 {
        return Ok("");
    }
    let end = body.iter().position(|byte| *byte == 0);
    let label = end.and_then(|end| std::str::from_utf8(&body[..end]).ok());
    label.ok_or_else(|| malformed("a label is no text"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in super::super) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).expect("a short box");
        [&length.to_be_bytes()[..], kind, body].concat()
    }

    pub(in super::super) fn superbox(label: &str, inner: &[u8]) -> Vec<u8> {
        let described = [&[0; 16][..], &[3], label.as_bytes(), &[0]].concat();
        boxed(b"jumb", &[&boxed(b"jumd", &described)[..], inner].concat())
    }

    #[test]
    fn labels_and_contents() {
        let inner = superbox("a.label", &boxed(b"cbor", b"\x01"));
        let long = [&[0, 0, 0, 1][..], b"json", &18u64.to_be_bytes(), b"{}"].concat();
        let bytes = superbox("c2pa", &[inner, superbox("b", &long)].concat());
        let mut found = contents(&bytes).expect("boxes");
        found.sort_by_key(|content| content.label);
        assert_eq!(
            found,
            [
                Content { label: "a.label", kind: b"cbor", bytes: b"\x01" },
                Content { label: "b", kind: b"json", bytes: b"{}" },
            ]
        );
        assert!(contents(&bytes[..bytes.len() - 1]).is_err());
        let deep = (0..100).fold(Vec::new(), |inner, _| superbox("x", &inner));
        assert!(contents(&deep).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = contents(&bytes);
            let _ = contents(&superbox("x", &bytes));
        }
    }
}
