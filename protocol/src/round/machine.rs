//! The state machine: what every node of a run does, trainer, steward or onlooker.
//!
//! Invariants: see the module's. What it is not: the stewards' part, which is in `steward`, the trainers',
//! which is in `part`, or a restart, which is in `replay`.

use super::change::{Motion, What};
use super::commit::UpdateCommit;
use super::committee::Committee;
use super::docket::Docket;
use super::effect::{Effect, Entry};
use super::equivocation::Equivocation;
use super::input::Input;
use super::message::RunMessage;
use super::part::Part;
use super::present::Present;
use super::record::Certificate;
use super::report::Report;
use super::slate::Partial;
use super::steward::Bench;
use super::tally::Taken;
use super::tip::Tip;
use super::vote::{Proposal, Vote};
use crate::envelope::Signed;
use crate::id::RunId;
use crate::key::{PublicKey, SecretKey};
use crate::run::{Presence, RunSpec, run_id};

/// One node's view of a run, moved from round to round.
#[derive(Debug)]
pub struct Round {
    pub(super) spec: Signed<RunSpec>,
    pub(super) run: RunId,
    pub(super) key: SecretKey,
    pub(super) tip: Tip,
    pub(super) present: Present,
    pub(super) docket: Docket,
    pub(super) bench: Option<Bench>,
    pub(super) part: Part,
    pub(super) newest: Option<Certificate>,
    /// Who works out which slice of the round under way, if it is cut.
    pub(super) committee: Option<Committee>,
    resend_at_ms: u64,
    resends: u32,
}

impl Round {
    /// A node with `key` that enters the run at its start.
    pub fn new(spec: Signed<RunSpec>, key: SecretKey, now_ms: u64) -> Self {
        let run = run_id(&spec);
        let tip = Tip::start(run, spec.value());
        let mut round = Self {
            run,
            key,
            tip,
            present: Present::default(),
            docket: Docket::default(),
            bench: None,
            part: Part::default(),
            newest: None,
            committee: None,
            resend_at_ms: now_ms,
            resends: 0,
            spec,
        };
        round.open(now_ms);
        round
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The run's specification.
    pub fn spec(&self) -> &Signed<RunSpec> {
        &self.spec
    }

    /// The newest certified round.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Whether the last round is certified.
    pub fn is_finished(&self) -> bool {
        self.tip.round >= self.spec.value().rounds.count
    }

    /// Who works out which slice of the round under way, if that is cut.
    pub fn committee(&self) -> Option<&Committee> {
        self.committee.as_ref()
    }

    /// Whether this node is a steward of the run.
    pub fn is_steward(&self) -> bool {
        self.tip.roster.is_steward(&self.key.public())
    }

    /// Who said they train.
    pub fn trainers(&self) -> impl Iterator<Item = PublicKey> {
        self.present.joined()
    }

    /// Motions that wait for more stewards, or for the next record.
    pub fn motions(&self) -> impl Iterator<Item = &Signed<Motion>> {
        self.docket.motions()
    }

    /// The attempt at agreement under way, if this is a steward and there is one.
    pub fn attempt(&self) -> Option<u32> {
        self.bench.as_ref().and_then(Bench::attempt)
    }

    /// Takes one input at the time `now_ms` (any steady clock); returns what is to be done.
    pub fn handle(&mut self, now_ms: u64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Participate { joined, said_ms } => {
                self.participate(joined, said_ms, &mut effects);
            }
            Input::Move(what) => self.moves(what, &mut effects),
            Input::Message(message) => self.message(now_ms, *message, &mut effects),
            Input::Trained { round, update } => self.trained(round, update, &mut effects),
            Input::Audited(audited) => self.audited(audited, &mut effects),
            Input::Sliced { base, slate, slices } => {
                self.sliced(base, slate, slices, &mut effects);
            }
            Input::CaughtUp(certificates) => {
                for certificate in certificates {
                    self.adopt(now_ms, certificate, &mut effects);
                }
            }
            Input::Checked { .. } | Input::Built { .. } | Input::Verified { .. } | Input::Tick => {
                self.with_bench(|bench, round| bench.answer(round, now_ms, input, &mut effects));
            }
        }
        self.advance(now_ms, &mut effects);
        effects
    }

    /// When `Input::Tick` is due.
    pub fn deadline(&self) -> Option<u64> {
        if self.is_finished() {
            return None;
        }
        let bench = self.bench.as_ref().and_then(|bench| bench.deadline(self));
        bench.into_iter().chain([self.resend_at_ms]).min()
    }

    /// The slice that this steward works out whatever others say: known to nobody else.
    pub(super) fn spot(&self) -> Option<u32> {
        let slices = self.committee.as_ref()?.slices();
        let mut hasher = blake3::Hasher::new_derive_key("accord spot slice v1");
        hasher.update(&self.key.seed()).update(self.tip.id.as_bytes());
        let mut word = [0; 8];
        hasher.finalize_xof().fill(&mut word);
        Some((u64::from_le_bytes(word) % u64::from(slices)) as u32)
    }

