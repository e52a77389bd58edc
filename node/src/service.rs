//! What a running node can be asked to do: the API's one implementation.
//!
//! Role: translate requests into work on the network, the store, the ledger and the runs; every
//! error becomes one clear line.
//!
//! Invariants: nothing is answered before it is durable. What it is not: HTTP (see `api`).

mod consent_calls;
mod id_calls;
mod model_calls;
mod opt_in;
mod opt_out;
mod own_calls;
mod proof_calls;
mod record_calls;
mod run_act_calls;
mod run_calls;
mod scan_calls;
mod terms_calls;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::dto::*;
use crate::api::{Answer, ProgressSender, Service};
use crate::home::Home;
use crate::identity::IdentityError;
use crate::ledger::OwnError;
use crate::log::LogBook;
use crate::repo::HeadBook;
use crate::run::{Means, RunBook};

/// A running node's parts, as requests need them.
#[derive(Debug)]
pub(crate) struct NodeService {
    /// The data directory and its keys.
    pub home: Home,
    /// Network, store, ledger and device.
    pub means: Means,
    /// Repo heads.
    pub heads: Arc<HeadBook>,
    /// Runs.
    pub runs: Arc<RunBook>,
    /// The transparency log, if this node runs one.
    pub log: Option<Arc<LogBook>>,
    /// Background work.
    pub tasks: TaskTracker,
    /// Stops the node.
    pub cancel: CancellationToken,
}

impl NodeService {
    fn put_off(&self) -> PutOffView {
        let refused = self.means.ledger.refused();
        let (feeds, records, forwards) = (refused.feeds, refused.records, refused.forwards);
        PutOffView { feeds, records, forwards }
    }
}

/// A failure in the doing (exit code 1).
fn failed(error: impl std::fmt::Display) -> Failure {
    Failure { error: error.to_string(), usage: false }
}

/// A failure in the asking (exit code 2).
fn misused(error: impl std::fmt::Display) -> Failure {
    Failure { error: error.to_string(), usage: true }
}

/// What is wrong with an identity.
fn identity_failure(error: IdentityError) -> Failure {
    Failure { usage: error.usage(), ..failed(error) }
}

/// Why an identity's record was not made.
fn own_failure(error: OwnError) -> Failure {
    match error {
        OwnError::Identity(error) => identity_failure(error),
        OwnError::Refused(_) | OwnError::NoRoot(_) => misused(error),
        other => failed(other),
    }
}

fn existing(path: &str) -> Result<&Path, Failure> {
    let path = Path::new(path);
    match path.try_exists() {
        Ok(true) => Ok(path),
        Ok(false) => Err(failed(format!("{} does not exist", path.display()))),
        Err(error) => Err(failed(format!("cannot read {}: {error}", path.display()))),
    }
}

impl Service for NodeService {
    async fn status(&self) -> Answer<Status> {
        let net = &self.means.net;
        let remembered = self.means.store.peers().map_err(failed)?;
        let peers = net.peers().await.into_iter().map(|peer| {
            let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
            let remembered = addresses.iter().any(|address| remembered.contains(address));
            PeerView { node: peer.key, addresses, remembered, rejected: peer.rejected }
        });
        let (sent, received) = net.blobs().traffic();
        let counts = net.status().await;
        let addresses = net.listen_addresses().await;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            node: net.key(),
            identity: self.home.me().map_err(failed)?,
            dir: self.home.dir().display().to_string(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            peers: peers.collect(),
            dropped: counts.messages_rejected,
            ignored: counts.messages_ignored,
            models: self.heads.count(),
            runs: self.runs.count(),
            records: self.means.ledger.count(),
            put_off: self.put_off(),
            bytes: BytesView { sent, received },
        })
    }

    async fn models(&self) -> Answer<Vec<RevisionView>> {
        self.list_models().await
    }

    async fn share(&self, request: ShareRequest, progress: ProgressSender) -> Answer<RevisionView> {
        self.share_path(request, &progress).await
    }

    async fn get(&self, request: GetRequest, progress: ProgressSender) -> Answer<GetReply> {
        self.get_model(request, &progress).await
    }

    async fn create(&self, request: CreateRequest, progress: ProgressSender) -> Answer<RunView> {
        self.create_run(request, &progress).await
    }

    async fn join(&self, run: String, request: JoinRequest) -> Answer<RunView> {
        self.join_run(&run, &request).await
    }

    async fn leave(&self, run: String) -> Answer<RunView> {
        self.leave_run(&run).await
    }

    async fn runs(&self) -> Answer<Vec<RunView>> {
        self.list_runs().await
    }

    async fn run(&self, run: String) -> Answer<RunView> {
        self.view_run(&run).await
    }

    async fn watch(&self, run: String) -> Answer<mpsc::Receiver<RunView>> {
        self.watch_run(&run).await
    }

    async fn opt_out(
        &self,
        request: ConsentRequest,
        progress: ProgressSender,
    ) -> Answer<ConsentReply> {
        self.register_out(request, &progress).await
    }

    async fn opt_in(
        &self,
        request: ConsentRequest,
        progress: ProgressSender,
    ) -> Answer<OptInReply> {
        self.register_in(request, &progress).await
    }

    async fn identities(&self, request: IdRequest, progress: ProgressSender) -> Answer<IdReply> {
        self.act_on_identity(request, &progress).await
    }

    async fn say(&self, request: OwnRequest, progress: ProgressSender) -> Answer<OwnReply> {
        self.say_own(request, &progress).await
    }

    async fn records(&self, request: RecordsRequest) -> Answer<RecordsReply> {
        self.list_records(&request).await
    }

    async fn export(&self, request: ExportRequest) -> Answer<ExportReply> {
        self.export_terms(&request)
    }

    async fn check(&self, request: CheckRequest, progress: ProgressSender) -> Answer<CheckReply> {
        self.check_works(&request, &progress)
    }

    async fn scan(&self, request: ScanRequest, progress: ProgressSender) -> Answer<ScanReply> {
        self.scan_items(&request, &progress)
    }

    async fn audit(
        &self,
        run: String,
        request: AuditRequest,
        progress: ProgressSender,
    ) -> Answer<AuditReply> {
        self.audit_run(&run, &request, &progress).await
    }

    async fn run_act(
        &self,
        request: RunActRequest,
        progress: ProgressSender,
    ) -> Answer<RunActReply> {
        self.act_on_run(request, &progress).await
    }

    async fn eval(&self, request: EvalRequest, progress: ProgressSender) -> Answer<EvalReply> {
        self.eval_model(&request, &progress).await
    }

    async fn prove(&self, request: ProveRequest) -> Answer<ProveReply> {
        self.make_proof(request).await
    }

    fn shutdown(&self) {
        self.cancel.cancel();
    }
}
