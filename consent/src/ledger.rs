//! The ledger: all feeds held, and what their authors said about each work.
//!
//! The set of admitted records is the whole state; everything else is an index over it. So two
//! ledgers with the same records give the same answers, whatever the order, the doubles and the
//! detours by which the records came. The one local thing is when each record was received, which
//! only a policy's cooling period looks at.
//!
//! Rules between records, all of which only take power from allows and lifts:
//! - a lift ends its author's own statements, under a root key descended from the one that their
//!   feed committed to at birth;
//! - from the fork point of a feed on, in all branches, allows are void and lifts end only allows;
//! - keys: see `author`.
//!
//! Invariants: a record is admitted only after the one before it; restrictions are never voided.
//! What it is not: a store (the node keeps the envelopes and inserts them again when it starts) nor a
//! judge in time (see [`crate::Gate`]). Quotas on authors are for the caller.

use std::collections::{BTreeMap, VecDeque};

use protocol::limits::{FEED_RECORDS_MAX, FEEDS_MAX};
use protocol::{ContentId, FeedHead, FeedId, Message, PublicKey, RecordId, Signed};

use crate::author::{Author, Keys};
use crate::feed::{Feed, Slot};
use crate::held::Held;
use crate::payload::{Payload, Rotation};
use crate::record::{Record, record_id};
use crate::use_atom::{Use, Value};

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It is admitted, and after it those that waited for it, in this order.
    New(Vec<RecordId>),
    /// It waits for the record before it, and decides nothing until then.
    Held,
    /// It was there.
    Known,
}

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// It breaks a rule of records by itself.
    #[error("{0}")]
    Rule(String),
    /// Its predecessor is of another feed, or not directly before it.
    #[error("the record named as the one before is not at the place before in this feed")]
    Chain,
    /// Its signer's key is not one of the feed's at that point.
    #[error("signed by {0}, which is not a key of this feed at this point")]
    Signer(PublicKey),
    /// Only the root key may do this.
    #[error("a {0} is signed by the root key, not by {1}")]
    NeedsRoot(String, PublicKey),
    /// A rotation that shows the root key and keeps it.
    #[error("a rotation must replace the root key")]
    RootKept,
    /// The feed has as many records as a feed may have.
    #[error("feed {} of {} is full", .0.feed, .0.author)]
    FeedFull(FeedId),
    /// The ledger has as many feeds as it may have.
    #[error("the ledger is full: {FEEDS_MAX} feeds")]
    FeedsFull,
}

/// An admitted record with what is looked up often.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Signed<Record>,
    pub(crate) received_ms: u64,
    /// The keys in force after it: an index into `Ledger::keys`.
    pub(crate) keys: usize,
    pub(crate) rules: Box<[(Use, Value)]>,
    pub(crate) not_after_ms: Option<u64>,
    pub(crate) urgent: bool,
}

/// All feeds held, and the answer they give together.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) entries: Vec<Entry>,
    pub(crate) slots: BTreeMap<RecordId, Slot>,
    pub(crate) feeds: BTreeMap<FeedId, Feed>,
    pub(crate) authors: BTreeMap<PublicKey, Author>,
    /// The statements about each work.
    pub(crate) statements: BTreeMap<ContentId, Vec<Slot>>,
    /// The lifts that name each record, whether or not it is here.
    pub(crate) lifts: BTreeMap<RecordId, Vec<Slot>>,
    pub(crate) keys: Vec<Keys>,
    held: Held,
}

impl Ledger {
    /// A ledger without feeds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a record that was received at `received_ms` (milliseconds since 1970, of this
    /// node's clock). Of a record that comes twice the earlier time counts.
    ///
    /// Only what [`Inserted::New`] names needs to be kept on disk.
    pub fn insert(
        &mut self,
        record: Signed<Record>,
        received_ms: u64,
    ) -> Result<Inserted, InsertError> {
        let id = record_id(&record);
        if let Some(slot) = self.slots.get(&id) {
            let entry = &mut self.entries[*slot];
            entry.received_ms = entry.received_ms.min(received_ms);
            return Ok(Inserted::Known);
        }
        record.value().check(&record.signer()).map_err(InsertError::Rule)?;
        match record.value().prev {
            Some(prev) if !self.slots.contains_key(&prev) => {
                self.held.add(record, prev, received_ms);
                return Ok(Inserted::Held);
            }
            _ => self.admit(record, received_ms)?,
        }
        let mut admitted = vec![id];
        let mut next = VecDeque::from([id]);
        while let Some(prev) = next.pop_front() {
            for waiting in self.held.take_after(prev) {
                let id = record_id(&waiting.record);
                // One that does not fit after all is dropped: it can never be admitted.
                if self.admit(waiting.record, waiting.received_ms).is_ok() {
                    admitted.push(id);
                    next.push_back(id);
                }
            }
        }
        Ok(Inserted::New(admitted))
    }

    /// An admitted record.
    pub fn record(&self, id: &RecordId) -> Option<&Signed<Record>> {
        self.slots.get(id).map(|slot| &self.entries[*slot].record)
    }

