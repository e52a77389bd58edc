//! Tests of exactness: one root whatever the order of arrival and the number of threads, and the same
//! as plain arithmetic on each parameter by itself gives.

use proptest::prelude::*;

use super::*;
use crate::key::{PublicKey, SecretKey};
use crate::update::Update;
use crate::weights::{TensorShape, Weights};

fn model(values: Vec<f32>) -> Weights {
    let shape = TensorShape { name: "w".into(), shape: vec![values.len() as u64] };
    Weights::new(vec![(shape, values)]).expect("a valid model")
}

fn trainer(at: usize) -> PublicKey {
    SecretKey::from_seed(&[at as u8; 32]).public()
}

/// A round's parts, in memory.
struct Scene {
    plan: Plan,
    base: Weights,
    state: Vec<u8>,
    updates: Vec<(u64, Update)>,
}

impl Scene {
    fn new(rule: Rule, base: Vec<f32>, deltas: &[(u64, Vec<f32>)]) -> Self {
        let update = UpdateForm { encoding: Encoding::Int8, parameters: base.len() };
        let plan = Plan { update, step: None, rule, outer: Outer::Average, seed: [3; 32] };
        let mut scene = Self { plan, base: model(base), state: Vec::new(), updates: Vec::new() };
        scene.send(deltas);
        scene
    }

    fn send(&mut self, deltas: &[(u64, Vec<f32>)]) {
        let form = self.plan.update;
        let send = |(at, (weight, delta)): (usize, &(u64, Vec<f32>))| {
            let mut residual = vec![0.0; delta.len()];
            (*weight, Update::make(&form, trainer(at), delta, &mut residual))
        };
        self.updates = deltas.iter().enumerate().map(send).collect();
    }

    fn contributions(&self) -> Vec<Contribution<'_>> {
        let updates = self.updates.iter().enumerate();
        updates
            .map(|(at, (weight, update))| {
                Contribution::of(CommitId::of(&[at as u8]), *weight, update)
            })
            .collect()
    }

    fn made(
        &self,
        contributions: &[Contribution<'_>],
        threads: usize,
    ) -> Result<Aggregated, AggregateError> {
        aggregate_whole(&self.plan, &self.base, &self.state, contributions, threads)
    }

    fn result(&self) -> Aggregated {
        self.made(&self.contributions(), 2).expect("a result")
    }

    /// The values of all updates, parameter by parameter.
    fn columns(&self) -> Vec<Vec<f64>> {
        let rows: Vec<Vec<f32>> =
            self.updates.iter().map(|(_, update)| update.values(&self.plan.update)).collect();
        let column = |at: usize| rows.iter().map(|row| f64::from(row[at])).collect();
        (0..self.plan.update.parameters).map(column).collect()
    }
}

const MEAN: Rule = Rule::ClippedMean { norm_max_milli: 1_000_000_000, median_milli: 0 };

fn rules() -> Vec<Rule> {
    vec![
        MEAN,
        Rule::ClippedMean { norm_max_milli: 3_000, median_milli: 1_000 },
        Rule::TrimmedMean { trim_milli: 200 },
        Rule::Median,
        Rule::Krum { hostile_milli: 200 },
        Rule::MultiKrum { hostile_milli: 200 },
        Rule::CentredClip { bucket: 2, iterations: 3 },
    ]
}

fn wave(seed: usize, parameters: usize, size: f32) -> Vec<f32> {
    (0..parameters).map(|at| ((at * (seed + 3) + seed) as f32 * 0.7).sin() * size).collect()
}

#[test]
fn the_mean_is_weighted() {
    let scene = Scene::new(MEAN, vec![1.0; 300], &[(3, vec![1.0; 300]), (1, vec![-1.0; 300])]);
    let made = scene.result();
    assert_eq!(made.weights.values(), [1.5; 300]);
    assert!(made.state.is_empty() && made.step.is_empty());
}

