//! The node's copy of the consent ledger: in memory for the gate, in a log for the next start.
//!
//! Invariants: a record is on disk before anyone hears that it was taken; one identity's records of
//! this node are signed one after another, so that it never forks its own feed.
//! What it is not: the rules (see the `consent` crate), or the network.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use consent::ledger::ListError;
use consent::{
    Admitted, Gate, InsertError, Inserted, Ledger, Payload, Policy, Record, Remark, TableSeed,
    record_id,
};
use protocol::limits::{GENESIS_WORK_BITS, PAGE_ITEMS_MAX};
use protocol::{ContentId, FeedHead, FileHash, Frontier, OpenError, PublicKey, RecordId, Signed};
use rayon::prelude::*;
use tokio::sync::Notify;

use super::log::{LogError, RecordLog};
use super::quota::{Allowance, Quotas, Refused, Way};
use super::remarks::Remarks;
use crate::clock::{now_ms, steady_ms};

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It does not open: no honest node sends it.
    #[error("not a consent record: {0}")]
    Open(#[from] OpenError),
    /// It breaks a rule of its feed, or seems to because of what this node has not seen.
    #[error("{0}")]
    Insert(#[from] InsertError),
    /// Who sent it has brought as much as a peer may; it is welcome later, or from others.
    #[error("the peer that sent it has brought as many new feeds or records as a peer may for now")]
    Quota,
    /// It could not be kept.
    #[error("{0}")]
    Log(String),
}

impl From<LogError> for TakeError {
    fn from(error: LogError) -> Self {
        Self::Log(error.to_string())
    }
}

/// What became of a batch of records.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// How many were news.
    pub news: usize,
    /// Why one did not open, if one did not; nothing after it was looked at.
    pub bad: Option<OpenError>,
}

/// What a record turned out to be that came by gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gossiped {
    /// News: pass it on.
    News,
    /// News of a feed that has said enough for today.
    Kept,
    /// It was here.
    Known,
    /// It goes on from a record that is not here, and waits; this is where the feed has come to.
    Gap(FeedHead),
    /// It came on the other topic than the one for its kind.
    Misplaced,
}

/// The ledger with its place on disk.
#[derive(Debug)]
pub(crate) struct LedgerBook {
    inner: Mutex<Inner>,
    collections: Arc<Notify>,
    pub(super) quotas: Quotas,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) ledger: Ledger,
    /// Told when a collection is named, of which `described` were told.
    collections: Arc<Notify>,
    described: usize,
    pub(super) log: RecordLog,
    pub(super) remarks: Remarks,
}

impl LedgerBook {
    /// Reads the ledger from the log in `dir`; `seed` is this node's secret.
    pub(crate) fn open(dir: &Path, seed: TableSeed) -> Result<Self, TakeError> {
        Self::asking(dir, seed, GENESIS_WORK_BITS)
    }

    /// The same for a ledger that asks for so much work at a feed's birth.
    pub(super) fn asking(dir: &Path, seed: TableSeed, work_bits: u32) -> Result<Self, TakeError> {
        let (log, ledger) = RecordLog::open(dir, || Ledger::asking(work_bits, seed))?;
        let remarks = Remarks::open(dir.join("remarks"), &ledger).map_err(LogError::from)?;
        let collections = Arc::new(Notify::new());
        let mut inner =
            Inner { ledger, collections: Arc::clone(&collections), described: 0, log, remarks };
        inner.tell_of_collections();
        Ok(Self { inner: Mutex::new(inner), collections, quotas: Quotas::default() })
    }

    /// Takes a record that a peer gossiped, on the topic for urgent ones or on the other.
    pub(crate) fn take(
        &self,
        bytes: &[u8],
        from: PublicKey,
        on_urgent: bool,
    ) -> Result<Gossiped, TakeError> {
        self.take_at(bytes, from, on_urgent, steady_ms())
    }

    /// The same at a moment of the steady clock.
    pub(super) fn take_at(
        &self,
        bytes: &[u8],
        from: PublicKey,
        on_urgent: bool,
        now_ms: u64,
    ) -> Result<Gossiped, TakeError> {
        let given = self.quotas.allowance(from, Way::Gossip, now_ms);
        if given.records == 0 {
            self.quotas.refuse();
            return Err(TakeError::Quota);
        }
        let record = Signed::<Record>::open(bytes)?;
        if misplaced(record.value(), on_urgent) {
            return Ok(Gossiped::Misplaced);
        }
        let (feed, seq) = (record.value().feed_id(), record.value().seq);
        let end = FeedHead { feed, seq, head: record_id(&record) };
        let mut left = given;
        let inserted = {
            let mut inner = self.lock();
            let news = inner.insert([record], &mut left);
            let waits = || inner.ledger.held_record(&end.head).is_none();
            news.map(|news| (news > 0, news == 0 && waits()))
        };
        self.quotas.charge(from, Way::Gossip, given, left, now_ms);
        match inserted? {
            _ if left.feeds_refused + left.records_refused > 0 => Err(TakeError::Quota),
            (_, true) => Ok(Gossiped::Gap(end)),
            (false, _) => Ok(Gossiped::Known),
            (true, _) if self.quotas.may_forward(feed, now_ms) => Ok(Gossiped::News),
            (true, _) => Ok(Gossiped::Kept),
        }
    }

