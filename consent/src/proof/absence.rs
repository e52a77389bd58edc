//! "Nobody has spoken of this work": absence from the map that a log's checkpoint states.
//!
//! Invariants: the map's root stands in the text that log and witnesses signed. What it is not: proof
//! that the log computed its map rightly; whoever has the log's entries can compute it again, and a
//! log that states another has signed the evidence.

use protocol::codec::{self, DecodeError};
use protocol::limits::RECORD_BYTES_MAX;
use protocol::log::map::{MapProof, MapProofError, stated_root};
use protocol::log::policy::{TrustError, TrustPolicy, Trusted};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::buf;
use crate::subject::Subject;
use crate::subject_map::subject_key;

/// A subject and the proof that it is not in a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceProof {
    /// In the codec's form, as a statement has it.
    subject: ByteBuf,
    proof: ByteBuf,
    checkpoint: ByteBuf,
}

/// What it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsenceShown {
    /// The subject that no statement names.
    pub subject: Subject,
    /// The checkpoint, and who cosigned it when.
    pub trusted: Trusted,
}

/// Why it shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbsenceError {
    /// Not a subject.
    #[error("the subject: {0}")]
    Subject(DecodeError),
    /// Nobody vouches for the checkpoint.
    #[error("the checkpoint: {0}")]
    Trust(#[from] TrustError),
    /// The log states no map.
    #[error("the checkpoint states no map's root")]
    NoMap,
    /// The proof does not hold.
    #[error("the map's proof: {0}")]
    Map(#[from] MapProofError),
    /// The map has the subject.
    #[error("the map has an entry for this subject: somebody has spoken of it")]
    Present,
}

impl AbsenceProof {
    /// The proof of these parts; `checkpoint` is a signed note.
    pub fn new(subject: &Subject, proof: &MapProof, checkpoint: &[u8]) -> Self {
        let subject = buf(&codec::encode(subject));
        Self { subject, proof: buf(&proof.to_bytes()), checkpoint: buf(checkpoint) }
    }

    pub(super) fn verify(&self, policy: &TrustPolicy) -> Result<AbsenceShown, AbsenceError> {
        let subject: Subject =
            codec::decode(&self.subject, RECORD_BYTES_MAX).map_err(AbsenceError::Subject)?;
        let trusted = policy.check(&self.checkpoint)?;
        let root = stated_root(trusted.checkpoint.checkpoint()).ok_or(AbsenceError::NoMap)?;
        match MapProof::parse(&self.proof)?.verify(&subject_key(&subject), &root)? {
            None => Ok(AbsenceShown { subject, trusted }),
            Some(_) => Err(AbsenceError::Present),
        }
    }
}