    /// When a record was first received, in milliseconds since 1970.
    pub fn received_ms(&self, id: &RecordId) -> Option<u64> {
        self.slots.get(id).map(|slot| self.entries[*slot].received_ms)
    }

    /// Where the author of a feed goes on.
    pub fn head(&self, feed: &FeedId) -> Option<FeedHead> {
        let (seq, head) = self.feeds.get(feed)?.tip()?;
        Some(FeedHead { feed: *feed, seq, head })
    }

    /// The feeds of an author.
    pub fn feeds_of(&self, author: PublicKey) -> impl Iterator<Item = FeedId> {
        let first = FeedId { author, feed: 0 };
        let last = FeedId { author, feed: u32::MAX };
        self.feeds.range(first..=last).map(|(feed, _)| *feed)
    }

    /// How many records are admitted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many records wait for one before them.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn admit(&mut self, record: Signed<Record>, received_ms: u64) -> Result<(), InsertError> {
        let payload = record.value().payload().map_err(|e| InsertError::Rule(e.to_string()))?;
        let feed_id = record.value().feed_id();
        match self.feeds.get(&feed_id) {
            Some(feed) if feed.len() >= FEED_RECORDS_MAX => {
                return Err(InsertError::FeedFull(feed_id));
            }
            None if self.feeds.len() >= FEEDS_MAX => return Err(InsertError::FeedsFull),
            _ => {}
        }
        let before = self.keys_before(record.value())?;
        if let Some(at) = before {
            verify_signer(&record, &payload, &self.keys[at])?;
        }
        let keys = self.keys_after(&record, &payload, before);
        self.index(record, payload, received_ms, keys);
        Ok(())
    }

    /// The keys in force where this record stands; none for a genesis.
    fn keys_before(&self, record: &Record) -> Result<Option<usize>, InsertError> {
        let Some(prev) = record.prev else { return Ok(None) };
        let slot = self.slots.get(&prev).ok_or(InsertError::Chain)?;
        let before = &self.entries[*slot];
        let value = before.record.value();
        if value.feed_id() == record.feed_id() && value.seq.checked_add(1) == Some(record.seq) {
            Ok(Some(before.keys))
        } else {
            Err(InsertError::Chain)
        }
    }

    fn keys_after(
        &mut self,
        record: &Signed<Record>,
        payload: &Payload,
        before: Option<usize>,
    ) -> usize {
        let value = record.value();
        let author = self.authors.entry(value.author).or_default();
        match (payload, before) {
            (Payload::Rotation(rotation), Some(before)) => {
                let old = self.keys[before];
                author.add_rotation(value.feed_id(), value.seq, &old, rotation);
                let Rotation { daily, root_commitment: root } = *rotation;
                self.keys.push(Keys { daily, root, ..old });
            }
            (Payload::Genesis(genesis), _) => {
                let root = genesis.root_commitment;
                author.add_genesis(root);
                self.keys.push(Keys { daily: value.author, root, genesis: root });
            }
            (_, before) => {
                return before.expect("a record without a predecessor is a genesis, by its check");
            }
        }
        self.keys.len() - 1
    }

    fn index(&mut self, record: Signed<Record>, payload: Payload, received_ms: u64, keys: usize) {
        let id = record_id(&record);
        let slot = self.entries.len();
        let Record { seq, prev, .. } = *record.value();
        self.slots.insert(id, slot);
        self.feeds.entry(record.value().feed_id()).or_default().add(seq, id, prev, slot);
        let urgent = payload.is_urgent();
        let (mut rules, mut not_after_ms) = (Box::default(), None);
        match payload {
            Payload::Statement(statement) => {
                for work in statement.subjects.iter().filter_map(|subject| subject.content()) {
                    self.statements.entry(work).or_default().push(slot);
                }
                rules = statement.rules.into_boxed_slice();
                not_after_ms = statement.not_after_ms;
            }
            Payload::Lift(lift) => {
                for statement in lift.statements {
                    self.lifts.entry(statement).or_default().push(slot);
                }
            }
            Payload::Genesis(_) | Payload::Rotation(_) | Payload::Unknown => {}
        }
        self.entries.push(Entry { record, received_ms, keys, rules, not_after_ms, urgent });
    }
}

fn verify_signer(
    record: &Signed<Record>,
    payload: &Payload,
    keys: &Keys,
) -> Result<(), InsertError> {
    let signer = record.signer();
    let needs_root = matches!(payload, Payload::Lift(_) | Payload::Rotation(_));
    if needs_root && !keys.is_root(&signer) {
        return Err(InsertError::NeedsRoot(record.value().kind.clone(), signer));
    }
    if !keys.hold(&signer) {
        return Err(InsertError::Signer(signer));
    }
    match payload {
        Payload::Rotation(rotation) if rotation.root_commitment == keys.root => {
            Err(InsertError::RootKept)
        }
        _ => Ok(()),
    }
}
