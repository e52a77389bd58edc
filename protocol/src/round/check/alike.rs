//! Which updates of a round are nearly the same: of each two, one may be a copy that was changed a little.
//!
//! Invariants: what is compared is drawn from all commits, so that nobody knows when it commits where to
//! differ; exact, so that everyone names the same pairs. What it is not: a reason to reject. Trainers with
//! like data send like updates, and which of two was first is nowhere certified.

use std::collections::BTreeSet;

use super::record::{Counted, plan_of};
use crate::aggregate::TapeError;
use crate::limits::{ALIKE_MAX, ALIKE_MIN_MILLI};
use crate::round::record::{Accepted, Alike};
use crate::round::tip::Tip;
use crate::run::RunSpec;
use crate::update::{Excerpt, UpdateForm};

/// Chunks compared of each two updates: the cosine of a quarter of a million values is known to a percent.
const CHUNKS_MAX: usize = 64;
/// Chunks compared in one round, over all pairs: some tens of milliseconds on one core.
const CHUNKS_COMPARED_MAX: usize = 8_192;

/// The pairs that are alike among updates that count, by a draw from the round's `seed`.
pub(super) fn alike(
    form: &UpdateForm,
    seed: &[u8; 32],
    counted: &[Counted],
) -> Result<Vec<Alike>, TapeError> {
    if counted.len() < 2 {
        return Ok(Vec::new());
    }
    let chunks = compared(form, seed, counted.len());
    let excerpts = counted.iter().map(|counted| Excerpt::of(form, &*counted.update, &chunks));
    let excerpts: Vec<Excerpt> = excerpts.collect::<Result<_, _>>()?;
    let mut alike = Vec::new();
    for (at, one) in excerpts.iter().enumerate() {
        for (other_at, other) in excerpts.iter().enumerate().skip(at + 1) {
            let cosine_milli = one.cosine_milli(other);
            if cosine_milli >= ALIKE_MIN_MILLI {
                let [one, other] = [at, other_at].map(|at| counted[at].entry.commit);
                alike.push(Alike { one, other, cosine_milli });
            }
        }
    }
    alike.sort_by_key(|pair| (std::cmp::Reverse(pair.cosine_milli), *pair));
    alike.truncate(ALIKE_MAX);
    alike.sort();
    Ok(alike)
}

/// The chunks in which the updates are compared that count in the round after `tip`, sorted.
pub(super) fn compared_chunks(spec: &RunSpec, tip: &Tip, accepted: &[Accepted]) -> Vec<usize> {
    let plan = plan_of(spec, tip, accepted.iter().map(|entry| entry.commit));
    if accepted.len() < 2 { Vec::new() } else { compared(&plan.update, &plan.seed, accepted.len()) }
}

fn compared(form: &UpdateForm, seed: &[u8; 32], updates: usize) -> Vec<usize> {
    let pairs = updates * (updates - 1) / 2;
    let count = (CHUNKS_COMPARED_MAX / pairs).clamp(1, CHUNKS_MAX).min(form.chunks());
    drawn(seed, count, form.chunks())
}

/// `count` of the chunks `0..of`, sorted.
fn drawn(seed: &[u8; 32], count: usize, of: usize) -> Vec<usize> {
    if count >= of {
        return (0..of).collect();
    }
    let mut stream = blake3::Hasher::new_keyed(seed).update(b"accord/alike/v1").finalize_xof();
    let mut chunks = BTreeSet::new();
    while chunks.len() < count {
        let mut word = [0; 8];
        stream.fill(&mut word);
        chunks.insert((u64::from_le_bytes(word) % of as u64) as usize);
    }
    chunks.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::CommitId;
    use crate::key::SecretKey;
    use crate::update::{Encoding, Update};

    #[test]
    fn a_draw_is_sorted_without_repeats_and_of_its_seed() {
        let chunks = drawn(&[1; 32], 64, 1_000);
        assert!(chunks.len() == 64 && chunks.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(chunks.iter().all(|at| *at < 1_000));
        assert_ne!(chunks, drawn(&[2; 32], 64, 1_000));
        assert_eq!(drawn(&[1; 32], 5, 3), [0, 1, 2]);
    }

    #[test]
    fn a_copy_with_noise_is_named_and_honest_updates_are_not() {
        let form = UpdateForm { encoding: Encoding::Int8, parameters: 20_000 };
        let wave = |step: f32| -> Vec<f32> {
            (0..form.parameters).map(|at| (at as f32 * step).sin()).collect()
        };
        let noise = wave(0.91);
        let copy = wave(0.1).iter().zip(&noise).map(|(value, noise)| value + noise * 0.2).collect();
        let deltas = [wave(0.1), wave(0.37), copy, wave(0.73)];
        let counted = deltas.iter().enumerate().map(|(at, delta)| {
            let trainer = SecretKey::from_seed(&[at as u8 + 1; 32]).public();
            let update = Update::make(&form, trainer, delta, &mut vec![0.0; delta.len()]);
            let commit = CommitId::from_bytes([at as u8; 32]);
            let (weight, late, voucher) = (1, false, None);
            let (hash, norm) = (update.hash(), update.norm());
            let entry = Accepted { commit, trainer, update: hash, norm, weight, late, voucher };
            Counted { entry, update: Arc::new(update) }
        });
        let counted: Vec<Counted> = counted.collect();
        let pairs = alike(&form, &[7; 32], &counted).expect("in memory");
        let [pair] = pairs[..] else { panic!("{pairs:?}") };
        let [one, other] = [0, 2].map(|at| counted[at].entry.commit);
        assert_eq!((pair.one, pair.other), (one, other));
        assert!((970..990).contains(&pair.cosine_milli), "{}", pair.cosine_milli);
        assert_eq!(alike(&form, &[7; 32], &counted[..1]), Ok(vec![]));
    }
}
