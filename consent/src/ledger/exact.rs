//! Which records speak of which exact content, for tens of millions of them.
//!
//! Invariants: a row a (content, slot) pair, 40 bytes; the rows of one content form a chain, the
//! newest first. What it is not: a judge of what the records say.

use protocol::ContentId;

use super::table::{Slot, SlotTable, TableSeed, in_order};

const END: u32 = u32::MAX;
/// Fewer pairs are linked one by one.
const IN_ORDER_MIN: usize = 256;
/// How many contents are looked at together: about as many as a core has loads under way.
pub(crate) const TOGETHER_MAX: usize = 16;

#[derive(Debug)]
struct Row {
    content: ContentId,
    slot: Slot,
    next: u32,
}

/// The pairs.
#[derive(Debug, Default)]
pub(crate) struct ExactIndex {
    rows: Vec<Row>,
    /// How many of them can be found.
    linked: usize,
    first: SlotTable,
    seed: TableSeed,
}

impl ExactIndex {
    pub(crate) fn new(seed: TableSeed) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds a pair, which is found after the next [`ExactIndex::link`].
    pub(crate) fn push(&mut self, content: ContentId, slot: Slot) {
        self.rows.push(Row { content, slot, next: END });
    }

    /// Links the pairs that were pushed since.
    pub(crate) fn link(&mut self) {
        let unlinked = self.linked as u32..self.rows.len() as u32;
        self.linked = self.rows.len();
        if unlinked.len() < IN_ORDER_MIN {
            unlinked.for_each(|row| self.link_row(self.hash(row), row));
            return;
        }
        self.first.reserve(unlinked.len());
        for cell in in_order(unlinked.map(|row| (self.hash(row), row))) {
            self.link_row(cell, cell as u32);
        }
    }

    fn link_row(&mut self, hash: u64, row: u32) {
        let content = self.rows[row as usize].content;
        match self.first.find(hash, |other| self.rows[other as usize].content == content) {
            Some(first) => {
                self.rows[row as usize].next = first;
                self.first.replace(hash, first, row);
            }
            None => self.first.insert(hash, row),
        }
    }

    fn hash(&self, row: u32) -> u64 {
        self.seed.hash(self.rows[row as usize].content.as_bytes())
    }

    /// Has what [`ExactIndex::of`] will look at of each of these contents near, at most
    /// `TOGETHER_MAX`. Nothing waits for what it looked at before: the memory is waited for about
    /// once, not once for each. Returns the newest slot of each, if it is not mistaken.
    pub(crate) fn look_ahead(&self, contents: &[ContentId]) -> [Option<Slot>; TOGETHER_MAX] {
        let (mut hashes, mut slots) = ([0; TOGETHER_MAX], [None; TOGETHER_MAX]);
        let mut near = 0;
        for (content, hash) in contents.iter().zip(&mut hashes) {
            *hash = self.seed.hash(content.as_bytes());
            near ^= self.first.look(*hash);
        }
        for (hash, slot) in hashes.iter().zip(&mut slots).take(contents.len()) {
            *slot = self.first.find(*hash, |_| true);
        }
        for slot in &mut slots {
            *slot = slot.map(|row| self.rows[row as usize].slot);
        }
        std::hint::black_box(near);
        slots
    }

    /// The slots paired with a content.
    pub(crate) fn of(&self, content: &ContentId) -> impl Iterator<Item = Slot> {
        let hash = self.seed.hash(content.as_bytes());
        let is = |row: u32| self.rows[row as usize].content == *content;
        let mut at = self.first.find(hash, is).unwrap_or(END);
        std::iter::from_fn(move || {
            let row = self.rows.get(at as usize)?;
            at = row.next;
            Some(row.slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_slots_of_a_content_are_found_and_no_other() {
        let mut index = ExactIndex::new(TableSeed([1, 2]));
        let content = |n: u32| ContentId::of(&n.to_le_bytes());
        // One by one, then many at once.
        for slot in 0..3_000 {
            index.push(content(slot % 1_000), slot);
            if slot < 1_500 {
                index.link();
            }
        }
        index.link();
        for n in 0..1_000 {
            let slots: Vec<Slot> = index.of(&content(n)).collect();
            assert_eq!(slots, [n + 2_000, n + 1_000, n]);
        }
        assert_eq!(index.of(&content(1_000)).count(), 0);
    }
}
