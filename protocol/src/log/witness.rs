//! A witness: remembers each log's latest checkpoint and cosigns only what grows from it
//! (C2SP tlog-witness, `add-checkpoint`), without doing any IO itself.
//!
//! ```text
//! old <size>
//! base64(hash)            the consistency proof, at most 63 lines
//! <empty line>
//! <checkpoint, a signed note>
//! ```
//!
//! Invariants: a checkpoint is recorded before it is cosigned: [`Witness::add_checkpoint`] gives a
//! [`Pending`], whose state the caller makes durable, and only [`Pending::persisted`] signs. A
//! pending one borrows the witness, so no other request is judged in between: checking and
//! recording are one step, and a log is never rolled back. A pending one that is dropped has no
//! effect. What it is not: the HTTP server, the disk or the clock.

use std::collections::BTreeMap;

use super::audit::{AuditError, verify_consistency};
use super::checkpoint::{CheckpointError, OpenCheckpointError, SignedCheckpoint, parse_decimal};
use super::cosignature::{self, CosignError};
use super::fork::Fork;
use super::note::{Note, NoteError, NoteSignature, VerifyError};
use super::tree::TreeHash;
use super::vkey::{Algorithm, SigningKey, VerifierKey};
use crate::limits::{
    LOG_KEYS_MAX, LOG_PROOF_HASHES_MAX, LOG_WITNESS_REQUEST_BYTES_MAX, LOG_WITNESSED_MAX,
};

/// The content type of the answer to [`Refusal::Conflict`].
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// Why bytes are not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`LOG_WITNESS_REQUEST_BYTES_MAX`].
    #[error("a request has at most {LOG_WITNESS_REQUEST_BYTES_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// No empty line, no `old` line, or a size that is none.
    #[error(
        "a request begins with a line `old <size>` and has an empty line before the checkpoint"
    )]
    Form,
    /// A line of the proof is not base64 of 32 bytes.
    #[error("line {0} of the proof is not base64 of 32 bytes")]
    Proof(usize),
    /// More than 63 hashes.
    #[error("a proof has at most {LOG_PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// The checkpoint is not a note.
    #[error("note: {0}")]
    Note(#[from] NoteError),
}

/// A log's wish to have a checkpoint cosigned. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the log believes the witness to have.
    pub old_size: u64,
    /// The consistency proof from there.
    pub proof: Vec<TreeHash>,
    /// The checkpoint.
    pub note: Note,
}

impl AddCheckpoint {
    /// Reads untrusted bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > LOG_WITNESS_REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong(bytes.len()));
        }
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or(RequestError::Form)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| RequestError::Form)?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| parse_decimal(line.strip_prefix("old ")?))
            .ok_or(RequestError::Form)?;
        let mut proof = Vec::new();
        for (index, line) in lines.enumerate() {
            if index == LOG_PROOF_HASHES_MAX {
                return Err(RequestError::TooManyHashes);
            }
            proof.push(TreeHash::from_base64(line).ok_or(RequestError::Proof(index + 1))?);
        }
        Ok(Self { old_size, proof, note: Note::parse(&bytes[end + 2..])? })
    }

    /// The body to be sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let proof: String = self.proof.iter().map(|hash| format!("{hash}\n")).collect();
        format!("old {}\n{proof}\n{}", self.old_size, self.note).into_bytes()
    }
}

/// Why a request is not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text under the signatures is not a checkpoint.
    #[error("checkpoint: {0}")]
    Malformed(CheckpointError),
    /// The witness does not follow this log.
    #[error("{0:?} is not a log that this witness follows")]
    UnknownLog(String),
    /// No key of the log has signed, or a signature that claims one does not verify.
    #[error("signature: {0}")]
    Signature(VerifyError),
    /// The old size is above the new one.
    #[error("the old size {old_size} is above the checkpoint's, {size}")]
    Shrinks {
        /// The old size of the request.
        old_size: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The old size is not the one that the witness has; ask again from that.
    #[error("the latest checkpoint cosigned has {size} entries")]
    Conflict {
        /// The size of the latest checkpoint cosigned, zero if there is none.
        size: u64,
    },
    /// The root of an empty log is another.
    #[error("a log without entries has the root of the empty tree")]
    EmptyRoot,
    /// The log signed two roots for one size. The proof should be published.
    #[error("the log has signed two roots for one size")]
    Fork(Box<Fork>),
    /// The proof does not hold.
    #[error("consistency proof: {0}")]
    Proof(AuditError),
}

impl Refusal {
    /// The HTTP status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Shrinks { .. } => 400,
            Self::Signature(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::Conflict { .. } => 409,
            Self::EmptyRoot | Self::Fork(_) | Self::Proof(_) => 422,
        }
    }

    /// The body of that answer: what went wrong, or for [`Self::Conflict`] the size that a log
    /// needs in order to ask again, as [`SIZE_CONTENT_TYPE`].
    pub fn body(&self) -> String {
        match self {
            Self::Conflict { size } => format!("{size}\n"),
            other => format!("{other}\n"),
        }
    }
}

/// Why a witness cannot follow a log, or be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The witness's key is not of the type for cosignatures.
    #[error("a witness needs a key for cosignatures")]
    Key,
    /// No key for the log, or more than [`LOG_KEYS_MAX`].
    #[error("a log has one to {LOG_KEYS_MAX} keys, not {0}")]
    Keys(usize),
    /// [`LOG_WITNESSED_MAX`] logs are followed already.
    #[error("at most {LOG_WITNESSED_MAX} logs are followed")]
    TooManyLogs,
    /// The log is followed already, perhaps with a checkpoint.
    #[error("{0:?} is followed already")]
    Known(String),
    /// The state that was kept is not a checkpoint of the log.
    #[error("the checkpoint kept of {0:?} is not one of its: {1}")]
    Latest(String, OpenCheckpointError),
}

