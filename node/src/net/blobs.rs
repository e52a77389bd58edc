//! The data plane: blobs by their blake3 hash, kept in an iroh-blobs store and served over QUIC.
//!
//! Invariants:
//! - A blob is on disk (files and directory synced, database flushed, tag set) before `add_*` or
//!   `fetch` returns; nothing is ever collected, since no garbage collection is configured.
//! - `read` and `export` give verified bytes or an error. iroh-blobs reads its files as they are,
//!   and a power cut can leave zeros under a blob it calls complete, so both hash what they read.
//! - `export` writes beside the target and renames; nothing partial bears the final name.
//! - No relay, no DNS and no lookup but the addresses the control plane passes on.
//!
//! What it is not: a judge of who may have what. Whoever knows a hash may fetch the blob.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iroh::address_lookup::MemoryLookup;
use iroh::endpoint::{QuicTransportConfig, VarInt, presets};
use iroh::protocol::Router;
use iroh::{Endpoint, RelayMode};
use iroh_blobs::api::blobs::{AddPathOptions, BlobStatus, EncodedItem, ImportMode};
use iroh_blobs::protocol::ChunkRanges;
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::util::connection_pool::{self, ConnectionPool};
use iroh_blobs::{BlobFormat, BlobsProtocol, Hash};
use libp2p::futures::StreamExt;
use protocol::limits::{DATA_CONNECT_TIMEOUT_MS, FETCHES_MAX};
use protocol::{FileHash, PublicKey, SecretKey};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::blob_files::{MADE, file_of, sync_blob, sync_directory, temporary_file};
use super::callers::{Callers, Serving};
use super::serve::{self, serving_events};
use super::sources::Sources;
use super::traffic::Traffic;

/// Bytes in flight per stream. The QUIC stack (noq-proto 1.4) kills a connection whose stream has
/// more than 1024 gaps; in packets of 1200 bytes, 2 MiB cannot have that many even if every other
/// packet is lost, and 16 MiB did on loopback. Speed over long distances comes from several blobs.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// Bytes in flight per connection: as many streams as there are fetches at once.
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// How long an unused connection to a provider stays open.
const CONNECTION_IDLE: Duration = Duration::from_secs(10);

/// Why the data plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum BlobsStartError {
    /// The store did not open.
    #[error("opening the blob store in {path:?}: {reason}")]
    Open {
        /// Its directory.
        path: PathBuf,
        /// What iroh-blobs says.
        reason: String,
    },
    /// The endpoint did not bind.
    #[error("binding the data plane to {address}: {reason}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What iroh says.
        reason: String,
    },
}

