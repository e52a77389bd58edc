//! Remarks on disk: a file each, named by the record beside which it stands.
//!
//! Invariants: a remark is kept only beside a record that is here and names it, and never after its
//! author asked for it to be erased; it is gone for good before anyone hears that it was erased.
//! What it is not: the whole of the network's remarks. One comes here when somebody looks at it.

use std::path::PathBuf;

use consent::payload::TOMBSTONE;
use consent::{Ledger, Payload, Record, Remark, RemarkError};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use protocol::exchange::{Answer, Question};
use protocol::limits::{REMARK_BYTES_MAX, REMARK_PEERS_MAX};
use protocol::{FileHash, PublicKey, RecordId};

use super::book::{LedgerBook, TakeError};
use crate::durable::{self, FileError};
use crate::net::Net;

/// What stands beside a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing was ever said.
    Nothing,
    /// This text.
    Text(String),
    /// A text that is not here.
    Away(RemarkName),
    /// A text whose author asked for it to be erased.
    Erased,
}

/// What makes sure that bytes are the remark that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemarkName {
    pub(crate) author: PublicKey,
    pub(crate) hash: FileHash,
}

/// The directory.
#[derive(Debug)]
pub(super) struct Remarks {
    dir: PathBuf,
}

impl Remarks {
    /// Opens the directory, made if it is not there, and removes what a stop in the middle left:
    /// remarks that are to be erased, or that stand beside no record.
    pub(super) fn open(dir: PathBuf, ledger: &Ledger) -> Result<Self, FileError> {
        durable::make_dir(&dir)?;
        for path in durable::names(&dir)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let record = name.and_then(|name| name.parse::<RecordId>().ok());
            let stands = |id: &RecordId| ledger.held_record(id).is_some() && !ledger.is_erased(id);
            if !record.as_ref().is_some_and(stands) {
                durable::remove(&path)?;
            }
        }
        Ok(Self { dir })
    }

    /// Keeps a remark; durable when it returns.
    pub(super) fn keep(&self, record: &RecordId, remark: &[u8]) -> Result<(), FileError> {
        durable::replace(&self.path(record), remark)
    }

    /// Erases the remarks that tombstones among these records name.
    pub(super) fn obey<'a>(
        &self,
        ledger: &Ledger,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), FileError> {
        for record in records.into_iter().filter(|record| record.kind == TOMBSTONE) {
            let Ok(Payload::Tombstone(tombstone)) = record.payload() else { continue };
            for id in tombstone.records.iter().filter(|id| ledger.is_erased(id)) {
                durable::remove(&self.path(id))?;
            }
        }
        Ok(())
    }

    /// The bytes beside a record, if they are here.
    fn read(&self, record: &RecordId) -> Option<Vec<u8>> {
        durable::read_if_there(&self.path(record), REMARK_BYTES_MAX).unwrap_or_else(|error| {
            tracing::warn!(%error, "a remark is not shown");
            None
        })
    }

    fn path(&self, record: &RecordId) -> PathBuf {
        self.dir.join(record.to_string())
    }
}

impl LedgerBook {
    /// What stands beside a record of the ledger.
    pub(crate) fn beside(&self, id: &RecordId) -> Result<Beside, TakeError> {
        let inner = self.lock();
        let Some(held) = inner.ledger.held_record(id) else { return Ok(Beside::Nothing) };
        let Some(name) = inner.remark_name(held.slot)? else { return Ok(Beside::Nothing) };
        if inner.ledger.is_erased(id) {
            return Ok(Beside::Erased);
        }
        let found = inner.remarks.read(id);
        let remark = found.and_then(|bytes| Remark::open(&bytes, name.author, name.hash).ok());
        Ok(remark.map_or(Beside::Away(name), |remark| Beside::Text(remark.text().to_owned())))
    }

    /// The remark beside a record, for whoever asks.
    pub(crate) fn remark_for(&self, id: &RecordId) -> Option<Vec<u8>> {
        let inner = self.lock();
        let stands = inner.ledger.held_record(id).is_some() && !inner.ledger.is_erased(id);
        stands.then(|| inner.remarks.read(id)).flatten()
    }

    /// Keeps what a peer says is the remark beside a record; returns its text.
    fn take_remark(
        &self,
        id: &RecordId,
        name: &RemarkName,
        bytes: &[u8],
    ) -> Result<String, RemarkError> {
        let remark = Remark::open(bytes, name.author, name.hash)?;
        let inner = self.lock();
        if !inner.ledger.is_erased(id)
            && let Err(error) = inner.remarks.keep(id, bytes)
        {
            tracing::warn!(%error, "a remark was not kept");
        }
        Ok(remark.text().to_owned())
    }
}

/// Asks connected peers for the remark beside a record, all at once; the first that has it will do.
pub(crate) async fn pull_remark(
    net: &Net,
    ledger: &LedgerBook,
    id: RecordId,
    name: RemarkName,
) -> Option<String> {
    let question = Question::Remark { record: id }.to_bytes();
    let peers = net.peers().await;
    let mut answers: FuturesUnordered<_> = peers
        .iter()
        .take(REMARK_PEERS_MAX)
        .map(|peer| async { (peer.key, net.request(peer.key, question.clone()).await) })
        .collect();
    while let Some((peer, answer)) = answers.next().await {
        let Ok(bytes) = answer else { continue };
        let Ok(answer) = Answer::from_bytes(&bytes) else {
            net.penalise(peer, "a malformed answer").await;
            continue;
        };
        let Some(remark) = answer.items.first() else { continue };
        match tokio::task::block_in_place(|| ledger.take_remark(&id, &name, remark)) {
            Ok(text) => return Some(text),
            Err(error) => {
                tracing::info!(peer = %peer.short(), %error, "refused a remark");
                net.penalise(peer, "another remark than the one asked for").await;
            }
        }
    }
    None
}
