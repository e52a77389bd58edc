//! The demo's nodes: real `accord up` processes.
//!
//! Invariants: a process that was started is ended when its handle is dropped; ready means that its
//! API answers. What it is not: a second way to start a node.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::api::{Client, ClientError};

/// How long a node may take to be ready.
const READY: Duration = Duration::from_secs(30);
/// How long a node may take to stop before it is ended.
const STOP: Duration = Duration::from_secs(10);

/// Why a node of the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The program cannot be started again.
    #[error("cannot start a node: {0}")]
    Start(std::io::Error),
    /// It ended or said nothing.
    #[error("{name} did not get ready; its log is {log}")]
    NotReady {
        /// Which node.
        name: String,
        /// Where its log is.
        log: PathBuf,
    },
    /// Its API is not there.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A running node.
#[derive(Debug)]
pub(super) struct Node {
    pub name: String,
    pub client: Client,
    /// Its multiaddresses.
    pub addresses: Vec<String>,
    child: Child,
}

impl Node {
    /// Starts a node on its own directory with free ports of loopback, and waits until it is ready.
    pub(super) async fn start(dir: &Path, name: &str, peers: &[String]) -> Result<Self, NodeError> {
        let program = std::env::current_exe().map_err(NodeError::Start)?;
        let home = dir.join(name);
        let log = dir.join(format!("{name}.log"));
        let log_file = std::fs::File::create(&log).map_err(NodeError::Start)?;
        let mut command = Command::new(program);
        command
            .args(["--json", "up", "--bind", "127.0.0.1", "--no-mdns", "--dir"])
            .arg(&home)
            .env_remove("ACCORD_DIR")
            .env("ACCORD_LOG", std::env::var("ACCORD_LOG").unwrap_or_else(|_| "node=info".into()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .kill_on_drop(true);
        for peer in peers {
            command.arg("--peer").arg(peer);
        }
        let mut child = command.spawn().map_err(NodeError::Start)?;
        let not_ready = || NodeError::NotReady { name: name.to_owned(), log: log.clone() };
        let stdout = child.stdout.take().ok_or_else(not_ready)?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(READY, lines.next_line()).await;
        let Ok(Ok(Some(_ready))) = line else { return Err(not_ready()) };
        let client = Client::open(&home)?;
        let status = client.status().await?;
        let addresses = status.addresses;
        Ok(Self { name: name.to_owned(), client, addresses, child })
    }

    /// Asks the node to stop and waits until it has.
    pub(super) async fn stop(mut self) {
        let asked = self.client.shutdown().await;
        if asked.is_err() || timeout(STOP, self.child.wait()).await.is_err() {
            // It is ended when the handle is dropped.
            tracing::warn!(node = %self.name, "did not stop when asked");
        }
    }
}
