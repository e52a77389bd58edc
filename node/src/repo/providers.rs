//! Whom to ask for a revision: the connected peers first, and only when they do not have it whoever
//! the hash table names.
//!
//! Invariants: what is here asks nobody; the hash table is searched once for a revision at most; a
//! node that has just started gets a moment to find its first peer.
//! What it is not: the choice among providers (see `net`).

use std::time::Duration;

use protocol::{FileHash, PublicKey};
use tokio::sync::OnceCell;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::net::{FetchError, FetchStats, Net};

/// What an error says at its end when there was nobody to ask.
pub(crate) const ALONE: &str = "; no other node is connected yet: see `accord status`";
/// How long after its start a node's first peer is waited for: it connects to those it knows at once.
const FIRST_PEER_WAIT: Duration = Duration::from_secs(5);
/// How often to look whether there is one.
pub(crate) const PEERS_EVERY: Duration = Duration::from_millis(100);

/// The nodes that may have a revision's blobs.
pub(super) struct Providers<'a> {
    net: &'a Net,
    revision: FileHash,
    /// The connected peers, once something is not here.
    near: OnceCell<Vec<PublicKey>>,
    /// Those that the hash table names beside them, once they do not have something.
    far: OnceCell<Vec<PublicKey>>,
}

impl<'a> Providers<'a> {
    pub(super) fn new(net: &'a Net, revision: FileHash) -> Self {
        Self { net, revision, near: OnceCell::new(), far: OnceCell::new() }
    }

    /// Makes a blob of the revision be here.
    pub(super) async fn fetch(
        &self,
        hash: FileHash,
        bytes_max: u64,
    ) -> Result<FetchStats, FetchError> {
        let blobs = self.net.blobs();
        if blobs.has(hash).await {
            return blobs.fetch(hash, bytes_max, &[], None).await;
        }
        let near = self.near.get_or_init(|| first_peers(self.net)).await;
        if let Some(far) = self.far.get() {
            // They were sought because the peers lack something, so they are asked first.
            let all: Vec<PublicKey> = far.iter().chain(near).copied().collect();
            return blobs.fetch(hash, bytes_max, &all, None).await;
        }
        let mut failures = match blobs.fetch(hash, bytes_max, near, None).await {
            Err(FetchError::AllFailed { failures, .. }) => failures,
            Err(FetchError::NoProvider(_)) => Vec::new(),
            done => return done,
        };
        let far = self.far.get_or_init(|| self.search(near)).await;
        match blobs.fetch(hash, bytes_max, far, None).await {
            Err(FetchError::AllFailed { failures: more, .. }) => {
                failures.extend(more);
                Err(FetchError::AllFailed { hash, failures })
            }
            Err(FetchError::NoProvider(_)) if !failures.is_empty() => {
                Err(FetchError::AllFailed { hash, failures })
            }
            done => done,
        }
    }

    /// Whoever the hash table names, and peers that came since.
    async fn search(&self, near: &[PublicKey]) -> Vec<PublicKey> {
        let mut found = self.net.providers(self.revision).await;
        found.extend(connected(self.net).await);
        found.retain(|provider| !near.contains(provider));
        found
    }
}

/// Until when a first peer is waited for.
pub(crate) fn first_peer_deadline(net: &Net) -> Instant {
    net.started() + FIRST_PEER_WAIT
}

/// What an error says at its end: whether there was nobody to ask.
pub(crate) async fn hint(net: &Net) -> &'static str {
    if net.peers().await.is_empty() { ALONE } else { "" }
}

/// The connected peers; waits a moment for the first.
async fn first_peers(net: &Net) -> Vec<PublicKey> {
    let mut tick = interval(PEERS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = async {
        loop {
            tick.tick().await;
            let peers = connected(net).await;
            if !peers.is_empty() {
                return peers;
            }
        }
    };
    match timeout_at(first_peer_deadline(net), first).await {
        Ok(peers) => peers,
        Err(_) => connected(net).await,
    }
}

async fn connected(net: &Net) -> Vec<PublicKey> {
    net.peers().await.iter().map(|peer| peer.key).collect()
}
