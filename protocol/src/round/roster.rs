//! Who has which part in a run: its stewards, and every trainer whose update ever counted.
//!
//! Invariants: a function of the spec and of the certified records since, so that all who follow a run
//! hold the same bytes, whose hash each record names; sorted by key; bounded by forgetting whoever was
//! away longest. What it is not: who is here now (see `present`), or the reason for a change, which
//! is the proof that the record names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::change::{Cause, Change, What};
use super::commit::{UpdateCommit, commit_id};
use super::member::Member;
use super::record::{Accepted, RejectReason, RoundRecord};
use super::report::Reported;
use crate::codec::{self, DecodeError};
use crate::envelope::Signed;
use crate::id::{CommitId, FileHash};
use crate::key::PublicKey;
use crate::limits::{AUDIT_ROUNDS_MAX, CHANGES_MAX, MEMBERS_MAX, ROSTER_BYTES_MAX, STEWARDS_MAX};
use crate::run::{Admission, Invitation, RunSpec};

/// The parts in a run after one of its rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    stewards: Vec<PublicKey>,
    motions: u64,
    members: Vec<Member>,
}

/// Why a record's changes do not fit the roster before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// More than there may be, or out of order.
    #[error("its changes are too many or out of order")]
    Order,
    /// Two motions in one record: the second was moved for another roster.
    #[error("it carries out more than one motion")]
    Motions,
    /// Nothing would change, or nobody would be left.
    #[error("a change does not fit who has which part")]
    Unfit,
    /// A report in it was counted already, is too old, or is by somebody who has no part.
    #[error("a report in it is not due")]
    Report,
    /// The roster that results is another than the record says.
    #[error("the roster that results is another than the record says")]
    Root,
}

impl Roster {
    /// The parts at the start of a run.
    pub fn start(spec: &RunSpec) -> Self {
        Self::of(spec.stewards.clone())
    }

    /// These stewards, sorted, and no member yet.
    pub fn of(stewards: Vec<PublicKey>) -> Self {
        Self { stewards, motions: 0, members: Vec::new() }
    }

    /// Reads untrusted bytes: bounded, canonical, sorted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let roster: Self = codec::decode(bytes, ROSTER_BYTES_MAX)?;
        let sorted = roster.stewards.windows(2).all(|pair| pair[0] < pair[1])
            && roster.members.windows(2).all(|pair| pair[0].trainer < pair[1].trainer);
        let bounded = (1..=STEWARDS_MAX).contains(&roster.stewards.len())
            && roster.members.len() <= MEMBERS_MAX;
        if sorted && bounded { Ok(roster) } else { Err(DecodeError::NotCanonical) }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The hash of the canonical bytes.
    pub fn id(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }

    /// The nodes whose votes count, sorted.
    pub fn stewards(&self) -> &[PublicKey] {
        &self.stewards
    }

    /// Whether this node's vote counts.
    pub fn is_steward(&self, node: &PublicKey) -> bool {
        self.stewards.binary_search(node).is_ok()
    }

    /// How many motions were carried out; the next one must say this number.
    pub fn motions(&self) -> u64 {
        self.motions
    }

    /// Every trainer whose update ever counted, or who was removed, sorted.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A trainer's standing.
    pub fn member(&self, trainer: &PublicKey) -> Option<&Member> {
        self.at(trainer).ok().map(|at| &self.members[at])
    }

    fn at(&self, trainer: &PublicKey) -> Result<usize, usize> {
        self.members.binary_search_by_key(trainer, |member| member.trainer)
    }

    /// Whether a word of this trainer is heard: not removed, and welcome without an invitation.
    pub fn welcomes(&self, spec: &RunSpec, trainer: &PublicKey) -> bool {
        match self.member(trainer) {
            Some(member) => !member.removed,
            None => {
                let is_open = spec.admission.who == Admission::Open;
                is_open || spec.invites(trainer) || self.is_steward(trainer)
            }
        }
    }

    /// Whether `node` may vouch for trainers: it is a steward, invited by the spec, or past probation.
    pub fn may_vouch(&self, spec: &RunSpec, node: &PublicKey) -> bool {
        let member = self.member(node);
        let proven = |member: &Member| {
            !member.removed && member.accepted >= spec.admission.probation_rounds.max(1).into()
        };
        let removed = member.is_some_and(|member| member.removed);
        self.is_steward(node) || spec.invites(node) && !removed || member.is_some_and(proven)
    }