    /// Takes records that a peer answered with, in this order, verified on all cores and written at
    /// once. Those of a feed whose beginning is not here are left out.
    pub(super) fn take_all<T: AsRef<[u8]> + Sync>(
        &self,
        items: &[T],
        from: PublicKey,
    ) -> Result<Taken, TakeError> {
        let opened: Vec<Result<Signed<Record>, OpenError>> =
            items.par_iter().map(|bytes| Signed::<Record>::open(bytes.as_ref())).collect();
        let mut bad = None;
        let sound = opened.into_iter().map_while(|opened| opened.map_err(|e| bad = Some(e)).ok());
        let sound: Vec<Signed<Record>> = sound.collect();
        let now_ms = steady_ms();
        let given = self.quotas.allowance(from, Way::Answer, now_ms);
        let mut left = given;
        let news = self.lock().insert_following(sound, &mut left);
        self.quotas.charge(from, Way::Answer, given, left, now_ms);
        Ok(Taken { news: news?, bad })
    }

    /// Whether a record that waited is here now, and is to be passed on.
    pub(crate) fn has_news(&self, end: &FeedHead) -> bool {
        let is_here = self.lock().ledger.held_record(&end.head).is_some();
        is_here && self.quotas.may_forward(end.feed, steady_ms())
    }

    /// The ledger's frontier.
    pub(crate) fn frontier(&self) -> Arc<Frontier> {
        self.lock().ledger.frontier_shared()
    }

    /// Whether all that `required` has is here.
    pub(crate) fn reaches(&self, required: &Frontier) -> bool {
        self.frontier().dominates(required)
    }

    /// The heads in `required` that are not reached here, as many as one meeting takes.
    pub(crate) fn missing(&self, required: &Frontier) -> Vec<FeedHead> {
        let ours = self.frontier();
        let is_missing = |head: &&FeedHead| ours.seq(&head.feed) < Some(head.seq);
        required.heads().iter().filter(is_missing).take(PAGE_ITEMS_MAX).copied().collect()
    }

    /// How many records are held.
    pub(crate) fn count(&self) -> usize {
        self.lock().ledger.len()
    }

    /// What quotas refused since the start.
    pub(crate) fn refused(&self) -> Refused {
        self.quotas.refused()
    }

