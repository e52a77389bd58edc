//! A steward's part in one round: gather commits, have them checked, agree on the outcome.
//!
//! Invariants: every step of the agreement is journaled before its consequences are sent; a proposal
//! reaches the agreement only with a verdict on its record; one build and one verification of a
//! record are under way at a time. What it is not: kept beyond its round.

use std::collections::BTreeMap;

use super::agreement::{Agreement, Step};
use super::commit::UpdateCommit;
use super::effect::{Effect, Entry};
use super::gather::{Gather, Waiting};
use super::heard::Heard;
use super::input::{Input, Verdict};
use super::machine::Round;
use super::message::RunMessage;
use super::record::{Certificate, RoundRecord};
use super::slate::{Slate, slate_list};
use super::tally::{Taken, Tally};
use super::tip::Tip;
use super::vote::{Proposal, Vote};
use crate::envelope::Signed;
use crate::id::{CommitId, FileHash, RoundId, RunId};
use crate::key::{PublicKey, SecretKey};
use crate::limits::PROPOSED_RECORDS_MAX;
use crate::run::RunSpec;

#[derive(Debug)]
pub(super) struct Bench {
    tally: Tally,
    agreement: Agreement,
    /// Records proposed to us, with what recomputing found and the proposals that wait for it.
    proposed: BTreeMap<RoundId, Proposed>,
    /// Votes and proposals taken, so that none is journaled twice.
    pub(super) heard: Heard,
    /// What was said of slices.
    pub(super) gather: Gather,
    /// A `Build` is under way.
    building: bool,
    /// The attempt in which building failed; it is tried again in a later one.
    build_failed: Option<u32>,
    /// The record we built, offered in each attempt that is ours.
    built: Option<RoundRecord>,
    opened_ms: u64,
    tell_newest: bool,
    /// A slate of its own that it has not looked at yet.
    asked: Option<Signed<Slate>>,
}

#[derive(Debug, Default)]
struct Proposed {
    holds: Option<bool>,
    verifying: bool,
    waiting: Vec<Signed<Proposal>>,
}

impl Bench {
    /// The bench of the round after `tip`.
    pub(super) fn new(run: RunId, tip: &Tip, key: SecretKey, spec: &RunSpec, now_ms: u64) -> Self {
        let (agree_ms, stewards) = (spec.rounds.agree_ms, tip.roster.stewards());
        Self {
            tally: Tally::default(),
            agreement: Agreement::new(run, tip.round + 1, key, stewards, agree_ms),
            proposed: BTreeMap::new(),
            heard: Heard::default(),
            gather: Gather::default(),
            building: false,
            build_failed: None,
            built: None,
            opened_ms: now_ms,
            tell_newest: false,
            asked: None,
        }
    }

    /// Takes a commit; says what is to be done with it.
    pub(super) fn take(&mut self, commit: Signed<UpdateCommit>) -> Taken {
        self.tally.take(commit)
    }

    /// Whether a commit of `trainer` for `round` is here.
    pub(super) fn holds(&self, trainer: &PublicKey, round: u64) -> bool {
        self.tally.holds(trainer, round)
    }

    pub(super) fn decided(&self) -> Option<&Certificate> {
        self.agreement.decided()
    }

    /// Whether it is this steward's to tell everyone of the certificate: whoever proposed does, and the next in
    /// turn, lest that one is gone. Each steward has another set of votes, so all of them would be as many
    /// certificates.
    pub(super) fn tells(&self, certificate: &Certificate) -> bool {
        let turn = |attempt| self.agreement.is_own_turn(attempt);
        turn(certificate.attempt) || turn(certificate.attempt.saturating_add(1))
    }

    pub(super) fn attempt(&self) -> Option<u32> {
        self.agreement.is_started().then(|| self.agreement.attempt())
    }

    pub(super) fn said(&self) -> impl Iterator<Item = RunMessage> {
        let slate = self.gather.waiting.as_ref().map(|waiting| waiting.slate.clone());
        self.agreement.said().chain(slate.map(RunMessage::Slate))
    }

    /// Somebody has missed the newest certificate.
    pub(super) fn tell_newest(&mut self) {
        self.tell_newest = true;
    }

    /// Whether somebody has, since this was last asked.
    pub(super) fn told_newest(&mut self) -> bool {
        std::mem::take(&mut self.tell_newest)
    }

    pub(super) fn deadline(&self, round: &Round) -> Option<u64> {
        let waiting = (!self.agreement.is_started()).then(|| self.closes_at_ms(round));
        // A round that is over time waits for commits, not for the clock.
        let waiting = waiting.filter(|_| self.has_enough(round));
        let slices = self.gather.waiting.as_ref().map(|waiting| waiting.until_ms);
        let slices = slices.filter(|_| self.agreement.wanted().is_some());
        let due = self.agreement.due().map(|(at, _)| at);
        due.into_iter().chain(waiting).chain(slices).min()
    }

