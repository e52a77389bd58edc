//! A node's own part as a trainer.
//!
//! Invariants: one commit a round, said again as it was; an update that misses its round is offered to the
//! next one, once; a report on another's update is said until a record names it. What it is not: training.

use super::commit::{UpdateCommit, commit_id};
use super::effect::{Effect, Entry};
use super::input::{Audited, Trained};
use super::machine::Round;
use super::message::RunMessage;
use super::record::RoundRecord;
use super::report::{Report, assignments};
use super::slate::{Partial, Slate, Sliced};
use super::tip::Tip;
use crate::envelope::{Message, Signed};
use crate::id::{FileHash, RoundId};
use crate::key::PublicKey;
use crate::limits::{AUDIT_ROUNDS_MAX, PARTIALS_PER_NODE_MAX, SLATES_PER_STEWARD_MAX};
use crate::run::Presence;

/// What a trainer has said and asked for.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Its newest word.
    pub(super) word: Option<Signed<Presence>>,
    /// Its commit of the round under way.
    pub(super) commit: Option<Signed<UpdateCommit>>,
    /// Its commit of the round before, which did not name it.
    pub(super) late: Option<Signed<UpdateCommit>>,
    /// Its reports on others' updates that no record names yet.
    reports: Vec<Signed<Report>>,
    /// What it has said of slices of the round under way.
    partials: Vec<Signed<Partial>>,
    /// Slates of the round under way that it has taken on, by who signed them.
    slates: Vec<(PublicKey, FileHash)>,
    /// The envelope of its invitation.
    invitation: Option<Vec<u8>>,
    /// Where its data plane listens.
    addresses: Vec<String>,
    /// The round that `Effect::Train` was last asked for.
    asked: u64,
    /// That was not answered yet.
    busy: bool,
    /// It came to nothing; asked again when things are said again.
    failed: bool,
}

impl Part {
    /// The round under way is over, and makes this tip.
    pub(super) fn close(&mut self, tip: &Tip, record: &RoundRecord) {
        let rejected = |id| record.rejected.iter().any(|entry| entry.commit == id);
        let late = self.commit.take().filter(|commit| tip.takes_late(commit));
        self.late = late.filter(|commit| !rejected(commit_id(commit)));
        self.failed = false;
        self.partials.clear();
        self.slates.clear();
    }
}

impl Round {
    /// Whether this node trains in the run.
    pub fn is_trainer(&self) -> bool {
        self.part.word.as_ref().is_some_and(|word| word.value().joined)
    }

    /// Shows this invitation with every commit, until one has counted.
    pub fn show_invitation(&mut self, envelope: Option<Vec<u8>>) {
        self.part.invitation = envelope;
    }

    /// Says with its next word where its data plane listens.
    pub fn show_addresses(&mut self, addresses: Vec<String>) {
        self.part.addresses = addresses;
    }

    pub(super) fn participate(&mut self, joined: bool, said_ms: u64, effects: &mut Vec<Effect>) {
        effects.push(Effect::Persist(Entry::Participate { joined, said_ms }));
        let word = self.say(joined, said_ms);
        effects.push(Effect::Send(RunMessage::Presence(word)));
    }

    pub(super) fn say(&mut self, joined: bool, said_ms: u64) -> Signed<Presence> {
        let addresses = self.part.addresses.clone();
        let word = Presence { run: self.run, joined, said_ms, addresses };
        let word = Signed::sign(word, &self.key);
        self.part.word = Some(word.clone());
        // Whoever joins again may have new data, or data again: it is asked anew.
        (self.part.asked, self.part.busy) = (0, false);
        self.hear(&word);
        word
    }

    /// Asks for an update of the round under way, unless one of the round before is still being made: that
    /// may come late.
    pub(super) fn ask_to_train(&mut self, effects: &mut Vec<Effect>) {
        let (round, part) = (self.tip.round + 1, &self.part);
        let may_be_late = part.busy && part.asked == self.tip.round;
        if self.is_trainer() && part.commit.is_none() && part.asked != round && !may_be_late {
            (self.part.asked, self.part.busy) = (round, true);
            effects.push(Effect::Train { round, base: self.tip.clone() });
        }
    }

