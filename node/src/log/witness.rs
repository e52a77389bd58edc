//! A witness's directory: its key, what it cosigned last of each log, and evidence against logs.
//!
//! ```text
//! DIR/witness/key                   the witness's private key (mode 0600)
//! DIR/witness/logs/HASH/vkey        the key of a log that it follows
//! DIR/witness/logs/HASH/latest      the newest checkpoint cosigned; empty if none was
//! DIR/witness/evidence/HASH.N       two checkpoints of one log that do not fit together
//! ```
//!
//! Invariants: `latest` is durable before a cosignature leaves; where it is missing the log is not
//! cosigned, since to forget would be to sign anything; the key is used for nothing else.
//! What it is not: the judgement (see `protocol::log::witness`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use protocol::SecretKey;
use protocol::limits::{LOG_NOTE_BYTES_MAX, WITNESS_EVIDENCE_MAX};
use protocol::log::cosignature::CosignError;
use protocol::log::vkey::{Algorithm, VkeyError};
use protocol::log::witness::{AddCheckpoint, Refusal, RequestError, WatchError, Witness};
use protocol::log::{SigningKey, TreeHash, VerifierKey};

use crate::clock::now_ms;
use crate::durable::{self, FileError};
use crate::home::{HomeError, fresh_seed};

const KEY_BYTES_MAX: usize = 1_024;

