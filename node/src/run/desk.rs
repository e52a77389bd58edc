//! What a run's jobs work with: the bytes that its records name, fetched and verified.
//!
//! Invariants: bytes are what their hash says; a base is complete; the cache holds one base, the
//! newest asked for. What it is not: a decision about a round.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use consent::Policy;
use protocol::aggregate::OuterState;
use protocol::limits::{COMMIT_BYTES_MAX, FRONTIER_BYTES_MAX, MODEL_CONFIG_BYTES_MAX};
use protocol::round::check::{Base, Evidence, check_terms};
use protocol::round::{Tip, UpdateCommit, commit_id};
use protocol::run::{RunSpec, run_id};
use protocol::weights::{Weights, WeightsError};
use protocol::{CommitId, FileHash, Frontier, PublicKey, RunId, Signed};
use tokio::sync::OnceCell;
use trainer::{Device, ModelConfig};

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
    base: Mutex<Option<Arc<Base>>>,
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
            spec,
            policy,
            base: Mutex::default(),
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

    /// Everything that the round after `tip` starts from.
    pub(crate) async fn base(&self, tip: &Tip) -> Result<Arc<Base>, DeskError> {
        let cached = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(base) = cached.filter(|base| base.tip == *tip) {
            return Ok(base);
        }
        let model = &self.spec.value().model;
        let weights = self.weights(tip.model).await?;
        let mut outer = OuterState::default();
        if tip.outer != outer.root() {
            let parameters = model.parameters as usize;
            let most = OuterState::bytes_max(parameters) as u64;
            let bytes = self.bytes("the outer state", tip.outer, most, &[]).await?;
            outer = OuterState::from_bytes(&bytes, parameters)
                .map_err(|e| bad("the outer state", e))?;
        }
        let required = self.frontier(tip.frontier, &[]).await?;
        let base = Arc::new(Base { tip: tip.clone(), weights, outer, required });
        self.keep_base(Arc::clone(&base));
        Ok(base)
    }

    /// Remembers a base that was computed here.
    pub(crate) fn keep_base(&self, base: Arc<Base>) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
    }

    /// The weights with this root.
    pub(crate) async fn weights(&self, root: FileHash) -> Result<Weights, DeskError> {
        let model = &self.spec.value().model;
        let bytes = self.bytes("the model", root, model.weights_bytes, &[]).await?;
        let weights = Weights::from_bytes(&bytes).map_err(|e: WeightsError| bad("the model", e))?;
        if weights.parameters() as u64 == model.parameters {
            Ok(weights)
        } else {
            Err(bad("the model", "it has another number of parameters than the run"))
        }
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

    /// The bytes with this hash, from here or from a peer; whoever is in `hints` is asked first.
    pub(crate) async fn bytes(
        &self,
        what: &'static str,
        hash: FileHash,
        bytes_max: u64,
        hints: &[PublicKey],
    ) -> Result<Vec<u8>, DeskError> {
        let net = &self.means.net;
        if !net.blobs().has(hash).await {
            let providers = self.providers(hints).await;
            let fetched = net.blobs().fetch(hash, bytes_max, &providers, None).await;
            fetched.map_err(|source| DeskError::Fetch { what, source })?;
        }
        Ok(net.blobs().read(hash, bytes_max).await?)
    }

    /// Stores bytes, to be served.
    pub(crate) async fn keep(&self, bytes: Vec<u8>) -> Result<FileHash, DeskError> {
        Ok(self.means.net.blobs().add_bytes(bytes).await?)
    }

    /// A commit with the bytes that it names.
    pub(crate) async fn evidence(
        &self,
        commit: Signed<UpdateCommit>,
    ) -> Result<Evidence, DeskError> {
        if check_terms(self.spec.value(), &commit).is_err() {
            return Ok(Evidence::refused(commit));
        }
        let value = commit.value();
        let hints = [commit.signer()];
        let update_max = protocol::update::bytes_max(self.spec.value().model.parameters as usize);
        let update = self.bytes("an update", value.update, update_max as u64, &hints).await?;
        let id = value.data.frontier;
        let frontier = if id == Frontier::default().id() {
            Frontier::default().to_bytes()
        } else {
            self.bytes("a ledger frontier", id, FRONTIER_BYTES_MAX as u64, &hints).await?
        };
        Ok(Evidence { commit, update, frontier })
    }

    /// The evidence for these commits, by id.
    pub(crate) async fn evidence_for(
        &self,
        commits: impl Iterator<Item = (CommitId, PublicKey)>,
    ) -> Result<BTreeMap<CommitId, Evidence>, DeskError> {
        let mut all = BTreeMap::new();
        for (id, trainer) in commits {
            let hash = FileHash::from_bytes(*id.as_bytes());
            let bytes = self.bytes("a commit", hash, COMMIT_BYTES_MAX as u64, &[trainer]).await?;
            let commit = Signed::<UpdateCommit>::open(&bytes).map_err(|e| bad("a commit", e))?;
            debug_assert_eq!(commit_id(&commit), id, "a blob is what its hash says");
            all.insert(id, self.evidence(commit).await?);
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

    /// Whom to ask: the hinted, the stewards, then every other connected peer.
    async fn providers(&self, hints: &[PublicKey]) -> Vec<PublicKey> {
        let net = &self.means.net;
        let connected: Vec<PublicKey> = net.peers().await.iter().map(|peer| peer.key).collect();
        let mut all = hints.to_vec();
        all.extend(&self.spec.value().stewards);
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