    /// How many trainers came in by this voucher.
    pub fn vouched(&self, voucher: &PublicKey) -> usize {
        self.members.iter().filter(|member| member.voucher.as_ref() == Some(voucher)).count()
    }

    /// Whether the signer of `commit` may send updates; if it needs a voucher, which one.
    pub fn admit(
        &self,
        spec: &RunSpec,
        commit: &Signed<UpdateCommit>,
    ) -> Result<Option<PublicKey>, RejectReason> {
        let trainer = commit.signer();
        match self.member(&trainer) {
            Some(member) if member.removed => return Err(RejectReason::Removed),
            Some(_) => return Ok(None),
            None => {}
        }
        let Admission::Invited { vouches_max, .. } = &spec.admission.who else {
            return Ok(None);
        };
        if spec.invites(&trainer) || self.is_steward(&trainer) {
            return Ok(None);
        }
        let bytes = commit.value().invitation.as_ref().ok_or(RejectReason::NotInvited)?;
        let opened = Signed::<Invitation>::open(bytes).map_err(|_| RejectReason::NotInvited)?;
        let (invitation, voucher) = (opened.value(), opened.signer());
        let fits = invitation.run == commit.value().run && invitation.trainer == trainer;
        if !fits || !self.may_vouch(spec, &voucher) {
            return Err(RejectReason::NotInvited);
        }
        if self.vouched(&voucher) >= *vouches_max as usize {
            return Err(RejectReason::VouchedOut);
        }
        Ok(Some(voucher))
    }

    /// The part of its full weight that a trainer's update has, out of how many: nothing on trial, then
    /// more with each that counted.
    fn proven(&self, spec: &RunSpec, trainer: &PublicKey) -> (u64, u64) {
        let probation = u64::from(spec.admission.probation_rounds);
        if probation == 0 || spec.invites(trainer) {
            return (1, 1);
        }
        (self.member(trainer).map_or(0, |member| member.accepted).min(probation), probation)
    }

