//! What libp2p's protocols report, turned into events for the node.
//!
//! Invariants: no report can block the swarm; gossip and requests are let go when the node does not
//! keep up, and far behind new peers are too, departures never. What it is not: state. That is in `peers`,
//! `dial` and the queues of `swarm`.

use std::time::{Duration, Instant};

use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::kad::store::RecordStore;
use libp2p::kad::{self, GetProvidersOk, InboundRequest, QueryId, QueryResult};
use libp2p::request_response::{self, Message, OutboundFailure, ResponseChannel};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{PeerId, identify, mdns};
use protocol::limits::{
    DIAL_ADDRESSES_MAX, GOSSIP_BYTES_MAX, GOSSIP_VERDICT_MS, GOSSIP_VERDICTS_MAX,
    PROVIDERS_PER_KEY_MAX, REPLIES_PENDING_MAX, REQUEST_BYTES_MAX, REQUEST_TIMEOUT_MS,
    RESPONSE_BYTES_MAX,
};
use tokio::time::timeout;

use super::RequestError;
use super::address::{DataAddress, key_of, with_peer};
use super::behaviour::BehaviourEvent;
use super::event::{NetEvent, Reply, Topic, Verdict};
use super::rpc::Frame;
use super::swarm::SwarmTask;

type FrameEvent = request_response::Event<Frame, Frame>;

/// The size of a Kademlia bucket: with fewer peers than this, each is among a key's nearest.
const KAD_NEAREST: usize = 20;

