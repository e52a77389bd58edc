//! Requests about models: list, share, get, evaluate.
//!
//! Invariants: `get` writes nothing outside the node before the whole revision is here.
//! What it is not: how repos work (see `repo`).

use std::path::Path;
use std::time::Duration;

use consent::{Policy, Silence};
use protocol::manifest::Manifest;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{NodeService, existing, failed, misused};
use crate::announce::announce_head;
use crate::api::dto::{EvalReply, EvalRequest, GetReply, GetRequest, RevisionView, ShareRequest};
use crate::api::{Answer, ProgressSender};
use crate::repo::{
    self, HeadError, ModelFiles, PEERS_EVERY, Present, Resolved, ShareError, first_peer_deadline,
    revision_view,
};
use crate::run::evaluate_table;

/// How long a first peer may take to say which repos it knows.
const HEADS_WAIT: Duration = Duration::from_secs(2);

impl NodeService {
    pub(super) async fn list_models(&self) -> Answer<Vec<RevisionView>> {
        let mut views = Vec::new();
        for resolved in self.heads.newest() {
            let manifest = self.local_manifest(&resolved).await;
            let blobs = self.means.net.blobs();
            views.push(revision_view(blobs, &resolved, manifest.as_ref()).await);
        }
        Ok(views)
    }

    pub(super) async fn share_path(
        &self,
        request: ShareRequest,
        progress: &ProgressSender,
    ) -> Answer<RevisionView> {
        let path = existing(&request.path)?;
        let name = match request.name {
            Some(name) => name,
            None => default_name(path)?,
        };
        let owner = self.home.owner().map_err(failed)?;
        let net = &self.means.net;
        let shared = repo::share(path, &name, &owner, net.blobs(), &self.heads, progress)
            .await
            .map_err(|error| match error {
                ShareError::Name(_) => misused(error),
                _ => failed(error),
            })?;
        announce_head(net, &shared.head).await;
        let resolved = Resolved { head: shared.head, forked: false };
        let view = revision_view(net.blobs(), &resolved, Some(&shared.manifest)).await;
        Ok(RevisionView { left_out: shared.left_out, ..view })
    }

    pub(super) async fn get_model(
        &self,
        request: GetRequest,
        progress: &ProgressSender,
    ) -> Answer<GetReply> {
        let resolved = self.resolve(&request.model).await?;
        let net = &self.means.net;
        let got = repo::fetch(net, &resolved.head, progress).await.map_err(failed)?;
        if let Some(out) = &request.out {
            let present = if request.overwrite { Present::Replaced } else { Present::Stays };
            let (blobs, out) = (net.blobs(), Path::new(out));
            repo::write_out(blobs, &got.manifest, out, present).await.map_err(failed)?;
        }
        net.provide(resolved.head.value().revision.into()).await;
        Ok(GetReply {
            revision: revision_view(net.blobs(), &resolved, Some(&got.manifest)).await,
            fetched_bytes: got.fetched_bytes,
            elapsed_ms: got.elapsed_ms,
            from: got.from,
            out: request.out,
        })
    }

    pub(super) async fn eval_model(
        &self,
        request: &EvalRequest,
        progress: &ProgressSender,
    ) -> Answer<EvalReply> {
        let data = existing(&request.data)?.to_owned();
        let dir = Path::new(&request.model);
        let fetched;
        let dir = if dir.is_absolute() && dir.is_dir() {
            dir
        } else {
            let resolved = self.resolve(&request.model).await.map_err(|mut failure| {
                if failure.usage {
                    failure.error += &format!("; there is no directory {} either", dir.display());
                }
                failure
            })?;
            let net = &self.means.net;
            let got = repo::fetch(net, &resolved.head, progress).await.map_err(failed)?;
            fetched = tempfile::tempdir().map_err(failed)?;
            let (blobs, out) = (net.blobs(), fetched.path());
            repo::write_out(blobs, &got.manifest, out, Present::Stays).await.map_err(failed)?;
            net.provide(resolved.head.value().revision.into()).await;
            fetched.path()
        };
        let ModelFiles { config, weights, .. } =
            repo::read_model(dir, &request.model).map_err(failed)?;
        let policy = Policy { default: Silence::OptOut, ..Policy::default() };
        let (ledger, device) = (&self.means.ledger, &self.means.device);
        let (evaluation, excluded) = tokio::task::block_in_place(|| {
            evaluate_table(&config, &weights, &data, ledger, &policy, device)
        })
        .map_err(failed)?;
        Ok(EvalReply { model: weights.root(), evaluation, excluded })
    }

    /// The head that a text names. What nobody shared is waited for a moment on a node that knows
    /// nobody yet: it may have just started.
    async fn resolve(&self, text: &str) -> Answer<Resolved> {
        let me = self.home.me().map_err(failed)?;
        let net = &self.means.net;
        let mut found = self.heads.resolve(text, me);
        // What is our own is known here or nowhere.
        if is_unknown(&found) && !text.starts_with("me/") && net.peers().await.is_empty() {
            let mut tick = interval(PEERS_EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut deadline, mut alone) = (first_peer_deadline(net), true);
            while is_unknown(&found) && Instant::now() < deadline {
                tick.tick().await;
                if alone && !net.peers().await.is_empty() {
                    (deadline, alone) = (Instant::now() + HEADS_WAIT, false);
                }
                found = self.heads.resolve(text, me);
            }
        }
        match found {
            Ok(found) => Ok(found),
            Err(error @ HeadError::Text(_)) => Err(misused(error)),
            Err(error @ HeadError::Unknown(_)) => {
                Err(failed(format!("{error}{}", repo::hint(net).await)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// A revision's manifest, if it is on this node.
    async fn local_manifest(&self, resolved: &Resolved) -> Option<Manifest> {
        let blobs = self.means.net.blobs();
        let head = resolved.head.value();
        let hash = head.revision.into();
        if !blobs.has(hash).await {
            return None;
        }
        let bytes = blobs.read(hash, head.manifest_bytes).await.ok()?;
        Manifest::from_bytes(&bytes).ok()
    }
}

fn is_unknown(found: &Result<Resolved, HeadError>) -> bool {
    matches!(found, Err(HeadError::Unknown(_)))
}

fn default_name(path: &Path) -> Answer<String> {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = stem.unwrap_or_default().to_string_lossy().into_owned();
    protocol::run::check_name("the repo's name", &name)
        .map_err(|error| misused(format!("{error}; give one with --name")))?;
    Ok(name)
}