/// Why a blob could not be kept or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not here, or not completely.
    #[error("blob {0} is not here; fetch it first")]
    NotHere(FileHash),
    /// Longer than the caller takes.
    #[error("blob {hash} is {bytes} bytes, at most {bytes_max} are allowed")]
    TooLong {
        /// Which.
        hash: FileHash,
        /// Its length.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// What is on disk does not hash to its name.
    #[error("blob {0} is damaged on disk; delete the blob directory and fetch again")]
    Damaged(FileHash),
    /// The store failed.
    #[error("{step} in the blob store: {reason}; if the disk is full, free some space")]
    Store {
        /// What was being done.
        step: &'static str,
        /// What iroh-blobs says.
        reason: String,
    },
    /// A file outside the store failed.
    #[error("{step} {path:?}: {source}")]
    File {
        /// What was being done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A handle to the data plane; cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) own: PublicKey,
    directory: PathBuf,
    pub(super) store: FsStore,
    endpoint: Endpoint,
    pub(super) lookup: MemoryLookup,
    pub(super) pool: ConnectionPool,
    router: Router,
    pub(super) callers: Callers,
    pub(super) sources: Mutex<Sources>,
    /// Told to the control plane, which drops whoever serves wrong bytes.
    pub(super) liars: mpsc::Sender<PublicKey>,
    pub(super) fetches: Semaphore,
    pub(super) traffic: Arc<Traffic>,
}

impl Blobs {
    /// Opens the store in `directory` and serves it on `address`.
    pub(super) async fn start(
        key: &SecretKey,
        directory: &Path,
        address: SocketAddr,
        liars: mpsc::Sender<PublicKey>,
        tasks: &TaskTracker,
    ) -> Result<Self, BlobsStartError> {
        let opening =
            |reason: String| BlobsStartError::Open { path: directory.to_path_buf(), reason };
        let store = FsStore::load(directory).await.map_err(|e| opening(e.to_string()))?;
        // The store's own paths are made from this one, so it must not depend on where we run.
        let directory = std::path::absolute(directory).map_err(|e| opening(e.to_string()))?;
        std::fs::create_dir_all(directory.join(MADE)).map_err(|e| opening(e.to_string()))?;
        let lookup = MemoryLookup::new();
        let endpoint = bind(key, address, lookup.clone()).await?;
        let (events, received) = serving_events();
        let traffic = Arc::<Traffic>::default();
        tasks.spawn(serve::watch(received, traffic.clone()));
        let callers = Callers::default();
        let serving = BlobsProtocol::new(&store, Some(events));
        let router = Router::builder(endpoint.clone())
            .accept(iroh_blobs::ALPN, Serving::new(serving, callers.clone()))
            .spawn();
        let mut pool_options = connection_pool::Options::default();
        pool_options.connect_timeout = Duration::from_millis(DATA_CONNECT_TIMEOUT_MS);
        pool_options.idle_timeout = CONNECTION_IDLE;
        let pool = ConnectionPool::new(endpoint.clone(), iroh_blobs::ALPN, pool_options);
        let inner = Inner {
            own: key.public(),
            directory,
            store,
            endpoint,
            lookup,
            pool,
            router,
            callers,
            sources: Mutex::default(),
            liars,
            fetches: Semaphore::new(FETCHES_MAX),
            traffic,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps `bytes`.
    pub async fn add_bytes(&self, bytes: Vec<u8>) -> Result<FileHash, BlobError> {
        let added = self.inner.store.blobs().add_bytes(bytes).temp_tag().await;
        let added = added.map_err(|e| store_error("adding bytes", &e))?;
        let hash = FileHash::from_bytes(*added.hash().as_bytes());
        self.keep(hash).await?;
        Ok(hash)
    }

    /// Keeps a copy of the file at `path`; returns its hash and its length in bytes.
    pub async fn add_path(&self, path: &Path) -> Result<(FileHash, u64), BlobError> {
        let file_error =
            |source| BlobError::File { step: "reading", path: path.to_path_buf(), source };
        // iroh-blobs takes absolute paths only, and names no file in its errors.
        let absolute = std::path::absolute(path).map_err(file_error)?;
        tokio::fs::File::open(&absolute).await.map_err(file_error)?;
        let options =
            AddPathOptions { path: absolute, format: BlobFormat::Raw, mode: ImportMode::Copy };
        let added = self.inner.store.blobs().add_path_with_opts(options).temp_tag().await;
        let added = added.map_err(|e| file_error(io::Error::other(e.to_string())))?;
        let hash = FileHash::from_bytes(*added.hash().as_bytes());
        self.keep(hash).await?;
        Ok((hash, self.size(hash).await?))
    }

    /// Keeps a file that was made here and has this hash, without copying it.
    pub async fn adopt(&self, file: NamedTempFile, hash: FileHash) -> Result<(), BlobError> {
        let path = self.inner.directory.join(MADE).join(hash.to_string());
        let file_error = |source| BlobError::File { step: "keeping", path: path.clone(), source };
        file.persist(&path).map_err(|error| file_error(error.error))?;
        let (format, mode) = (BlobFormat::Raw, ImportMode::TryReference);
        let options = AddPathOptions { path: path.clone(), format, mode };
        let added = self.inner.store.blobs().add_path_with_opts(options).temp_tag().await;
        let added = added.map_err(|e| file_error(io::Error::other(e.to_string())))?;
        if FileHash::from_bytes(*added.hash().as_bytes()) != hash {
            std::fs::remove_file(&path).map_err(file_error)?;
            return Err(BlobError::Damaged(hash));
        }
        self.keep(hash).await
    }

    /// Whether the whole blob is here. False also if the store cannot say.
    pub async fn has(&self, hash: FileHash) -> bool {
        self.size(hash).await.is_ok()
    }

    /// The length in bytes of a blob that is here.
    pub async fn size(&self, hash: FileHash) -> Result<u64, BlobError> {
        match self.inner.store.blobs().status(iroh_hash(hash)).await {
            Ok(BlobStatus::Complete { size }) => Ok(size),
            Ok(_) => Err(BlobError::NotHere(hash)),
            Err(e) => Err(store_error("looking up a blob", &e)),
        }
    }

    /// The verified bytes of a blob that is here and at most `bytes_max` long.
    pub async fn read(&self, hash: FileHash, bytes_max: u64) -> Result<Vec<u8>, BlobError> {
        let bytes = self.size(hash).await?;
        if bytes > bytes_max {
            return Err(BlobError::TooLong { hash, bytes, bytes_max });
        }
        let read = match self.file(hash) {
            // The store would hand a file over a kilobyte at a time.
            Some(path) => tokio::fs::read(path).await,
            None => {
                let mut read = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
                let reader = self.inner.store.blobs().reader(iroh_hash(hash));
                reader.take(bytes).read_to_end(&mut read).await.map(|_| read)
            }
        };
        match read {
            Ok(read) if FileHash::of(&read) == hash => Ok(read),
            _ => Err(BlobError::Damaged(hash)),
        }
    }

    /// The file of a blob that is here, if it is large enough to have one; its reader looks at the hash.
    pub fn file(&self, hash: FileHash) -> Option<PathBuf> {
        file_of(&self.inner.directory, hash)
    }

    /// Writes a blob that is here to `target`, verified; whatever was there is replaced.
    pub async fn export(&self, hash: FileHash, target: &Path) -> Result<u64, BlobError> {
        let bytes = self.size(hash).await?;
        let file_error =
            |step| move |source| BlobError::File { step, path: target.to_path_buf(), source };
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temporary = temporary_file(directory).map_err(file_error("making a file beside"))?;
        let (file, temporary) = temporary.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        // Unlike `reader` and `export`, this stream is checked against the hash tree.
        let ranges = ChunkRanges::all();
        let mut items = self.inner.store.blobs().export_bao(iroh_hash(hash), ranges).stream();
        let mut written = 0;
        while let Some(item) = items.next().await {
            match item {
                EncodedItem::Leaf(leaf) if leaf.offset == written => {
                    file.write_all(&leaf.data).await.map_err(file_error("writing"))?;
                    written += leaf.data.len() as u64;
                }
                EncodedItem::Size(size) if size == bytes => {}
                EncodedItem::Parent(_) => {}
                EncodedItem::Done => break,
                EncodedItem::Leaf(_) | EncodedItem::Size(_) | EncodedItem::Error(_) => {
                    return Err(BlobError::Damaged(hash));
                }
            }
        }
        if written != bytes {
            return Err(BlobError::Damaged(hash));
        }
        file.flush().await.map_err(file_error("writing"))?;
        file.sync_all().await.map_err(file_error("flushing"))?;
        temporary.persist(target).map_err(|e| file_error("naming")(e.error))?;
        sync_directory(directory.to_path_buf()).await.map_err(file_error("flushing"))?;
        Ok(bytes)
    }

    /// Where the blobs are.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Payload bytes sent to and received from peers since the start.
    pub fn traffic(&self) -> (u64, u64) {
        self.inner.traffic.total()
    }

    /// Where the data plane listens, as far as this machine can tell.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let known = self.inner.endpoint.addr();
        let bound = self.inner.endpoint.bound_sockets();
        known.ip_addrs().copied().chain(bound).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Makes a blob that just became complete durable.
    pub(super) async fn keep(&self, hash: FileHash) -> Result<(), BlobError> {
        let directory = self.inner.directory.clone();
        let synced = tokio::task::spawn_blocking(move || sync_blob(&directory, hash)).await;
        synced
            .map_err(|e| store_error("flushing a blob", &e))?
            .map_err(|e| store_error("flushing a blob", &e))?;
        let tags = self.inner.store.tags();
        let tagged = tags.set(hash.to_string(), iroh_hash(hash)).await;
        tagged.map_err(|e| store_error("tagging a blob", &e))?;
        self.inner.store.sync_db().await.map_err(|e| store_error("flushing its database", &e))
    }

    /// Stops serving and closes the store.
    pub(super) async fn close(&self) {
        // The router shuts the store down with the protocol it serves.
        if let Err(error) = self.inner.router.shutdown().await {
            tracing::warn!(%error, "stopping the data plane");
        }
    }
}

pub(super) fn iroh_hash(hash: FileHash) -> Hash {
    Hash::from_bytes(*hash.as_bytes())
}

/// The store's error with its causes: the outermost alone often says only that something failed.
pub(super) fn store_error(step: &'static str, error: &dyn std::error::Error) -> BlobError {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = error.source();
    }
    BlobError::Store { step, reason: reason.replace('\n', " ") }
}

async fn bind(
    key: &SecretKey,
    address: SocketAddr,
    lookup: MemoryLookup,
) -> Result<Endpoint, BlobsStartError> {
    let binding = |reason: String| BlobsStartError::Bind { address, reason };
    let transport = QuicTransportConfig::builder()
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .build();
    Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .secret_key(iroh::SecretKey::from_bytes(&key.seed()))
        .address_lookup(lookup)
        .transport_config(transport)
        // Without this a second socket would listen on all IPv6 addresses.
        .clear_ip_transports()
        .bind_addr(address)
        .map_err(|e| binding(e.to_string()))?
        .bind()
        .await
        .map_err(|e| binding(e.to_string()))
}
