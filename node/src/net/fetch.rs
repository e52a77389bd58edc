//! Fetching a blob from whoever has it.
//!
//! Invariants: the size is proven before anything is downloaded and every 16 KiB before they are
//! stored; only what is missing is asked for; whoever serves bytes that do not match the hash is
//! never asked again and is reported to the control plane.
//! What it is not: a search. The caller names the providers.

use std::collections::{BTreeSet, VecDeque};
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use iroh::endpoint::Connection;
use iroh_blobs::Hash;
use iroh_blobs::api::remote::GetProgressItem;
use iroh_blobs::get::fsm::{AtBlobHeaderNextError, DecodeError};
use iroh_blobs::get::request::get_verified_size;
use iroh_blobs::get::{GetError, Stats};
use iroh_blobs::util::connection_pool::ConnectionRef;
use libp2p::futures::StreamExt;
use libp2p::futures::future::BoxFuture;
use libp2p::futures::stream::FuturesUnordered;
use protocol::limits::DATA_STALL_TIMEOUT_MS;
use protocol::{FileHash, PublicKey};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::address::endpoint_of;
use super::blobs::{BlobError, Blobs, iroh_hash, store_error};
use super::sources::Sources;

pub(super) const STALL: Duration = Duration::from_millis(DATA_STALL_TIMEOUT_MS);
/// How long one provider has to connect before the next is connected to as well: longer than a
/// handshake around the world, much shorter than the patience with one that is gone.
const CONNECT_STAGGER: Duration = Duration::from_millis(300);

/// A fetch that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchStats {
    /// Payload bytes downloaded: 0 if the blob was here, less than its size if it was resumed.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Who completed it; ourselves if the blob was here.
    pub from: PublicKey,
}

/// Why a blob could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody to ask.
    #[error("no provider of blob {0} is known")]
    NoProvider(FileHash),
    /// Proven to be longer than the caller takes; nothing was downloaded.
    #[error("blob {hash} is {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// Which.
        hash: FileHash,
        /// Its proven length.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// Every provider failed.
    #[error("none of {} providers gave blob {hash}: {}", failures.len(), list(failures))]
    AllFailed {
        /// Which blob.
        hash: FileHash,
        /// What each of them did, in the order in which it was known.
        failures: Vec<(PublicKey, ProviderError)>,
    },
    /// Our own store failed.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// The node stops.
    #[error("the node is stopping")]
    Stopped,
}

/// What one provider did instead of giving the blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It was caught lying before and was not asked.
    #[error("it served wrong bytes before")]
    Banned,
    /// No connection.
    #[error("it does not answer ({0})")]
    Unreachable(String),
    /// It has no such blob, or not all of it.
    #[error("it does not have the blob")]
    NotThere,
    /// What it sent does not match the hash.
    #[error("it served wrong bytes ({0})")]
    WrongBytes(String),
    /// Nothing came for too long.
    #[error("it stopped sending")]
    Stalled,
    /// The connection broke.
    #[error("the transfer broke ({0})")]
    Broken(String),
}

/// A step of one fetch that failed: theirs or ours.
pub(super) enum StepError {
    Provider(ProviderError),
    Fetch(FetchError),
}

