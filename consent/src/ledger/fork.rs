//! A fork: one key signed two records for one place of its feed.
//!
//! Invariants: a [`ForkProof`] carries both envelopes, so anyone can verify it with no ledger, as
//! long as the records are signed by the author's first key. What it is not: a verdict on why; a
//! restored backup does it as well as a thief.

use serde::{Deserialize, Serialize};

use protocol::{FeedId, OpenError, PublicKey, RecordId, Signed};

use super::Ledger;
use crate::record::Record;

/// Where a feed forked first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The feed.
    pub feed: FeedId,
    /// The lowest sequence number with more than one record.
    pub seq: u64,
    /// All records there, sorted.
    pub records: Vec<RecordId>,
    /// The ends of all its branches, the one that the author goes on from first: what a reconcile
    /// follows, and what it names.
    pub ends: Vec<RecordId>,
}

/// Evidence of a fork that stands alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// The envelope of one record.
    #[serde(with = "serde_bytes")]
    pub first: Vec<u8>,
    /// The envelope of the other.
    #[serde(with = "serde_bytes")]
    pub second: Vec<u8>,
}

/// Why evidence does not prove a fork.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkProofError {
    /// One of the two is not a record.
    #[error("not a record: {0}")]
    Open(OpenError),
    /// They are one record, or are not for one place of one feed.
    #[error("the two records are not different records of one place in one feed")]
    Place,
    /// The two alone do not show that this key is the author's.
    #[error("signed by {0}, which the two records alone do not show to be the author's key")]
    Signer(PublicKey),
}

impl ForkProof {
    /// Verifies the evidence; gives the feed and the sequence number.
    pub fn verify(&self) -> Result<(FeedId, u64), ForkProofError> {
        let open = |bytes: &[u8]| Signed::<Record>::open(bytes).map_err(ForkProofError::Open);
        let (first, second) = (open(&self.first)?, open(&self.second)?);
        let place = |record: &Signed<Record>| (record.value().feed_id(), record.value().seq);
        if first.id() == second.id() || place(&first) != place(&second) {
            return Err(ForkProofError::Place);
        }
        for signer in [first.signer(), second.signer()] {
            if signer != first.value().author {
                return Err(ForkProofError::Signer(signer));
            }
        }
        Ok(place(&first))
    }
}

impl Ledger {
    /// The feeds that forked, by their ids, and where each did first.
    pub fn forks(&self) -> impl Iterator<Item = Fork> {
        self.feed_at.values().filter_map(|at| {
            let feed = &self.feeds[*at as usize];
            let seq = feed.fork_seq()?;
            let id = |slot: u32| self.entry(slot).id;
            let mut records: Vec<RecordId> = feed.at(seq).map(id).collect();
            records.sort_unstable();
            let tip = feed.tip(&self.entries)?;
            let mut others: Vec<RecordId> =
                feed.tips().iter().filter(|slot| **slot != tip).map(|slot| id(*slot)).collect();
            others.sort_unstable();
            let ends = std::iter::once(id(tip)).chain(others).collect();
            Some(Fork { feed: feed.id, seq: seq.into(), records, ends })
        })
    }
}