    /// Asks the gate, at this moment; nothing comes into the ledger meanwhile. Returns the frontier
    /// that was decided on with whatever `ask` returns.
    pub(crate) fn with_gate<T>(
        &self,
        policy: &Policy,
        ask: impl FnOnce(&Gate<'_>) -> T,
    ) -> (Arc<Frontier>, T) {
        let inner = self.lock();
        let gate = Gate::new(&inner.ledger, policy, now_ms());
        (inner.ledger.frontier_shared(), ask(&gate))
    }

    /// Hands over the ledger; nothing comes into it meanwhile, so it is not for long.
    pub(crate) fn with_ledger<T>(&self, ask: impl FnOnce(&Ledger) -> T) -> T {
        ask(&self.lock().ledger)
    }

    /// Waits until records name a collection that none named when this returned last.
    pub(crate) async fn collection_named(&self) {
        self.collections.notified().await;
    }

    /// Takes the list of a collection.
    pub(crate) fn add_list(&self, root: FileHash, works: &[ContentId]) -> Result<(), ListError> {
        self.lock().ledger.add_list(root, works)
    }

    /// Looks at the ledger and its log on disk together.
    pub(super) fn look<T>(&self, ask: impl FnOnce(&Ledger, &RecordLog) -> T) -> T {
        let inner = self.lock();
        ask(&inner.ledger, &inner.log)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held cannot leave a record half inserted that decides wrongly:
        // the ledger only ever grows, and what is in it was verified.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Inserts what follows what is here, and leaves out the rest: an answer comes in an order in
    /// which it can be inserted, so what does not follow never will.
    fn insert_following(
        &mut self,
        records: Vec<Signed<Record>>,
        left: &mut Allowance,
    ) -> Result<usize, TakeError> {
        let mut coming = BTreeSet::new();
        let follows = |ledger: &Ledger, prev: &RecordId| ledger.held_record(prev).is_some();
        let mut following = Vec::with_capacity(records.len());
        for record in records {
            let prev = record.value().prev;
            if prev.is_none_or(|prev| coming.contains(&prev) || follows(&self.ledger, &prev)) {
                coming.insert(record_id(&record));
                following.push(record);
            }
        }
        self.insert(following, left)
    }

    /// Inserts what others sent, as far as `left` allows, and keeps what is new. Of several, one that
    /// does not fit is left out; the only one that does not is an error.
    fn insert(
        &mut self,
        records: impl IntoIterator<Item = Signed<Record>>,
        left: &mut Allowance,
    ) -> Result<usize, TakeError> {
        let received_ms = now_ms();
        let (mut admitted, mut refused, mut taken) = (Vec::new(), None, 0);
        for record in records {
            let is_first = record.value().prev.is_none();
            if !self.allows(&record, is_first, left) {
                taken += 1;
                continue;
            }
            match self.ledger.insert(record, received_ms) {
                Ok(Inserted::New(new)) => {
                    left.feeds = left.feeds.saturating_sub(u64::from(is_first));
                    left.records = left.records.saturating_sub(new.len() as u64);
                    admitted.extend(new);
                }
                Ok(Inserted::Held | Inserted::Known) => taken += 1,
                Err(error) => {
                    tracing::debug!(%error, "a consent record was not taken");
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) if admitted.is_empty() && taken == 0 => Err(error.into()),
            _ if admitted.is_empty() => Ok(0),
            _ => {
                self.tell_of_collections();
                self.log.append(&self.ledger, &admitted)?;
                let records = admitted.iter().map(|it| it.record.value());
                if let Err(error) = self.remarks.obey(&self.ledger, records) {
                    // The next start tries again; whoever sent the wish passes it on meanwhile.
                    tracing::error!(%error, "a remark that its author wants erased is still here");
                }
                Ok(admitted.len())
            }
        }
    }

    /// Whether a record is within what its bringer may bring; counts it if not.
    fn allows(&self, record: &Signed<Record>, is_first: bool, left: &mut Allowance) -> bool {
        let has_room = left.records > 0 && (!is_first || left.feeds > 0);
        if has_room || self.ledger.held_record(&record_id(record)).is_some() {
            return true;
        }
        left.records_refused += 1;
        left.feeds_refused += u64::from(is_first && left.feeds == 0);
        false
    }

    /// Inserts records of this node's own identities, each durable, with the remark beside it, before
    /// anyone hears of it.
    pub(super) fn insert_own(
        &mut self,
        records: Vec<Signed<Record>>,
        remark: Option<&Remark>,
        made: &mut Vec<(RecordId, Vec<u8>)>,
    ) -> Result<(), TakeError> {
        for record in records {
            self.ledger.admits(&record)?;
            if let Some(remark) = remark {
                self.remarks
                    .keep(&record_id(&record), &remark.to_bytes())
                    .map_err(LogError::from)?;
            }
            // Written first: a record that peers have heard of and the next start has not would be
            // followed by another of its number, and a fork is for ever.
            let received_ms = now_ms();
            self.log.append_ahead(&record, received_ms)?;
            made.push((record_id(&record), record.bytes().to_vec()));
            self.ledger.insert(record.clone(), received_ms)?;
            let admitted = Admitted { record, received_ms };
            self.log.append_digest(&self.ledger, &admitted)?;
            let own = [admitted.record.value()];
            self.remarks.obey(&self.ledger, own).map_err(LogError::from)?;
        }
        self.tell_of_collections();
        Ok(())
    }

    fn tell_of_collections(&mut self) {
        let described = self.ledger.collections().len();
        if described != self.described {
            self.described = described;
            self.collections.notify_one();
        }
    }
}

/// Whether a record came on the wrong topic of the two. Of a kind that this version does not know
/// nobody here can tell.
fn misplaced(record: &Record, on_urgent: bool) -> bool {
    match record.payload() {
        Ok(Payload::Unknown) | Err(_) => false,
        Ok(payload) => goes_first(&payload) != on_urgent,
    }
}

/// Whether a record goes on the topic for urgent ones: restrictions and key events, and the
/// beginning of a feed, without which nothing of it counts.
pub(crate) fn goes_first(payload: &Payload) -> bool {
    payload.is_urgent() || matches!(payload, Payload::Genesis(_))
}
