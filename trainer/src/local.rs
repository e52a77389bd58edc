//! One round of local training: from a base model and admitted rows to what they change in it.
//!
//! Method: stochastic gradient descent with momentum on the cross-entropy, a fresh order of the
//! samples in every epoch. The momentum starts at zero in every round: federated averaging
//! (McMahan et al. 2017, arXiv 1602.05629).
//!
//! Invariants: equal arguments give the equal result on one machine and device; the permits are
//! spent whatever the outcome; a result is finite. What it is not: a compressor of its result (see
//! `protocol::update`), nor a judge of it.

use std::ops::ControlFlow;

use consent::permit::TrainOther;
use protocol::limits::{BATCH_SAMPLES_MAX, LOCAL_EPOCHS_MAX, LOCAL_STEPS_MAX};
use protocol::run::{LocalSpec, Work};
use protocol::weights::Weights;

use crate::data::Admitted;
use crate::device::Device;
use crate::model::{ModelConfig, ModelError};
use crate::session::Session;

/// How to train in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalOptions {
    /// How long: `1..=LOCAL_EPOCHS_MAX` passes over the samples, or `1..=LOCAL_STEPS_MAX` steps.
    pub work: Work,
    /// Samples of one step, `1..=BATCH_SAMPLES_MAX`; the last step of an epoch may have fewer.
    pub batch_samples: usize,
    /// How far a step goes, above 0 and at most 100.
    pub learning_rate: f64,
    /// How much of the last step's direction is kept, from 0 to below 1.
    pub momentum: f64,
    /// The seed of the order of the samples.
    pub seed: u64,
}

/// Why a round has no result of this trainer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// An option is out of range.
    #[error("{what} is {found}; allowed: {allowed}")]
    Options {
        /// Which option.
        what: &'static str,
        /// Its value.
        found: f64,
        /// What is allowed.
        allowed: String,
    },
    /// Every row was refused, or there was none.
    #[error("no row may be used, so there is nothing to train on")]
    NoSamples,
    /// The rows were read for another model.
    #[error("the rows were not read for this model: their label, columns or classes differ")]
    Data,
    /// The weights are not the model's.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The loss grew out of hand.
    #[error(
        "training diverged at step {step} of {steps}: the loss is {loss}; lower the learning rate, \
         or check the scales in config.json"
    )]
    Diverged {
        /// At which step, counted from 1.
        step: u64,
        /// Of how many.
        steps: u64,
        /// The loss there.
        loss: f32,
    },
    /// The caller said stop.
    #[error("stopped at step {step} of {steps}")]
    Stopped {
        /// After which step.
        step: u64,
        /// Of how many.
        steps: u64,
    },
    /// The device failed.
    #[error("the device gave no loss back: {0}")]
    Device(String),
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The mean cross-entropy of the last step's samples, in nats.
    pub loss: f32,
}

/// What one trainer's round gave.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalResult {
    /// The trained weights minus the base, flat, in the order of [`Weights`].
    pub delta: Vec<f32>,
    /// How many samples were trained on.
    pub samples: u64,
    /// The mean cross-entropy of the last pass over the samples, or part of one, before each step, in
    /// millionths of a nat.
    pub loss_micro: u64,
}

