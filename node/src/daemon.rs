//! The running node: puts its parts together, serves until it is told to stop, takes them apart.
//!
//! Invariants: one process a data directory; everything started here has ended when `run` returns.
//! What it is not: any part's own work.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::announce::provide_heads;
use crate::api::{Address, Server, Token};
use crate::collections::keep_lists;
use crate::home::{Home, HomeError, Lock, table_seed};
use crate::inbox::Inbox;
use crate::ledger::{LedgerBook, TakeError};
use crate::log::{LogBook, LogError, LogServer, WitnessBook, WitnessError};
use crate::net::{Net, NetError, NetOptions};
use crate::repo::{HeadBook, HeadError};
use crate::run::{Means, RunBook, RunError};
use crate::service::NodeService;
use crate::store::{Store, StoreError};

/// How often it is looked for peers to remember; written is only what is new.
const REMEMBER_EVERY: Duration = Duration::from_secs(2);

/// How `accord up` was asked to run.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// The control plane's port; 0 picks a free one.
    pub port: u16,
    /// The data plane's port; 0 picks a free one.
    pub data_port: u16,
    /// The local API's port; 0 picks a free one.
    pub api_port: u16,
    /// The port of the log and witness that anyone may ask; 0 picks a free one, none serves neither.
    pub log_port: Option<u16>,
    /// The address to listen on.
    pub bind: IpAddr,
    /// Peers to dial.
    pub peers: Vec<Multiaddr>,
    /// Whether to look for peers on the local network.
    pub mdns: bool,
    /// Whether to take part in the hash table.
    pub dht: bool,
    /// Threads for aggregation.
    pub threads: usize,
    /// What trains.
    pub device: trainer::Device,
}