    /// How long to wait before saying things again: longer each time, up to eight times.
    fn resend_ms(&self) -> u64 {
        (self.spec.value().rounds.agree_ms * 2) << self.resends.min(3)
    }

    pub(super) fn hear(&mut self, word: &Signed<Presence>) {
        if self.tip.roster.welcomes(self.spec.value(), &word.signer()) {
            self.present.hear(word);
        }
    }

    fn moves(&mut self, what: What, effects: &mut Vec<Effect>) {
        let (run, serial) = (self.run, self.tip.roster.motions());
        let motion = Signed::sign(Motion { run, serial, what }, &self.key);
        if self.docket.moved(&self.tip.roster, &motion) {
            effects.push(Effect::Persist(Entry::Motion(motion.bytes().to_vec())));
            effects.push(Effect::Send(RunMessage::Motion(motion)));
        }
    }

    fn message(&mut self, now_ms: u64, message: RunMessage, effects: &mut Vec<Effect>) {
        let next = self.tip.round + 1;
        let round = match &message {
            RunMessage::Presence(_) | RunMessage::Motion(_) | RunMessage::Evidence(..) => next,
            // Of one before, and as welcome as those.
            RunMessage::Report(_) => next,
            // Of no use to anyone but in their round.
            RunMessage::Slate(slate) if slate.value().round < next => return,
            RunMessage::Partial(partial) if partial.value().round < next => return,
            RunMessage::Slate(slate) => slate.value().round,
            RunMessage::Partial(partial) => partial.value().round,
            RunMessage::Commit(commit) => commit.value().round,
            RunMessage::Proposal(proposal) => proposal.value().record.round,
            RunMessage::Vote(vote) => vote.value().round,
            RunMessage::Certificate(certificate) => certificate.record.round,
        };
        if round > next {
            effects.push(Effect::CatchUp { round: next });
        }
        match message {
            RunMessage::Certificate(certificate) => self.adopt(now_ms, certificate, effects),
            message if round == next => self.current(now_ms, message, effects),
            RunMessage::Commit(commit) if self.tip.takes_late(&commit) => {
                self.commit(commit, effects);
            }
            // Whoever still talks of a finished round has missed its certificate. The next resend
            // carries it, which bounds how often a liar can make us speak.
            _ if round < next => self.bench.iter_mut().for_each(Bench::tell_newest),
            _ => {}
        }
    }

    fn current(&mut self, now_ms: u64, message: RunMessage, effects: &mut Vec<Effect>) {
        let by_steward = |of: PublicKey| self.tip.roster.is_steward(&of);
        match message {
            RunMessage::Presence(word) => self.hear(&word),
            RunMessage::Commit(commit) => self.commit(commit, effects),
            RunMessage::Proposal(proposal) if by_steward(proposal.signer()) => {
                self.proposal(now_ms, proposal, effects);
            }
            RunMessage::Vote(vote) if by_steward(vote.signer()) => self.vote(now_ms, vote, effects),
            RunMessage::Motion(motion) if self.bench.is_some() => {
                self.docket.moved(&self.tip.roster, &motion);
            }
            RunMessage::Evidence(of, pair) => self.charge(of, pair, effects),
            RunMessage::Report(report) => self.report(&report),
            RunMessage::Slate(slate) if by_steward(slate.signer()) => self.slate(slate, effects),
            RunMessage::Partial(partial) => self.partial(partial),
            _ => {}
        }
    }

    pub(super) fn commit(&mut self, commit: Signed<UpdateCommit>, effects: &mut Vec<Effect>) {
        if self.tip.roster.admit(self.spec.value(), &commit).is_err() {
            return;
        }
        if commit.value().base == self.tip.id {
            self.present.committed(&commit.signer());
        }
        let base = self.tip.clone();
        match self.bench.as_mut().map(|bench| bench.take(commit.clone())) {
            Some(Taken::New) => effects.push(Effect::Check { commit, base }),
            // It may be named as a duplicate, and then everyone must be able to see it.
            Some(Taken::Other) => effects.push(Effect::Keep(commit.bytes().to_vec())),
            Some(Taken::Known) | None => {}
        }
    }

    fn proposal(&mut self, now_ms: u64, message: Signed<Proposal>, effects: &mut Vec<Effect>) {
        let lie = self.bench.as_ref().and_then(|bench| bench.heard.other_proposal(&message));
        if let Some(pair) = lie {
            self.charge(message.signer(), pair, effects);
        }
        self.with_bench(|bench, round| bench.proposal(round, now_ms, message, effects));
    }

    fn vote(&mut self, now_ms: u64, message: Signed<Vote>, effects: &mut Vec<Effect>) {
        let lie = self.bench.as_ref().and_then(|bench| bench.heard.other_vote(&message));
        if let Some(pair) = lie {
            self.charge(message.signer(), pair, effects);
        }
        self.with_bench(|bench, round| bench.vote(round, now_ms, message, effects));
    }

