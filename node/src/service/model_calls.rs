//! Requests about models: list, share, get, evaluate.
//!
//! Invariants: `get` writes nothing outside the node before the whole revision is here.
//! What it is not: how repos work (see `repo`).

use std::path::{Path, PathBuf};

use consent::{Policy, Silence};
use protocol::limits::MODEL_CONFIG_BYTES_MAX;
use protocol::manifest::Manifest;
use protocol::weights::Weights;
use trainer::{Model, ModelConfig};

use super::{NodeService, existing, failed, misused};
use crate::announce::announce_head;
use crate::api::dto::{EvalReply, EvalRequest, GetReply, GetRequest, RevisionView, ShareRequest};
use crate::api::{Answer, ProgressSender};
use crate::repo::{self, HeadError, Resolved, revision_view};
use crate::run::evaluate_table;

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
            .map_err(failed)?;
        announce_head(net, &shared.head).await;
        let resolved = Resolved { head: shared.head, forked: false };
        Ok(revision_view(net.blobs(), &resolved, Some(&shared.manifest)).await)
    }

    pub(super) async fn get_model(
        &self,
        request: GetRequest,
        progress: &ProgressSender,
    ) -> Answer<GetReply> {
        let resolved = self.resolve(&request.model)?;
        let net = &self.means.net;
        let got = repo::fetch(net, &resolved.head, progress).await.map_err(failed)?;
        if let Some(out) = &request.out {
            repo::write_out(net.blobs(), &got.manifest, Path::new(out)).await.map_err(failed)?;
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
            let resolved = self.resolve(&request.model)?;
            let net = &self.means.net;
            let got = repo::fetch(net, &resolved.head, progress).await.map_err(failed)?;
            fetched = tempfile::tempdir().map_err(failed)?;
            repo::write_out(net.blobs(), &got.manifest, fetched.path()).await.map_err(failed)?;
            fetched.path()
        };
        let (config, weights) = read_model(dir, &request.model)?;
        let policy = Policy { default: Silence::OptOut, ..Policy::default() };
        let (ledger, device) = (&self.means.ledger, &self.means.device);
        let (evaluation, excluded) = tokio::task::block_in_place(|| {
            evaluate_table(&config, &weights, &data, ledger, &policy, device)
        })
        .map_err(failed)?;
        Ok(EvalReply { model: weights.root(), evaluation, excluded })
    }

    fn resolve(&self, text: &str) -> Answer<Resolved> {
        let me = self.home.me().map_err(failed)?;
        self.heads.resolve(text, me).map_err(|error| match error {
            HeadError::Text(_) => misused(error),
            _ => failed(error),
        })
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

fn read_model(dir: &Path, name: &str) -> Answer<(ModelConfig, Weights)> {
    let config = dir.join("config.json");
    let said = |path: &PathBuf, error: &dyn std::fmt::Display| {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        failed(format!("{name}: {file}: {error}"))
    };
    let length = std::fs::metadata(&config).map_err(|e| said(&config, &e))?.len();
    if length > MODEL_CONFIG_BYTES_MAX as u64 {
        return Err(said(&config, &format!("it has {length} bytes")));
    }
    let json = std::fs::read(&config).map_err(|e| said(&config, &e))?;
    // Its errors name the file.
    let config = ModelConfig::from_json(&json).map_err(|e| failed(format!("{name}: {e}")))?;
    let path = dir.join("model.safetensors");
    let weights = trainer::read_weights(&path).map_err(|e| said(&path, &e))?;
    Model::check(&config, &weights).map_err(|e| said(&path, &e))?;
    Ok((config, weights))
}

fn default_name(path: &Path) -> Answer<String> {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = stem.unwrap_or_default().to_string_lossy().into_owned();
    protocol::run::check_name("the repo's name", &name)
        .map_err(|error| misused(format!("{error}; give one with --name")))?;
    Ok(name)
}
