//! The state machine: what every node of a run does, trainer, steward or onlooker.
//!
//! Invariants: see the module's. What it is not: the stewards' part, which is in `steward`.

use super::commit::UpdateCommit;
use super::effect::{Effect, Entry};
use super::input::{Input, Trained};
use super::message::RunMessage;
use super::present::Present;
use super::record::Certificate;
use super::steward::Bench;
use super::tip::Tip;
use super::vote::{Proposal, Vote};
use crate::envelope::Signed;
use crate::id::RunId;
use crate::key::{PublicKey, SecretKey};
use crate::run::{Admission, Presence, RunSpec, run_id};

/// One node's view of a run, moved from round to round.
#[derive(Debug)]
pub struct Round {
    pub(super) spec: Signed<RunSpec>,
    pub(super) run: RunId,
    pub(super) key: SecretKey,
    pub(super) tip: Tip,
    pub(super) present: Present,
    pub(super) bench: Option<Bench>,
    newest: Option<Certificate>,
    part: Part,
    resend_at_ms: u64,
    resends: u32,
}

/// This node's own part as a trainer.
#[derive(Debug, Default)]
struct Part {
    word: Option<Signed<Presence>>,
    commit: Option<Signed<UpdateCommit>>,
    /// The round that `Effect::Train` was last asked for.
    training: u64,
    /// That came to nothing; asked again when things are said again.
    failed: bool,
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
            bench: None,
            newest: None,
            part: Part::default(),
            resend_at_ms: now_ms,
            resends: 0,
            spec,
        };
        round.open(now_ms);
        round
    }

    /// A node that starts again from its journal.
    pub fn restore(
        spec: Signed<RunSpec>,
        key: SecretKey,
        entries: impl IntoIterator<Item = Entry>,
        now_ms: u64,
    ) -> Self {
        let mut round = Self::new(spec, key, now_ms);
        for entry in entries {
            round.replay(entry, now_ms);
        }
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

    /// Whether this node trains in the run.
    pub fn is_trainer(&self) -> bool {
        self.part.word.as_ref().is_some_and(|word| word.value().joined)
    }

    /// Whether this node is a steward of the run.
    pub fn is_steward(&self) -> bool {
        self.spec.value().stewards.binary_search(&self.key.public()).is_ok()
    }

    /// Who said they train.
    pub fn trainers(&self) -> impl Iterator<Item = PublicKey> {
        self.present.joined()
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
            Input::Message(message) => self.message(now_ms, message, &mut effects),
            Input::Trained { round, update } => self.trained(round, update, &mut effects),
            Input::CaughtUp(certificates) => {
                for certificate in certificates {
                    self.adopt(now_ms, certificate, &mut effects);
                }
            }
            Input::Checked { .. } | Input::Built { .. } | Input::Verified { .. } | Input::Tick => {
                self.answer(now_ms, input, &mut effects);
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

    /// How long to wait before saying things again: longer each time, up to eight times.
    fn resend_ms(&self) -> u64 {
        (self.spec.value().rounds.agree_ms * 2) << self.resends.min(3)
    }

    fn participate(&mut self, joined: bool, said_ms: u64, effects: &mut Vec<Effect>) {
        effects.push(Effect::Persist(Entry::Participate { joined, said_ms }));
        let word = self.say(joined, said_ms);
        effects.push(Effect::Send(RunMessage::Presence(word)));
    }

    fn say(&mut self, joined: bool, said_ms: u64) -> Signed<Presence> {
        let word = Signed::sign(Presence { run: self.run, joined, said_ms }, &self.key);
        self.part.word = Some(word.clone());
        // Whoever joins again may have new data, or data again: it is asked anew.
        self.part.training = 0;
        self.hear(&word);
        word
    }

    fn hear(&mut self, word: &Signed<Presence>) {
        if self.admits(&word.signer()) {
            self.present.hear(word);
        }
    }

    pub(super) fn admits(&self, trainer: &PublicKey) -> bool {
        match &self.spec.value().admission {
            Admission::Open => true,
            Admission::Invited(trainers) => trainers.binary_search(trainer).is_ok(),
        }
    }

    fn message(&mut self, now_ms: u64, message: RunMessage, effects: &mut Vec<Effect>) {
        let round = match &message {
            RunMessage::Presence(_) => self.tip.round + 1,
            RunMessage::Commit(commit) => commit.value().round,
            RunMessage::Proposal(proposal) => proposal.value().record.round,
            RunMessage::Vote(vote) => vote.value().round,
            RunMessage::Certificate(certificate) => certificate.record.round,
        };
        if let RunMessage::Certificate(certificate) = message {
            if round > self.tip.round + 1 {
                effects.push(Effect::CatchUp { round: self.tip.round + 1 });
            }
            self.adopt(now_ms, certificate, effects);
        } else if round > self.tip.round + 1 {
            effects.push(Effect::CatchUp { round: self.tip.round + 1 });
        } else if round <= self.tip.round {
            // Whoever still talks of a finished round has missed its certificate. The next resend
            // carries it, which bounds how often a liar can make us speak.
            if let Some(bench) = &mut self.bench {
                bench.tell_newest();
            }
        } else {
            self.current(now_ms, message, effects);
        }
    }

    fn current(&mut self, now_ms: u64, message: RunMessage, effects: &mut Vec<Effect>) {
        match message {
            RunMessage::Presence(word) => self.hear(&word),
            RunMessage::Commit(commit) => self.commit(commit, effects),
            RunMessage::Proposal(proposal) => self.proposal(now_ms, proposal, effects),
            RunMessage::Vote(vote) => self.vote(now_ms, vote, effects),
            RunMessage::Certificate(_) => {}
        }
    }

    fn commit(&mut self, commit: Signed<UpdateCommit>, effects: &mut Vec<Effect>) {
        if !self.admits(&commit.signer()) {
            return;
        }
        if commit.value().base == self.tip.id {
            self.present.committed(&commit.signer());
        }
        let base = self.tip.clone();
        if self.bench.as_mut().is_some_and(|bench| bench.take(commit.clone())) {
            effects.push(Effect::Check { commit, base });
        }
    }

    fn proposal(&mut self, now_ms: u64, message: Signed<Proposal>, effects: &mut Vec<Effect>) {
        self.with_bench(|bench, round| bench.proposal(round, now_ms, message, effects));
    }

    fn vote(&mut self, now_ms: u64, message: Signed<Vote>, effects: &mut Vec<Effect>) {
        self.with_bench(|bench, round| bench.vote(round, now_ms, message, effects));
    }

    fn answer(&mut self, now_ms: u64, input: Input, effects: &mut Vec<Effect>) {
        self.with_bench(|bench, round| bench.answer(round, now_ms, input, effects));
    }

    /// Lets the bench act with the rest of the state in view.
    fn with_bench(&mut self, act: impl FnOnce(&mut Bench, &Self)) {
        if let Some(mut bench) = self.bench.take() {
            act(&mut bench, self);
            self.bench = Some(bench);
        }
    }

    fn trained(&mut self, round: u64, update: Option<Trained>, effects: &mut Vec<Effect>) {
        if round != self.tip.round + 1 || !self.is_trainer() || self.part.commit.is_some() {
            return;
        }
        let Some(made) = update else {
            self.part.failed = true;
            return;
        };
        let commit = UpdateCommit {
            run: self.run,
            round,
            base: self.tip.id,
            update: made.update,
            update_bytes: made.update_bytes,
            data: made.data,
        };
        let commit = Signed::sign(commit, &self.key);
        effects.push(Effect::Persist(Entry::Commit(commit.bytes().to_vec())));
        self.part.commit = Some(commit.clone());
        effects.push(Effect::Send(RunMessage::Commit(commit.clone())));
        self.commit(commit, effects);
    }

    /// Takes a verified certificate if it is the next one.
    fn adopt(&mut self, now_ms: u64, certificate: Certificate, effects: &mut Vec<Effect>) {
        if !self.tip.is_base_of(&certificate.record) {
            return;
        }
        effects.push(Effect::Persist(Entry::Certificate(certificate.to_bytes())));
        self.move_to(now_ms, certificate.clone());
        effects.push(Effect::Certified(Box::new(certificate)));
        if self.is_finished() {
            effects.push(Effect::Finish);
        }
    }

    fn move_to(&mut self, now_ms: u64, certificate: Certificate) {
        if let Some(bench) = &self.bench {
            self.present.close(|trainer| bench.holds(trainer));
        }
        self.tip = Tip::of(&certificate.record);
        self.newest = Some(certificate);
        self.open(now_ms);
    }

    fn open(&mut self, now_ms: u64) {
        self.part.commit = None;
        self.part.training = 0;
        self.part.failed = false;
        self.resends = 0;
        self.resend_at_ms = now_ms + self.resend_ms();
        let spec = self.spec.value();
        self.bench = self
            .is_steward()
            .then(|| Bench::new(self.run, self.tip.round + 1, self.key.clone(), spec, now_ms));
    }

    /// Does what has become possible, and says things again when it is time.
    fn advance(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        self.with_bench(|bench, round| bench.advance(round, now_ms, effects));
        if let Some(certificate) = self.bench.as_ref().and_then(Bench::decided).cloned() {
            self.adopt(now_ms, certificate.clone(), effects);
            effects.push(Effect::Send(RunMessage::Certificate(certificate)));
        }
        if self.is_finished() {
            return;
        }
        let round = self.tip.round + 1;
        if self.is_trainer() && self.part.commit.is_none() && self.part.training != round {
            self.part.training = round;
            effects.push(Effect::Train { round, base: self.tip.clone() });
        }
        if now_ms >= self.resend_at_ms {
            self.resends += 1;
            self.resend_at_ms = now_ms + self.resend_ms();
            self.resend(effects);
        }
    }

    fn resend(&mut self, effects: &mut Vec<Effect>) {
        let own = [
            self.part.word.clone().map(RunMessage::Presence),
            self.part.commit.clone().map(RunMessage::Commit),
        ];
        effects.extend(own.into_iter().flatten().map(Effect::Send));
        if let Some(commit) = self.part.commit.clone() {
            // After a restart, or when its own bytes were not there yet: check it again.
            self.commit(commit, effects);
        }
        if std::mem::take(&mut self.part.failed) {
            self.part.training = 0;
        }
        if let Some(bench) = &mut self.bench {
            let newest = self.newest.clone().filter(|_| bench.told_newest());
            effects.extend(newest.map(RunMessage::Certificate).map(Effect::Send));
            effects.extend(bench.said().map(Effect::Send));
        }
        // Nothing certified for a whole interval: perhaps it was, elsewhere.
        effects.push(Effect::CatchUp { round: self.tip.round + 1 });
    }

    /// Applies one journaled entry, without effects: they happened, or happen again by resending.
    fn replay(&mut self, entry: Entry, now_ms: u64) {
        match entry {
            Entry::Participate { joined, said_ms } => {
                self.say(joined, said_ms);
            }
            Entry::Commit(bytes) => {
                let commit = Signed::<UpdateCommit>::open(&bytes).ok();
                self.part.commit = commit.filter(|c| c.value().base == self.tip.id);
            }
            Entry::Step { round, step } => {
                if let Some(bench) = self.bench.as_mut().filter(|_| round == self.tip.round + 1) {
                    bench.replay(now_ms, &step);
                }
            }
            Entry::Certificate(bytes) => {
                let opened = Certificate::open(&bytes, self.run, self.spec.value());
                if let Ok(certificate) = opened {
                    self.move_to(now_ms, certificate);
                }
            }
        }
    }
}
