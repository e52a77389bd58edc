//! Which records have the power that they claim.
//!
//! A record has **full power** if it is not in doubt (see `feed`) and its key was not retired (see
//! `author`). Without it, it can take away and cannot give.
//!
//! - A restriction and a dispute end by a lift with full power, of their author or of the identity in
//!   whose name they were made.
//! - An allow, a delegation and an attestation end by any such lift.
//! - An allow, a delegation and an attestation count only with full power, from an author whose
//!   feeds were all born with one root key.
//! - But an attestation for what restricts ends as a restriction does: it takes away.
//! - An allow in somebody's name counts only under a delegation of theirs that counts, was not
//!   revoked, names this delegate, permits allowing for its uses, and covers all its subjects.
//!
//! Invariants: every rule only takes power from what gives, so more records never widen a use, but
//! for a lift, an allow or a reconcile with full power. What it is not: time or policy.

use protocol::{FileHash, PublicKey};

use super::Ledger;
use super::entry::{Entry, Said};
use super::table::Slot;
use crate::standing::Standing;
use crate::use_atom::{Use, Value};

impl Ledger {
    pub(crate) fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot as usize]
    }

    pub(crate) fn author_of(&self, entry: &Entry) -> PublicKey {
        self.feeds[entry.feed as usize].id.author
    }

    /// Whether a record may give: before any fork that was not joined, by a key not retired.
    pub(crate) fn has_full_power(&self, entry: &Entry) -> bool {
        let feed = &self.feeds[entry.feed as usize];
        self.is_upheld(entry) && !feed.is_in_doubt(entry, |slot| self.is_upheld(self.entry(slot)))
    }

    pub(crate) fn is_upheld(&self, entry: &Entry) -> bool {
        let feed = &self.feeds[entry.feed as usize];
        let before = entry.prev().map_or(entry, |prev| self.entry(prev));
        let keys = &self.keys[before.keys as usize];
        let author = &self.authors[feed.author as usize];
        author.upholds(keys, entry.by_root, feed.id, u64::from(entry.seq))
    }

    /// Whether all the author's feeds were born with one root key.
    fn has_one_birth(&self, entry: &Entry) -> bool {
        let feed = &self.feeds[entry.feed as usize];
        self.authors[feed.author as usize].has_one_anchor()
    }

    fn anchor(&self, entry: &Entry) -> FileHash {
        self.keys[entry.keys as usize].genesis
    }

    /// Whether what restricts was lifted, by its author or the identity that it speaks for.
    pub(crate) fn restriction_is_lifted(
        &self,
        entry: &Entry,
        principal: Option<PublicKey>,
    ) -> bool {
        let lifts = self.voices.lifts(&entry.id);
        if lifts.is_empty() {
            return false;
        }
        let (author, anchor) = (self.author_of(entry), self.anchor(entry));
        lifts.iter().map(|slot| self.entry(*slot)).any(|lift| {
            let by = self.author_of(lift);
            let own = by == author && self.anchor(lift) == anchor;
            let principals = by != author && principal == Some(by) && self.has_one_birth(lift);
            (own || principals) && self.has_full_power(lift)
        })
    }

    /// Whether anybody who may has ended what a record gives.
    pub(crate) fn is_ended(&self, entry: &Entry, principal: Option<PublicKey>) -> bool {
        let lifts = self.voices.lifts(&entry.id);
        if lifts.is_empty() {
            return false;
        }
        let (author, anchor) = (self.author_of(entry), self.anchor(entry));
        lifts.iter().map(|slot| self.entry(*slot)).any(|lift| {
            let by = self.author_of(lift);
            by == author && self.anchor(lift) == anchor || Some(by) == principal
        })
    }

    /// Whether a record that gives counts, as far as its author's keys and feeds go.
    pub(crate) fn gives(&self, entry: &Entry) -> bool {
        self.has_one_birth(entry) && self.has_full_power(entry)
    }

    /// When an allow in somebody's name ends at the latest; none if it has no leave.
    pub(crate) fn leave_until_ms(&self, slot: Slot, said: &Said, about: Use) -> Option<u64> {
        let Some(behalf) = said.behalf else { return Some(u64::MAX) };
        let (given, delegation) = self.voices.delegation(&behalf.delegation)?;
        let (given, entry) = (self.entry(given), self.entry(slot));
        let principal = self.author_of(given);
        let revoked = self
            .voices
            .revocations(&given.id)
            .iter()
            .any(|slot| self.author_of(self.entry(*slot)) == principal);
        let holds = principal == behalf.principal
            && delegation.delegate == self.author_of(entry)
            && delegation.may_allow
            && delegation.uses.contains(&about)
            && !revoked
            && !self.is_ended(given, None)
            && self.gives(given)
            && self.voices.on_behalf(slot).iter().all(|subject| delegation.covers(subject));
        holds.then_some(delegation.not_after_ms)
    }

    /// Whether a statement in somebody's name was ever given leave by them: enough to restrict
    /// everything that they make.
    pub(crate) fn had_leave(&self, slot: Slot, said: &Said) -> bool {
        let Some(behalf) = said.behalf else { return false };
        self.voices.delegation(&behalf.delegation).is_some_and(|(given, delegation)| {
            self.author_of(self.entry(given)) == behalf.principal
                && delegation.delegate == self.author_of(self.entry(slot))
        })
    }

    /// The highest standing that these witnesses give a statement about one use.
    ///
    /// A word for what restricts takes away, so it holds like a restriction; a word for an allow
    /// gives, so it counts only with full power.
    pub(crate) fn standing(
        &self,
        slot: Slot,
        said: &Said,
        value: Value,
        witnesses: &[PublicKey],
    ) -> Standing {
        if witnesses.is_empty() {
            return Standing::SelfAsserted;
        }
        let entry = self.entry(slot);
        let author = self.author_of(entry);
        // Nobody borrows the standing of one who gave no leave.
        let behalf = said.behalf.filter(|_| self.had_leave(slot, said));
        let speaker = behalf.map_or(author, |behalf| behalf.principal);
        let counts = |slot: Slot| {
            let word = self.entry(slot);
            let holds = if value.restricts() {
                !self.restriction_is_lifted(word, None)
            } else {
                !self.is_ended(word, None) && self.gives(word)
            };
            holds && witnesses.binary_search(&self.author_of(word)).is_ok()
        };
        let words = self.voices.attested(&entry.id, &speaker);
        words
            .filter(|(slot, _)| counts(*slot))
            .map(|(_, standing)| standing)
            .max()
            .unwrap_or_default()
    }

    /// Whether somebody doubts a statement and has not taken the doubt back.
    pub(crate) fn is_disputed(&self, entry: &Entry) -> bool {
        let mut disputes = self.voices.disputes(&entry.id).iter().map(|slot| self.entry(*slot));
        disputes.any(|dispute| !self.restriction_is_lifted(dispute, None))
    }
}
