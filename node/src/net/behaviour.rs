//! The libp2p protocols a node speaks, and how each is set up.
//!
//! Invariants: every queue, table and message has a bound; gossip waits for a verdict before it
//! travels on. What it is not: what happens with an event (see `swarm` and `inbound`).

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{self, MessageAuthenticity, MessageId, ValidationMode, Version};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, allow_block_list, identify, kad, mdns, ping};
use protocol::FileHash;
use protocol::limits::{
    CONNECTIONS_MAX, CONNECTIONS_PENDING_MAX, CONNECTIONS_PER_PEER_MAX, DATA_ADDRESS_BYTES_MAX,
    DATA_ADDRESS_TIMEOUT_MS, GOSSIP_BYTES_MAX, GOSSIP_HEARTBEAT_MS, GOSSIP_VERDICT_MS,
    PROVIDED_KEYS_MAX, PROVIDERS_PER_KEY_MAX, PROVIDERS_TIMEOUT_MS, REQUEST_BYTES_MAX,
    REQUEST_TIMEOUT_MS, REQUESTS_PER_CONNECTION_MAX, RESPONSE_BYTES_MAX,
};

use super::event::Topic;
use super::rpc::FrameCodec;

const GOSSIP_PROTOCOL: &str = "/accord/gossip/1";
const KAD_PROTOCOL: &str = "/accord/kad/1";
const IDENTIFY_PROTOCOL: &str = "/accord/id/1";
pub(super) const RPC_PROTOCOL: &str = "/accord/rpc/1";
const DATA_ADDRESS_PROTOCOL: &str = "/accord/data-address/1";

/// The longest gossip frame that is read at all. It leaves room for payloads beyond what is allowed,
/// which are rejected and counted one by one; of a longer frame gossipsub only closes the stream.
const GOSSIP_FRAME_BYTES_MAX: usize = 4 * GOSSIP_BYTES_MAX;

/// How often a node tells the hash table again what it provides.
const PROVIDE_AGAIN: Duration = Duration::from_secs(15 * 60);

/// Everything a node speaks.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // The first two refuse connections, so they come before whatever would use them.
    pub(super) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) limits: connection_limits::Behaviour,
    pub(super) gossip: gossipsub::Behaviour,
    pub(super) kad: Toggle<kad::Behaviour<MemoryStore>>,
    pub(super) identify: identify::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) ping: ping::Behaviour,
    pub(super) rpc: request_response::Behaviour<FrameCodec>,
    pub(super) data_address: request_response::Behaviour<FrameCodec>,
}

impl Behaviour {
    pub(super) fn new(key: &Keypair, with_mdns: bool, with_dht: bool) -> io::Result<Self> {
        let peer = key.public().to_peer_id();
        let mdns =
            if with_mdns { Some(mdns::tokio::Behaviour::new(mdns_config(), peer)?) } else { None };
        let identify = identify::Config::new(IDENTIFY_PROTOCOL.into(), key.public())
            .with_agent_version(concat!("accord/", env!("CARGO_PKG_VERSION")).into())
            .with_push_listen_addr_updates(true);
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(connection_limits()),
            gossip: gossip(key).map_err(io::Error::other)?,
            kad: with_dht.then(|| kad(peer)).into(),
            identify: identify::Behaviour::new(identify),
            mdns: mdns.into(),
            ping: ping::Behaviour::default(),
            rpc: frames(
                RPC_PROTOCOL,
                FrameCodec {
                    request_bytes_max: REQUEST_BYTES_MAX,
                    response_bytes_max: RESPONSE_BYTES_MAX,
                },
                REQUEST_TIMEOUT_MS,
            ),
            data_address: frames(
                DATA_ADDRESS_PROTOCOL,
                FrameCodec {
                    request_bytes_max: DATA_ADDRESS_BYTES_MAX,
                    response_bytes_max: DATA_ADDRESS_BYTES_MAX,
                },
                DATA_ADDRESS_TIMEOUT_MS,
            ),
        })
    }
}

fn mdns_config() -> mdns::Config {
    // Asking more often than the default of five minutes: people start their nodes one by one.
    mdns::Config { query_interval: Duration::from_secs(30), ..mdns::Config::default() }
}

