//! How alike two updates are, from some of their chunks, exactly.
//!
//! Invariants: integers only, so that everyone finds the same; reads no more than the chunks asked for.
//! What it is not: a judgement. Honest trainers with like data send like updates.

use super::chunk::{Chunk, Values};
use super::encoding::UpdateForm;
use super::{BLOCK, CHUNK, UPDATE_HEAD_BYTES};
use crate::aggregate::{Source, TapeError};
use crate::kernel::kernel;

/// Some chunks of an update, written out.
#[derive(Debug, Clone)]
pub struct Excerpt {
    chunks: Vec<Values>,
    squares: u128,
}

impl Excerpt {
    /// These chunks of an update that was looked at and found good. An error if it cannot be read.
    ///
    /// # Panics
    /// If the form has no such chunk.
    pub fn of(form: &UpdateForm, update: &dyn Source, chunks: &[usize]) -> Result<Self, TapeError> {
        let mut excerpt = Self { chunks: Vec::with_capacity(chunks.len()), squares: 0 };
        let mut bytes = Vec::new();
        for &at in chunks {
            let range = form.chunk_range(at);
            bytes.resize((range.end - range.start) as usize, 0);
            update.read_at(UPDATE_HEAD_BYTES as u64 + range.start, &mut bytes)?;
            let mut values = Values::default();
            Chunk::split(&form.encoding, form.chunk_parameters(at), &bytes).expand(&mut values);
            excerpt.squares += dot(&values, &values).unsigned_abs();
            excerpt.chunks.push(values);
        }
        Ok(excerpt)
    }

    /// The cosine between this and the same chunks of another update, in thousandths; zero if they point
    /// apart, or one of them is zero.
    pub fn cosine_milli(&self, other: &Self) -> u32 {
        let dot: i128 = self.chunks.iter().zip(&other.chunks).map(|(a, b)| dot(a, b)).sum();
        let norms = self.squares.isqrt() * other.squares.isqrt();
        let milli = (dot.max(0).unsigned_abs() * 1000).checked_div(norms).unwrap_or(0);
        milli.min(1000) as u32
    }
}

kernel! {
    /// The inner product in units of 2^-64.
    fn dot<'a>(a: &'a Values, b: &'a Values) -> i128 {
        let mut sum = 0;
        for block in 0..CHUNK / BLOCK {
            let range = block * BLOCK..(block + 1) * BLOCK;
            let pairs = a.steps[range.clone()].iter().zip(&b.steps[range]);
            let steps: i32 = pairs.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
            sum += i128::from(steps) << (a.shifts[block] + b.shifts[block]);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::update::{Encoding, Update};

    fn excerpt(form: &UpdateForm, delta: &[f32]) -> Excerpt {
        let trainer = SecretKey::from_seed(&[1; 32]).public();
        let update = Update::make(form, trainer, delta, &mut vec![0.0; delta.len()]);
        let chunks: Vec<usize> = (0..form.chunks()).collect();
        Excerpt::of(form, &update, &chunks).expect("in memory")
    }

    #[test]
    fn the_cosine_is_that_of_the_values() {
        let form = UpdateForm { encoding: Encoding::Int8, parameters: 5000 };
        let wave =
            |step: f32| -> Vec<f32> { (0..5000).map(|at| (at as f32 * step).sin()).collect() };
        let (sine, other) = (wave(0.1), wave(0.37));
        let mixed: Vec<f32> = sine.iter().zip(&other).map(|(a, b)| a + b).collect();
        let [sine, other, mixed] = [sine, other, mixed].map(|values| excerpt(&form, &values));
        assert_eq!(sine.cosine_milli(&sine), 1000);
        assert!(sine.cosine_milli(&other) < 10, "{}", sine.cosine_milli(&other));
        let diagonal = sine.cosine_milli(&mixed);
        assert!((700..715).contains(&diagonal), "{diagonal}");
        let nothing = excerpt(&form, &vec![0.0; 5000]);
        assert_eq!(sine.cosine_milli(&nothing), 0);
        let back: Vec<f32> = wave(0.1).iter().map(|value| -value).collect();
        assert_eq!(sine.cosine_milli(&excerpt(&form, &back)), 0);
    }
}
