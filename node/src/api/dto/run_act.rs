//! What the local API takes and gives of a run beside following it: its log, who has which part, and how
//! that changes.
//!
//! Invariants: those of the whole API's data, see the module above. What it is not: a run's messages.

use protocol::{CommitId, FileHash, PublicKey, RoundId, RunId};
use serde::{Deserialize, Serialize};

use super::{EvalView, RejectView};

/// Something about a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunActRequest {
    /// The run, as a person typed it.
    pub run: String,
    /// What.
    pub act: RunAct,
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunAct {
    /// Follow it from now on, also after a restart.
    Follow,
    /// Write an invitation.
    Invite {
        /// For whom.
        trainer: PublicKey,
    },
    /// Move a change, as a steward.
    Motion {
        /// What.
        change: ChangeName,
        /// Of whom.
        node: PublicKey,
    },
    /// Who has which part, and how each trainer stands.
    Members,
    /// Certified rounds from this one on.
    Log {
        /// The first.
        from: u64,
    },
    /// Write the whole log into a directory.
    Export {
        /// Which, absolute.
        out: String,
        /// With the bytes of every update.
        updates: bool,
    },
}

/// What can change of who has which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeName {
    /// A node becomes a steward.
    Appoint,
    /// A steward is one no longer.
    Dismiss,
    /// A trainer is removed.
    Remove,
    /// A removed trainer may train again.
    Readmit,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunActReply {
    /// It is followed.
    Followed {
        /// The run.
        run: RunId,
        /// Its name.
        name: String,
    },
    /// The invitation.
    Invitation {
        /// The run.
        run: RunId,
        /// For whom.
        trainer: PublicKey,
        /// Its text.
        invitation: String,
    },
    /// The motion as it stands.
    Motion(MotionView),
    /// Who has which part.
    Members(MembersView),
    /// Certified rounds.
    Log(Vec<LogView>),
    /// What was written.
    Exported {
        /// Where.
        out: String,
        /// Rounds.
        rounds: u64,
        /// Files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// A motion that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MotionView {
    /// What it is to change.
    pub change: ChangeName,
    /// Of whom.
    pub node: PublicKey,
    /// The stewards that moved it.
    pub moved_by: Vec<PublicKey>,
    /// How many of them it takes.
    pub needed: usize,
}

/// Two certified records of one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkView {
    /// The newest round in which the branches are known to differ.
    pub round: u64,
    /// Its record here.
    pub ours: RoundId,
    /// Its record elsewhere.
    pub theirs: RoundId,
    /// Stewards that signed both.
    pub signed_both: Vec<PublicKey>,
}

/// Who has which part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MembersView {
    /// The run.
    pub run: RunId,
    /// The round after which it is so.
    pub round: u64,
    /// The nodes whose votes count.
    pub stewards: Vec<PublicKey>,
    /// Updates that must have counted until a trainer has its full weight.
    pub probation_rounds: u32,
    /// Every trainer whose update ever counted, or who was removed.
    pub members: Vec<MemberView>,
    /// Motions that wait.
    pub motions: Vec<MotionView>,
}

/// A trainer's standing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberView {
    /// The trainer.
    pub trainer: PublicKey,
    /// Who vouched for it.
    pub voucher: Option<PublicKey>,
    /// The first round in which it counted.
    pub since: u64,
    /// The newest round that names it.
    pub last: u64,
    /// Updates that counted.
    pub accepted: u64,
    /// Of them those that came a round late.
    pub late: u64,
    /// Updates that did not count, by reason.
    pub rejected: std::collections::BTreeMap<String, u64>,
    /// It was removed.
    pub removed: bool,
    /// What others found of its work.
    pub audits: AuditsView,
}

/// What audits of a trainer's work found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditsView {
    /// Updates evaluated on samples of an auditor's.
    pub evaluated: u64,
    /// Of these, how many lowered the loss there, or raised it no more than another update did.
    pub passed: u64,
    /// Updates of which a part was trained again, or should have been.
    pub retrained: u64,
    /// Of these, how many came to the same.
    pub matched: u64,
    /// Rounds in which an update of it was like another's.
    pub alike: u64,
}

