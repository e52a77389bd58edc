//! What a query writes to, kept from one query to the next so that none allocates.
//!
//! Invariants: between queries no entry is marked as found.
//! What it is not: tied to one index. A thread that asks several may use one scratch for all.

use super::chunks::CHUNKS;
use super::entries::{Code, Entries};
use super::{Hit, differing};

/// Room for a query. Make one for each thread, and hand it to every query.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Links to follow, by chunk.
    pub(super) links: [Vec<u32>; CHUNKS],
    pub(super) found: Found,
    hits: Vec<Hit>,
}

/// Entries that are near enough, each once.
#[derive(Debug, Default)]
pub(super) struct Found {
    list: Vec<(u32, u32)>,
    /// A bit for each entry.
    marks: Vec<u64>,
}

impl Scratch {
    /// An empty one; the first query fills it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the entries found into hits, nearest first, and forgets the entries.
    pub(super) fn report(&mut self, entries: &Entries) -> &[Hit] {
        self.hits.clear();
        for &(id, distance) in &self.found.list {
            self.hits.extend(entries.tags(id).map(|tag| Hit { distance, tag }));
        }
        self.found.forget();
        self.hits.sort_unstable();
        &self.hits
    }
}

impl Found {
    /// Makes room to mark `len` entries.
    pub(super) fn fit(&mut self, len: usize) {
        let words = len.div_ceil(64);
        if self.marks.len() < words {
            self.marks.resize(words, 0);
        }
    }

    pub(super) fn forget(&mut self) {
        for (id, _) in self.list.drain(..) {
            self.marks[id as usize / 64] = 0;
        }
    }

    /// Notes an entry if it is near enough and not noted yet.
    #[inline]
    pub(super) fn consider(&mut self, id: u32, code: &Code, to: &Code, distance_max: u32) {
        // Most codes are too far already in their first half.
        let half = differing(&code[..2], &to[..2]);
        if half <= distance_max {
            self.consider_rest(id, half + differing(&code[2..], &to[2..]), distance_max);
        }
    }

    fn consider_rest(&mut self, id: u32, distance: u32, distance_max: u32) {
        let (word, bit) = (id as usize / 64, 1 << (id % 64));
        if distance <= distance_max && self.marks[word] & bit == 0 {
            self.marks[word] |= bit;
            self.list.push((id, distance));
        }
    }
}
