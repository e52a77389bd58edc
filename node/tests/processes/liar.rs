//! A peer that breaks rules: libp2p with our protocols' names and none of their manners.
//!
//! Invariants: what it says is said over a real connection to a real node. What it is not: a node.
//! It keeps nothing, judges nothing, and answers only where it would not be talked to otherwise.

use std::io;
use std::time::Duration;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::request_response::{self, Codec, Message, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identity, noise, tcp, yamux};
use protocol::{PublicKey, SecretKey, codec};
use serde::Serialize;
use tokio::time::timeout;

use super::process::PATIENCE;

/// Topics of gossip.
pub(crate) const TOPICS: [&str; 4] =
    ["accord/heads/1", "accord/consent/1", "accord/runs/1", "accord/consent-rest/1"];
const GOSSIP: &str = "/accord/gossip/1";
const RPC: &str = "/accord/rpc/1";
const DATA_ADDRESS: &str = "/accord/data-address/1";
/// A longer message than any node takes.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// A liar, connected to one node.
pub(crate) struct Liar {
    pub(crate) key: SecretKey,
    swarm: Swarm<Behaviour>,
    victim: PeerId,
    /// Where its data plane listens, if it has one.
    data_addresses: Vec<String>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossip: gossipsub::Behaviour,
    rpc: request_response::Behaviour<Raw>,
    data_address: request_response::Behaviour<Raw>,
}

type Event = SwarmEvent<BehaviourEvent>;

impl Liar {
    /// Connects to the node at one of `addresses` and listens to its gossip, as a node would.
    pub(crate) async fn connect(seed: u8, addresses: &[String]) -> Self {
        Self::connect_with_data(seed, addresses, Vec::new()).await
    }

    /// The same for a liar whose data plane listens at `data_addresses`.
    pub(crate) async fn connect_with_data(
        seed: u8,
        addresses: &[String],
        data_addresses: Vec<String>,
    ) -> Self {
        let key = secret(seed);
        let address = addresses.iter().find(|address| address.contains("/tcp/")).expect("one");
        let address: Multiaddr = address.parse().expect("an address");
        let (libp2p::multiaddr::Protocol::P2p(victim), ..) =
            (address.iter().last().expect("a peer"),)
        else {
            panic!("{address} names no peer")
        };
        let mut swarm = swarm(&key);
        swarm.dial(address).expect("dialled");
        let mut liar = Self { key, swarm, victim, data_addresses };
        let mut heard = 0;
        liar.until(|event| {
            let subscribed = gossipsub_event(event);
            heard += usize::from(matches!(subscribed, Some(gossipsub::Event::Subscribed { .. })));
            heard == TOPICS.len()
        })
        .await;
        liar
    }

    /// Its key, as nodes show it.
    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// Gossips these bytes.
    pub(crate) fn gossip(&mut self, topic: &str, bytes: Vec<u8>) {
        let topic = IdentTopic::new(topic);
        self.swarm.behaviour_mut().gossip.publish(topic, bytes).expect("somebody listens");
    }

    /// Asks with these bytes on the wire, length and all.
    pub(crate) fn ask(&mut self, wire: Vec<u8>) {
        let victim = self.victim;
        self.swarm.behaviour_mut().rpc.send_request(&victim, wire);
    }

    /// Waits until the node hangs up.
    pub(crate) async fn dropped(&mut self) {
        self.until(|event| matches!(event, SwarmEvent::ConnectionClosed { .. })).await;
    }

    /// Waits until an answer came: all that was said before is on its way.
    pub(crate) async fn answered(&mut self) {
        self.until(|event| {
            let SwarmEvent::Behaviour(BehaviourEvent::Rpc(event)) = event else { return false };
            use request_response::Event::Message as Came;
            matches!(event, Came { message: Message::Response { .. }, .. })
        })
        .await;
    }

    async fn until(&mut self, mut wanted: impl FnMut(&Event) -> bool) {
        let waiting = async {
            loop {
                let event = self.swarm.select_next_some().await;
                let done = wanted(&event);
                self.greet(event);
                if done {
                    return;
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("the node reacts");
    }

    /// Tells where its data plane is: whoever does not is no peer.
    fn greet(&mut self, event: Event) {
        use request_response::Event::Message as Came;
        if let SwarmEvent::Behaviour(BehaviourEvent::DataAddress(Came {
            message: Message::Request { channel, .. },
            ..
        })) = event
        {
            let addresses = self.data_addresses.clone();
            let said = framed(&codec::encode(&DataAddress { boot: 1, addresses }));
            // It fails if the node has hung up.
            let _ = self.swarm.behaviour_mut().data_address.send_response(channel, said);
        }
    }
}

/// The key of the liar with this seed.
pub(crate) fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// What a node says of its data plane.
#[derive(Serialize)]
struct DataAddress {
    boot: u64,
    addresses: Vec<String>,
}

/// Bytes with their length before them, as they stand on the wire.
pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}

fn gossipsub_event(event: &Event) -> Option<&gossipsub::Event> {
    match event {
        SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => Some(event),
        _ => None,
    }
}

fn swarm(key: &SecretKey) -> Swarm<Behaviour> {
    let keypair = identity::Keypair::ed25519_from_bytes(key.seed()).expect("a seed");
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id(GOSSIP, gossipsub::Version::V1_1)
        .max_transmit_size(MESSAGE_BYTES_MAX)
        .flood_publish(true)
        .build()
        .expect("valid settings");
    let mut gossip =
        gossipsub::Behaviour::new(MessageAuthenticity::Signed(keypair.clone()), config)
            .expect("valid settings");
    for topic in TOPICS {
        gossip.subscribe(&IdentTopic::new(topic)).expect("subscribed");
    }
    let frames = |name| {
        let config = request_response::Config::default();
        request_response::Behaviour::with_codec(Raw, [(name, ProtocolSupport::Full)], config)
    };
    let behaviour = Behaviour { gossip, rpc: frames(RPC), data_address: frames(DATA_ADDRESS) };
    SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|_| behaviour)
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::MAX))
        .build()
}

/// Bytes as they stand on the wire.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Protocol = &'static str;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &&'static str, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io).await
    }

    async fn read_response<T>(&mut self, _: &&'static str, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io).await
    }

    async fn write_request<T>(&mut self, _: &&'static str, io: &mut T, f: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&f).await
    }

    async fn write_response<T>(
        &mut self,
        _: &&'static str,
        io: &mut T,
        f: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&f).await
    }
}

async fn read<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await?;
    Ok(bytes)
}
