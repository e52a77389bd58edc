//! Which works a statement speaks of.
//!
//! Wire form: an array of a kind (text) and a value (byte string), so that a subject of a kind that
//! this version does not know is still read, kept and forwarded with the rest of its record.
//!
//! ```text
//! content      32 bytes: the content id
//! collection   32 bytes: root over the sorted content ids (protocol::merkle)
//!               8 bytes: how many there are, big endian
//!              32 bytes: blake3 of the list, the sorted ids one after another
//! pdq, iscc-image, iscc-text, iscc-audio
//!              32 bytes: the code
//! passages      8 bytes each: winnowed fingerprints, big endian, rising
//! identity     32 bytes: the public key
//! place        text: a domain, a URL pattern or a code repository in its one spelling
//! ```
//!
//! Invariants: subjects are ordered by wire form, so a later version that knows more kinds sorts
//! the same way. What it is not: a matcher of similar works. A subject of an unknown kind matches
//! nothing, **even in a deny**: this version cannot tell which work was meant.
//! [`crate::Statement::subjects_unknown`] counts them, so that a caller can say so.

use std::borrow::Cow;
use std::cmp::Ordering;

use protocol::limits::PASSAGES_MAX;
use protocol::{ContentId, FileHash, PublicKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use crate::code::CodeKind;
use crate::terms::Place;

const CONTENT: &str = "content";
const COLLECTION: &str = "collection";
const PASSAGES: &str = "passages";
const IDENTITY: &str = "identity";
const PLACE: &str = "place";

/// One work, or a set of works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Exactly these bytes, or exactly this table row.
    Content(ContentId),
    /// All works of a list that is kept beside the ledger.
    Collection(Collection),
    /// Works that look, read or sound like this one.
    Code(CodeKind, [u8; 32]),
    /// Texts with passages of this one.
    Passages(Vec<u64>),
    /// Everything that this identity makes.
    Identity(PublicKey),
    /// Everything at a domain, at URLs, or in a code repository.
    Place(Place),
    /// Of a kind that this version does not know; it matches nothing.
    Unknown {
        /// The kind's name.
        kind: String,
        /// The value, opaque.
        value: Vec<u8>,
    },
}

/// Many works under one root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collection {
    /// The root over the sorted content ids.
    pub root: FileHash,
    /// How many there are.
    pub count: u64,
    /// The hash of the list, under which peers have it.
    pub list: FileHash,
}

impl Subject {
    /// The content id, if that is what it is.
    pub const fn content(&self) -> Option<ContentId> {
        match self {
            Self::Content(id) => Some(*id),
            _ => None,
        }
    }

    /// Whether this version can tell which works are meant.
    pub const fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }

    /// Whether it is about works that are alike.
    pub const fn is_likeness(&self) -> bool {
        matches!(self, Self::Code(..) | Self::Passages(_))
    }

    /// Whether whoever speaks of this may also speak of `other`.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Place(within), Self::Place(place)) => within.contains(place),
            _ => self == other,
        }
    }

    /// The length of the wire form in bytes, give or take a few.
    pub(crate) fn bytes(&self) -> usize {
        let (kind, value) = self.wire();
        kind.len() + value.len() + 8
    }

    fn wire(&self) -> (&str, Cow<'_, [u8]>) {
        match self {
            Self::Content(id) => (CONTENT, id.as_bytes().as_slice().into()),
            Self::Collection(collection) => (COLLECTION, collection.to_bytes().into()),
            Self::Code(kind, code) => (kind.as_str(), code.as_slice().into()),
            Self::Passages(prints) => {
                let bytes: Vec<u8> = prints.iter().flat_map(|print| print.to_be_bytes()).collect();
                (PASSAGES, bytes.into())
            }
            Self::Identity(key) => (IDENTITY, key.as_bytes().as_slice().into()),
            Self::Place(place) => (PLACE, place.to_string().into_bytes().into()),
            Self::Unknown { kind, value } => (kind, value.into()),
        }
    }

    fn from_wire(kind: String, value: Vec<u8>) -> Result<Self, String> {
        let code = CodeKind::ALL.into_iter().find(|code| code.as_str() == kind);
        Ok(match (kind.as_str(), code) {
            (CONTENT, _) => Self::Content(ContentId::from_bytes(exact(&kind, &value)?)),
            (COLLECTION, _) => Self::Collection(Collection::from_bytes(&value)?),
            (_, Some(code)) => Self::Code(code, exact(&kind, &value)?),
            (PASSAGES, _) => Self::Passages(passages(&value)?),
            (IDENTITY, _) => {
                let key = PublicKey::from_bytes(exact(&kind, &value)?);
                Self::Identity(key.map_err(|error| error.to_string())?)
            }
            (PLACE, _) => Self::Place(place(&value)?),
            _ => Self::Unknown { kind, value },
        })
    }
}

