//! The one task that owns libp2p's swarm: commands in, events out, timers.
//!
//! Invariants: nothing in here waits for the node, so the two cannot block each other; every queue
//! is bounded; a peer is announced once its data address is known or cannot be had, and its
//! departure is announced if its arrival was.
//! What it is not: the meaning of reports (see `inbound`) or commands (see `command`).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::futures::StreamExt;
use libp2p::futures::stream::FuturesUnordered;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use libp2p::kad::QueryId;
use libp2p::request_response::{OutboundRequestId, ResponseChannel};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use protocol::limits::NET_EVENTS_MAX;
use protocol::{FileHash, PublicKey};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::RequestError;
use super::address::{DataAddress, ip_of, key_of, peer_of};
use super::behaviour::{Behaviour, BehaviourEvent};
use super::blobs::Blobs;
use super::command::Command;
use super::dial::DialBook;
use super::event::NetEvent;
use super::peers::Peers;
use super::rpc::Frame;

/// Events kept for the node: half for what may be shed, half for comings and goings.
pub(super) const OUTBOX_MAX: usize = NET_EVENTS_MAX * 2;
/// How often dialling, blocks and the hash table are looked after.
const TICK: Duration = Duration::from_millis(250);
/// Keys announced in the hash table per tick, each of which starts a search.
const PROVIDE_PER_TICK: usize = 16;
/// How long peers are given to hear that we go.
const FAREWELL: Duration = Duration::from_millis(500);

type Judged = (MessageId, PeerId, MessageAcceptance);
type Answered = (ResponseChannel<Frame>, Option<Vec<u8>>);
type Waiting<T> = FuturesUnordered<Pin<Box<dyn Future<Output = T> + Send>>>;
type Search = (BTreeSet<PublicKey>, oneshot::Sender<Vec<PublicKey>>);

/// Who waits for what.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) requests: HashMap<OutboundRequestId, oneshot::Sender<Result<Vec<u8>, RequestError>>>,
    pub(super) searches: HashMap<QueryId, Search>,
    pub(super) verdicts: Waiting<Judged>,
    pub(super) replies: Waiting<Answered>,
    pub(super) connects: Vec<(PeerId, oneshot::Sender<bool>)>,
}

/// What this node announces in the hash table.
#[derive(Default)]
pub(super) struct Provided {
    pub(super) keys: BTreeSet<FileHash>,
    /// To be announced again, since the table just grew.
    pub(super) again: VecDeque<FileHash>,
}

pub(super) struct SwarmTask {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) liars: mpsc::Receiver<PublicKey>,
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) outbox: VecDeque<NetEvent>,
    pub(super) peers: Peers,
    pub(super) dial: DialBook,
    pub(super) pending: Pending,
    pub(super) provided: Provided,
    pub(super) blobs: Blobs,
    pub(super) boot: u64,
    /// Messages and requests let go without blame.
    pub(super) ignored: u64,
}