/// Why a witness cannot be, or cannot cosign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// There is none.
    #[error("this node is no witness: make it one with `accord witness init --name NAME`")]
    Missing,
    /// There is one already.
    #[error("{0} is a witness already; its key is not replaced")]
    Exists(PathBuf),
    /// The name or key is none.
    #[error("the key: {0}")]
    Key(#[from] VkeyError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A log cannot be followed.
    #[error("{0}")]
    Watch(#[from] WatchError),
    /// A key that signs no checkpoints.
    #[error("a log's key signs notes (type 0x01); this one signs cosignatures")]
    NoLog,
    /// The request is malformed.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The request is refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The cosignature could not be made.
    #[error("{0}")]
    Cosign(#[from] CosignError),
}

/// A log that a witness follows.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FollowedView {
    /// The log's key, as text.
    pub log: String,
    /// Entries of the newest checkpoint cosigned.
    pub size: u64,
}

/// A witness's directory with its key.
#[derive(Debug)]
pub struct WitnessDir {
    dir: PathBuf,
    key: SigningKey,
}

impl WitnessDir {
    /// Makes the data directory `home` a witness, with a key of its own.
    pub fn init(home: &Path, name: &str) -> Result<Self, WitnessError> {
        let dir = home.join("witness");
        let secret = SecretKey::from_seed(&fresh_seed()?);
        let key = SigningKey::new(name, Algorithm::Cosignature, secret)?;
        if !durable::write_new(&dir.join("key"), key.to_secret_text().as_bytes())? {
            return Err(WitnessError::Exists(dir));
        }
        Ok(Self { dir, key })
    }

    /// Opens the witness of a data directory.
    pub fn open(home: &Path) -> Result<Self, WitnessError> {
        let dir = home.join("witness");
        let text = durable::read_if_there(&dir.join("key"), KEY_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&text.ok_or(WitnessError::Missing)?).trim().to_owned();
        Ok(Self { dir, key: SigningKey::from_secret_text(&text)? })
    }

    /// The witness's public key.
    pub fn vkey(&self) -> &VerifierKey {
        self.key.public()
    }

    /// Follows a log from its beginning, if it is not followed.
    pub fn follow(&self, log: &VerifierKey) -> Result<(), WitnessError> {
        if log.algorithm() != Algorithm::Ed25519 {
            return Err(WitnessError::NoLog);
        }
        let dir = self.log_dir(log.name());
        durable::write_new(&dir.join("latest"), b"")?;
        // Written last: a log is followed once this is there.
        durable::write_new(&dir.join("vkey"), log.to_string().as_bytes())?;
        Ok(())
    }

    /// The logs that are followed.
    pub fn followed(&self) -> Result<Vec<FollowedView>, WitnessError> {
        let mut witness = Witness::new(self.key.clone())?;
        self.watch_all(&mut witness)?
            .into_iter()
            .map(|log| {
                let size = witness.latest(log.name()).map_or(0, |it| it.checkpoint().size());
                Ok(FollowedView { log: log.to_string(), size })
            })
            .collect()
    }

    /// Pieces of evidence kept.
    pub fn evidence(&self) -> Result<Vec<PathBuf>, WitnessError> {
        let dir = self.dir.join("evidence");
        Ok(if dir.is_dir() { durable::names(&dir)? } else { Vec::new() })
    }

    fn log_dir(&self, origin: &str) -> PathBuf {
        let hash = TreeHash::of_entry(origin.as_bytes());
        self.dir.join("logs").join(hex::encode(&hash.as_bytes()[..16]))
    }

    /// Makes `witness` follow what it does not yet.
    fn watch_all(&self, witness: &mut Witness) -> Result<Vec<VerifierKey>, WitnessError> {
        let logs = self.dir.join("logs");
        let dirs = if logs.is_dir() { durable::names(&logs)? } else { Vec::new() };
        let mut followed = Vec::new();
        for dir in dirs {
            let Some(key) = durable::read_if_there(&dir.join("vkey"), KEY_BYTES_MAX)? else {
                continue;
            };
            let key: VerifierKey = String::from_utf8_lossy(&key).trim().parse()?;
            let latest = durable::read(&dir.join("latest"), LOG_NOTE_BYTES_MAX)?;
            let latest = (!latest.is_empty()).then_some(&latest[..]);
            match witness.watch(key.name(), vec![key.clone()], latest) {
                Ok(()) | Err(WatchError::Known(_)) => followed.push(key),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(followed)
    }

    /// Keeps two checkpoints that do not fit together.
    fn accuse(&self, notes: &[Vec<u8>]) -> Result<(), WitnessError> {
        let kept: BTreeSet<PathBuf> = self.evidence()?.into_iter().collect();
        let name = hex::encode(&TreeHash::of_entry(&notes.concat()).as_bytes()[..16]);
        for (number, note) in notes.iter().enumerate() {
            let path = self.dir.join("evidence").join(format!("{name}.{}", number + 1));
            if kept.len() < WITNESS_EVIDENCE_MAX {
                durable::write_new(&path, note)?;
            }
        }
        Ok(())
    }
}

/// A witness at work.
#[derive(Debug)]
pub(crate) struct WitnessBook {
    dir: WitnessDir,
    witness: Mutex<Witness>,
}

impl WitnessBook {
    /// Takes up the witness of a data directory; none if it is none.
    pub(crate) fn open(home: &Path) -> Result<Option<Self>, WitnessError> {
        let dir = match WitnessDir::open(home) {
            Err(WitnessError::Missing) => return Ok(None),
            dir => dir?,
        };
        let mut witness = Witness::new(dir.key.clone())?;
        dir.watch_all(&mut witness)?;
        Ok(Some(Self { dir, witness: Mutex::new(witness) }))
    }

    /// The witness's public key.
    pub(crate) fn vkey(&self) -> &VerifierKey {
        self.dir.vkey()
    }

    /// Judges a request; the answer is a signature line.
    pub(crate) fn add_checkpoint(&self, body: &[u8]) -> Result<String, WitnessError> {
        let request = AddCheckpoint::parse(body)?;
        let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = request.note.text().lines().next().unwrap_or_default().to_owned();
        if !witness.follows(&origin) {
            // It may have been told to since it started.
            self.dir.watch_all(&mut witness)?;
        }
        let latest = witness.latest(&origin).map(|latest| latest.note().to_bytes());
        let path = self.dir.log_dir(&origin).join("latest");
        match witness.add_checkpoint(&request) {
            Ok(pending) => {
                durable::replace(&path, &pending.state().note().to_bytes())?;
                Ok(pending.persisted(now_ms() / 1_000)?.to_string())
            }
            Err(refusal) => {
                let notes = match &refusal {
                    Refusal::Fork(fork) => fork.notes().to_vec(),
                    Refusal::Proof(_) => {
                        latest.into_iter().chain([request.note.to_bytes()]).collect()
                    }
                    _ => Vec::new(),
                };
                if !notes.is_empty() {
                    tracing::warn!(origin, %refusal, "a log shows two histories; kept as evidence");
                    self.dir.accuse(&notes)?;
                }
                Err(WitnessError::Refused(refusal))
            }
        }
    }
}
