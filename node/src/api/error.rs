//! What can go wrong between the local API's two ends.
//!
//! Invariants: every message is one line that says what to do where there is something to do.
//! What it is not: why the work itself failed; that is [`Failure`], made by the service.

use std::io;
use std::path::PathBuf;

use super::dto::Failure;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, or the system refuses.
    #[error("cannot serve the local API on port {port}: {source}; choose another with --api-port")]
    Bind {
        /// The port asked for.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// The listening socket broke.
    #[error("the local API broke off: {0}")]
    Broken(io::Error),
}

/// Why the file that says where a node listens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// There is none.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// It cannot be read or removed.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] crate::home::HomeError),
    /// It is not what a node writes.
    #[error("{0} is damaged: stop the node, if one runs, and start it again")]
    Damaged(PathBuf),
}

/// Why a request to a running node came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node runs on this directory.
    #[error("no node is running in {dir}: start one with `accord up --dir {dir}`", dir = .0.display())]
    NotRunning(PathBuf),
    /// Where it listens cannot be found out.
    #[error(transparent)]
    Address(AddressError),
    /// It said no, or tried and failed.
    #[error("{}", .0.error)]
    Failed(Failure),
    /// It went away before it answered.
    #[error("the node in {dir} went away before it answered: {source}", dir = .dir.display())]
    Lost {
        /// Its directory.
        dir: PathBuf,
        /// What was noticed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What answers is something else, or a node of another version.
    #[error("what answers at {url} does not speak this version of accord ({rule})")]
    Foreign {
        /// Where it listens.
        url: String,
        /// What was wrong.
        rule: String,
    },
}

impl ClientError {
    /// Whether the request itself was wrong (exit code 2) and not the doing (exit code 1).
    pub const fn usage(&self) -> bool {
        matches!(self, Self::Failed(Failure { usage: true, .. }))
    }
}
