//! What has become of single records, and of a feed's keys: for those who sign, and for showing.
//!
//! Invariants: the same rules as the gate's (see `power`), asked of one record instead of one work.
//! What it is not: a decision about a work.

use protocol::limits::SIMILAR_PER_FEED_MAX;
use protocol::{FeedHead, FeedId, FileHash, PublicKey, RecordId};

use super::Ledger;
use super::entry::Entry;
use super::table::Slot;
use crate::payload::{Delegation, Payload};
use crate::standing::Standing;
use crate::statement::Statement;
use crate::use_atom::{Use, Value};

/// Whether a record still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// It counts.
    Live,
    /// Its author, or the identity that it speaks for, took it back.
    Lifted,
    /// A fork, a retired key, a doubtful birth or missing leave took its power to give.
    Void,
    /// An allow that somebody doubts: it refuses until a witness speaks for it.
    Disputed,
    /// This version does not know its kind.
    Unknown,
}

impl RecordState {
    /// The text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Lifted => "lifted",
            Self::Void => "void",
            Self::Disputed => "disputed",
            Self::Unknown => "unknown",
        }
    }
}

/// The keys in force at the end of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedKeys {
    /// The daily key.
    pub daily: PublicKey,
    /// The hash of the root key.
    pub root: FileHash,
}

/// Why what is signed next in a feed can take away and not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivingDoubt {
    /// The feed forked and its branches were not joined.
    Forked,
    /// The key was replaced, or is said to be in the wrong hands.
    Retired,
    /// The author's feeds name different root keys at birth.
    Births,
}

/// Leave that somebody gave somebody.
#[derive(Debug, Clone)]
pub struct Leave<'a> {
    /// The delegation's record.
    pub record: RecordId,
    /// What it says.
    pub delegation: &'a Delegation,
    /// Whether an allow under it counts.
    pub holds: bool,
}

impl Ledger {
    /// The keys in force where the author of a feed goes on.
    pub fn keys_in_force(&self, feed: &FeedId) -> Option<FeedKeys> {
        let tip = self.entry(self.feed(feed)?.tip(&self.entries)?);
        let keys = &self.keys[tip.keys as usize];
        Some(FeedKeys { daily: keys.daily, root: keys.root })
    }

    /// Whether what the daily or the root key signs next in a feed could not give, and why. None
    /// for a feed that is not here: its first record could.
    pub fn giving_doubt(&self, feed: &FeedId, by_root: bool) -> Option<GivingDoubt> {
        let held = self.feed(feed)?;
        let tip = self.entry(held.tip(&self.entries)?);
        let author = &self.authors[held.author as usize];
        let keys = &self.keys[tip.keys as usize];
        if !author.has_one_anchor() {
            return Some(GivingDoubt::Births);
        }
        if !author.upholds(keys, by_root, *feed, u64::from(tip.seq) + 1) {
            return Some(GivingDoubt::Retired);
        }
        self.is_unjoined(feed).then_some(GivingDoubt::Forked)
    }

    /// Whether a feed forked and what its author signs next would be in doubt.
    fn is_unjoined(&self, feed: &FeedId) -> bool {
        self.feed(feed).is_some_and(|feed| {
            let tip = feed.tip(&self.entries).map(|tip| self.entry(tip));
            tip.is_some_and(|tip| feed.is_in_doubt(tip, |slot| self.is_upheld(self.entry(slot))))
        })
    }

    /// The keys that a rotation in another feed of the author put in the place of those in force
    /// at the end of this one. Another rotation of these would leave the author nothing to give.
    pub fn rotated_elsewhere(&self, feed: &FeedId) -> Option<FeedKeys> {
        let held = self.feed(feed)?;
        let tip = self.entry(held.tip(&self.entries)?);
        let author = &self.authors[held.author as usize];
        let rotation = author.successor(&self.keys[tip.keys as usize])?;
        Some(FeedKeys { daily: rotation.daily, root: rotation.root_commitment })
    }

    /// How many more subjects by likeness count in a feed.
    pub fn likenesses_left(&self, feed: &FeedId) -> u32 {
        let tip = self.feed(feed).and_then(|feed| feed.tip(&self.entries));
        let named = tip.map_or(0, |tip| self.entry(tip).similar);
        SIMILAR_PER_FEED_MAX.saturating_sub(named)
    }

    /// Where a feed forked first, if it did.
    pub fn fork_seq(&self, feed: &FeedId) -> Option<u64> {
        self.feed(feed)?.fork_seq().map(u64::from)
    }

    /// The admitted records of a feed, by their numbers, oldest first.
    pub fn slots_of(&self, feed: &FeedId) -> Vec<Slot> {
        self.feed(feed).map_or_else(Vec::new, |feed| feed.from(0).collect())
    }

