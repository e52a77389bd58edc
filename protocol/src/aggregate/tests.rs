//! Tests of exactness: one root whatever the order of arrival and the number of threads.

use proptest::prelude::*;

use super::*;
use crate::weights::TensorShape;

fn model(values: Vec<f32>) -> Weights {
    let shape = TensorShape { name: "w".into(), shape: vec![values.len() as u64] };
    Weights::new(vec![(shape, values)]).expect("a valid model")
}

fn update(delta: &[f32]) -> Update {
    Update::quantise(delta, &mut vec![0.0; delta.len()])
}

const RULE: Rule = Rule::ClippedMean { norm_max_milli: 3_000 };

#[test]
fn the_mean_is_weighted() {
    let base = model(vec![1.0; 300]);
    let (a, b) = (update(&[1.0; 300]), update(&[-1.0; 300]));
    let contributions =
        [Contribution { weight: 3, update: &a }, Contribution { weight: 1, update: &b }];
    let rule = Rule::ClippedMean { norm_max_milli: 1_000_000 };
    let state = OuterState::default();
    let (next, state) =
        aggregate(&base, &state, &contributions, &rule, &Outer::Average, 2).expect("a result");
    assert_eq!(next.values(), [1.5; 300]);
    assert!(state.is_empty());
}

#[test]
fn what_cannot_be_aggregated_is_named() {
    let base = model(vec![0.0; 4]);
    let (good, short) = (update(&[0.5; 4]), update(&[0.5; 3]));
    let run = |contributions: &[Contribution<'_>]| {
        let state = OuterState::default();
        aggregate(&base, &state, contributions, &RULE, &Outer::Average, 1).map(|_| ())
    };
    assert_eq!(run(&[]), Err(AggregateError::Updates(0)));
    let zero = [Contribution { weight: 0, update: &good }];
    assert_eq!(run(&zero), Err(AggregateError::Weight(0)));
    let shape = [Contribution { weight: 1, update: &short }];
    assert!(matches!(run(&shape), Err(AggregateError::Shape { found: 3, .. })));
}

proptest! {
    // 10,000 cases, as the issue of the main job asks for.
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn one_root_in_any_order_and_on_any_number_of_threads(
        seed in any::<u64>(),
        parameters in 1usize..700,
        trainers in 1usize..9,
        nesterov in any::<bool>(),
        shuffle in any::<u64>(),
    ) {
        let mut noise = Noise(seed);
        let base = model((0..parameters).map(|_| noise.float()).collect());
        let parts: Vec<(u64, Update)> = (0..trainers)
            .map(|_| {
                let delta: Vec<f32> = (0..parameters).map(|_| noise.float()).collect();
                (1 + noise.next() % WEIGHT_MAX, update(&delta))
            })
            .collect();
        let outer = if nesterov {
            Outer::Nesterov { rate_milli: 700, momentum_milli: 900 }
        } else {
            Outer::Average
        };
        let mut order: Vec<usize> = (0..trainers).collect();
        let first = two_rounds(&base, &parts, &order, &outer, 1);
        let mut shuffle = Noise(shuffle);
        order.sort_by_key(|_| shuffle.next());
        prop_assert_eq!(&first, &two_rounds(&base, &parts, &order, &outer, 1));
        prop_assert_eq!(&first, &two_rounds(&base, &parts, &order, &outer, 2));
    }
}

/// The model and outer roots after two rounds with the same parts in this order.
fn two_rounds(
    base: &Weights,
    parts: &[(u64, Update)],
    order: &[usize],
    outer: &Outer,
    threads: usize,
) -> (crate::FileHash, crate::FileHash) {
    let contributions: Vec<Contribution<'_>> = order
        .iter()
        .map(|&at| Contribution { weight: parts[at].0, update: &parts[at].1 })
        .collect();
    let (mut weights, mut state) = (base.clone(), OuterState::default());
    for _ in 0..2 {
        (weights, state) =
            aggregate(&weights, &state, &contributions, &RULE, outer, threads).expect("a result");
    }
    (weights.root(), state.root())
}

/// SplitMix64 (Steele et al. 2014): test noise from a seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
