//! Reconciliation of two ledgers by frontiers.
//!
//! Each side asks with its own [`Frontier`] and gets the records it lacks. Twice in both directions
//! makes any two ledgers equal: one round where no feed forked, a second where the forks were news.
//!
//! Invariants: equal frontiers mean equal records; the order given can be inserted as it comes;
//! restrictions and rotations, with what must precede them, come before everything else.
//! What it is not: compact for forked feeds. A side that has not the other's head of a forked feed
//! sends the feed whole.

use std::collections::BTreeSet;

use protocol::{FeedHead, FeedId, Frontier, RecordId, Signed};

use crate::feed::{Feed, Slot};
use crate::ledger::Ledger;
use crate::record::Record;

impl Ledger {
    /// How much of every feed is held. Where a feed forked, the head is a hash over the ends of
    /// all its branches.
    pub fn frontier(&self) -> Frontier {
        Frontier::new(self.feeds.iter().filter_map(|(id, feed)| feed.head(*id)))
    }

    /// The records that somebody with this frontier lacks, as far as can be told, in an order in
    /// which they can be inserted. To send them in parts, keep the frontier and skip what was sent.
    pub fn records_since(&self, frontier: &Frontier) -> impl Iterator<Item = &Signed<Record>> {
        let (mut urgent, mut other) = (Vec::new(), Vec::new());
        for (id, feed) in &self.feeds {
            let lacking = self.lacking(id, feed, head_of(frontier, id));
            let last = lacking.iter().rposition(|slot| self.entries[*slot].urgent);
            let (first, rest) = lacking.split_at(last.map_or(0, |at| at + 1));
            urgent.extend_from_slice(first);
            other.extend_from_slice(rest);
        }
        urgent.into_iter().chain(other).map(|slot| &self.entries[slot].record)
    }

    /// The records of a feed that somebody with `theirs` as its head lacks.
    fn lacking(&self, id: &FeedId, feed: &Feed, theirs: Option<FeedHead>) -> Vec<Slot> {
        let Some(theirs) = theirs else { return slots(feed.from(0)) };
        let Some(ours) = feed.head(*id) else { return Vec::new() };
        if ours.head == theirs.head {
            return Vec::new();
        }
        if self.is_of_feed(id, &theirs) {
            if feed.fork_seq().is_none() {
                return slots(feed.from(theirs.seq.saturating_add(1)));
            }
            let known = self.chain_to(theirs.head);
            return slots(feed.from(0).filter(|(id, _)| !known.contains(id)));
        }
        // Their head is news. If it is further along they have most likely all of ours, and we
        // shall know once we have asked them; otherwise they are on a branch.
        if theirs.seq > ours.seq { Vec::new() } else { slots(feed.from(0)) }
    }

    fn is_of_feed(&self, feed: &FeedId, head: &FeedHead) -> bool {
        self.record(&head.head)
            .is_some_and(|r| r.value().feed_id() == *feed && r.value().seq == head.seq)
    }

    /// A record and all before it.
    fn chain_to(&self, head: RecordId) -> BTreeSet<RecordId> {
        let before = |id: &RecordId| self.record(id)?.value().prev;
        std::iter::successors(Some(head), before).collect()
    }
}

fn head_of(frontier: &Frontier, feed: &FeedId) -> Option<FeedHead> {
    let heads = frontier.heads();
    let at = heads.binary_search_by(|head| head.feed.cmp(feed)).ok()?;
    Some(heads[at])
}

fn slots(records: impl Iterator<Item = (RecordId, Slot)>) -> Vec<Slot> {
    records.map(|(_, slot)| slot).collect()
}