fn connection_limits() -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(CONNECTIONS_PENDING_MAX))
        .with_max_pending_outgoing(Some(CONNECTIONS_PENDING_MAX))
        .with_max_established(Some(CONNECTIONS_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
}

pub(super) fn frames(
    name: &'static str,
    codec: FrameCodec,
    timeout_ms: u64,
) -> request_response::Behaviour<FrameCodec> {
    let config = request_response::Config::default()
        .with_request_timeout(Duration::from_millis(timeout_ms))
        .with_max_concurrent_streams(REQUESTS_PER_CONNECTION_MAX);
    request_response::Behaviour::with_codec(codec, [(name, ProtocolSupport::Full)], config)
}

fn kad(peer: PeerId) -> kad::Behaviour<MemoryStore> {
    let store = MemoryStoreConfig {
        // We keep who provides what and no values.
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: PROVIDERS_PER_KEY_MAX,
        max_provided_keys: PROVIDED_KEYS_MAX,
    };
    let mut config = kad::Config::new(StreamProtocol::new(KAD_PROTOCOL));
    config
        .set_query_timeout(Duration::from_millis(PROVIDERS_TIMEOUT_MS))
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_provider_publication_interval(Some(PROVIDE_AGAIN))
        .set_publication_interval(None)
        .set_replication_interval(None);
    let store = MemoryStore::with_config(peer, store);
    let mut kad = kad::Behaviour::with_config(peer, store, config);
    // Every node serves: waiting to learn whether we are reachable would leave small networks
    // without any server.
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

fn gossip(key: &Keypair) -> Result<gossipsub::Behaviour, String> {
    let heartbeat = Duration::from_millis(GOSSIP_HEARTBEAT_MS);
    let heartbeats_kept = GOSSIP_VERDICT_MS.div_ceil(GOSSIP_HEARTBEAT_MS) as usize;
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id(GOSSIP_PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(|message| message_id(message.topic.as_str(), &message.data))
        .max_transmit_size(GOSSIP_FRAME_BYTES_MAX)
        .heartbeat_initial_delay(heartbeat)
        .heartbeat_interval(heartbeat)
        // A message is kept until its verdict, and offered for a while to peers that missed it.
        .history_length(heartbeats_kept)
        .history_gossip(heartbeats_kept.min(8))
        // Our own messages go to every subscriber, whatever the mesh: among two to four nodes the
        // mesh may not have formed yet, and large networks are rare and cheap enough.
        .flood_publish(true)
        // In a small network a peer that was pruned is soon needed again.
        .prune_backoff(Duration::from_secs(15))
        .build()
        .map_err(|e| e.to_string())?;
    let mut gossip = gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), config)?;
    gossip.with_peer_score(score_params(), score_thresholds())?;
    for topic in Topic::ALL {
        gossip.subscribe(&topic.gossip()).map_err(|e| e.to_string())?;
    }
    Ok(gossip)
}

/// One message on one topic has one id, whoever publishes it.
pub(super) fn message_id(topic: &str, data: &[u8]) -> MessageId {
    let id = FileHash::of(&[topic.as_bytes(), data].concat());
    MessageId::from(id.as_bytes().to_vec())
}

/// Scores in which only misbehaviour counts: rejected messages and broken control rules.
///
/// Delivery quotas are off, since our topics are quiet for minutes. So is the penalty for many
/// peers behind one IP: laboratories and test machines look like that.
fn score_params() -> gossipsub::PeerScoreParams {
    let topic = gossipsub::TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // The square of the count: 8 rejected messages make -64, short of the graylist at -80,
        // so that it is our own count that drops the peer.
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(
            600,
        )),
        ..gossipsub::TopicScoreParams::default()
    };
    gossipsub::PeerScoreParams {
        topics: Topic::ALL
            .into_iter()
            .map(|name| (name.gossip().hash(), topic.clone()))
            .collect::<HashMap<_, _>>(),
        ip_colocation_factor_weight: 0.0,
        ..gossipsub::PeerScoreParams::default()
    }
}

fn score_thresholds() -> gossipsub::PeerScoreThresholds {
    gossipsub::PeerScoreThresholds {
        gossip_threshold: -10.0,
        publish_threshold: -50.0,
        graylist_threshold: -80.0,
        ..gossipsub::PeerScoreThresholds::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_settings_are_valid_together() {
        let key = Keypair::generate_ed25519();
        Behaviour::new(&key, false, true).expect("libp2p takes our settings");
        score_params().validate().expect("valid scores");
        score_thresholds().validate().expect("valid thresholds");
    }

    #[test]
    fn an_id_depends_on_topic_and_bytes() {
        let id = message_id(Topic::Heads.name(), b"x");
        assert_eq!(id, message_id(Topic::Heads.name(), b"x"));
        assert_ne!(id, message_id(Topic::Runs.name(), b"x"));
        assert_ne!(id, message_id(Topic::Heads.name(), b"y"));
    }
}
