//! Whether what a record says of commits, reports and changes is what the rules say of them.
//!
//! Invariants: every entry is judged by the bytes that it names. What it is not: the aggregate.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evidence::{Evidence, Finding, check_evidence, check_head};
use super::record::{Base, Counted, Exhibits, RecordError};
use super::slices::{consequence, truth, unfit};
use crate::aggregate::{Outputs, Slices};
use crate::envelope::Signed;
use crate::id::{CommitId, FileHash, RunId};
use crate::round::change::Cause;
use crate::round::committee::Committee;
use crate::round::record::{RejectReason, RoundRecord};
use crate::round::report::{Report, ReportError, Reported};
use crate::round::slate::{Partial, Sliced, slate_list};
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

    /// The same of an update that counts, of which only parts are here where the aggregate comes in slices.
    fn find_counted(&self, commit: CommitId) -> Result<(&Evidence, Finding), RecordError> {
        if self.exhibits.made.is_none() {
            return self.find(commit);
        }
        let round = self.record.round;
        let found = self.exhibits.commits.get(&commit);
        let found = found.ok_or(RecordError::Missing(round, commit))?;
        let finding = check_head(self.spec, &self.base.tip, &self.base.required, found);
        Ok((found, finding.map_err(|error| RecordError::Tape(round, error))?))
    }

    fn verdict(&self, commit: CommitId) -> RecordError {
        RecordError::Verdict { round: self.record.round, commit }
    }

    pub(super) fn accepted(&self) -> Result<Vec<Counted>, RecordError> {
        let round = self.record.round;
        let mut evidence = BTreeMap::new();
        for entry in &self.record.accepted {
            match self.find_counted(entry.commit)? {
                (found, Finding::Counts) => evidence.insert(entry.commit, found),
                (_, Finding::Missing) => return Err(RecordError::Missing(round, entry.commit)),
                (_, Finding::Rejected(_)) => return Err(self.verdict(entry.commit)),
            };
        }
        let commits = evidence.values().map(|found| &found.commit);
        let entries = self.base.tip.roster.entries(self.spec, round, commits);
        let otherwise = entries.iter().zip(&self.record.accepted).find(|(due, said)| due != said);
        if let Some((_, said)) = otherwise {
            return Err(self.verdict(said.commit));
        }
        if let Some(left_out) = self.record.accepted.get(entries.len()) {
            return Err(self.verdict(left_out.commit));
        }
        let counted = entries.into_iter().map(|entry| {
            let update = Arc::clone(&evidence[&entry.commit].update);
            Counted { entry, update }
        });
        let counted: Vec<Counted> = counted.collect();
        let unfit = self.exhibits.made.as_ref().and_then(|made| unfit(&counted, made).pop());
        unfit.map_or(Ok(counted), |(commit, _)| Err(self.verdict(commit)))
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
                    Finding::Counts => return otherwise,
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
            let report = Signed::<Report>::open(self.proof(entry.report)?);
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
            if change.cause == Cause::Partial {
                continue;
            }
            let proof = self.proof(change.proof)?;
            let verified = change.verify(run, &self.base.tip.roster, proof);
            verified.map_err(|error| RecordError::Change(round, error))?;
        }
        Ok(())
    }

    /// Whether partials that the record calls false are, once `outputs` hold what the round comes to.
    pub(super) fn false_partials(
        &self,
        run: RunId,
        accepted: &[Counted],
        outputs: &Outputs<'_>,
    ) -> Result<(), RecordError> {
        let (round, tip) = (self.record.round, &self.base.tip);
        let charged = self.record.parts.changes.iter();
        for change in charged.filter(|change| change.cause == Cause::Partial) {
            let not_false = || RecordError::NotFalse(round);
            let partial = Signed::<Partial>::open(self.proof(change.proof)?);
            let partial = partial.map_err(|_| not_false())?;
            let said = partial.value();
            let list = FileHash::of(&slate_list(&self.record.accepted));
            if said.run != run || said.round != round || said.base != tip.id || said.slate != list {
                return Err(not_false());
            }
            let committee = Committee::of(self.spec, tip).ok_or_else(not_false)?;
            let mut lies = false;
            for sliced in said.slices.iter().filter(|said| !self.is_taken(said)) {
                if consequence(&committee, &partial, sliced.slice) == Some(change.what) {
                    lies |= self.truth(sliced.slice, accepted, outputs)? != *sliced;
                }
            }
            if !lies {
                return Err(not_false());
            }
        }
        Ok(())
    }

    /// Whether a slice was taken as this says.
    fn is_taken(&self, said: &Sliced) -> bool {
        let made = self.exhibits.made.as_ref().and_then(|made| made.get(said.slice as usize));
        made.is_some_and(|made| Sliced::of(made) == *said)
    }

    fn truth(
        &self,
        slice: u32,
        accepted: &[Counted],
        outputs: &Outputs<'_>,
    ) -> Result<Sliced, RecordError> {
        let round = self.record.round;
        if self.exhibits.made.is_some() {
            let truth = self.exhibits.truths.get(&slice).copied();
            return truth.ok_or(RecordError::NoTruth(round, slice));
        }
        let plan = self.spec.plan([0; 32]);
        let slices = Slices::new(&plan, self.spec.rounds.slices);
        let truth = truth(&slices, slice, &plan, accepted, outputs);
        truth.map_err(|error| RecordError::Tape(round, error))
    }

    fn proof(&self, hash: FileHash) -> Result<&Vec<u8>, RecordError> {
        let proof = self.exhibits.proofs.get(&hash);
        proof.ok_or(RecordError::NoProof(self.record.round, hash))
    }

    /// Whether the commit is of this round, or of the one before and may still count.
    fn is_current(&self, evidence: &Evidence) -> bool {
        let commit = &evidence.commit;
        commit.value().round == self.record.round || self.base.tip.takes_late(commit)
    }
}