    /// How commits that count stand in the record of `round`, sorted. Where all of them are on trial
    /// each has its full weight: somebody has to begin. Of those that one voucher brings beyond its
    /// cap the last by commit id are left out.
    pub fn entries<'a>(
        &self,
        spec: &RunSpec,
        round: u64,
        commits: impl IntoIterator<Item = &'a Signed<UpdateCommit>>,
    ) -> Vec<Accepted> {
        let mut entries: Vec<Accepted> = commits
            .into_iter()
            .filter_map(|commit| {
                let value = commit.value();
                Some(Accepted {
                    commit: commit_id(commit),
                    trainer: commit.signer(),
                    update: value.update,
                    norm: value.norm,
                    weight: value.data.used.min(spec.local.weight_max),
                    late: value.round != round,
                    voucher: self.admit(spec, commit).ok()?,
                })
            })
            .collect();
        entries.sort();
        if let Admission::Invited { vouches_max, .. } = &spec.admission.who {
            self.cap(&mut entries, *vouches_max as usize);
        }
        let proven: Vec<(u64, u64)> =
            entries.iter().map(|entry| self.proven(spec, &entry.trainer)).collect();
        if proven.iter().any(|(part, _)| *part > 0) {
            for (entry, (part, whole)) in entries.iter_mut().zip(proven) {
                entry.weight = (entry.weight * part).div_ceil(whole);
            }
        }
        entries
    }

    fn cap(&self, entries: &mut Vec<Accepted>, vouches_max: usize) {
        let mut vouched: BTreeMap<PublicKey, usize> = BTreeMap::new();
        entries.retain(|entry| {
            let Some(voucher) = entry.voucher else { return true };
            let count = vouched.entry(voucher).or_insert_with(|| self.vouched(&voucher));
            *count += 1;
            *count <= vouches_max
        });
    }

    /// The roster after `record`, whatever that says of it.
    pub fn after(&self, record: &RoundRecord) -> Result<Self, RosterError> {
        let RoundRecord { round, accepted, rejected, .. } = record;
        let (round, changes) = (*round, &record.parts.changes);
        let mut next = self.clone();
        for entry in accepted {
            let member = next.enter(entry.trainer, entry.voucher);
            if member.since == 0 {
                member.since = round;
            }
            member.last = round;
            member.accepted += 1;
            member.late += u64::from(entry.late);
        }
        for entry in rejected {
            // Whoever never sent anything that counted leaves no trace here: strangers are many.
            if let Ok(at) = next.at(&entry.trainer) {
                next.members[at].last = round;
                next.members[at].rejected += 1;
            }
        }
        next.count_alike(record);
        for report in &record.found.reports {
            next.count_report(round, report)?;
        }
        if changes.len() > CHANGES_MAX || !changes.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(RosterError::Order);
        }
        for change in changes {
            next.carry_out(change.what)?;
        }
        let motions = changes.iter().filter(|change| change.cause == Cause::Motion).count() as u64;
        if motions > 1 {
            return Err(RosterError::Motions);
        }
        next.motions += motions;
        next.forget();
        Ok(next)
    }

    /// Whether a report may be named in the record of `round`: not about one too old, and newer than what
    /// its auditor has reported before.
    pub(super) fn is_due(&self, round: u64, report: &Reported) -> bool {
        let recent = report.round < round && report.round + AUDIT_ROUNDS_MAX >= round;
        let auditor = self.member(&report.auditor);
        recent && auditor.is_some_and(|auditor| !auditor.removed && auditor.reported < report.round)
    }

    fn count_report(&mut self, round: u64, report: &Reported) -> Result<(), RosterError> {
        let at = self.at(&report.auditor).map_err(|_| RosterError::Report)?;
        if !self.is_due(round, report) {
            return Err(RosterError::Report);
        }
        self.members[at].reported = report.round;
        // Whoever was forgotten meanwhile has no standing to count in.
        if let Ok(at) = self.at(&report.trainer) {
            self.members[at].audits.count(report);
        }
        Ok(())
    }

    fn count_alike(&mut self, record: &RoundRecord) {
        let mut commits: Vec<CommitId> =
            record.found.alike.iter().flat_map(|pair| [pair.one, pair.other]).collect();
        commits.sort();
        commits.dedup();
        for commit in commits {
            let entry = record.accepted.iter().find(|entry| entry.commit == commit);
            if let Some(at) = entry.and_then(|entry| self.at(&entry.trainer).ok()) {
                self.members[at].alike += 1;
            }
        }
    }

    /// Whether this change would change something.
    pub fn takes(&self, what: What) -> bool {
        self.clone().carry_out(what).is_ok()
    }

    /// Changes it, if that fits.
    pub(super) fn carry_out(&mut self, what: What) -> Result<(), RosterError> {
        match what {
            What::Appoint(node) => match self.stewards.binary_search(&node) {
                Err(at) if self.stewards.len() < STEWARDS_MAX => self.stewards.insert(at, node),
                _ => return Err(RosterError::Unfit),
            },
            What::Dismiss(node) => match self.stewards.binary_search(&node) {
                Ok(at) if self.stewards.len() > 1 => drop(self.stewards.remove(at)),
                _ => return Err(RosterError::Unfit),
            },
            What::Remove(trainer) => {
                let member = self.enter(trainer, None);
                if std::mem::replace(&mut member.removed, true) {
                    return Err(RosterError::Unfit);
                }
            }
            What::Readmit(trainer) => {
                let at = self.at(&trainer).map_err(|_| RosterError::Unfit)?;
                if !std::mem::take(&mut self.members[at].removed) {
                    return Err(RosterError::Unfit);
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, trainer: PublicKey, voucher: Option<PublicKey>) -> &mut Member {
        let at = self.at(&trainer).unwrap_or_else(|at| {
            self.members.insert(at, Member::new(trainer, voucher));
            at
        });
        &mut self.members[at]
    }

    /// Forgets whoever was away longest, the removed last of all.
    fn forget(&mut self) {
        while self.members.len() > MEMBERS_MAX {
            let key =
                |(_, member): &(usize, &Member)| (member.removed, member.last, member.trainer);
            let oldest = self.members.iter().enumerate().min_by_key(key).map(|(at, _)| at);
            self.members.remove(oldest.unwrap_or(0));
        }
    }
}

/// The stewards after a record with these changes, for whoever follows nothing but who they are.
pub fn stewards_after(
    stewards: &[PublicKey],
    changes: &[Change],
) -> Result<Vec<PublicKey>, RosterError> {
    let mut roster = Roster::of(stewards.to_vec());
    for change in changes.iter().filter(|change| change.is_handover()) {
        roster.carry_out(change.what)?;
    }
    Ok(roster.stewards)
}

/// A roster shared by everything that follows one tip, written as the roster itself.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Roster;

    pub(crate) fn serialize<S: Serializer>(roster: &Arc<Roster>, s: S) -> Result<S::Ok, S::Error> {
        roster.as_ref().serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Roster>, D::Error> {
        Roster::deserialize(d).map(Arc::new)
    }
}