/// A certified round in full.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogView {
    /// Its number.
    pub round: u64,
    /// Its record.
    pub id: RoundId,
    /// The record before it, or the run.
    pub prev: RoundId,
    /// The attempt in which the stewards agreed.
    pub attempt: u32,
    /// The stewards that signed.
    pub signed_by: Vec<PublicKey>,
    /// Every hash that it names beside updates.
    pub hashes: LogHashes,
    /// The updates that counted.
    pub accepted: Vec<LogUpdate>,
    /// Those that did not.
    pub rejected: Vec<RejectView>,
    /// What was found out about trainers' work.
    pub found: LogFound,
    /// What changed of who has which part.
    pub changes: Vec<LogChange>,
    /// How this node's evaluation of its model went.
    pub evaluation: Option<EvalView>,
    /// When this node learned that it was certified.
    pub certified_ms: u64,
}

/// The hashes of a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogHashes {
    /// The model before.
    pub model_in: FileHash,
    /// The model after.
    pub model_out: FileHash,
    /// The outer optimizer's state after.
    pub outer_out: FileHash,
    /// The step from one model to the other.
    pub step: Option<FileHash>,
    /// The consent ledger's frontier that the next round is bound by.
    pub frontier: FileHash,
    /// Who has which part after.
    pub roster: FileHash,
}

/// An update that counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogUpdate {
    /// The trainer.
    pub trainer: PublicKey,
    /// Its commit.
    pub commit: CommitId,
    /// The update's bytes.
    pub update: FileHash,
    /// What it counted for: nothing on trial.
    pub weight: u64,
    /// It came a round late.
    pub late: bool,
    /// Who vouched for the trainer, if it came in so.
    pub voucher: Option<PublicKey>,
    /// Samples used, as the trainer committed; nothing if this node lacks the commit.
    pub used: Option<u64>,
    /// Samples left out.
    pub excluded: Option<u64>,
    /// The update's length in bytes.
    pub update_bytes: Option<u64>,
}

/// What was found out about trainers' work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogFound {
    /// Updates that are alike: one of each two may be a copy.
    pub alike: Vec<LogAlike>,
    /// What audits found since the round before.
    pub reports: Vec<LogReport>,
}

/// Two updates of a round that point nearly the same way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogAlike {
    /// Whose they are.
    pub trainers: [PublicKey; 2],
    /// Their cosine in thousandths.
    pub cosine_milli: u32,
}

/// What an auditor found of another's update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogReport {
    /// The round whose update it is.
    pub round: u64,
    /// Who looked.
    pub auditor: PublicKey,
    /// Whose update it is.
    pub trainer: PublicKey,
    /// The hash of the report's envelope.
    pub report: FileHash,
    /// Whether the update lowered the loss on the auditor's samples, or raised it no more than another.
    pub passed: Option<bool>,
    /// Whether training a part of it again came to the same.
    pub matched: Option<bool>,
    /// What it says in numbers; nothing if this node lacks it.
    pub said: Option<LogFindings>,
}

/// An auditor's numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogFindings {
    /// Samples of the auditor's own.
    pub samples: Option<u64>,
    /// The mean loss on them before the update, in millionths of a nat.
    pub before_micro: Option<u64>,
    /// And with it, at its share of the round.
    pub after_micro: Option<u64>,
    /// And with another of the round's in its place.
    pub control_micro: Option<u64>,
    /// Segments of the training.
    pub segments: Option<u32>,
    /// The one that was trained again, from 0.
    pub segment: Option<u32>,
    /// What that gave: how far off it ended in millionths of the way, or why that cannot be said.
    pub retraining: Option<String>,
}

/// A change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogChange {
    /// What.
    pub change: ChangeName,
    /// Of whom.
    pub node: PublicKey,
    /// `motion`, or `equivocation`.
    pub cause: String,
    /// The hash of the proof.
    pub proof: FileHash,
}
