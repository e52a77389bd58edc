//! Which records speak of which exact content, for tens of millions of them.
//!
//! Invariants: a row a (content, slot) pair, 40 bytes; the rows of one content form a chain, the
//! newest first. What it is not: a judge of what the records say.

use protocol::ContentId;

use super::table::{Slot, SlotTable, TableSeed};

const END: u32 = u32::MAX;

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
    first: SlotTable,
    seed: TableSeed,
}

impl ExactIndex {
    pub(crate) fn new(seed: TableSeed) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds a pair.
    pub(crate) fn insert(&mut self, content: ContentId, slot: Slot) {
        let hash = self.seed.hash(content.as_bytes());
        let at = self.rows.len() as u32;
        let (rows, seed) = (&self.rows, self.seed);
        let first = self.first.find(hash, |row| rows[row as usize].content == content);
        match first {
            Some(first) => self.first.replace(hash, first, at),
            None => {
                self.first.insert(hash, at, |row| seed.hash(rows[row as usize].content.as_bytes()));
            }
        }
        self.rows.push(Row { content, slot, next: first.unwrap_or(END) });
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
        for slot in 0..3_000 {
            index.insert(content(slot % 1_000), slot);
        }
        for n in 0..1_000 {
            let slots: Vec<Slot> = index.of(&content(n)).collect();
            assert_eq!(slots, [n + 2_000, n + 1_000, n]);
        }
        assert_eq!(index.of(&content(1_000)).count(), 0);
    }
}
