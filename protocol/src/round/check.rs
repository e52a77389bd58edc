//! The rules by which an update counts and a record holds, as functions of bytes.
//!
//! Every steward before it votes, every auditor and the simulator call exactly these.
//!
//! Invariants: the outcome depends on nothing but the arguments, so all who have the bytes agree.
//! What it is not: fetching. A caller that lacks bytes has no verdict.

use std::collections::BTreeMap;

use super::commit::UpdateCommit;
use super::record::{Accepted, RejectReason, Rejected, RoundRecord};
use super::tally::accept;
use super::tip::Tip;
use crate::aggregate::{AggregateError, Contribution, OuterState, aggregate};
use crate::envelope::Signed;
use crate::frontier::Frontier;
use crate::id::{CommitId, FileHash, RunId};
use crate::run::{Admission, RunSpec};
use crate::update::{Update, bytes_max};
use crate::weights::Weights;

/// A commit with the bytes that it names; both empty if the terms refuse it anyway.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The commit.
    pub commit: Signed<UpdateCommit>,
    /// The update's bytes.
    pub update: Vec<u8>,
    /// The frontier's bytes.
    pub frontier: Vec<u8>,
}

impl Evidence {
    /// A commit that the terms refuse.
    pub fn refused(commit: Signed<UpdateCommit>) -> Self {
        Self { commit, update: Vec::new(), frontier: Vec::new() }
    }

    /// Whether the bytes are those that the commit names.
    fn is_whole(&self) -> bool {
        FileHash::of(&self.update) == self.commit.value().update
            && FileHash::of(&self.frontier) == self.commit.value().data.frontier
    }
}

/// Why a record does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not start from the base.
    #[error("round {0} does not start from the record before it")]
    Base(u64),
    /// It breaks a rule that needs no bytes.
    #[error("round {0}: {1}")]
    Rule(u64, &'static str),
    /// Its frontier falls behind the one before.
    #[error("round {0} binds a ledger frontier that falls behind the one before")]
    Frontier(u64),
    /// A commit that it names is not in the evidence.
    #[error("round {0} names commit {1}, whose bytes are missing")]
    Missing(u64, CommitId),
    /// It counts an update otherwise than the rules do.
    #[error("round {round} counts commit {commit} otherwise than the rules do")]
    Verdict {
        /// The round.
        round: u64,
        /// The commit.
        commit: CommitId,
    },
    /// The aggregate cannot be computed.
    #[error("round {0}: {1}")]
    Aggregate(u64, AggregateError),
    /// The aggregate is another than the record says.
    #[error("round {round} certifies model {certified}, recomputing gives {recomputed}")]
    Root {
        /// The round.
        round: u64,
        /// The model root in the record.
        certified: FileHash,
        /// The model root that recomputing gives.
        recomputed: FileHash,
    },
}

/// What can be said of a commit before its bytes are fetched.
pub fn check_terms(spec: &RunSpec, commit: &Signed<UpdateCommit>) -> Result<(), RejectReason> {
    let invited = match &spec.admission {
        Admission::Open => true,
        Admission::Invited(trainers) => trainers.binary_search(&commit.signer()).is_ok(),
    };
    if !invited {
        return Err(RejectReason::NotInvited);
    }
    if commit.value().data.policy != spec.consent.policy_hash() {
        return Err(RejectReason::Policy);
    }
    if commit.value().update_bytes > bytes_max(spec.model.parameters as usize) as u64 {
        return Err(RejectReason::Update);
    }
    Ok(())
}

/// Whether an update counts in the round after one that bound `required`.
pub fn check_evidence(
    spec: &RunSpec,
    evidence: &Evidence,
    required: &Frontier,
) -> Result<Update, RejectReason> {
    check_terms(spec, &evidence.commit)?;
    let frontier = Frontier::from_bytes(&evidence.frontier).map_err(|_| RejectReason::Frontier)?;
    if !frontier.dominates(required) {
        return Err(RejectReason::StaleFrontier);
    }
    if evidence.update.len() as u64 != evidence.commit.value().update_bytes {
        return Err(RejectReason::Update);
    }
    Update::from_bytes(&evidence.update, spec.model.parameters as usize)
        .map_err(|_| RejectReason::Update)
}

