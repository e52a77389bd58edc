//! The network as its user sees it: several nodes of one process on loopback, waiting for events.
//!
//! What it is not: the blob store's tests, which are in `blob_tests`.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::Duration;

use libp2p::futures::StreamExt;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm};
use protocol::limits::{GOSSIP_BYTES_MAX, REJECTIONS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use protocol::{FileHash, PublicKey, SecretKey};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::address::DataAddress;
use super::behaviour::{Behaviour, BehaviourEvent, RPC_PROTOCOL, frames};
use super::rpc::{Frame, FrameCodec};
use super::*;

/// Long past anything that works; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Node {
    pub(super) net: Net,
    pub(super) events: mpsc::Receiver<NetEvent>,
    pub(super) directory: TempDir,
}

pub(super) fn options(seed: u8, peers: Vec<Multiaddr>) -> NetOptions {
    NetOptions {
        key: SecretKey::from_seed(&[seed; 32]),
        control_port: 0,
        data_port: 0,
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        peers,
        mdns: false,
        dht: false,
    }
}

impl Node {
    pub(super) async fn start(options: NetOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (net, events) = Net::start(options, directory.path(), CancellationToken::new())
            .await
            .expect("the network starts");
        Self { net, events, directory }
    }

    pub(super) async fn address(&self) -> Multiaddr {
        self.net.listen_addresses().await.into_iter().next().expect("listening")
    }

    pub(super) fn key(&self) -> PublicKey {
        self.net.key()
    }

