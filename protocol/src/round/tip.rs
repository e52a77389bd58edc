//! Where a run is: the newest certified round, by hash.
//!
//! Invariants: a function of the run's spec or of one record. What it is not: the bytes it names.

use super::record::RoundRecord;
use crate::id::{FileHash, RoundId, RunId};
use crate::run::{RunSpec, genesis};

/// The newest certified round of a run, or its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The round; 0 before the first.
    pub round: u64,
    /// Its record's id, or the run's own.
    pub id: RoundId,
    /// The model root.
    pub model: FileHash,
    /// The outer optimizer's root.
    pub outer: FileHash,
    /// The frontier that the next round's trainers must have reached.
    pub frontier: FileHash,
    /// The model before it and the step from there, if the run writes steps.
    pub step: Option<(FileHash, FileHash)>,
}

impl Tip {
    /// The start of a run.
    pub fn start(run: RunId, spec: &RunSpec) -> Self {
        Self {
            round: 0,
            id: genesis(run),
            model: spec.model.weights,
            outer: FileHash::of(b""),
            frontier: spec.consent.frontier,
            step: None,
        }
    }

    /// The tip that a certified record makes.
    pub fn of(record: &RoundRecord) -> Self {
        Self {
            round: record.round,
            id: record.id(),
            model: record.model_out,
            outer: record.outer_out,
            frontier: record.frontier,
            step: record.step.map(|step| (record.model_in, step)),
        }
    }

    /// Whether `record` is of the round after this one and starts from it.
    pub fn is_base_of(&self, record: &RoundRecord) -> bool {
        record.round == self.round + 1 && record.prev == self.id && record.model_in == self.model
    }
}
