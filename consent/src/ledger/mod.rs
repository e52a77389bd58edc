//! The ledger: all feeds held, and what their authors said about each work.
//!
//! The set of admitted records is the whole state; everything else is an index over it. So two
//! ledgers with the same records give the same answers, whatever the order, the doubles and the
//! detours by which the records came. The one local thing is when each record was received, which
//! only a policy's cooling period looks at.
//!
//! Records are kept as what decides (some 130 bytes for a statement about one work), numbered in the
//! order of admission; the caller keeps the envelopes in that order.
//!
//! Invariants: a record is admitted only after the one before it; restrictions are never voided.
//! What it is not: a store (the node keeps envelopes and digests, and replays the digests when it
//! starts) nor a judge in time (see [`crate::Gate`]).

mod admission;
mod author;
mod catch_up;
mod claim;
mod collections;
mod digest;
mod entry;
mod exact;
mod feed;
mod fork;
mod held;
mod power;
mod replay;
mod state;
mod subjects;
mod sync;
mod table;
mod voices;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use protocol::{FeedHead, FeedId, FileHash, Frontier, Message, PublicKey, RecordId, Signed};

pub use admission::InsertError;
pub use catch_up::{Came, CatchUp};
pub(crate) use claim::Speakers;
pub use claim::{Claim, ClaimState};
pub use collections::ListError;
pub use digest::DigestError;
pub use entry::Held as HeldRecord;
pub use feed::forked_head;
pub use fork::{Fork, ForkProof, ForkProofError};
pub use replay::Replay;
pub use state::{FeedKeys, GivingDoubt, Leave, RecordState};
pub use sync::Lacking;
pub use table::TableSeed;

use admission::Admission;
use author::{Author, Keys};
use entry::{Entry, Place, Said};
use feed::Feed;
use held::Held;
use subjects::Subjects;
use table::{Slot, SlotTable};
use voices::Voices;

use crate::payload::{Payload, Rotation};
use crate::record::{Record, record_id};

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It is admitted, and after it those that waited for it, in this order.
    New(Vec<Admitted>),
    /// It waits for the record before it, and decides nothing until then.
    Held,
    /// It was there.
    Known,
}

/// A record that has just become part of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The record.
    pub record: Signed<Record>,
    /// When it was first received, in milliseconds since 1970.
    pub received_ms: u64,
}

/// All feeds held, and the answer they give together.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    ids: SlotTable,
    seed: TableSeed,
    feeds: Vec<Feed>,
    feed_at: BTreeMap<FeedId, u32>,
    authors: Vec<Author>,
    author_at: BTreeMap<PublicKey, u32>,
    keys: Vec<Keys>,
    statements: Statements,
    voices: Voices,
    held: Held,
    work_bits_min: u32,
}

/// What statements say, and of which works.
#[derive(Debug, Default)]
struct Statements {
    said: Vec<Said>,
    said_at: BTreeMap<Said, u32>,
    subjects: Subjects,
    /// Computed when asked for, until the next record.
    frontier: OnceLock<Arc<Frontier>>,
    frontier_id: OnceLock<FileHash>,
}

impl Ledger {
    /// A ledger without feeds, which takes feeds born with any work.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ledger without feeds that takes only feeds born with so much work
    /// ([`crate::Genesis::work_bits`]); `seed` is a secret of this node.
    pub fn asking(work_bits_min: u32, seed: TableSeed) -> Self {
        let statements = Statements { subjects: Subjects::new(seed), ..Statements::default() };
        Self { seed, work_bits_min, statements, ..Self::default() }
    }

    /// Takes in a record that was received at `received_ms` (milliseconds since 1970, of this
    /// node's clock). Of a record that comes twice the earlier time counts.
    ///
    /// Only what [`Inserted::New`] names needs to be kept on disk, in that order.
    pub fn insert(
        &mut self,
        record: Signed<Record>,
        received_ms: u64,
    ) -> Result<Inserted, InsertError> {
        let id = record_id(&record);
        if let Some(slot) = self.slot(&id) {
            let entry = &mut self.entries[slot as usize];
            entry.received_ms = entry.received_ms.min(received_ms);
            return Ok(Inserted::Known);
        }
        record.value().check(&record.signer()).map_err(InsertError::Rule)?;
        match record.value().prev {
            Some(prev) if self.slot(&prev).is_none() => {
                self.held.add(record, prev, received_ms);
                return Ok(Inserted::Held);
            }
            _ => self.admit(&record, received_ms)?,
        }
        let mut admitted = vec![Admitted { record, received_ms }];
        let mut next = VecDeque::from([id]);
        while let Some(prev) = next.pop_front() {
            for waiting in self.held.take_after(prev) {
                let held::Waiting { record, received_ms, .. } = waiting;
                // One that does not fit after all is dropped: it can never be admitted.
                if self.admit(&record, received_ms).is_ok() {
                    next.push_back(record_id(&record));
                    admitted.push(Admitted { record, received_ms });
                }
            }
        }
        Ok(Inserted::New(admitted))
    }

    /// Whether a record that is not here would be admitted now.
    pub fn admits(&self, record: &Signed<Record>) -> Result<(), InsertError> {
        record.value().check(&record.signer()).map_err(InsertError::Rule)?;
        self.admission(record, 0).map(|_| ())
    }

    /// Where an admitted record stands.
    pub fn held_record(&self, id: &RecordId) -> Option<HeldRecord> {
        self.slot(id).map(|slot| self.at(slot))
    }

