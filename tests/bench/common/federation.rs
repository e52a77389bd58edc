//! Trainers with a share of a table each, and the score of a model: what measurements of learning need.
//!
//! Invariants: what is learnt is a function of the rows, the weights, the options and the seed, on one
//! machine; every row passes the gate. What it is not: networked.

use std::ops::ControlFlow;

use consent::permit::{Evaluate, TrainOther};
use consent::{Gate, Ledger, Policy, Silence};
use protocol::weights::Weights;
use trainer::{Device, Evaluation, LocalOptions, Model, ModelConfig, Table, evaluate, train};

/// A model and those who hold data for it.
pub(crate) struct Federation {
    pub(crate) config: ModelConfig,
    pub(crate) start: Weights,
    held_out: Table,
}

impl Federation {
    /// A new model for `rows`, judged on `held_out`.
    pub(crate) fn new(rows: &Table, held_out: Table, hidden: &[usize], seed: u64) -> Self {
        let (ledger, policy) = ground();
        let gate = Gate::new(&ledger, &policy, 0);
        let admitted = rows.admit(|work| gate.decide(work)).admitted;
        let config = ModelConfig::mlp(admitted, hidden).expect("a config");
        let start = Model::init(&config, seed).expect("weights");
        Self { config, start, held_out }
    }

    /// One trainer's round: its samples and what they change. A model that is ruined teaches nothing.
    pub(crate) fn learn(
        &self,
        rows: &Table,
        weights: &Weights,
        options: &LocalOptions,
    ) -> (u64, Vec<f32>) {
        let (ledger, policy) = ground();
        let gate = Gate::new(&ledger, &policy, 0);
        let admitted = rows.admit::<TrainOther>(|work| gate.decide(work)).admitted;
        let go = |_| ControlFlow::Continue(());
        match train(&self.config, weights, admitted, options, &Device::cpu(), go) {
            Ok(result) => (result.samples, result.delta),
            Err(_) => (1, vec![0.0; weights.parameters()]),
        }
    }

    /// How good a model is on the held-out rows; nothing if it is ruined.
    pub(crate) fn score(&self, weights: &Weights) -> Option<Evaluation> {
        self.score_on(&self.held_out, weights)
    }

    /// How good a model is on these rows; nothing if it is ruined.
    pub(crate) fn score_on(&self, rows: &Table, weights: &Weights) -> Option<Evaluation> {
        let (ledger, policy) = ground();
        let gate = Gate::new(&ledger, &policy, 0);
        let rows = rows.admit::<Evaluate>(|work| gate.decide(work)).admitted;
        evaluate(&self.config, weights, rows, &Device::cpu()).ok()
    }
}

fn ground() -> (Ledger, Policy) {
    (Ledger::new(), Policy { default: Silence::OptOut, ..Policy::default() })
}
