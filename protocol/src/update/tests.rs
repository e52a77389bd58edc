//! Tests of updates: exact, bounded, and nothing lost for good.

use proptest::prelude::*;

use super::*;
use crate::key::SecretKey;

fn trainer() -> PublicKey {
    SecretKey::from_seed(&[7; 32]).public()
}

fn encodings() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        Just(Encoding::Int8),
        Just(Encoding::Sign),
        (1u32..=64).prop_map(|per_chunk| Encoding::TopK { per_chunk }),
        (1u32..=8).prop_map(|bits| Encoding::MaxOf { group: 1 << bits }),
        Just(Encoding::TopK { per_chunk: 4096 }),
    ]
}

fn deltas() -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        4 => -2.0f32..2.0,
        1 => -1e-6f32..1e-6,
        1 => Just(0.0f32),
        1 => -300.0f32..300.0,
    ];
    prop_oneof![
        prop::collection::vec(value.clone(), 0..600),
        prop::collection::vec(value, CHUNK - 3..CHUNK + 300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_update_and_what_it_leaves_are_the_delta(delta in deltas(), encoding in encodings()) {
        let form = UpdateForm { encoding, parameters: delta.len() };
        let mut residual = vec![0.0; delta.len()];
        let update = Update::make(&form, trainer(), &delta, &mut residual);
        prop_assert_eq!(update.bytes().len() as u64, form.update_bytes());
        let again = Update::open(update.bytes().to_vec(), &form, trainer());
        prop_assert_eq!(again.as_ref(), Ok(&update));
        let values = update.values(&form);
        let mut square = 0.0f64;
        for ((value, left), delta) in values.iter().zip(&residual).zip(&delta) {
            square += f64::from(*value).powi(2);
            let sum = f64::from(*value) + f64::from(*left);
            let size = f64::from(delta.abs().max(left.abs()));
            prop_assert!((sum - f64::from(*delta)).abs() <= 1e-9 + size * 1e-6);
        }
        let norm = update.norm_squared() as f64 / 2f64.powi(64);
        prop_assert!((norm - square).abs() <= square * 1e-9);
    }

    /// Whatever the bytes, nothing panics; and what passes expands to values in range.
    #[test]
    fn any_bytes_expand(
        bytes in prop::collection::vec(any::<u8>(), 3000),
        encoding in encodings(),
        parameters in 1usize..600,
    ) {
        prop_assume!(encoding.chunk_bytes(parameters) <= bytes.len());
        let bytes = &bytes[..encoding.chunk_bytes(parameters)];
        let chunk = Chunk::split(&encoding, parameters, bytes);
        let mut room = Values::default();
        chunk.expand(&mut room);
        if chunk.check().is_ok() {
            prop_assert!((0..parameters).all(|at| room.value(at).abs() <= 127.0));
            prop_assert!((parameters..CHUNK).all(|at| room.steps[at] == 0));
        }
    }
}

#[test]
fn int8_loses_less_than_half_a_step() {
    let delta: Vec<f32> = (0..1000).map(|at| (at as f32 * 0.37).sin() * 0.02).collect();
    let form = UpdateForm { encoding: Encoding::Int8, parameters: delta.len() };
    let mut residual = vec![0.0; delta.len()];
    Update::make(&form, trainer(), &delta, &mut residual);
    let most = residual.iter().fold(0.0f32, |most, left| most.max(left.abs()));
    assert!(most <= 0.02 / 127.0 * 1.01, "{most}");
}

/// The longest update is the sum of what each encoding is said to cost.
#[test]
fn lengths_are_those_of_the_format() {
    let bytes = |encoding, parameters| UpdateForm { encoding, parameters }.step_bytes();
    assert_eq!(bytes(Encoding::Int8, 4096), 16 + 4096);
    assert_eq!(bytes(Encoding::Int8, 4097), 16 + 4096 + 2);
    assert_eq!(bytes(Encoding::TopK { per_chunk: 64 }, 4096), 3 + 96 + 16);
    // A chunk of 100 keeps 2 of them.
    assert_eq!(bytes(Encoding::TopK { per_chunk: 64 }, 4196), 115 + 3 + 3 + 1);
    assert_eq!(bytes(Encoding::MaxOf { group: 8 }, 4096), 3 + 192 + 128);
    assert_eq!(bytes(Encoding::MaxOf { group: 32 }, 33), 3 + 2 + 1);
    assert_eq!(bytes(Encoding::Sign, 4096), 2 + 512);
    assert_eq!(bytes(Encoding::Sign, 3), 2 + 1);
    let dense = 4 * 10_000_000;
    assert!(dense / bytes(Encoding::TopK { per_chunk: 64 }, 10_000_000) >= 142);
    assert!(dense / bytes(Encoding::TopK { per_chunk: 180 }, 10_000_000) >= 50);
    assert!(dense / bytes(Encoding::MaxOf { group: 8 }, 10_000_000) >= 50);
    assert!(dense / bytes(Encoding::MaxOf { group: 32 }, 10_000_000) >= 142);
}

#[test]
fn the_largest_of_each_group_is_sent() {
    let form = UpdateForm { encoding: Encoding::MaxOf { group: 8 }, parameters: 30 };
    let mut delta: Vec<f32> = (0..30).map(|at| 0.01 + 0.001 * at as f32).collect();
    for (at, value) in [(3, 1.0), (8, -1.0), (20, 0.5), (29, -0.5)] {
        delta[at] = value;
    }
    let update = Update::make(&form, trainer(), &delta, &mut [0.0; 30]);
    let sent: Vec<usize> = (0..30).filter(|at| update.values(&form)[*at] != 0.0).collect();
    assert_eq!(sent, [3, 8, 20, 29]);
    for at in sent {
        assert!((update.values(&form)[at] - delta[at]).abs() < 0.01);
    }
}

#[test]
fn the_largest_are_sent_at_two_levels() {
    let form = UpdateForm { encoding: Encoding::TopK { per_chunk: 64 }, parameters: 4096 };
    let mut delta = vec![0.001; 4096];
    for at in 0..64 {
        let level = if at < 16 { 1.0 } else { 0.25 };
        delta[at * 60] = if at % 2 == 0 { level } else { -level };
    }
    let mut residual = vec![0.0; 4096];
    let update = Update::make(&form, trainer(), &delta, &mut residual);
    let values = update.values(&form);
    for (at, value) in values.iter().enumerate() {
        let sent = at % 60 == 0 && at / 60 < 64;
        assert_eq!(*value != 0.0, sent, "{at}");
        if sent {
            assert!((value - delta[at]).abs() < 0.005, "{at}: {value} {}", delta[at]);
        }
    }
}

#[test]
fn what_one_round_loses_the_next_ones_send() {
    for encoding in [
        Encoding::Int8,
        Encoding::TopK { per_chunk: 64 },
        Encoding::MaxOf { group: 16 },
        Encoding::Sign,
    ] {
        let parameters = 1000;
        let form = UpdateForm { encoding, parameters };
        let delta: Vec<f32> =
            (0..parameters).map(|at| ((at * 7 % 13) as f32 - 6.0) * 0.01).collect();
        let mut residual = vec![0.0; parameters];
        let mut sent = vec![0.0f32; parameters];
        let rounds = 800;
        for _ in 0..rounds {
            let update = Update::make(&form, trainer(), &delta, &mut residual);
            for (sent, value) in sent.iter_mut().zip(update.values(&form)) {
                *sent += value;
            }
        }
        for (sent, delta) in sent.iter().zip(&delta) {
            let mean = sent / rounds as f32;
            assert!((mean - delta).abs() < 0.01, "{encoding:?}: {mean} for {delta}");
        }
    }
}

#[test]
fn hostile_updates_are_named() {
    let form = UpdateForm { encoding: Encoding::Int8, parameters: 300 };
    let good = Update::make(&form, trainer(), &[0.5; 300], &mut [0.0; 300]).bytes().to_vec();
    let open = |bytes: &[u8]| Update::open(bytes.to_vec(), &form, trainer()).map(drop);
    assert_eq!(
        open(&good[..good.len() - 1]),
        Err(UpdateError::Length { found: 333, expected: 334 })
    );
    let stranger = SecretKey::from_seed(&[8; 32]).public();
    assert_eq!(Update::open(good.clone(), &form, stranger).map(drop), Err(UpdateError::Copied));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        open(&bytes)
    };
    let bad = |what| Err(UpdateError::Value { chunk: 0, what });
    assert_eq!(with(32, 1), bad("an exponent out of range"));
    assert_eq!(with(33, -33i8 as u8), bad("an exponent out of range"));
    assert_eq!(with(200, 0x80), bad("a value that is not a number"));
    let form = UpdateForm { encoding: Encoding::TopK { per_chunk: 64 }, parameters: 300 };
    let good = Update::make(&form, trainer(), &[0.5; 300], &mut [0.0; 300]).bytes().to_vec();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Update::open(bytes, &form, trainer()).map(drop)
    };
    assert_eq!(with(33, 127), bad("levels out of range"));
    assert_eq!(with(34, 200), bad("levels out of range"));
    assert_eq!(with(36, 0xff), bad("places out of order or range"));
    // Five places fill 60 bits of 64, five levels 10 of 16.
    assert_eq!(with(42, 0xf0), bad("bits that nothing uses"));
    assert_eq!(with(44, 0xf0), bad("bits that nothing uses"));
}

#[test]
fn infinities_and_nans_vanish() {
    for encoding in [Encoding::Int8, Encoding::TopK { per_chunk: 4096 }] {
        let form = UpdateForm { encoding, parameters: 3 };
        let mut residual = [0.0; 3];
        let delta = [f32::NAN, f32::INFINITY, 1.0];
        let update = Update::make(&form, trainer(), &delta, &mut residual);
        let values = update.values(&form);
        assert_eq!(values[..2], [0.0, 0.0], "{encoding:?}");
        assert!((values[2] + residual[2] - 1.0).abs() < 1e-6);
    }
}
