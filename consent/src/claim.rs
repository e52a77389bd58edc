//! Claims: what each statement in the ledger says about one work, and whether it still counts.
//!
//! Invariants: a claim's state follows from the set of records alone; a restriction is `Live` until
//! a lift with full power ends it; an allow is ended by any lift of its author's root key, even one
//! that a fork left without power over restrictions.
//! What it is not: a decision. Time and policy come in at the gate.

use protocol::{ContentId, FileHash, PublicKey, RecordId};

use crate::feed::Slot;
use crate::ledger::{Entry, Ledger};
use crate::record::record_id;
use crate::use_atom::{Use, Value};

/// Whether a claim still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// It counts.
    Live,
    /// Its author lifted it.
    Lifted,
    /// An allow on which a fork, a retired key or a doubtful birth casts doubt.
    Void,
}

/// One rule of one statement about a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The statement's record.
    pub record: RecordId,
    /// Who said it.
    pub author: PublicKey,
    /// About which use.
    pub about: Use,
    /// What was said.
    pub value: Value,
    /// Whether it still counts.
    pub state: ClaimState,
    /// When this ledger's node first received it, in milliseconds since 1970.
    pub received_ms: u64,
    /// When it ends, if it is an allow, in milliseconds since 1970.
    pub not_after_ms: Option<u64>,
}

impl Ledger {
    /// Everything said about a work, about all uses, ended claims included, in no particular
    /// order.
    pub fn claims(&self, work: ContentId) -> impl Iterator<Item = Claim> {
        let slots = self.statements.get(&work).map_or(&[][..], Vec::as_slice);
        slots.iter().flat_map(|slot| {
            let entry = &self.entries[*slot];
            entry.rules.iter().map(|(about, value)| self.claim(entry, *about, *value))
        })
    }

    fn claim(&self, entry: &Entry, about: Use, value: Value) -> Claim {
        let state = if value.restricts() {
            self.state_of_restriction(entry)
        } else {
            self.state_of_allow(entry)
        };
        Claim {
            record: record_id(&entry.record),
            author: entry.record.value().author,
            about,
            value,
            state,
            received_ms: entry.received_ms,
            not_after_ms: if value.restricts() { None } else { entry.not_after_ms },
        }
    }

    fn state_of_restriction(&self, entry: &Entry) -> ClaimState {
        if self.lifts_of(entry).any(|lift| self.has_full_power(lift)) {
            ClaimState::Lifted
        } else {
            ClaimState::Live
        }
    }

    fn state_of_allow(&self, entry: &Entry) -> ClaimState {
        let author = self.authors.get(&entry.record.value().author);
        if self.lifts_of(entry).next().is_some() {
            ClaimState::Lifted
        } else if author.is_some_and(|a| a.has_one_anchor()) && self.has_full_power(entry) {
            ClaimState::Live
        } else {
            ClaimState::Void
        }
    }

    /// The lifts of a statement by its own author, under the root the statement's feed was born
    /// with or a successor of it.
    fn lifts_of(&self, entry: &Entry) -> impl Iterator<Item = &Entry> {
        let slots: &[Slot] = self.lifts.get(&record_id(&entry.record)).map_or(&[], Vec::as_slice);
        let anchor = self.anchor(entry);
        let author = entry.record.value().author;
        slots
            .iter()
            .map(|slot| &self.entries[*slot])
            .filter(move |lift| lift.record.value().author == author && self.anchor(lift) == anchor)
    }

    /// Whether a record may allow or lift: before any fork of its feed, by a key not retired.
    fn has_full_power(&self, entry: &Entry) -> bool {
        let value = entry.record.value();
        let feed = value.feed_id();
        let forked = self.feeds.get(&feed).is_none_or(|f| f.is_forked_at(value.seq));
        let signer = entry.record.signer();
        let upheld = self
            .authors
            .get(&value.author)
            .is_some_and(|a| a.upholds(&self.anchor(entry), &signer, feed, value.seq));
        !forked && upheld
    }

    fn anchor(&self, entry: &Entry) -> FileHash {
        self.keys[entry.keys].genesis
    }
}
