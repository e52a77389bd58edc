//! What waits to be put into a record: motions of stewards, proof that some of them lie, and reports of
//! audits.
//!
//! Invariants: one proof for each steward there is, a few motions of each, all for the roster in force;
//! reports only of those who were to look, about rounds whose records are here; bounded. What it is not: durable; the journal keeps what this node must not forget.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::change::{Cause, Change, Motion, Resolution, What};
use super::equivocation::Equivocation;
use super::record::{RoundRecord, is_quorum};
use super::report::{Report, Reported};
use super::roster::Roster;
use super::tip::Tip;
use crate::envelope::Signed;
use crate::id::FileHash;
use crate::key::PublicKey;
use crate::limits::{AUDIT_ROUNDS_MAX, AUDITS_MAX, MOTIONS_PER_STEWARD_MAX};
use crate::run::RunSpec;

#[derive(Debug, Default)]
pub(super) struct Docket {
    evidence: BTreeMap<PublicKey, Equivocation>,
    motions: BTreeMap<(What, PublicKey), Signed<Motion>>,
    reports: BTreeMap<Reported, Signed<Report>>,
    /// The newest records that this steward saw certified, the newest first.
    recent: VecDeque<RoundRecord>,
}

impl Docket {
    /// Takes proof that a steward lies; says whether it is news.
    pub(super) fn charge(&mut self, roster: &Roster, of: PublicKey, pair: Equivocation) -> bool {
        if !roster.is_steward(&of) || self.evidence.contains_key(&of) {
            return false;
        }
        self.evidence.insert(of, pair);
        true
    }

    /// Takes a motion, if it is of a steward and for the roster in force; says whether it is news.
    pub(super) fn moved(&mut self, roster: &Roster, motion: &Signed<Motion>) -> bool {
        let (signer, value) = (motion.signer(), motion.value());
        let due = value.serial == roster.motions() && roster.takes(value.what);
        let of_signer = self.motions.keys().filter(|(_, of)| *of == signer).count();
        let key = (value.what, signer);
        let room = of_signer < MOTIONS_PER_STEWARD_MAX && !self.motions.contains_key(&key);
        if !due || !room || !roster.is_steward(&signer) {
            return false;
        }
        self.motions.insert(key, motion.clone());
        true
    }

    /// Takes a report, if it is by one that was to look and a record may still name it.
    pub(super) fn reported(&mut self, spec: &RunSpec, tip: &Tip, report: &Signed<Report>) {
        let about = self.recent.iter().find(|record| record.round == report.value().round);
        let reported = about.map(|record| Reported::of(report, record, spec.rounds.audits));
        let Some(Ok(reported)) = reported else { return };
        let same =
            |known: &Reported| known.round == reported.round && known.auditor == reported.auditor;
        if tip.roster.is_due(tip.round + 1, &reported) && !self.reports.keys().any(same) {
            self.reports.insert(reported, report.clone());
        }
    }

    /// The reports that the record after `tip` may name, sorted, and their envelopes: of each auditor the
    /// oldest.
    pub(super) fn reports_due(&self, tip: &Tip) -> (Vec<Reported>, Vec<Vec<u8>>) {
        let mut by: BTreeSet<PublicKey> = BTreeSet::new();
        let due = self.reports.iter().filter(|(reported, _)| {
            tip.roster.is_due(tip.round + 1, reported) && by.insert(reported.auditor)
        });
        let due = due.map(|(reported, report)| (*reported, report.bytes().to_vec()));
        due.take(AUDITS_MAX as usize).unzip()
    }

    /// A record was certified.
    pub(super) fn certified(&mut self, record: RoundRecord) {
        self.recent.push_front(record);
        self.recent.truncate(AUDIT_ROUNDS_MAX as usize);
    }

    /// Drops what the new tip has no use for.
    pub(super) fn settle(&mut self, tip: &Tip) {
        let roster = &tip.roster;
        self.reports.retain(|reported, _| roster.is_due(tip.round + 1, reported));
        self.evidence.retain(|of, _| roster.is_steward(of));
        self.motions.retain(|(what, of), motion| {
            let due = motion.value().serial == roster.motions() && roster.takes(*what);
            due && roster.is_steward(of)
        });
    }

    /// The proofs at hand.
    pub(super) fn evidence(&self) -> impl Iterator<Item = (PublicKey, &Equivocation)> {
        self.evidence.iter().map(|(of, pair)| (*of, pair))
    }

    /// The motions at hand.
    pub(super) fn motions(&self) -> impl Iterator<Item = &Signed<Motion>> {
        self.motions.values()
    }

    /// The changes that are due after `roster`, sorted, and the bytes of their proofs: every steward that
    /// lied, and of the motions that have enough signatures the first.
    pub(super) fn due(&self, roster: &Roster) -> (Vec<Change>, Vec<Vec<u8>>) {
        let mut after = roster.clone();
        let mut due = Vec::new();
        let mut add = |what, cause, proof: Vec<u8>| {
            if after.carry_out(what).is_ok() {
                due.push((Change { what, cause, proof: FileHash::of(&proof) }, proof));
                return true;
            }
            false
        };
        for (of, pair) in &self.evidence {
            add(What::Dismiss(*of), Cause::Equivocation, pair.to_bytes());
        }
        let mut by_what: BTreeMap<What, Vec<&Signed<Motion>>> = BTreeMap::new();
        for ((what, _), motion) in &self.motions {
            by_what.entry(*what).or_default().push(motion);
        }
        for (what, motions) in by_what {
            let enough = is_quorum(motions.len(), roster.stewards().len());
            if enough && add(what, Cause::Motion, Resolution::new(motions).to_bytes()) {
                break;
            }
        }
        due.sort();
        due.into_iter().unzip()
    }
}
