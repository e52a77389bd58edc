//! One chunk of an update: looked at, added to sums, written out.
//!
//! Invariants: after `check` every value is `q * 2^e` in the ranges of the module; the others assume
//! it and stay within memory and `i64` whatever the bytes. What it is not: a copy, it borrows.

use super::{BLOCK, CHUNK, EXPONENT_MAX, EXPONENT_MIN, Encoding, STEPS_MAX};
use crate::aggregate::FRACTION_BITS;

/// A chunk's parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chunk<'a> {
    /// One exponent a block, one signed byte a parameter.
    Int8 {
        /// The exponents.
        exponents: &'a [u8],
        /// The bytes.
        steps: &'a [u8],
    },
    /// Some parameters, at two levels.
    Some {
        /// Exponent, low and high.
        head: [u8; 3],
        /// Their places.
        places: &'a [u8],
        /// Bits of each.
        place_bits: usize,
        /// Whether they count from the start of a group, of which each has one.
        grouped: bool,
        /// Sign and level, 2 bits each.
        levels: &'a [u8],
        /// How many they are.
        kept: usize,
        /// Of how many parameters.
        parameters: usize,
    },
    /// All parameters, at one level.
    Sign {
        /// Exponent and level.
        head: [u8; 2],
        /// A bit each.
        signs: &'a [u8],
        /// Of how many parameters.
        parameters: usize,
    },
}

/// A chunk written out: one signed byte a parameter, one exponent a block.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    /// The bytes.
    pub(crate) steps: [i8; CHUNK],
    /// The exponents, as shifts: 0 is 2^-32.
    pub(crate) shifts: [u8; CHUNK / BLOCK],
}

impl Default for Values {
    fn default() -> Self {
        Self { steps: [0; CHUNK], shifts: [0; CHUNK / BLOCK] }
    }
}

impl Values {
    /// The value of a parameter; every one has an exact float.
    pub(crate) fn value(&self, at: usize) -> f32 {
        f32::from(self.steps[at]) * power_of_two(self.shifts[at / BLOCK])
    }
}

impl<'a> Chunk<'a> {
    /// The parts of a chunk of so many parameters.
    ///
    /// # Panics
    /// If `bytes` has not the length that `encoding` gives such a chunk.
    #[inline(always)]
    pub(crate) fn split(encoding: &Encoding, parameters: usize, bytes: &'a [u8]) -> Self {
        assert_eq!(bytes.len(), encoding.chunk_bytes(parameters), "a whole chunk");
        match encoding {
            Encoding::Int8 => {
                let (exponents, steps) = bytes.split_at(parameters.div_ceil(BLOCK));
                Self::Int8 { exponents, steps }
            }
            Encoding::TopK { .. } | Encoding::MaxOf { .. } => {
                let (kept, place_bits) = (encoding.kept(parameters), encoding.place_bits());
                let (head, rest) = bytes.split_first_chunk().expect("its length was compared");
                let (places, levels) = rest.split_at((place_bits * kept).div_ceil(8));
                let grouped = matches!(encoding, Encoding::MaxOf { .. });
                Self::Some { head: *head, places, place_bits, grouped, levels, kept, parameters }
            }
            Encoding::Sign => {
                let (head, signs) = bytes.split_first_chunk().expect("its length was compared");
                Self::Sign { head: *head, signs, parameters }
            }
        }
    }

