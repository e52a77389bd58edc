//! A frontier: how much of every feed somebody holds, as one sorted list.
//!
//! Invariants: sorted by feed, one entry a feed, so that equal knowledge has equal bytes.
//! `dominates` is a partial order by sequence number only; forks are the ledger's business.
//! What it is not: the records. It says which ones to ask for.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::id::{FileHash, RecordId};
use crate::key::PublicKey;
use crate::limits::{FEEDS_MAX, FRONTIER_BYTES_MAX};

/// One of a contributor's feeds: each device of theirs keeps its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeedId {
    /// The identity whose feed it is.
    pub author: PublicKey,
    /// Which of the identity's feeds.
    pub feed: u32,
}

/// The newest record of one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeedHead {
    /// The feed.
    pub feed: FeedId,
    /// The highest sequence number held without a gap.
    pub seq: u64,
    /// The record there; where the feed forked, the `consent` crate's hash over the ends of its
    /// branches.
    pub head: RecordId,
}

/// The heads of all feeds held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    heads: Vec<FeedHead>,
}

impl Frontier {
    /// The frontier of these heads; of two heads for one feed the higher sequence number stays,
    /// and of two at one sequence number the smaller id.
    pub fn new(heads: impl IntoIterator<Item = FeedHead>) -> Self {
        let mut heads: Vec<FeedHead> = heads.into_iter().collect();
        heads.sort_by(|a, b| a.feed.cmp(&b.feed).then(b.seq.cmp(&a.seq)).then(a.head.cmp(&b.head)));
        heads.dedup_by_key(|head| head.feed);
        Self { heads }
    }

    /// Reads untrusted bytes: bounded, canonical, sorted, one head a feed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let frontier: Self = codec::decode(bytes, FRONTIER_BYTES_MAX)?;
        let sorted = frontier.heads.windows(2).all(|pair| pair[0].feed < pair[1].feed);
        if sorted && frontier.heads.len() <= FEEDS_MAX {
            Ok(frontier)
        } else {
            Err(DecodeError::NotCanonical)
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The hash of the canonical bytes.
    pub fn id(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }

    /// The heads, sorted by feed.
    pub fn heads(&self) -> &[FeedHead] {
        &self.heads
    }

    /// The sequence number held of `feed`.
    pub fn seq(&self, feed: &FeedId) -> Option<u64> {
        let at = self.heads.binary_search_by_key(feed, |head| head.feed).ok()?;
        Some(self.heads[at].seq)
    }

    /// Whether every feed in `other` is held here at least as far.
    pub fn dominates(&self, other: &Self) -> bool {
        other.heads.iter().all(|head| self.seq(&head.feed) >= Some(head.seq))
    }

    /// The frontier of somebody who holds what either holds.
    pub fn merge(&self, other: &Self) -> Self {
        Self::new(self.heads.iter().chain(&other.heads).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn head(author: u8, seq: u64) -> FeedHead {
        let author = SecretKey::from_seed(&[author; 32]).public();
        FeedHead { feed: FeedId { author, feed: 0 }, seq, head: RecordId::of(&[seq as u8]) }
    }

    #[test]
    fn merge_is_the_least_frontier_above_both() {
        let a = Frontier::new([head(1, 3), head(2, 1)]);
        let b = Frontier::new([head(2, 5), head(3, 0)]);
        let both = a.merge(&b);
        assert_eq!(both, b.merge(&a));
        assert_eq!(both, both.merge(&a));
        assert!(both.dominates(&a) && both.dominates(&b) && !a.dominates(&b));
        assert_eq!(both.seq(&head(2, 0).feed), Some(5));
        assert_eq!(both.heads().len(), 3);
        assert_eq!(Frontier::from_bytes(&both.to_bytes()), Ok(both));
    }

    #[test]
    fn unsorted_bytes_are_refused() {
        let mut heads = vec![head(1, 3), head(2, 1)];
        heads.sort();
        heads.reverse();
        let bytes = codec::encode(&Frontier { heads });
        assert_eq!(Frontier::from_bytes(&bytes), Err(DecodeError::NotCanonical));
    }
}
