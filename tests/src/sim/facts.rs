//! What is fixed once scenario and seed are: the run, its model, the keys, who holds which works.
//!
//! Invariants: nothing here changes while a run is simulated; every node is given the run and the
//! starting blobs, as a real one would fetch them before it joins.
//! What it is not: state.

use consent::{Policy, Silence};
use protocol::aggregate::{Outer, Rule};
use protocol::round::Tip;
use protocol::run::{
    Admission, AdmissionSpec, AggregateSpec, ModelSpec, RoundSpec, RunSpec, run_id,
};
use protocol::update::{CHUNK, Encoding};
use protocol::weights::{TensorShape, Weights};
use protocol::{ContentId, FileHash, Frontier, PublicKey, RunId, SecretKey, Signed};
use rand::Rng;

use super::liars::Liars;
use super::plan::Plan;
use super::scenario::{Defect, Scenario};
use super::seed::{Seed, pick};
use super::stage::Stage;
use crate::samples::plain_spec;

/// The model's size: two blocks of an update, one of them short; or so many chunks, one of them short.
fn parameters(scenario: &Scenario) -> usize {
    scenario.size.chunks.map_or(300, |chunks| (chunks as usize * CHUNK - 1) / 20 * 20)
}

/// People whose works are trained on.
pub(super) const CONTRIBUTORS: usize = 3;
/// Works of each of them.
const WORKS_EACH: usize = 16;
/// Works that a trainer holds.
const WORKS_HELD: usize = 14;

/// The facts of one simulated run.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) scenario: Scenario,
    pub(super) seed: Seed,
    pub(super) spec: Signed<RunSpec>,
    pub(super) run: RunId,
    pub(super) policy: Policy,
    /// Each node's key, and that of second faces once more.
    pub(super) keys: Vec<SecretKey>,
    /// Each contributor's works.
    pub(super) works: Vec<Vec<ContentId>>,
    /// The works that each node holds; none unless it trains.
    pub(super) held: Vec<Vec<ContentId>>,
    /// What goes wrong.
    pub(super) plan: Plan,
    /// Who lies.
    pub(super) liars: Liars,
    /// What every node has at the start: model, outer state, frontier.
    pub(super) blobs: Vec<Vec<u8>>,
    /// What is given of a run that exists outside.
    pub(super) stage: Option<Stage>,
}

impl Facts {
    /// The facts of a run in which this goes wrong, and which ends after `rounds_max` if it is longer.
    pub(super) fn new(scenario: &Scenario, seed: Seed, plan: Plan, rounds_max: u64) -> Self {
        let mut rng = seed.child("facts").rng();
        let cast = scenario.cast;
        let liars = Liars::new(&plan, cast);
        let everyone = 0..liars.everyone();
        let key = |node| seed.child(&format!("key {}", liars.identity(node))).key();
        let keys: Vec<SecretKey> = everyone.clone().map(key).collect();
        let works = works();
        let everything: Vec<ContentId> = works.iter().flatten().copied().collect();
        let mut held = vec![Vec::new(); cast.nodes()];
        // In some runs the last steward trains, too.
        let first = cast.stewards - usize::from(rng.random_bool(0.3));
        let trainers = first..cast.stewards + cast.trainers;
        for held in &mut held[trainers.clone()] {
            *held = pick(&mut rng, &everything, WORKS_HELD);
        }
        let held = everyone.map(|node| held[liars.identity(node)].clone()).collect();
        let uninvited = plan.uninvited();
        let invited = trainers.filter(|node| Some(*node) != uninvited);
        let invited = invited.map(|node| keys[node].public());
        let (default, cooling_ms, allow_ms_max) = (Silence::OptOut, 0, 1 << 40);
        let policy = Policy { default, cooling_ms, allow_ms_max, ..Policy::default() };
        let weights = first_model(&seed, parameters(scenario));
        let spec = RunSpec {
            admission: AdmissionSpec {
                who: match rng.random_bool(0.3) || uninvited.is_some() {
                    true => Admission::Invited { trainers: sorted(invited), vouches_max: 0 },
                    false => Admission::Open,
                },
                probation_rounds: [0, 2][rng.random_range(0..2)],
            },
            stewards: sorted(keys[..cast.stewards].iter().map(SecretKey::public)),
            ..spec(scenario, &seed, &weights, &policy)
        };
        let count = spec.rounds.count.min(rounds_max);
        let spec = RunSpec { rounds: RoundSpec { count, ..spec.rounds }, ..spec };
        let spec = Signed::sign(spec, &seed.child("creator").key());
        let blobs = vec![weights.to_bytes(), Vec::new(), Frontier::default().to_bytes()];
        let (run, scenario) = (run_id(&spec), scenario.clone());
        let stage = None;
        Self { scenario, seed, spec, run, policy, keys, works, held, plan, liars, blobs, stage }
    }

