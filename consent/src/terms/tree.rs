//! JSON and CBOR as one kind of tree.
//!
//! Invariants: both keep a map's entries as they stand, so that a name given twice is seen and
//! refused (parsers elsewhere differ in which of the two they take); size and depth are bounded.
//! What it is not: canonical; outsiders write as they like.

use ciborium::Value as Tree;

use protocol::limits::{TERMS_DEPTH_MAX, TERMS_DOCUMENT_BYTES_MAX};

use super::found::{Fault, bounded};

/// Reads JSON (the parser itself stops at 128 levels).
pub(super) fn json(bytes: &[u8]) -> Result<Tree, Fault> {
    bounded(bytes, TERMS_DOCUMENT_BYTES_MAX)?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| Fault::malformed("JSON", error))
}

/// Reads CBOR, all of it.
pub(super) fn cbor(bytes: &[u8]) -> Result<Tree, Fault> {
    bounded(bytes, TERMS_DOCUMENT_BYTES_MAX)?;
    let mut rest = bytes;
    let tree = ciborium::de::from_reader_with_recursion_limit(&mut rest, TERMS_DEPTH_MAX)
        .map_err(|error| Fault::malformed("CBOR", error))?;
    if rest.is_empty() { Ok(tree) } else { Err(Fault::malformed("CBOR", "bytes follow it")) }
}

/// The entries of a map with names.
pub(super) fn entries<'a>(
    tree: &'a Tree,
    what: &'static str,
) -> Result<Vec<(&'a str, &'a Tree)>, Fault> {
    let map = tree.as_map().ok_or_else(|| Fault::malformed(what, "it is no map"))?;
    let named = map.iter().map(|(name, value)| name.as_text().map(|name| (name, value)));
    let mut entries: Vec<(&str, &Tree)> =
        named.collect::<Option<_>>().ok_or_else(|| Fault::malformed(what, "a key is no text"))?;
    entries.sort_by_key(|(name, _)| *name);
    match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Fault::malformed(what, format!("{:?} stands there twice", pair[0].0))),
        None => Ok(entries),
    }
}

/// One of them.
pub(super) fn field<'a>(entries: &[(&str, &'a Tree)], name: &str) -> Option<&'a Tree> {
    entries.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
}

/// JSON text of a tree, for people to read.
pub(super) fn text(tree: &Tree) -> String {
    serde_json::to_string(tree).unwrap_or_else(|_| format!("{tree:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_are_one_tree_and_doubles_are_refused() {
        let from_json = json(br#"{"b":[1,null],"a":"x"}"#).expect("JSON");
        let mut bytes = Vec::new();
        ciborium::into_writer(&from_json, &mut bytes).expect("CBOR");
        assert_eq!(cbor(&bytes), Ok(from_json.clone()));
        bytes.push(0);
        assert!(cbor(&bytes).is_err());
        assert_eq!(entries(&from_json, "a map").expect("a map").len(), 2);
        assert_eq!(text(&from_json), r#"{"b":[1,null],"a":"x"}"#);
        let double = json(br#"{"a":1,"a":0}"#).expect("JSON");
        assert!(entries(&double, "a map").is_err());
        assert!(json("[".repeat(200).as_bytes()).is_err());
        assert!(cbor(&[0x81; 1_000]).is_err());
        // An array that claims 2^63 elements.
        assert!(cbor(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100), like in "[\\[\\]{}\":,a1]{0,40}") {
            let _ = (cbor(&bytes), json(&bytes), json(like.as_bytes()));
        }
    }
}
