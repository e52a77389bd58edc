//! Fetching a revision from peers.
//!
//! Invariants: every shard is verified by its hash as it arrives; nothing is asked for that is here.
//! What it is not: whom to ask (see `providers`), or writing files (see `write`).

use std::collections::BTreeSet;
use std::time::Instant;

use futures::StreamExt;
use protocol::manifest::{Head, Manifest, ManifestError, Shard};
use protocol::{FileHash, PublicKey, Signed};

use super::heads::Resolved;
use super::providers::{Providers, hint};
use super::room::{NoRoom, check_room};
use super::write::WriteError;
use crate::api::ProgressSender;
use crate::api::dto::{FileView, RevisionView};
use crate::net::{BlobError, Blobs, FetchError, FetchStats, Net};

/// Why a revision was not fetched or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    /// A blob could not be had.
    #[error("cannot fetch {what}: {source}{hint}")]
    Fetch {
        /// Which file.
        what: String,
        /// Why not.
        source: FetchError,
        /// What else there is to say.
        hint: &'static str,
    },
    /// A blob that is here could not be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// What the head names is no manifest.
    #[error("the revision's manifest is bad: {0}")]
    Manifest(#[from] ManifestError),
    /// The disk is too full.
    #[error("the revision was not fetched: {0}")]
    Room(#[from] NoRoom),
    /// The files could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
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

/// Makes a revision be here, whole, unless the blobs' disk has too little room for it.
pub(crate) async fn fetch(
    net: &Net,
    head: &Signed<Head>,
    progress: &ProgressSender,
) -> Result<Got, GetError> {
    let started = Instant::now();
    let value = head.value();
    let revision: FileHash = value.revision.into();
    let providers = Providers::new(net, revision);
    let mut transfers = Transfers { net, bytes: 0, from: BTreeSet::new() };
    let manifest_stats = providers.fetch(revision, value.manifest_bytes).await;
    transfers.count("the manifest", manifest_stats).await?;
    let bytes = net.blobs().read(revision, value.manifest_bytes).await?;
    let manifest = Manifest::from_bytes(&bytes)?;
    let shards = missing(net.blobs(), &manifest).await;
    let needed = shards.iter().map(|(_, shard)| shard.bytes).sum::<u64>();
    check_room(net.blobs().directory(), needed)?;
    let total = manifest.bytes();
    let mut done = total.saturating_sub(needed);
    let mut fetched = futures::stream::iter(shards)
        .map(|(path, shard)| {
            let providers = &providers;
            async move { (path, shard, providers.fetch(shard.hash, shard.bytes).await) }
        })
        .buffer_unordered(SHARDS_AT_ONCE);
    while let Some((path, shard, stats)) = fetched.next().await {
        transfers.count(&path, stats).await?;
        done += shard.bytes;
        progress.send(&format!("fetching {path}"), done, Some(total), "bytes");
    }
    drop(fetched);
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let from = transfers.from.into_iter().collect();
    Ok(Got { manifest, fetched_bytes: transfers.bytes, elapsed_ms, from })
}

/// The shards that are not here, each once, with the first file that each is of.
async fn missing(blobs: &Blobs, manifest: &Manifest) -> Vec<(String, Shard)> {
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    for file in &manifest.files {
        for shard in &file.shards {
            if seen.insert(shard.hash) && !blobs.has(shard.hash).await {
                missing.push((file.path.clone(), *shard));
            }
        }
    }
    missing
}

/// What came over the network so far.
struct Transfers<'a> {
    net: &'a Net,
    bytes: u64,
    from: BTreeSet<PublicKey>,
}

impl Transfers<'_> {
    async fn count(
        &mut self,
        what: &str,
        stats: Result<FetchStats, FetchError>,
    ) -> Result<(), GetError> {
        match stats {
            Ok(stats) if stats.bytes > 0 => {
                self.bytes += stats.bytes;
                self.from.insert(stats.from);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(source) => {
                Err(GetError::Fetch { what: what.to_owned(), source, hint: hint(self.net).await })
            }
        }
    }
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
        left_out: 0,
    }
}
