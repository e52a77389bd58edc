//! What happens to a round.
//!
//! Invariants: messages were verified before they come in; the answer to an effect names what it
//! answers, so late and repeated answers do no harm. What it is not: bytes.

use super::change::What;
use super::commit::DataCommit;
use super::message::RunMessage;
use super::record::{Certificate, RejectReason, RoundRecord};
use super::report::{Holdout, Retraining};
use super::slate::Sliced;
use crate::id::{CommitId, FileHash, RoundId};

/// One thing that happens to a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// This node takes part as a trainer from now on, or no longer.
    Participate {
        /// Whether it does.
        joined: bool,
        /// The time of day in milliseconds since 1970, for other nodes to tell old words from new.
        said_ms: u64,
    },
    /// This steward moves that something changes.
    Move(What),
    /// A verified message of this run.
    Message(Box<RunMessage>),
    /// `Effect::Train` has made an update, or could not.
    Trained {
        /// The round it was for.
        round: u64,
        /// The update, or nothing if training failed or nothing was admitted.
        update: Option<Trained>,
    },
    /// `Effect::Check` has looked at a commit.
    Checked {
        /// The commit.
        commit: CommitId,
        /// The tip that it was judged on: a late commit is judged again in the next round.
        base: RoundId,
        /// What it found.
        verdict: Verdict,
    },
    /// `Effect::Build` has aggregated a record, or could not.
    Built {
        /// The round it was for.
        round: u64,
        /// The record.
        record: Option<Box<RoundRecord>>,
        /// Commits that do not count after all, as the slices have shown, or whose bytes nobody gave: then there
        /// is no record.
        unfit: Vec<(CommitId, Option<RejectReason>)>,
    },
    /// `Effect::Verify` has recomputed a proposed record.
    Verified {
        /// The record.
        record: RoundId,
        /// Whether it held, or nothing if bytes were missing.
        holds: Option<bool>,
    },
    /// This node has worked out slices: for `Effect::Slices`, or because what others say is false.
    Sliced {
        /// The tip that they start from.
        base: RoundId,
        /// The hash of the slate's list.
        slate: FileHash,
        /// What they come to, in order; what that names is stored and served.
        slices: Vec<Sliced>,
    },
    /// `Effect::Audit` has looked at an update.
    Audited(Audited),
    /// Certificates that a peer sent on request, verified.
    CaughtUp(Vec<Certificate>),
    /// Time has passed.
    Tick,
}

/// An update that this node made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trained {
    /// The hash of its bytes, which are stored and served.
    pub update: FileHash,
    /// Their length.
    pub update_bytes: u64,
    /// Its norm in units of 2^-32, rounded down.
    pub norm: u64,
    /// What it was made from.
    pub data: DataCommit,
    /// The hash of the trace of how, stored and served, if this node shows its work.
    pub trace: Option<FileHash>,
}

/// What this node found out about another's update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// The round whose update it is.
    pub round: u64,
    /// Its certified record.
    pub record: RoundId,
    /// The commit of the update.
    pub commit: CommitId,
    /// What it does to the loss on samples of this node's.
    pub holdout: Option<Holdout>,
    /// What training a part of it again gave.
    pub retraining: Option<Retraining>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Good,
    /// It does not count, and every steward will say so.
    Bad(RejectReason),
    /// Its bytes could not be had.
    Unavailable,
}
