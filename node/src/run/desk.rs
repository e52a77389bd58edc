//! What a run's jobs work with: the bytes that its records name, fetched and verified.
//!
//! Invariants: bytes are what their hash says. What it is not: a decision about a round; its models are in
//! `models`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use consent::Policy;
use protocol::aggregate::{Source, TapeError};
use protocol::limits::{
    AUDIT_ROUNDS_MAX, COMMIT_BYTES_MAX, FRONTIER_BYTES_MAX, MODEL_CONFIG_BYTES_MAX,
    PROOF_BYTES_MAX, REPORT_BYTES_MAX,
};
use protocol::round::check::{Base, Counted, Evidence, Exhibits, check_terms};
use protocol::round::{RejectReason, RoundRecord, Tip, UpdateCommit, commit_id, keepers};
use protocol::run::{RunSpec, run_id};
use protocol::weights::Weights;
use protocol::{CommitId, FileHash, Frontier, PublicKey, RoundId, RunId, Signed};
use tokio::sync::OnceCell;
use trainer::{Device, ModelConfig};

use super::chain;
use super::tape::FileSource;
use crate::ledger::{LedgerBook, pull_feeds};
use crate::net::{BlobError, FetchError, Net};
use crate::store::{Store, StoreError};

/// Why something that a run needs could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No peer gave it.
    #[error("cannot fetch {what}: {source}")]
    Fetch {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        source: FetchError,
    },
    /// It is here but could not be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It is not what the run says it is.
    #[error("{what} is bad: {reason}")]
    Bad {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The ledger lacks records that the round has bound, and no peer gave them.
    #[error("consent records that the round is bound to are missing, and no peer gave them")]
    Records,
    /// Metadata could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data of this node could not be read.
    #[error("{0}")]
    Data(String),
    /// Something could not be read or written in pieces.
    #[error(transparent)]
    Tape(TapeError),
    /// Training or evaluating failed.
    #[error("{0}")]
    Work(String),
}

/// A node's means, shared by all runs.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    /// The network with its blobs.
    pub net: Net,
    /// Metadata.
    pub store: Store,
    /// The consent ledger.
    pub ledger: Arc<LedgerBook>,
    /// Where held-out tables are put.
    pub dir: PathBuf,
    /// What trains.
    pub device: Device,
    /// Threads for aggregation.
    pub threads: usize,
}

impl Means {
    /// Where the lists behind this node's data commits are.
    pub(crate) fn lists(&self) -> PathBuf {
        self.dir.with_file_name("data-lists")
    }

    /// Where traces of this node's training are kept until its round is certified.
    pub(crate) fn traces(&self) -> PathBuf {
        self.dir.with_file_name("traces")
    }

    /// Where it is kept what this node's updates have not said yet.
    pub(crate) fn residuals(&self) -> PathBuf {
        self.dir.with_file_name("residuals")
    }
}

/// One run's desk.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The node's means.
    pub means: Means,
    /// The run.
    pub run: RunId,
    /// Its specification.
    pub spec: Signed<RunSpec>,
    /// Its terms of consent.
    pub policy: Policy,
    /// Who are the stewards now: asked first for what is missing.
    pub(super) stewards: Mutex<Vec<PublicKey>>,
    pub(super) base: Mutex<Option<Arc<Base>>>,
    /// The newest model that was asked for, with its root.
    pub(super) newest: tokio::sync::Mutex<Option<(FileHash, Arc<Weights>)>>,
    /// Rounds whose results were computed and stored in this process.
    pub(super) made: Mutex<BTreeSet<RoundId>>,
    config: Mutex<Option<ModelConfig>>,
    /// The held-out table is a file now.
    pub(super) held_out_written: OnceCell<()>,
}

impl Desk {
    /// A desk for a run.
    pub(crate) fn new(means: Means, spec: Signed<RunSpec>) -> Result<Self, DeskError> {
        let policy = Policy::from_bytes(&spec.value().consent.policy)
            .map_err(|e| bad("the run's consent policy", e))?;
        let run = run_id(&spec);
        Ok(Self {
            means,
            run,
            policy,
            stewards: Mutex::new(spec.value().stewards.clone()),
            spec,
            base: Mutex::default(),
            newest: tokio::sync::Mutex::default(),
            made: Mutex::default(),
            config: Mutex::default(),
            held_out_written: OnceCell::new(),
        })
    }

