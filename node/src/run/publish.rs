//! Publishing a finished run's model as the next revision of its creator's repo.
//!
//! Invariants: the weights file is byte for byte the one whose hash the last record certifies; the
//! last certificate lies beside it. What it is not: a judgement on whether the model is good.

use std::path::Path;
use std::sync::Arc;

use protocol::SecretKey;
use protocol::limits::{CERTIFICATE_BYTES_MAX, MODEL_CONFIG_BYTES_MAX};
use protocol::round::Tip;

use super::desk::{Desk, DeskError};
use crate::announce::announce_head;
use crate::api::ProgressSender;
use crate::repo::{HeadBook, share};

/// The note under which the published revision is kept, at round 0.
pub(super) const PUBLISHED_NOTE: &str = "published";

/// What publishing needs besides the desk.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    /// All heads.
    pub heads: Arc<HeadBook>,
    /// Whose repos this node publishes in.
    pub owner: SecretKey,
}

/// Publishes the model at `tip`; a failure is logged and tried again at the next start.
pub(super) async fn publish(desk: &Desk, tip: &Tip, publisher: &Publisher) {
    if let Err(error) = try_publish(desk, tip, publisher).await {
        tracing::error!(run = %desk.run.short(), %error, "the model was not published");
    }
}

async fn try_publish(desk: &Desk, tip: &Tip, publisher: &Publisher) -> Result<(), DeskError> {
    let dir =
        tempfile::tempdir().map_err(|e| DeskError::Data(format!("no room for files: {e}")))?;
    let model = &desk.spec.value().model;
    let weights = desk.weights_at(tip).await?;
    write(dir.path(), "model.safetensors", &weights.to_bytes())?;
    let most = MODEL_CONFIG_BYTES_MAX as u64;
    let config = desk.bytes("config.json", model.config, most, &[]).await?;
    write(dir.path(), "config.json", &config)?;
    let certificates = desk.means.store.certificates(desk.run, tip.round, 1)?;
    let certificate = certificates.first().filter(|c| c.len() <= CERTIFICATE_BYTES_MAX);
    write(dir.path(), "accord/certificate.cbor", certificate.map_or(&[], Vec::as_slice))?;
    write(dir.path(), "accord/run.cose", desk.spec.bytes())?;
    let net = &desk.means.net;
    let Publisher { heads, owner } = publisher;
    let progress = ProgressSender::none();
    let shared = share(dir.path(), &model.repo, owner, net.blobs(), heads, &progress)
        .await
        .map_err(|e| DeskError::Work(e.to_string()))?;
    announce_head(net, &shared.head).await;
    let head = shared.head.value();
    let name = format!("{}/{}@{}", head.owner, head.name, head.revision);
    Ok(desk.means.store.keep_note(desk.run, 0, PUBLISHED_NOTE, &name)?)
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DeskError> {
    let path = dir.join(name);
    let failed = |e| DeskError::Data(format!("cannot write {}: {e}", path.display()));
    std::fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(failed)?;
    std::fs::write(&path, bytes).map_err(failed)
}
