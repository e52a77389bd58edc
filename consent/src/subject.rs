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
use std::fmt;

use protocol::limits::{PASSAGES_MAX, SUBJECTS_MAX};
use protocol::{ContentId, FileHash, PublicKey};
use serde::de::{self, DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::Bytes;

use crate::code::CodeKind;
use crate::terms::Place;

const CONTENT: &str = "content";
const COLLECTION: &str = "collection";
const PASSAGES: &str = "passages";
const IDENTITY: &str = "identity";
const PLACE: &str = "place";
/// Beside contents and codes.
const OTHER_KINDS: [&str; 4] = [COLLECTION, PASSAGES, IDENTITY, PLACE];

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

    /// The subject of this kind with this value.
    fn from_wire<E: de::Error>(kind: &str, value: &[u8]) -> Result<Self, E> {
        Ok(match kind {
            CONTENT => Self::Content(ContentId::from_bytes(exact(kind, value)?)),
            COLLECTION => Self::Collection(Collection::from_bytes(value)?),
            PASSAGES => Self::Passages(passages(value)?),
            IDENTITY => {
                let key = PublicKey::from_bytes(exact(kind, value)?);
                Self::Identity(key.map_err(E::custom)?)
            }
            PLACE => Self::Place(place(value)?),
            _ => match CodeKind::ALL.into_iter().find(|code| code.as_str() == kind) {
                Some(code) => Self::Code(code, exact(kind, value)?),
                None => Self::Unknown { kind: kind.into(), value: value.into() },
            },
        })
    }
}

impl Collection {
    /// The value of a subject that names it.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { root, count, list } = self;
        [root.as_bytes().as_slice(), &count.to_be_bytes(), list.as_bytes()].concat()
    }

    /// Reads such a value.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes::<de::value::Error>(bytes).ok()
    }

    fn from_bytes<E: de::Error>(bytes: &[u8]) -> Result<Self, E> {
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

fn exact<const N: usize, E: de::Error>(kind: &str, value: &[u8]) -> Result<[u8; N], E> {
    let wrong = |_| E::custom(format_args!("a subject of kind {kind} has {N} bytes"));
    value.try_into().map_err(wrong)
}

fn passages<E: de::Error>(value: &[u8]) -> Result<Vec<u64>, E> {
    let (words, rest) = value.as_chunks::<8>();
    let prints: Vec<u64> = words.iter().map(|word| u64::from_be_bytes(*word)).collect();
    let fits = rest.is_empty() && (1..=PASSAGES_MAX).contains(&prints.len());
    if fits && prints.is_sorted_by(|a, b| a < b) {
        Ok(prints)
    } else {
        let rule = format_args!("passages are 1 to {PASSAGES_MAX} fingerprints of 8 bytes, rising");
        Err(E::custom(rule))
    }
}

/// A place in its one spelling.
fn place<E: de::Error>(value: &[u8]) -> Result<Place, E> {
    let text = str::from_utf8(value).map_err(E::custom)?;
    let place = Place::parse(text).map_err(E::custom)?;
    if place.to_string() == text {
        Ok(place)
    } else {
        Err(E::custom(format_args!("a place is written {place}")))
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Content(a), Self::Content(b)) => a.cmp(b),
            _ => self.wire().cmp(&other.wire()),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Of most subjects both lengths are known beforehand, which compares faster.
        if let Self::Content(id) = self {
            return (CONTENT, Bytes::new(id.as_bytes())).serialize(s);
        }
        let (kind, value) = self.wire();
        (kind, Bytes::new(&value)).serialize(s)
    }
}

// Reading. A statement may have hundreds of subjects, and each is made where it stays: moving it
// there takes longer than reading it.

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut one = Vec::with_capacity(1);
        Onto(&mut one).deserialize(d)?;
        Ok(one.pop().expect("it was read onto the list"))
    }
}

