//! The demo's nodes: real `accord up` processes.
//!
//! Invariants: no node outlives the demo. It runs only while the demo holds the other end of its
//! standard input, which the system closes whatever the demo ends by; ready means that its API
//! answers. What it is not: a second way to start a node.

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

/// The processes that run nodes, ready or not.
#[derive(Debug, Default)]
pub(super) struct Processes(Vec<Child>);

/// A node that is ready.
#[derive(Debug)]
pub(super) struct Node {
    pub name: String,
    pub client: Client,
    /// Its multiaddresses.
    pub addresses: Vec<String>,
}

impl Processes {
    /// Starts a node on its own directory with free ports of loopback, and waits until it is ready.
    pub(super) async fn start(
        &mut self,
        dir: &Path,
        name: &str,
        peers: &[String],
    ) -> Result<Node, NodeError> {
        let program = std::env::current_exe().map_err(NodeError::Start)?;
        let home = dir.join(name);
        let log = dir.join(format!("{name}.log"));
        let log_file = std::fs::File::create(&log).map_err(NodeError::Start)?;
        let mut command = Command::new(program);
        command
            .args(["--json", "up", "--while-input-open"])
            .args(["--bind", "127.0.0.1", "--no-mdns", "--dir"])
            .arg(&home)
            .env_remove("ACCORD_DIR")
            .env("ACCORD_LOG", std::env::var("ACCORD_LOG").unwrap_or_else(|_| "node=info".into()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .kill_on_drop(true);
        // Ctrl-C on the terminal is for the demo, which then ends its nodes in order.
        #[cfg(unix)]
        command.process_group(0);
        for peer in peers {
            command.arg("--peer").arg(peer);
        }
        let mut child = command.spawn().map_err(NodeError::Start)?;
        let stdout = child.stdout.take();
        self.0.push(child);
        let not_ready = || NodeError::NotReady { name: name.to_owned(), log: log.clone() };
        let stdout = stdout.ok_or_else(not_ready)?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(READY, lines.next_line()).await;
        let Ok(Ok(Some(_ready))) = line else { return Err(not_ready()) };
        let client = Client::open(&home)?;
        let status = client.status().await?;
        let addresses = status.addresses;
        Ok(Node { name: name.to_owned(), client, addresses })
    }

    /// Stops all nodes and waits until they have; those that take too long, or all of them if there
    /// is reason to `hurry`, are ended at once.
    pub(super) async fn stop(mut self, hurry: impl Future<Output = ()>) {
        for child in &mut self.0 {
            drop(child.stdin.take());
        }
        let ended = async {
            for child in &mut self.0 {
                // What cannot be waited for has ended.
                let _ = child.wait().await;
            }
        };
        let in_order = tokio::select! {
            ended = timeout(STOP, ended) => ended.is_ok(),
            () = hurry => false,
        };
        if !in_order {
            for child in &mut self.0 {
                // It may have ended by itself.
                let _ = child.kill().await;
            }
        }
    }
}
