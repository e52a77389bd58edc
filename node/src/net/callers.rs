//! Where peers' data planes are, and who fetches from us, so that one who is gone can be hung up on.
//!
//! iroh sends everything for an endpoint, new connections too, along the path that its open
//! connections use. A peer that died and came back on another port is therefore out of reach until
//! every connection of its former life is closed, and those that it opened are ours to close.
//!
//! Invariants: a connection is remembered no longer than it lives. What it is not: serving itself,
//! which is iroh-blobs'.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iroh::address_lookup::EndpointInfo;
use iroh::endpoint::{Connection, VarInt, WeakConnectionHandle};
use iroh::protocol::{AcceptError, ProtocolHandler};
use iroh::{EndpointAddr, EndpointId, TransportAddr};
use iroh_blobs::BlobsProtocol;
use protocol::PublicKey;
use protocol::exchange::Whereabouts;
use protocol::limits::{PRESENCE_ADDRESSES_MAX, SUGGESTED_MAX};

use super::address::endpoint_of;
use super::blobs::Blobs;

/// Serves blobs and notes who asks.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    blobs: BlobsProtocol,
    callers: Callers,
}

/// Open connections that peers made to us, and from whom it is known where they listen.
#[derive(Debug, Clone, Default)]
pub(super) struct Callers {
    open: Arc<Mutex<HashMap<usize, (EndpointId, WeakConnectionHandle)>>>,
    sightings: Arc<Mutex<Sightings>>,
}

impl Blobs {
    /// Notes where a peer's data plane listens.
    pub(super) fn learn(&self, peer: &PublicKey, addresses: BTreeSet<SocketAddr>) {
        let endpoint = endpoint_of(peer);
        let known = self.inner.lookup.get_endpoint_info(endpoint);
        let stays =
            |known: EndpointInfo| known.ip_addrs().any(|address| addresses.contains(address));
        let moved = known.is_some_and(|known| !stays(known));
        // Replaces what was known: after a restart the old ports are somebody else's.
        self.inner.lookup.set_endpoint_info(address_of(endpoint, addresses));
        if moved {
            self.hang_up(peer);
        }
        self.sightings().greeted.insert(*peer);
    }

    /// Notes where a node says, by way of others, that its data plane listens; what it told us itself, as long
    /// as it is connected, counts for more.
    pub(crate) fn suggest(&self, peer: &PublicKey, addresses: BTreeSet<SocketAddr>) {
        let mut sightings = self.sightings();
        if addresses.is_empty() || *peer == self.inner.own || sightings.greeted.contains(peer) {
            return;
        }
        if let Some(oldest) = sightings.suggest(*peer) {
            self.inner.lookup.remove_endpoint_info(endpoint_of(&oldest));
        }
        let address = address_of(endpoint_of(peer), addresses);
        self.inner.lookup.set_endpoint_info(address);
    }

    /// Where a node's data plane listens, as far as this node knows.
    pub(crate) fn whereabouts_of(&self, node: &PublicKey) -> Option<Whereabouts> {
        let known = self.inner.lookup.get_endpoint_info(endpoint_of(node))?;
        let addresses: Vec<String> =
            known.ip_addrs().take(PRESENCE_ADDRESSES_MAX).map(ToString::to_string).collect();
        (!addresses.is_empty()).then_some(Whereabouts { node: *node, addresses })
    }

    fn sightings(&self) -> MutexGuard<'_, Sightings> {
        // Sets of keys are whole after a panic elsewhere.
        self.inner.callers.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every connection of the data plane with a peer, which is gone or has moved: a transfer
    /// from where it was would stand still, and so would a new connection.
    pub(super) fn hang_up(&self, peer: &PublicKey) {
        self.sightings().greeted.remove(peer);
        let (pool, endpoint) = (self.inner.pool.clone(), endpoint_of(peer));
        self.inner.callers.hang_up(endpoint);
        tokio::spawn(async move {
            // It fails when the node stops.
            let _ = pool.close(endpoint).await;
        });
    }
}

/// From whom it is known where the data planes of nodes are.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// From themselves, who are connected.
    greeted: HashSet<PublicKey>,
    /// From others, the oldest first.
    suggested: VecDeque<PublicKey>,
}

impl Sightings {
    /// Takes note of a suggestion; returns whose has to make room for it.
    fn suggest(&mut self, peer: PublicKey) -> Option<PublicKey> {
        if self.suggested.contains(&peer) {
            return None;
        }
        self.suggested.push_back(peer);
        let oldest = (self.suggested.len() > SUGGESTED_MAX).then(|| self.suggested.pop_front());
        oldest.flatten().filter(|oldest| !self.greeted.contains(oldest))
    }
}

fn address_of(endpoint: EndpointId, addresses: BTreeSet<SocketAddr>) -> EndpointAddr {
    EndpointAddr::from_parts(endpoint, addresses.into_iter().map(TransportAddr::Ip))
}

impl Serving {
    pub(super) fn new(blobs: BlobsProtocol, callers: Callers) -> Self {
        Self { blobs, callers }
    }
}

impl ProtocolHandler for Serving {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let number = connection.stable_id();
        let handle = (connection.remote_id(), connection.weak_handle());
        self.callers.open().insert(number, handle);
        let _forget = Forget(&self.callers, number);
        self.blobs.accept(connection).await
    }

    async fn shutdown(&self) {
        ProtocolHandler::shutdown(&self.blobs).await;
    }
}

/// Forgets a connection when its serving ends, however it does.
struct Forget<'a>(&'a Callers, usize);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.open().remove(&self.1);
    }
}

impl Callers {
    /// Closes all connections that a peer made.
    pub(super) fn hang_up(&self, peer: EndpointId) {
        let open = self.open();
        let of_peer = open.values().filter(|(caller, _)| *caller == peer);
        for connection in of_peer.filter_map(|(_, handle)| handle.upgrade()) {
            connection.close(VarInt::from_u32(0), b"gone");
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<usize, (EndpointId, WeakConnectionHandle)>> {
        // A map of handles is whole after a panic elsewhere.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
