//! Local training under way: it can be stopped at any step, its state taken, and gone on from there by
//! anyone with the same samples.
//!
//! Invariants: a function of the config, the samples, the options and the state that it goes on from; the
//! order of the samples is that of the seed, wherever it begins. What it is not: bit-exact between
//! machines, whose floats differ in their last digits.

use std::ops::ControlFlow;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use consent::permit::TrainOther;
use protocol::run::Work;
use protocol::weights::Weights;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::data::split::shuffle;
use crate::data::{Admitted, Batch, Draw, Scaling};
use crate::device::Device;
use crate::local::{LocalOptions, LocalResult, Progress, TrainError};
use crate::model::{Model, ModelConfig, ModelError};
use crate::momentum::{Step, Velocity};

/// A step's loss, in nats, beyond which nothing is learnt any more; guessing among 65,536 classes
/// costs 11.
const LOSS_MAX: f32 = 1000.0;

/// Training between two steps, as it can be handed on.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The weights.
    pub weights: Weights,
    /// The momentum of each parameter, in the model's own order; empty if there is none.
    pub velocity: Vec<f32>,
}

/// Training that is under way.
pub struct Session {
    model: Model,
    velocity: Velocity,
    draw: Draw,
    scaling: Scaling,
    device: burn::tensor::Device,
    options: LocalOptions,
    rng: ChaCha8Rng,
    order: Vec<usize>,
    /// Steps done.
    step: u64,
    /// Passes whose order was drawn.
    passes: u64,
    /// The losses of this pass, summed over its samples so far.
    loss_sum: f64,
    seen: usize,
}

impl Session {
    /// Training of `base` on `admitted` from its start.
    pub fn new(
        config: &ModelConfig,
        base: &Weights,
        admitted: Admitted<TrainOther>,
        options: &LocalOptions,
        device: &Device,
    ) -> Result<Self, TrainError> {
        options.check()?;
        if !config.fits(admitted.names()) {
            return Err(TrainError::Data);
        }
        let (draw, scaling) = (admitted.draw(), config.scaling());
        if draw.len() == 0 {
            return Err(TrainError::NoSamples);
        }
        let device = device.autodiff();
        Ok(Self {
            model: Model::with_weights(config, base, &device)?,
            velocity: Velocity::default(),
            order: (0..draw.len()).collect(),
            draw,
            scaling,
            device,
            options: *options,
            rng: ChaCha8Rng::seed_from_u64(options.seed),
            step: 0,
            passes: 0,
            loss_sum: 0.0,
            seen: 0,
        })
    }

    /// Goes on from `state`, which somebody came to after `step` steps.
    pub fn resume(
        &mut self,
        config: &ModelConfig,
        state: &State,
        step: u64,
    ) -> Result<(), TrainError> {
        self.model = Model::with_weights(config, &state.weights, &self.device)?;
        self.velocity = Velocity::default();
        let mut rest = &state.velocity[..];
        for parameters in self.model.parameter_counts() {
            let Some((first, after)) = rest.split_at_checked(parameters) else { break };
            let velocity = TensorData::new(first.to_vec(), [parameters]);
            self.velocity.0.push(Tensor::from_data(velocity, &self.device.clone().inner()));
            rest = after;
        }
        self.step = step;
        Ok(())
    }

    /// How many steps the whole training has.
    pub fn steps(&self) -> u64 {
        match self.options.work {
            Work::Epochs(epochs) => u64::from(epochs) * self.pass_steps(),
            Work::Steps(steps) => u64::from(steps),
        }
    }

    fn pass_steps(&self) -> u64 {
        self.order.len().div_ceil(self.options.batch_samples) as u64
    }

