//! Records by number, by id and as chains, for the log and for proofs.
//!
//! Invariants: envelopes are the bytes that were admitted, in the order of admission. What it is not:
//! an answer about consent.

use consent::Record;
use consent::ledger::{HeldRecord, forked_head};
use protocol::limits::PROOF_CHAIN_MAX;
use protocol::{FeedHead, Frontier, OpenError, RecordId, Signed};

use super::LedgerBook;
use super::log::LogError;

/// Why no chain leads from a record to a frontier.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    /// The record is not here.
    #[error("no record {0} is known here")]
    Unknown(RecordId),
    /// The frontier does not have the record's feed so far.
    #[error("the round was not bound by record {0}: its ledger did not have it yet")]
    NotReached(RecordId),
    /// The records up to the frontier are not here.
    #[error(
        "the ledger here does not have the feed as the round was bound to it: its branches have \
         grown since, or records are missing"
    )]
    Gone,
    /// The chain is too long for a proof.
    #[error(
        "more than {PROOF_CHAIN_MAX} records follow this one up to what the round was bound to"
    )]
    TooLong,
    /// The ledger's files.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record on disk does not open.
    #[error("the ledger's files are damaged: {0}")]
    Damaged(#[from] OpenError),
}

/// A record's way to a frontier.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The ends of its feed's branches if it had forked, else none.
    pub ends: Vec<RecordId>,
    /// Envelopes from the record to an end.
    pub envelopes: Vec<Vec<u8>>,
}

impl LedgerBook {
    /// Envelopes of the records admitted from number `from` on, at most `count`, and not many more
    /// bytes than `bytes_max`.
    pub(crate) fn envelopes(
        &self,
        from: u64,
        count: usize,
        bytes_max: usize,
    ) -> Result<Vec<Vec<u8>>, LogError> {
        self.look(|ledger, log| {
            let (mut found, mut bytes) = (Vec::new(), 0);
            for slot in (from..ledger.len() as u64).take(count) {
                if bytes >= bytes_max {
                    break;
                }
                let envelope = log.envelope(slot as u32)?;
                bytes += envelope.len();
                found.push(envelope);
            }
            Ok(found)
        })
    }

    /// A record with its envelope.
    pub(crate) fn record(&self, id: &RecordId) -> Result<Option<(HeldRecord, Vec<u8>)>, LogError> {
        self.look(|ledger, log| match ledger.held_record(id) {
            Some(held) => Ok(Some((held, log.envelope(held.slot)?))),
            None => Ok(None),
        })
    }

    /// The chain from a record to where `frontier` has its feed.
    pub(crate) fn chain(&self, id: &RecordId, frontier: &Frontier) -> Result<Chain, ChainError> {
        let (held, _) = self.record(id)?.ok_or(ChainError::Unknown(*id))?;
        let reached = |head: &&FeedHead| head.feed == held.feed && head.seq >= held.seq;
        let head = frontier.heads().iter().find(reached).ok_or(ChainError::NotReached(*id))?;
        let (ends, starts) = match self.record(&head.head)? {
            Some(_) => (Vec::new(), vec![head.head]),
            None => {
                let ends = self.look(|ledger, _| ledger.ends(&held.feed));
                if forked_head(&ends) != head.head {
                    return Err(ChainError::Gone);
                }
                (ends.clone(), ends)
            }
        };
        for end in starts {
            if let Some(envelopes) = self.back_to(id, held.seq, end)? {
                return Ok(Chain { ends, envelopes });
            }
        }
        Err(ChainError::NotReached(*id))
    }

    /// The envelopes from the record `first`, at `seq` of its feed, to `end`; none if `end` is on
    /// another branch.
    fn back_to(
        &self,
        first: &RecordId,
        seq: u64,
        end: RecordId,
    ) -> Result<Option<Vec<Vec<u8>>>, ChainError> {
        let (mut envelopes, mut next) = (Vec::new(), Some(end));
        while let Some(id) = next {
            let (held, envelope) = self.record(&id)?.ok_or(ChainError::Gone)?;
            if held.seq < seq {
                break;
            }
            if envelopes.len() == PROOF_CHAIN_MAX {
                return Err(ChainError::TooLong);
            }
            next = Signed::<Record>::open(&envelope)?.value().prev;
            envelopes.push(envelope);
            if id == *first {
                envelopes.reverse();
                return Ok(Some(envelopes));
            }
        }
        Ok(None)
    }
}
