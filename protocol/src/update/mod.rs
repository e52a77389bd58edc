//! An update: what one trainer's round changed in the model, compressed; and a step, the certified
//! change of a round in the same form.
//!
//! ```text
//! update   32 bytes: the trainer's key | chunk | chunk | ...
//! step                                   chunk | chunk | ...
//! ```
//!
//! A chunk speaks of [`CHUNK`] neighbouring parameters of the flat order of [`Weights`] (the last one
//! of fewer) and has a length that the run's [`Encoding`] and the number of parameters fix, so that
//! any part can be read, fetched and checked by itself. Every value is `q * 2^e` with `q` in
//! `-127..=127` and `e` in `-32..=0`: an integer multiple of 2^-32 below 2^7.
//!
//! Invariants: quantising is integer arithmetic, the same bits everywhere; what it loses is left to
//! the caller, to be sent later (error feedback: Karimireddy et al. 2019, arXiv 1901.09847). The
//! trainer's key in front makes bytes copied from somebody else no update of one's own.
//! What it is not: trusted. [`Update::open`] looks at every byte.
//!
//! [`Weights`]: crate::weights::Weights

mod chunk;
mod cosine;
mod encoding;
mod quantise;

pub(crate) use chunk::power_of_two;
pub(crate) use chunk::{Chunk, Values};
pub use cosine::Excerpt;
pub use encoding::{Encoding, UpdateForm};
pub use quantise::quantise;

use std::ops::Range;

use crate::aggregate::{ONE, Source, TapeError, hash_of};
use crate::id::FileHash;
use crate::kernel::kernel;
use crate::key::PublicKey;

/// Parameters in a chunk.
pub const CHUNK: usize = 4096;
/// Parameters that share an exponent.
pub const BLOCK: usize = 256;
/// The smallest exponent: one step is then the resolution of the aggregate.
pub const EXPONENT_MIN: i8 = -32;
/// The largest exponent: no parameter moves by more than 127 in a round.
pub const EXPONENT_MAX: i8 = 0;
/// The largest magnitude of a quantised value.
pub const STEPS_MAX: i8 = 127;
/// Bytes of an update before its first chunk: whose it is.
pub const UPDATE_HEAD_BYTES: usize = 32;

/// Why bytes are not an update of this trainer and form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Another length than every update of the run has.
    #[error("it has {found} bytes, every update of this run has {expected}")]
    Length {
        /// Its bytes.
        found: u64,
        /// Those of every update.
        expected: u64,
    },
    /// It was made by somebody else.
    #[error("it is another trainer's update")]
    Copied,
    /// A value, exponent or place is out of range.
    #[error("chunk {chunk} holds {what}")]
    Value {
        /// Which chunk.
        chunk: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// An update's bytes, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    bytes: Vec<u8>,
    norm_squared: u128,
}

impl Update {
    /// Compresses `delta`, one value a parameter. What that loses is left in `residual` (same
    /// length), which is added to the next round's delta. Values that are not finite count as zero
    /// and leave no residual.
    ///
    /// # Panics
    /// If the lengths differ from the form's.
    pub fn make(
        form: &UpdateForm,
        trainer: PublicKey,
        delta: &[f32],
        residual: &mut [f32],
    ) -> Self {
        assert_eq!(delta.len(), form.parameters, "one value a parameter");
        assert_eq!(residual.len(), form.parameters, "one residual a parameter");
        let mut bytes = Vec::with_capacity(form.update_bytes() as usize);
        bytes.extend(trainer.as_bytes());
        let mut values = Vec::with_capacity(CHUNK);
        for (delta, residual) in delta.chunks(CHUNK).zip(residual.chunks_mut(CHUNK)) {
            values.resize(delta.len(), 0);
            sum_up(delta, residual, &mut values);
            quantise(&form.encoding, &mut values, &mut bytes);
            put_back(&values, residual);
        }
        let norm_squared = check(form, &bytes[UPDATE_HEAD_BYTES..]).expect("made here");
        Self { bytes, norm_squared }
    }