    /// The model's configuration.
    pub(crate) async fn config(&self) -> Result<ModelConfig, DeskError> {
        if let Some(config) = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(config);
        }
        let hash = self.spec.value().model.config;
        let bytes = self.bytes("config.json", hash, MODEL_CONFIG_BYTES_MAX as u64, &[]).await?;
        let config = ModelConfig::from_json(&bytes).map_err(|e| bad("the model", e))?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config.clone());
        Ok(config)
    }

    /// The frontier with this id.
    pub(crate) async fn frontier(
        &self,
        id: FileHash,
        hints: &[PublicKey],
    ) -> Result<Frontier, DeskError> {
        let empty = Frontier::default();
        if id == empty.id() {
            return Ok(empty);
        }
        let most = FRONTIER_BYTES_MAX as u64;
        let bytes = self.bytes("a ledger frontier", id, most, hints).await?;
        Frontier::from_bytes(&bytes).map_err(|e| bad("a ledger frontier", e))
    }

    /// The bytes of the frontier with this id.
    pub(super) async fn frontier_bytes(
        &self,
        id: FileHash,
        hints: &[PublicKey],
    ) -> Result<Vec<u8>, DeskError> {
        let empty = Frontier::default();
        if id == empty.id() {
            return Ok(empty.to_bytes());
        }
        self.bytes("a ledger frontier", id, FRONTIER_BYTES_MAX as u64, hints).await
    }

    /// The bytes with this hash, from here or from a peer; whoever is in `hints` is asked first.
    pub(crate) async fn bytes(
        &self,
        what: &'static str,
        hash: FileHash,
        bytes_max: u64,
        hints: &[PublicKey],
    ) -> Result<Vec<u8>, DeskError> {
        self.fetch(what, hash, bytes_max, hints).await?;
        Ok(self.means.net.blobs().read(hash, bytes_max).await?)
    }

    /// The same, to be read in pieces if they are many.
    pub(crate) async fn source(
        &self,
        what: &'static str,
        hash: FileHash,
        bytes_max: u64,
        hints: &[PublicKey],
    ) -> Result<Arc<dyn Source>, DeskError> {
        self.fetch(what, hash, bytes_max, hints).await?;
        let blobs = self.means.net.blobs();
        match blobs.file(hash).and_then(|path| FileSource::open(&path).ok()) {
            Some(file) if file.bytes() <= bytes_max => Ok(Arc::new(file)),
            Some(file) => Err(bad(what, format!("it has {} bytes", file.bytes()))),
            None => Ok(Arc::new(blobs.read(hash, bytes_max).await?)),
        }
    }

    async fn fetch(
        &self,
        what: &'static str,
        hash: FileHash,
        bytes_max: u64,
        hints: &[PublicKey],
    ) -> Result<(), DeskError> {
        let net = &self.means.net;
        if !net.blobs().has(hash).await {
            let providers = self.providers(hints).await;
            let fetched = net.blobs().fetch(hash, bytes_max, &providers, None).await;
            fetched.map_err(|source| DeskError::Fetch { what, source })?;
        }
        Ok(())
    }

    /// Stores bytes, to be served.
    pub(crate) async fn keep(&self, bytes: Vec<u8>) -> Result<FileHash, DeskError> {
        Ok(self.means.net.blobs().add_bytes(bytes).await?)
    }

    /// A commit on `tip` with the bytes that it names; these nodes may have them beside its trainer.
    pub(crate) async fn evidence(
        &self,
        tip: &Tip,
        commit: Signed<UpdateCommit>,
        keepers: &[PublicKey],
    ) -> Result<Evidence, DeskError> {
        let spec = self.spec.value();
        if check_terms(spec, tip, &commit).is_err() {
            return Ok(Evidence::refused(commit));
        }
        let value = commit.value();
        let hints = [&[commit.signer()], keepers].concat();
        let most = spec.update_form().update_bytes();
        let update = self.source("an update", value.update, most, &hints).await?;
        let frontier = self.frontier_bytes(value.data.frontier, &hints).await?;
        Ok(Evidence { commit, update, frontier })
    }

    /// What a record on `tip` names, to judge it by; what counts is as it was gathered, if it was, in the record's
    /// order.
    pub(crate) async fn exhibits(
        &self,
        tip: &Tip,
        record: &RoundRecord,
        gathered: Option<&[Counted]>,
    ) -> Result<Exhibits, DeskError> {
        let bound = self.frontier(record.frontier, &[]).await?;
        let commits = self.evidence_for(tip, record, gathered).await?;
        let mut proofs = BTreeMap::new();
        for change in &record.parts.changes {
            proofs.insert(change.proof, self.proof(change.proof).await?);
        }
        for report in &record.found.reports {
            let (most, hints) = (REPORT_BYTES_MAX as u64, [report.auditor]);
            let bytes = self.bytes("a report", report.report, most, &hints).await?;
            proofs.insert(report.report, bytes);
        }
        let ancestors = self.ancestors(record).await?;
        Ok(Exhibits { commits, proofs, ancestors, bound, ..Exhibits::default() })
    }

    /// The proof of a change.
    pub(super) async fn proof(&self, hash: FileHash) -> Result<Vec<u8>, DeskError> {
        self.bytes("the proof of a change", hash, PROOF_BYTES_MAX as u64, &[]).await
    }

    /// The records before this one, the newest first, as far back as its reports go.
    async fn ancestors(&self, record: &RoundRecord) -> Result<Vec<RoundRecord>, DeskError> {
        let Some(first) = record.found.reports.iter().map(|report| report.round).min() else {
            return Ok(Vec::new());
        };
        let (mut next, mut before) = (first.max(1), Vec::new());
        while next < record.round && before.len() < AUDIT_ROUNDS_MAX as usize {
            let page = chain::page(self, next).await?;
            let page = page.into_iter().map(|certificate| certificate.record);
            before.extend(page.take_while(|found| found.round < record.round));
            let reached = before.last().map_or(0, |found: &RoundRecord| found.round);
            if reached < next {
                break;
            }
            next = reached + 1;
        }
        before.reverse();
        Ok(before)
    }

    async fn evidence_for(
        &self,
        tip: &Tip,
        record: &RoundRecord,
        gathered: Option<&[Counted]>,
    ) -> Result<BTreeMap<CommitId, Evidence>, DeskError> {
        let accepted = record.accepted.iter().map(|entry| (entry.commit, entry.trainer, None));
        let rejected =
            record.rejected.iter().map(|entry| (entry.commit, entry.trainer, Some(entry.reason)));
        let (mut all, record_id) = (BTreeMap::new(), record.id());
        let mut gathered = gathered.map(|counted| counted.iter());
        for (id, trainer, reason) in accepted.chain(rejected) {
            let hash = FileHash::from_bytes(*id.as_bytes());
            let bytes = self.bytes("a commit", hash, COMMIT_BYTES_MAX as u64, &[trainer]).await?;
            let commit = Signed::<UpdateCommit>::open(&bytes).map_err(|e| bad("a commit", e))?;
            debug_assert_eq!(commit_id(&commit), id, "a blob is what its hash says");
            let evidence = match reason {
                // Its trainer may never have shown what it names.
                Some(RejectReason::Duplicate) => Evidence::refused(commit),
                Some(_) => self.evidence(tip, commit, &[]).await?,
                None => match gathered.as_mut().and_then(Iterator::next) {
                    Some(counted) => {
                        let (update, id) =
                            (Arc::clone(&counted.update), commit.value().data.frontier);
                        let frontier = self.frontier_bytes(id, &[trainer]).await?;
                        Evidence { commit, update, frontier }
                    }
                    None => {
                        let is_cut = self.spec.value().rounds.slices > 1;
                        let keepers =
                            if is_cut { keepers(record, record_id, id) } else { Vec::new() };
                        self.evidence(tip, commit, &keepers).await?
                    }
                },
            };
            all.insert(id, evidence);
        }
        Ok(all)
    }

    /// Makes the ledger reach `required`, asking peers for records.
    pub(crate) async fn reach(&self, required: &Frontier) -> Result<(), DeskError> {
        for peer in self.providers(&[]).await {
            loop {
                let missing = self.means.ledger.missing(required);
                if missing.is_empty() {
                    return Ok(());
                }
                if pull_feeds(&self.means.net, &self.means.ledger, peer, missing).await == 0 {
                    break;
                }
            }
        }
        let reached = self.means.ledger.reaches(required);
        if reached { Ok(()) } else { Err(DeskError::Records) }
    }

    /// Asks these first from now on.
    pub(super) fn follow_stewards(&self, stewards: &[PublicKey]) {
        *self.stewards.lock().unwrap_or_else(PoisonError::into_inner) = stewards.to_vec();
    }

    /// Who the stewards are, as far as this node has followed the run.
    pub(super) fn stewards(&self) -> Vec<PublicKey> {
        self.stewards.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whom to ask: the hinted, the stewards, then every other connected peer.
    pub(super) async fn providers(&self, hints: &[PublicKey]) -> Vec<PublicKey> {
        let net = &self.means.net;
        let connected: Vec<PublicKey> = net.peers().await.iter().map(|peer| peer.key).collect();
        let mut all = hints.to_vec();
        all.extend(self.stewards());
        all.extend(&connected);
        // Whoever is not connected is probably gone, and takes long not to answer.
        all.sort_by_key(|peer| !connected.contains(peer));
        let mut seen = std::collections::BTreeSet::from([net.key()]);
        all.retain(|peer| seen.insert(*peer));
        all
    }
}

pub(super) fn bad(what: &'static str, reason: impl std::fmt::Display) -> DeskError {
    DeskError::Bad { what, reason: reason.to_string() }
}
