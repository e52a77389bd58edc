//! What the handle asks of the swarm's task.
//!
//! Invariants: every question is answered or its asker dropped, which the handle takes for "no";
//! what waits is bounded. What it is not: what peers ask (see `inbound`).

use std::collections::BTreeSet;
use std::time::Instant;

use libp2p::gossipsub::PublishError as GossipError;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId};
use protocol::limits::{PROVIDED_KEYS_MAX, REQUESTS_PENDING_MAX};
use protocol::{FileHash, PublicKey};
use tokio::sync::oneshot;

use super::RequestError;
use super::address::{peer_of, with_peer};
use super::event::{NetStatus, PeerInfo, Topic};
use super::rpc::Frame;
use super::swarm::SwarmTask;

/// What the handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    Publish(Topic, Vec<u8>),
    Request(PublicKey, Vec<u8>, oneshot::Sender<Result<Vec<u8>, RequestError>>),
    Connect(PublicKey, oneshot::Sender<bool>),
    Dial(Multiaddr),
    Provide(FileHash),
    Providers(FileHash, oneshot::Sender<Vec<PublicKey>>),
    Penalise(PublicKey, String),
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    ListenAddresses(oneshot::Sender<Vec<Multiaddr>>),
    Status(oneshot::Sender<NetStatus>),
}

impl SwarmTask {
    pub(super) fn on_command(&mut self, command: Command) {
        // Whoever asked may be gone by the time we answer; that is no error of ours.
        match command {
            Command::Publish(topic, bytes) => self.publish(topic, bytes),
            Command::Request(peer, bytes, asker) => {
                if self.pending.requests.len() >= REQUESTS_PENDING_MAX {
                    let _ = asker.send(Err(RequestError::Busy));
                    return;
                }
                let rpc = &mut self.swarm.behaviour_mut().rpc;
                let id = rpc.send_request(&peer_of(&peer), Frame::Bytes(bytes));
                self.pending.requests.insert(id, asker);
            }
            Command::Connect(peer, asker) => self.connect(peer_of(&peer), asker),
            Command::Dial(address) => {
                self.dial.remember(address, Instant::now());
                self.dial_due();
            }
            Command::Provide(key) => {
                if self.provided.keys.len() < PROVIDED_KEYS_MAX && self.provided.keys.insert(key) {
                    self.provide(key);
                }
            }
            Command::Providers(key, asker) => {
                let full = self.pending.searches.len() >= REQUESTS_PENDING_MAX;
                match self.swarm.behaviour_mut().kad.as_mut().filter(|_| !full) {
                    Some(kad) => {
                        let id = kad.get_providers(key.as_bytes().to_vec().into());
                        self.pending.searches.insert(id, (BTreeSet::new(), asker));
                    }
                    None => {
                        let _ = asker.send(Vec::new());
                    }
                }
            }
            Command::Penalise(peer, reason) => self.offend(peer_of(&peer), &reason),
            Command::Peers(asker) => {
                let _ = asker.send(self.peers.infos());
            }
            Command::ListenAddresses(asker) => {
                let _ = asker.send(self.listen_addresses());
            }
            Command::Status(asker) => {
                let _ = asker.send(self.status());
            }
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        match self.swarm.behaviour_mut().gossip.publish(topic.gossip(), bytes) {
            // Without listeners there is nobody to tell; peers that come later ask.
            Ok(_) | Err(GossipError::NoPeersSubscribedToTopic | GossipError::Duplicate) => {}
            Err(error) => tracing::warn!(%error, topic = topic.name(), "publishing"),
        }
    }

    fn connect(&mut self, peer: PeerId, asker: oneshot::Sender<bool>) {
        if self.peers.is_announced(&peer) {
            let _ = asker.send(true);
        } else if self.pending.connects.len() >= REQUESTS_PENDING_MAX {
            let _ = asker.send(false);
        } else {
            self.pending.connects.push((peer, asker));
            // If it is connected or being dialled, its announcement is on the way.
            let dialled = self.swarm.dial(DialOpts::peer_id(peer).allocate_new_port().build());
            let underway = self.peers.is_connected(&peer)
                || matches!(dialled, Err(DialError::DialPeerConditionFalse(_)));
            if dialled.is_err() && !underway {
                self.answer_connects(peer, false);
            }
        }
    }

    pub(super) fn answer_connects(&mut self, peer: PeerId, connected: bool) {
        let waiting = std::mem::take(&mut self.pending.connects);
        for (wanted, asker) in waiting {
            if wanted == peer {
                let _ = asker.send(connected);
            } else if !asker.is_closed() {
                self.pending.connects.push((wanted, asker));
            }
        }
    }

    pub(super) fn provide(&mut self, key: FileHash) {
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
            && let Err(error) = kad.start_providing(key.as_bytes().to_vec().into())
        {
            tracing::warn!(%error, "announcing in the hash table");
        }
    }

    fn listen_addresses(&self) -> Vec<Multiaddr> {
        let own = *self.swarm.local_peer_id();
        self.swarm.listeners().map(|address| with_peer(address, own)).collect()
    }

    fn status(&self) -> NetStatus {
        let (peers, peers_blocked) = self.peers.counts(Instant::now());
        NetStatus {
            peers,
            peers_blocked,
            peers_dropped: self.peers.dropped,
            messages_rejected: self.peers.rejected,
            messages_ignored: self.ignored,
        }
    }
}