impl From<ProviderError> for StepError {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

impl From<FetchError> for StepError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl Blobs {
    /// Makes a blob of at most `bytes_max` bytes be here, asking `providers` one after another.
    /// Whoever does not connect at once is not waited for while another may.
    ///
    /// `progress` gets the payload bytes received so far, as often as it takes them. Dropping the
    /// future stops the transfer; what has arrived is kept and not asked for again.
    pub async fn fetch(
        &self,
        hash: FileHash,
        bytes_max: u64,
        providers: &[PublicKey],
        progress: Option<mpsc::Sender<u64>>,
    ) -> Result<FetchStats, FetchError> {
        let started = Instant::now();
        let elapsed_ms = move || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.has(hash).await {
            return Ok(FetchStats { bytes: 0, elapsed_ms: elapsed_ms(), from: self.inner.own });
        }
        let mut ordered = self.sources().order(providers);
        ordered.retain(|provider| *provider != self.inner.own);
        if ordered.is_empty() {
            return Err(FetchError::NoProvider(hash));
        }
        let _permit = self.inner.fetches.acquire().await.map_err(|_| FetchError::Stopped)?;
        let mut failures = Vec::new();
        let mut bytes = 0;
        let mut race = Race::new(self, ordered);
        while let Some((provider, connected)) = race.next().await {
            let asked = Instant::now();
            let before = bytes;
            let fetched = match connected {
                Ok(from) => self.fetch_from(hash, bytes_max, &from, &progress, &mut bytes).await,
                Err(error) => Err(error.into()),
            };
            match fetched {
                Ok(()) => {
                    self.keep(hash).await?;
                    let took_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.sources().succeeded(provider, bytes - before, took_ms);
                    race.pass_over();
                    return Ok(FetchStats { bytes, elapsed_ms: elapsed_ms(), from: provider });
                }
                Err(StepError::Provider(error)) => {
                    self.blame(provider, &error);
                    failures.push((provider, error));
                }
                Err(StepError::Fetch(error)) => return Err(error),
            }
        }
        Err(FetchError::AllFailed { hash, failures })
    }

    /// Whether a provider served wrong bytes since the start and is not asked any more.
    pub fn is_banned(&self, provider: &PublicKey) -> bool {
        self.sources().is_banned(provider)
    }

    /// Adds what a provider has of the blob to what is here; `received` counts its bytes.
    async fn fetch_from(
        &self,
        hash: FileHash,
        bytes_max: u64,
        connection: &Connection,
        progress: &Option<mpsc::Sender<u64>>,
        received: &mut u64,
    ) -> Result<(), StepError> {
        let blob = iroh_hash(hash);
        let bytes = self.proven_size(blob, connection).await?;
        if bytes > bytes_max {
            return Err(FetchError::TooLarge { hash, bytes, bytes_max }.into());
        }
        let remote = self.inner.store.remote();
        let local = remote.local(blob).await;
        let local = local.map_err(|e| FetchError::from(store_error("reading a bitfield", &e)))?;
        if !local.is_complete() {
            let transfer = remote.execute_get(connection.clone(), local.missing());
            self.download(transfer.stream(), progress, received).await?;
        }
        // A provider that has a part only ends its stream early without an error of its own.
        if self.has(hash).await { Ok(()) } else { Err(ProviderError::NotThere.into()) }
    }

    /// The blob's size, proven by its last chunk unless that is here already.
    async fn proven_size(&self, blob: Hash, from: &Connection) -> Result<u64, StepError> {
        let known = self.inner.store.blobs().observe(blob).await;
        let known = known.map_err(|e| FetchError::from(store_error("reading a bitfield", &e)))?;
        if let Some(bytes) = known.validated_size() {
            return Ok(bytes);
        }
        match timeout(STALL, get_verified_size(from, &blob)).await {
            Ok(Ok((bytes, _))) => Ok(bytes),
            Ok(Err(error)) => Err(judge(error)),
            Err(_) => Err(ProviderError::Stalled.into()),
        }
    }

    async fn download(
        &self,
        transfer: impl libp2p::futures::Stream<Item = GetProgressItem>,
        progress: &Option<mpsc::Sender<u64>>,
        received: &mut u64,
    ) -> Result<Stats, StepError> {
        let mut transfer = std::pin::pin!(transfer);
        let before = *received;
        loop {
            let Ok(item) = timeout(STALL, transfer.next()).await else {
                return Err(ProviderError::Stalled.into());
            };
            match item {
                Some(GetProgressItem::Progress(bytes)) => {
                    let now = before + bytes;
                    if now <= *received {
                        // A node of the hash tree: it counts for nothing.
                        continue;
                    }
                    self.inner.traffic.add_received(now - *received);
                    *received = now;
                    if let Some(progress) = progress {
                        // Whoever watches too slowly sees the next number.
                        let _ = progress.try_send(now);
                    }
                }
                Some(GetProgressItem::Done(stats)) => return Ok(stats),
                Some(GetProgressItem::Error(error)) => return Err(judge(error)),
                None => return Err(ProviderError::Broken("it ended".into()).into()),
            }
        }
    }