    /// Looks at untrusted bytes as `trainer`'s update.
    pub fn open(
        bytes: Vec<u8>,
        form: &UpdateForm,
        trainer: PublicKey,
    ) -> Result<Self, UpdateError> {
        let looked = look(form, trainer, &bytes).expect("bytes in memory can be read");
        Ok(Self { norm_squared: looked.norm_squared?, bytes })
    }

    /// Bytes that nobody has looked at.
    #[cfg(test)]
    pub(crate) fn unlooked(bytes: Vec<u8>) -> Self {
        Self { bytes, norm_squared: 0 }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash of the bytes.
    pub fn hash(&self) -> FileHash {
        FileHash::of(&self.bytes)
    }

    /// The squared Euclidean norm in units of 2^-64, exactly.
    pub fn norm_squared(&self) -> u128 {
        self.norm_squared
    }

    /// The Euclidean norm in units of 2^-32, rounded down: what its trainer says in its commit.
    pub fn norm(&self) -> u64 {
        norm_of(self.norm_squared)
    }

    /// The values it stands for, one a parameter.
    pub fn values(&self, form: &UpdateForm) -> Vec<f32> {
        let mut values = Vec::with_capacity(form.parameters);
        let mut room = Values::default();
        for at in 0..form.chunks() {
            let range = form.chunk_range(at);
            let head = UPDATE_HEAD_BYTES as u64;
            let bytes = &self.bytes[(head + range.start) as usize..(head + range.end) as usize];
            let chunk = Chunk::split(&form.encoding, form.chunk_parameters(at), bytes);
            chunk.expand(&mut room);
            values.extend((0..form.chunk_parameters(at)).map(|i| room.value(i)));
        }
        values
    }
}

impl Source for Update {
    fn bytes(&self) -> u64 {
        self.bytes.bytes()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        self.bytes.read_at(at, into)
    }

    fn slice(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        self.bytes.slice(at, bytes)
    }
}

/// What looking at an update's bytes has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The hash of the bytes.
    pub hash: FileHash,
    /// The squared norm in units of 2^-64, or what is wrong with them.
    pub norm_squared: Result<u128, UpdateError>,
}

/// Looks at `trainer`'s whole update, wherever its bytes are, reading them once. An error if they
/// cannot be read.
pub fn look(form: &UpdateForm, trainer: PublicKey, bytes: &dyn Source) -> Result<Look, TapeError> {
    let (found, expected) = (bytes.bytes(), form.update_bytes());
    if found != expected {
        let hash = hash_of(bytes)?;
        return Ok(Look { hash, norm_squared: Err(UpdateError::Length { found, expected }) });
    }
    let mut head = [0; UPDATE_HEAD_BYTES];
    bytes.read_at(0, &mut head)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head);
    let is_own = head == *trainer.as_bytes();
    let mut norm_squared = if is_own { Ok(0) } else { Err(UpdateError::Copied) };
    let mut room = Vec::new();
    for first in (0..form.chunks()).step_by(CHUNKS_LOOKED_AT_ONCE) {
        let last = (first + CHUNKS_LOOKED_AT_ONCE).min(form.chunks()) - 1;
        let (start, end) = (form.chunk_range(first).start, form.chunk_range(last).end);
        room.resize((end - start) as usize, 0);
        bytes.read_at(UPDATE_HEAD_BYTES as u64 + start, &mut room)?;
        hasher.update(&room);
        if let Ok(sum) = norm_squared {
            norm_squared = check_chunks(form, first..last + 1, &room).map(|squares| sum + squares);
        }
    }
    Ok(Look { hash: FileHash::from_bytes(*hasher.finalize().as_bytes()), norm_squared })
}

