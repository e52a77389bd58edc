//! Working out a round's aggregate in slices: what a steward asks for, and what others answer.
//!
//! ```text
//! steward --Slate: these updates count--> trainers of each slice --Partial: it comes to this--> stewards
//! ```
//!
//! Invariants: a slate names its list of [`Accepted`](super::Accepted) by hash, so two stewards that would count the same ask
//! for the same; what a slice comes to is a function of that list and of the round's base, so whoever signs
//! something else lies, and anybody who works the slice out can show it. What it is not: an agreement. A
//! record says in the end what counts.

use serde::{Deserialize, Serialize};

use super::record::Accepted;
use crate::aggregate::Made;
use crate::codec::{self, DecodeError};
use crate::envelope::Message;
use crate::id::{FileHash, RoundId, RunId};
use crate::key::PublicKey;
use crate::limits::{
    PARTIAL_BYTES_MAX, SLATE_BYTES_MAX, SLATE_LIST_BYTES_MAX, SLICES_MAX, UPDATES_MAX,
};

/// A steward's wish to have an aggregate worked out in slices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slate {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: u64,
    /// The record before it, or the run itself.
    pub base: RoundId,
    /// The hash of what counts, as [`slate_list`] writes it.
    pub list: FileHash,
}

impl Message for Slate {
    const DOMAIN: &'static str = "accord/slate/v1";
    const BYTES_MAX: usize = SLATE_BYTES_MAX;

    fn check(&self, _steward: &PublicKey) -> Result<(), String> {
        if self.round == 0 { Err("a slate is of round 1 or later".into()) } else { Ok(()) }
    }
}

/// The bytes of what counts, sorted by commit.
pub fn slate_list(accepted: &[Accepted]) -> Vec<u8> {
    codec::encode(&accepted)
}

/// Reads untrusted bytes as what counts: bounded, canonical, sorted, no commit twice.
pub fn open_slate_list(bytes: &[u8]) -> Result<Vec<Accepted>, DecodeError> {
    let accepted: Vec<Accepted> = codec::decode(bytes, SLATE_LIST_BYTES_MAX)?;
    let sorted = accepted.windows(2).all(|pair| pair[0].commit < pair[1].commit);
    let bounded = (1..=UPDATES_MAX).contains(&accepted.len());
    if sorted && bounded { Ok(accepted) } else { Err(DecodeError::NotCanonical) }
}

/// What some slices come to, by the word of whoever worked them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: u64,
    /// The record before it, or the run itself.
    pub base: RoundId,
    /// The hash of the slate's list.
    pub slate: FileHash,
    /// The slices, in order.
    pub slices: Vec<Sliced>,
}

/// What a slice comes to, by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sliced {
    /// Which slice.
    pub slice: u32,
    /// The hash of the squared norms of all updates' parts.
    pub norms: FileHash,
    /// The hash of its part of the step; that of no bytes if an update holds a value that is none.
    pub step: FileHash,
    /// The hash of its part of the state, likewise.
    pub state: FileHash,
}

impl Message for Partial {
    const DOMAIN: &'static str = "accord/partial/v1";
    const BYTES_MAX: usize = PARTIAL_BYTES_MAX;

    fn check(&self, _signer: &PublicKey) -> Result<(), String> {
        let sorted = self.slices.windows(2).all(|pair| pair[0].slice < pair[1].slice);
        let bounded = self.slices.last().is_some_and(|last| last.slice < SLICES_MAX);
        if self.round == 0 || !sorted || !bounded {
            return Err("a partial is of round 1 or later and of slices, in order".into());
        }
        Ok(())
    }
}

impl Partial {
    /// What it says of a slice.
    pub fn of(&self, slice: u32) -> Option<&Sliced> {
        self.slices.iter().find(|sliced| sliced.slice == slice)
    }
}

impl Sliced {
    /// What was worked out, by hash.
    pub fn of(made: &Made) -> Self {
        let [norms, step, state] =
            [&made.norms, &made.step, &made.state].map(|bytes| FileHash::of(bytes));
        Self { slice: made.slice, norms, step, state }
    }
}
