//! The network: who we know, what we tell each other, and the bytes we pass on.
//!
//! ```text
//!   node ──> Net ──commands──> SwarmTask (libp2p: gossip, requests, hash table, discovery)
//!    ^         └──> Blobs (iroh: blobs by hash) ──liars──┘   │
//!    └───────────────────────events──────────────────────────┘
//! ```
//!
//! Invariants: one Ed25519 key names a node on both planes, and outside this module a peer is that
//! key; everything a peer sends is bounded here and judged by the node; nothing here blocks on a
//! peer or on the node. What it is not: it does not know what a message means.

mod address;
mod behaviour;
mod blob_files;
#[cfg(test)]
mod blob_tests;
mod blobs;
mod callers;
mod command;
mod dial;
mod event;
mod fetch;
mod inbound;
mod options;
mod parts;
mod peers;
mod rpc;
mod serve;
mod sources;
mod swarm;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp, yamux};
use protocol::limits::{
    GOSSIP_BYTES_MAX, NET_COMMANDS_MAX, NET_EVENTS_MAX, PROVIDERS_TIMEOUT_MS, REQUEST_BYTES_MAX,
    REQUEST_TIMEOUT_MS,
};
use protocol::{FileHash, PublicKey};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use blobs::{BlobError, Blobs, BlobsStartError};
pub use event::{NetEvent, NetStatus, PeerInfo, Reply, Topic, Verdict};
pub use fetch::{FetchError, FetchStats, ProviderError};
pub use options::NetOptions;

use behaviour::Behaviour;
use command::Command;
use dial::DialBook;
use peers::Peers;
use swarm::{Pending, Provided, SwarmTask};

/// Providers of wrong bytes that wait to be dropped.
const LIARS_MAX: usize = 64;
/// Idle connections are kept: whom we know today we need tomorrow, and their number is bounded.
const CONNECTION_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// A QUIC connection that is silent for this long is dead; TCP says so itself.
const QUIC_IDLE_MS: u32 = 10_000;
/// How often a silent QUIC connection is kept alive.
const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(3);
/// How long connecting to one peer may take, discovery excluded.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Somebody else listens on the port.
    #[error("port {port} is taken: {source}, choose another with {flag}")]
    PortTaken {
        /// Which.
        port: u16,
        /// The flag that sets it.
        flag: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// No port of this address can be used.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: IpAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The control plane did not start.
    #[error("{step}: {reason}")]
    Control {
        /// What was being done.
        step: &'static str,
        /// What libp2p says.
        reason: String,
    },
    /// The data plane did not start.
    #[error(transparent)]
    Blobs(#[from] BlobsStartError),
}

/// Why a message could not be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Longer than gossip may be.
    #[error("a gossip message of {0} bytes, at most {GOSSIP_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// The network is down.
    #[error("the node is stopping")]
    Stopped,
}

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The question or the answer is longer than it may be.
    #[error("a message of {bytes} bytes, at most {bytes_max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The peer is not connected and cannot be reached.
    #[error("the peer cannot be reached")]
    NotConnected,
    /// No answer in time.
    #[error("no answer within {} s", REQUEST_TIMEOUT_MS / 1_000)]
    TimedOut,
    /// The peer did not answer.
    #[error("the peer gave no answer: {0}")]
    Refused(String),
    /// Too many requests of ours are open.
    #[error("too many requests are waiting for answers")]
    Busy,
    /// The network is down.
    #[error("the node is stopping")]
    Stopped,
}

