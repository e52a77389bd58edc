//! The middle of many values, parameter by parameter: trimmed mean and median.
//!
//! Values are floats, which hold each one exactly, as integers in the same order, sorted by a network that
//! has no branches (odd-even merging: Batcher 1968), many parameters at once. Each is a multiple of 2^-32
//! below 2^7, so the sum of at most 2^14 of them is exact in a double, whatever the order.
//!
//! Invariants: depends on the set of values alone. What it is not: weighted.

use super::ONE;
use crate::kernel::kernel;
use crate::update::{BLOCK, CHUNK, Chunk, Values, nearest, power_of_two};

/// Parameters that are sorted at once.
const LANES: usize = 16;
/// One update's values of them.
pub(super) type Lanes = [i32; LANES];

/// What is left of `count` sorted values, and how to take their mean.
#[derive(Debug)]
pub(super) struct Middle {
    network: Vec<(u32, u32)>,
    from: usize,
    to: usize,
    divisor: Divisor,
}

kernel! {
    /// Takes the means of a chunk's parameters: `rows` has one row of values an update.
    pub(super) fn means<'a>(
        middle: &'a Middle,
        rows: &'a [[i32; CHUNK]],
        room: &'a mut Vec<Lanes>,
        means: &'a mut [i64],
    ) -> () {
        middle.means(rows, room, means);
    }
}

kernel! {
    /// Writes a chunk's values as a row, so many 256ths of them, to the nearest multiple of their step.
    pub(super) fn write_row<'a>(
        chunk: &'a Chunk<'a>,
        discount: u16,
        room: &'a mut Values,
        row: &'a mut [i32; CHUNK],
    ) -> () {
        chunk.expand(room);
        for (block, row) in row.chunks_exact_mut(BLOCK).enumerate() {
            let step = power_of_two(room.shifts[block]);
            let steps = &room.steps[block * BLOCK..(block + 1) * BLOCK];
            for (key, q) in row.iter_mut().zip(steps) {
                let q = (i32::from(*q) * i32::from(discount) + 128) >> 8;
                *key = key_of(q as f32 * step);
            }
        }
    }
}

impl Middle {
    /// The mean of `count` values without the `trim` smallest and largest.
    pub(super) fn trimmed(count: usize, trim: usize) -> Self {
        let trim = trim.min((count - 1) / 2);
        let (from, to) = (trim, count - trim);
        Self { network: network(count), from, to, divisor: Divisor::new((to - from) as u64) }
    }

    /// The median of `count` values: of an even number, the mean of the two in the middle.
    pub(super) fn median(count: usize) -> Self {
        Self::trimmed(count, (count - 1) / 2)
    }

    #[inline(always)]
    fn means(&self, rows: &[[i32; CHUNK]], room: &mut Vec<Lanes>, means: &mut [i64]) {
        // A few rows are sorted in registers; what is missing sorts behind all others.
        let mut few = [[i32::MAX; LANES]; FEW];
        for (tile, means) in means.chunks_mut(LANES).enumerate() {
            let mut sums = [0.0f64; LANES];
            if rows.len() <= FEW {
                for (to, row) in few.iter_mut().zip(rows) {
                    *to = row.as_chunks().0[tile];
                }
                self.add(&sorted(few), &mut sums);
            } else {
                room.clear();
                room.extend(rows.iter().map(|row| row.as_chunks().0[tile]));
                for (low, high) in &self.network {
                    let (low, high) = (*low as usize, *high as usize);
                    (room[low], room[high]) = ordered(room[low], room[high]);
                }
                self.add(room, &mut sums);
            }
            for (mean, sum) in means.iter_mut().zip(sums) {
                *mean = self.divisor.divide(nearest(sum * ONE));
            }
        }
    }

    #[inline(always)]
    fn add(&self, rows: &[Lanes], sums: &mut [f64; LANES]) {
        for row in &rows[self.from..self.to] {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value_of(*value));
            }
        }
    }
}

/// An integer that is in the order of floats, and back: negative ones are turned round.
#[inline(always)]
fn key_of(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

#[inline(always)]
fn value_of(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) as u32 >> 1) as i32) as u32)
}

/// The smaller and the larger of each pair.
#[inline(always)]
fn ordered(one: Lanes, other: Lanes) -> (Lanes, Lanes) {
    let (mut low, mut high) = (one, one);
    for (low, other) in low.iter_mut().zip(&other) {
        *low = (*low).min(*other);
    }
    for (high, other) in high.iter_mut().zip(&other) {
        *high = (*high).max(*other);
    }
    (low, high)
}

