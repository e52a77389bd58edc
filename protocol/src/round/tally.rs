//! A round's commits and what was found of each.
//!
//! Invariants: one commit a trainer counts, the first that came for the round, or else one that is late for
//! the round before; one more is remembered; a verdict is never changed; the number is bounded. What it is not: the check itself (see `check`).

use std::collections::BTreeMap;

use super::commit::{UpdateCommit, commit_id};
use super::record::{RejectReason, Rejected};
use crate::envelope::Signed;
use crate::id::CommitId;
use crate::key::PublicKey;
use crate::limits::UPDATES_MAX;

#[derive(Debug, Default)]
pub(super) struct Tally {
    entries: BTreeMap<PublicKey, Entry>,
}

/// What a commit is to a tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The first of its trainer: it wants checking.
    New,
    /// Another one of its trainer: it wants keeping.
    Other,
    /// Known, or one too many.
    Known,
}

#[derive(Debug)]
struct Entry {
    commit: Signed<UpdateCommit>,
    verdict: Option<Result<(), RejectReason>>,
    /// Another commit of the same trainer.
    other: Option<CommitId>,
    /// Its bytes were promised and nobody gives them: it is not named, and not waited for.
    withheld: bool,
}

impl Tally {
    /// Takes a commit; says what it is.
    pub(super) fn take(&mut self, commit: Signed<UpdateCommit>) -> Taken {
        let trainer = commit.signer();
        if let Some(entry) = self.entries.get_mut(&trainer) {
            let (known, round) = (entry.commit.value().round, commit.value().round);
            if known == round && entry.commit != commit && entry.other.is_none() {
                entry.other = Some(commit_id(&commit));
                return Taken::Other;
            }
            if known >= round {
                return Taken::Known;
            }
        } else if self.entries.len() >= UPDATES_MAX {
            return Taken::Known;
        }
        self.entries.insert(trainer, Entry { commit, verdict: None, other: None, withheld: false });
        Taken::New
    }

    /// Notes what a check found.
    pub(super) fn judge(&mut self, id: CommitId, verdict: Result<(), RejectReason>) {
        if let Some(entry) = self.entries.values_mut().find(|e| commit_id(&e.commit) == id) {
            entry.verdict.get_or_insert(verdict);
        }
    }

    /// Takes back that a commit counts, since all slices together have shown that it does not, or since nobody
    /// gives its bytes.
    pub(super) fn overrule(&mut self, id: CommitId, reason: Option<RejectReason>) {
        if let Some(entry) = self.entries.values_mut().find(|e| commit_id(&e.commit) == id) {
            match reason {
                Some(reason) => entry.verdict = Some(Err(reason)),
                None => entry.withheld = true,
            }
        }
    }

    /// Forgets a commit whose bytes could not be had, so that it may come again.
    pub(super) fn forget(&mut self, id: CommitId) {
        self.entries.retain(|_, e| e.verdict.is_some() || commit_id(&e.commit) != id);
    }

    /// Whether `trainer`'s commit of this round is there and judged.
    pub(super) fn is_judged(&self, trainer: &PublicKey, round: u64) -> bool {
        let judged = |entry: &Entry| {
            (entry.verdict.is_some() || entry.withheld) && entry.commit.value().round == round
        };
        self.entries.get(trainer).is_some_and(judged)
    }

    /// Whether `trainer`'s commit of this round is there.
    pub(super) fn holds(&self, trainer: &PublicKey, round: u64) -> bool {
        self.entries.get(trainer).is_some_and(|entry| entry.commit.value().round == round)
    }

    /// How many count.
    pub(super) fn accepted_count(&self) -> usize {
        self.accepted().count()
    }

    /// What counts.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &Signed<UpdateCommit>> {
        let counts = |entry: &&Entry| entry.verdict == Some(Ok(())) && !entry.withheld;
        self.entries.values().filter(counts).map(|entry| &entry.commit)
    }

    /// What does not, sorted by commit.
    pub(super) fn rejected(&self) -> Vec<Rejected> {
        let mut rejected: Vec<Rejected> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.withheld)
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