    pub(super) fn replay(&mut self, now_ms: u64, step: &Step) {
        match step {
            Step::Offer { record, .. } => self.built = Some((**record).clone()),
            Step::Proposal { bytes, valid } => {
                if let Ok(proposal) = Signed::<Proposal>::open(bytes) {
                    let id = proposal.value().record.id();
                    self.proposed.entry(id).or_default().holds = Some(*valid);
                    self.heard.proposal(&proposal);
                }
            }
            Step::Vote { bytes } => {
                if let Ok(vote) = Signed::<Vote>::open(bytes) {
                    self.heard.vote(&vote);
                }
            }
            Step::Start | Step::Polka { .. } | Step::Timeout { .. } => {}
        }
        self.agreement.apply(now_ms, step);
    }

    pub(super) fn proposal(
        &mut self,
        round: &Round,
        now_ms: u64,
        message: Signed<Proposal>,
        effects: &mut Vec<Effect>,
    ) {
        let proposal = message.value();
        let in_turn = self.agreement.is_turn_of(&message.signer(), proposal.attempt);
        let record = proposal.record.clone();
        let id = record.id();
        if !in_turn || !self.agreement.takes(proposal.attempt) || !self.make_room(&id) {
            return;
        }
        if !self.heard.proposal(&message) {
            return;
        }
        self.start(round, now_ms, effects);
        let fits = round.tip.is_base_of(&record) && record.check(round.spec.value()).is_ok();
        let entry = self.proposed.entry(id).or_default();
        if !fits {
            entry.holds = Some(false);
        }
        if entry.waiting.len() < PROPOSED_RECORDS_MAX {
            entry.waiting.push(message);
        }
        if entry.holds.is_none() && !entry.verifying {
            entry.verifying = true;
            let base = round.tip.clone();
            let list = FileHash::of(&slate_list(&record.accepted));
            let partials = self.gather.of(list);
            let spot = round.spot();
            effects.push(Effect::Verify { record: Box::new(record), base, partials, spot });
        }
        self.feed_proposals(round, now_ms, id, effects);
    }

    pub(super) fn vote(
        &mut self,
        round: &Round,
        now_ms: u64,
        message: Signed<Vote>,
        effects: &mut Vec<Effect>,
    ) {
        let takes = self.agreement.takes(message.value().attempt);
        if !takes || !self.heard.vote(&message) {
            return;
        }
        self.start(round, now_ms, effects);
        let bytes = message.bytes().to_vec();
        self.step(round, now_ms, Step::Vote { bytes }, effects);
        let stewards = round.tip.roster.stewards().len();
        if let Some(votes) = self.heard.uncounted(message.value(), stewards) {
            let votes = votes.into_iter().map(Into::into).collect();
            self.step(round, now_ms, Step::Polka { votes }, effects);
        }
    }

    /// An answer to an effect, or a tick.
    pub(super) fn answer(
        &mut self,
        round: &Round,
        now_ms: u64,
        input: Input,
        effects: &mut Vec<Effect>,
    ) {
        match input {
            // What was found on another tip, by an older frontier, says nothing of a late commit now.
            Input::Checked { commit, base, verdict } if base == round.tip.id => {
                self.checked(commit, verdict);
            }
            // One of a round before may come late.
            Input::Built { round: of, record, unfit } if of == round.tip.round + 1 => {
                self.building = false;
                let failed = record.is_none() && unfit.is_empty();
                self.build_failed = failed.then(|| self.agreement.attempt());
                for (commit, reason) in unfit {
                    self.tally.overrule(commit, reason);
                }
                self.built = record.map(|r| *r).filter(|r| round.tip.is_base_of(r));
            }
            Input::Verified { record, holds } => {
                self.verified(record, holds);
                self.feed_proposals(round, now_ms, record, effects);
            }
            _ => {}
        }
    }

    /// Starts, offers and times out as it becomes due.
    pub(super) fn advance(&mut self, round: &Round, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.is_ready(round, now_ms) {
            self.start(round, now_ms, effects);
        }
        while let Some((_, step)) = self.agreement.due().filter(|(at, _)| *at <= now_ms) {
            self.step(round, now_ms, step, effects);
        }
        let Some(attempt) = self.agreement.wanted() else { return };
        match &self.built {
            Some(record) => {
                let step = Step::Offer { attempt, record: Box::new(record.clone()) };
                self.step(round, now_ms, step, effects);
            }
            // Somebody else may have found the round ready before us: the first attempt still waits.
            None if !self.building
                && self.build_failed != Some(attempt)
                && self.has_enough(round)
                && (attempt > 0 || self.is_ready(round, now_ms)) =>
            {
                if let Some(build) = self.draft_when_settled(round, now_ms, effects) {
                    self.building = true;
                    effects.push(build);
                }
            }
            None => {}
        }
    }

