//! Who said that they train in a run, and whom a round waits for.
//!
//! Invariants: the newest word of a node counts; whoever let a round pass without a commit is waited
//! for again when it commits, not when it speaks; the number of nodes is bounded.
//! What it is not: a say in what counts. A commit counts whether or not its trainer said a word.

use std::collections::BTreeMap;

use crate::envelope::Signed;
use crate::key::PublicKey;
use crate::limits::TRAINERS_PRESENT_MAX;
use crate::run::Presence;

#[derive(Debug, Default)]
pub(super) struct Present {
    words: BTreeMap<PublicKey, Word>,
}

#[derive(Debug, Default)]
struct Word {
    said_ms: u64,
    joined: bool,
    /// It let a round pass without a commit.
    missed: bool,
}

impl Present {
    /// Takes a node's word, unless a newer one is known.
    pub(super) fn hear(&mut self, word: &Signed<Presence>) {
        let trainer = word.signer();
        if self.words.len() >= TRAINERS_PRESENT_MAX && !self.words.contains_key(&trainer) {
            return;
        }
        let known = self.words.entry(trainer).or_default();
        let Presence { joined, said_ms, .. } = *word.value();
        if said_ms > known.said_ms {
            (known.said_ms, known.joined) = (said_ms, joined);
        }
    }

    /// A trainer has committed.
    pub(super) fn committed(&mut self, trainer: &PublicKey) {
        if let Some(word) = self.words.get_mut(trainer) {
            word.missed = false;
        }
    }

    /// A round is over; `holds` says whose commits there were.
    pub(super) fn close(&mut self, holds: impl Fn(&PublicKey) -> bool) {
        for (trainer, word) in &mut self.words {
            word.missed |= !holds(trainer);
        }
    }

    /// Who said that they take part.
    pub(super) fn joined(&self) -> impl Iterator<Item = PublicKey> {
        self.words.iter().filter(|(_, word)| word.joined).map(|(trainer, _)| *trainer)
    }

    /// Whom a round waits for.
    pub(super) fn expected(&self) -> impl Iterator<Item = &PublicKey> {
        let waited = self.words.iter().filter(|(_, word)| word.joined && !word.missed);
        waited.map(|(trainer, _)| trainer)
    }
}
