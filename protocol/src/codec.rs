//! The one encoding: CBOR (RFC 8949) by serde, structs as maps with their field names in
//! declaration order, ids and keys as byte strings, integers in their shortest form.
//!
//! Invariants: `decode` checks the length before it reads, refuses trailing bytes, and refuses any
//! byte string that `encode` would not have made, so each value has one form and one hash.
//! What it is not: a place for bounds; those are in `limits`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::reader::Reader;
use crate::writer::{Expected, Writer};

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the bound for this type.
    #[error("{bytes} bytes, at most {bytes_max} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The bound in bytes.
        bytes_max: usize,
    },
    /// Not CBOR of the expected shape.
    #[error("not well formed: {0}")]
    Malformed(String),
    /// Well formed, but not the one encoding of its value.
    #[error("not the canonical encoding")]
    NotCanonical,
}

/// The bytes of `value`.
///
/// # Panics
/// If `value` holds a map, a float or another thing that no message of ours holds.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut writer = Writer(Vec::new());
    value.serialize(&mut writer).expect("our messages hold only what the writer writes");
    writer.0
}

/// The value of `bytes`, which are untrusted and may be at most `bytes_max` long.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, DecodeError> {
    decode_by(bytes, bytes_max, Some)
}

/// As [`decode`], where something simpler is quicker to read first and `finish` makes the value of
/// it. Whatever those two do, exactly what `decode` takes is taken.
pub fn decode_by<'a, Read: Deserialize<'a>, T: Serialize + DeserializeOwned>(
    bytes: &'a [u8],
    bytes_max: usize,
    finish: impl FnOnce(Read) -> Option<T>,
) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max });
    }
    // What is read quickly is what `encode` would have written, or is not taken. What is not taken
    // is read by the slow reader too, which knows the reason.
    match Read::deserialize(&mut Reader::new(bytes)).ok().and_then(finish) {
        Some(value) if is_encoding(&value, bytes) => Ok(value),
        _ => decode_slowly(bytes),
    }
}

/// What [`decode`] means, without its haste.
fn decode_slowly<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let value: T = ciborium::from_reader(bytes)
        .map_err(|e| DecodeError::Malformed(e.to_string().chars().take(200).collect()))?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// Whether `encode` makes these bytes of `value`; they are compared as they are written.
fn is_encoding<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    let mut writer = Writer(Expected(bytes));
    value.serialize(&mut writer).is_ok() && writer.0.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_has_one_form() {
        assert_eq!(encode(&7u8), [7]);
        assert_eq!(decode::<u64>(&[7], 8), Ok(7));
        // 7 in a longer form, and 7 with a byte after it.
        assert_eq!(decode::<u64>(&[0x18, 7], 8), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u64>(&[7, 0], 8), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u64>(&[7; 9], 8), Err(DecodeError::TooLong { bytes: 9, bytes_max: 8 }));
    }

    /// A value of every shape that a message has.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Shapes {
        number: u64,
        signed: i32,
        text: String,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        pairs: Vec<(u8, Variants)>,
        nothing: Option<bool>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Variants {
        Unit,
        One(u16),
        Two(i64, String),
        Named { inner: Option<Box<Shapes>> },
    }

    fn shapes() -> impl Strategy<Value = Shapes> {
        let variants = prop_oneof![
            Just(Variants::Unit),
            any::<u16>().prop_map(Variants::One),
            (any::<i64>(), ".{0,30}").prop_map(|(a, b)| Variants::Two(a, b)),
            Just(Variants::Named { inner: None }),
        ];
        let pairs = prop::collection::vec((any::<u8>(), variants), 0..30);
        let scalars = (any::<u64>(), any::<i32>(), any::<Option<bool>>());
        let strings = (".{0,30}", prop::collection::vec(any::<u8>(), 0..300));
        let outer = (scalars, strings, pairs);
        let flat = outer.prop_map(|((number, signed, nothing), (text, bytes), pairs)| Shapes {
            number,
            signed,
            text,
            bytes,
            pairs,
            nothing,
        });
        (flat.clone(), prop::option::of(flat)).prop_map(|(mut outer, inner)| {
            outer.pairs.push((0, Variants::Named { inner: inner.map(Box::new) }));
            outer
        })
    }

    /// What a general library writes of `value`.
    fn written_by_library<T: Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).expect("a vector takes all");
        bytes
    }

    /// What a general library reads and writes again alike.
    fn read_by_library<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
        let value = ciborium::from_reader(bytes).ok()?;
        (written_by_library(&value) == bytes).then_some(value)
    }

    #[test]
    fn lengths_and_numbers_are_written_as_a_library_does() {
        let edges = [0, 23, 24, 255, 256, 65_535, 65_536];
        for length in edges {
            let text = "x".repeat(length);
            assert_eq!(encode(&text), written_by_library(&text));
            assert_eq!(decode(&encode(&text), 1 << 20), Ok(text));
            let list = vec![1u8; length];
            assert_eq!(encode(&list), written_by_library(&list));
            let bytes = serde_bytes::ByteBuf::from(list);
            assert_eq!(encode(&bytes), written_by_library(&bytes));
            assert_eq!(decode(&encode(&bytes), 1 << 20), Ok(bytes));
        }
        let wide = [u64::from(u32::MAX), 1 << 32, i64::MAX as u64, u64::MAX];
        for number in edges.map(|edge| edge as u64).into_iter().chain(wide) {
            let signed = !(number as i64);
            assert_eq!(encode(&number), written_by_library(&number));
            assert_eq!(encode(&signed), written_by_library(&signed));
            assert_eq!(decode(&encode(&(number, signed)), 32), Ok((number, signed)));
        }
    }

    proptest! {
        #[test]
        fn quick_and_slow_read_alike(
            value in shapes(),
            at in any::<prop::sample::Index>(),
            byte: u8,
            kind in 0..3u8,
        ) {
            let mut bytes = encode(&value);
            prop_assert_eq!(&bytes, &written_by_library(&value));
            // What we write, the quick reader reads: it is not only the slow one that works.
            let quick = Shapes::deserialize(&mut Reader::new(&bytes));
            prop_assert_eq!(quick.ok(), Some(value));
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            let decoded = decode::<Shapes>(&bytes, 1 << 20);
            prop_assert_eq!(&decoded, &decode_slowly(&bytes));
            prop_assert_eq!(decoded.ok(), read_by_library(&bytes));
        }
    }

    #[test]
    fn hostile_lengths_do_not_allocate() {
        // An array that claims 2^63 elements, and nesting deeper than any of ours.
        let claims = [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(decode::<Vec<u64>>(&claims, 64), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode::<Vec<u64>>(&[0x81; 4096], 8192), Err(DecodeError::Malformed(_))));
    }
}
