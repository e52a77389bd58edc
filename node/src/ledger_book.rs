//! The node's copy of the consent ledger: in memory for the gate, on disk for the next start.
//!
//! Invariants: a record is on disk before anyone hears that it was taken; one identity's records of
//! this node are signed one after another, so that it never forks its own feed.
//! What it is not: the rules (see the `consent` crate), or the network.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use consent::{Gate, Identity, InsertError, Inserted, Ledger, Policy, Record, Statement, Use};
use consent::{head_at, record_id};
use protocol::{ContentId, Frontier, OpenError, RecordId, Signed};

use crate::clock::now_ms;
use crate::store::{Store, StoreError};

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It does not open: no honest node sends it.
    #[error("not a consent record: {0}")]
    Open(#[from] OpenError),
    /// It breaks a rule of its feed, or seems to because of what this node has not seen.
    #[error("{0}")]
    Insert(#[from] InsertError),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be made.
    #[error("cannot sign the record: {0}")]
    Sign(#[from] consent::identity::SignError),
}

/// The ledger with its place on disk.
#[derive(Debug)]
pub(crate) struct LedgerBook {
    ledger: Mutex<Ledger>,
    store: Store,
}

impl LedgerBook {
    /// Reads the ledger from disk.
    pub(crate) fn open(store: Store) -> Result<Self, TakeError> {
        let mut ledger = Ledger::new();
        for (received_ms, bytes) in store.records()? {
            let record = Signed::<Record>::open(&bytes)?;
            // One of our own that was refused after it was written: see `insert_own`.
            if let Err(error) = ledger.insert(record, received_ms) {
                tracing::warn!(%error, "a record on disk is not taken");
            }
        }
        Ok(Self { ledger: Mutex::new(ledger), store })
    }

    /// Takes a record from outside. Says whether it was news.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<bool, TakeError> {
        let record = Signed::<Record>::open(bytes)?;
        self.insert(&mut self.lock(), record)
    }

    /// The ledger's frontier.
    pub(crate) fn frontier(&self) -> Frontier {
        self.lock().frontier()
    }

    /// How many records are held.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Records that somebody with this frontier lacks, as envelopes, after the first `skip`, at most
    /// `count`.
    pub(crate) fn records_since(
        &self,
        frontier: &Frontier,
        skip: u64,
        count: usize,
    ) -> Vec<Vec<u8>> {
        let ledger = self.lock();
        let records = ledger.records_since(frontier).skip(skip as usize).take(count);
        records.map(|record| record.bytes().to_vec()).collect()
    }

    /// Asks the gate, at this moment; nothing comes into the ledger meanwhile. Returns the frontier
    /// that was decided on with whatever `ask` returns.
    pub(crate) fn with_gate<T>(
        &self,
        policy: &Policy,
        ask: impl FnOnce(&Gate<'_>) -> T,
    ) -> (Frontier, T) {
        let ledger = self.lock();
        let gate = Gate::new(&ledger, policy, now_ms());
        (ledger.frontier(), ask(&gate))
    }

    /// Registers that `works` may not be used for `uses`. Returns the new records' envelopes.
    pub(crate) fn opt_out(
        &self,
        identity: &Identity,
        works: impl IntoIterator<Item = ContentId>,
        uses: &[Use],
    ) -> Result<Vec<(RecordId, Vec<u8>)>, TakeError> {
        self.state(identity, Statement::deny(uses).over(works))
    }

    /// Registers that `works` may be used for `uses` until `not_after_ms`; what this identity had
    /// denied of them is lifted first. Returns the new records' envelopes.
    pub(crate) fn opt_in(
        &self,
        identity: &Identity,
        works: &BTreeSet<ContentId>,
        uses: &[Use],
        not_after_ms: u64,
    ) -> Result<Vec<(RecordId, Vec<u8>)>, TakeError> {
        let reopening = self.lock().reopening(identity.author(), works, uses);
        let mut made = self.state(identity, reopening.restated)?;
        if !reopening.lifted.is_empty() {
            let mut ledger = self.lock();
            let head = self.head(&mut ledger, identity, &mut made)?;
            let lifts = identity.lifts(&head, reopening.lifted)?;
            self.insert_own(&mut ledger, lifts, &mut made)?;
        }
        let allow = Statement::allow(uses, not_after_ms).over(works.iter().copied());
        made.extend(self.state(identity, allow)?);
        Ok(made)
    }

    fn state(
        &self,
        identity: &Identity,
        statements: Vec<Statement>,
    ) -> Result<Vec<(RecordId, Vec<u8>)>, TakeError> {
        let mut made = Vec::new();
        if statements.is_empty() {
            return Ok(made);
        }
        let mut ledger = self.lock();
        let head = self.head(&mut ledger, identity, &mut made)?;
        let records = identity.statements(&head, &statements)?;
        self.insert_own(&mut ledger, records, &mut made)?;
        Ok(made)
    }

    /// Where the identity's feed goes on; its first record is made if there is none.
    fn head(
        &self,
        ledger: &mut Ledger,
        identity: &Identity,
        made: &mut Vec<(RecordId, Vec<u8>)>,
    ) -> Result<protocol::FeedHead, TakeError> {
        if let Some(head) = ledger.head(&identity.feed()) {
            return Ok(head);
        }
        let genesis = identity.genesis()?;
        let head = head_at(&genesis);
        self.insert_own(ledger, vec![genesis], made)?;
        Ok(head)
    }

    fn insert_own(
        &self,
        ledger: &mut Ledger,
        records: Vec<Signed<Record>>,
        made: &mut Vec<(RecordId, Vec<u8>)>,
    ) -> Result<(), TakeError> {
        for record in records {
            // Written first: a record that peers have heard of and the next start has not would be
            // followed by another of its number, and a fork is for ever.
            let (received_ms, bytes) = (now_ms(), record.bytes().to_vec());
            self.store.keep_records(&[(received_ms, bytes.clone())])?;
            made.push((record_id(&record), bytes));
            ledger.insert(record, received_ms)?;
        }
        Ok(())
    }

    fn insert(&self, ledger: &mut Ledger, record: Signed<Record>) -> Result<bool, TakeError> {
        let received_ms = now_ms();
        let Inserted::New(admitted) = ledger.insert(record, received_ms)? else {
            return Ok(false);
        };
        let records: Vec<(u64, Vec<u8>)> = admitted
            .iter()
            .filter_map(|id| ledger.record(id))
            .map(|record| {
                let id = record_id(record);
                (ledger.received_ms(&id).unwrap_or(received_ms), record.bytes().to_vec())
            })
            .collect();
        self.store.keep_records(&records)?;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // A panic while the lock was held cannot leave a record half inserted that decides wrongly:
        // the ledger only ever grows, and what is in it was verified.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
