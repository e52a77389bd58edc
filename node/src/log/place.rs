//! A log's directory: its key, its tiles, its checkpoints and whom it asks for cosignatures.
//!
//! ```text
//! DIR/log/key            the log's private key, `PRIVATE+KEY+ORIGIN+...` (mode 0600)
//! DIR/log/signed         the newest checkpoint that the log has signed
//! DIR/log/checkpoint     the newest one that is shown, with cosignatures
//! DIR/log/tile/          C2SP tlog-tiles
//! DIR/log/witnesses      one a line: URL and key
//! DIR/log/refusals       what witnesses said last that did not cosign
//! ```
//!
//! Invariants: `signed` is on disk before anyone sees the signature, and never replaced by one of the
//! same size; one path of a tile has one content for all time; the key is never overwritten and is no
//! node's or person's. What it is not: what decides when to sign (see `writer`).

use std::path::{Path, PathBuf};

use protocol::SecretKey;
use protocol::limits::{LOG_NOTE_BYTES_MAX, LOG_POLICY_BYTES_MAX, LOG_WITNESSES_MAX};
use protocol::log::checkpoint::{CheckpointError, OpenCheckpointError};
use protocol::log::map::{Map, root_line};
use protocol::log::note::NoteError;
use protocol::log::tile::{TileFile, TileKind, TilePath, TileReader, parse_entries};
use protocol::log::vkey::{Algorithm, VkeyError};
use protocol::log::{Checkpoint, SignedCheckpoint, SigningKey, TreeHash, VerifierKey};

use crate::durable::{self, FileError};
use crate::home::{HomeError, fresh_seed};

/// A tile's bytes at most: 256 entries with their lengths.
const TILE_BYTES_MAX: usize = 256 * (2 + u16::MAX as usize);
/// A key's file in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogDirError {
    /// There is none.
    #[error("this node runs no log: make one with `accord log init --origin NAME`")]
    Missing,
    /// There is one already.
    #[error("{0} is a log already; its key and its history are not replaced")]
    Exists(PathBuf),
    /// The name cannot be a log's.
    #[error("the log's name: {0}")]
    Name(VkeyError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What stands in a file is not what was written.
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
    /// A checkpoint could not be made.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint could not be signed.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// A tile would change.
    #[error(
        "{0} is there with other bytes: the ledger and the log differ; restore both from one backup"
    )]
    Changed(PathBuf),
    /// Too many witnesses, or an address that is none.
    #[error("{0}")]
    Witness(String),
}

/// A log's directory with its key.
#[derive(Debug)]
pub struct LogDir {
    dir: PathBuf,
    key: SigningKey,
}

/// Whom a log asks for cosignatures.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WitnessAddress {
    /// Such as `http://127.0.0.1:8001`.
    pub url: String,
    /// Its key, as text.
    pub key: String,
}

impl LogDir {
    /// Makes the log of the data directory `home`, with a key of its own and an empty checkpoint.
    pub fn init(home: &Path, origin: &str) -> Result<Self, LogDirError> {
        let dir = home.join("log");
        let secret = SecretKey::from_seed(&fresh_seed()?);
        let key = SigningKey::new(origin, Algorithm::Ed25519, secret).map_err(LogDirError::Name)?;
        let log = Self { dir, key };
        if log.path("signed").exists() {
            return Err(LogDirError::Exists(log.dir));
        }
        if !durable::write_new(&log.path("key"), log.key.to_secret_text().as_bytes())? {
            return Err(LogDirError::Exists(log.dir));
        }
        // Written last: a key without it is of no log, and no log starts without it.
        let map = Map::default().root();
        log.keep_signed(&log.sign(0, TreeHash::EMPTY, &map)?)?;
        Ok(log)
    }

    /// Opens the log of a data directory.
    pub fn open(home: &Path) -> Result<Self, LogDirError> {
        let dir = home.join("log");
        let path = dir.join("key");
        let Some(text) = durable::read_if_there(&path, KEY_BYTES_MAX)? else {
            return Err(LogDirError::Missing);
        };
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        let key = SigningKey::from_secret_text(&text)
            .map_err(|e| LogDirError::Damaged(path.clone(), e.to_string()))?;
        match key.public().algorithm() {
            Algorithm::Ed25519 => Ok(Self { dir, key }),
            Algorithm::Cosignature => {
                Err(LogDirError::Damaged(path, "it is a witness's key".into()))
            }
        }
    }

    /// The log's public key, whose name is its origin.
    pub fn vkey(&self) -> &VerifierKey {
        self.key.public()
    }

    /// A signed checkpoint; to be kept before it is shown.
    pub(super) fn sign(
        &self,
        size: u64,
        root: TreeHash,
        map: &TreeHash,
    ) -> Result<SignedCheckpoint, LogDirError> {
        let checkpoint = Checkpoint::new(self.vkey().name(), size, root, vec![root_line(map)])?;
        Ok(checkpoint.sign(&[&self.key])?)
    }

    /// The newest checkpoint that the log has signed.
    pub fn signed(&self) -> Result<SignedCheckpoint, LogDirError> {
        // Where it is missing something is lost: to start over would be to sign twice.
        let bytes = durable::read(&self.path("signed"), LOG_NOTE_BYTES_MAX)?;
        self.open_checkpoint("signed", &bytes)
    }

