//! A segment of another trainer's work, trained again from what it showed.
//!
//! Invariants: what was shown is compared with what the commit binds before anything is trained; rows are
//! used with this node's own gate's leave only. What it is not: fetching.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use consent::Policy;
use consent::permit::TrainOther;
use protocol::Signed;
use protocol::round::{Outcome, Trace, UpdateCommit};
use protocol::run::LocalSpec;
use protocol::update::{Update, UpdateForm};
use protocol::weights::Weights;
use trainer::data::{Admitted, Table};
use trainer::{Device, ModelConfig, Session, State, TrainError};

use super::desk::DeskError;
use super::jobs::local_options;
use super::residual;
use super::show::used_root;

/// What a trainer showed of its work.
#[derive(Clone)]
pub(super) struct Shown {
    /// The rows, as CSV.
    pub(super) rows: Vec<u8>,
    /// The state that the segment began with, unless that is the base.
    pub(super) before: Option<Vec<u8>>,
    /// The state that it ended with.
    pub(super) after: Vec<u8>,
    /// The state that the whole training ended with.
    pub(super) last: Vec<u8>,
    /// What earlier updates had left unsaid.
    pub(super) residual: Option<Vec<u8>>,
}

/// A segment to train again.
pub(super) struct Work {
    pub(super) shown: Shown,
    pub(super) trace: Trace,
    pub(super) segment: u32,
    pub(super) commit: Signed<UpdateCommit>,
    /// The round's base.
    pub(super) base: Arc<Weights>,
}

/// How the run trains, and on what this node does.
pub(super) struct Terms<'a> {
    pub(super) form: UpdateForm,
    pub(super) local: &'a LocalSpec,
    pub(super) policy: &'a Policy,
    pub(super) config: &'a ModelConfig,
    pub(super) device: &'a Device,
}

impl Work {
    /// Trains it again on the rows that `admit` has leave for; nothing if this node may not.
    pub(super) fn again(
        &self,
        terms: &Terms<'_>,
        admit: impl FnOnce(&Table) -> Option<Admitted<TrainOther>>,
    ) -> Result<Option<Outcome>, DeskError> {
        let failed = |error: TrainError| DeskError::Work(error.to_string());
        let Some((table, after)) = self.looks_like_it(terms)? else {
            return Ok(Some(Outcome::Unlike));
        };
        let Some(admitted) = admit(&table) else { return Ok(None) };
        let (trainer, round) = (self.commit.signer(), self.commit.value().round);
        let options = local_options(terms.local, self.commit.value().run, trainer, round);
        let (config, device) = (terms.config, terms.device);
        let session = Session::new(config, &self.base, admitted, &options, device);
        let mut session = session.map_err(failed)?;
        let (steps, length) = (session.steps(), u64::from(self.trace.segment_steps));
        if steps.div_ceil(length) != u64::from(self.trace.segments()) {
            return Ok(Some(Outcome::Unlike));
        }
        let from = u64::from(self.segment) * length;
        let mut start = Weights::clone(&self.base);
        if let Some(bytes) = &self.shown.before {
            let before = State::from_bytes(config, bytes);
            let Some(before) = before else { return Ok(Some(Outcome::Unlike)) };
            session.resume(config, &before, from).map_err(failed)?;
            start = before.weights;
        }
        let to = (from + length).min(steps);
        let end = session.advance(to, &mut |_| ControlFlow::Continue(()));
        match end.and_then(|()| session.state()) {
            Ok(end) => Ok(Some(Outcome::Distance(end.distance_micro(&after, &start)))),
            // Shown work ends in numbers; this did not.
            Err(TrainError::Diverged { .. }) => Ok(Some(Outcome::Distance(u32::MAX))),
            Err(error) => Err(failed(error)),
        }
    }

    /// The rows, and the state after the segment, if all that was shown is what the commit binds.
    fn looks_like_it(&self, terms: &Terms<'_>) -> Result<Option<(Table, State)>, DeskError> {
        let table = self.rows(terms.config);
        let table = table.map_err(|e| DeskError::Data(format!("cannot look at rows: {e}")))?;
        let Some(table) = table else { return Ok(None) };
        let (data, works) = (&self.commit.value().data, table.works().collect::<Vec<_>>());
        let same = used_root(&works, terms.policy) == data.used_root;
        if !same || works.len() as u64 != data.used {
            return Ok(None);
        }
        let state = |bytes: &[u8]| State::from_bytes(terms.config, bytes);
        let (after, last) = (state(&self.shown.after), state(&self.shown.last));
        let last = last.filter(|last| self.is_update_of(terms, last));
        Ok(after.filter(|_| last.is_some()).map(|after| (table, after)))
    }

