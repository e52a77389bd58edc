//! One feed as it is held: its admitted records, its ends, where it forked, and what was joined.
//!
//! A record of a forked feed is **in doubt** if the feed has a record at its place or before that is
//! not among those it builds on: the records before it and, through a reconcile, the branches that
//! one names. Without a reconcile that is everything from the fork on.
//!
//! Invariants: every record but a genesis has the record before it here; the order by place is one
//! in which the records can be inserted; doubt follows from the set of records alone and only grows
//! with it. What it is not: a chooser between branches. All of them stay.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{FeedHead, FeedId, RecordId};

use super::entry::Entry;
use super::table::Slot;

/// Which reconcile a record comes after: its place among the feed's from 1, or 0 for none.
pub(crate) type Healing = u8;

/// The admitted records of one feed.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) id: FeedId,
    /// Where its author stands in the ledger's list.
    pub(crate) author: u32,
    /// The first record held at each place.
    chain: Vec<Slot>,
    /// The further ones.
    others: BTreeMap<u32, Vec<Slot>>,
    tips: Vec<Slot>,
    fork_seq: Option<u32>,
    /// The highest place of a record that must not wait.
    urgent_seq: Option<u32>,
    reconciles: Vec<Reconciled>,
}

/// A reconcile.
#[derive(Debug)]
struct Reconciled {
    slot: Slot,
    before: Healing,
    heads: Vec<Slot>,
    /// The lowest place of a record that it and what follows it do not build on, or of two that
    /// follow it side by side.
    doubt_seq: u32,
}

impl Feed {
    pub(crate) fn new(id: FeedId, author: u32) -> Self {
        Self {
            id,
            author,
            chain: Vec::new(),
            others: BTreeMap::new(),
            tips: Vec::new(),
            fork_seq: None,
            urgent_seq: None,
            reconciles: Vec::new(),
        }
    }

    /// Takes in a record whose predecessor is here; its entry is in `entries` already.
    pub(crate) fn add(&mut self, slot: Slot, entries: &[Entry]) {
        let entry = &entries[slot as usize];
        let seq = entry.seq;
        if self.at(seq).next().is_some() {
            self.fork_seq = Some(self.fork_seq.map_or(seq, |fork| fork.min(seq)));
        }
        if entry.urgent {
            self.urgent_seq = self.urgent_seq.max(Some(seq));
        }
        self.doubt_reconciles(entry, entries);
        self.tips.retain(|tip| Some(*tip) != entry.prev());
        self.tips.push(slot);
        match self.chain.len() {
            len if len == seq as usize => self.chain.push(slot),
            _ => self.others.entry(seq).or_default().push(slot),
        }
    }

    /// Takes note that the record just added joins `heads`. Returns what records after it carry.
    pub(crate) fn reconcile(&mut self, slot: Slot, heads: Vec<Slot>, entries: &[Entry]) -> Healing {
        let before = entries[slot as usize].healing;
        let mut builds_on = BTreeSet::new();
        let mut waiting = vec![slot];
        waiting.extend(&heads);
        while let Some(at) = waiting.pop() {
            let mut next = Some(at);
            while let Some(at) = next.filter(|at| builds_on.insert(*at)) {
                if let Some(joined) = self.reconciles.iter().find(|joined| joined.slot == at) {
                    waiting.extend(&joined.heads);
                }
                next = entries[at as usize].prev();
            }
        }
        let left_out = self.from(0).find(|at| !builds_on.contains(at));
        let doubt_seq = left_out.map_or(u32::MAX, |at| entries[at as usize].seq);
        self.reconciles.push(Reconciled { slot, before, heads, doubt_seq });
        self.reconciles.len() as Healing
    }

    fn doubt_reconciles(&mut self, entry: &Entry, entries: &[Entry]) {
        for at in 0..self.reconciles.len() {
            let follows = |entry: &Entry| self.follows(entry.healing, at);
            let beside = self.at(entry.seq).any(|other| follows(&entries[other as usize]));
            if !follows(entry) || beside {
                let joined = &mut self.reconciles[at];
                joined.doubt_seq = joined.doubt_seq.min(entry.seq);
            }
        }
    }