#[test]
fn only_what_is_too_long_is_cut() {
    // Norms 0.5 and 5; the bound is 1.
    let rule = Rule::ClippedMean { norm_max_milli: 1_000, median_milli: 0 };
    let scene = Scene::new(rule, vec![0.0; 2], &[(1, vec![0.5, 0.0]), (1, vec![3.0, 4.0])]);
    let expected = [(0.5 + 0.6) / 2.0, 0.4];
    for (found, expected) in scene.result().weights.values().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    // Half of the median norm, which is the shorter one's.
    let rule = Rule::ClippedMean { norm_max_milli: 1_000_000, median_milli: 500 };
    let scene = Scene { plan: Plan { rule, ..scene.plan }, ..scene };
    let expected = [(0.25 + 0.15) / 2.0, 0.1];
    for (found, expected) in scene.result().weights.values().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn middles_are_those_of_every_parameter() {
    for count in [1, 2, 3, 4, 5, 9, 16, 25] {
        let deltas: Vec<_> = (0..count).map(|at| (1, wave(at, 700, 0.1))).collect();
        let scene = Scene::new(Rule::Median, vec![0.25; 700], &deltas);
        let columns = scene.columns();
        let trim = count / 5;
        for (rule, trim) in [
            (Rule::Median, (count - 1) / 2),
            (Rule::TrimmedMean { trim_milli: 200 }, trim.min((count - 1) / 2)),
        ] {
            let scene = Scene {
                plan: Plan { rule, ..scene.plan },
                base: scene.base.clone(),
                state: vec![],
                updates: scene.updates.clone(),
            };
            let made = scene.result();
            for (at, value) in made.weights.values().iter().enumerate() {
                let mut column = columns[at].clone();
                column.sort_by(f64::total_cmp);
                let kept = &column[trim..count - trim];
                let expected = 0.25 + kept.iter().sum::<f64>() / kept.len() as f64;
                assert!((f64::from(*value) - expected).abs() < 1e-7, "{rule:?} {count} {at}");
            }
        }
    }
}

/// One update is far from all others, and long: no robust rule lets it move the model.
#[test]
fn a_stranger_moves_nothing() {
    let honest = wave(1, 900, 0.1);
    let mut deltas: Vec<_> = (0..9)
        .map(|at| (1, honest.iter().zip(wave(at + 5, 900, 0.02)).map(|(a, b)| a + b).collect()))
        .collect();
    deltas.push((1, wave(77, 900, 50.0)));
    let length = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    for rule in rules() {
        let scene = Scene::new(rule, vec![0.0; 900], &deltas);
        let moved = scene.result().weights;
        let off: Vec<f32> = moved.values().iter().zip(&honest).map(|(a, b)| a - b).collect();
        let off = length(&off) / length(&honest);
        if rule == MEAN {
            assert!(off > 10.0, "the plain mean is moved: {off}");
        } else {
            assert!(off < 0.35, "{rule:?}: {off}");
        }
    }
}

#[test]
fn centred_clipping_follows_its_formula() {
    let deltas: Vec<_> = (0..7).map(|at| (1, wave(at, 500, 0.1 * (at + 1) as f32))).collect();
    let rule = Rule::CentredClip { bucket: 1, iterations: 4 };
    let scene = Scene::new(rule, vec![0.0; 500], &deltas);
    let columns = scene.columns();
    let mut centre = vec![0.0f64; 500];
    for _ in 0..4 {
        let way = |update: usize| -> Vec<f64> {
            (0..500).map(|at| columns[at][update] - centre[at]).collect()
        };
        let ways: Vec<Vec<f64>> = (0..7).map(way).collect();
        let lengths: Vec<f64> =
            ways.iter().map(|way| way.iter().map(|v| v * v).sum::<f64>().sqrt()).collect();
        let mut sorted = lengths.clone();
        sorted.sort_by(f64::total_cmp);
        for (at, centre) in centre.iter_mut().enumerate() {
            let cut = |update: usize| ways[update][at] * (sorted[3] / lengths[update]).min(1.0);
            *centre += (0..7).map(cut).sum::<f64>() / 7.0;
        }
    }
    for (found, expected) in scene.result().weights.values().iter().zip(&centre) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn krum_takes_whoever_has_the_others_nearest() {
    let deltas: Vec<_> = [0.0f32, 0.1, 0.11, 0.12, 5.0].map(|value| (1, vec![value; 64])).into();
    let scene = Scene::new(Rule::Krum { hostile_milli: 200 }, vec![0.0; 64], &deltas);
    // Its two nearest are 0.1 and 0.12.
    assert!((scene.result().weights.values()[0] - 0.11).abs() < 1e-3);
    let rule = Rule::MultiKrum { hostile_milli: 200 };
    let scene = Scene { plan: Plan { rule, ..scene.plan }, ..scene };
    assert!((scene.result().weights.values()[0] - 0.33 / 4.0).abs() < 1e-3);
}

#[test]
fn what_comes_late_counts_for_less() {
    let deltas = [(1, vec![1.0; 64]), (1, vec![0.0; 64])];
    let late = |rule| {
        let scene = Scene::new(rule, vec![0.0; 64], &deltas);
        let mut contributions = scene.contributions();
        contributions[0].discount = DISCOUNT_ONE / 2;
        scene.made(&contributions, 1).expect("a result").weights.values()[0]
    };
    assert!((late(MEAN) - 1.0 / 3.0).abs() < 1e-6);
    assert!((late(Rule::Median) - 0.25).abs() < 0.003);
    assert!((late(Rule::MultiKrum { hostile_milli: 0 }) - 0.25).abs() < 1e-6);
}

#[test]
fn what_cannot_be_aggregated_is_named() {
    let scene = Scene::new(MEAN, vec![0.0; 4], &[(1, vec![0.5; 4])]);
    let good = scene.contributions()[0];
    let made = |contributions: &[Contribution<'_>]| scene.made(contributions, 1).map(drop);
    assert_eq!(made(&[]), Err(AggregateError::Updates(0)));
    let weight = |weight| made(&[Contribution { weight, ..good }]);
    assert_eq!(weight(0), Err(AggregateError::Weight(0)));
    assert_eq!(weight(WEIGHT_MAX + 1), Err(AggregateError::Weight(WEIGHT_MAX + 1)));
    let short = vec![0; 36];
    let found = made(&[Contribution { source: &short, ..good }]);
    assert_eq!(found, Err(AggregateError::Shape { what: "an update", found: 36, expected: 37 }));
    let scene = Scene::new(MEAN, vec![1048576.0; 4], &[(1, vec![0.5; 4])]);
    let found = scene.made(&scene.contributions(), 1).map(drop);
    assert_eq!(found, Err(AggregateError::Result(0)));
}

/// The step says what moves the model, and the rest is not lost.
#[test]
fn steps_move_a_model_as_the_round_does() {
    for encoding in [
        Encoding::Int8,
        Encoding::TopK { per_chunk: 64 },
        Encoding::MaxOf { group: 8 },
        Encoding::Sign,
    ] {
        let deltas: Vec<_> = (0..3).map(|at| (1, wave(at, 5000, 0.1))).collect();
        let mut exact = Scene::new(MEAN, vec![0.0; 5000], &deltas);
        exact.plan.outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 500 };
        let mut scene = Scene::new(MEAN, vec![0.0; 5000], &deltas);
        scene.plan = Plan { step: Some(encoding), ..exact.plan };
        let form = scene.plan.step_form().expect("it has one");
        for round in 0..60 {
            let deltas: Vec<_> = (0..3)
                .map(|at| (1, wave(at + round % 4, 5000, 0.1 / (1 + round * round) as f32)))
                .collect();
            exact.send(&deltas);
            scene.send(&deltas);
            let made = scene.result();
            let stepped = apply_step(&form, &scene.base, &made.step).expect("a step");
            assert_eq!(stepped, made.weights, "{encoding:?} round {round}");
            assert_eq!(made.step.len() as u64, form.step_bytes());
            (scene.base, scene.state) = (made.weights, made.state);
            let made = exact.result();
            (exact.base, exact.state) = (made.weights, made.state);
        }
        let off = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
        let values = scene.base.values().iter().zip(exact.base.values());
        let most = values.map(off).fold(0.0, f64::max);
        let allowed = if encoding == Encoding::Int8 { 1e-4 } else { 0.15 };
        assert!(most < allowed, "{encoding:?} is off by {most}");
    }
}

#[test]
fn a_step_of_another_model_is_refused() {
    let form = UpdateForm { encoding: Encoding::Int8, parameters: 4 };
    let base = model(vec![0.0; 4]);
    assert!(matches!(apply_step(&form, &base, &[0; 4]), Err(StepError::Step(_))));
    assert!(matches!(
        apply_step(&form, &model(vec![0.0; 5]), &[0; 5]),
        Err(StepError::Parameters { .. })
    ));
    // An exponent of 1.
    assert!(matches!(apply_step(&form, &base, &[1, 0, 0, 0, 0]), Err(StepError::Step(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// 1,500 cases of every rule, each in another order and on another number of threads.
    #[test]
    fn one_result_whatever_the_order_and_the_threads(
        seed in 0usize..1 << 16,
        count in 1usize..12,
        parameters in prop_oneof![1usize..700, 4000usize..4200, Just(9000)],
        encoding in prop_oneof![
            Just(Encoding::Int8), Just(Encoding::Sign), Just(Encoding::TopK { per_chunk: 40 }),
            Just(Encoding::MaxOf { group: 8 })],
        step in prop_oneof![Just(None), Just(Some(Encoding::Int8)), Just(Some(Encoding::Sign))],
        momentum in any::<bool>(),
        order in any::<u64>(),
        threads in 1usize..4,
    ) {
        let deltas: Vec<_> = (0..count)
            .map(|at| (1 + (seed * (at + 1)) as u64 % 900, wave(seed % 97 + at, parameters, 0.3)))
            .collect();
        let outer = match momentum {
            true => Outer::Nesterov { rate_milli: 700, momentum_milli: 900 },
            false => Outer::Average,
        };
        let update = UpdateForm { encoding, parameters };
        let base = wave(seed % 89, parameters, 1.0);
        for rule in rules() {
            let mut scene = Scene::new(rule, base.clone(), &[]);
            scene.plan = Plan { update, step, outer, ..scene.plan };
            scene.send(&deltas);
            let mut contributions = scene.contributions();
            let made = scene.made(&contributions, 1).expect("a result");
            for at in (1..count).rev() {
                contributions.swap(at, order.rotate_left(at as u32 * 5) as usize % (at + 1));
            }
            prop_assert_eq!(scene.made(&contributions, threads).expect("a result"), made);
        }
    }
}

/// The same bits on every machine, and in every build of this version.
#[test]
fn results_are_pinned() {
    let deltas: Vec<_> = (0..6).map(|at| (1 + at as u64 * 7, wave(at, 5000, 0.2))).collect();
    let mut roots = Vec::new();
    for rule in rules() {
        for (outer, step) in [
            (Outer::Average, None),
            (Outer::Nesterov { rate_milli: 700, momentum_milli: 900 }, Some(Encoding::Int8)),
            (
                Outer::Adam {
                    rate_micro: 10_000,
                    first_milli: 900,
                    second_milli: 990,
                    floor_micro: 1_000,
                },
                Some(Encoding::TopK { per_chunk: 64 }),
            ),
        ] {
            let mut scene = Scene::new(rule, wave(9, 5000, 1.0), &deltas);
            scene.plan = Plan { outer, step, ..scene.plan };
            let first = scene.result();
            (scene.base, scene.state) = (first.weights, first.state);
            let second = scene.result();
            let all = [second.weights.to_bytes(), second.state, second.step].concat();
            roots.push(crate::id::FileHash::of(&all).short());
        }
    }
    assert_eq!(roots.concat(), include_str!("pinned.txt").split_whitespace().collect::<String>());
}
