//! One admitted record as the ledger keeps it: 72 bytes, and what statements say beside it.
//!
//! Invariants: an entry never changes but for an earlier time of receipt. What it is not: the
//! envelope, which the caller keeps in the order of the slots.

use protocol::{FeedId, RecordId};

use super::feed::Healing;
use super::table::Slot;
use crate::statement::Behalf;
use crate::use_atom::{Use, Value};

/// Stands for no slot.
const NONE: u32 = u32::MAX;

/// A record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: RecordId,
    /// When this node first received it, in milliseconds since 1970.
    pub(crate) received_ms: u64,
    /// Where its feed stands in the ledger's list.
    pub(crate) feed: u32,
    /// Its place in the feed.
    pub(crate) seq: u32,
    prev: Slot,
    /// The keys in force after it, in the ledger's list.
    pub(crate) keys: u32,
    /// What it says, in the ledger's list.
    said: u32,
    /// Subjects that match by likeness in the feed up to it.
    pub(crate) similar: u32,
    pub(crate) healing: Healing,
    pub(crate) by_root: bool,
    pub(crate) urgent: bool,
}

/// Where a record stands.
pub(crate) struct Place {
    pub(crate) feed: u32,
    pub(crate) seq: u32,
    pub(crate) prev: Option<Slot>,
    pub(crate) keys: u32,
    pub(crate) similar: u32,
    pub(crate) healing: Healing,
}

/// What a statement says, without of which works: many statements share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    /// For each use, in the order of [`Use::ALL`].
    pub(crate) values: [Value; 7],
    pub(crate) not_after_ms: Option<u64>,
    pub(crate) behalf: Option<Behalf>,
}

impl Entry {
    pub(crate) fn new(id: RecordId, received_ms: u64, place: &Place, said: Option<u32>) -> Self {
        Self {
            id,
            received_ms,
            feed: place.feed,
            seq: place.seq,
            prev: place.prev.unwrap_or(NONE),
            keys: place.keys,
            said: said.unwrap_or(NONE),
            similar: place.similar,
            healing: place.healing,
            by_root: false,
            urgent: false,
        }
    }

    /// The record before it.
    pub(crate) fn prev(&self) -> Option<Slot> {
        (self.prev != NONE).then_some(self.prev)
    }

    /// What it says, if it is a statement.
    pub(crate) fn said(&self) -> Option<u32> {
        (self.said != NONE).then_some(self.said)
    }
}

impl Said {
    pub(crate) fn value(&self, about: Use) -> Value {
        self.values[about as usize]
    }
}

/// A record as somebody outside the ledger sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: RecordId,
    /// Its feed.
    pub feed: FeedId,
    /// Its place in the feed.
    pub seq: u64,
    /// Its place in the order in which this ledger admitted records, from 0.
    pub slot: u32,
    /// When this node first received it, in milliseconds since 1970.
    pub received_ms: u64,
}
