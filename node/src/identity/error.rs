//! Why an identity cannot be used, in one line for its owner.
//!
//! Invariants: no variant carries a key or a passphrase. What it is not: the ledger's errors.

use std::io;
use std::path::PathBuf;

use protocol::PublicKey;

use crate::home::HomeError;

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none of this name.
    #[error("there is no identity {0:?} here: `accord id list` shows those there are")]
    Unknown(String),
    /// There is one of this name already.
    #[error("there is an identity {0:?} here already: choose another name with --name")]
    Exists(String),
    /// A name that cannot be a file's.
    #[error("{0}")]
    Name(String),
    /// A file that is not what it should be.
    #[error("{path} is damaged: {rule}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        rule: &'static str,
    },
    /// A file of a later program.
    #[error("{0} was written by a newer accord: use that one")]
    Newer(PathBuf),
    /// Others than its owner can read it.
    #[error("{path} can be read by others (mode {mode:o}): `chmod 600 {path}` first")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It was copied from another node.
    #[error(
        "{0} was copied from another node, and two nodes would fork its feed: use `accord id \
         export` there and `accord id import` here"
    )]
    Copied(PathBuf),
    /// A passphrase is needed and none was given.
    #[error("{0} is under a passphrase: give --passphrase-file FILE or set ACCORD_PASSPHRASE")]
    Sealed(PathBuf),
    /// The passphrase does not open it.
    #[error("{0} does not open: the passphrase is wrong, or the file is damaged")]
    Passphrase(PathBuf),
    /// An empty passphrase, or one without end.
    #[error("a passphrase has 1 to {} bytes", protocol::limits::PASSPHRASE_BYTES_MAX)]
    PassphraseLength,
    /// Argon2 could not run.
    #[error("cannot derive a key from the passphrase: {0}")]
    Derive(argon2::Error),
    /// A recovery file of somebody else.
    #[error("{path} is of the identity {found}, not of {wanted}")]
    OtherIdentity {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: PublicKey,
        /// Whose it should be.
        wanted: PublicKey,
    },
    /// A recovery file without root keys.
    #[error("{0} holds no root key: it is no recovery file")]
    NoRoot(PathBuf),
    /// A file that must not be replaced.
    #[error("{0} is there already: name another file")]
    Occupied(PathBuf),
    /// It belongs to the node itself.
    #[error("`me` signs by itself for its node and cannot be under a passphrase")]
    MeSealed,
    /// It has been rotated as often as may be.
    #[error(
        "the identity was rotated {} times, which is as often as may be",
        protocol::limits::ROTATIONS_MAX
    )]
    RotationsFull,
    /// The system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The data directory.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl IdentityError {
    /// Whether the request was wrong (exit code 2) and not the doing.
    pub(crate) const fn usage(&self) -> bool {
        matches!(self, Self::Name(_) | Self::PassphraseLength | Self::MeSealed)
    }
}
