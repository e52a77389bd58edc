//! One feed as it is held: its admitted records, its ends, and where it forked.
//!
//! Invariants: every record but a genesis has the record before it here; the order by sequence
//! number, then id, is one in which the records can be inserted; `fork_seq` is the lowest sequence
//! number with two records, and only falls.
//! What it is not: a chooser between branches. All of them stay.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{FeedHead, FeedId, RecordId};

/// Where a record stands in the ledger's list of entries.
pub(crate) type Slot = usize;

/// The admitted records of one feed.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    records: BTreeMap<(u64, RecordId), Slot>,
    tips: BTreeSet<(u64, RecordId)>,
    fork_seq: Option<u64>,
}

impl Feed {
    /// Takes a record in, whose predecessor is here.
    pub(crate) fn add(&mut self, seq: u64, id: RecordId, prev: Option<RecordId>, slot: Slot) {
        if self.at(seq).next().is_some() {
            self.fork_seq = Some(self.fork_seq.map_or(seq, |fork| fork.min(seq)));
        }
        if let (Some(prev), Some(before)) = (prev, seq.checked_sub(1)) {
            self.tips.remove(&(before, prev));
        }
        self.tips.insert((seq, id));
        self.records.insert((seq, id), slot);
    }

    /// How many records it has, in all branches.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The lowest sequence number that has two records.
    pub(crate) fn fork_seq(&self) -> Option<u64> {
        self.fork_seq
    }

    /// Whether `seq` is at or after a fork.
    pub(crate) fn is_forked_at(&self, seq: u64) -> bool {
        self.fork_seq.is_some_and(|fork| fork <= seq)
    }

    /// The records with this sequence number, by id.
    pub(crate) fn at(&self, seq: u64) -> impl Iterator<Item = (RecordId, Slot)> {
        let lowest = RecordId::from_bytes([0; 32]);
        let highest = RecordId::from_bytes([0xff; 32]);
        self.records.range((seq, lowest)..=(seq, highest)).map(|((_, id), slot)| (*id, *slot))
    }

    /// All records from this sequence number on, in an order in which they can be inserted.
    pub(crate) fn from(&self, seq: u64) -> impl Iterator<Item = (RecordId, Slot)> {
        let lowest = RecordId::from_bytes([0; 32]);
        self.records.range((seq, lowest)..).map(|((_, id), slot)| (*id, *slot))
    }

    /// The end of the longest branch, on which the author goes on; of equals that with the
    /// smallest id.
    pub(crate) fn tip(&self) -> Option<(u64, RecordId)> {
        let seq = self.tips.last()?.0;
        self.tips.iter().find(|tip| tip.0 == seq).copied()
    }

    /// What a frontier says of this feed: its end, or where it forked the highest sequence number
    /// with a hash over the ends of all branches, so that equal heads mean equal records and a
    /// feed takes one line however often it forked.
    pub(crate) fn head(&self, feed: FeedId) -> Option<FeedHead> {
        let (seq, tip) = self.tip()?;
        if self.tips.len() == 1 {
            return Some(FeedHead { feed, seq, head: tip });
        }
        let mut ends = b"accord/forked-head/v1\n".to_vec();
        for (_, id) in &self.tips {
            ends.extend(id.as_bytes());
        }
        Some(FeedHead { feed, seq, head: RecordId::of(&ends) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn id(name: &str) -> RecordId {
        RecordId::of(name.as_bytes())
    }

    #[test]
    fn branches_stay_and_the_fork_point_falls() {
        let author = SecretKey::from_seed(&[1; 32]).public();
        let feed_id = FeedId { author, feed: 0 };
        let mut feed = Feed::default();
        feed.add(0, id("0"), None, 0);
        feed.add(1, id("1"), Some(id("0")), 1);
        feed.add(2, id("2"), Some(id("1")), 2);
        assert_eq!(feed.head(feed_id).map(|h| (h.seq, h.head)), Some((2, id("2"))));
        assert_eq!((feed.fork_seq(), feed.len()), (None, 3));

        feed.add(2, id("2'"), Some(id("1")), 3);
        assert!(feed.is_forked_at(2) && !feed.is_forked_at(1));
        let head = feed.head(feed_id).expect("a head");
        assert!(head.seq == 2 && head.head != id("2") && head.head != id("2'"));

        feed.add(1, id("1'"), Some(id("0")), 4);
        assert_eq!(feed.fork_seq(), Some(1));
        assert_eq!(feed.from(1).count(), 4);
        assert_eq!(feed.tip().map(|tip| tip.0), Some(2));
    }
}
