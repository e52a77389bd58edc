//! What the local API takes and gives of runs.
//!
//! Invariants: those of the whole API's data, see the module above. What it is not: a run's messages.

use protocol::{CommitId, FileHash, PublicKey, RoundId, RunId};
use serde::{Deserialize, Serialize};

/// `accord run create`: the spec file's text, and where it is so that paths in it can be found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The text of the TOML file.
    pub spec: String,
    /// The directory that relative paths in it start from.
    pub dir: String,
}

/// `accord run join`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The table to train on.
    pub data: String,
    /// Let auditors see the rows and the course of a round's training, when one is drawn to look.
    #[serde(default)]
    pub shows: bool,
    /// The text of an invitation, if one is needed and was not given before.
    pub invitation: Option<String>,
}

/// `accord run status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// Its name.
    pub name: String,
    /// The identity that created it.
    pub creator: PublicKey,
    /// The nodes whose votes count.
    pub stewards: Vec<PublicKey>,
    /// How many rounds it has.
    pub rounds_count: u64,
    /// How many are certified.
    pub round: u64,
    /// The round is the last.
    pub finished: bool,
    /// This node's part: `steward`, `trainer`, both or none.
    pub parts: Vec<String>,
    /// Trainers that this node has heard of.
    pub trainers: Vec<PublicKey>,
    /// Rounds that were certified twice.
    pub forks: Vec<super::ForkView>,
    /// Motions of stewards that wait.
    pub motions: Vec<super::MotionView>,
    /// The first round whose model is being evaluated here: it and those after it have no evaluation
    /// yet, and will have one unless it fails.
    pub evaluating: Option<u64>,
    /// What this node is doing for it, in words.
    pub doing: String,
    /// The model root now.
    pub model: FileHash,
    /// The published revision of the newest model, once there is one.
    pub published: Option<String>,
    /// The rounds so far, oldest first.
    pub history: Vec<RoundView>,
}

/// A certified round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoundView {
    /// Its number.
    pub round: u64,
    /// Its record.
    pub id: RoundId,
    /// The model root that resulted.
    pub model: FileHash,
    /// The updates that counted.
    pub accepted: Vec<UpdateView>,
    /// The updates that did not.
    pub rejected: Vec<RejectView>,
    /// Changes of who has which part.
    pub changes: Vec<super::LogChange>,
    /// Stewards who signed.
    pub signatures: usize,
    /// How this node's evaluation on the held-out table went, if there is one.
    pub evaluation: Option<EvalView>,
    /// What this node left out of its own training, if it trained.
    pub own: Option<OwnView>,
    /// When this node learned that it was certified.
    pub certified_ms: u64,
}

/// An accepted update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdateView {
    /// The trainer.
    pub trainer: PublicKey,
    /// Its commit.
    pub commit: CommitId,
    /// What it counted for: nothing on trial.
    pub weight: u64,
    /// It came a round late, and counted discounted.
    pub late: bool,
    /// Samples used, as the trainer committed; nothing if this node lacks the commit.
    pub used: Option<u64>,
    /// Samples left out, as the trainer committed.
    pub excluded: Option<u64>,
    /// The update's length in bytes.
    pub update_bytes: Option<u64>,
}

/// A rejected update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RejectView {
    /// The trainer.
    pub trainer: PublicKey,
    /// Why.
    pub reason: String,
}

/// What this node trained on in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnView {
    /// Samples used.
    pub used: u64,
    /// Samples left out.
    pub excluded: u64,
    /// How many each record left out; the key `silence` counts those that nobody spoke for.
    pub excluded_by: std::collections::BTreeMap<String, u64>,
    /// The mean training loss in millionths.
    pub loss_micro: u64,
    /// Bytes of the update sent.
    pub update_bytes: u64,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalView {
    /// Samples evaluated on.
    pub samples: u64,
    /// How many were right.
    pub correct: u64,
    /// The mean loss in millionths.
    pub loss_micro: u64,
}

impl EvalView {
    /// The share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }
}

/// `accord audit`: from the first round, or from after one that is trusted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AuditRequest {
    /// Its number.
    pub trusted_round: Option<u64>,
    /// Its id.
    pub trusted_id: Option<RoundId>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditReply {
    /// The run.
    pub run: RunId,
    /// The first round verified.
    pub first: u64,
    /// Rounds verified.
    pub rounds: u64,
    /// Certificates' signatures verified.
    pub signatures: u64,
    /// Updates aggregated again.
    pub updates: u64,
    /// The model root that recomputing gives.
    pub model: FileHash,
    /// The id of the last round verified: whoever trusts it can audit from there on.
    pub id: RoundId,
    /// How long it took.
    pub elapsed_ms: u64,
}