    pub(super) fn blame(&self, provider: PublicKey, error: &ProviderError) {
        tracing::debug!(provider = %provider.short(), %error, "fetching");
        let mut sources = self.sources();
        // Not to have a blob is no fault.
        if !matches!(error, ProviderError::NotThere) {
            sources.failed(provider);
        }
        if matches!(error, ProviderError::WrongBytes(_)) {
            sources.lied(provider);
            // When the queue is full the ban on the data plane still holds.
            let _ = self.inner.liars.try_send(provider);
        }
    }

    pub(super) fn sources(&self) -> MutexGuard<'_, Sources> {
        self.inner.sources.lock().expect("no one panics while holding it")
    }
}

/// A provider, and the connection to it or why there is none.
type Connected = (PublicKey, Result<ConnectionRef, ProviderError>);

/// Connecting to providers, each begun a little after the one before (RFC 8305 does so with
/// addresses), so that one who is gone costs little.
pub(super) struct Race<'a> {
    blobs: &'a Blobs,
    waiting: VecDeque<PublicKey>,
    /// Those begun that have neither connected nor failed.
    slow: BTreeSet<PublicKey>,
    connecting: FuturesUnordered<BoxFuture<'a, Connected>>,
}

impl<'a> Race<'a> {
    pub(super) fn new(blobs: &'a Blobs, ordered: Vec<PublicKey>) -> Self {
        let (slow, connecting) = (BTreeSet::new(), FuturesUnordered::new());
        Self { blobs, waiting: ordered.into(), slow, connecting }
    }

    /// The next provider that connects or fails to, to be asked for when the one before was of no
    /// use; nothing once there are no more.
    pub(super) async fn next(&mut self) -> Option<Connected> {
        self.begin();
        loop {
            tokio::select! {
                // A connection that stands is used before another is begun.
                biased;
                connected = self.connecting.next() => {
                    let connected = connected?;
                    self.slow.remove(&connected.0);
                    return Some(connected);
                }
                () = sleep(CONNECT_STAGGER), if !self.waiting.is_empty() => self.begin(),
            }
        }
    }

    /// Those who had not connected when another had given the blob come later next time.
    pub(super) fn pass_over(self) {
        let mut sources = self.blobs.sources();
        for provider in self.slow {
            sources.failed(provider);
        }
    }

    fn begin(&mut self) {
        let Some(provider) = self.waiting.pop_front() else { return };
        let blobs = self.blobs;
        self.slow.insert(provider);
        self.connecting.push(Box::pin(async move {
            if blobs.is_banned(&provider) {
                return (provider, Err(ProviderError::Banned));
            }
            let connection = blobs.inner.pool.get_or_connect(endpoint_of(&provider)).await;
            (provider, connection.map_err(|e| ProviderError::Unreachable(e.to_string())))
        }));
    }
}

/// Whose fault a failed transfer is, and what it says of the provider.
pub(super) fn judge(error: GetError) -> StepError {
    // With its causes: the outermost error alone says little.
    let text = format!("{error:#}");
    let reset = error.iroh_error_code().is_some();
    match error {
        GetError::Decode { source, .. } => match source {
            DecodeError::ParentHashMismatch { .. } | DecodeError::LeafHashMismatch { .. } => {
                ProviderError::WrongBytes(text).into()
            }
            DecodeError::ChunkNotFound { .. }
            | DecodeError::ParentNotFound { .. }
            | DecodeError::LeafNotFound { .. } => ProviderError::NotThere.into(),
            _ => ProviderError::Broken(text).into(),
        },
        // A provider without the blob ends or resets the stream before it says a size.
        GetError::AtBlobHeaderNext { source: AtBlobHeaderNextError::NotFound { .. }, .. } => {
            ProviderError::NotThere.into()
        }
        GetError::AtBlobHeaderNext { .. } if reset => ProviderError::NotThere.into(),
        GetError::LocalFailure { .. } => {
            let step = "storing a blob";
            FetchError::from(BlobError::Store { step, reason: text }).into()
        }
        _ => ProviderError::Broken(text).into(),
    }
}

fn list(failures: &[(PublicKey, ProviderError)]) -> String {
    let each = failures.iter().map(|(key, error)| format!("{}: {error}", key.short()));
    each.collect::<Vec<_>>().join("; ")
}
