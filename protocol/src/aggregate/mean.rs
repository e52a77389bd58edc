//! The weighted mean of a chunk.
//!
//! In a block, an update of share `s` and exponent `e` counts as `K = s * 2^(32 + e)`. All `K` of a block
//! are cut to as many bits as let them add up to 2^24: `k = round(K / 2^t)`, with the least `t` that does;
//! then the sum of the products with the updates' bytes fits 32 bits. The mean in units of 2^-32 is
//! that sum times `2^t / 2^22`, to the nearest, halves up. So what is lost is less than one part in
//! 2^24 of the largest change of the block, times the number of updates.
//!
//! Invariants: integers only. What it is not: in charge of shares.

use super::share::SHARE_BITS;
use crate::kernel::kernel;
use crate::update::{BLOCK, CHUNK, Chunk};

/// What the factors of a block add up to at most, but for rounding.
const FACTOR_BITS: u32 = 24;
/// Parameters whose sums are held in registers.
const LANES: usize = 64;

/// Room for the work on a chunk.
#[derive(Debug)]
pub(super) struct Mean {
    factors: Vec<i32>,
    sums: Vec<i32>,
}

kernel! {
    /// Writes the means of one chunk's parameters, in units of 2^-32.
    pub(super) fn means<'a>(
        mean: &'a mut Mean,
        chunks: &'a [Chunk<'a>],
        shares: &'a [i32],
        means: &'a mut [i64],
    ) -> () {
        mean.means(chunks, shares, means);
    }
}

impl Mean {
    pub(super) fn new(updates: usize) -> Self {
        Self { factors: vec![0; updates], sums: vec![0; CHUNK] }
    }

    #[inline(always)]
    fn means(&mut self, chunks: &[Chunk<'_>], shares: &[i32], means: &mut [i64]) {
        self.sums.fill(0);
        for (block, means) in means.chunks_mut(BLOCK).enumerate() {
            let drop = self.factors(chunks, shares, block);
            let start = block * BLOCK;
            let sums = &mut self.sums[start..start + means.len()];
            add_dense(chunks, &self.factors, start, sums);
            if block == 0 {
                // Other encodings have one exponent a chunk, so the factors hold for all of it.
                for (chunk, factor) in chunks.iter().zip(&self.factors) {
                    chunk.add_sparse(&mut self.sums, *factor);
                }
            }
            for (mean, sum) in means.iter_mut().zip(&self.sums[start..]) {
                *mean = ((i64::from(*sum) << drop) + (1 << (SHARE_BITS - 1))) >> SHARE_BITS;
            }
        }
    }

    /// Sets the factors of a block; returns how many bits were dropped.
    #[inline(always)]
    fn factors(&mut self, chunks: &[Chunk<'_>], shares: &[i32], block: usize) -> u32 {
        let whole = |chunk: &Chunk<'_>, share: &i32| i64::from(*share) << chunk.shift(block);
        let total: i64 = chunks.iter().zip(shares).map(|(c, s)| whole(c, s)).sum();
        let drop = (64 - total.leading_zeros()).saturating_sub(FACTOR_BITS);
        let half = (1i64 << drop) >> 1;
        for ((factor, chunk), share) in self.factors.iter_mut().zip(chunks).zip(shares) {
            *factor = ((whole(chunk, share) + half) >> drop) as i32;
        }
        drop
    }
}

/// Adds the bytes of `int8` chunks from parameter `start` on, times their factors.
#[inline(always)]
fn add_dense(chunks: &[Chunk<'_>], factors: &[i32], start: usize, sums: &mut [i32]) {
    let (tiles, rest) = sums.as_chunks_mut::<LANES>();
    for (tile, sums) in tiles.iter_mut().enumerate() {
        let at = start + tile * LANES;
        let mut held = *sums;
        for (chunk, factor) in chunks.iter().zip(factors) {
            let Chunk::Int8 { steps, .. } = chunk else { return };
            let Some(steps) = steps[at..].first_chunk::<LANES>() else { return };
            for (sum, step) in held.iter_mut().zip(steps) {
                *sum += i32::from(*step as i8) * factor;
            }
        }
        *sums = held;
    }
    let at = start + tiles.len() * LANES;
    for (chunk, factor) in chunks.iter().zip(factors) {
        let Chunk::Int8 { steps, .. } = chunk else { return };
        for (sum, step) in rest.iter_mut().zip(&steps[at..]) {
            *sum += i32::from(*step as i8) * factor;
        }
    }
}