    /// Everything that `principal` gave `delegate` leave for.
    pub fn leaves(&self, principal: PublicKey, delegate: PublicKey) -> Vec<Leave<'_>> {
        let all = self.voices.delegations();
        let theirs = all.filter(|(_, slot, delegation)| {
            delegation.delegate == delegate && self.author_of(self.entry(*slot)) == principal
        });
        theirs
            .map(|(record, slot, delegation)| {
                let holds = self.delegation_state(slot) == RecordState::Live;
                Leave { record, delegation, holds }
            })
            .collect()
    }

    /// What has become of the record admitted as number `slot`, which says `payload`.
    pub fn state(&self, slot: Slot, payload: &Payload) -> RecordState {
        let entry = self.entry(slot);
        match payload {
            Payload::Statement(statement) => self.statement_state(slot, statement),
            Payload::Delegation(_) => self.delegation_state(slot),
            Payload::Attestation(_) => self.given(entry),
            Payload::Dispute(_) if self.restriction_is_lifted(entry, None) => RecordState::Lifted,
            Payload::Lift(_) | Payload::Reconcile(_) if !self.has_full_power(entry) => {
                RecordState::Void
            }
            Payload::Unknown => RecordState::Unknown,
            _ => RecordState::Live,
        }
    }

    /// Whether the author of a record that is here asked for its remark to be erased. For good, and
    /// whatever became of the key: a remark decides nothing, so that to erase one opens nothing.
    pub fn is_erased(&self, id: &RecordId) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let author = self.author_of(self.entry(slot));
        let mut asked = self.voices.tombstones(id).iter();
        asked.any(|slot| self.author_of(self.entry(*slot)) == author)
    }

    /// What witnesses whose word counts found of the statement admitted as number `slot`, or of
    /// whoever speaks in it.
    pub fn attested(&self, slot: Slot) -> Vec<(PublicKey, Standing)> {
        let entry = self.entry(slot);
        let said = entry.said().map(|said| &self.statements.said[said as usize]);
        let principal = said.and_then(|said| said.behalf).map(|behalf| behalf.principal);
        let speaker = principal.unwrap_or_else(|| self.author_of(entry));
        let words = self.voices.attested(&entry.id, &speaker);
        let mut found: Vec<(PublicKey, Standing)> = words
            .filter(|(word, _)| self.given(self.entry(*word)) == RecordState::Live)
            .map(|(word, standing)| (self.author_of(self.entry(word)), standing))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn statement_state(&self, slot: Slot, statement: &Statement) -> RecordState {
        let entry = self.entry(slot);
        let principal = statement.behalf.map(|behalf| behalf.principal);
        if statement.restricts() {
            return match self.restriction_is_lifted(entry, principal) {
                true => RecordState::Lifted,
                false => RecordState::Live,
            };
        }
        if self.is_ended(entry, principal) {
            return RecordState::Lifted;
        }
        let allowed = |(about, value): &(Use, Value)| (*value == Value::Allow).then_some(*about);
        let said = entry.said().map(|said| &self.statements.said[said as usize]);
        let has_leave = said.is_some_and(|said| {
            let mut uses = statement.rules.iter().filter_map(allowed);
            uses.any(|about| self.leave_until_ms(slot, said, about).is_some())
        });
        match (has_leave && self.gives(entry), self.is_disputed(entry)) {
            (false, _) => RecordState::Void,
            (true, true) => RecordState::Disputed,
            (true, false) => RecordState::Live,
        }
    }

    fn delegation_state(&self, slot: Slot) -> RecordState {
        let entry = self.entry(slot);
        let by = self.author_of(entry);
        let mut ends = self.voices.revocations(&entry.id).iter();
        match ends.any(|slot| self.author_of(self.entry(*slot)) == by) {
            true => RecordState::Lifted,
            false => self.given(entry),
        }
    }

    /// The state of what gives and may be lifted by its author.
    fn given(&self, entry: &Entry) -> RecordState {
        if self.is_ended(entry, None) {
            RecordState::Lifted
        } else if self.gives(entry) {
            RecordState::Live
        } else {
            RecordState::Void
        }
    }

    /// The end of a feed's branch on which the author goes on, with its other ends, for a
    /// reconcile; none where the feed did not fork or is joined.
    pub fn ends_to_join(&self, feed: &FeedId) -> Option<(FeedHead, Vec<RecordId>)> {
        let held = self.feed(feed).filter(|_| self.is_unjoined(feed))?;
        let head = self.head(feed)?;
        let tips = held.tips().iter().map(|slot| self.entry(*slot).id);
        Some((head, tips.filter(|id| *id != head.head).collect()))
    }
}