impl SwarmTask {
    pub(super) fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Rpc(event) => self.on_rpc(event),
            BehaviourEvent::DataAddress(event) => self.on_data_address(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.dial.remember(with_peer(&address, peer), Instant::now());
                }
            }
            // Pings keep connections honest; what they measure is of no use to us.
            BehaviourEvent::Ping(_) | BehaviourEvent::Mdns(mdns::Event::Expired(_)) => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                if message.data.len() > GOSSIP_BYTES_MAX {
                    self.offend(propagation_source, "a gossip message is too long");
                    let reject = MessageAcceptance::Reject;
                    return self.judge(message_id, propagation_source, reject);
                }
                let judged = Topic::of(&message.topic).zip(key_of(&propagation_source));
                let room = self.has_room() && self.pending.verdicts.len() < GOSSIP_VERDICTS_MAX;
                let Some((topic, from)) = judged.filter(|_| room) else {
                    self.ignored += 1;
                    self.judge(message_id, propagation_source, MessageAcceptance::Ignore);
                    return;
                };
                let (verdict, judgement) = Verdict::pair();
                self.outbox.push_back(NetEvent::Gossip {
                    topic,
                    from,
                    bytes: message.data,
                    verdict,
                });
                self.pending.verdicts.push(Box::pin(async move {
                    let patience = Duration::from_millis(GOSSIP_VERDICT_MS);
                    let judgement = timeout(patience, judgement).await;
                    // Late or dropped without a word, it counts as neither good nor bad.
                    let acceptance = judgement.ok().and_then(Result::ok);
                    let acceptance = acceptance.unwrap_or(MessageAcceptance::Ignore);
                    (message_id, propagation_source, acceptance)
                }));
            }
            gossipsub::Event::Subscribed { peer_id, topic, .. } => {
                let Some(topic) = Topic::of(&topic) else { return };
                let Some(peer) = self.peers.get_mut(&peer_id) else { return };
                if !peer.announced {
                    if !peer.topics.contains(&topic) {
                        peer.topics.push(topic);
                    }
                } else if self.outbox.len() < super::swarm::OUTBOX_MAX {
                    self.outbox.push_back(NetEvent::PeerSubscribed { peer: peer.key, topic });
                }
            }
            gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. }
            | gossipsub::Event::SlowPeer { .. } => {}
        }
    }

    fn on_rpc(&mut self, event: FrameEvent) {
        match event {
            FrameEvent::Message { peer, message, .. } => match message {
                Message::Request { request, channel, .. } => {
                    self.on_request(peer, request, channel)
                }
                Message::Response { request_id, response } => {
                    let answer = match response {
                        Frame::Bytes(bytes) => Ok(bytes),
                        Frame::TooLong(bytes) => {
                            self.offend(peer, "an answer is too long");
                            let (bytes, bytes_max) = (bytes as usize, RESPONSE_BYTES_MAX);
                            Err(RequestError::TooLong { bytes, bytes_max })
                        }
                    };
                    if let Some(asker) = self.pending.requests.remove(&request_id) {
                        // The asker may have lost patience; so be it, here and below.
                        let _ = asker.send(answer);
                    }
                }
            },
            FrameEvent::OutboundFailure { request_id, error, .. } => {
                if let Some(asker) = self.pending.requests.remove(&request_id) {
                    let _ = asker.send(Err(request_error(error)));
                }
            }
            FrameEvent::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "answering a request");
            }
            FrameEvent::ResponseSent { .. } => {}
        }
    }

    fn on_request(&mut self, peer: PeerId, request: Frame, channel: ResponseChannel<Frame>) {
        let Some(from) = key_of(&peer) else { return };
        let Frame::Bytes(bytes) = request else {
            tracing::debug!(%peer, bytes_max = REQUEST_BYTES_MAX, "a request is too long");
            return self.offend(peer, "a request is too long");
        };
        if !self.has_room() || self.pending.replies.len() >= REPLIES_PENDING_MAX {
            // Dropping the channel tells the asker at once.
            self.ignored += 1;
            return;
        }
        let (reply, answer) = Reply::pair();
        self.outbox.push_back(NetEvent::Request { from, bytes, reply });
        self.pending.replies.push(Box::pin(async move {
            let answer = timeout(Duration::from_millis(REQUEST_TIMEOUT_MS), answer).await;
            (channel, answer.ok().and_then(Result::ok))
        }));
    }

    fn on_data_address(&mut self, event: FrameEvent) {
        match event {
            FrameEvent::Message { peer, message, .. } => match message {
                Message::Request { request, channel, .. } => {
                    if self.learn(peer, &request) {
                        let answer = Frame::Bytes(self.data_address().to_bytes());
                        let behaviour = self.swarm.behaviour_mut();
                        // It fails if the peer has hung up, which is reported elsewhere.
                        let _ = behaviour.data_address.send_response(channel, answer);
                        self.announce(peer);
                    }
                }
                Message::Response { response, .. } => {
                    if self.learn(peer, &response) {
                        self.announce(peer);
                    }
                }
            },
            FrameEvent::OutboundFailure { peer, request_id, error, .. } => {
                let greeted = self.peers.get_mut(&peer).and_then(|peer| peer.greeting);
                if greeted != Some(request_id) {
                    return;
                }
                if matches!(error, OutboundFailure::UnsupportedProtocols) {
                    // Discovery on the local network finds any libp2p program.
                    tracing::debug!(%peer, "a peer does not speak our protocols");
                    self.dial.forget(peer);
                    return self.disconnect(peer);
                }
                // It is slow to tell: a peer all the same.
                self.announce(peer);
            }
            FrameEvent::InboundFailure { .. } | FrameEvent::ResponseSent { .. } => {}
        }
    }

    /// Takes in what a peer says of its data plane. False if it is to be greeted anew or broke a
    /// rule.
    fn learn(&mut self, peer: PeerId, frame: &Frame) -> bool {
        let Frame::Bytes(bytes) = frame else {
            self.offend(peer, "a data address is too long");
            return false;
        };
        let Ok(said) = DataAddress::from_bytes(bytes) else {
            self.offend(peer, "a data address is malformed");
            return false;
        };
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        if known.boot.is_some_and(|boot| boot != said.boot) {
            // It restarted and the old connection has not noticed. Gossip greets only on a first
            // connection, so all of them have to go.
            tracing::debug!(%peer, "a peer restarted");
            self.disconnect(peer);
            return false;
        }
        known.boot = Some(said.boot);
        self.blobs.learn(&known.key, said.resolve(known.seen_at));
        true
    }

    fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let serves_kad = info.protocols.iter().any(|p| p.as_ref().starts_with("/accord/kad/"));
        for address in info.listen_addrs.iter().take(DIAL_ADDRESSES_MAX) {
            self.peers.add_address(&peer_id, address);
            if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut().filter(|_| serves_kad) {
                kad.add_address(&peer_id, address.clone());
            }
        }
    }

    fn on_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request: InboundRequest::AddProvider { record: Some(record) },
            } => {
                // Keys are hashes; anything else is not ours to keep.
                if record.key.as_ref().len() == 32
                    && let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
                    && let Err(error) = kad.store_mut().add_provider(record)
                {
                    tracing::debug!(%error, "a provider record is not kept");
                }
            }
            kad::Event::RoutingUpdated { is_new_peer: true, .. } => {
                let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() else { return };
                let peers: usize = kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
                if peers <= KAD_NEAREST {
                    self.provided.again = self.provided.keys.iter().copied().collect();
                }
            }
            kad::Event::OutboundQueryProgressed {
                id,
                result: QueryResult::GetProviders(result),
                step,
                ..
            } => {
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = result {
                    self.on_providers(id, providers.into_iter());
                }
                if step.last
                    && let Some((found, asker)) = self.pending.searches.remove(&id)
                {
                    let _ = asker.send(found.into_iter().collect());
                }
            }
            _ => {}
        }
    }

    fn on_providers(&mut self, id: QueryId, providers: impl Iterator<Item = PeerId>) {
        let own = *self.swarm.local_peer_id();
        for peer in providers.filter(|peer| *peer != own) {
            let Some(key) = key_of(&peer) else { continue };
            let Some((found, _)) = self.pending.searches.get_mut(&id) else { return };
            if found.len() >= PROVIDERS_PER_KEY_MAX || !found.insert(key) {
                continue;
            }
            // Now, since only the running search knows the addresses of peers we never met.
            let options = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .allocate_new_port()
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "dialling a provider");
            }
        }
    }
}

fn request_error(error: OutboundFailure) -> RequestError {
    match error {
        OutboundFailure::DialFailure => RequestError::NotConnected,
        OutboundFailure::Timeout => RequestError::TimedOut,
        OutboundFailure::ConnectionClosed => RequestError::Refused("it hung up".into()),
        OutboundFailure::UnsupportedProtocols => {
            RequestError::Refused("it does not speak our protocol".into())
        }
        OutboundFailure::Io(error) => RequestError::Refused(error.to_string()),
    }
}