    /// Keeps proof that a steward lies, for the next record, and tells the others.
    fn charge(&mut self, of: PublicKey, pair: Equivocation, effects: &mut Vec<Effect>) {
        if self.bench.is_some() && self.docket.charge(&self.tip.roster, of, pair.clone()) {
            effects.push(Effect::Persist(Entry::Evidence(pair.to_bytes())));
            effects.push(Effect::Send(RunMessage::Evidence(of, pair)));
        }
    }

    /// Takes what a node says of slices, if it has a say.
    pub(super) fn partial(&mut self, partial: Signed<Partial>) {
        let heard = self.committee.as_ref().is_some_and(|of| of.hears(&partial.signer()));
        if heard && partial.value().base == self.tip.id {
            self.bench.iter_mut().for_each(|bench| bench.gather.take(partial.clone()));
        }
    }

    pub(super) fn report(&mut self, report: &Signed<Report>) {
        if self.bench.is_some() {
            self.docket.reported(self.spec.value(), &self.tip, report);
        }
    }

    /// Lets the bench act with the rest of the state in view.
    fn with_bench(&mut self, act: impl FnOnce(&mut Bench, &Self)) {
        if let Some(mut bench) = self.bench.take() {
            act(&mut bench, self);
            self.bench = Some(bench);
        }
    }

    /// Takes a certificate if it is the next one: signed by the stewards there are, and with the roster
    /// that follows.
    fn adopt(&mut self, now_ms: u64, certificate: Certificate, effects: &mut Vec<Effect>) {
        let Some(tip) = self.follows(&certificate) else { return };
        effects.push(Effect::Persist(Entry::Certificate(certificate.to_bytes())));
        let base = self.tip.clone();
        self.move_to(now_ms, certificate.clone(), tip.clone());
        self.ask_to_audit(base, &certificate.record, effects);
        effects.push(Effect::Certified(Box::new(certificate), Box::new(tip)));
        if self.is_finished() {
            effects.push(Effect::Finish);
        } else if let Some(late) = self.part.late.clone() {
            effects.push(Effect::Send(RunMessage::Commit(late.clone())));
            self.commit(late, effects);
        }
    }

    /// The tip that a certificate makes, if it follows the one there is.
    pub(super) fn follows(&self, certificate: &Certificate) -> Option<Tip> {
        let (spec, stewards) = (self.spec.value(), self.tip.roster.stewards());
        let next =
            self.tip.is_base_of(&certificate.record) && certificate.check(spec, stewards).is_ok();
        if next { self.tip.after(&certificate.record).ok() } else { None }
    }

    pub(super) fn move_to(&mut self, now_ms: u64, certificate: Certificate, tip: Tip) {
        if let Some(bench) = &self.bench {
            self.present.close(|trainer| bench.holds(trainer, tip.round));
        }
        self.part.close(&tip, &certificate.record);
        if self.bench.is_some() {
            self.docket.certified(certificate.record.clone());
        }
        self.tip = tip;
        self.newest = Some(certificate);
        self.open(now_ms);
    }

    pub(super) fn open(&mut self, now_ms: u64) {
        self.docket.settle(&self.tip);
        self.resends = 0;
        self.resend_at_ms = now_ms + self.resend_ms();
        let spec = self.spec.value();
        self.committee = Committee::of(spec, &self.tip).filter(|_| !self.is_finished());
        let agrees = self.is_steward() && !self.is_finished();
        self.bench =
            agrees.then(|| Bench::new(self.run, &self.tip, self.key.clone(), spec, now_ms));
    }

    /// Does what has become possible, and says things again when it is time.
    fn advance(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        self.with_bench(|bench, round| bench.advance(round, now_ms, effects));
        if let Some(slate) = self.bench.as_mut().and_then(Bench::asked) {
            self.slate(slate, effects);
        }
        let decided = self.bench.as_ref().and_then(|bench| bench.decided().zip(Some(bench)));
        if let Some((certificate, bench)) = decided {
            let (certificate, tells) = (certificate.clone(), bench.tells(certificate));
            self.adopt(now_ms, certificate.clone(), effects);
            effects.extend(tells.then_some(RunMessage::Certificate(certificate)).map(Effect::Send));
        }
        if self.is_finished() {
            return;
        }
        self.ask_to_train(effects);
        if now_ms >= self.resend_at_ms {
            self.resends += 1;
            self.resend_at_ms = now_ms + self.resend_ms();
            self.resend(effects);
        }
    }

    fn resend(&mut self, effects: &mut Vec<Effect>) {
        self.say_part_again(effects);
        if let Some(bench) = &mut self.bench {
            let newest = self.newest.clone().filter(|_| bench.told_newest());
            effects.extend(newest.map(RunMessage::Certificate).map(Effect::Send));
            effects.extend(bench.said().map(Effect::Send));
            let motions = self.docket.motions().cloned().map(RunMessage::Motion);
            let evidence = self.docket.evidence();
            let evidence = evidence.map(|(of, pair)| RunMessage::Evidence(of, pair.clone()));
            effects.extend(motions.chain(evidence).map(Effect::Send));
        }
        // Nothing certified for a whole interval: perhaps it was, elsewhere.
        effects.push(Effect::CatchUp { round: self.tip.round + 1 });
    }
}
