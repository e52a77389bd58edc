//! A trainer's signed commit: which update it made of which base, from which data.
//!
//! Invariants: the commit binds every hash that the update depends on, the consent decision
//! included; one trainer commits once a round. What it is not: the update itself.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::envelope::{Message, Signed};
use crate::id::{CommitId, FileHash, RoundId, RunId};
use crate::key::PublicKey;
use crate::limits::COMMIT_BYTES_MAX;

/// "From this base and this data I made this update."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateCommit {
    /// The run.
    pub run: RunId,
    /// The round, from 1.
    pub round: u64,
    /// The record of the round before, or the run itself.
    pub base: RoundId,
    /// The hash of the update's bytes.
    pub update: FileHash,
    /// Their length.
    pub update_bytes: u64,
    /// Its Euclidean norm in units of 2^-32, rounded down: known to all before anybody has all of the bytes.
    pub norm: u64,
    /// What it was trained on.
    pub data: DataCommit,
    /// The envelope of an invitation, where its trainer needs one and none of its updates counted yet.
    pub invitation: Option<ByteBuf>,
    /// The hash of a [`Trace`](super::Trace), where its trainer shows its work.
    pub trace: Option<FileHash>,
}

/// What an update was trained on and what consent it was decided by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCommit {
    /// Merkle root of the sorted content ids used.
    pub used_root: FileHash,
    /// How many samples were used.
    pub used: u64,
    /// Merkle root of the sorted pairs of content id and the record that excluded it.
    pub excluded_root: FileHash,
    /// How many samples were excluded.
    pub excluded: u64,
    /// The hash of the ledger frontier that the gate decided on.
    pub frontier: FileHash,
    /// The hash of the policy it decided by.
    pub policy: FileHash,
}

impl Message for UpdateCommit {
    const DOMAIN: &'static str = "accord/update/v1";
    const BYTES_MAX: usize = COMMIT_BYTES_MAX;

    fn check(&self, _trainer: &PublicKey) -> Result<(), String> {
        if self.round == 0 || self.data.used == 0 {
            return Err("a commit is of round 1 or later and of at least one sample".into());
        }
        Ok(())
    }
}

/// The id of a commit.
pub fn commit_id(commit: &Signed<UpdateCommit>) -> CommitId {
    CommitId::from_bytes(*commit.id().as_bytes())
}