/// A handle to the network; cheap to clone.
#[derive(Debug, Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    key: PublicKey,
    started: tokio::time::Instant,
    commands: mpsc::Sender<Command>,
    blobs: Blobs,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Net {
    /// Starts both planes; they listen when this returns. They stop with `cancel`, or when the
    /// receiver of events is dropped.
    pub async fn start(
        options: NetOptions,
        blobs_dir: &Path,
        cancel: CancellationToken,
    ) -> Result<(Self, mpsc::Receiver<NetEvent>), NetError> {
        let port = options::control_port(options.bind, options.control_port)?;
        let data = options::data_address(options.bind, options.data_port)?;
        let swarm = build_swarm(&options)?;
        let (liars_sender, liars) = mpsc::channel(LIARS_MAX);
        let tasks = TaskTracker::new();
        let blobs = Blobs::start(&options.key, blobs_dir, data, liars_sender, &tasks).await?;
        let (commands_sender, commands) = mpsc::channel(NET_COMMANDS_MAX);
        let (events, events_receiver) = mpsc::channel(NET_EVENTS_MAX);
        let mut dial = DialBook::new(*swarm.local_peer_id());
        for peer in options.peers {
            dial.remember(peer, Instant::now());
        }
        let mut task = SwarmTask {
            swarm,
            commands,
            liars,
            events,
            outbox: VecDeque::new(),
            peers: Peers::default(),
            dial,
            pending: Pending::default(),
            provided: Provided::default(),
            blobs: blobs.clone(),
            boot: random_boot()?,
            ignored: 0,
        };
        if let Err(error) = task.listen(listen_addresses(options.bind, port)).await {
            blobs.close().await;
            return Err(NetError::Control { step: "listening", reason: error.to_string() });
        }
        let cancel = cancel.child_token();
        let (stop, closing) = (cancel.clone(), blobs.clone());
        tasks.spawn(async move {
            task.run(stop.clone()).await;
            stop.cancel();
            closing.close().await;
        });
        tasks.close();
        let key = options.key.public();
        let started = tokio::time::Instant::now();
        let inner = Inner { key, started, commands: commands_sender, blobs, cancel, tasks };
        Ok((Self { inner: Arc::new(inner) }, events_receiver))
    }

    /// This node's key.
    pub fn key(&self) -> PublicKey {
        self.inner.key
    }

    /// When the network was started.
    pub fn started(&self) -> tokio::time::Instant {
        self.inner.started
    }

    /// The data plane.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Sends `bytes` to whoever listens to `topic` now; nobody listening is no error. The same
    /// bytes again within a minute go nowhere.
    pub async fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), PublishError> {
        if bytes.len() > GOSSIP_BYTES_MAX {
            return Err(PublishError::TooLong(bytes.len()));
        }
        let sent = self.inner.commands.send(Command::Publish(topic, bytes)).await;
        sent.map_err(|_| PublishError::Stopped)
    }

    /// Asks a peer; connects to it first if its address is known.
    pub async fn request(&self, peer: PublicKey, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            let (bytes, bytes_max) = (bytes.len(), REQUEST_BYTES_MAX);
            return Err(RequestError::TooLong { bytes, bytes_max });
        }
        let answer = self.ask(|asker| Command::Request(peer, bytes, asker)).await;
        answer.unwrap_or(Err(RequestError::Stopped))
    }

    /// Makes sure `peer` is connected and its data address known, if it can be reached.
    pub async fn connect(&self, peer: PublicKey) -> bool {
        let asked = self.ask(|asker| Command::Connect(peer, asker));
        timeout(CONNECT_PATIENCE, asked).await.ok().flatten().unwrap_or(false)
    }

    /// Dials an address now, and again whenever its peer is not connected.
    pub async fn dial(&self, address: Multiaddr) {
        self.tell(Command::Dial(address)).await;
    }

    /// Announces in the hash table that this node provides `key`, now and from time to time.
    pub async fn provide(&self, key: FileHash) {
        self.tell(Command::Provide(key)).await;
    }

    /// Who provides `key` by the hash table, connected if they can be reached; not this node.
    pub async fn providers(&self, key: FileHash) -> Vec<PublicKey> {
        let asked = self.ask(|asker| Command::Providers(key, asker));
        let patience = Duration::from_millis(PROVIDERS_TIMEOUT_MS);
        let found = timeout(patience, asked).await.ok().flatten().unwrap_or_default();
        let connects = found.iter().map(|peer| self.connect(*peer));
        let connected = libp2p::futures::future::join_all(connects).await;
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for (peer, connected) in found.into_iter().zip(connected) {
            if connected { near.push(peer) } else { far.push(peer) }
        }
        near.append(&mut far);
        near
    }

    /// Counts a broken rule against a peer, as a rejected message is. `reason` is for the log.
    pub async fn penalise(&self, peer: PublicKey, reason: &str) {
        self.tell(Command::Penalise(peer, reason.to_owned())).await;
    }

    /// The connected peers, by key.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// Where the control plane listens, each with `/p2p/` and this node at its end.
    pub async fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.ask(Command::ListenAddresses).await.unwrap_or_default()
    }

    /// Counts since the start.
    pub async fn status(&self) -> NetStatus {
        self.ask(Command::Status).await.unwrap_or_default()
    }

    /// Stops both planes and waits until the blob store is closed.
    pub async fn shutdown(&self) {
        self.inner.cancel.cancel();
        self.inner.tasks.wait().await;
    }

    async fn tell(&self, command: Command) {
        if self.inner.commands.send(command).await.is_err() {
            tracing::debug!("the network is stopped");
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (asker, answer) = oneshot::channel();
        self.tell(command(asker)).await;
        answer.await.ok()
    }
}

fn build_swarm(options: &NetOptions) -> Result<Swarm<Behaviour>, NetError> {
    let failed = |step| move |reason: String| NetError::Control { step, reason };
    let key = address::keypair_of(&options.key);
    let behaviour = Behaviour::new(&key, options.mdns, options.dht)
        .map_err(|e| failed("starting the protocols")(e.to_string()))?;
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(|e| failed("setting up TCP")(e.to_string()))?
        .with_quic_config(|mut config| {
            config.max_idle_timeout = QUIC_IDLE_MS;
            config.keep_alive_interval = QUIC_KEEP_ALIVE;
            config
        })
        .with_behaviour(|_| behaviour)
        .map_err(|e| failed("starting the protocols")(e.to_string()))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(CONNECTION_IDLE))
        .build();
    Ok(swarm)
}

fn listen_addresses(bind: IpAddr, port: u16) -> [Multiaddr; 2] {
    let ip = Multiaddr::from(bind);
    let tcp = ip.clone().with(Protocol::Tcp(port));
    [tcp, ip.with(Protocol::Udp(port)).with(Protocol::QuicV1)]
}

fn random_boot() -> Result<u64, NetError> {
    let mut boot = [0; 8];
    getrandom::fill(&mut boot).map_err(|e| NetError::Control {
        step: "drawing a random number",
        reason: e.to_string(),
    })?;
    Ok(u64::from_le_bytes(boot))
}
