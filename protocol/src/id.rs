//! Ids: 32-byte blake3 hashes, one type for each thing that is addressed by one.
//!
//! Invariants: text form is 64 hex digits, written in lower case; binary form is a 32-byte string.
//! What it is not: a hash function with options. `of` is plain blake3 of the bytes given.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text or byte string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 hexadecimal digits, this is {0:?}")]
pub struct ParseIdError(pub String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The blake3 hash of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self(*blake3::hash(bytes).as_bytes())
            }

            /// The id with exactly these bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first ten hex digits, for people.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..5])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Ok(Self(parse_hex32(text).ok_or_else(|| ParseIdError(text.chars().take(80).collect()))?))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                serialize32(&self.0, s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                deserialize32(d).map(Self)
            }
        }
    };
}

id!(
    /// Any content-addressed bytes: a shard, a file, an update, an optimizer state.
    FileHash
);
id!(
    /// A work in the sense of the consent ledger: a file's bytes, or a table row's canonical form.
    ContentId
);
id!(
    /// One entry of a contributor's feed: the hash of its envelope.
    RecordId
);
id!(
    /// A run: the hash of its signed `RunSpec`'s envelope.
    RunId
);
id!(
    /// One trainer's signed commit to an update: the hash of its envelope.
    CommitId
);
id!(
    /// What was agreed on in one round: the hash of the `RoundRecord`'s bytes.
    RoundId
);
id!(
    /// An immutable state of a repo: the hash of its manifest's bytes.
    RevisionId
);

impl From<RevisionId> for FileHash {
    fn from(id: RevisionId) -> Self {
        Self(id.0)
    }
}

pub(crate) fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let mut out = [0u8; 32];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

pub(crate) fn serialize32<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
    if s.is_human_readable() {
        s.serialize_str(&hex::encode(bytes))
    } else {
        s.serialize_bytes(bytes)
    }
}

pub(crate) fn deserialize32<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
    struct Bytes32;
    impl Visitor<'_> for Bytes32 {
        type Value = [u8; 32];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("32 bytes, or 64 hexadecimal digits")
        }
        fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<[u8; 32], E> {
            v.try_into().map_err(|_| E::invalid_length(v.len(), &self))
        }
        fn visit_str<E: de::Error>(self, v: &str) -> Result<[u8; 32], E> {
            parse_hex32(v).ok_or_else(|| E::invalid_value(de::Unexpected::Str(v), &self))
        }
    }
    if d.is_human_readable() { d.deserialize_str(Bytes32) } else { d.deserialize_bytes(Bytes32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_json_and_cbor() {
        let id = RunId::of(b"run");
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        let json = serde_json::to_string(&id).expect("json");
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<RunId>(&json).expect("json"), id);
        let cbor = crate::codec::encode(&id);
        assert_eq!(cbor.len(), 34);
        assert_eq!(crate::codec::decode::<RunId>(&cbor, 64).expect("cbor"), id);
    }

    #[test]
    fn text_that_is_not_an_id_is_named() {
        assert_eq!("abc".parse::<RunId>(), Err(ParseIdError("abc".into())));
        assert!(crate::codec::decode::<RunId>(&[0x41, 1], 64).is_err());
    }
}
