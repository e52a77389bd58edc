//! Which work a statement speaks of.
//!
//! Wire form: an array of a kind (text) and a value (byte string), so that a subject of a kind that
//! this version does not know is still read, kept and forwarded with the rest of its record.
//!
//! Invariants: subjects are ordered by wire form, so a later version that knows more kinds sorts
//! the same way. What it is not: a matcher of similar works. A subject of an unknown kind matches
//! nothing, **even in a deny**: this version cannot tell which work was meant.
//! [`crate::Statement::subjects_unknown`] counts them, so that a caller can say so.

use std::cmp::Ordering;

use protocol::ContentId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};

const CONTENT: &str = "content";

/// One work, or in later versions a set of works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Exactly these bytes, or exactly this table row. Kind `content`, value 32 bytes.
    Content(ContentId),
    /// Of a kind that this version does not know; it matches nothing.
    Unknown {
        /// The kind's name.
        kind: String,
        /// The value, opaque.
        value: Vec<u8>,
    },
}

impl Subject {
    /// The content id, if that is what it is.
    pub const fn content(&self) -> Option<ContentId> {
        match self {
            Self::Content(id) => Some(*id),
            Self::Unknown { .. } => None,
        }
    }

    fn wire(&self) -> (&str, &[u8]) {
        match self {
            Self::Content(id) => (CONTENT, id.as_bytes()),
            Self::Unknown { kind, value } => (kind, value),
        }
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> Ordering {
        self.wire().cmp(&other.wire())
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (kind, value) = self.wire();
        (kind, Bytes::new(value)).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (kind, value) = <(String, ByteBuf)>::deserialize(d)?;
        let value = value.into_vec();
        if kind != CONTENT {
            return Ok(Self::Unknown { kind, value });
        }
        let bytes: [u8; 32] =
            value.try_into().map_err(|_| D::Error::custom("a content subject is 32 bytes"))?;
        Ok(Self::Content(ContentId::from_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::codec;

    #[test]
    fn known_and_unknown_kinds_survive_the_wire() {
        let subjects = vec![
            Subject::Content(ContentId::of(b"a work")),
            Subject::Unknown { kind: "pdq".into(), value: vec![1, 2, 3] },
        ];
        let bytes = codec::encode(&subjects);
        assert_eq!(codec::decode::<Vec<Subject>>(&bytes, 1024), Ok(subjects));
    }

    #[test]
    fn a_content_subject_of_another_length_is_malformed() {
        let bytes = codec::encode(&("content", Bytes::new(&[0; 31])));
        assert!(codec::decode::<Subject>(&bytes, 1024).is_err());
    }
}