/// Rows that are sorted in registers.
const FEW: usize = 16;

macro_rules! sort_few {
    ($rows:ident: $(($low:literal, $high:literal))*) => {
        $(($rows[$low], $rows[$high]) = ordered($rows[$low], $rows[$high]);)*
        #[cfg(test)]
        const NETWORK_OF_FEW: &[(u32, u32)] = &[$(($low, $high)),*];
        #[cfg(test)]
        debug_assert_eq!(NETWORK_OF_FEW, network(FEW));
    };
}

/// [`network`] of `FEW`, written out.
#[inline(always)]
fn sorted(mut rows: [Lanes; FEW]) -> [Lanes; FEW] {
    sort_few! { rows:
        (0, 1) (2, 3) (4, 5) (6, 7) (8, 9) (10, 11) (12, 13) (14, 15) (0, 2) (1, 3) (4, 6) (5, 7)
        (8, 10) (9, 11) (12, 14) (13, 15) (1, 2) (5, 6) (9, 10) (13, 14) (0, 4) (1, 5) (2, 6)
        (3, 7) (8, 12) (9, 13) (10, 14) (11, 15) (2, 4) (3, 5) (10, 12) (11, 13) (1, 2) (3, 4)
        (5, 6) (9, 10) (11, 12) (13, 14) (0, 8) (1, 9) (2, 10) (3, 11) (4, 12) (5, 13) (6, 14)
        (7, 15) (4, 8) (5, 9) (6, 10) (7, 11) (2, 4) (3, 5) (6, 8) (7, 9) (10, 12) (11, 13) (1, 2)
        (3, 4) (5, 6) (7, 8) (9, 10) (11, 12) (13, 14)
    }
    rows
}

/// Which pairs to compare, in which order, so that everything is sorted in the end.
fn network(count: usize) -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    let mut part = 1;
    while part < count {
        let mut step = part;
        while step >= 1 {
            let mut from = step % part;
            while from + step < count {
                for at in from..(from + step).min(count - step) {
                    if at / (part * 2) == (at + step) / (part * 2) {
                        pairs.push((at as u32, (at + step) as u32));
                    }
                }
                from += step * 2;
            }
            step /= 2;
        }
        part *= 2;
    }
    pairs
}

/// Division by one number, again and again, without dividing.
#[derive(Debug)]
struct Divisor {
    half: u64,
    factor: u64,
    shift: u32,
}

impl Divisor {
    /// By `divisor`, at least 1. Exact for dividends below 2^56 (Granlund and Montgomery 1994, theorem
    /// 4.2): the factor is 2^(56 + l) over the divisor, rounded up, where 2^l is not below it.
    fn new(divisor: u64) -> Self {
        let shift = 56 + divisor.next_power_of_two().trailing_zeros();
        let factor = (1u128 << shift).div_ceil(u128::from(divisor)) as u64;
        Self { half: divisor / 2, factor, shift }
    }

    /// To the nearest, halves away from zero.
    #[inline(always)]
    fn divide(&self, dividend: i64) -> i64 {
        let raised = dividend.unsigned_abs() + self.half;
        let quotient = ((u128::from(raised) * u128::from(self.factor)) >> self.shift) as i64;
        if dividend < 0 { -quotient } else { quotient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_values_is_sorted() {
        for count in 1..=40usize {
            // A network that sorts every row of zeros and ones sorts everything (Knuth 5.3.4 Z);
            // these are the rows that differ in where the ones begin, shuffled.
            for seed in 0..200u64 {
                let mut values: Vec<u64> = (0..count as u64)
                    .map(|at| (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ seed << 20) >> 40)
                    .collect();
                for (a, b) in network(count) {
                    let (a, b) = (a as usize, b as usize);
                    if values[a] > values[b] {
                        values.swap(a, b);
                    }
                }
                assert!(values.is_sorted(), "{count} values, seed {seed}");
            }
        }
    }

    #[test]
    fn division_is_exact() {
        for divisor in [1, 2, 3, 5, 7, 12, 255, 511, 512, 10_000, 1 << 14] {
            let by = Divisor::new(divisor);
            let divisor = divisor as i64;
            for at in 0..20_000i64 {
                for dividend in
                    [at, at * 0x3_1415_9265, (1 << 55) - at, (1 << 55) / divisor * divisor - at]
                {
                    let expected = (dividend + divisor / 2) / divisor;
                    assert_eq!(by.divide(dividend), expected, "{dividend} / {divisor}");
                    assert_eq!(by.divide(-dividend), -expected, "-{dividend} / {divisor}");
                }
            }
        }
    }
}