/// Reads the subjects of a statement, as `Vec` would.
pub(crate) fn list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Subject>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<Subject>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("subjects")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Subject>, A::Error> {
            let claimed = seq.size_hint().unwrap_or(0);
            let mut subjects = Vec::with_capacity(claimed.min(SUBJECTS_MAX));
            while seq.next_element_seed(Onto(&mut subjects))?.is_some() {}
            Ok(subjects)
        }
    }
    d.deserialize_seq(List)
}

/// Reads one more subject onto a list.
struct Onto<'a>(&'a mut Vec<Subject>);

impl<'de> DeserializeSeed<'de> for Onto<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for Onto<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a subject's kind and value")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let kind: Option<Kind> = seq.next_element()?;
        let kind = kind.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let read = seq.next_element_seed(Value { kind, subjects: &mut *self.0 })?;
        read.ok_or_else(|| de::Error::invalid_length(1, &self))
    }
}

/// A subject's kind; no copy is made of one that this version knows.
enum Kind {
    Content,
    Other(Cow<'static, str>),
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Kind;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a subject's kind")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Kind, E> {
                if name == CONTENT {
                    return Ok(Kind::Content);
                }
                let codes = CodeKind::ALL.into_iter().map(CodeKind::as_str);
                let known = codes.chain(OTHER_KINDS).find(|kind| *kind == name);
                Ok(Kind::Other(known.map_or_else(|| name.to_owned().into(), Cow::Borrowed)))
            }
        }
        d.deserialize_string(Name)
    }
}

/// Reads the value of a subject whose kind was read.
struct Value<'a> {
    kind: Kind,
    subjects: &'a mut Vec<Subject>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_byte_buf(self)
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a subject's value")
    }
    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<(), E> {
        let subject = match (&self.kind, value.as_array()) {
            (Kind::Content, Some(id)) => Subject::Content(ContentId::from_bytes(*id)),
            (Kind::Content, None) => Subject::from_wire(CONTENT, value)?,
            (Kind::Other(kind), _) => Subject::from_wire(kind, value)?,
        };
        self.subjects.push(subject);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{SecretKey, codec};
    use serde_bytes::ByteBuf;

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

    /// As a statement has them.
    #[derive(Debug, Serialize, Deserialize)]
    struct Listed(#[serde(deserialize_with = "list")] Vec<Subject>);

    /// The same by the wire form's own types and a general library.
    fn read_by_library(bytes: &[u8]) -> Option<Vec<Subject>> {
        let pairs: Vec<(String, ByteBuf)> = ciborium::from_reader(bytes).ok()?;
        let subject = |(kind, value): &(String, ByteBuf)| {
            Subject::from_wire::<de::value::Error>(kind, value).ok()
        };
        let subjects: Vec<Subject> = pairs.iter().map(subject).collect::<Option<_>>()?;
        let mut again = Vec::new();
        ciborium::into_writer(&pairs, &mut again).ok()?;
        (again == bytes).then_some(subjects)
    }

    proptest! {
        #[test]
        fn whatever_is_changed_is_read_as_by_a_library(
            mut chosen in proptest::sample::subsequence(of_every_kind(), 1..=10),
            kind in "x[a-z-]{0,30}",
            length in prop_oneof![9 => 0..40usize, 1 => 4_000..6_000usize],
            at in any::<proptest::sample::Index>(),
            byte: u8,
            change in 0..4u8,
        ) {
            chosen.push(Subject::Unknown { kind, value: vec![byte; length] });
            let mut bytes = codec::encode(&chosen);
            prop_assert_eq!(read_by_library(&bytes), Some(chosen));
            let at = at.index(bytes.len());
            match change {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => {}
            }
            let read = codec::decode::<Vec<Subject>>(&bytes, 1 << 16);
            let listed = codec::decode::<Listed>(&bytes, 1 << 16);
            prop_assert_eq!(&read, &listed.map(|listed| listed.0));
            prop_assert_eq!(read.ok(), read_by_library(&bytes));
        }
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
