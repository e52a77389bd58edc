//! Proof files: one text that shows offline that an entry is in a log which witnesses have seen
//! (C2SP tlog-proof, `.tlog-proof`).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra base64(data)      optional; authenticated by nothing
//! index <index>
//! base64(hash)            the inclusion proof, at most 63 lines
//! <empty line>
//! <checkpoint, a signed note>
//! ```
//!
//! Invariants: a proof that parses prints as exactly the bytes it was parsed from; it is worth
//! something only after [`LogProof::verify`] with the entry at hand. What it is not: proof that
//! there is no other entry; that is what [`super::map`] is for.

use std::fmt;

use super::audit::{AuditError, verify_inclusion};
use super::base64;
use super::checkpoint::parse_decimal;
use super::note::{Note, NoteError};
use super::policy::{TrustError, TrustPolicy, Trusted};
use super::tree::TreeHash;
use crate::limits::{LOG_PROOF_BYTES_MAX, LOG_PROOF_EXTRA_BYTES_MAX, LOG_PROOF_HASHES_MAX};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why bytes are not a proof file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`LOG_PROOF_BYTES_MAX`].
    #[error("a proof has at most {LOG_PROOF_BYTES_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// Not a proof file at all, or of another version.
    #[error("a proof begins with the line {HEADER}")]
    Header,
    /// No index, or one that is no decimal number.
    #[error("there is no line `index <number>` where it belongs")]
    Index,
    /// The extra data is empty, too long or not base64.
    #[error("the extra data is not base64 of 1 to {LOG_PROOF_EXTRA_BYTES_MAX} bytes")]
    Extra,
    /// A hash is not base64 of 32 bytes.
    #[error("hash {0} of the proof is not base64 of 32 bytes")]
    Hash(usize),
    /// More than 63 hashes.
    #[error("a proof has at most {LOG_PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// No empty line before the checkpoint.
    #[error("there is no empty line before the checkpoint")]
    Form,
    /// The checkpoint is not a note.
    #[error("note: {0}")]
    Note(#[from] NoteError),
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyProofError {
    /// The checkpoint is not one to trust.
    #[error("checkpoint: {0}")]
    Trust(#[from] TrustError),
    /// The entry is not at that index of the checkpoint's tree.
    #[error("inclusion: {0}")]
    Inclusion(#[from] AuditError),
}

/// An entry's place in a log, with the checkpoint to check it against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    index: u64,
    hashes: Vec<TreeHash>,
    note: Note,
    extra: Vec<u8>,
}

impl LogProof {
    /// The proof of these parts; `extra` is not authenticated, and empty for none.
    pub fn new(
        index: u64,
        hashes: Vec<TreeHash>,
        note: Note,
        extra: Vec<u8>,
    ) -> Result<Self, ProofError> {
        if hashes.len() > LOG_PROOF_HASHES_MAX {
            return Err(ProofError::TooManyHashes);
        }
        if extra.len() > LOG_PROOF_EXTRA_BYTES_MAX {
            return Err(ProofError::Extra);
        }
        parse_decimal(&index.to_string()).ok_or(ProofError::Index)?;
        Ok(Self { index, hashes, note, extra })
    }

    /// Reads untrusted bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > LOG_PROOF_BYTES_MAX {
            return Err(ProofError::TooLong(bytes.len()));
        }
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or(ProofError::Form)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| ProofError::Header)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(ProofError::Header);
        }
        let mut line = lines.next().ok_or(ProofError::Index)?;
        let mut extra = Vec::new();
        if let Some(text) = line.strip_prefix("extra ") {
            extra = base64::decode(text).filter(|e| !e.is_empty()).ok_or(ProofError::Extra)?;
            line = lines.next().ok_or(ProofError::Index)?;
        }
        let index = line.strip_prefix("index ").and_then(parse_decimal).ok_or(ProofError::Index)?;
        let mut hashes = Vec::new();
        for (at, line) in lines.enumerate() {
            if at == LOG_PROOF_HASHES_MAX {
                return Err(ProofError::TooManyHashes);
            }
            hashes.push(TreeHash::from_base64(line).ok_or(ProofError::Hash(at + 1))?);
        }
        Self::new(index, hashes, Note::parse(&bytes[end + 2..])?, extra)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// The entry's index in the log.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Data that came along, which nothing vouches for: say, the entry itself.
    pub fn extra(&self) -> &[u8] {
        &self.extra
    }

    /// Checks that the log has `entry`, under a checkpoint that satisfies `policy`.
    pub fn verify(&self, entry: &[u8], policy: &TrustPolicy) -> Result<Trusted, VerifyProofError> {
        let trusted = policy.check(&self.note.to_bytes())?;
        let checkpoint = trusted.checkpoint.checkpoint();
        let (hash, root) = (TreeHash::of_entry(entry), checkpoint.root());
        verify_inclusion(&hash, self.index, checkpoint.size(), &self.hashes, &root)?;
        Ok(trusted)
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", base64::encode(&self.extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

#[cfg(test)]
#[path = "tests/proof.rs"]
mod tests;
