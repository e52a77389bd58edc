//! Why a command failed, and the exit code that says so.
//!
//! Invariants: one line, whoever caused it; 1 is a failure, 2 is wrong use; a reader of our output
//! that has gone away is no failure. What it is not: what clap says of arguments it cannot parse.

use std::io;
use std::process::ExitCode;

use crate::api::ClientError;
use crate::api::dto::Failure;
use crate::daemon::UpError;
use crate::demo::DemoError;
use crate::home::HomeError;
use crate::identity::IdentityError;
use crate::log::{LogDirError, LogError, WitnessError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The node said no, or is not there.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The data directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// An identity in it.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The node did not start or had to stop.
    #[error(transparent)]
    Up(#[from] UpError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log's directory.
    #[error(transparent)]
    LogDir(#[from] LogDirError),
    /// The witness.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// A proof that does not hold.
    #[error("not proved: {0}")]
    NotProved(String),
    /// A file that a command writes itself.
    #[error("cannot write {0}: {1}")]
    Write(String, io::Error),
    /// A file that a command reads itself.
    #[error("cannot read {0}: {1}")]
    Read(String, io::Error),
    /// The node stopped while it was watched.
    #[error("the node stopped before the run was finished")]
    Stopped,
    /// The system does not let us wait for signals or run tasks.
    #[error("cannot run: {0}")]
    System(io::Error),
    /// Wrong use that the grammar could not see.
    #[error("{0}")]
    Usage(String),
    /// What failed is in the result, which was shown.
    #[error("not all of it went well")]
    Said,
    /// Our own output.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// As the API says it.
    pub(super) fn failure(&self) -> Failure {
        let usage = match self {
            Self::Usage(_) => true,
            Self::Client(error) => error.usage(),
            _ => false,
        };
        let lines: Vec<String> = self.to_string().lines().map(str::to_owned).collect();
        Failure { error: lines.join(" "), usage }
    }

    /// The reader of our output has what it wanted (as with `accord models | head -1`).
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The exit code of a failure.
pub(super) fn exit_code(failure: &Failure) -> ExitCode {
    ExitCode::from(if failure.usage { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_use_and_failure_differ() {
        assert!(CliError::Usage("x".into()).failure().usage);
        assert!(!CliError::Stopped.failure().usage);
        let refused = ClientError::Failed(Failure { error: "a\nb".into(), usage: true });
        let failure = CliError::from(refused).failure();
        assert_eq!((failure.error.as_str(), failure.usage), ("a b", true));
        assert!(CliError::Output(io::ErrorKind::BrokenPipe.into()).is_broken_pipe());
        assert!(!CliError::System(io::ErrorKind::BrokenPipe.into()).is_broken_pipe());
    }
}
