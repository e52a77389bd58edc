//! Encodings of an update's values, and the lengths that follow from them.
//!
//! Of a chunk of `n` parameters (see the module's head):
//!
//! ```text
//! int8    ceil(n/256) bytes: the exponent of each block; n bytes: q of each parameter
//! top-k   1 byte: exponent; 1 byte: low; 1 byte: high; the k places, 12 bits each, rising; 2 bits of
//!         each: bit 0 the sign, bit 1 high or low
//! max-of  the same, with one place in each group of g: log2(g) bits, from the group's first on
//! sign    1 byte: exponent; 1 byte: level; 1 bit of each parameter: set is minus, eight in a byte
//! ```
//!
//! Bytes are filled from their lowest bit; bits that are left are zero. `low <= high <= 127`, `level
//! <= 127`. All others of a `top-k` or `max-of` chunk are zero.
//!
//! Sources: blockwise int8, as Dettmers et al. 2022 (arXiv 2110.02861); the largest k of a chunk in 2
//! bits, as SparseLoCo (arXiv 2508.15706); sign with the mean magnitude, as EF-signSGD (Karimireddy
//! et al. 2019, arXiv 1901.09847). One of each group needs so few bits for its place that more than twice as
//! many values fit the same bytes as with `top-k`.
//!
//! Invariants: lengths depend on nothing but encoding and parameters. What it is not: reading.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{BLOCK, CHUNK, UPDATE_HEAD_BYTES};

/// How the values of an update are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// One exponent a block, one signed byte a parameter: 8.03 bits a parameter.
    Int8,
    /// The largest of each chunk in two bits: `14 k / 4096` bits a parameter.
    TopK {
        /// How many of 4,096.
        per_chunk: u32,
    },
    /// The largest of each group in two bits: `(log2(group) + 2) / group` bits a parameter.
    MaxOf {
        /// Parameters in a group, a power of two.
        group: u32,
    },
    /// One bit a parameter.
    Sign,
}

impl Encoding {
    /// Bytes of a chunk of so many parameters.
    pub fn chunk_bytes(&self, parameters: usize) -> usize {
        match self {
            Self::Int8 => parameters.div_ceil(BLOCK) + parameters,
            Self::TopK { .. } | Self::MaxOf { .. } => {
                let kept = self.kept(parameters);
                3 + (self.place_bits() * kept).div_ceil(8) + (2 * kept).div_ceil(8)
            }
            Self::Sign => 2 + parameters.div_ceil(8),
        }
    }

    /// How many of a chunk of so many parameters are sent: the share of a whole chunk, rounded up.
    pub(super) fn kept(&self, parameters: usize) -> usize {
        match self {
            Self::TopK { per_chunk } => (*per_chunk as usize * parameters).div_ceil(CHUNK),
            Self::MaxOf { group } => parameters.div_ceil(*group as usize),
            Self::Int8 | Self::Sign => parameters,
        }
    }

    /// Bits of a place.
    pub(super) fn place_bits(&self) -> usize {
        match self {
            Self::MaxOf { group } => group.trailing_zeros() as usize,
            _ => CHUNK.trailing_zeros() as usize,
        }
    }

    /// Whether it can be used for a model of so many parameters, or why not.
    pub fn check(&self, parameters: u64) -> Result<(), String> {
        if let Self::MaxOf { group } = self {
            let fits = (2..=BLOCK as u32).contains(group) && group.is_power_of_two();
            return if fits && u64::from(*group) <= parameters {
                Ok(())
            } else {
                Err(format!(
                    "group is {group}: a power of two from 2 to {BLOCK} is allowed, and not more than \
                     the model's {parameters} parameters"
                ))
            };
        }
        let Self::TopK { per_chunk } = self else { return Ok(()) };
        let most = parameters.min(CHUNK as u64);
        if (1..=most).contains(&u64::from(*per_chunk)) {
            return Ok(());
        }
        Err(format!(
            "per_chunk is {per_chunk}: 1 to {most} are allowed, since a chunk of this model has {most} \
             parameters"
        ))
    }
}

/// What every update of a run looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateForm {
    /// The encoding.
    pub encoding: Encoding,
    /// The model's parameters.
    pub parameters: usize,
}

impl UpdateForm {
    /// How many chunks there are.
    pub fn chunks(&self) -> usize {
        self.parameters.div_ceil(CHUNK)
    }

    /// How many parameters a chunk speaks of.
    pub fn chunk_parameters(&self, at: usize) -> usize {
        CHUNK.min(self.parameters - at * CHUNK)
    }

    /// Where a chunk is, in bytes after the head.
    pub fn chunk_range(&self, at: usize) -> Range<u64> {
        let start = (at * self.encoding.chunk_bytes(CHUNK)) as u64;
        start..start + self.encoding.chunk_bytes(self.chunk_parameters(at)) as u64
    }

    /// Bytes of a step.
    pub fn step_bytes(&self) -> u64 {
        if self.parameters == 0 { 0 } else { self.chunk_range(self.chunks() - 1).end }
    }

    /// Bytes of an update.
    pub fn update_bytes(&self) -> u64 {
        UPDATE_HEAD_BYTES as u64 + self.step_bytes()
    }
}
