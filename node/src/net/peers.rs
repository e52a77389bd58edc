//! The peers we are connected to, and what we hold against peers.
//!
//! Invariants: every table is bounded; what a peer did outlives its connection, so that hanging up
//! and calling again wins nothing; a block ends by itself.
//! What it is not: the connections, which libp2p owns.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::request_response::OutboundRequestId;
use libp2p::{Multiaddr, PeerId};
use protocol::PublicKey;
use protocol::limits::{
    DIAL_ADDRESSES_MAX, OFFENDERS_MAX, PEER_BLOCK_MS, REJECTIONS_MAX, REJECTIONS_WINDOW_MS,
};

use super::address::with_peer;
use super::event::{PeerInfo, Topic};

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: PublicKey,
    addresses: Vec<Multiaddr>,
    since: Instant,
    /// Where we see it, for data addresses that leave the IP open.
    pub(super) seen_at: Option<IpAddr>,
    /// Which start of the peer this is; known once it told its data address.
    pub(super) boot: Option<u64>,
    /// Our question for its data address, while it is open.
    pub(super) greeting: Option<OutboundRequestId>,
    /// Whether the node was told of it.
    pub(super) announced: bool,
    /// What it subscribed to before it was announced.
    pub(super) topics: Vec<Topic>,
}

/// What a peer did wrong.
#[derive(Debug)]
struct Offences {
    total: u64,
    /// Within the window that began at `since`.
    recent: u32,
    since: Instant,
    blocked_until: Option<Instant>,
}

impl Offences {
    fn is_blocked(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| until > now)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: HashMap<PeerId, Peer>,
    offences: HashMap<PeerId, Offences>,
    /// Rejected messages of all peers.
    pub(super) rejected: u64,
    /// How often a peer was dropped.
    pub(super) dropped: u64,
}

impl Peers {
    /// A first connection to `peer` is there.
    pub(super) fn insert(&mut self, peer: PeerId, key: PublicKey, seen_at: Option<IpAddr>) {
        let fresh = Peer {
            key,
            addresses: Vec::new(),
            since: Instant::now(),
            seen_at,
            boot: None,
            greeting: None,
            announced: false,
            topics: Vec::new(),
        };
        self.connected.insert(peer, fresh);
    }

    pub(super) fn remove(&mut self, peer: &PeerId) -> Option<Peer> {
        self.connected.remove(peer)
    }

    pub(super) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.connected.get_mut(peer)
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.connected.contains_key(peer)
    }

    pub(super) fn is_announced(&self, peer: &PeerId) -> bool {
        self.connected.get(peer).is_some_and(|peer| peer.announced)
    }

    /// Notes where a connected peer can be dialled.
    pub(super) fn add_address(&mut self, peer: &PeerId, address: &Multiaddr) {
        if let Some(known) = self.connected.get_mut(peer) {
            let address = with_peer(address, *peer);
            if known.addresses.len() < DIAL_ADDRESSES_MAX && !known.addresses.contains(&address) {
                known.addresses.push(address);
            }
        }
    }

    /// Counts one offence. True if it is the one too many.
    pub(super) fn offend(&mut self, peer: PeerId, now: Instant) -> bool {
        self.rejected += 1;
        let offences = self.offences_of(peer, now);
        if now.duration_since(offences.since) > Duration::from_millis(REJECTIONS_WINDOW_MS) {
            offences.recent = 0;
            offences.since = now;
        }
        offences.total += 1;
        offences.recent += 1;
        offences.recent >= REJECTIONS_MAX
    }

    /// Blocks a peer for a while.
    pub(super) fn block(&mut self, peer: PeerId, now: Instant) {
        self.dropped += 1;
        let offences = self.offences_of(peer, now);
        offences.recent = 0;
        offences.blocked_until = Some(now + Duration::from_millis(PEER_BLOCK_MS));
    }

    pub(super) fn is_blocked(&self, peer: &PeerId, now: Instant) -> bool {
        self.offences.get(peer).is_some_and(|offences| offences.is_blocked(now))
    }

    /// Connected and blocked peers, by count.
    pub(super) fn counts(&self, now: Instant) -> (usize, usize) {
        let blocked = self.offences.values().filter(|o| o.is_blocked(now)).count();
        (self.connected.len(), blocked)
    }

    /// Every announced peer, by key.
    pub(super) fn infos(&self) -> Vec<PeerInfo> {
        let mut infos: Vec<_> = self
            .connected
            .iter()
            .filter(|(_, peer)| peer.announced)
            .map(|(id, peer)| PeerInfo {
                key: peer.key,
                addresses: peer.addresses.clone(),
                since: peer.since,
                rejected: self.offences.get(id).map_or(0, |offences| offences.total),
            })
            .collect();
        infos.sort_by_key(|info| info.key);
        infos
    }

    fn offences_of(&mut self, peer: PeerId, now: Instant) -> &mut Offences {
        if self.offences.len() >= OFFENDERS_MAX && !self.offences.contains_key(&peer) {
            // The one that has behaved for longest is forgiven.
            let oldest = self.offences.iter().min_by_key(|(_, offences)| offences.since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.offences.remove(&oldest);
            }
        }
        self.offences.entry(peer).or_insert(Offences {
            total: 0,
            recent: 0,
            since: now,
            blocked_until: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offence_is_the_one_too_many() {
        let (mut peers, peer, now) = (Peers::default(), PeerId::random(), Instant::now());
        for _ in 1..REJECTIONS_MAX {
            assert!(!peers.offend(peer, now));
        }
        assert!(peers.offend(peer, now));
        assert_eq!(peers.rejected, u64::from(REJECTIONS_MAX));
    }

    #[test]
    fn rare_offences_are_forgiven() {
        let (mut peers, peer, mut now) = (Peers::default(), PeerId::random(), Instant::now());
        for _ in 0..REJECTIONS_MAX * 2 {
            assert!(!peers.offend(peer, now));
            now += Duration::from_millis(REJECTIONS_WINDOW_MS + 1);
        }
    }

    #[test]
    fn a_block_ends_by_itself() {
        let (mut peers, peer, now) = (Peers::default(), PeerId::random(), Instant::now());
        peers.block(peer, now);
        assert!(peers.is_blocked(&peer, now));
        assert!(!peers.is_blocked(&peer, now + Duration::from_millis(PEER_BLOCK_MS)));
    }

    #[test]
    fn what_is_held_against_peers_is_bounded() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        for _ in 0..OFFENDERS_MAX + 10 {
            peers.offend(PeerId::random(), now);
        }
        assert_eq!(peers.offences.len(), OFFENDERS_MAX);
    }
}