    /// Looks at every value; returns the squared norm in units of 2^-64: at most 2^14 a value and
    /// 2^30 of them, so at most 2^(14 + 64 + 30) < 2^128 in a model.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<u128, &'static str> {
        match *self {
            Self::Int8 { exponents, steps } => {
                let mut sum = 0;
                for (exponent, steps) in exponents.iter().zip(steps.chunks(BLOCK)) {
                    let shift = check_exponent(*exponent)?;
                    let (squares, smallest) = squares(steps);
                    if smallest < -STEPS_MAX {
                        return Err("a value that is not a number");
                    }
                    sum += u128::from(squares) << (2 * shift);
                }
                Ok(sum)
            }
            Self::Some {
                head: [exponent, low, high],
                kept,
                parameters,
                levels,
                places,
                place_bits,
                ..
            } => {
                let shift = check_exponent(exponent)?;
                if low > high || high > STEPS_MAX as u8 {
                    return Err("levels out of range");
                }
                let mut before = None;
                let mut sum = 0;
                for at in 0..kept {
                    let place = self.place(at);
                    if place >= parameters || before.is_some_and(|before| before >= place) {
                        return Err("places out of order or range");
                    }
                    before = Some(place);
                    sum += u64::from(self.step(at).unsigned_abs()).pow(2);
                }
                let used = |bytes: &[u8], bits: usize| {
                    bits.is_multiple_of(8)
                        || bytes.last().is_none_or(|last| last >> (bits % 8) == 0)
                };
                if !used(places, place_bits * kept) || !used(levels, 2 * kept) {
                    return Err("bits that nothing uses");
                }
                Ok(u128::from(sum) << (2 * shift))
            }
            Self::Sign { head: [exponent, level], signs, parameters } => {
                let shift = check_exponent(exponent)?;
                if level > STEPS_MAX as u8 {
                    return Err("a level out of range");
                }
                let left = parameters % 8;
                if left > 0 && signs.last().is_some_and(|last| last >> left != 0) {
                    return Err("bits that nothing uses");
                }
                Ok((u128::from(level).pow(2) * parameters as u128) << (2 * shift))
            }
        }
    }

    /// By how much the steps of a block are shifted to be in units of 2^-32.
    #[inline(always)]
    pub(crate) fn shift(&self, block: usize) -> u32 {
        match *self {
            Self::Int8 { exponents, .. } => shift_of(exponents[block]),
            Self::Some { head, .. } => shift_of(head[0]),
            Self::Sign { head, .. } => shift_of(head[0]),
        }
    }

    /// Adds `steps * factor` to each sum, for encodings with one exponent a chunk.
    #[inline(always)]
    pub(crate) fn add_sparse(&self, sums: &mut [i32], factor: i32) {
        match *self {
            Self::Int8 { .. } => {}
            Self::Some { kept, .. } => {
                for at in 0..kept {
                    sums[self.place(at) % CHUNK] += i32::from(self.step(at)) * factor;
                }
            }
            Self::Sign { head: [_, level], signs, .. } => {
                let value = i32::from(level as i8) * factor;
                for (sums, bits) in sums.chunks_mut(8).zip(signs) {
                    for (at, sum) in sums.iter_mut().enumerate() {
                        let minus = -i32::from((bits >> at) & 1);
                        *sum += (value ^ minus) - minus;
                    }
                }
            }
        }
    }

    /// Writes all values out; what is past the last parameter is zero.
    #[inline(always)]
    pub(crate) fn expand(&self, into: &mut Values) {
        into.steps.fill(0);
        match *self {
            Self::Int8 { exponents, steps } => {
                into.shifts.fill(0);
                for (shift, exponent) in into.shifts.iter_mut().zip(exponents) {
                    *shift = shift_of(*exponent) as u8;
                }
                for (into, step) in into.steps.iter_mut().zip(steps) {
                    *into = *step as i8;
                }
            }
            Self::Some { head, kept, .. } => {
                into.shifts.fill(shift_of(head[0]) as u8);
                for at in 0..kept {
                    into.steps[self.place(at) % CHUNK] = self.step(at);
                }
            }
            Self::Sign { head: [exponent, level], signs, parameters } => {
                into.shifts.fill(shift_of(exponent) as u8);
                let level = level as i8;
                for (at, step) in into.steps[..parameters].iter_mut().enumerate() {
                    let minus = -(((signs[at / 8] >> (at % 8)) & 1) as i8);
                    *step = (level ^ minus) - minus;
                }
            }
        }
    }

    /// Where the `at`th value of some belongs.
    #[inline(always)]
    fn place(&self, at: usize) -> usize {
        let Self::Some { places, place_bits, grouped, .. } = self else { return at };
        let first = at * place_bits;
        // At most 12 bits, in at most three bytes.
        let byte = |n: usize| u32::from(places.get(first / 8 + n).copied().unwrap_or(0)) << (8 * n);
        let word = (byte(0) | byte(1) | byte(2)) >> (first % 8);
        let place = word as usize & ((1 << place_bits) - 1);
        if *grouped { place + (at << place_bits) } else { place }
    }

    /// The `at`th value of some.
    #[inline(always)]
    fn step(&self, at: usize) -> i8 {
        let Self::Some { head: [_, low, high], levels, .. } = self else { return 0 };
        let bits = levels[at / 4] >> (at % 4 * 2);
        let level = if bits & 2 == 0 { *low as i8 } else { *high as i8 };
        if bits & 1 == 0 { level } else { -level }
    }
}

/// The sum of squares of a block, and its smallest step.
#[inline(always)]
fn squares(steps: &[u8]) -> (u32, i8) {
    let mut sum = 0;
    let mut smallest = 0;
    for step in steps {
        let step = *step as i8;
        smallest = smallest.min(step);
        sum += (i32::from(step) * i32::from(step)) as u32;
    }
    (sum, smallest)
}

fn check_exponent(exponent: u8) -> Result<u32, &'static str> {
    if (EXPONENT_MIN..=EXPONENT_MAX).contains(&(exponent as i8)) {
        Ok(shift_of(exponent))
    } else {
        Err("an exponent out of range")
    }
}

/// By how much a step is shifted to be in units of 2^-32; within range whatever the byte.
#[inline(always)]
fn shift_of(exponent: u8) -> u32 {
    (FRACTION_BITS as i32 + i32::from((exponent as i8).clamp(EXPONENT_MIN, EXPONENT_MAX))) as u32
}

/// `2^(shift - 32)`.
#[inline(always)]
pub(crate) fn power_of_two(shift: u8) -> f32 {
    f32::from_bits((127 + u32::from(shift) - FRACTION_BITS) << 23)
}
