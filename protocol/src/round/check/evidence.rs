//! Whether an update counts.
//!
//! Invariants: what is cheap to say is said first, before anything is fetched; rejections have names.
//! What it is not: about the other updates of the round.

use std::fmt;
use std::sync::Arc;

use crate::aggregate::{FRACTION_BITS, Source, TapeError};
use crate::envelope::Signed;
use crate::frontier::Frontier;
use crate::id::FileHash;
use crate::round::commit::UpdateCommit;
use crate::round::record::RejectReason;
use crate::round::tip::Tip;
use crate::run::RunSpec;
use crate::update::{Look, UPDATE_HEAD_BYTES, UpdateError, look, norm_of};

/// A commit with the bytes that it names; both empty if the terms refuse it anyway.
#[derive(Clone)]
pub struct Evidence {
    /// The commit.
    pub commit: Signed<UpdateCommit>,
    /// The update's bytes.
    pub update: Arc<dyn Source>,
    /// The frontier's bytes.
    pub frontier: Vec<u8>,
}

impl Evidence {
    /// A commit that the terms refuse.
    pub fn refused(commit: Signed<UpdateCommit>) -> Self {
        Self { commit, update: Arc::new(Vec::new()), frontier: Vec::new() }
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("commit", &self.commit).finish_non_exhaustive()
    }
}

/// What can be said of a commit before its bytes are fetched.
pub fn check_terms(
    spec: &RunSpec,
    tip: &Tip,
    commit: &Signed<UpdateCommit>,
) -> Result<(), RejectReason> {
    tip.roster.admit(spec, commit)?;
    let on_time = commit.value().round == tip.round + 1 && commit.value().base == tip.id;
    if !on_time && !tip.takes_late(commit) {
        return Err(RejectReason::Base);
    }
    if commit.value().data.policy != spec.consent.policy_hash() {
        return Err(RejectReason::Policy);
    }
    let norm_max = (u128::from(spec.aggregate.norm_max_milli) << FRACTION_BITS) / 1000;
    match commit.value().update_bytes.cmp(&spec.update_form().update_bytes()) {
        std::cmp::Ordering::Greater => Err(RejectReason::Oversize),
        std::cmp::Ordering::Less => Err(RejectReason::Shape),
        // A longer one that is said to be shorter is found out when its bytes are looked at.
        std::cmp::Ordering::Equal if u128::from(commit.value().norm) > norm_max => {
            Err(RejectReason::Norm)
        }
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// What looking at a commit's bytes has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It counts.
    Counts,
    /// It does not.
    Rejected(RejectReason),
    /// These are not the bytes that it names.
    Missing,
}

fn check_frontier(required: &Frontier, bytes: &[u8]) -> Result<(), RejectReason> {
    let frontier = Frontier::from_bytes(bytes).map_err(|_| RejectReason::Frontier)?;
    if frontier.dominates(required) { Ok(()) } else { Err(RejectReason::StaleFrontier) }
}

/// What [`check_evidence`] can say of an update of which only the first bytes are here, where others look at
/// the rest in slices: that it counts, if its values and its norm turn out to be what they should.
pub fn check_head(
    spec: &RunSpec,
    tip: &Tip,
    required: &Frontier,
    evidence: &Evidence,
) -> Result<Finding, TapeError> {
    let commit = &evidence.commit;
    if let Err(reason) = check_terms(spec, tip, commit) {
        return Ok(Finding::Rejected(reason));
    }
    if FileHash::of(&evidence.frontier) != commit.value().data.frontier {
        return Ok(Finding::Missing);
    }
    if let Err(reason) = check_frontier(required, &evidence.frontier) {
        return Ok(Finding::Rejected(reason));
    }
    if evidence.update.bytes() != spec.update_form().update_bytes() {
        return Ok(Finding::Rejected(RejectReason::Shape));
    }
    let mut head = [0; UPDATE_HEAD_BYTES];
    evidence.update.read_at(0, &mut head)?;
    let is_own = head == *commit.signer().as_bytes();
    Ok(if is_own { Finding::Counts } else { Finding::Rejected(RejectReason::Copied) })
}

/// Whether an update counts in the round after `tip`, which bound the frontier `required`. An error if
/// bytes cannot be read.
pub fn check_evidence(
    spec: &RunSpec,
    tip: &Tip,
    required: &Frontier,
    evidence: &Evidence,
) -> Result<Finding, TapeError> {
    let commit = &evidence.commit;
    if let Err(reason) = check_terms(spec, tip, commit) {
        return Ok(Finding::Rejected(reason));
    }
    if FileHash::of(&evidence.frontier) != commit.value().data.frontier {
        return Ok(Finding::Missing);
    }
    let Look { hash, norm_squared } =
        look(&spec.update_form(), commit.signer(), &*evidence.update)?;
    if hash != commit.value().update {
        return Ok(Finding::Missing);
    }
    if let Err(reason) = check_frontier(required, &evidence.frontier) {
        return Ok(Finding::Rejected(reason));
    }
    Ok(match norm_squared {
        Ok(squared) if norm_of(squared) != commit.value().norm => {
            Finding::Rejected(RejectReason::FalseNorm)
        }
        Ok(_) => Finding::Counts,
        Err(UpdateError::Length { .. }) => Finding::Rejected(RejectReason::Shape),
        Err(UpdateError::Copied) => Finding::Rejected(RejectReason::Copied),
        Err(UpdateError::Value { .. }) => Finding::Rejected(RejectReason::Value),
    })
}