    /// The facts of a run that is given.
    pub(super) fn staged(scenario: Scenario, seed: Seed, plan: Plan, stage: Stage) -> Self {
        let empty = Frontier::default().to_bytes();
        Self {
            seed,
            run: run_id(&stage.spec),
            spec: stage.spec.clone(),
            policy: stage.policy.clone(),
            keys: stage.keys.clone(),
            works: works(),
            held: stage.held.clone(),
            liars: Liars::new(&plan, scenario.cast),
            blobs: vec![stage.weights.clone(), Vec::new(), empty],
            scenario,
            plan,
            stage: Some(stage),
        }
    }

    /// Where the run starts.
    pub(super) fn start(&self) -> Tip {
        Tip::start(self.run, self.spec.value())
    }

    /// Whether whoever signs with this key lies.
    pub(super) fn is_liars(&self, key: PublicKey) -> bool {
        self.node_of(key).is_some_and(|node| self.liars.is_liar(node))
    }

    /// Whether this mistake is planted.
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.scenario.defect == Some(defect)
    }

    /// The node with this key.
    pub(super) fn node_of(&self, key: PublicKey) -> Option<usize> {
        self.keys.iter().position(|own| own.public() == key)
    }
}

fn works() -> Vec<Vec<ContentId>> {
    let work =
        |contributor: usize, at: usize| ContentId::of(format!("{contributor}/{at}").as_bytes());
    (0..CONTRIBUTORS)
        .map(|contributor| (0..WORKS_EACH).map(|at| work(contributor, at)).collect())
        .collect()
}

fn first_model(seed: &Seed, parameters: usize) -> Weights {
    let mut rng = seed.child("model").rng();
    let mut tensor = |name: &str, shape: &[u64]| {
        let count = shape.iter().product::<u64>();
        let values = (0..count).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        (TensorShape { name: name.into(), shape: shape.into() }, values)
    };
    let tensors = vec![tensor("bias", &[20]), tensor("weight", &[20, parameters as u64 / 20 - 1])];
    Weights::new(tensors).expect("small, finite and named")
}

fn sorted(keys: impl Iterator<Item = PublicKey>) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = keys.collect();
    keys.sort();
    keys
}

/// Rules that runs are drawn from. About half of the stand-in updates are longer than five.
const RULES: [Rule; 5] = [
    Rule::ClippedMean { norm_max_milli: 5_000, median_milli: 0 },
    Rule::ClippedMean { norm_max_milli: 50_000, median_milli: 1_000 },
    Rule::TrimmedMean { trim_milli: 200 },
    Rule::MultiKrum { hostile_milli: 200 },
    Rule::CentredClip { bucket: 2, iterations: 3 },
];

/// How many of them look at each parameter by itself, or at norms.
const RULES_BY_PARAMETER: usize = 3;

fn one_of<T: Copy>(rng: &mut impl Rng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

/// The specification, but for who takes part.
fn spec(scenario: &Scenario, seed: &Seed, weights: &Weights, policy: &Policy) -> RunSpec {
    let mut rng = seed.child("spec").rng();
    let nesterov = Outer::Nesterov { rate_milli: 700, momentum_milli: 900 };
    RunSpec {
        name: "simulated".into(),
        model: ModelSpec {
            weights: weights.root(),
            weights_bytes: weights.to_bytes().len() as u64,
            parameters: weights.parameters() as u64,
            config: FileHash::of(b"{}"),
            repo: "simulated".into(),
            held_out: None,
        },
        rounds: RoundSpec {
            count: rng.random_range(scenario.rounds.0..=scenario.rounds.1),
            updates_min: scenario.updates_min,
            train_ms: scenario.train_ms,
            agree_ms: rng.random_range(scenario.agree_ms.0..=scenario.agree_ms.1),
            audits: rng.random_range(0..4),
            slices: scenario.size.slices,
        },
        aggregate: AggregateSpec {
            update: one_of(
                &mut rng,
                &[
                    Encoding::Int8,
                    Encoding::MaxOf { group: 8 },
                    Encoding::TopK { per_chunk: 400 },
                    Encoding::Sign,
                ],
            ),
            step: match one_of(&mut rng, &[None, Some(Encoding::Int8), Some(Encoding::Sign)]) {
                None if scenario.size.slices > 1 => Some(Encoding::Int8),
                step => step,
            },
            norm_max_milli: 100_000 * u64::from(scenario.size.chunks.unwrap_or(1)),
            rule: match scenario.size.slices {
                1 => one_of(&mut rng, &RULES),
                _ => one_of(&mut rng, &RULES[..RULES_BY_PARAMETER]),
            },
            outer: if rng.random_bool(0.5) { Outer::Average } else { nesterov },
        },
        ..plain_spec(Vec::new(), policy)
    }
}