/// Looks at some chunks of an update, wherever its bytes are; returns their squared norm in units of 2^-64, or
/// what is wrong with them. An error if they cannot be read.
pub fn look_at(
    form: &UpdateForm,
    chunks: Range<usize>,
    bytes: &dyn Source,
) -> Result<Result<u128, UpdateError>, TapeError> {
    let (mut sum, mut room) = (0, Vec::new());
    for first in chunks.clone().step_by(CHUNKS_LOOKED_AT_ONCE) {
        let last = (first + CHUNKS_LOOKED_AT_ONCE).min(chunks.end) - 1;
        let (start, end) = (form.chunk_range(first).start, form.chunk_range(last).end);
        room.resize((end - start) as usize, 0);
        bytes.read_at(UPDATE_HEAD_BYTES as u64 + start, &mut room)?;
        match check_chunks(form, first..last + 1, &room) {
            Ok(squares) => sum += squares,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(sum))
}

/// The norm in units of 2^-32, rounded down, of a squared norm in units of 2^-64.
pub fn norm_of(squared: u128) -> u64 {
    u64::try_from(squared.isqrt()).unwrap_or(u64::MAX)
}

/// Chunks that are read in one call.
const CHUNKS_LOOKED_AT_ONCE: usize = 32;

/// Looks at the chunks of an update or a step that is here. Returns the squared norm.
pub fn check(form: &UpdateForm, chunks: &[u8]) -> Result<u128, UpdateError> {
    let (found, expected) = (chunks.len() as u64, form.step_bytes());
    if found != expected {
        return Err(UpdateError::Length { found, expected });
    }
    check_chunks(form, 0..form.chunks(), chunks)
}

/// Looks at some chunks; returns their squared norm.
pub(crate) fn check_chunks(
    form: &UpdateForm,
    chunks: Range<usize>,
    bytes: &[u8],
) -> Result<u128, UpdateError> {
    let start = if chunks.is_empty() { 0 } else { form.chunk_range(chunks.start).start };
    let mut sum = 0;
    for at in chunks {
        let range = form.chunk_range(at);
        let bytes = &bytes[(range.start - start) as usize..(range.end - start) as usize];
        let chunk = Chunk::split(&form.encoding, form.chunk_parameters(at), bytes);
        sum += checked(&chunk).map_err(|what| UpdateError::Value { chunk: at, what })?;
    }
    Ok(sum)
}

kernel! {
    /// Looks at a chunk; returns its squared norm.
    fn checked<'a>(chunk: &'a Chunk<'a>) -> Result<u128, &'static str> {
        chunk.check()
    }
}

kernel! {
    /// Sums to the nearest multiple of 2^-32, ties to even; zero if one is not finite.
    fn sum_up<'a>(delta: &'a [f32], residual: &'a [f32], sums: &'a mut [i64]) -> () {
        for ((delta, residual), sum) in delta.iter().zip(residual).zip(sums) {
            let exact = (f64::from(*delta) + f64::from(*residual)) * ONE;
            // Infinities end here, and what is not a number is not below anything.
            let held = if exact.abs() < SUM_MAX { exact } else { 0.0 };
            *sum = nearest(held);
        }
    }
}

kernel! {
    fn put_back<'a>(left: &'a [i64], residual: &'a mut [f32]) -> () {
        for (residual, left) in residual.iter_mut().zip(left) {
            *residual = (*left as f64 / ONE) as f32;
        }
    }
}

/// The largest sum that is sent, in units of 2^-32; a parameter that moves by half a million is lost.
const SUM_MAX: f64 = (1u64 << 51) as f64;

/// The nearest integer of a double below 2^51, ties to even: added to 1.5 * 2^52 it stands in the low bits.
/// A cast would not be done on many at once.
#[inline(always)]
pub(crate) fn nearest(value: f64) -> i64 {
    const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
    (value + SHIFT).to_bits() as i64 - SHIFT.to_bits() as i64
}

#[cfg(test)]
mod tests;