    /// Keeps a checkpoint as the newest signed.
    pub(super) fn keep_signed(&self, checkpoint: &SignedCheckpoint) -> Result<(), LogDirError> {
        Ok(durable::replace(&self.path("signed"), &checkpoint.note().to_bytes())?)
    }

    /// The newest checkpoint that is shown, with its cosignatures.
    pub fn published(&self) -> Result<Option<SignedCheckpoint>, LogDirError> {
        let bytes = durable::read_if_there(&self.path("checkpoint"), LOG_NOTE_BYTES_MAX)?;
        bytes.map(|bytes| self.open_checkpoint("checkpoint", &bytes)).transpose()
    }

    /// Shows a checkpoint.
    pub(super) fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), LogDirError> {
        Ok(durable::replace(&self.path("checkpoint"), &checkpoint.note().to_bytes())?)
    }

    /// Writes tiles and bundles. One that is there stays, and must be the same.
    pub(super) fn keep_tiles(&self, tiles: &[TileFile]) -> Result<(), LogDirError> {
        for TileFile { path, bytes } in tiles {
            let path = self.path(&path.to_string());
            let there = durable::read_if_there(&path, TILE_BYTES_MAX)?;
            match there {
                Some(there) if there == *bytes => {}
                Some(_) => return Err(LogDirError::Changed(path)),
                None => durable::replace(&path, bytes)?,
            }
        }
        Ok(())
    }

    /// Removes the partial files of full ones, which nobody needs once a checkpoint covers these.
    pub(super) fn drop_partial(&self, full: &[TilePath]) {
        for path in full {
            // One that stays only takes room.
            let _ = std::fs::remove_dir_all(self.path(&format!("{path}.p")));
        }
    }

    /// Whom the log asks for cosignatures.
    pub fn witnesses(&self) -> Result<Vec<(WitnessAddress, VerifierKey)>, LogDirError> {
        let path = self.path("witnesses");
        let bytes = durable::read_if_there(&path, LOG_POLICY_BYTES_MAX)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let parse = |line: &str| {
            let (url, key) = line.split_once(' ')?;
            let address = WitnessAddress { url: url.into(), key: key.into() };
            Some((address, key.parse::<VerifierKey>().ok()?))
        };
        let all: Option<Vec<_>> = text.lines().map(parse).collect();
        all.ok_or_else(|| LogDirError::Damaged(path, "a line is not URL and key".into()))
    }

    /// Asks one more witness, or one at another address.
    pub fn add_witness(&self, url: &str, key: &VerifierKey) -> Result<(), LogDirError> {
        let is_url = url.strip_prefix("http://").is_some_and(|rest| !rest.is_empty())
            && !url.contains(char::is_whitespace);
        if !is_url || key.algorithm() != Algorithm::Cosignature {
            let rule = "a witness has an address http://HOST:PORT and a key for cosignatures";
            return Err(LogDirError::Witness(rule.into()));
        }
        let mut all = self.witnesses()?;
        all.retain(|(_, known)| known.key() != key.key());
        let address =
            WitnessAddress { url: url.trim_end_matches('/').into(), key: key.to_string() };
        all.push((address, key.clone()));
        if all.len() > LOG_WITNESSES_MAX {
            let rule = format!("a log asks at most {LOG_WITNESSES_MAX} witnesses");
            return Err(LogDirError::Witness(rule));
        }
        let lines: String =
            all.iter().map(|(address, _)| format!("{} {}\n", address.url, address.key)).collect();
        Ok(durable::replace(&self.path("witnesses"), lines.as_bytes())?)
    }

    /// What witnesses said last that did not cosign, one a line.
    pub fn refusals(&self) -> Result<Vec<String>, LogDirError> {
        let bytes = durable::read_if_there(&self.path("refusals"), LOG_POLICY_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Keeps what witnesses said.
    pub(super) fn keep_refusals(&self, refusals: &[String]) -> Result<(), LogDirError> {
        let lines: String = refusals.iter().map(|line| format!("{line}\n")).collect();
        Ok(durable::replace(&self.path("refusals"), lines.as_bytes())?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn open_checkpoint(&self, name: &str, bytes: &[u8]) -> Result<SignedCheckpoint, LogDirError> {
        let keys = [self.vkey().clone()];
        SignedCheckpoint::open(bytes, self.vkey().name(), &keys)
            .map_err(|e: OpenCheckpointError| LogDirError::Damaged(self.path(name), e.to_string()))
    }
}

impl TileReader for LogDir {
    type Error = LogDirError;

    /// Where a partial file was dropped, the full one begins with it.
    fn read(&self, path: &TilePath) -> Result<Vec<u8>, LogDirError> {
        let place = self.path(&path.to_string());
        if let Some(bytes) = durable::read_if_there(&place, TILE_BYTES_MAX)? {
            return Ok(bytes);
        }
        let full = TilePath::new(path.kind(), path.index(), 256)
            .ok_or_else(|| LogDirError::Damaged(place.clone(), "it is no tile".into()))?;
        let mut bytes = durable::read(&self.path(&full.to_string()), TILE_BYTES_MAX)?;
        let width = usize::from(path.width());
        let length = match path.kind() {
            TileKind::Hashes(_) => 32 * width,
            TileKind::Entries => {
                let entries = parse_entries(&full, &bytes)
                    .map_err(|e| LogDirError::Damaged(place, e.to_string()))?;
                entries.iter().take(width).map(|entry| entry.len() + 2).sum()
            }
        };
        bytes.truncate(length);
        Ok(bytes)
    }
}
