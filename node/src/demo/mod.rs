//! `accord demo`: the main job with four real nodes on this machine.
//!
//! Invariants: everything goes through real processes and their local API, as a user's would; every
//! promise is checked, and the first that does not hold ends the demo with one line and an error;
//! however it ends, its nodes end too, and unless it is killed they do before its files are removed.
//! What it is not: a simulation.

mod ask;
mod bar;
mod data;
mod nodes;
mod opt_out;
mod picture;
mod report;
mod story;

use std::path::{Path, PathBuf};

use crate::signals::Signals;

pub use nodes::NodeError;
pub use report::Summary;

/// How `accord demo` was asked to run.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Where to keep the nodes' directories; a temporary directory if left out.
    pub keep: Option<PathBuf>,
    /// JSON lines instead of text.
    pub json: bool,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A node did not do what it was asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A node's API failed.
    #[error("{node}: {source}")]
    Client {
        /// Which node.
        node: String,
        /// Why.
        source: crate::api::ClientError,
    },
    /// A file could not be written.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, std::io::Error),
    /// The shipped data could not be prepared.
    #[error("cannot prepare the data: {0}")]
    Data(String),
    /// Something that was waited for did not come.
    #[error("waited {seconds} s for {what}, in vain")]
    Waited {
        /// For what.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A promise did not hold.
    #[error("this does not hold: {0}")]
    Promise(String),
    /// The directory to keep is in the way.
    #[error("{0} exists already: choose another directory for --keep")]
    InTheWay(PathBuf),
    /// The directory to keep is none.
    #[error("{0} is a file: --keep wants a directory")]
    File(PathBuf),
    /// The system does not let us wait for signals.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    /// Somebody wished it to stop.
    #[error("stopped")]
    Stopped,
}

/// Runs the demo.
pub async fn run(options: &DemoOptions) -> Result<Summary, DemoError> {
    let mut signals = Signals::with_hangup().map_err(DemoError::Signals)?;
    let temporary;
    let dir = match &options.keep {
        Some(dir) => kept(dir)?,
        None => {
            let place = std::env::temp_dir();
            temporary = tempfile::tempdir().map_err(|e| DemoError::Write(place, e))?;
            temporary.path().to_owned()
        }
    };
    let report = report::Report::new(options.json);
    let mut processes = nodes::Processes::default();
    let told = tokio::select! {
        biased;
        () = signals.next() => Err(DemoError::Stopped),
        told = story::tell(&dir, &mut processes, &report) => told,
    };
    processes.stop(signals.next()).await;
    let summary = told?;
    report.summary(&summary, options.keep.is_some().then_some(dir.as_path()));
    Ok(summary)
}

/// The directory to keep, made if it is not there.
fn kept(dir: &Path) -> Result<PathBuf, DemoError> {
    let failed = |e| DemoError::Write(dir.to_owned(), e);
    if dir.exists() && !dir.is_dir() {
        return Err(DemoError::File(dir.to_owned()));
    }
    let empty = std::fs::read_dir(dir).map_or(true, |mut files| files.next().is_none());
    if !empty {
        return Err(DemoError::InTheWay(dir.to_owned()));
    }
    std::fs::create_dir_all(dir).map_err(failed)?;
    dir.canonicalize().map_err(failed)
}