impl SwarmTask {
    /// Waits until every listener has an address.
    pub(super) async fn listen(&mut self, addresses: [Multiaddr; 2]) -> io::Result<()> {
        let mut silent = HashSet::<ListenerId>::new();
        for address in addresses {
            silent.insert(self.swarm.listen_on(address).map_err(io::Error::other)?);
        }
        while !silent.is_empty() {
            match self.swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    silent.remove(&listener_id);
                }
                SwarmEvent::ListenerClosed { reason: Err(error), .. }
                | SwarmEvent::ListenerError { error, .. } => return Err(error),
                event => self.on_event(event),
            }
        }
        Ok(())
    }

    /// Runs until `cancel`, or until nobody takes events any more.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                taken = room(&self.events), if !self.outbox.is_empty() => {
                    let Some(event) = self.outbox.pop_front().filter(|_| taken) else { break };
                    // Nobody else sends, so the room that was there is there.
                    if self.events.try_send(event).is_err() {
                        break;
                    }
                }
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = self.commands.recv() => self.on_command(command),
                Some((message, from, acceptance)) = self.pending.verdicts.next() => {
                    if matches!(acceptance, MessageAcceptance::Reject) {
                        self.offend(from, "a gossip message was rejected");
                    }
                    self.ignored += u64::from(matches!(acceptance, MessageAcceptance::Ignore));
                    self.judge(message, from, acceptance);
                }
                Some((channel, answer)) = self.pending.replies.next() => {
                    if let Some(bytes) = answer {
                        let rpc = &mut self.swarm.behaviour_mut().rpc;
                        // It fails if the asker has hung up, which is reported elsewhere.
                        let _ = rpc.send_response(channel, Frame::Bytes(bytes));
                    }
                }
                Some(liar) = self.liars.recv() => {
                    let liar = peer_of(&liar);
                    self.peers.offend(liar, Instant::now());
                    self.drop_peer(liar, "it served bytes that do not match their hash");
                }
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.farewell().await;
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.dial.succeeded(connection_id, peer_id);
                self.on_connected(peer_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                if let Some(peer) = self.peers.remove(&peer_id) {
                    self.blobs.hang_up(&peer.key);
                    if peer.announced {
                        self.outbox.push_back(NetEvent::PeerDisconnected(peer.key));
                    }
                }
                self.dial.lost(peer_id, Instant::now());
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                tracing::debug!(peer = ?peer_id, %error, "dialling");
                self.dial.failed(connection_id, &error, Instant::now());
                if let Some(peer) = peer_id.filter(|peer| !self.peers.is_connected(peer)) {
                    self.answer_connects(peer, false);
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listening"),
            SwarmEvent::ListenerClosed { reason: Err(error), addresses, .. } => {
                tracing::error!(%error, ?addresses, "no longer listening");
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        let Some(key) = key_of(&peer) else {
            tracing::debug!(%peer, "not an Ed25519 peer");
            return self.disconnect(peer);
        };
        let remote = endpoint.get_remote_address();
        if !self.peers.is_connected(&peer) {
            self.peers.insert(peer, key, ip_of(remote));
            let greeting = Frame::Bytes(self.data_address().to_bytes());
            let behaviour = self.swarm.behaviour_mut();
            let id = behaviour.data_address.send_request(&peer, greeting);
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.greeting = Some(id);
            }
        }
        if endpoint.is_dialer() {
            self.peers.add_address(&peer, remote);
        }
    }

    /// Tells the node of a peer, once.
    pub(super) fn announce(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| !peer.announced) else { return };
        if self.outbox.len() >= OUTBOX_MAX {
            // The node is far behind: let the peer call again rather than lose its arrival.
            self.ignored += 1;
            return self.disconnect(id);
        }
        peer.announced = true;
        self.outbox.push_back(NetEvent::PeerConnected(peer.key));
        for topic in std::mem::take(&mut peer.topics) {
            self.outbox.push_back(NetEvent::PeerSubscribed { peer: peer.key, topic });
        }
        self.answer_connects(id, true);
    }

    /// Counts what a peer did wrong, and drops it at the one too many.
    pub(super) fn offend(&mut self, peer: PeerId, reason: &str) {
        tracing::debug!(%peer, reason, "a peer broke a rule");
        if self.peers.offend(peer, Instant::now()) {
            self.drop_peer(peer, reason);
        }
    }

    fn drop_peer(&mut self, peer: PeerId, reason: &str) {
        tracing::warn!(%peer, reason, "a peer is dropped and blocked for a while");
        self.peers.block(peer, Instant::now());
        self.swarm.behaviour_mut().blocked.block_peer(peer);
    }

    pub(super) fn judge(&mut self, id: MessageId, from: PeerId, acceptance: MessageAcceptance) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(&id, &from, acceptance) {
            tracing::debug!(%from, "a verdict came too late");
        }
    }

    /// Whether gossip and requests may still be queued for the node.
    pub(super) fn has_room(&self) -> bool {
        self.outbox.len() < NET_EVENTS_MAX
    }

    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // It fails if the connection is gone already.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    pub(super) fn data_address(&self) -> DataAddress {
        DataAddress::new(self.boot, &self.blobs.addresses())
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        let blocked = self.swarm.behaviour().blocked.blocked_peers();
        let served: Vec<_> =
            blocked.iter().filter(|peer| !self.peers.is_blocked(peer, now)).copied().collect();
        for peer in served {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
        self.pending.connects.retain(|(_, asker)| !asker.is_closed());
        for _ in 0..PROVIDE_PER_TICK {
            let Some(key) = self.provided.again.pop_front() else { break };
            self.provide(key);
        }
        self.dial_due();
    }

    pub(super) fn dial_due(&mut self) {
        let now = Instant::now();
        let peers = &self.peers;
        let skip = |peer: &PeerId| peers.is_connected(peer) || peers.is_blocked(peer, now);
        for options in self.dial.due(now, skip) {
            let connection = options.connection_id();
            if let Err(error) = self.swarm.dial(options) {
                self.dial.failed(connection, &error, now);
            }
        }
    }

    /// Hangs up, so that peers need not wait to notice.
    async fn farewell(&mut self) {
        for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
            self.disconnect(peer);
        }
        let gone = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        // Whoever does not answer the goodbye notices later.
        let _ = tokio::time::timeout(FAREWELL, gone).await;
    }
}

/// Waits for room in the channel. False if nobody takes events any more.
async fn room(events: &mpsc::Sender<NetEvent>) -> bool {
    events.reserve().await.is_ok()
}