    /// Trains on, up to step `to`. `progress` hears of every step and may stop the training.
    pub fn advance(
        &mut self,
        to: u64,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let cross_entropy = CrossEntropyLossConfig::new().init(&self.device);
        let LocalOptions { learning_rate, momentum, batch_samples, .. } = self.options;
        let stepping = Step { learning_rate, momentum };
        let steps = self.steps();
        while self.step < to {
            let pass = self.step / self.pass_steps();
            while self.passes <= pass {
                shuffle(&mut self.order, &mut self.rng);
                self.passes += 1;
                (self.loss_sum, self.seen) = (0.0, 0);
            }
            let first = (self.step % self.pass_steps()) as usize * batch_samples;
            let picks = &self.order[first..self.order.len().min(first + batch_samples)];
            let batch = Batch::new(&self.draw, picks, &self.scaling, &self.device);
            let loss = cross_entropy.forward(self.model.forward(batch.inputs), batch.targets);
            let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
            let loss = loss
                .try_into_scalar::<f32>()
                .map_err(|error| TrainError::Device(error.to_string()))?;
            self.step += 1;
            let step = self.step;
            if !loss.is_finite() || loss > LOSS_MAX {
                return Err(TrainError::Diverged { step, steps, loss });
            }
            self.loss_sum += f64::from(loss) * picks.len() as f64;
            self.seen += picks.len();
            self.model = stepping.take(self.model.clone(), gradients, &mut self.velocity);
            if progress(Progress { step, steps, loss }).is_break() {
                return Err(TrainError::Stopped { step, steps });
            }
        }
        Ok(())
    }

    /// Where the training is.
    pub fn state(&self) -> Result<State, TrainError> {
        let mut velocity = Vec::new();
        for tensor in &self.velocity.0 {
            let values = tensor.clone().try_into_vec_as::<f32>();
            velocity.extend(values.map_err(|error| TrainError::Device(error.to_string()))?);
        }
        Ok(State { weights: self.weights()?, velocity })
    }

    /// What the training gave, once it is done.
    pub fn result(&self, base: &Weights) -> Result<LocalResult, TrainError> {
        let trained = self.weights()?;
        let pairs = trained.values().iter().zip(base.values());
        Ok(LocalResult {
            delta: pairs.map(|(trained, base)| trained - base).collect(),
            samples: self.draw.len() as u64,
            loss_micro: (self.loss() * 1e6) as u64,
        })
    }

    fn loss(&self) -> f64 {
        self.loss_sum / self.seen.max(1) as f64
    }

    fn weights(&self) -> Result<Weights, TrainError> {
        let (step, steps) = (self.step, self.steps());
        self.model.weights().map_err(|error| match error {
            ModelError::Weights(_) => {
                TrainError::Diverged { step, steps, loss: self.loss() as f32 }
            }
            other => TrainError::Model(other),
        })
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session(step {} of {})", self.step, self.steps())
    }
}

impl State {
    /// The values as bytes: weights, then velocity, f32 in little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let values = self.weights.values().iter().chain(&self.velocity);
        values.flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Reads untrusted bytes as the state of a model of this config; nothing if they are none.
    pub fn from_bytes(config: &ModelConfig, bytes: &[u8]) -> Option<Self> {
        let layout = Model::layout(config);
        let (values, rest) = bytes.as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let parameters = Model::parameters(config);
        let fits = values.len() == parameters || values.len() == 2 * parameters;
        if !rest.is_empty() || !fits || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let (weights, velocity) = values.split_at(parameters);
        let weights = Weights::from_flat(layout, weights.to_vec()).ok()?;
        Some(Self { weights, velocity: velocity.to_vec() })
    }

