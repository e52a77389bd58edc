//! Proofs that a person can keep: one file each, checked offline, with no word of this program's.
//!
//! ```text
//! {version: "accord/proof/v1", claim, body, sum}    in the codec's form
//! sum = SHA-256(0x00 || claim || "\n" || body)
//! ```
//!
//! Claims: `record` (a log that witnesses follow has this record), `absent` (up to a checkpoint
//! nobody spoke of this subject), `member` (a work is in the collection that a record names), `round`
//! (what a training round was bound to, used and left out).
//! `docs/proofs.md` has every rule, and `docs/verify.py` follows it without this code.
//!
//! Invariants: pure; a file that verifies has exactly one form, so that no bit of it is free. The
//! sum catches damage and nothing else: whoever forges a file can make its sum.
//! What it is not: proof that a model saw nothing else. Nothing can show that.

mod absence;
mod member;
mod record;
mod round;
mod unused;

use protocol::codec::{self, DecodeError};
use protocol::limits::PROOF_FILE_BYTES_MAX;
use protocol::log::TreeHash;
use protocol::log::policy::TrustPolicy;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

pub use absence::{AbsenceError, AbsenceProof, AbsenceShown};
pub use member::{MemberError, MemberProof, MemberShown};
pub use record::{RecordProof, RecordProofError, RecordShown};
pub use round::{
    BoundProof, BoundShown, DataProof, DataShown, RoundProof, RoundProofError, RoundShown,
};
pub use unused::{ExcludedProof, Neighbour, Unused};

/// What the file begins with.
const VERSION: &str = "accord/proof/v1";

/// A proof, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A log has this record.
    Record(RecordProof),
    /// Up to a checkpoint nobody spoke of this subject.
    Absent(AbsenceProof),
    /// A work is in the collection that a record names.
    Member(MemberProof),
    /// What a round was bound to.
    Round(Box<RoundProof>),
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A log has this record.
    Record(Box<RecordShown>),
    /// Up to a checkpoint nobody spoke of this subject.
    Absent(Box<AbsenceShown>),
    /// A work is in the collection that a record names.
    Member(Box<MemberShown>),
    /// What a round was bound to.
    Round(Box<RoundShown>),
}

/// Why bytes are not a proof file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// Too long, malformed, or not in the one form.
    #[error("not a proof file: {0}")]
    Decode(#[from] DecodeError),
    /// Of another version.
    #[error("a proof of version {0:?}; this program knows {VERSION}")]
    Version(String),
    /// Of a kind that is not known.
    #[error("a proof of {0:?}, which this program does not know")]
    Claim(String),
    /// Damaged.
    #[error("the file's sum is another: it is damaged")]
    Sum,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A proof against a log, and nobody said which logs and witnesses to believe.
    #[error("a proof against a log needs a policy that says which logs and witnesses you believe")]
    NoPolicy,
    /// A record in a log.
    #[error(transparent)]
    Record(#[from] RecordProofError),
    /// A subject that nobody spoke of.
    #[error(transparent)]
    Absent(#[from] AbsenceError),
    /// A work in a collection.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A round.
    #[error(transparent)]
    Round(#[from] RoundProofError),
}

#[derive(Serialize, Deserialize)]
struct File {
    version: String,
    claim: String,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    #[serde(with = "serde_bytes")]
    sum: Vec<u8>,
}

impl Proof {
    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let file: File = codec::decode(bytes, PROOF_FILE_BYTES_MAX)?;
        if file.version != VERSION {
            return Err(ProofFileError::Version(file.version.chars().take(80).collect()));
        }
        if file.sum != sum(&file.claim, &file.body) {
            return Err(ProofFileError::Sum);
        }
        let body = &file.body;
        match file.claim.as_str() {
            "record" => Ok(Self::Record(codec::decode(body, PROOF_FILE_BYTES_MAX)?)),
            "absent" => Ok(Self::Absent(codec::decode(body, PROOF_FILE_BYTES_MAX)?)),
            "member" => Ok(Self::Member(codec::decode(body, PROOF_FILE_BYTES_MAX)?)),
            "round" => Ok(Self::Round(Box::new(codec::decode(body, PROOF_FILE_BYTES_MAX)?))),
            other => Err(ProofFileError::Claim(other.chars().take(80).collect())),
        }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (claim, body) = match self {
            Self::Record(proof) => ("record", codec::encode(proof)),
            Self::Absent(proof) => ("absent", codec::encode(proof)),
            Self::Member(proof) => ("member", codec::encode(proof)),
            Self::Round(proof) => ("round", codec::encode(proof)),
        };
        let sum = sum(claim, &body);
        codec::encode(&File { version: VERSION.into(), claim: claim.into(), body, sum })
    }

    /// Checks everything that the proof says. `policy` is for proofs against a log.
    pub fn verify(&self, policy: Option<&TrustPolicy>) -> Result<Shown, ProofError> {
        let policy = || policy.ok_or(ProofError::NoPolicy);
        Ok(match self {
            Self::Record(proof) => Shown::Record(Box::new(proof.verify(policy()?)?)),
            Self::Absent(proof) => Shown::Absent(Box::new(proof.verify(policy()?)?)),
            Self::Member(proof) => Shown::Member(Box::new(proof.verify()?)),
            Self::Round(proof) => Shown::Round(Box::new(proof.verify()?)),
        })
    }
}

fn sum(claim: &str, body: &[u8]) -> Vec<u8> {
    TreeHash::of_entry(&[claim.as_bytes(), b"\n", body].concat()).as_bytes().to_vec()
}

fn buf(bytes: &[u8]) -> ByteBuf {
    ByteBuf::from(bytes.to_vec())
}
