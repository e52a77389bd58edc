//! One run under attack: the digits split among trainers, rounds, the accuracy at the end.
//!
//! Invariants: what a cell comes to is a function of the cell and the seed, on one machine.
//! What it is not: networked.

use std::path::Path;

use protocol::aggregate::{Contribution, Outer, Plan, Rule, aggregate_whole};
use protocol::run::Work;
use protocol::update::{Encoding, Update, UpdateForm};
use protocol::weights::Weights;
use protocol::{CommitId, SecretKey};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trainer::data::split;
use trainer::{LocalOptions, Table, TableOptions};

use super::federation::Federation;
use super::hostile::Attack;

/// Trainers.
pub(crate) const TRAINERS: usize = 20;
/// Rounds.
pub(crate) const ROUNDS: u64 = 15;

/// How the data are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Split {
    /// Alike.
    Iid,
    /// Dirichlet(0.1) by class.
    Dirichlet,
}

/// One combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) split: Split,
    pub(crate) rule: usize,
    pub(crate) hostile: usize,
    pub(crate) attack: Attack,
}

/// What it came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Share of held-out digits told right.
    pub(crate) accuracy: f64,
    /// Share of honest updates left out of the mean, or cut to less than half; none if the rule looks at
    /// parameters one by one.
    pub(crate) left_out: Option<f64>,
}

/// The data under one seed.
pub(crate) struct Scene {
    seed: u64,
    pub(crate) federation: Federation,
    /// By split, each trainer's rows, and the same with labels turned round.
    shares: [Vec<(Table, Table)>; 2],
}

/// A round before it is aggregated.
pub(crate) struct Seen<'a> {
    pub(crate) round: u64,
    pub(crate) base: &'a Weights,
    pub(crate) form: UpdateForm,
    /// Every trainer's samples and update; hostile trainers are the last.
    pub(crate) updates: &'a [(u64, Update)],
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/assets/digits.csv");
        let dir = tempfile::tempdir().expect("a directory");
        let turned = dir.path().join("turned.csv");
        let text = std::fs::read_to_string(&path).expect("the digits");
        std::fs::write(&turned, turn_labels(&text)).expect("written");
        let open = |path: &Path| Table::open(path, &TableOptions::new("label")).expect("a table");
        let (table, turned) = (open(&path), open(&turned));
        let labels = table.labels();
        let (rest, held) = split::held_out(&labels, 200, seed);
        let part = |rows: &Vec<usize>| (table.part(rows), turned.part(rows));
        // So large an alpha is an even split.
        let shares = [1_000_000, 100].map(|alpha| {
            split::dirichlet(&rest, &labels, TRAINERS, alpha, seed).iter().map(part).collect()
        });
        let federation = Federation::new(&table.part(&rest), table.part(&held), &[32], seed);
        Self { seed, federation, shares }
    }

    /// A trainer's rows under this split.
    pub(crate) fn rows(&self, split: Split, trainer: usize) -> &Table {
        &self.shares[usize::from(split == Split::Dirichlet)][trainer].0
    }

    /// Runs it; `see` sees each round.
    pub(crate) fn run(&self, cell: &Cell, rule: &Rule, see: &mut dyn FnMut(&Seen<'_>)) -> Outcome {
        let update =
            UpdateForm { encoding: Encoding::Int8, parameters: self.federation.start.parameters() };
        let outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 700 };
        let (mut weights, mut state) = (self.federation.start.clone(), Vec::new());
        let (mut left_out, mut counted) = (0, 0);
        for round in 0..ROUNDS {
            let seed = blake3::hash(&[self.seed, round].map(u64::to_le_bytes).concat());
            let plan = Plan {
                update,
                step: Some(Encoding::Int8),
                rule: *rule,
                outer,
                seed: *seed.as_bytes(),
            };
            let updates = self.updates(cell, round, &weights, &plan);
            see(&Seen { round, base: &weights, form: update, updates: &updates });
            // Hostile trainers are the last ones, but nobody sees that in an id.
            let contributions: Vec<Contribution<'_>> = updates
                .iter()
                .enumerate()
                .map(|(at, (samples, update))| {
                    let id = CommitId::of(&[&seed.as_bytes()[..], &[at as u8]].concat());
                    Contribution::of(id, *samples, update)
                })
                .collect();
            let Ok(next) = aggregate_whole(&plan, &weights, &state, &contributions, 1) else {
                return Outcome { accuracy: 0.0, left_out: None };
            };
            let total: u64 = contributions.iter().map(|c| c.weight).sum();
            let mut order: Vec<usize> = (0..TRAINERS).collect();
            order.sort_by_key(|at| contributions[*at].id);
            for (share, at) in next.shares.iter().zip(order) {
                if at < TRAINERS - cell.hostile {
                    let whole = match matches!(rule, Rule::ClippedMean { .. }) {
                        true => contributions[at].weight as f64 / total as f64,
                        false => 1.0 / TRAINERS as f64,
                    };
                    counted += 1;
                    left_out += u32::from(f64::from(*share) / f64::from(1 << 22) < whole / 2.0);
                }
            }
            (weights, state) = (next.weights, next.state);
        }
        let left_out = (counted > 0).then(|| f64::from(left_out) / f64::from(counted));
        let accuracy = self.federation.score(&weights).map_or(0.0, |score| score.accuracy());
        Outcome { accuracy, left_out }
    }

    /// Every trainer's samples and update.
    fn updates(
        &self,
        cell: &Cell,
        round: u64,
        weights: &Weights,
        plan: &Plan,
    ) -> Vec<(u64, Update)> {
        let honest_count = TRAINERS - cell.hostile;
        let shares = &self.shares[usize::from(cell.split == Split::Dirichlet)];
        let learnt: Vec<(u64, Vec<f32>)> = shares
            .iter()
            .enumerate()
            .map(|(at, (right, turned))| {
                let turns = at >= honest_count && cell.attack == Attack::LabelFlip;
                self.learn(if turns { turned } else { right }, weights, round * 100 + at as u64)
            })
            .collect();
        let honest: Vec<Vec<f32>> = learnt[..honest_count].iter().map(|(_, d)| d.clone()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed * 1000 + round);
        let late = round >= ROUNDS / 2;
        learnt
            .iter()
            .enumerate()
            .map(|(at, (samples, own))| {
                let delta = match at < honest_count {
                    true => own.clone(),
                    false => cell.attack.delta(own, &honest, cell.hostile, late, &mut rng),
                };
                let key = SecretKey::from_seed(&[at as u8; 32]).public();
                let mut residual = vec![0.0; delta.len()];
                (*samples, Update::make(&plan.update, key, &delta, &mut residual))
            })
            .collect()
    }

    fn learn(&self, rows: &Table, weights: &Weights, seed: u64) -> (u64, Vec<f32>) {
        let options = LocalOptions {
            work: Work::Epochs(3),
            batch_samples: 16,
            learning_rate: 0.1,
            momentum: 0.9,
            seed: self.seed * 100_000 + seed,
        };
        self.federation.learn(rows, weights, &options)
    }
}

/// The same table with 9 less the label for each label, the last column.
fn turn_labels(text: &str) -> String {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let turn = |line: &str| {
        let (row, label) = line.rsplit_once(',').expect("columns");
        format!("{row},{}\n", 9 - label.trim().parse::<u8>().expect("a digit"))
    };
    format!("{head}\n{}", lines.map(turn).collect::<String>())
}