    pub(super) fn trained(
        &mut self,
        round: u64,
        update: Option<Trained>,
        effects: &mut Vec<Effect>,
    ) {
        if round == self.part.asked {
            self.part.busy = false;
        }
        let on_time = round == self.tip.round + 1;
        let known = if on_time { &self.part.commit } else { &self.part.late };
        if !self.is_trainer() || self.is_finished() || known.is_some() {
            return;
        }
        let Some(made) = update else {
            self.part.failed |= on_time;
            return;
        };
        let trainer = self.key.public();
        let shows = self.tip.roster.member(&trainer).is_none();
        let commit = UpdateCommit {
            run: self.run,
            round,
            base: if on_time { self.tip.id } else { self.tip.prev },
            update: made.update,
            update_bytes: made.update_bytes,
            data: made.data,
            invitation: self.part.invitation.clone().filter(|_| shows).map(Into::into),
            norm: made.norm,
            trace: made.trace,
        };
        let commit = Signed::sign(commit, &self.key);
        if on_time {
            self.part.commit = Some(commit.clone());
        } else if self.tip.takes_late(&commit) {
            self.part.late = Some(commit.clone());
        } else {
            return;
        }
        effects.push(Effect::Persist(Entry::Commit(commit.bytes().to_vec())));
        effects.push(Effect::Send(RunMessage::Commit(commit.clone())));
        self.commit(commit, effects);
    }

    /// Asks for a look at the update that this node was drawn to look at, if it was; nothing comes of one
    /// in the last round, whose reports no record names.
    pub(super) fn ask_to_audit(
        &mut self,
        base: Tip,
        record: &RoundRecord,
        effects: &mut Vec<Effect>,
    ) {
        let me = self.key.public();
        let due = |report: &Signed<Report>| {
            let known = self.tip.roster.member(&me).map_or(0, |member| member.reported);
            let round = report.value().round;
            round > known && round + AUDIT_ROUNDS_MAX > self.tip.round
        };
        self.part.reports.retain(due);
        if self.is_finished() || !self.is_trainer() {
            return;
        }
        let mut asked = assignments(record, self.spec.value().rounds.audits).into_iter();
        if let Some(assignment) = asked.find(|asked| asked.auditor == me) {
            let (base, record) = (Box::new(base), Box::new(record.clone()));
            effects.push(Effect::Audit { base, record, assignment });
        }
    }

    pub(super) fn audited(&mut self, audited: Audited, effects: &mut Vec<Effect>) {
        let Audited { round, record, commit, holdout, retraining } = audited;
        let report = Report { run: self.run, round, record, commit, holdout, retraining };
        if self.is_finished() || report.check(&self.key.public()).is_err() {
            return;
        }
        let report = Signed::sign(report, &self.key);
        self.part.reports.push(report.clone());
        self.report(&report);
        effects.push(Effect::Send(RunMessage::Report(report)));
    }

    /// Takes on the slices that are this node's, unless the steward asks too often.
    pub(super) fn slate(&mut self, slate: Signed<Slate>, effects: &mut Vec<Effect>) {
        let (steward, list) = (slate.signer(), slate.value().list);
        let slices = self.committee.as_ref().map(|of| of.slices_of(&self.key.public()));
        let slices = slices.unwrap_or_default();
        let of_steward = self.part.slates.iter().filter(|(of, _)| *of == steward).count();
        let known = self.part.slates.iter().any(|(_, known)| *known == list);
        if slices.is_empty() || known || of_steward >= SLATES_PER_STEWARD_MAX {
            return;
        }
        if slate.value().base == self.tip.id {
            self.part.slates.push((steward, list));
            effects.push(Effect::Slices { base: self.tip.clone(), slate, slices });
        }
    }

    /// Says what slices come to that this node has worked out.
    pub(super) fn sliced(
        &mut self,
        base: RoundId,
        slate: FileHash,
        slices: Vec<Sliced>,
        effects: &mut Vec<Effect>,
    ) {
        let has_word = self.committee.as_ref().is_some_and(|of| of.hears(&self.key.public()));
        if base != self.tip.id || !has_word || slices.is_empty() {
            return;
        }
        let partial = Partial { run: self.run, round: self.tip.round + 1, base, slate, slices };
        let partial = Signed::sign(partial, &self.key);
        if self.part.partials.len() < PARTIALS_PER_NODE_MAX
            && !self.part.partials.contains(&partial)
        {
            self.part.partials.push(partial.clone());
            effects.push(Effect::Send(RunMessage::Partial(partial.clone())));
            self.partial(partial);
        }
    }

    pub(super) fn say_part_again(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.part.word.clone().map(RunMessage::Presence).map(Effect::Send));
        // Its own commit is checked again after a restart, or when its own bytes were not there yet.
        let late = self.part.late.clone().filter(|_| self.part.commit.is_none());
        for commit in self.part.commit.clone().into_iter().chain(late) {
            effects.push(Effect::Send(RunMessage::Commit(commit.clone())));
            self.commit(commit, effects);
        }
        effects.extend(self.part.reports.iter().cloned().map(RunMessage::Report).map(Effect::Send));
        let partials = self.part.partials.iter().cloned();
        effects.extend(partials.map(RunMessage::Partial).map(Effect::Send));
        if std::mem::take(&mut self.part.failed) {
            self.part.asked = 0;
        }
    }
}
