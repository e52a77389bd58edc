//! Keeping a log: new records in, a checkpoint signed, cosigned and shown, again and again.
//!
//! Invariants: a checkpoint is shown only after it was kept as signed; the next is signed only after
//! every witness was asked about this one, so that what is shown has a chance to be cosigned.
//! What it is not: a gate for records. The ledger takes them whether the log runs or not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consent::proof::{AbsenceProof, RecordProof};
use futures::future::join_all;
use protocol::limits::{LOG_APPEND_MAX, LOG_PUBLISH_EVERY_MS, RECORD_BYTES_MAX};
use protocol::log::witness::AddCheckpoint;
use protocol::log::{SignedCheckpoint, VerifierKey};
use protocol::{ContentId, RecordId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::place::{LogDir, LogDirError, WitnessAddress};
use super::submit::add_checkpoint;
use super::writer::{LogError, LogWriter};
use crate::ledger::LedgerBook;

/// Bytes of entries taken in at once.
const BATCH_BYTES_MAX: usize = 1_024 * RECORD_BYTES_MAX;
/// How often a witness may name another size before it is given up for now.
const CONFLICTS_MAX: usize = 3;

/// A log at work.
#[derive(Debug)]
pub struct LogBook {
    writer: Mutex<LogWriter>,
    /// The size that each witness has, as far as is known, by its key.
    sizes: Mutex<BTreeMap<String, u64>>,
    /// The size of what is shown.
    shown: watch::Sender<u64>,
}

impl LogBook {
    /// Takes up the log of a data directory, whose records `ledger` has; none if there is no log.
    pub(crate) fn open(home: &Path, ledger: &LedgerBook) -> Result<Option<Self>, LogError> {
        let dir = match LogDir::open(home) {
            Err(LogDirError::Missing) => return Ok(None),
            dir => dir?,
        };
        let writer = LogWriter::open(dir)?;
        if let Some(entry) = writer.last_entry()? {
            let own = ledger.envelopes(writer.size() - 1, 1, RECORD_BYTES_MAX);
            if own.ok().and_then(|own| own.into_iter().next()) != Some(entry) {
                return Err(LogError::OtherLedger);
            }
        }
        let size = writer.dir.published()?.map_or(0, |shown| shown.checkpoint().size());
        let (shown, _) = watch::channel(size);
        Ok(Some(Self { writer: Mutex::new(writer), sizes: Mutex::default(), shown }))
    }

    /// Keeps the log until `cancel`. After an error that leaves the disk in doubt the log stands
    /// still until the node starts again.
    pub(crate) async fn keep(self: Arc<Self>, ledger: Arc<LedgerBook>, cancel: CancellationToken) {
        let mut every = tokio::time::interval(Duration::from_millis(LOG_PUBLISH_EVERY_MS));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = every.tick() => {}
            }
            if let Err(error) = tokio::task::block_in_place(|| self.grow(&ledger)) {
                tracing::error!(%error, "the log stands still until the node starts again");
                return;
            }
            let shown = tokio::select! {
                () = cancel.cancelled() => return,
                shown = self.show() => shown,
            };
            if let Err(error) = shown {
                tracing::warn!(%error, "the log's checkpoint could not be shown");
            }
        }
    }

    /// Takes in what is new and signs.
    fn grow(&self, ledger: &LedgerBook) -> Result<(), LogError> {
        let mut writer = self.lock();
        let news = ledger
            .envelopes(writer.size(), LOG_APPEND_MAX, BATCH_BYTES_MAX)
            .map_err(|_| LogError::OtherLedger)?;
        if news.is_empty() { Ok(()) } else { writer.grow(&news) }
    }

    /// Collects cosignatures for the newest signed checkpoint and shows it.
    async fn show(&self) -> Result<(), LogError> {
        let (mut current, is_news, witnesses) = {
            let writer = self.lock();
            let signed = writer.signed().clone();
            let shown = writer.dir.published()?;
            let shown = shown.filter(|shown| shown.note().text() == signed.note().text());
            let is_news = shown.is_none();
            (shown.unwrap_or(signed), is_news, writer.dir.witnesses()?)
        };
        let signatures = current.note().signatures();
        let lacks = |key: &VerifierKey| !signatures.iter().any(|line| key.is_named_by(line));
        let lacking: Vec<_> = witnesses.iter().filter(|(_, key)| lacks(key)).collect();
        let answers = join_all(lacking.iter().map(|(it, _)| self.ask(&current, it))).await;
        let (mut refusals, mut taken) = (Vec::new(), 0);
        for ((address, key), answer) in lacking.into_iter().zip(answers) {
            let added = answer.and_then(|lines| {
                let added = current.add_cosignatures(&lines, std::slice::from_ref(key));
                added.map_err(|error| error.to_string())
            });
            match added {
                Ok(0) => {
                    refusals.push(format!("{}: answered without its cosignature", address.url))
                }
                Ok(count) => taken += count,
                Err(error) => refusals.push(format!("{} ({}): {error}", address.url, key.name())),
            }
        }
        let writer = self.lock();
        if is_news || taken > 0 {
            writer.dir.publish(&current)?;
        }
        if writer.dir.refusals()? != refusals {
            refusals.iter().for_each(|refusal| tracing::warn!(refusal, "a witness did not cosign"));
            writer.dir.keep_refusals(&refusals)?;
        }
        self.shown.send_replace(current.checkpoint().size());
        Ok(())
    }

    /// Asks a witness for its cosignature; returns its answer's signature lines.
    async fn ask(
        &self,
        current: &SignedCheckpoint,
        witness: &WitnessAddress,
    ) -> Result<String, String> {
        let size = current.checkpoint().size();
        let known = |sizes: MutexGuard<'_, BTreeMap<String, u64>>| {
            sizes.get(&witness.key).copied().unwrap_or(0)
        };
        let mut old_size = known(self.sizes.lock().unwrap_or_else(PoisonError::into_inner));
        for _ in 0..CONFLICTS_MAX {
            if old_size > size {
                return Err(format!(
                    "has cosigned {old_size} entries of this log, which has {size} here: this copy \
                     is old, or another one signs with its key"
                ));
            }
            let proof = self.lock().consistency(old_size).map_err(|error| error.to_string())?;
            let request = AddCheckpoint { old_size, proof, note: current.note().clone() };
            let said = add_checkpoint(&witness.url, request.to_bytes()).await?;
            let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
            match said.status {
                200 => {
                    sizes.insert(witness.key.clone(), size);
                    return Ok(said.body);
                }
                409 => {
                    old_size =
                        said.body.trim().parse().map_err(|_| "answers 409 without a size")?;
                    sizes.insert(witness.key.clone(), old_size);
                }
                status => {
                    let why: String = said.body.lines().take(1).collect();
                    return Err(format!(
                        "refuses ({status}): {}",
                        why.chars().take(200).collect::<String>()
                    ));
                }
            }
        }
        Err("names another size each time".into())
    }

    /// Waits until what is shown has more than `index` entries, or `patience` is over.
    pub(crate) async fn shows(&self, index: u64, patience: Duration) {
        let mut shown = self.shown.subscribe();
        let _ = tokio::time::timeout(patience, shown.wait_for(|size| *size > index)).await;
    }

    /// The proof that the record at `index`, whose envelope this is, is in the log.
    pub(crate) fn prove_record(
        &self,
        id: RecordId,
        index: u64,
        envelope: &[u8],
    ) -> Result<RecordProof, LogError> {
        self.lock().prove_record(id, index, envelope)
    }

    /// The proof that nobody has spoken of a work.
    pub(crate) fn prove_absence(&self, content: ContentId) -> Result<AbsenceProof, LogError> {
        self.lock().prove_absence(content)
    }

    fn lock(&self) -> MutexGuard<'_, LogWriter> {
        // A panic in the middle leaves a writer that disagrees with the disk: what it signs next is
        // kept first, and a tile that would change is refused.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