    /// Whether what carries `healing` comes after this reconcile.
    fn follows(&self, mut healing: Healing, reconcile: usize) -> bool {
        while let Some(at) = usize::from(healing).checked_sub(1) {
            if at == reconcile {
                return true;
            }
            healing = self.reconciles[at].before;
        }
        false
    }

    /// Whether a record is in doubt; `holds` says whether a reconcile is to be heeded.
    pub(crate) fn is_in_doubt(&self, entry: &Entry, holds: impl Fn(Slot) -> bool) -> bool {
        let Some(fork_seq) = self.fork_seq else { return false };
        let mut healing = entry.healing;
        while let Some(at) = usize::from(healing).checked_sub(1) {
            let joined = &self.reconciles[at];
            if holds(joined.slot) {
                return joined.doubt_seq <= entry.seq;
            }
            healing = joined.before;
        }
        fork_seq <= entry.seq
    }

    /// How many records it has, in all branches.
    pub(crate) fn len(&self) -> usize {
        self.chain.len() + self.others.values().map(Vec::len).sum::<usize>()
    }

    /// How many reconciles it has.
    pub(crate) fn reconciles(&self) -> usize {
        self.reconciles.len()
    }

    /// The lowest place that has two records.
    pub(crate) fn fork_seq(&self) -> Option<u32> {
        self.fork_seq
    }

    /// The highest place of a restriction or key event.
    pub(crate) fn urgent_seq(&self) -> Option<u32> {
        self.urgent_seq
    }

    /// The places that have a record.
    pub(crate) fn places(&self) -> u32 {
        self.chain.len() as u32
    }

    /// The records at this place.
    pub(crate) fn at(&self, seq: u32) -> impl Iterator<Item = Slot> {
        let others = self.others.get(&seq).map_or(&[][..], Vec::as_slice);
        self.chain.get(seq as usize).into_iter().chain(others).copied()
    }

    /// All records from this place on, in an order in which they can be inserted.
    pub(crate) fn from(&self, seq: u32) -> impl Iterator<Item = Slot> {
        (seq..self.chain.len() as u32).flat_map(|seq| self.at(seq))
    }

    /// The end of the longest branch, on which the author goes on; of equals that with the
    /// smallest id.
    pub(crate) fn tip(&self, entries: &[Entry]) -> Option<Slot> {
        let order = |slot: &Slot| {
            let entry = &entries[*slot as usize];
            (std::cmp::Reverse(entry.seq), entry.id)
        };
        self.tips.iter().copied().min_by_key(order)
    }

    /// The ends of all branches.
    pub(crate) fn tips(&self) -> &[Slot] {
        &self.tips
    }

    /// What a frontier says of this feed: its end, or where it forked the highest place with a hash
    /// over the ends of all branches, so that equal heads mean equal records and a feed takes one
    /// line however often it forked.
    pub(crate) fn head(&self, entries: &[Entry]) -> Option<FeedHead> {
        let tip = &entries[self.tip(entries)? as usize];
        let (feed, seq) = (self.id, u64::from(tip.seq));
        if self.tips.len() == 1 {
            return Some(FeedHead { feed, seq, head: tip.id });
        }
        let mut ends: Vec<(u32, RecordId)> = self
            .tips
            .iter()
            .map(|slot| &entries[*slot as usize])
            .map(|entry| (entry.seq, entry.id))
            .collect();
        ends.sort_unstable();
        let ends: Vec<RecordId> = ends.into_iter().map(|(_, id)| id).collect();
        Some(FeedHead { feed, seq, head: forked_head(&ends) })
    }
}

/// What a frontier says of a feed whose branches end with these records, sorted by sequence number
/// and id.
pub fn forked_head(ends: &[RecordId]) -> RecordId {
    let mut hashed = b"accord/forked-head/v1\n".to_vec();
    ends.iter().for_each(|id| hashed.extend(id.as_bytes()));
    RecordId::of(&hashed)
}
