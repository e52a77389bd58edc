//! Admission: whether a record may become part of its feed.
//!
//! Invariants: looks at the records before it in its own feed and at nothing else; nothing is changed.
//! What it is not: what the record does once it is admitted.

use protocol::limits::{FEED_RECORDS_MAX, FEEDS_MAX, RECONCILES_MAX};
use protocol::{FeedId, PublicKey, RecordId, Signed};

use super::Ledger;
use super::author::Keys;
use super::table::Slot;
use crate::payload::Payload;
use crate::record::{Record, record_id};

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// It breaks a rule of records by itself.
    #[error("{0}")]
    Rule(String),
    /// Its predecessor is of another feed, or not directly before it.
    #[error("the record named as the one before is not at the place before in this feed")]
    Chain,
    /// It joins branches that are not here, are of another feed, or are longer than its own.
    #[error("a reconcile names the ends of shorter branches of its own feed, all of them held")]
    Heads,
    /// Its signer's key is not one of the feed's at that point.
    #[error("signed by {0}, which is not a key of this feed at this point")]
    Signer(PublicKey),
    /// Only the root key may do this.
    #[error("a {0} is signed by the root key, not by {1}")]
    NeedsRoot(String, PublicKey),
    /// A rotation that shows the root key and keeps it.
    #[error("a rotation must replace the root key")]
    RootKept,
    /// Too little work went into the feed's birth.
    #[error("the feed was begun with {bits} bits of work, {bits_min} are asked for")]
    Work {
        /// What there is.
        bits: u32,
        /// What is asked for.
        bits_min: u32,
    },
    /// The feed has as many records as a feed may have.
    #[error("feed {} of {} is full", .0.feed, .0.author)]
    FeedFull(FeedId),
    /// The ledger has as many feeds as it may have.
    #[error("the ledger is full: {FEEDS_MAX} feeds")]
    FeedsFull,
}

/// A record about to be admitted: all that the ledger keeps of it.
pub(super) struct Admission {
    pub(super) id: RecordId,
    pub(super) received_ms: u64,
    pub(super) feed: FeedId,
    pub(super) seq: u32,
    pub(super) prev: Option<Slot>,
    pub(super) by_root: bool,
    pub(super) payload: Payload,
}

impl Ledger {
    /// Checks a record against those before it.
    pub(super) fn admission(
        &self,
        record: &Signed<Record>,
        received_ms: u64,
    ) -> Result<Admission, InsertError> {
        let value = record.value();
        let payload = value.payload().map_err(|e| InsertError::Rule(e.to_string()))?;
        let feed_id = value.feed_id();
        match self.feed(&feed_id) {
            Some(feed) if feed.len() >= FEED_RECORDS_MAX => {
                return Err(InsertError::FeedFull(feed_id));
            }
            None if self.feeds.len() >= FEEDS_MAX => return Err(InsertError::FeedsFull),
            _ => {}
        }
        let prev = self.before(value)?;
        let by_root = match (prev, &payload) {
            (Some(prev), payload) => {
                let keys = &self.keys[self.entry(prev).keys as usize];
                verify_signer(record, payload, keys)?
            }
            (None, Payload::Genesis(genesis)) => {
                let (bits, bits_min) = (genesis.work_bits(feed_id), self.work_bits_min);
                if bits < bits_min {
                    return Err(InsertError::Work { bits, bits_min });
                }
                false
            }
            (None, _) => return Err(InsertError::Chain),
        };
        // The check of records bounds it by `FEED_RECORDS_MAX`.
        let seq = u32::try_from(value.seq).map_err(|_| InsertError::Chain)?;
        let id = record_id(record);
        let admission = Admission { id, received_ms, feed: feed_id, seq, prev, by_root, payload };
        self.check_heads(&admission)?;
        Ok(admission)
    }

    /// The record before this one; none for a genesis.
    fn before(&self, record: &Record) -> Result<Option<Slot>, InsertError> {
        let Some(prev) = record.prev else { return Ok(None) };
        let slot = self.slot(&prev).ok_or(InsertError::Chain)?;
        let before = self.at(slot);
        if before.feed == record.feed_id() && before.seq.checked_add(1) == Some(record.seq) {
            Ok(Some(slot))
        } else {
            Err(InsertError::Chain)
        }
    }

    fn check_heads(&self, admission: &Admission) -> Result<(), InsertError> {
        let Payload::Reconcile(reconcile) = &admission.payload else { return Ok(()) };
        let fits = |id: &RecordId| {
            self.held_record(id).is_some_and(|head| {
                head.feed == admission.feed && head.seq < u64::from(admission.seq)
            })
        };
        if !reconcile.heads.iter().all(fits) {
            return Err(InsertError::Heads);
        }
        match self.feed(&admission.feed) {
            Some(feed) if feed.reconciles() >= RECONCILES_MAX => {
                Err(InsertError::FeedFull(admission.feed))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the signer may sign this; returns whether it is the root key.
fn verify_signer(
    record: &Signed<Record>,
    payload: &Payload,
    keys: &Keys,
) -> Result<bool, InsertError> {
    let signer = record.signer();
    let is_daily = signer == keys.daily;
    let by_root = !is_daily && keys.is_root(&signer);
    let needs_root = payload.needs_root()
        || matches!(payload, Payload::Compromise(said) if said.key != keys.daily);
    if needs_root && !by_root {
        return Err(InsertError::NeedsRoot(record.value().kind.clone(), signer));
    }
    if !is_daily && !by_root {
        return Err(InsertError::Signer(signer));
    }
    match payload {
        Payload::Rotation(rotation) if rotation.root_commitment == keys.root => {
            Err(InsertError::RootKept)
        }
        _ => Ok(by_root),
    }
}