impl Collection {
    fn to_bytes(self) -> Vec<u8> {
        let Self { root, count, list } = self;
        [root.as_bytes().as_slice(), &count.to_be_bytes(), list.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let bytes: [u8; 72] = exact(COLLECTION, bytes)?;
        let (root, rest) = bytes.split_first_chunk::<32>().expect("72 bytes");
        let (count, list) = rest.split_first_chunk::<8>().expect("40 bytes");
        let list = list.try_into().expect("32 bytes");
        Ok(Self {
            root: FileHash::from_bytes(*root),
            count: u64::from_be_bytes(*count),
            list: FileHash::from_bytes(list),
        })
    }
}

fn exact<const N: usize>(kind: &str, value: &[u8]) -> Result<[u8; N], String> {
    value.try_into().map_err(|_| format!("a subject of kind {kind} has {N} bytes"))
}

fn passages(value: &[u8]) -> Result<Vec<u64>, String> {
    let (words, rest) = value.as_chunks::<8>();
    let prints: Vec<u64> = words.iter().map(|word| u64::from_be_bytes(*word)).collect();
    let fits = rest.is_empty() && (1..=PASSAGES_MAX).contains(&prints.len());
    if fits && prints.is_sorted_by(|a, b| a < b) {
        Ok(prints)
    } else {
        Err(format!("passages are 1 to {PASSAGES_MAX} fingerprints of 8 bytes, rising"))
    }
}

/// A place in its one spelling.
fn place(value: &[u8]) -> Result<Place, String> {
    let text = str::from_utf8(value).map_err(|error| error.to_string())?;
    let place = Place::parse(text).map_err(|error| error.to_string())?;
    if place.to_string() == text { Ok(place) } else { Err(format!("a place is written {place}")) }
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
        (kind, Bytes::new(&value)).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (kind, value) = <(String, ByteBuf)>::deserialize(d)?;
        Self::from_wire(kind, value.into_vec()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{SecretKey, codec};

    fn of_every_kind() -> Vec<Subject> {
        let hash = FileHash::of(b"hash");
        vec![
            Subject::Collection(Collection { root: hash, count: 1 << 40, list: hash }),
            Subject::Content(ContentId::of(b"a work")),
            Subject::Identity(SecretKey::from_seed(&[1; 32]).public()),
            Subject::Code(CodeKind::IsccAudio, [0x55; 32]),
            Subject::Code(CodeKind::IsccImage, [0x55; 32]),
            Subject::Code(CodeKind::IsccText, [0x55; 32]),
            Subject::Passages(vec![1, 2, u64::MAX]),
            Subject::Code(CodeKind::Pdq, [0x55; 32]),
            Subject::Place(Place::parse("example.org").expect("a domain")),
            Subject::Unknown { kind: "smell".into(), value: vec![1, 2, 3] },
        ]
    }

    #[test]
    fn every_kind_survives_the_wire() {
        let mut subjects = of_every_kind();
        let bytes = codec::encode(&subjects);
        assert_eq!(codec::decode::<Vec<Subject>>(&bytes, 1024).as_ref(), Ok(&subjects));
        // By the letters of the kinds, whoever knows them.
        let kinds = |list: &[Subject]| -> Vec<String> {
            list.iter().map(|subject| subject.wire().0.to_owned()).collect()
        };
        subjects.sort();
        assert!(kinds(&subjects).is_sorted());
    }

    #[test]
    fn a_value_that_is_not_its_kinds_is_malformed() {
        let broken: [(&str, &[u8]); 9] = [
            ("place", b"Example.org"),
            ("place", b"https://"),
            ("content", &[0; 31]),
            ("collection", &[0; 71]),
            ("pdq", &[0; 33]),
            ("identity", &[0; 32]),
            ("passages", &[]),
            ("passages", &[0; 9]),
            ("passages", &[0; 16]),
        ];
        for (kind, value) in broken {
            let bytes = codec::encode(&(kind, Bytes::new(value)));
            assert!(codec::decode::<Subject>(&bytes, 1024).is_err(), "{kind}");
        }
    }
}