/// Trains `base` on `admitted`. `progress` hears of every step and may stop the training.
pub fn train(
    config: &ModelConfig,
    base: &Weights,
    admitted: Admitted<TrainOther>,
    options: &LocalOptions,
    device: &Device,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LocalResult, TrainError> {
    let mut session = Session::new(config, base, admitted, options, device)?;
    session.advance(session.steps(), &mut progress)?;
    session.result(base)
}

impl LocalOptions {
    /// What a run's spec asks for, with the seed of this round and trainer.
    pub fn new(spec: &LocalSpec, seed: u64) -> Self {
        Self {
            work: spec.work,
            batch_samples: spec.batch_size as usize,
            learning_rate: f64::from(spec.learning_rate_micro) / 1e6,
            momentum: f64::from(spec.momentum_micro) / 1e6,
            seed,
        }
    }

    /// Whether every option is in its range.
    pub fn check(&self) -> Result<(), TrainError> {
        let within = |what, holds: bool, found: f64, allowed: String| {
            if holds { Ok(()) } else { Err(TrainError::Options { what, found, allowed }) }
        };
        let batch = self.batch_samples;
        let (what, count, most) = match self.work {
            Work::Epochs(epochs) => ("the number of epochs", epochs, LOCAL_EPOCHS_MAX),
            Work::Steps(steps) => ("the number of steps", steps, LOCAL_STEPS_MAX),
        };
        let (rate, momentum) = (self.learning_rate, self.momentum);
        within(what, (1..=most).contains(&count), f64::from(count), format!("1 to {most}"))?;
        within(
            "the number of samples in a batch",
            (1..=BATCH_SAMPLES_MAX).contains(&batch),
            batch as f64,
            format!("1 to {BATCH_SAMPLES_MAX}"),
        )?;
        let rate_holds = rate > 0.0 && rate <= 100.0;
        within("the learning rate", rate_holds, rate, "above 0, at most 100".into())?;
        let momentum_holds = (0.0..1.0).contains(&momentum);
        within("the momentum", momentum_holds, momentum, "from 0 to below 1".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Table, TableOptions};
    use crate::model::Model;
    use consent::{Gate, Ledger, Policy, Silence};

    const OPTIONS: LocalOptions = LocalOptions {
        work: Work::Epochs(3),
        batch_samples: 8,
        learning_rate: 0.5,
        momentum: 0.5,
        seed: 1,
    };

    /// Points in a square; the class says on which side of the diagonal.
    fn table() -> Table {
        let point = |at: usize| (at % 7, at * 3 % 11);
        let line =
            |(x, y): (usize, usize)| format!("{x},{y},{}\n", if x > y { "low" } else { "high" });
        let text: String = (0..77).map(|at| line(point(at))).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("points.csv");
        std::fs::write(&path, "x,y,side\n".to_owned() + &text).expect("writable");
        Table::open(&path, &TableOptions::new("side")).expect("a table")
    }

    fn admitted(table: &Table, default: Silence) -> Admitted<TrainOther> {
        let (ledger, policy) = (Ledger::new(), Policy { default, ..Policy::default() });
        let gate = Gate::new(&ledger, &policy, 0);
        table.admit(|work| gate.decide(work)).admitted
    }

    fn round(
        options: LocalOptions,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<LocalResult, TrainError> {
        let table = table();
        let config = ModelConfig::mlp(admitted(&table, Silence::OptOut), &[8]).expect("a config");
        let base = Model::init(&config, 1).expect("weights");
        let rows = admitted(&table, Silence::OptOut);
        train(&config, &base, rows, &options, &Device::cpu(), progress)
    }

    #[test]
    fn a_round_learns_and_is_a_function_of_its_seed() {
        let mut losses = Vec::new();
        let result = round(OPTIONS, |progress| {
            assert_eq!(progress.steps, 30);
            losses.push(progress.loss);
            ControlFlow::Continue(())
        });
        let result = result.expect("a result");
        assert_eq!((losses.len(), result.samples), (30, 77));
        assert!((result.loss_micro as f32) < losses[0] * 0.9e6, "{losses:?}");
        let again = round(OPTIONS, |_| ControlFlow::Continue(())).expect("a result");
        assert_eq!(again, result);
        let other = round(LocalOptions { seed: 2, ..OPTIONS }, |_| ControlFlow::Continue(()));
        assert_ne!(other.expect("a result").delta, result.delta);
    }

    #[test]
    fn it_stops_when_told_and_when_it_diverges() {
        let stopped = round(OPTIONS, |progress| match progress.step {
            5 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!(stopped, Err(TrainError::Stopped { step: 5, steps: 30 }));
        let wild = LocalOptions {
            learning_rate: 100.0,
            momentum: 0.99,
            work: Work::Epochs(50),
            ..OPTIONS
        };
        let diverged = round(wild, |_| ControlFlow::Continue(())).expect_err("diverged");
        assert!(matches!(diverged, TrainError::Diverged { .. }), "{diverged}");
    }

    #[test]
    fn what_cannot_be_trained_is_said() {
        let go = |_| ControlFlow::Continue(());
        let message = |options| round(options, go).expect_err("wrong").to_string();
        assert_eq!(
            message(LocalOptions { work: Work::Epochs(0), ..OPTIONS }),
            "the number of epochs is 0; allowed: 1 to 10000"
        );
        assert!(message(LocalOptions { batch_samples: 0, ..OPTIONS }).contains("in a batch is 0"));
        let nan = LocalOptions { learning_rate: f64::NAN, ..OPTIONS };
        assert!(message(nan).contains("the learning rate is NaN; allowed: above 0"));
        assert!(message(LocalOptions { momentum: 1.0, ..OPTIONS }).contains("below 1"));

        let table = table();
        let config = ModelConfig::mlp(admitted(&table, Silence::OptOut), &[8]).expect("a config");
        let base = Model::init(&config, 1).expect("weights");
        let nothing = admitted(&table, Silence::OptIn);
        assert!(nothing.is_empty());
        let refused = train(&config, &base, nothing, &OPTIONS, &Device::cpu(), go);
        assert_eq!(refused, Err(TrainError::NoSamples));
        let nothing = ModelConfig::mlp(admitted(&table, Silence::OptIn), &[8]);
        assert_eq!(nothing, Err(crate::model::ConfigError::NoSamples));

        let other = config.to_json().replace("\"high\"", "\"up\"");
        let other = ModelConfig::from_json(other.as_bytes()).expect("a config");
        let rows = admitted(&table, Silence::OptOut);
        let strange = train(&other, &base, rows, &OPTIONS, &Device::cpu(), go);
        assert_eq!(strange, Err(TrainError::Data));
        let wide = ModelConfig::mlp(admitted(&table, Silence::OptOut), &[9]).expect("a config");
        let rows = admitted(&table, Silence::OptOut);
        let misfit = train(&wide, &base, rows, &OPTIONS, &Device::cpu(), go);
        assert!(matches!(misfit, Err(TrainError::Model(ModelError::Shape { .. }))));
    }
}