    /// The first event that `wanted` takes; others are dropped, which answers them.
    pub(super) async fn until<T>(&mut self, mut wanted: impl FnMut(NetEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("the event comes")
    }

    pub(super) async fn until_connected(&mut self, peer: PublicKey) {
        self.until(|e| matches!(e, NetEvent::PeerConnected(key) if key == peer).then_some(()))
            .await;
    }

    async fn until_subscribed(&mut self, wanted: PublicKey) {
        self.until(|event| match event {
            NetEvent::PeerSubscribed { peer, topic: Topic::Runs } if peer == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    async fn gossip(&mut self) -> (PublicKey, Vec<u8>, Verdict) {
        self.until(|event| match event {
            NetEvent::Gossip { topic: Topic::Runs, from, bytes, verdict } => {
                Some((from, bytes, verdict))
            }
            _ => None,
        })
        .await
    }
}

/// Two nodes, the second of which dials the first.
pub(super) async fn pair(seed: u8) -> (Node, Node) {
    let mut a = Node::start(options(seed, vec![])).await;
    let mut b = Node::start(options(seed + 1, vec![a.address().await])).await;
    a.until_connected(b.key()).await;
    b.until_connected(a.key()).await;
    (a, b)
}

/// A peer that speaks our protocols but keeps no rules.
fn hostile(seed: u8) -> Swarm<Behaviour> {
    let mut swarm = build_swarm(&options(seed, vec![])).expect("a swarm");
    swarm.behaviour_mut().rpc = frames(RPC_PROTOCOL, unbounded(), 5_000);
    swarm
}

fn unbounded() -> FrameCodec {
    FrameCodec { request_bytes_max: usize::MAX, response_bytes_max: usize::MAX }
}

async fn meet(swarm: &mut Swarm<Behaviour>, victim: &Node) {
    swarm.dial(victim.address().await).expect("dials");
    swarm_until(swarm, |e| matches!(e, SwarmEvent::ConnectionEstablished { .. })).await;
}

async fn swarm_until(
    swarm: &mut Swarm<Behaviour>,
    wanted: impl Fn(&SwarmEvent<BehaviourEvent>) -> bool,
) {
    let waiting = async { while !wanted(&swarm.select_next_some().await) {} };
    timeout(PATIENCE, waiting).await.expect("the event comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_find_each_other_by_address() {
    let (a, b) = pair(10).await;
    let known = a.net.peers().await;
    assert_eq!(known.iter().map(|peer| peer.key).collect::<Vec<_>>(), [b.key()]);
    let known = b.net.peers().await;
    assert!(known[0].addresses.contains(&a.address().await));
    assert!(b.net.connect(a.key()).await);
    assert!(!b.net.connect(SecretKey::from_seed(&[99; 32]).public()).await);
    assert_eq!(a.net.status().await.peers, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_late_or_comes_back_is_found() {
    // A port that is free now and taken later.
    let port = TcpListener::bind("127.0.0.1:0").expect("free").local_addr().expect("bound").port();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address");
    let mut a = Node::start(options(12, vec![address])).await;
    let late = NetOptions { control_port: port, ..options(13, vec![]) };
    let b = Node::start(late.clone()).await;
    a.until_connected(b.key()).await;
    b.net.shutdown().await;
    a.until(|e| matches!(e, NetEvent::PeerDisconnected(_)).then_some(())).await;
    let back = Node::start(late).await;
    a.until_connected(back.key()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_gossip_travels_and_rejected_gossip_does_not() {
    let (mut a, mut b) = pair(20).await;
    let mut c = Node::start(options(22, vec![b.address().await])).await;
    a.until_subscribed(b.key()).await;
    b.until_subscribed(c.key()).await;
    c.until_subscribed(b.key()).await;

    a.net.publish(Topic::Runs, b"good".to_vec()).await.expect("published");
    let (from, bytes, verdict) = b.gossip().await;
    assert_eq!((from, bytes.as_slice()), (a.key(), &b"good"[..]));
    verdict.accept();
    let (from, bytes, _) = c.gossip().await;
    assert_eq!((from, bytes.as_slice()), (b.key(), &b"good"[..]));

    // All but one of the rejections that are allowed, then one that is accepted: had any of the
    // former travelled, it would be there before the latter.
    for bad in 1..REJECTIONS_MAX {
        a.net.publish(Topic::Runs, vec![bad as u8; 8]).await.expect("published");
        b.gossip().await.2.reject();
    }
    a.net.publish(Topic::Runs, b"better".to_vec()).await.expect("published");
    b.gossip().await.2.accept();
    assert_eq!(c.gossip().await.1, b"better");
    let before = b.net.status().await;
    assert_eq!(before.messages_rejected, u64::from(REJECTIONS_MAX - 1));
    assert_eq!(before.peers_dropped, 0);

    a.net.publish(Topic::Runs, b"one too many".to_vec()).await.expect("published");
    b.gossip().await.2.reject();
    let gone = b.until(|event| match event {
        NetEvent::PeerDisconnected(peer) => Some(peer),
        _ => None,
    });
    assert_eq!(gone.await, a.key());
    let after = b.net.status().await;
    assert_eq!((after.peers_dropped, after.peers_blocked, after.peers), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_to_nobody_is_no_error_but_too_much_is() {
    let alone = Node::start(options(30, vec![])).await;
    assert_eq!(alone.net.publish(Topic::Heads, b"anyone?".to_vec()).await, Ok(()));
    let long = vec![0; GOSSIP_BYTES_MAX + 1];
    let refused = alone.net.publish(Topic::Heads, long).await;
    assert_eq!(refused, Err(PublishError::TooLong(GOSSIP_BYTES_MAX + 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_gossip_arrives() {
    let (mut a, mut b) = pair(32).await;
    a.until_subscribed(b.key()).await;
    a.net.publish(Topic::Runs, vec![7; GOSSIP_BYTES_MAX]).await.expect("published");
    assert_eq!(b.gossip().await.1.len(), GOSSIP_BYTES_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered() {
    let (mut a, b) = pair(40).await;
    let serving = tokio::spawn(async move {
        for _ in 0..3 {
            let (from, bytes, reply) = a
                .until(|event| match event {
                    NetEvent::Request { from, bytes, reply } => Some((from, bytes, reply)),
                    _ => None,
                })
                .await;
            match bytes.as_slice() {
                b"silence" => drop(reply),
                b"much" => reply.send(vec![1; RESPONSE_BYTES_MAX]),
                _ => reply.send([from.as_bytes(), bytes.as_slice()].concat()),
            }
        }
        a
    });
    let a_key = b.net.peers().await[0].key;
    let answer = b.net.request(a_key, b"hello".to_vec()).await.expect("answered");
    assert_eq!(answer, [b.key().as_bytes(), &b"hello"[..]].concat());
    let much = b.net.request(a_key, b"much".to_vec()).await.expect("answered");
    assert_eq!(much.len(), RESPONSE_BYTES_MAX);
    let silence = b.net.request(a_key, b"silence".to_vec()).await;
    assert!(matches!(silence, Err(RequestError::Refused(_))), "{silence:?}");

    let (bytes, bytes_max) = (REQUEST_BYTES_MAX + 1, REQUEST_BYTES_MAX);
    let long = b.net.request(a_key, vec![0; bytes]).await;
    assert_eq!(long, Err(RequestError::TooLong { bytes, bytes_max }));
    let stranger = SecretKey::from_seed(&[98; 32]).public();
    let nobody = b.net.request(stranger, b"?".to_vec()).await;
    assert_eq!(nobody, Err(RequestError::NotConnected));
    serving.await.expect("served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_bounds_is_dropped_and_the_node_goes_on() {
    let (mut a, b) = pair(50).await;
    let mut liar = hostile(52);
    meet(&mut liar, &a).await;
    let victim = super::address::peer_of(&a.key());
    for _ in 0..REJECTIONS_MAX {
        let long = Frame::Bytes(vec![0xff; REQUEST_BYTES_MAX + 1]);
        liar.behaviour_mut().rpc.send_request(&victim, long);
    }
    swarm_until(&mut liar, |e| matches!(e, SwarmEvent::ConnectionClosed { .. })).await;
    let status = a.net.status().await;
    assert_eq!(status.peers_dropped, 1);
    assert_eq!(status.messages_rejected, u64::from(REJECTIONS_MAX));

    let mut babbler = hostile(53);
    meet(&mut babbler, &a).await;
    for _ in 0..REJECTIONS_MAX {
        let garbage = Frame::Bytes(vec![0x9f; 64]);
        babbler.behaviour_mut().data_address.send_request(&victim, garbage);
    }
    swarm_until(&mut babbler, |e| matches!(e, SwarmEvent::ConnectionClosed { .. })).await;
    assert_eq!(a.net.status().await.peers_dropped, 2);

    // Whoever behaves is still served.
    let asking =
        tokio::spawn(async move { b.net.request(b.net.peers().await[0].key, vec![1]).await });
    a.until(|event| match event {
        NetEvent::Request { reply, .. } => {
            reply.send(vec![2]);
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(asking.await.expect("asked"), Ok(vec![2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_restarted_behind_a_live_connection_is_greeted_anew() {
    let mut a = Node::start(options(60, vec![])).await;
    let mut peer = hostile(61);
    meet(&mut peer, &a).await;
    let victim = super::address::peer_of(&a.key());
    for boot in [1, 2] {
        let said = Frame::Bytes(DataAddress::new(boot, &[]).to_bytes());
        peer.behaviour_mut().data_address.send_request(&victim, said);
        let heard = |event: &_| {
            use BehaviourEvent::DataAddress;
            use libp2p::request_response::{Event, Message};
            let answered = matches!(
                event,
                SwarmEvent::Behaviour(DataAddress(Event::Message {
                    message: Message::Response { .. },
                    ..
                }))
            );
            answered || matches!(event, SwarmEvent::ConnectionClosed { .. })
        };
        swarm_until(&mut peer, heard).await;
    }
    a.until(|e| matches!(e, NetEvent::PeerDisconnected(_)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_program_is_no_peer() {
    let mut a = Node::start(options(64, vec![])).await;
    let mut foreign = hostile(65);
    foreign.behaviour_mut().data_address = frames("/other/1", unbounded(), 5_000);
    meet(&mut foreign, &a).await;
    swarm_until(&mut foreign, |e| matches!(e, SwarmEvent::ConnectionClosed { .. })).await;
    let b = Node::start(options(66, vec![a.address().await])).await;
    let first = a.until(|event| match event {
        NetEvent::PeerConnected(peer) => Some(peer),
        _ => None,
    });
    assert_eq!(first.await, b.key());
}

#[tokio::test(flavor = "multi_thread")]
async fn penalties_of_the_node_count_like_rejections() {
    let (mut a, b) = pair(70).await;
    for _ in 0..REJECTIONS_MAX {
        a.net.penalise(b.key(), "a record does not verify").await;
    }
    a.until(|e| matches!(e, NetEvent::PeerDisconnected(_)).then_some(())).await;
    assert_eq!(a.net.status().await.peers_blocked, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_found_through_a_third_node() {
    let with_dht = |seed, peers| NetOptions { dht: true, ..options(seed, peers) };
    let key = FileHash::of(b"a model");
    let mut a = Node::start(with_dht(80, vec![])).await;
    // Announced while nobody is there to hear it.
    a.net.provide(key).await;
    let mut b = Node::start(with_dht(81, vec![a.address().await])).await;
    b.until_connected(a.key()).await;
    a.until_connected(b.key()).await;
    let c = Node::start(with_dht(82, vec![b.address().await])).await;
    let searching = async {
        // The record travels on its own; each search asks the network and takes its time.
        while c.net.providers(key).await != [a.key()] {}
    };
    timeout(PATIENCE, searching).await.expect("found");
    assert!(c.net.peers().await.iter().any(|peer| peer.key == a.key()), "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_a_clear_error() {
    let first = Node::start(options(90, vec![])).await;
    let port = first.address().await.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    });
    let port = port.expect("a port");
    let taken = NetOptions { control_port: port, ..options(91, vec![]) };
    let directory = tempfile::tempdir().expect("a directory");
    let error = Net::start(taken, directory.path(), CancellationToken::new()).await;
    let text = error.expect_err("taken").to_string();
    assert!(text.starts_with(&format!("port {port} is taken: ")), "{text}");
    assert!(text.ends_with("choose another with --port"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_stops_when_told() {
    let cancel = CancellationToken::new();
    let directory = tempfile::tempdir().expect("a directory");
    let (net, mut events) =
        Net::start(options(92, vec![]), directory.path(), cancel.clone()).await.expect("starts");
    cancel.cancel();
    timeout(PATIENCE, net.shutdown()).await.expect("stops");
    assert!(events.recv().await.is_none());
    assert_eq!(net.publish(Topic::Heads, vec![1]).await, Err(PublishError::Stopped));
    let peer = SecretKey::from_seed(&[1; 32]).public();
    assert_eq!(net.request(peer, vec![1]).await, Err(RequestError::Stopped));
}
