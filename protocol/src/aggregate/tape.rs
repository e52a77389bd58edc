//! Bytes that are read and written in pieces: a model or an update need never be in memory whole.
//!
//! Invariants: pieces may be read and written by several threads at once, each where it likes.
//! What it is not: IO. Whoever calls brings files, or memory as here.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::id::FileHash;

/// Bytes could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TapeError(pub String);

/// Bytes that can be read anywhere.
pub trait Source: Send + Sync {
    /// How many there are.
    fn bytes(&self) -> u64;

    /// Fills `into` from the bytes at `at`; an error if there are not so many.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError>;

    /// So many bytes at `at` without copying them, if they are in memory.
    fn slice(&self, _at: u64, _bytes: usize) -> Option<&[u8]> {
        None
    }
}

/// Bytes that can be written anywhere.
pub trait Sink: Send + Sync {
    /// Writes `bytes` at `at`.
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), TapeError>;
}

impl Source for [u8] {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let found = self.get(at..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or_else(|| TapeError("the bytes end too early".into()))?);
        Ok(())
    }

    fn slice(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        self.get(usize::try_from(at).ok()?..)?.get(..bytes)
    }
}

impl Source for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.as_slice().bytes()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        self.as_slice().read_at(at, into)
    }

    fn slice(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        self.as_slice().slice(at, bytes)
    }
}

/// Bytes that are written, then read.
pub trait Tape: Source + Sink {}

impl<T: Source + Sink> Tape for T {}

/// A tape in memory, of a fixed length.
#[derive(Debug, Default)]
pub struct Memory(RwLock<Vec<u8>>);

impl Memory {
    /// So many zeros.
    pub fn zeros(bytes: u64) -> Self {
        Self(RwLock::new(vec![0; bytes as usize]))
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Memory {
    fn bytes(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).bytes()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).read_at(at, into)
    }
}

impl Sink for Memory {
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), TapeError> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let into = all.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
        into.ok_or_else(|| TapeError("there is no room so far".into()))?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Bytes of which only some are here, each where it is in the whole.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Patches {
    bytes: u64,
    parts: BTreeMap<u64, Vec<u8>>,
}

impl Patches {
    /// A whole of so many bytes, of which none is here.
    pub fn of(bytes: u64) -> Self {
        Self { bytes, parts: BTreeMap::new() }
    }

    /// Takes the bytes at `at`; of those that begin at the same place the most are kept.
    pub fn add(&mut self, at: u64, part: Vec<u8>) {
        let known = self.parts.entry(at).or_default();
        if known.len() < part.len() {
            *known = part;
        }
    }
}

impl Source for Patches {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        let found = self.slice(at, into.len());
        into.copy_from_slice(found.ok_or_else(|| TapeError("that part is not here".into()))?);
        Ok(())
    }

    fn slice(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        let covers = |(start, part): (&u64, &'_ Vec<u8>)| {
            let skipped = usize::try_from(at - start).ok()?;
            let range = skipped..skipped.checked_add(bytes)?;
            part.get(range.clone()).is_some().then_some((*start, range))
        };
        let (start, range) = self.parts.range(..=at).rev().find_map(covers)?;
        Some(&self.parts[&start][range])
    }
}

/// A part of something larger that is written as if the whole were there.
#[derive(Debug)]
pub(super) struct Shifted {
    pub(super) start: u64,
    pub(super) part: Memory,
}

impl Source for Shifted {
    fn bytes(&self) -> u64 {
        self.start + self.part.bytes()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        let at = at.checked_sub(self.start);
        self.part.read_at(at.ok_or_else(|| TapeError("that part is not here".into()))?, into)
    }
}

impl Sink for Shifted {
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), TapeError> {
        let at = at.checked_sub(self.start);
        self.part.write_at(at.ok_or_else(|| TapeError("there is no room there".into()))?, bytes)
    }
}

/// The hash of all bytes.
pub fn hash_of(source: &dyn Source) -> Result<FileHash, TapeError> {
    let mut hasher = blake3::Hasher::new();
    let mut room = vec![0; HASHED_AT_ONCE.min(source.bytes()) as usize];
    let mut at = 0;
    while at < source.bytes() {
        let count = (source.bytes() - at).min(HASHED_AT_ONCE);
        let piece = &mut room[..count as usize];
        source.read_at(at, piece)?;
        hasher.update(piece);
        at += count;
    }
    Ok(FileHash::from_bytes(*hasher.finalize().as_bytes()))
}

/// Bytes that are read for hashing in one call.
const HASHED_AT_ONCE: u64 = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_where_they_are() {
        let mut patches = Patches::of(100);
        patches.add(10, vec![1, 2, 3]);
        patches.add(10, vec![1, 2, 3, 4, 5]);
        patches.add(10, vec![1]);
        patches.add(12, vec![3]);
        patches.add(90, (90..100).collect());
        let read = |at, bytes| {
            let mut room = vec![0; bytes];
            patches.read_at(at, &mut room).map(|()| room)
        };
        assert_eq!(patches.bytes(), 100);
        assert_eq!(read(10, 5), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(read(12, 3), Ok(vec![3, 4, 5]), "by the part that covers it");
        assert_eq!(read(95, 5), Ok(vec![95, 96, 97, 98, 99]));
        assert!(read(12, 4).is_err() && read(9, 1).is_err() && read(99, 2).is_err());
        assert!(read(u64::MAX, 1).is_err());
    }
}
