//! A run's certified rounds and its members, in full, as people and papers want them.
//!
//! Invariants: everything comes from certificates that this node verified, commits, and its own notes.
//! What it is not: the audit of them.

use std::collections::BTreeMap;

use protocol::codec;
use protocol::limits::{
    CERTIFICATE_BYTES_MAX, CERTIFICATES_LISTED_MAX, COMMIT_BYTES_MAX, REPORT_BYTES_MAX,
};
use protocol::round::{
    Accepted, Alike, Cause, Certificate, Change, Outcome, Report, Reported, RoundRecord,
    UpdateCommit, What,
};
use protocol::{CommitId, PublicKey, Signed};

use super::chain::envelope_hash;
use super::desk::Desk;
use super::driver::{CERTIFIED_NOTE, Driver};
use super::evaluation::EVAL_NOTE;
use super::jobs::CertifiedNote;
use crate::api::dto::{
    AuditsView, ChangeName, LogAlike, LogChange, LogFindings, LogFound, LogHashes, LogReport,
    LogUpdate, LogView, MemberView, MembersView, MotionView, RejectView,
};
use crate::store::StoreError;

impl Driver {
    /// Certified rounds from `from` on, as many as one answer has room for.
    pub(crate) async fn log(&self, from: u64) -> Result<Vec<LogView>, StoreError> {
        let desk = self.desk();
        let stored =
            desk.means.store.certificates(desk.run, from.max(1), CERTIFICATES_LISTED_MAX)?;
        let mut log = Vec::with_capacity(stored.len());
        for bytes in stored {
            log.push(log_view(desk, &decoded(&bytes)?).await?);
        }
        Ok(log)
    }

    /// Who has which part, how each trainer stands, and what is moved; nothing when the node stops.
    pub(crate) async fn members(&self) -> Result<Option<MembersView>, StoreError> {
        let Some(snapshot) = self.snapshot().await else { return Ok(None) };
        let (desk, roster) = (self.desk(), &snapshot.tip.roster);
        let mut rejected: BTreeMap<PublicKey, BTreeMap<String, u64>> = BTreeMap::new();
        let count = snapshot.tip.round as usize;
        for bytes in desk.means.store.certificates(desk.run, 1, count)? {
            for entry in decoded(&bytes)?.record.rejected {
                let reasons = rejected.entry(entry.trainer).or_default();
                *reasons.entry(entry.reason.to_string()).or_default() += 1;
            }
        }
        let member = |member: &protocol::round::Member| MemberView {
            trainer: member.trainer,
            voucher: member.voucher,
            since: member.since,
            last: member.last,
            accepted: member.accepted,
            late: member.late,
            rejected: rejected.remove(&member.trainer).unwrap_or_default(),
            removed: member.removed,
            audits: AuditsView {
                evaluated: member.audits.evaluated,
                passed: member.audits.passed,
                retrained: member.audits.retrained,
                matched: member.audits.matched,
                alike: member.alike,
            },
        };
        Ok(Some(MembersView {
            run: desk.run,
            round: snapshot.tip.round,
            stewards: roster.stewards().to_vec(),
            probation_rounds: desk.spec.value().admission.probation_rounds,
            members: roster.members().iter().map(member).collect(),
            motions: motion_views(&snapshot.motions, roster.stewards().len()),
        }))
    }
}

/// Motions with those who moved each.
pub(super) fn motion_views(motions: &[(PublicKey, What)], stewards: usize) -> Vec<MotionView> {
    let mut by_what: BTreeMap<What, Vec<PublicKey>> = BTreeMap::new();
    for (steward, what) in motions {
        by_what.entry(*what).or_default().push(*steward);
    }
    let view = |(what, moved_by): (What, Vec<PublicKey>)| {
        let (change, node) = named(what);
        MotionView { change, node, moved_by, needed: stewards * 2 / 3 + 1 }
    };
    by_what.into_iter().map(view).collect()
}

/// A change's name, and of whom.
pub(super) fn named(what: What) -> (ChangeName, PublicKey) {
    match what {
        What::Appoint(node) => (ChangeName::Appoint, node),
        What::Dismiss(node) => (ChangeName::Dismiss, node),
        What::Remove(node) => (ChangeName::Remove, node),
        What::Readmit(node) => (ChangeName::Readmit, node),
    }
}

/// A certificate of this node's own store, verified when it was kept.
pub(super) fn decoded(bytes: &[u8]) -> Result<Certificate, StoreError> {
    codec::decode(bytes, CERTIFICATE_BYTES_MAX).map_err(|_| StoreError::Damaged("certificates"))
}