#[derive(Debug, Clone)]
struct Watched {
    keys: Vec<VerifierKey>,
    latest: Option<SignedCheckpoint>,
}

/// What a witness knows.
#[derive(Debug)]
pub struct Witness {
    key: SigningKey,
    logs: BTreeMap<String, Watched>,
}

impl Witness {
    /// A witness that follows no log yet.
    pub fn new(key: SigningKey) -> Result<Self, WatchError> {
        if key.public().algorithm() != Algorithm::Cosignature {
            return Err(WatchError::Key);
        }
        Ok(Self { key, logs: BTreeMap::new() })
    }

    /// Follows a log under these keys, from the state that was made durable last, if any.
    ///
    /// To start over from nothing where something was cosigned is to forget: never do it because a
    /// state could not be read.
    pub fn watch(
        &mut self,
        origin: &str,
        keys: Vec<VerifierKey>,
        latest: Option<&[u8]>,
    ) -> Result<(), WatchError> {
        if keys.is_empty() || keys.len() > LOG_KEYS_MAX {
            return Err(WatchError::Keys(keys.len()));
        }
        if self.logs.contains_key(origin) {
            return Err(WatchError::Known(origin.into()));
        }
        if self.logs.len() == LOG_WITNESSED_MAX {
            return Err(WatchError::TooManyLogs);
        }
        let latest = latest
            .map(|bytes| SignedCheckpoint::open(bytes, origin, &keys))
            .transpose()
            .map_err(|e| WatchError::Latest(origin.into(), e))?;
        self.logs.insert(origin.into(), Watched { keys, latest });
        Ok(())
    }

    /// Whether it follows a log.
    pub fn follows(&self, origin: &str) -> bool {
        self.logs.contains_key(origin)
    }

    /// The latest checkpoint cosigned of a log.
    pub fn latest(&self, origin: &str) -> Option<&SignedCheckpoint> {
        self.logs.get(origin)?.latest.as_ref()
    }

    /// Judges a request. The order of the checks is the specification's.
    pub fn add_checkpoint(&mut self, request: &AddCheckpoint) -> Result<Pending<'_>, Refusal> {
        let origin = request.note.text().lines().next().unwrap_or_default();
        let Some(log) = self.logs.get_mut(origin) else {
            return Err(Refusal::UnknownLog(origin.chars().take(80).collect()));
        };
        // Who has signed matters to no one later on but for the log itself.
        let checked = SignedCheckpoint::from_note(request.note.clone(), origin, &log.keys)
            .and_then(|_| {
                let note = request.note.only(&log.keys);
                SignedCheckpoint::from_note(note, origin, &log.keys)
            });
        let next = match checked {
            Ok(next) => next,
            Err(OpenCheckpointError::Signature(error)) => return Err(Refusal::Signature(error)),
            Err(OpenCheckpointError::Checkpoint(error)) => return Err(Refusal::Malformed(error)),
            Err(OpenCheckpointError::Origin { shown, .. }) => {
                return Err(Refusal::UnknownLog(shown));
            }
            Err(OpenCheckpointError::Note(_)) => {
                return Err(Refusal::Signature(VerifyError::Unsigned));
            }
        };
        check_growth(log.latest.as_ref(), &next, request)?;
        Ok(Pending { key: &self.key, latest: &mut log.latest, next })
    }
}

/// Whether `next` grows from the latest checkpoint as the request proves.
fn check_growth(
    latest: Option<&SignedCheckpoint>,
    next: &SignedCheckpoint,
    request: &AddCheckpoint,
) -> Result<(), Refusal> {
    let (size, root) = (next.checkpoint().size(), next.checkpoint().root());
    let old_size = request.old_size;
    if old_size > size {
        return Err(Refusal::Shrinks { old_size, size });
    }
    let known_size = latest.map_or(0, |latest| latest.checkpoint().size());
    if old_size != known_size {
        return Err(Refusal::Conflict { size: known_size });
    }
    if size == 0 && root != TreeHash::EMPTY {
        return Err(Refusal::EmptyRoot);
    }
    if let Some(fork) = latest.and_then(|latest| Fork::between(latest, next)) {
        return Err(Refusal::Fork(Box::new(fork)));
    }
    match latest {
        Some(latest) if old_size > 0 => {
            let old_root = latest.checkpoint().root();
            verify_consistency(old_size, &old_root, size, &root, &request.proof)
                .map_err(Refusal::Proof)
        }
        // Nothing to be consistent with, and nothing to prove.
        _ if request.proof.is_empty() => Ok(()),
        _ => Err(Refusal::Proof(AuditError::Length(request.proof.len()))),
    }
}

/// A checkpoint that passed every check and is not recorded yet.
#[derive(Debug)]
#[must_use = "record the state, then call `persisted` to cosign"]
pub struct Pending<'w> {
    key: &'w SigningKey,
    latest: &'w mut Option<SignedCheckpoint>,
    next: SignedCheckpoint,
}

impl Pending<'_> {
    /// What is to be made durable for the checkpoint's origin, in place of what was before; its
    /// note's bytes are what [`Witness::watch`] takes. It has the log's signatures alone.
    pub fn state(&self) -> &SignedCheckpoint {
        &self.next
    }

    /// Records the checkpoint in memory and cosigns it: the caller says that [`Self::state`] is
    /// durable, and that it is `time_s` seconds since 1970.
    pub fn persisted(self, time_s: u64) -> Result<NoteSignature, CosignError> {
        let cosignature = cosignature::sign(self.next.checkpoint(), self.key, time_s);
        *self.latest = Some(self.next);
        cosignature
    }
}

#[cfg(test)]
#[path = "tests/witness.rs"]
mod tests;