/// What a node says once it is up.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Ready {
    /// The node's key.
    pub node: protocol::PublicKey,
    /// The key of the identity `me`.
    pub identity: protocol::PublicKey,
    /// The data directory.
    pub dir: String,
    /// Multiaddresses for `--peer`.
    pub addresses: Vec<String>,
    /// Where the local API is.
    pub api: String,
    /// Where the log and the witness are, if they are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// Why a node did not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The data directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// An identity in it.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityError),
    /// The metadata.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger on disk.
    #[error("the ledger on disk cannot be read: {0}")]
    Ledger(#[from] TakeError),
    /// The heads on disk.
    #[error("the repo heads on disk cannot be read: {0}")]
    Heads(#[from] HeadError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A run on disk.
    #[error("a run on disk cannot be taken up: {0}")]
    Run(#[from] RunError),
    /// The log.
    #[error("{0}")]
    Log(#[from] LogError),
    /// The witness.
    #[error("{0}")]
    Witness(#[from] WitnessError),
    /// The local API.
    #[error(transparent)]
    Api(#[from] crate::api::ServeError),
    /// The file that tells where the local API is.
    #[error(transparent)]
    Address(#[from] crate::api::AddressError),
}

/// Runs a node until `cancel`; `ready` is called once it is up.
pub async fn run(
    options: UpOptions,
    cancel: CancellationToken,
    ready: impl FnOnce(&Ready),
) -> Result<(), UpError> {
    let (home, _) = Home::init(&options.dir)?;
    let lock = take(&home)?;
    let store = Store::open(&home.meta())?;
    let ledger = Arc::new(LedgerBook::open(&home.ledger(), table_seed()?)?);
    let heads = Arc::new(HeadBook::open(store.clone())?);
    let server = Server::bind(options.api_port).await?;
    let tasks = TaskTracker::new();
    let public = open_public(&options, &home, &ledger).await?;
    let (net, events) =
        Net::start(net_options(&options, &home, &store)?, &home.blobs(), cancel.child_token())
            .await?;
    let means = Means {
        net: net.clone(),
        store: store.clone(),
        ledger: Arc::clone(&ledger),
        dir: home.dir().join("held-out"),
        device: options.device.clone(),
        threads: options.threads,
    };
    let (key, owner) = (home.node().clone(), home.owner()?);
    let (of_runs, stop) = (tasks.clone(), cancel.child_token());
    let runs = RunBook::open(means.clone(), key, owner, Arc::clone(&heads), of_runs, stop).await?;
    let runs = Arc::new(runs);
    let inbox = Inbox {
        net: net.clone(),
        store: store.clone(),
        ledger: Arc::clone(&ledger),
        heads: Arc::clone(&heads),
        runs: Arc::clone(&runs),
        recent: Arc::default(),
    };
    tasks.spawn(inbox.run(events, tasks.clone(), cancel.child_token()));
    tasks.spawn(keep_lists(net.clone(), Arc::clone(&ledger), cancel.child_token()));
    tasks.spawn(remember_peers(net.clone(), store, cancel.child_token()));
    let (providing, held) = (net.clone(), Arc::clone(&heads));
    tasks.spawn(async move { provide_heads(&providing, &held).await });

    let (log, url) = (public.log.clone(), public.url());
    public.start(&tasks, ledger, &home, &cancel);

    let token = Token::new(home.token());
    let address = server.address(token.clone());
    let identity = home.me()?;
    // From here on nothing fails before `serve`, so the file never outlives its node.
    address.write(home.dir())?;
    let addresses = net.listen_addresses().await.iter().map(ToString::to_string).collect();
    let dir = home.dir().to_owned();
    let (node, api) = (net.key(), address.url.clone());
    let said = Ready { node, identity, dir: dir.display().to_string(), addresses, api, log: url };
    let (background, stop) = (tasks.clone(), cancel.clone());
    let service = NodeService { home, means, heads, runs, log, tasks: background, cancel: stop };
    ready(&said);
    let served = server.serve(Arc::new(service), token, cancel.clone()).await;
    cancel.cancel();
    tasks.close();
    tasks.wait().await;
    net.shutdown().await;
    Address::remove(&dir)?;
    drop(lock);
    Ok(served?)
}

/// Keeps other processes out, and removes what a crash left of a change of keys.
fn take(home: &Home) -> Result<Lock, HomeError> {
    let lock = home.lock()?;
    if let Err(error) = home.identities().sweep() {
        tracing::warn!(%error, "what was left of a change of keys is still there");
    }
    Ok(lock)
}

/// The parts that the public may ask: the log, the witness, and their port.
struct Public {
    log: Option<Arc<LogBook>>,
    witness: Option<Arc<WitnessBook>>,
    server: Option<LogServer>,
}

async fn open_public(
    options: &UpOptions,
    home: &Home,
    ledger: &LedgerBook,
) -> Result<Public, UpError> {
    let log = tokio::task::block_in_place(|| LogBook::open(home.dir(), ledger))?.map(Arc::new);
    let witness = WitnessBook::open(home.dir())?.map(Arc::new);
    let server = match options.log_port {
        Some(port) => Some(LogServer::bind(port).await?),
        None => None,
    };
    Ok(Public { log, witness, server })
}

impl Public {
    fn url(&self) -> Option<String> {
        self.server.as_ref().map(LogServer::url)
    }

    fn start(
        self,
        tasks: &TaskTracker,
        ledger: Arc<LedgerBook>,
        home: &Home,
        cancel: &CancellationToken,
    ) {
        if let Some(log) = self.log {
            tasks.spawn(log.keep(ledger, cancel.child_token()));
        }
        if let Some(server) = self.server {
            tasks.spawn(server.serve(home.dir().to_owned(), self.witness, cancel.child_token()));
        }
    }
}

fn net_options(options: &UpOptions, home: &Home, store: &Store) -> Result<NetOptions, StoreError> {
    let remembered = store.peers()?;
    let remembered = remembered.iter().filter_map(|address| address.parse().ok());
    Ok(NetOptions {
        key: home.node().clone(),
        control_port: options.port,
        data_port: options.data_port,
        bind: options.bind,
        peers: options.peers.iter().cloned().chain(remembered).collect(),
        mdns: options.mdns,
        dht: options.dht,
    })
}

/// Keeps where peers were reached, for the next start.
async fn remember_peers(net: Net, store: Store, cancel: CancellationToken) {
    let mut known = std::collections::BTreeMap::new();
    let mut every = tokio::time::interval(REMEMBER_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        for peer in net.peers().await {
            let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
            if addresses.is_empty() || known.get(&peer.key) == Some(&addresses) {
                continue;
            }
            let kept = tokio::task::block_in_place(|| store.keep_peer(peer.key, &addresses));
            if let Err(error) = kept {
                tracing::warn!(%error, "a peer's address was not remembered");
                return;
            }
            known.insert(peer.key, addresses);
        }
    }
}
