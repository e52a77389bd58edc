//! Whether what a record says of commits, reports and changes is what the rules say of them.
//!
//! Invariants: every entry is judged by the bytes that it names. What it is not: the aggregate.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evidence::{Evidence, Finding, check_evidence};
use super::record::{Base, Counted, Exhibits, RecordError};
use crate::envelope::Signed;
use crate::id::{CommitId, RunId};
use crate::round::record::{RejectReason, RoundRecord};
use crate::round::report::{Report, ReportError, Reported};
use crate::run::RunSpec;

/// A record's entries with what there is to judge them by.
pub(super) struct Entries<'a> {
    pub(super) spec: &'a RunSpec,
    pub(super) base: &'a Base,
    pub(super) record: &'a RoundRecord,
    pub(super) exhibits: &'a Exhibits,
}

impl Entries<'_> {
    fn find(&self, commit: CommitId) -> Result<(&Evidence, Finding), RecordError> {
        let round = self.record.round;
        let missing = RecordError::Missing(round, commit);
        let found = self.exhibits.commits.get(&commit).ok_or(missing)?;
        let finding = check_evidence(self.spec, &self.base.tip, &self.base.required, found);
        Ok((found, finding.map_err(|error| RecordError::Tape(round, error))?))
    }

    fn verdict(&self, commit: CommitId) -> RecordError {
        RecordError::Verdict { round: self.record.round, commit }
    }

    pub(super) fn accepted(&self) -> Result<Vec<Counted>, RecordError> {
        let round = self.record.round;
        let mut norms = BTreeMap::new();
        for entry in &self.record.accepted {
            match self.find(entry.commit)? {
                (found, Finding::Counts(squared)) => norms.insert(entry.commit, (found, squared)),
                (_, Finding::Missing) => return Err(RecordError::Missing(round, entry.commit)),
                (_, Finding::Rejected(_)) => return Err(self.verdict(entry.commit)),
            };
        }
        let commits = norms.values().map(|(found, _)| &found.commit);
        let entries = self.base.tip.roster.entries(self.spec, round, commits);
        let otherwise = entries.iter().zip(&self.record.accepted).find(|(due, said)| due != said);
        if let Some((_, said)) = otherwise {
            return Err(self.verdict(said.commit));
        }
        if let Some(left_out) = self.record.accepted.get(entries.len()) {
            return Err(self.verdict(left_out.commit));
        }
        let counted = entries.into_iter().map(|entry| {
            let (found, norm_squared) = norms[&entry.commit];
            Counted { entry, norm_squared, update: Arc::clone(&found.update) }
        });
        Ok(counted.collect())
    }

    pub(super) fn rejected(&self) -> Result<(), RecordError> {
        for entry in &self.record.rejected {
            let otherwise = Err(self.verdict(entry.commit));
            let missing = RecordError::Missing(self.record.round, entry.commit);
            let found = self.exhibits.commits.get(&entry.commit);
            let found = found.ok_or_else(|| missing.clone())?;
            if found.commit.signer() != entry.trainer || !self.is_current(found) {
                return otherwise;
            }
            let mut accepted = self.record.accepted.iter();
            let reason = if accepted.any(|other| other.trainer == entry.trainer) {
                // Whatever is in it: one of its trainer's counts.
                RejectReason::Duplicate
            } else {
                match self.find(entry.commit)?.1 {
                    Finding::Rejected(reason) => reason,
                    Finding::Counts(_) => return otherwise,
                    Finding::Missing => return Err(missing),
                }
            };
            if reason != entry.reason {
                return otherwise;
            }
        }
        Ok(())
    }

    pub(super) fn reports(&self) -> Result<(), RecordError> {
        let (round, audits) = (self.record.round, self.spec.rounds.audits);
        // Once for all reports: an id is the hash of a whole record.
        let ancestors = self.ancestors();
        for entry in &self.record.found.reports {
            let wrong = |error| RecordError::Report(round, error);
            let missing = RecordError::NoAncestor(round, entry.round);
            let about = ancestors.get(&entry.round).ok_or(missing)?;
            let proof = self.exhibits.proofs.get(&entry.report);
            let proof = proof.ok_or(RecordError::NoProof(round, entry.report))?;
            let report = Signed::<Report>::open(proof);
            let report = report.map_err(|_| wrong(ReportError::Record))?;
            if Reported::of(&report, about, audits).map_err(wrong)? != *entry {
                return Err(wrong(ReportError::Record));
            }
        }
        Ok(())
    }

    /// The records before this one by round, as far as the hashes lead that begin with its own.
    fn ancestors(&self) -> BTreeMap<u64, &RoundRecord> {
        let mut id = self.record.prev;
        let follows = |ancestor: &&RoundRecord| {
            let leads = ancestor.id() == id;
            id = ancestor.prev;
            leads
        };
        let ancestors = self.exhibits.ancestors.iter().take_while(follows);
        ancestors.map(|ancestor| (ancestor.round, ancestor)).collect()
    }

    pub(super) fn changes(&self, run: RunId) -> Result<(), RecordError> {
        let round = self.record.round;
        for change in &self.record.parts.changes {
            let proof = self.exhibits.proofs.get(&change.proof);
            let proof = proof.ok_or(RecordError::NoProof(round, change.proof))?;
            let verified = change.verify(run, &self.base.tip.roster, proof);
            verified.map_err(|error| RecordError::Change(round, error))?;
        }
        Ok(())
    }

    /// Whether the commit is of this round, or of the one before and may still count.
    fn is_current(&self, evidence: &Evidence) -> bool {
        let commit = &evidence.commit;
        commit.value().round == self.record.round || self.base.tip.takes_late(commit)
    }
}
