//! Proof that a log has shown two histories: two checkpoints of one size with different roots,
//! both signed by it.
//!
//! Invariants: a [`Fork`] convinces anyone who has the log's keys, without asking who found it.
//! What it is not: a proof of every misdeed. Two sizes that do not fit together show as a
//! consistency proof that nobody can make, which is an absence and no evidence.

use super::checkpoint::{OpenCheckpointError, SignedCheckpoint};
use super::vkey::VerifierKey;

/// Two checkpoints that cannot both be of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    one: SignedCheckpoint,
    other: SignedCheckpoint,
}

/// Why two notes are not a proof of a fork.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// One of them is not a checkpoint signed by the log.
    #[error("{0}")]
    Open(#[from] OpenCheckpointError),
    /// They do not contradict each other: the sizes differ or the roots are the same.
    #[error("the two checkpoints do not contradict each other")]
    Agree,
}

impl Fork {
    /// The proof, if two checkpoints contradict each other.
    pub fn between(one: &SignedCheckpoint, other: &SignedCheckpoint) -> Option<Self> {
        let (a, b) = (one.checkpoint(), other.checkpoint());
        let is_fork = a.origin() == b.origin() && a.size() == b.size() && a.root() != b.root();
        is_fork.then(|| Self { one: one.clone(), other: other.clone() })
    }

    /// Checks two untrusted notes that are said to prove a fork of the log `origin`.
    pub fn open(notes: [&[u8]; 2], origin: &str, keys: &[VerifierKey]) -> Result<Self, ForkError> {
        let one = SignedCheckpoint::open(notes[0], origin, keys)?;
        let other = SignedCheckpoint::open(notes[1], origin, keys)?;
        Self::between(&one, &other).ok_or(ForkError::Agree)
    }

    /// The two notes, to be published and kept.
    pub fn notes(&self) -> [Vec<u8>; 2] {
        [self.one.note().to_bytes(), self.other.note().to_bytes()]
    }
}