    /// How far this is from `other`, against how far `other` is from `start`, in millionths: 0 if it is the
    /// same, a million if it is as far from it as the start.
    pub fn distance_micro(&self, other: &Self, start: &Weights) -> u32 {
        let norm = |a: &Weights, b: &Weights| -> f64 {
            let pairs = a.values().iter().zip(b.values());
            pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        };
        let (off, moved) = (norm(&self.weights, &other.weights), norm(&other.weights, start));
        if off == 0.0 {
            return 0;
        }
        // What did not move at all and should have is as far off as can be said.
        (off / moved * 1e6).min(f64::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Table, TableOptions};
    use consent::{Gate, Ledger, Policy, Silence};

    const OPTIONS: LocalOptions = LocalOptions {
        work: Work::Epochs(4),
        batch_samples: 8,
        learning_rate: 0.2,
        momentum: 0.9,
        seed: 5,
    };

    fn on(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    struct Data {
        table: Table,
        config: ModelConfig,
        base: Weights,
    }

    impl Data {
        fn new() -> Self {
            let line = |at: usize| {
                let (x, y) = (at % 7, at * 3 % 11);
                format!("{x},{y},{}\n", if x > y { "low" } else { "high" })
            };
            let text: String = (0..77).map(line).collect();
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("points.csv");
            std::fs::write(&path, "x,y,side\n".to_owned() + &text).expect("writable");
            let table = Table::open(&path, &TableOptions::new("side")).expect("a table");
            let config = ModelConfig::mlp(Self::admitted(&table), &[8]).expect("a config");
            let base = Model::init(&config, 1).expect("weights");
            Self { table, config, base }
        }

        fn admitted(table: &Table) -> Admitted<TrainOther> {
            let policy = Policy { default: Silence::OptOut, ..Policy::default() };
            let ledger = Ledger::new();
            let gate = Gate::new(&ledger, &policy, 0);
            table.admit(|work| gate.decide(work)).admitted
        }

        fn session(&self, options: &LocalOptions) -> Session {
            let admitted = Self::admitted(&self.table);
            let session = Session::new(&self.config, &self.base, admitted, options, &Device::cpu());
            session.expect("it can be trained")
        }
    }

    #[test]
    fn whoever_takes_it_up_at_any_step_comes_to_the_same() {
        let data = Data::new();
        for momentum in [0.0, 0.9] {
            let options = LocalOptions { momentum, ..OPTIONS };
            let mut whole = data.session(&options);
            let mut states = Vec::new();
            for step in 0..=whole.steps() {
                whole.advance(step, &mut on).expect("it trains");
                states.push(whole.state().expect("a state"));
            }
            for (from, to) in [(0, 3), (3, 11), (9, 10), (10, 11), (17, 40)] {
                let mut part = data.session(&options);
                let bytes = states[from].to_bytes();
                let state = State::from_bytes(&data.config, &bytes).expect("a state");
                assert_eq!(state, states[from]);
                part.resume(&data.config, &state, from as u64).expect("its own");
                part.advance(to as u64, &mut on).expect("it trains");
                let end = part.state().expect("a state");
                assert_eq!(end, states[to], "from {from} to {to}");
                assert_eq!(end.distance_micro(&states[to], &states[from].weights), 0);
            }
        }
    }

    #[test]
    fn another_training_is_far_off() {
        let data = Data::new();
        let end = |seed: u64, to: u64| {
            let mut session = data.session(&LocalOptions { seed, ..OPTIONS });
            session.advance(to, &mut on).expect("it trains");
            session.state().expect("a state")
        };
        let (shown, other, short) = (end(5, 20), end(6, 20), end(5, 15));
        let off = |state: &State| state.distance_micro(&shown, &data.base);
        assert_eq!(off(&shown), 0);
        assert!(off(&other) > 100_000, "{}", off(&other));
        assert!(off(&short) > 100_000, "{}", off(&short));
        let base = State { weights: data.base.clone(), velocity: Vec::new() };
        assert_eq!(off(&base), 1_000_000, "nothing was done");
        assert_eq!(shown.distance_micro(&base, &data.base), u32::MAX, "work is shown for none");
    }

    #[test]
    fn bytes_that_are_no_state_are_refused() {
        let data = Data::new();
        let mut session = data.session(&OPTIONS);
        session.advance(3, &mut on).expect("it trains");
        let bytes = session.state().expect("a state").to_bytes();
        let read = |bytes: &[u8]| State::from_bytes(&data.config, bytes);
        assert!(read(&bytes).is_some());
        assert!(read(&bytes[..bytes.len() / 2]).is_some(), "without momentum");
        assert_eq!(read(&bytes[4..]), None);
        assert_eq!(read(&bytes[..bytes.len() - 1]), None);
        assert_eq!(read(&[]), None);
        let mut wrong = bytes.clone();
        wrong[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(read(&wrong), None);
    }
}
