//! Claims: what each statement in the ledger says about one work, and whether it still counts.
//!
//! Invariants: a claim's state follows from the set of records alone; a restriction is `Live` until
//! a lift with full power ends it; an allow is ended by any lift of its author's root key, even one
//! that a fork left without power over restrictions.
//! What it is not: a decision. Time and policy come in at the gate.

use protocol::{PublicKey, RecordId};

use super::Ledger;
use super::entry::{Entry, Said};
use super::table::Slot;
use crate::standing::Standing;
use crate::use_atom::{Use, Value};
use crate::work::Match;

/// Whether a claim still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// It counts.
    Live,
    /// Its author, or the identity that it speaks for, lifted it.
    Lifted,
    /// An allow on which a fork, a retired key, a doubtful birth or missing leave casts doubt.
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
    /// How the statement speaks of the work.
    pub found: Match,
    slot: Slot,
}

/// Whose word a statement is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speakers {
    /// Who signed it.
    pub(crate) by: PublicKey,
    /// In whose name.
    pub(crate) principal: Option<PublicKey>,
    /// Whether that one ever gave leave for it.
    pub(crate) had_leave: bool,
}

impl Ledger {
    /// What the statement in `slot` says of one use, if anything.
    pub(crate) fn claim(&self, slot: Slot, about: Use, found: Match) -> Option<Claim> {
        let entry = self.entry(slot);
        let said = &self.statements.said[entry.said()? as usize];
        let value = said.value(about);
        if value == Value::Unset || !self.may_speak(slot, entry, said, found) {
            return None;
        }
        let (state, not_after_ms) = if value.restricts() {
            (self.state_of_restriction(entry, said), None)
        } else {
            self.state_of_allow(slot, entry, said, about)
        };
        Some(Claim {
            record: entry.id,
            author: self.author_of(entry),
            about,
            value,
            state,
            received_ms: entry.received_ms,
            not_after_ms,
            found,
            slot,
        })
    }

    /// Who made the statement in `slot`, and in whose name.
    pub(crate) fn speakers(&self, slot: Slot) -> Option<Speakers> {
        let entry = self.entry(slot);
        let said = &self.statements.said[entry.said()? as usize];
        let principal = said.behalf.map(|behalf| behalf.principal);
        let had_leave = self.had_leave(slot, said);
        Some(Speakers { by: self.author_of(entry), principal, had_leave })
    }

    /// Everything that an identity makes is for itself, and those it gave leave, to speak of.
    fn may_speak(&self, slot: Slot, entry: &Entry, said: &Said, found: Match) -> bool {
        let Match::Maker(identity) = found else { return true };
        self.author_of(entry) == identity
            || said.behalf.is_some_and(|behalf| behalf.principal == identity)
                && self.had_leave(slot, said)
    }

    fn state_of_restriction(&self, entry: &Entry, said: &Said) -> ClaimState {
        let principal = said.behalf.map(|behalf| behalf.principal);
        if self.restriction_is_lifted(entry, principal) {
            ClaimState::Lifted
        } else {
            ClaimState::Live
        }
    }

    fn state_of_allow(
        &self,
        slot: Slot,
        entry: &Entry,
        said: &Said,
        about: Use,
    ) -> (ClaimState, Option<u64>) {
        let principal = said.behalf.map(|behalf| behalf.principal);
        if self.is_ended(entry, principal) {
            return (ClaimState::Lifted, said.not_after_ms);
        }
        match self.leave_until_ms(slot, said, about).filter(|_| self.gives(entry)) {
            Some(until_ms) => (ClaimState::Live, said.not_after_ms.map(|ms| ms.min(until_ms))),
            None => (ClaimState::Void, said.not_after_ms),
        }
    }

    /// The standing of a claim's speaker by the word of these witnesses (sorted).
    pub(crate) fn standing_of(&self, claim: &Claim, witnesses: &[PublicKey]) -> Standing {
        let said = self.entry(claim.slot).said().map(|said| &self.statements.said[said as usize]);
        said.map_or_else(Standing::default, |said| {
            self.standing(claim.slot, said, claim.value, witnesses)
        })
    }

    /// Whether somebody doubts a claim and has not taken the doubt back.
    pub(crate) fn is_doubted(&self, claim: &Claim) -> bool {
        self.is_disputed(self.entry(claim.slot))
    }
}
