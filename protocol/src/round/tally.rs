//! A round's commits and what was found of each.
//!
//! Invariants: one commit a trainer counts, the first that came, and one more is remembered; a verdict
//! is never changed; the number of commits is bounded. What it is not: the check itself (see `check`).

use std::collections::BTreeMap;

use super::commit::{UpdateCommit, commit_id};
use super::record::{Accepted, RejectReason, Rejected};
use crate::envelope::Signed;
use crate::id::CommitId;
use crate::key::PublicKey;
use crate::limits::UPDATES_MAX;

#[derive(Debug, Default)]
pub(super) struct Tally {
    entries: BTreeMap<PublicKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    commit: Signed<UpdateCommit>,
    verdict: Option<Result<(), RejectReason>>,
    /// Another commit of the same trainer.
    other: Option<CommitId>,
}

impl Tally {
    /// Takes a commit; says whether it is new and wants checking.
    pub(super) fn take(&mut self, commit: Signed<UpdateCommit>) -> bool {
        let trainer = commit.signer();
        if let Some(entry) = self.entries.get_mut(&trainer) {
            if entry.commit != commit {
                entry.other.get_or_insert_with(|| commit_id(&commit));
            }
            return false;
        }
        if self.entries.len() >= UPDATES_MAX {
            return false;
        }
        self.entries.insert(trainer, Entry { commit, verdict: None, other: None });
        true
    }

    /// Notes what a check found.
    pub(super) fn judge(&mut self, id: CommitId, verdict: Result<(), RejectReason>) {
        if let Some(entry) = self.entries.values_mut().find(|e| commit_id(&e.commit) == id) {
            entry.verdict.get_or_insert(verdict);
        }
    }

    /// Forgets a commit whose bytes could not be had, so that it may come again.
    pub(super) fn forget(&mut self, id: CommitId) {
        self.entries.retain(|_, e| e.verdict.is_some() || commit_id(&e.commit) != id);
    }

    /// Whether `trainer`'s commit is there and judged.
    pub(super) fn is_judged(&self, trainer: &PublicKey) -> bool {
        self.entries.get(trainer).is_some_and(|entry| entry.verdict.is_some())
    }

    /// Whether `trainer`'s commit is there.
    pub(super) fn holds(&self, trainer: &PublicKey) -> bool {
        self.entries.contains_key(trainer)
    }

    /// How many count.
    pub(super) fn accepted_count(&self) -> usize {
        self.entries.values().filter(|entry| entry.verdict == Some(Ok(()))).count()
    }

    /// What counts, sorted by commit, each weighing its samples up to `weight_max`.
    pub(super) fn accepted(&self, weight_max: u64) -> Vec<Accepted> {
        let mut accepted: Vec<Accepted> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.verdict == Some(Ok(())))
            .map(|(trainer, entry)| accept(*trainer, &entry.commit, weight_max))
            .collect();
        accepted.sort();
        accepted
    }

    /// What does not, sorted by commit.
    pub(super) fn rejected(&self) -> Vec<Rejected> {
        let mut rejected: Vec<Rejected> = self
            .entries
            .iter()
            .filter_map(|(trainer, entry)| {
                let (commit, reason) = match entry.verdict? {
                    Ok(()) => (entry.other?, RejectReason::Duplicate),
                    Err(reason) => (commit_id(&entry.commit), reason),
                };
                Some(Rejected { commit, trainer: *trainer, reason })
            })
            .collect();
        rejected.sort();
        rejected
    }
}

/// How an accepted commit stands in the record.
pub(super) fn accept(
    trainer: PublicKey,
    commit: &Signed<UpdateCommit>,
    weight_max: u64,
) -> Accepted {
    let value = commit.value();
    Accepted {
        commit: commit_id(commit),
        trainer,
        update: value.update,
        weight: value.data.used.min(weight_max),
    }
}
