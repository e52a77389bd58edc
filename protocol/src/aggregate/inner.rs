//! Inner products of all pairs of updates, exactly.
//!
//! Of two blocks the product of the signed bytes is summed in 32 bits and shifted once, so that most
//! of the work is on bytes. In units of 2^-64.
//!
//! Invariants: integers only, so the sum is the same in any order. What it is not: a rule.

use std::sync::{Mutex, PoisonError};

use super::span::{self, Spans};
use super::{AggregateError, Contribution, Plan};
use crate::kernel::kernel;
use crate::update::{BLOCK, CHUNK, Chunk, Values};

/// All inner products; of updates `i <= j`.
#[derive(Debug, Default)]
pub(super) struct Products {
    count: usize,
    /// Row after row, from the diagonal on.
    sums: Vec<i128>,
}

impl Products {
    fn zeros(count: usize) -> Self {
        Self { count, sums: vec![0; count * (count + 1) / 2] }
    }

    fn place(&self, i: usize, j: usize) -> usize {
        let (i, j) = (i.min(j), i.max(j));
        i * (2 * self.count - i + 1) / 2 + j - i
    }

    /// The squared distance of two updates.
    pub(super) fn distance(&self, i: usize, j: usize) -> u128 {
        let own = self.sums[self.place(i, i)] + self.sums[self.place(j, j)];
        (own - 2 * self.sums[self.place(i, j)]).unsigned_abs()
    }

    /// The product of two, as a double in units of 1.
    pub(super) fn product(&self, i: usize, j: usize) -> f64 {
        const UNIT: f64 = 1.0 / (1u128 << 64) as f64;
        self.sums[self.place(i, j)] as f64 * UNIT
    }

    /// The product of one and a combination of all.
    pub(super) fn along(&self, i: usize, factors: &[f64]) -> f64 {
        factors.iter().enumerate().map(|(j, factor)| factor * self.product(i, j)).sum()
    }

    fn add(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
    }
}

/// Multiplies every pair; reads every update once.
pub(super) fn products(
    plan: &Plan,
    contributions: &[Contribution<'_>],
    threads: usize,
) -> Result<Products, AggregateError> {
    let total = Mutex::new(Products::zeros(contributions.len()));
    let spans = Spans::new(plan, contributions.len(), 0..plan.update.chunks());
    let work = || {
        let mut sums = Products::zeros(contributions.len());
        let mut rooms = vec![Values::default(); contributions.len()];
        let mut tapes = span::Tapes::default();
        while let Some(chunks) = spans.next() {
            tapes.read(&plan.update, contributions, &chunks)?;
            for at in chunks {
                for (room, source) in rooms.iter_mut().zip(0..) {
                    let bytes = tapes.chunk(&plan.update, source, at);
                    let parameters = plan.update.chunk_parameters(at);
                    let chunk = Chunk::split(&plan.update.encoding, parameters, bytes);
                    expand(&chunk, room);
                }
                multiply(&rooms, &mut sums);
            }
        }
        total.lock().unwrap_or_else(PoisonError::into_inner).add(&sums);
        Ok(())
    };
    span::on_threads(threads, work)?;
    Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner))
}

kernel! {
    fn expand<'a>(chunk: &'a Chunk<'a>, room: &'a mut Values) -> () {
        chunk.expand(room);
    }
}

kernel! {
    /// Adds the products of every pair of chunks.
    fn multiply<'a>(rooms: &'a [Values], sums: &'a mut Products) -> () {
        let mut place = 0;
        for (i, one) in rooms.iter().enumerate() {
            for other in &rooms[i..] {
                let mut sum = 0i128;
                for block in 0..CHUNK / BLOCK {
                    let range = block * BLOCK..(block + 1) * BLOCK;
                    let product = dot(&one.steps[range.clone()], &other.steps[range]);
                    let shift = one.shifts[block] + other.shifts[block];
                    sum += i128::from(product) << shift;
                }
                sums.sums[place] += sum;
                place += 1;
            }
        }
    }
}

/// At most `127^2 * 256` in magnitude.
#[inline(always)]
fn dot(one: &[i8], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b))).sum()
}
