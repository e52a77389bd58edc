//! The main job without a network: three trainers, unlike shares of the digits, an opt-out midway.

use std::ops::ControlFlow;
use std::path::Path;

use consent::permit::{Evaluate, TrainOther};
use consent::{Gate, Identity, Ledger, Policy, Silence, Statement, Use, head_at};
use protocol::aggregate::{Contribution, Outer, Plan, Rule, aggregate_whole};
use protocol::run::Work;
use protocol::update::{Encoding, Update, UpdateForm};
use protocol::weights::Weights;
use protocol::{CommitId, ContentId, SecretKey};
use trainer::data::split;
use trainer::{
    Device, Evaluation, LocalOptions, Model, ModelConfig, Table, TableOptions, evaluate, train,
};

const SEED: u64 = 1;
const TRAINERS: usize = 3;
const ROUNDS: u64 = 10;
const RULE: Rule = Rule::ClippedMean { norm_max_milli: 20_000, median_milli: 0 };
const OUTER: Outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 700 };

/// What the run's nodes know between rounds.
struct Run {
    config: ModelConfig,
    weights: Weights,
    state: Vec<u8>,
    plan: Plan,
    residuals: Vec<Vec<f32>>,
}

impl Run {
    fn start(shares: &[Table], gate: &Gate<'_>) -> Self {
        let first = shares[0].admit(|work| gate.decide(work)).admitted;
        let config = ModelConfig::mlp(first, &[64]).expect("a config");
        let weights = Model::init(&config, SEED).expect("weights");
        let residuals = vec![vec![0.0; weights.parameters()]; TRAINERS];
        let update = UpdateForm { encoding: Encoding::Int8, parameters: weights.parameters() };
        let step = Some(Encoding::Int8);
        let plan = Plan { update, step, rule: RULE, outer: OUTER, seed: [0; 32] };
        Self { config, weights, state: Vec::new(), plan, residuals }
    }

    /// One round; gives the works that were refused.
    fn round(&mut self, round: u64, shares: &[Table], gate: &Gate<'_>) -> Vec<ContentId> {
        let (mut updates, mut refused) = (Vec::new(), Vec::new());
        for (at, share) in shares.iter().enumerate() {
            let admission = share.admit::<TrainOther>(|work| gate.decide(work));
            refused.extend(admission.denials.iter().map(|denial| denial.work));
            let options = LocalOptions {
                work: Work::Epochs(5),
                batch_samples: 32,
                learning_rate: 0.1,
                momentum: 0.9,
                seed: SEED * 1000 + round * 10 + at as u64,
            };
            let go = |_| ControlFlow::Continue(());
            let (config, device) = (&self.config, Device::cpu());
            let result = train(config, &self.weights, admission.admitted, &options, &device, go);
            let result = result.expect("it trains");
            assert_eq!(result.samples as usize + admission.denials.len(), share.len());
            let key = SecretKey::from_seed(&[at as u8; 32]).public();
            let residual = &mut self.residuals[at];
            let update = Update::make(&self.plan.update, key, &result.delta, residual);
            updates.push((result.samples, update));
        }
        let contributions: Vec<Contribution<'_>> = updates
            .iter()
            .zip(0u8..)
            .map(|((samples, update), at)| Contribution::of(CommitId::of(&[at]), *samples, update))
            .collect();
        let next = aggregate_whole(&self.plan, &self.weights, &self.state, &contributions, 1);
        let next = next.expect("an aggregate");
        (self.weights, self.state) = (next.weights, next.state);
        refused
    }

    fn score(&self, held_out: &Table, gate: &Gate<'_>) -> Evaluation {
        let rows = held_out.admit::<Evaluate>(|work| gate.decide(work)).admitted;
        evaluate(&self.config, &self.weights, rows, &Device::cpu()).expect("a score")
    }
}

/// A ledger in which somebody denies training on these works.
fn opted_out(works: &[ContentId]) -> Ledger {
    let keys = [[1; 32], [2; 32]].map(|seed| SecretKey::from_seed(&seed));
    let [daily, root] = keys;
    let identity = Identity::new(daily, root, 0);
    let genesis = identity.genesis(0).expect("signed");
    let statements = Statement::deny(&Use::TRAINING).over(works.iter().copied());
    let records = identity.statements(&head_at(&genesis), &statements).expect("signed");
    let mut ledger = Ledger::new();
    for record in std::iter::once(genesis).chain(records) {
        ledger.insert(record, 0).expect("it fits");
    }
    ledger
}

#[test]
fn three_trainers_learn_the_digits_and_leave_out_what_was_opted_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/assets/digits.csv");
    let table = Table::open(&path, &TableOptions::new("label")).expect("a table");
    let labels = table.labels();
    let (rest, held_out) = split::held_out(&labels, 200, SEED);
    let shares: Vec<Table> = split::dirichlet(&rest, &labels, TRAINERS, 500, SEED)
        .iter()
        .map(|rows| table.part(rows))
        .collect();
    let held_out = table.part(&held_out);
    let mut works: Vec<ContentId> = table.part(&rest).works().step_by(7).take(100).collect();

    let policy = Policy { default: Silence::OptOut, ..Policy::default() };
    let (before, after) = (Ledger::new(), opted_out(&works));
    let mut run = Run::start(&shares, &Gate::new(&before, &policy, 0));
    let first = run.score(&held_out, &Gate::new(&before, &policy, 0)).accuracy();
    for round in 0..ROUNDS {
        let ledger = if round < ROUNDS / 2 { &before } else { &after };
        let gate = Gate::new(ledger, &policy, 1);
        let mut refused = run.round(round, &shares, &gate);
        refused.sort();
        works.sort();
        let expected = if round < ROUNDS / 2 { &[][..] } else { &works };
        assert_eq!(refused, expected, "round {round}");
        let score = run.score(&held_out, &gate);
        println!("round {round}: accuracy {:.4}, loss {:.4}", score.accuracy(), score.loss());
    }
    let last = run.score(&held_out, &Gate::new(&after, &policy, 1)).accuracy();
    assert!(first < 0.3 && last >= 0.93, "from {first} to {last}");
}
