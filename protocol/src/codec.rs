//! The one encoding: CBOR (RFC 8949) by serde, structs as maps with their field names in
//! declaration order, ids and keys as byte strings, integers in their shortest form.
//!
//! Invariants: `decode` checks the length before it reads, refuses trailing bytes, and refuses any
//! byte string that `encode` would not have made, so each value has one form and one hash.
//! What it is not: a place for bounds; those are in `limits`.

use serde::Serialize;
use serde::de::DeserializeOwned;

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
/// If `value` holds a map or a float that CBOR by serde cannot write; no message of ours does.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("our messages always encode to a Vec");
    bytes
}

/// The value of `bytes`, which are untrusted and may be at most `bytes_max` long.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max });
    }
    let value: T = ciborium::from_reader(bytes)
        .map_err(|e| DecodeError::Malformed(e.to_string().chars().take(200).collect()))?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_form() {
        assert_eq!(encode(&7u8), [7]);
        assert_eq!(decode::<u64>(&[7], 8), Ok(7));
        // 7 in a longer form, and 7 with a byte after it.
        assert_eq!(decode::<u64>(&[0x18, 7], 8), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u64>(&[7, 0], 8), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u64>(&[7; 9], 8), Err(DecodeError::TooLong { bytes: 9, bytes_max: 8 }));
    }

    #[test]
    fn hostile_lengths_do_not_allocate() {
        // An array that claims 2^63 elements, and nesting deeper than any of ours.
        let claims = [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(decode::<Vec<u64>>(&claims, 64), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode::<Vec<u64>>(&[0x81; 4096], 8192), Err(DecodeError::Malformed(_))));
    }
}
