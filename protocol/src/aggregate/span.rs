//! Work in pieces: some neighbouring chunks of all updates at a time, on several threads.
//!
//! Invariants: a piece is so small that what is read of all updates fits a core's cache, and so large
//! that reading it is worth a call. What it is not: arithmetic.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{AggregateError, Contribution, Plan};
use crate::update::{CHUNK, UPDATE_HEAD_BYTES, UpdateForm};

/// Chunks of a piece at most.
const CHUNKS_MAX: usize = 32;
/// Bytes of all updates that a piece reads at most, unless one chunk of each is more.
const BYTES_MAX: usize = 1 << 20;

/// The pieces that are still to be done.
#[derive(Debug)]
pub(super) struct Spans {
    end: usize,
    each: usize,
    next: AtomicUsize,
}

impl Spans {
    /// The pieces of these chunks.
    pub(super) fn new(plan: &Plan, updates: usize, chunks: Range<usize>) -> Self {
        let bytes = plan.update.encoding.chunk_bytes(CHUNK) * updates;
        let each = (BYTES_MAX / bytes.max(1)).clamp(1, CHUNKS_MAX);
        Self { end: chunks.end, each, next: AtomicUsize::new(chunks.start) }
    }

    /// Chunks of a piece.
    pub(super) fn each(&self) -> usize {
        self.each
    }

    /// The next piece.
    pub(super) fn next(&self) -> Option<Range<usize>> {
        let start = self.next.fetch_add(self.each, Ordering::Relaxed);
        (start < self.end).then(|| start..(start + self.each).min(self.end))
    }
}

/// What was read of every update for one piece.
#[derive(Debug, Default)]
pub(super) struct Tapes<'a> {
    /// Bytes that are not in memory already.
    rooms: Vec<Vec<u8>>,
    slices: Vec<Option<&'a [u8]>>,
    start: u64,
}

impl<'a> Tapes<'a> {
    pub(super) fn read(
        &mut self,
        form: &UpdateForm,
        contributions: &[Contribution<'a>],
        chunks: &Range<usize>,
    ) -> Result<(), AggregateError> {
        self.rooms.resize_with(contributions.len(), Vec::new);
        self.slices.clear();
        let (start, end) =
            (form.chunk_range(chunks.start).start, form.chunk_range(chunks.end - 1).end);
        self.start = start;
        let at = UPDATE_HEAD_BYTES as u64 + start;
        for (room, contribution) in self.rooms.iter_mut().zip(contributions) {
            let source = contribution.source;
            let slice = source.slice(at, (end - start) as usize);
            self.slices.push(slice);
            if slice.is_none() {
                room.resize((end - start) as usize, 0);
                source.read_at(at, room)?;
            }
        }
        Ok(())
    }

    /// A chunk of one update.
    pub(super) fn chunk(&self, form: &UpdateForm, update: usize, at: usize) -> &[u8] {
        let range = form.chunk_range(at);
        let bytes = self.slices[update].unwrap_or(&self.rooms[update]);
        &bytes[(range.start - self.start) as usize..(range.end - self.start) as usize]
    }
}

/// Does `work` on so many threads; the first error ends it.
pub(super) fn on_threads(
    threads: usize,
    work: impl Fn() -> Result<(), AggregateError> + Sync,
) -> Result<(), AggregateError> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(&work)).collect();
        let mut done = work();
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done = done.and(other);
        }
        done
    })
}
