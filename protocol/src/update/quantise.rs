//! From exact values to a chunk, leaving what is lost.
//!
//! Invariants: integers only, so a round's certified step has the same bits everywhere; the bytes
//! pass `Chunk::check`; bytes and what is left add up to the values. What it is not: reversible.

use super::{BLOCK, CHUNK, EXPONENT_MIN, Encoding, STEPS_MAX};
use crate::kernel::kernel;

/// The largest magnitude that is quantised; beyond, it is left for later.
const VALUE_MAX: i64 = 1 << 50;

/// Appends the chunk of `values` (multiples of 2^-32) to `out`; leaves in `values` what it does not
/// say.
pub fn quantise(encoding: &Encoding, values: &mut [i64], out: &mut Vec<u8>) {
    match encoding {
        Encoding::Int8 => int8(values, out),
        Encoding::TopK { .. } | Encoding::MaxOf { .. } => some(encoding, values, out),
        Encoding::Sign => sign(values, out),
    }
}

fn int8(values: &mut [i64], out: &mut Vec<u8>) {
    let exponents = out.len();
    out.resize(exponents + values.len().div_ceil(BLOCK), 0);
    for (block, values) in values.chunks_mut(BLOCK).enumerate() {
        let (shift, steps) = quantise_block(values);
        out[exponents + block] = exponent(shift);
        out.extend_from_slice(&steps[..values.len()]);
    }
}

kernel! {
    /// The shift and the steps of a block; leaves what they do not say.
    fn quantise_block<'a>(values: &'a mut [i64]) -> (u32, [u8; BLOCK]) {
        let largest = values.iter().fold(0, |max, value| max.max(value.unsigned_abs()));
        let shift = shift_for(largest);
        let mut bytes = [0; BLOCK];
        for (byte, value) in bytes.iter_mut().zip(values) {
            let step = steps(*value, shift);
            *value -= i64::from(step) << shift;
            *byte = step as u8;
        }
        (shift, bytes)
    }
}

fn some(encoding: &Encoding, values: &mut [i64], out: &mut Vec<u8>) {
    // The magnitude above, the place below: of equal ones the first counts as larger.
    let key = |(at, value): (usize, &i64)| {
        let magnitude = value.unsigned_abs().min(VALUE_MAX as u64);
        magnitude << 12 | (CHUNK - 1 - at) as u64
    };
    let mut keys: Vec<u64> = values.iter().enumerate().map(key).collect();
    let place_bits = encoding.place_bits();
    if let Encoding::MaxOf { .. } = encoding {
        let groups = keys.chunks(1 << place_bits);
        keys = groups.map(|group| group.iter().copied().max().unwrap_or(0)).collect();
    } else if encoding.kept(values.len()) < keys.len() {
        let kept = encoding.kept(values.len());
        keys.select_nth_unstable_by(kept, |a, b| b.cmp(a));
        keys.truncate(kept);
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let (highs, high, low) = two_levels(&keys);
    let shift = shift_for(high);
    let [low, high] = [low, high].map(|level| steps(level as i64, shift));
    out.extend([exponent(shift), low as u8, high as u8]);
    let mut kept: Vec<(usize, bool)> = (keys.iter().enumerate())
        .map(|(rank, key)| (CHUNK - 1 - (*key as usize & (CHUNK - 1)), rank < highs))
        .collect();
    kept.sort_unstable();
    let (mut word, mut bits) = (0, 0);
    for (place, _) in &kept {
        word |= (place & ((1 << place_bits) - 1)) << bits;
        bits += place_bits;
        while bits >= 8 {
            out.push(word as u8);
            (word, bits) = (word >> 8, bits - 8);
        }
    }
    if bits > 0 {
        out.push(word as u8);
    }
    for four in kept.chunks(4) {
        let mut byte = 0;
        for (at, (place, is_high)) in four.iter().enumerate() {
            let value = &mut values[*place];
            let minus = *value < 0;
            let level = i64::from(if *is_high { high } else { low }) << shift;
            *value -= if minus { -level } else { level };
            byte |= (u8::from(minus) | u8::from(*is_high) << 1) << (2 * at);
        }
        out.push(byte);
    }
}

/// Splits magnitudes, largest first, into high and low ones so that two levels are nearest to them
/// (the means of both; Lloyd 1982). Returns how many are high, and both levels.
fn two_levels(keys: &[u64]) -> (usize, u64, u64) {
    let magnitude = |key: &u64| key >> 12;
    let total: u64 = keys.iter().map(magnitude).sum();
    let largest = keys.first().map_or(0, magnitude);
    // 19 bits each: at most 2^12 of them, squared, fit 64 bits.
    let drop = (64 - largest.leading_zeros()).saturating_sub(19);
    let coarse_total: u64 = keys.iter().map(|key| magnitude(key) >> drop).sum();
    let (mut best, mut best_at) = (0, keys.len());
    let mut sum = 0;
    for (at, key) in keys.iter().enumerate() {
        sum += magnitude(key) >> drop;
        let (highs, lows) = (at as u64 + 1, (keys.len() - at - 1) as u64);
        let rest = coarse_total - sum;
        // What two means explain of the squares.
        let explained = sum * sum / highs + (rest * rest).checked_div(lows).unwrap_or(0);
        if explained > best {
            (best, best_at) = (explained, at + 1);
        }
    }
    let high: u64 = keys[..best_at].iter().map(magnitude).sum();
    let mean = |sum: u64, count: usize| sum.checked_div(count as u64).unwrap_or(0);
    (best_at, mean(high, best_at), mean(total - high, keys.len() - best_at))
}

fn sign(values: &mut [i64], out: &mut Vec<u8>) {
    let magnitude = |value: &i64| value.unsigned_abs().min(VALUE_MAX as u64);
    let total: u64 = values.iter().map(magnitude).sum();
    let mean = total.checked_div(values.len() as u64).unwrap_or(0);
    let shift = shift_for(mean);
    let level = steps(mean as i64, shift);
    out.extend([exponent(shift), level as u8]);
    let level = i64::from(level) << shift;
    for eight in values.chunks_mut(8) {
        let mut byte = 0;
        for (at, value) in eight.iter_mut().enumerate() {
            let minus = *value < 0;
            *value -= if minus { -level } else { level };
            byte |= u8::from(minus) << at;
        }
        out.push(byte);
    }
}

/// The smallest shift at which `largest` is at most 127 steps.
#[inline(always)]
fn shift_for(largest: u64) -> u32 {
    let largest = largest.min(VALUE_MAX as u64);
    // 127 steps reach everything of seven bits but what rounding would lift above.
    let bits = 64 - largest.leading_zeros();
    let shift = bits.saturating_sub(7);
    let fits = largest <= (STEPS_MAX as u64) << shift;
    (if fits { shift } else { shift + 1 }).min(32)
}

/// The nearest number of steps, halves up, within range.
#[inline(always)]
fn steps(value: i64, shift: u32) -> i8 {
    let value = value.clamp(-VALUE_MAX, VALUE_MAX);
    let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
    ((value + half) >> shift).clamp(-i64::from(STEPS_MAX), i64::from(STEPS_MAX)) as i8
}

fn exponent(shift: u32) -> u8 {
    (i32::from(EXPONENT_MIN) + shift as i32) as i8 as u8
}