    /// What is to be built: at once, or where the round is cut once its slices are there. Asks for them first.
    fn draft_when_settled(
        &mut self,
        round: &Round,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) -> Option<Effect> {
        let Some(committee) = &round.committee else { return Some(self.draft(round)) };
        if self.gather.waiting.is_none() {
            let build = self.draft(round);
            let Effect::Build { accepted, .. } = &build else { return Some(build) };
            let bytes = slate_list(accepted);
            let list = FileHash::of(&bytes);
            let (run, base) = (round.run, round.tip.id);
            let slate = Slate { run, round: round.tip.round + 1, base, list };
            let slate = Signed::sign(slate, &round.key);
            let until_ms = now_ms + round.spec.value().rounds.agree_ms / 2;
            effects.push(Effect::Keep(bytes));
            effects.push(Effect::Send(RunMessage::Slate(slate.clone())));
            self.asked = Some(slate.clone());
            self.gather.waiting = Some(Waiting { build, slate, until_ms });
        }
        self.gather.settled(committee, now_ms)
    }

    /// The slate that this steward asked for last, for itself to take on, once.
    pub(super) fn asked(&mut self) -> Option<Signed<Slate>> {
        self.asked.take()
    }

    fn draft(&self, round: &Round) -> Effect {
        let (base, spec) = (round.tip.clone(), round.spec.value());
        let accepted = base.roster.entries(spec, base.round + 1, self.tally.accepted());
        let (changes, mut proofs) = round.docket.due(&base.roster);
        let (reports, envelopes) = round.docket.reports_due(&base);
        proofs.extend(envelopes);
        Effect::Build {
            round: base.round + 1,
            base,
            accepted,
            rejected: self.tally.rejected(),
            reports,
            changes,
            proofs,
            partials: Vec::new(),
            spot: round.spot(),
        }
    }

    fn checked(&mut self, commit: CommitId, verdict: Verdict) {
        match verdict {
            Verdict::Good => self.tally.judge(commit, Ok(())),
            Verdict::Bad(reason) => self.tally.judge(commit, Err(reason)),
            Verdict::Unavailable => self.tally.forget(commit),
        }
    }

    fn verified(&mut self, record: RoundId, holds: Option<bool>) {
        let Some(entry) = self.proposed.get_mut(&record) else { return };
        entry.verifying = false;
        entry.holds = entry.holds.or(holds);
        if entry.holds.is_some() {
            return;
        }
        // Bytes were missing: the proposal comes again, and with it the question. Until then it is
        // as if it had never come, so that records that nobody has take no room.
        let waiting = self.proposed.remove(&record).map(|entry| entry.waiting).unwrap_or_default();
        for message in waiting {
            self.heard.forget(&message);
        }
    }

    /// Whether the record has room among those proposed. What is settled makes way: proposed again,
    /// it is verified again. What is not is bounded by the slots of the attempts that are taken.
    fn make_room(&mut self, id: &RoundId) -> bool {
        if self.proposed.len() < PROPOSED_RECORDS_MAX || self.proposed.contains_key(id) {
            return true;
        }
        let settled = |entry: &Proposed| !entry.verifying && entry.waiting.is_empty();
        let mut settled = self.proposed.iter().filter(|(_, entry)| settled(entry));
        let refuted = settled.clone().find(|(_, entry)| entry.holds == Some(false));
        let leaves = refuted.or_else(|| settled.next()).map(|(id, _)| *id);
        leaves.is_some_and(|id| self.proposed.remove(&id).is_some())
    }

    fn feed_proposals(
        &mut self,
        round: &Round,
        now_ms: u64,
        id: RoundId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.proposed.get_mut(&id) else { return };
        let Some(valid) = entry.holds else { return };
        for message in std::mem::take(&mut entry.waiting) {
            let bytes = message.bytes().to_vec();
            self.step(round, now_ms, Step::Proposal { bytes, valid }, effects);
        }
    }

    fn start(&mut self, round: &Round, now_ms: u64, effects: &mut Vec<Effect>) {
        if !self.agreement.is_started() {
            self.step(round, now_ms, Step::Start, effects);
        }
    }

    fn step(&mut self, round: &Round, now_ms: u64, step: Step, effects: &mut Vec<Effect>) {
        if self.agreement.decided().is_some() {
            return;
        }
        let said = self.agreement.apply(now_ms, &step);
        effects.push(Effect::Persist(Entry::Step { round: round.tip.round + 1, step }));
        effects.extend(said.into_iter().map(Effect::Send));
    }

    fn closes_at_ms(&self, round: &Round) -> u64 {
        self.opened_ms + round.spec.value().rounds.train_ms
    }

    fn has_enough(&self, round: &Round) -> bool {
        self.tally.accepted_count() >= round.spec.value().rounds.updates_min as usize
    }

    fn is_ready(&self, round: &Round, now_ms: u64) -> bool {
        let is_judged = |trainer| self.tally.is_judged(trainer, round.tip.round + 1);
        let all_in = round.present.expected().all(is_judged);
        self.has_enough(round) && (all_in || now_ms >= self.closes_at_ms(round))
    }
}
