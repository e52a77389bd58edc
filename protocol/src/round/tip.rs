//! Where a run is: the newest certified round, by hash.
//!
//! Invariants: a function of the run's spec and of the certified records since. What it is not: the bytes it names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commit::UpdateCommit;
use super::record::RoundRecord;
use super::roster::{Roster, RosterError, shared};
use crate::envelope::Signed;
use crate::id::{FileHash, RoundId, RunId};
use crate::run::{RunSpec, genesis};

/// The newest certified round of a run, or its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The round; 0 before the first.
    pub round: u64,
    /// Its record's id, or the run's own.
    pub id: RoundId,
    /// The id of the one before; the same at the start.
    pub prev: RoundId,
    /// The model root.
    pub model: FileHash,
    /// The outer optimizer's root.
    pub outer: FileHash,
    /// The frontier that the next round's trainers must have reached.
    pub frontier: FileHash,
    /// The model before it and the step from there, if the run writes steps.
    pub step: Option<(FileHash, FileHash)>,
    /// Who has which part.
    #[serde(with = "shared")]
    pub roster: Arc<Roster>,
}

impl Tip {
    /// The start of a run.
    pub fn start(run: RunId, spec: &RunSpec) -> Self {
        Self {
            round: 0,
            id: genesis(run),
            prev: genesis(run),
            model: spec.model.weights,
            outer: FileHash::of(b""),
            frontier: spec.consent.frontier,
            step: None,
            roster: Arc::new(Roster::start(spec)),
        }
    }

    /// The tip that a certified record of the round after this one makes.
    pub fn after(&self, record: &RoundRecord) -> Result<Self, RosterError> {
        let roster = self.roster.after(record)?;
        if roster.id() != record.parts.roster {
            return Err(RosterError::Root);
        }
        Ok(Self::of(record, self.id, Arc::new(roster)))
    }

    /// Whether `record` is of the round after this one and starts from it.
    pub fn is_base_of(&self, record: &RoundRecord) -> bool {
        record.round == self.round + 1 && record.prev == self.id && record.model_in == self.model
    }

    /// The tip that a record makes which is trusted for itself, with the roster that it names.
    pub fn trusted(record: &RoundRecord, roster: Roster) -> Result<Self, RosterError> {
        if roster.id() != record.parts.roster {
            return Err(RosterError::Root);
        }
        Ok(Self::of(record, record.prev, Arc::new(roster)))
    }

    fn of(record: &RoundRecord, prev: RoundId, roster: Arc<Roster>) -> Self {
        Self {
            round: record.round,
            id: record.id(),
            prev,
            model: record.model_out,
            outer: record.outer_out,
            frontier: record.frontier,
            step: record.step.map(|step| (record.model_in, step)),
            roster,
        }
    }

    /// Whether a commit is of the round that this tip closed and may still count in the next one: no
    /// commit of its trainer was named there.
    pub fn takes_late(&self, commit: &Signed<UpdateCommit>) -> bool {
        let value = commit.value();
        let named = self.roster.member(&commit.signer()).is_some_and(|m| m.last >= self.round);
        self.round > 0 && value.round == self.round && value.base == self.prev && !named
    }
}
