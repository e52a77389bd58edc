//! What a running node can be asked to do: the API's one implementation.
//!
//! Role: translate requests into work on the network, the store, the ledger and the runs; every
//! error becomes one clear line.
//!
//! Invariants: nothing is answered before it is durable. What it is not: HTTP (see `api`).

mod consent_calls;
mod model_calls;
mod run_calls;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::dto::*;
use crate::api::{Answer, ProgressSender, Service};
use crate::home::Home;
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
    /// Background work.
    pub tasks: TaskTracker,
    /// Stops the node.
    pub cancel: CancellationToken,
}

/// A failure in the doing (exit code 1).
fn failed(error: impl std::fmt::Display) -> Failure {
    Failure { error: error.to_string(), usage: false }
}

/// A failure in the asking (exit code 2).
fn misused(error: impl std::fmt::Display) -> Failure {
    Failure { error: error.to_string(), usage: true }
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

    async fn opt_out(&self, request: ConsentRequest) -> Answer<ConsentReply> {
        self.register(request, false).await
    }

    async fn opt_in(&self, request: ConsentRequest) -> Answer<ConsentReply> {
        self.register(request, true).await
    }

    async fn check(&self, request: CheckRequest, progress: ProgressSender) -> Answer<CheckReply> {
        self.check_works(&request, &progress)
    }

    async fn audit(&self, run: String, progress: ProgressSender) -> Answer<AuditReply> {
        self.audit_run(&run, &progress).await
    }

    async fn eval(&self, request: EvalRequest, progress: ProgressSender) -> Answer<EvalReply> {
        self.eval_model(&request, &progress).await
    }

    fn shutdown(&self) {
        self.cancel.cancel();
    }
}
