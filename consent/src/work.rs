//! A work as the gate is asked about it: its bytes, and whatever else is known of it.
//!
//! Invariants: what is not known is left out and matches nothing; the more is known, the more
//! statements are found. What it is not: where the marks come from (see [`crate::fingerprint`] and
//! the trainer's readers).

use std::fmt;

use protocol::{ContentId, PublicKey};

use crate::code::CodeKind;
use crate::terms::Address;

/// A work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The id of its bytes, or of its row.
    pub content: ContentId,
    /// What else is known; boxed, as of most works nothing is.
    pub marks: Option<Box<Marks>>,
}

/// By what a work is known beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Its codes; of an image all the ways in which it can be turned and mirrored.
    pub codes: Vec<(CodeKind, [u8; 32])>,
    /// The fingerprints of its passages, rising.
    pub passages: Vec<u64>,
    /// The identities that made it.
    pub makers: Vec<PublicKey>,
    /// Where it was found.
    pub addresses: Vec<Address>,
}

impl From<ContentId> for Work {
    fn from(content: ContentId) -> Self {
        Self { content, marks: None }
    }
}

/// How a statement speaks of a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// By its exact bytes.
    Content,
    /// As one of a collection.
    Collection,
    /// By the likeness of a code.
    Code {
        /// Which.
        kind: CodeKind,
        /// How many bits differ.
        distance: u32,
    },
    /// By passages in common.
    Passages {
        /// How many fingerprints both have.
        shared: u32,
        /// How many the statement names.
        of: u32,
    },
    /// By the identity that made it.
    Maker(PublicKey),
    /// By where it was found.
    Place,
}

impl Match {
    /// Whether it may be a chance likeness.
    pub const fn is_likeness(&self) -> bool {
        matches!(self, Self::Code { .. } | Self::Passages { .. })
    }
}

impl Match {
    /// The one that says more surely which work is meant.
    pub fn nearer(self, other: Self) -> Self {
        if other.doubt() < self.doubt() { other } else { self }
    }

    fn doubt(self) -> (u8, u32) {
        match self {
            Self::Content => (0, 0),
            Self::Collection => (1, 0),
            Self::Code { distance, .. } => (2, distance),
            Self::Passages { shared, .. } => (3, u32::MAX - shared),
            Self::Maker(_) => (4, 0),
            Self::Place => (5, 0),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content => f.write_str("its exact bytes"),
            Self::Collection => f.write_str("a collection that it is in"),
            Self::Code { kind, distance } => {
                write!(f, "its {kind} code, {distance} of 256 bits away")
            }
            Self::Passages { shared, of } => write!(f, "{shared} of {of} passages"),
            Self::Maker(_) => f.write_str("its maker"),
            Self::Place => f.write_str("where it was found"),
        }
    }
}
