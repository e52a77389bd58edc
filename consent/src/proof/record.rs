//! "My record is in the log": the record with its place under a checkpoint that witnesses cosigned.
//!
//! Invariants: the entry that is proved is the record's exact envelope. What it is not: proof of
//! when the record was made; the cosignatures' times say since when it has been shown to everyone.

use protocol::log::policy::{TrustPolicy, Trusted};
use protocol::log::proof::{LogProof, ProofError, VerifyProofError};
use protocol::{OpenError, Signed};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::buf;
use crate::record::Record;

/// A record and its place in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordProof {
    record: ByteBuf,
    /// A C2SP tlog-proof.
    log: ByteBuf,
}

/// What it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordShown {
    /// The record.
    pub record: Signed<Record>,
    /// The checkpoint, and who cosigned it when.
    pub trusted: Trusted,
    /// The record's place in the log.
    pub index: u64,
}

/// Why it shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProofError {
    /// Not a record.
    #[error("the record: {0}")]
    Record(#[from] OpenError),
    /// Not a proof.
    #[error("the log's proof: {0}")]
    Form(#[from] ProofError),
    /// The log does not have it, or nobody vouches for the log.
    #[error("the log's proof: {0}")]
    Log(#[from] VerifyProofError),
}

impl RecordProof {
    /// The proof of these parts.
    pub fn new(record: &[u8], log: &LogProof) -> Self {
        Self { record: buf(record), log: buf(&log.to_bytes()) }
    }

    pub(super) fn verify(&self, policy: &TrustPolicy) -> Result<RecordShown, RecordProofError> {
        let record = Signed::<Record>::open(&self.record)?;
        let log = LogProof::parse(&self.log)?;
        let trusted = log.verify(&self.record, policy)?;
        Ok(RecordShown { record, trusted, index: log.index() })
    }
}