    /// The record admitted as number `slot`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn at(&self, slot: u32) -> HeldRecord {
        let entry = self.entry(slot);
        let feed = self.feeds[entry.feed as usize].id;
        let (id, received_ms) = (entry.id, entry.received_ms);
        HeldRecord { id, feed, seq: entry.seq.into(), slot, received_ms }
    }

    /// Where the author of a feed goes on.
    pub fn head(&self, feed: &FeedId) -> Option<FeedHead> {
        let tip = self.entry(self.feed(feed)?.tip(&self.entries)?);
        Some(FeedHead { feed: *feed, seq: tip.seq.into(), head: tip.id })
    }

    /// The feeds of an author.
    pub fn feeds_of(&self, author: PublicKey) -> impl Iterator<Item = FeedId> {
        let first = FeedId { author, feed: 0 };
        let last = FeedId { author, feed: u32::MAX };
        self.feed_at.range(first..=last).map(|(feed, _)| *feed)
    }

    /// How many feeds there are.
    pub fn feeds(&self) -> usize {
        self.feeds.len()
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

    fn slot(&self, id: &RecordId) -> Option<Slot> {
        let is = |slot: Slot| self.entries[slot as usize].id == *id;
        self.ids.find(self.seed.hash(id.as_bytes()), is)
    }

    fn feed(&self, id: &FeedId) -> Option<&Feed> {
        self.feed_at.get(id).map(|at| &self.feeds[*at as usize])
    }

    fn admit(&mut self, record: &Signed<Record>, received_ms: u64) -> Result<(), InsertError> {
        let admission = self.admission(record, received_ms)?;
        self.apply(admission);
        Ok(())
    }

    /// Takes in what was checked.
    fn apply(&mut self, admission: Admission) {
        let hash = self.seed.hash(admission.id.as_bytes());
        let slot = self.add(admission);
        self.ids.insert(hash, slot);
        self.statements.subjects.link();
    }

    /// Takes it in, but for where it and the works that it names are found by their ids.
    fn add(&mut self, admission: Admission) -> Slot {
        let Admission { id, received_ms, feed: feed_id, seq, prev, by_root, payload } = admission;
        let slot = self.entries.len() as Slot;
        let feed = self.feed_or_new(feed_id);
        let keys = self.keys_after(feed, seq, prev, &payload);
        let before = prev.map(|prev| *self.entry(prev));
        let (healing, mut similar) =
            before.map_or((0, 0), |before| (before.healing, before.similar));
        self.statements.frontier.take();
        self.statements.frontier_id.take();
        let said = match &payload {
            Payload::Statement(statement) => {
                similar = self.statements.add(slot, statement, similar);
                Some(self.statements.said(statement))
            }
            _ => None,
        };
        let place = Place { feed, seq, prev, keys, similar, healing };
        let mut entry = Entry::new(id, received_ms, &place, said);
        (entry.by_root, entry.urgent) = (by_root, payload.is_urgent());
        self.entries.push(entry);
        self.feeds[feed as usize].add(slot, &self.entries);
        if let Payload::Reconcile(reconcile) = &payload {
            let heads = reconcile.heads.iter().filter_map(|head| self.slot(head)).collect();
            let healing = self.feeds[feed as usize].reconcile(slot, heads, &self.entries);
            self.entries[slot as usize].healing = healing;
        }
        self.voices.add(slot, id, &payload);
        slot
    }

    fn feed_or_new(&mut self, id: FeedId) -> u32 {
        if let Some(at) = self.feed_at.get(&id) {
            return *at;
        }
        let authors = self.authors.len() as u32;
        let author = *self.author_at.entry(id.author).or_insert(authors);
        if author == authors {
            self.authors.push(Author::default());
        }
        let at = self.feeds.len() as u32;
        self.feeds.push(Feed::new(id, author));
        self.feed_at.insert(id, at);
        at
    }

    fn keys_after(&mut self, feed: u32, seq: u32, prev: Option<Slot>, payload: &Payload) -> u32 {
        let before = prev.map(|prev| self.entry(prev).keys);
        let feed = &self.feeds[feed as usize];
        let author = &mut self.authors[feed.author as usize];
        match (payload, before) {
            (Payload::Rotation(rotation), Some(before)) => {
                let old = self.keys[before as usize];
                author.add_rotation(feed.id, seq.into(), &old, rotation);
                let Rotation { daily, root_commitment: root } = *rotation;
                self.keys.push(Keys { daily, root, ..old });
            }
            (Payload::Genesis(genesis), None) => {
                let root = genesis.root_commitment;
                author.add_genesis(root);
                self.keys.push(Keys { daily: feed.id.author, root, genesis: root });
            }
            (payload, before) => {
                let before = before.expect("only a genesis has nothing before it, as was checked");
                if let Payload::Compromise(said) = payload {
                    author.add_compromise(feed.id, &self.keys[before as usize], said);
                }
                return before;
            }
        }
        self.keys.len() as u32 - 1
    }
}

impl Statements {
    /// Keeps what a statement says; most say what others do.
    fn said(&mut self, statement: &crate::Statement) -> u32 {
        let said = Said {
            values: statement.values(),
            not_after_ms: statement.not_after_ms,
            behalf: statement.behalf,
        };
        let next = self.said.len() as u32;
        *self.said_at.entry(said).or_insert_with_key(|said| {
            self.said.push(said.clone());
            next
        })
    }

    /// Keeps which works it speaks of; returns the feed's subjects by likeness up to it.
    fn add(&mut self, slot: Slot, statement: &crate::Statement, similar: u32) -> u32 {
        self.subjects.add(slot, &statement.subjects, similar)
    }
}