/// What a round starts from, in full.
#[derive(Debug, Clone)]
pub struct Base {
    /// The tip that names the rest by hash.
    pub tip: Tip,
    /// The model.
    pub weights: Weights,
    /// The outer optimizer's state.
    pub outer: OuterState,
    /// The frontier that trainers must have reached.
    pub required: Frontier,
}

/// A round's outcome, in full.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The record.
    pub record: RoundRecord,
    /// The model after the round.
    pub weights: Weights,
    /// The outer optimizer's state after the round.
    pub outer: OuterState,
}

/// Aggregates the accepted updates into a record that binds `frontier` for the next round.
pub fn build(
    run: RunId,
    spec: &RunSpec,
    base: &Base,
    accepted: Vec<(Accepted, Update)>,
    rejected: Vec<Rejected>,
    frontier: FileHash,
    threads: usize,
) -> Result<Outcome, AggregateError> {
    let contributions: Vec<Contribution<'_>> = accepted
        .iter()
        .map(|(accepted, update)| Contribution { weight: accepted.weight, update })
        .collect();
    let (weights, outer) =
        aggregate(&base.weights, &base.outer, &contributions, &spec.rule, &spec.outer, threads)?;
    let record = RoundRecord {
        run,
        round: base.tip.round + 1,
        prev: base.tip.id,
        model_in: base.tip.model,
        accepted: accepted.into_iter().map(|(accepted, _)| accepted).collect(),
        rejected,
        frontier,
        model_out: weights.root(),
        outer_out: outer.root(),
    };
    Ok(Outcome { record, weights, outer })
}

/// Recomputes a record from the bytes that it names; `bound` is the frontier that it binds.
pub fn verify(
    run: RunId,
    spec: &RunSpec,
    base: &Base,
    record: &RoundRecord,
    evidence: &BTreeMap<CommitId, Evidence>,
    bound: &Frontier,
    threads: usize,
) -> Result<Outcome, RecordError> {
    let round = record.round;
    if record.run != run || !base.tip.is_base_of(record) {
        return Err(RecordError::Base(round));
    }
    record.check(spec).map_err(|rule| RecordError::Rule(round, rule))?;
    if bound.id() != record.frontier || !bound.dominates(&base.required) {
        return Err(RecordError::Frontier(round));
    }
    let find = |commit: CommitId| evidence.get(&commit).ok_or(RecordError::Missing(round, commit));
    let is_current = |evidence: &Evidence| {
        let commit = evidence.commit.value();
        commit.base == base.tip.id && commit.round == round
    };
    let mut accepted = Vec::with_capacity(record.accepted.len());
    for entry in &record.accepted {
        let otherwise = RecordError::Verdict { round, commit: entry.commit };
        let found = find(entry.commit)?;
        let same = accept(found.commit.signer(), &found.commit, spec.local.weight_max) == *entry;
        match check_evidence(spec, found, &base.required) {
            Ok(update) if same && is_current(found) && found.is_whole() => {
                accepted.push((entry.clone(), update))
            }
            _ => return Err(otherwise),
        }
    }
    for entry in &record.rejected {
        let found = find(entry.commit)?;
        let same = found.commit.signer() == entry.trainer && is_current(found);
        // What the terms refuse needs no bytes, which its trainer may never have shown to anyone.
        let reason = match check_terms(spec, &found.commit) {
            Err(reason) => Some(reason),
            Ok(()) if found.is_whole() => check_evidence(spec, found, &base.required).err(),
            Ok(()) => None,
        };
        if !same || reason != Some(entry.reason) {
            return Err(RecordError::Verdict { round, commit: entry.commit });
        }
    }
    let frontier = record.frontier;
    let rejected = record.rejected.clone();
    let outcome = build(run, spec, base, accepted, rejected, frontier, threads)
        .map_err(|e| RecordError::Aggregate(round, e))?;
    if outcome.record == *record {
        return Ok(outcome);
    }
    let (certified, recomputed) = (record.model_out, outcome.record.model_out);
    Err(RecordError::Root { round, certified, recomputed })
}
