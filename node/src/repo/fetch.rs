//! Fetching a revision from peers, and writing it out.
//!
//! Invariants: every shard is verified by its hash as it arrives and every file by its own when it
//! is written; a file appears under its name whole or not at all, and never outside the directory
//! asked for. What it is not: the choice among providers of one blob (see `net`).

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use protocol::manifest::{Head, Manifest, ManifestError, Shard};
use protocol::{FileHash, PublicKey, Signed};

use super::heads::Resolved;
use crate::api::ProgressSender;
use crate::api::dto::{FileView, RevisionView};
use crate::net::{BlobError, Blobs, FetchError, Net};

/// Why a revision was not fetched or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    /// A blob could not be had.
    #[error("cannot fetch {what}: {source}")]
    Fetch {
        /// Which file.
        what: String,
        /// Why not.
        source: FetchError,
    },
    /// A blob that is here could not be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// What the head names is no manifest.
    #[error("the revision's manifest is bad: {0}")]
    Manifest(#[from] ManifestError),
    /// A file's bytes are not what the manifest says.
    #[error("{0} does not hash to what its manifest says: nothing was written")]
    Wrong(String),
    /// The system refused to write.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, io::Error),
}

/// A fetched revision.
#[derive(Debug)]
pub(crate) struct Got {
    /// Its manifest.
    pub manifest: Manifest,
    /// Bytes that came over the network.
    pub fetched_bytes: u64,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Whom they came from.
    pub from: Vec<PublicKey>,
}

/// Shards of one revision fetched at once.
const SHARDS_AT_ONCE: usize = 8;

/// Makes a revision be here, whole.
pub(crate) async fn fetch(
    net: &Net,
    head: &Signed<Head>,
    progress: &ProgressSender,
) -> Result<Got, GetError> {
    let started = Instant::now();
    let value = head.value();
    let revision: FileHash = value.revision.into();
    let mut got = Transfers::new(providers(net, revision).await);
    got.fetch(net, "the manifest", revision, value.manifest_bytes).await?;
    let bytes = net.blobs().read(revision, value.manifest_bytes).await?;
    let manifest = Manifest::from_bytes(&bytes)?;
    let total = manifest.bytes();
    let mut done = 0;
    let mut wanted = BTreeSet::new();
    let shards: Vec<(String, Shard)> = manifest
        .files
        .iter()
        .flat_map(|file| file.shards.iter().map(|shard| (file.path.clone(), *shard)))
        .filter(|(_, shard)| wanted.insert(shard.hash))
        .collect();
    let from = Arc::new(got.providers.clone());
    let mut transfers = futures::stream::iter(shards)
        .map(|(path, shard)| {
            let (blobs, from) = (net.blobs().clone(), Arc::clone(&from));
            async move {
                let stats = blobs.fetch(shard.hash, shard.bytes, &from, None).await;
                (path, shard, stats)
            }
        })
        .buffer_unordered(SHARDS_AT_ONCE);
    while let Some((path, shard, stats)) = transfers.next().await {
        let what = path.clone();
        let stats = stats.map_err(|source| GetError::Fetch { what, source })?;
        got.count(stats.bytes, stats.from);
        done += shard.bytes;
        progress.send(&format!("fetching {path}"), done, Some(total), "bytes");
    }
    drop(transfers);
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let from = got.from.into_iter().collect();
    Ok(Got { manifest, fetched_bytes: got.bytes, elapsed_ms, from })
}

/// Who may have a blob: whoever the hash table names, and every connected peer.
async fn providers(net: &Net, hash: FileHash) -> Vec<PublicKey> {
    let mut found: Vec<PublicKey> = net.peers().await.iter().map(|peer| peer.key).collect();
    if !net.blobs().has(hash).await {
        for provider in net.providers(hash).await {
            if !found.contains(&provider) && net.connect(provider).await {
                found.push(provider);
            }
        }
    }
    found
}

struct Transfers {
    providers: Vec<PublicKey>,
    bytes: u64,
    from: BTreeSet<PublicKey>,
}

impl Transfers {
    fn new(providers: Vec<PublicKey>) -> Self {
        Self { providers, bytes: 0, from: BTreeSet::new() }
    }

    async fn fetch(
        &mut self,
        net: &Net,
        what: &str,
        hash: FileHash,
        bytes: u64,
    ) -> Result<(), GetError> {
        let fetched = net.blobs().fetch(hash, bytes, &self.providers, None).await;
        let stats = fetched.map_err(|source| GetError::Fetch { what: what.into(), source })?;
        self.count(stats.bytes, stats.from);
        Ok(())
    }

    fn count(&mut self, bytes: u64, from: PublicKey) {
        if bytes > 0 {
            self.bytes += bytes;
            self.from.insert(from);
        }
    }
}

/// Writes a revision's files under `out`, each verified as it is written.
pub(crate) async fn write_out(
    blobs: &Blobs,
    manifest: &Manifest,
    out: &Path,
) -> Result<(), GetError> {
    for file in &manifest.files {
        // The path was checked with the manifest: relative, plain, and it cannot climb.
        let target = out.join(&file.path);
        let dir = target.parent().unwrap_or(out).to_owned();
        let write = |e| GetError::Write(target.clone(), e);
        std::fs::create_dir_all(&dir).map_err(write)?;
        let mut temporary =
            tempfile::Builder::new().prefix(".accord-").tempfile_in(&dir).map_err(write)?;
        let mut hasher = blake3::Hasher::new();
        for shard in &file.shards {
            let bytes = blobs.read(shard.hash, shard.bytes).await?;
            hasher.update(&bytes);
            temporary.write_all(&bytes).map_err(write)?;
        }
        if hasher.finalize().as_bytes() != file.blake3.as_bytes() {
            return Err(GetError::Wrong(file.path.clone()));
        }
        temporary.as_file().sync_all().map_err(write)?;
        set_plain_mode(temporary.path()).map_err(write)?;
        temporary.persist(&target).map_err(|e| write(e.error))?;
        crate::home::sync_dir(&dir).map_err(write)?;
    }
    Ok(())
}

/// Temporary files are for their owner only; what a user asked for is a plain file.
fn set_plain_mode(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A revision for people; `manifest` is there if this node has it.
pub(crate) async fn revision_view(
    blobs: &Blobs,
    resolved: &Resolved,
    manifest: Option<&Manifest>,
) -> RevisionView {
    let head = resolved.head.value();
    let mut local = manifest.is_some();
    for shard in manifest.iter().flat_map(|m| &m.files).flat_map(|file| &file.shards) {
        local = local && blobs.has(shard.hash).await;
    }
    let files = manifest.iter().flat_map(|m| &m.files).map(|file| FileView {
        path: file.path.clone(),
        bytes: file.bytes,
        blake3: file.blake3,
    });
    RevisionView {
        owner: head.owner,
        name: head.name.clone(),
        revision: head.revision,
        seq: head.seq,
        files: files.collect(),
        bytes: manifest.map_or(0, Manifest::bytes),
        local,
        forked: resolved.forked,
    }
}