    /// The rows as a table; nothing if they are none for this model.
    fn rows(&self, config: &ModelConfig) -> std::io::Result<Option<Table>> {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile()?;
        file.write_all(&self.shown.rows)?;
        Ok(Table::open(file.path(), &config.table_options()).ok())
    }

    /// Whether the update is what compressing the way from the base to `last` gives.
    fn is_update_of(&self, terms: &Terms<'_>, last: &State) -> bool {
        let (form, trainer) = (terms.form, self.commit.signer());
        let residual = match &self.shown.residual {
            Some(bytes) => residual::from_bytes(bytes, form.parameters),
            None => Some(vec![0.0; form.parameters]),
        };
        let Some(mut residual) = residual else { return false };
        let pairs = last.weights.values().iter().zip(self.base.values());
        let delta: Vec<f32> = pairs.map(|(last, base)| last - base).collect();
        Update::make(&form, trainer, &delta, &mut residual).hash() == self.commit.value().update
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use consent::{Gate, Ledger, Silence, commit_data};
    use protocol::run::{Work as LocalWork, genesis};
    use protocol::update::Encoding;
    use protocol::{ContentId, FileHash, RunId, SecretKey};
    use trainer::{Model, TableOptions};

    use super::*;

    /// An honest trainer's round, with everything that it shows.
    struct Round {
        form: UpdateForm,
        local: LocalSpec,
        policy: Policy,
        config: ModelConfig,
        work: Work,
        states: Vec<Vec<u8>>,
    }

    const SEGMENT_STEPS: u32 = 10;

    fn rows(from: usize) -> Vec<u8> {
        let line = |at: usize| {
            let (x, y) = (at % 7, at * 3 % 11);
            format!("{x},{y},{at},{}\n", if x > y { "low" } else { "high" })
        };
        let text: String = (from..from + 60).map(line).collect();
        format!("x,y,row,side\n{text}").into_bytes()
    }

    fn table(rows: &[u8]) -> Table {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("rows.csv");
        fs::write(&path, rows).expect("writable");
        let columns = Some(vec!["x".to_owned(), "y".to_owned()]);
        Table::open(&path, &TableOptions { columns, ..TableOptions::new("side") }).expect("a table")
    }

    fn admitted(table: &Table, policy: &Policy) -> Option<Admitted<TrainOther>> {
        let ledger = Ledger::new();
        let gate = Gate::new(&ledger, policy, 0);
        Some(table.admit(|work| gate.decide(work)).admitted)
    }

    impl Round {
        fn new() -> Self {
            let policy = Policy { default: Silence::OptOut, ..Policy::default() };
            let (rows, key) = (rows(0), SecretKey::from_seed(&[3; 32]));
            let table = table(&rows);
            let admit = || admitted(&table, &policy).expect("open to all");
            let config = ModelConfig::mlp(admit(), &[8]).expect("a config");
            let base = Arc::new(Model::init(&config, 1).expect("weights"));
            let form = UpdateForm { encoding: Encoding::Sign, parameters: base.parameters() };
            let local = LocalSpec {
                work: LocalWork::Steps(35),
                batch_size: 8,
                learning_rate_micro: 50_000,
                momentum_micro: 900_000,
                weight_max: 1_000,
            };
            let run = RunId::of(b"run");
            let options = local_options(&local, run, key.public(), 1);
            let mut session =
                Session::new(&config, &base, admit(), &options, &Device::cpu()).expect("a session");
            let states = (1..=4).map(|at| {
                let to = u64::from(SEGMENT_STEPS * at).min(35);
                session.advance(to, &mut |_| ControlFlow::Continue(())).expect("it trains");
                session.state().expect("a state").to_bytes()
            });
            let states: Vec<Vec<u8>> = states.collect();
            let delta = session.result(&base).expect("a result").delta;
            let residual = residual::to_bytes(&vec![0.01; base.parameters()]);
            let mut left = residual::from_bytes(&residual, form.parameters).expect("as many");
            let update = Update::make(&form, key.public(), &delta, &mut left);
            let works: Vec<ContentId> = table.works().collect();
            let trace = Trace {
                rows: FileHash::of(&rows),
                residual: Some(FileHash::of(&residual)),
                segment_steps: SEGMENT_STEPS,
                states: states.iter().map(|bytes| FileHash::of(bytes)).collect(),
            };
            let commit = UpdateCommit {
                run,
                round: 1,
                base: genesis(run),
                update: update.hash(),
                update_bytes: update.bytes().len() as u64,
                norm: update.norm(),
                data: commit_data(&works, &[], FileHash::of(b""), &policy),
                invitation: None,
                trace: Some(FileHash::of(&trace.to_bytes())),
            };
            let shown = Shown {
                rows,
                before: None,
                after: states[0].clone(),
                last: states[3].clone(),
                residual: Some(residual),
            };
            let commit = Signed::sign(commit, &key);
            let work = Work { shown, trace, segment: 0, commit, base };
            Self { form, local, policy, config, work, states }
        }

        /// The same with another segment.
        fn segment(mut self, at: usize) -> Self {
            self.work.segment = at as u32;
            self.work.shown.before = at.checked_sub(1).map(|before| self.states[before].clone());
            self.work.shown.after = self.states[at].clone();
            self
        }

        fn terms<'a>(&'a self, device: &'a Device) -> Terms<'a> {
            let Self { form, local, policy, config, .. } = self;
            Terms { form: *form, local, policy, config, device }
        }

        fn outcome(&self) -> Option<Outcome> {
            let admit = |table: &Table| admitted(table, &self.policy);
            self.work.again(&self.terms(&Device::cpu()), admit).expect("it can be tried")
        }
    }

    #[test]
    fn an_honest_round_comes_to_the_same_whatever_part_is_drawn() {
        for segment in 0..4 {
            let round = Round::new().segment(segment);
            assert_eq!(round.outcome(), Some(Outcome::Distance(0)), "segment {segment}");
        }
    }

    #[test]
    fn work_that_was_not_done_is_far_off() {
        // What it says to have come to after the second segment is what it was after the first.
        let mut lazy = Round::new().segment(1);
        lazy.work.shown.after = lazy.states[0].clone();
        let Some(Outcome::Distance(off)) = lazy.outcome() else { panic!("{:?}", lazy.outcome()) };
        assert!(off > 200_000 && !Outcome::Distance(off).matched(), "{off}");
        // Nor is it the training of other rows of the same number.
        let mut other = Round::new().segment(2);
        let shuffled = Session::new(
            &other.config,
            &other.work.base,
            admitted(&table(&rows(100)), &other.policy).expect("open"),
            &local_options(&other.local, RunId::of(b"run"), other.work.commit.signer(), 1),
            &Device::cpu(),
        );
        let mut shuffled = shuffled.expect("a session");
        shuffled.advance(30, &mut |_| ControlFlow::Continue(())).expect("it trains");
        other.work.shown.after = shuffled.state().expect("a state").to_bytes();
        let outcome = other.outcome().expect("it can be tried");
        assert!(!outcome.matched(), "{outcome:?}");
    }

    #[test]
    fn what_the_commit_does_not_bind_is_unlike() {
        let unlike = |change: fn(&mut Round)| {
            let mut round = Round::new().segment(1);
            change(&mut round);
            assert_eq!(round.outcome(), Some(Outcome::Unlike));
        };
        unlike(|round| round.work.shown.rows = rows(1));
        unlike(|round| round.work.shown.rows = b"no table".to_vec());
        unlike(|round| round.work.shown.last = round.states[2].clone());
        unlike(|round| round.work.shown.residual = None);
        unlike(|round| round.work.shown.residual = Some(vec![1, 2, 3]));
        unlike(|round| round.work.shown.after.truncate(7));
        unlike(|round| round.work.shown.before = Some(vec![0; 8]));
        unlike(|round| round.work.trace.segment_steps = 20);
    }

    #[test]
    fn what_this_nodes_gate_refuses_is_not_trained_on() {
        let (round, device) = (Round::new(), Device::cpu());
        assert!(matches!(round.work.again(&round.terms(&device), |_| None), Ok(None)));
    }
}