/// A round in full.
pub(super) async fn log_view(
    desk: &Desk,
    certificate: &Certificate,
) -> Result<LogView, StoreError> {
    let (record, store) = (&certificate.record, &desk.means.store);
    let mut accepted = Vec::with_capacity(record.accepted.len());
    for entry in &record.accepted {
        accepted.push(update(desk, entry).await);
    }
    let mut reports = Vec::with_capacity(record.found.reports.len());
    for entry in &record.found.reports {
        reports.push(report(desk, entry).await);
    }
    let rejected = record
        .rejected
        .iter()
        .map(|entry| RejectView { trainer: entry.trainer, reason: entry.reason.to_string() });
    let certified: Option<CertifiedNote> = store.note(desk.run, record.round, CERTIFIED_NOTE)?;
    Ok(LogView {
        round: record.round,
        id: record.id(),
        prev: record.prev,
        attempt: certificate.attempt,
        signed_by: certificate.precommits.iter().map(|precommit| precommit.steward).collect(),
        hashes: LogHashes {
            model_in: record.model_in,
            model_out: record.model_out,
            outer_out: record.outer_out,
            step: record.step,
            frontier: record.frontier,
            roster: record.parts.roster,
        },
        accepted,
        rejected: rejected.collect(),
        found: LogFound {
            alike: record.found.alike.iter().filter_map(|pair| alike(record, pair)).collect(),
            reports,
        },
        changes: record.parts.changes.iter().map(change).collect(),
        evaluation: store.note(desk.run, record.round, EVAL_NOTE)?,
        certified_ms: certified.map_or(0, |note| note.at_ms),
    })
}

fn alike(record: &RoundRecord, pair: &Alike) -> Option<LogAlike> {
    let trainer = |commit: CommitId| {
        record.accepted.iter().find(|entry| entry.commit == commit).map(|entry| entry.trainer)
    };
    let trainers = [trainer(pair.one)?, trainer(pair.other)?];
    Some(LogAlike { trainers, cosine_milli: pair.cosine_milli })
}

async fn report(desk: &Desk, entry: &Reported) -> LogReport {
    let (most, hints) = (REPORT_BYTES_MAX as u64, [entry.auditor]);
    let bytes = desk.bytes("a report", entry.report, most, &hints).await;
    let bytes = bytes.inspect_err(|error| tracing::info!(%error, "a report is missing in the log"));
    let said = bytes.ok().and_then(|bytes| Signed::<Report>::open(&bytes).ok());
    LogReport {
        round: entry.round,
        auditor: entry.auditor,
        trainer: entry.trainer,
        report: entry.report,
        passed: entry.passed,
        matched: entry.matched,
        said: said.map(|report| findings(report.value())),
    }
}

fn findings(report: &Report) -> LogFindings {
    let (holdout, retraining) = (report.holdout, report.retraining);
    let outcome = |outcome: Outcome| match outcome {
        Outcome::Distance(micro) => format!("off by {} %", f64::from(micro) / 1e4),
        Outcome::Withheld => "what it named was not shown".into(),
        Outcome::Unlike => "what it showed is not what the update was made from".into(),
    };
    LogFindings {
        samples: holdout.map(|found| found.samples),
        before_micro: holdout.map(|found| found.before_micro),
        after_micro: holdout.map(|found| found.after_micro),
        control_micro: holdout.and_then(|found| found.control_micro),
        segments: retraining.map(|found| found.segments),
        segment: retraining.map(|found| found.segment),
        retraining: retraining.map(|found| outcome(found.outcome)),
    }
}

/// A change as people see it.
pub(super) fn change(change: &Change) -> LogChange {
    let (name, node) = named(change.what);
    let cause = match change.cause {
        Cause::Equivocation => "equivocation",
        Cause::Motion => "motion",
        Cause::Partial => "false partial",
    };
    LogChange { change: name, node, cause: cause.into(), proof: change.proof }
}

async fn update(desk: &Desk, entry: &Accepted) -> LogUpdate {
    // A log is complete: what was not heard is asked for.
    let (hash, most) = (envelope_hash(entry.commit), COMMIT_BYTES_MAX as u64);
    if let Err(error) = desk.bytes("a commit", hash, most, &[entry.trainer]).await {
        tracing::info!(%error, "a commit is missing in the log");
    }
    let commit = commit_of(desk, entry).await;
    let said = commit.as_ref().map(Signed::value);
    LogUpdate {
        trainer: entry.trainer,
        commit: entry.commit,
        update: entry.update,
        weight: entry.weight,
        late: entry.late,
        voucher: entry.voucher,
        used: said.map(|commit| commit.data.used),
        excluded: said.map(|commit| commit.data.excluded),
        update_bytes: said.map(|commit| commit.update_bytes),
    }
}

/// An accepted commit, if it is here.
pub(super) async fn commit_of(desk: &Desk, entry: &Accepted) -> Option<Signed<UpdateCommit>> {
    let (blobs, hash) = (desk.means.net.blobs(), envelope_hash(entry.commit));
    if !blobs.has(hash).await {
        return None;
    }
    let bytes = blobs.read(hash, COMMIT_BYTES_MAX as u64).await.ok()?;
    Signed::<UpdateCommit>::open(&bytes).ok()
}
