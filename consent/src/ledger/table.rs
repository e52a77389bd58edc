//! A table from 32-byte ids to slots, for millions of them: open addressing, 8 bytes a cell.
//!
//! Ids may be chosen by strangers, so their place in the table depends on a seed that only this
//! node knows. A cell holds 32 bits of the hash beside the slot, so a miss touches no row. The place
//! is the highest of these bits: a table that grows is gone over once from end to end, and no row
//! is touched either.
//!
//! Invariants: what is found never depends on the seed; at most 5 of 8 cells are taken.
//! What it is not: the rows. The caller compares ids.

/// Where a thing stands in a list.
pub(crate) type Slot = u32;

const EMPTY: u64 = u64::MAX;
const CELLS_MIN: usize = 16;

/// A secret of this node, so that nobody can choose ids that collide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSeed(pub [u64; 2]);

impl TableSeed {
    /// The hash of an id.
    pub(crate) fn hash(self, id: &[u8; 32]) -> u64 {
        let (words, _) = id.as_chunks::<8>();
        let word = |at: usize| u64::from_le_bytes(words[at]);
        let [a, b] = self.0;
        let first = fold(word(0) ^ a, word(1) ^ b ^ 0x9e37_79b9_7f4a_7c15);
        let second = fold(word(2) ^ b, word(3) ^ a ^ 0xd1b5_4a32_d192_ed03);
        fold(first ^ a, second ^ 0xa076_1d64_78bd_642f)
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The cells.
#[derive(Debug, Default)]
pub(crate) struct SlotTable {
    /// As many as a power of two.
    cells: Vec<u64>,
    taken: usize,
}

impl SlotTable {
    /// The slot with this hash for which `is` holds.
    pub(crate) fn find(&self, hash: u64, is: impl Fn(Slot) -> bool) -> Option<Slot> {
        if self.cells.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let cell = self.cells[at];
            if cell == EMPTY {
                return None;
            }
            if cell >> 32 == hash >> 32 && is(cell as Slot) {
                return Some(cell as Slot);
            }
            at = self.after(at);
        }
    }

    /// What stands where a hash is looked for first: for nothing but to have it near.
    pub(crate) fn look(&self, hash: u64) -> u64 {
        if self.cells.is_empty() { EMPTY } else { self.cells[self.home(hash)] }
    }

    /// Puts a slot under a hash.
    pub(crate) fn insert(&mut self, hash: u64, slot: Slot) {
        self.reserve(1);
        self.put(cell(hash, slot));
        self.taken += 1;
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        let needed = ((self.taken + more) * 8).div_ceil(5).next_power_of_two().max(CELLS_MIN);
        if needed > self.cells.len() {
            for cell in std::mem::replace(&mut self.cells, vec![EMPTY; needed]) {
                if cell != EMPTY {
                    self.put(cell);
                }
            }
        }
    }

    /// Puts another slot in the place of one that is here.
    pub(crate) fn replace(&mut self, hash: u64, old: Slot, new: Slot) {
        let (old, new) = (cell(hash, old), cell(hash, new));
        let mut at = self.home(hash);
        while self.cells[at] != EMPTY {
            if self.cells[at] == old {
                self.cells[at] = new;
                return;
            }
            at = self.after(at);
        }
    }

    fn put(&mut self, cell: u64) {
        let mut at = self.home(cell);
        while self.cells[at] != EMPTY {
            at = self.after(at);
        }
        self.cells[at] = cell;
    }

    /// Where a hash, or the cell under it, is looked for first.
    fn home(&self, hash: u64) -> usize {
        let unused_bits = 32_u32.saturating_sub(self.cells.len().trailing_zeros());
        (hash >> 32 >> unused_bits) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }
}

/// Slots with their hashes, in the order of a table's cells; those of one hash in their own order. Each
/// cell that is returned has the slot as its lower half, and stands for its hash.
///
/// What is put into a table in this order, with room for all, goes through the table's memory once
/// from end to end; in another order each would wait for memory of its own.
pub(crate) fn in_order(hashes: impl Iterator<Item = (u64, Slot)>) -> Vec<u64> {
    let mut cells: Vec<u64> = hashes.map(|(hash, slot)| cell(hash, slot)).collect();
    cells.sort_unstable();
    cells
}

fn cell(hash: u64, slot: Slot) -> u64 {
    // A slot never is `u32::MAX`, so no cell looks empty.
    (hash >> 32 << 32) | u64::from(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_found_under_every_seed() {
        for seed in [TableSeed::default(), TableSeed([3, 5])] {
            let ids: Vec<[u8; 32]> =
                (0..5_000u32).map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect();
            let mut table = SlotTable::default();
            let hash_of = |slot: Slot| seed.hash(&ids[slot as usize]);
            assert_eq!(table.find(7, |_| true), None);
            for slot in 0..4_000 {
                table.insert(hash_of(slot), slot);
            }
            let find = |table: &SlotTable, at: u32| {
                table.find(hash_of(at), |slot| ids[slot as usize] == ids[at as usize])
            };
            for at in 0..5_000 {
                assert_eq!(find(&table, at), (at < 4_000).then_some(at));
            }
            table.replace(hash_of(7), 7, 4_007);
            assert_eq!(table.find(hash_of(7), |slot| slot == 4_007), Some(4_007));
        }
    }

    #[test]
    fn the_seed_moves_ids_about() {
        let id = [7; 32];
        assert_ne!(TableSeed::default().hash(&id), TableSeed([1, 0]).hash(&id));
        assert_ne!(TableSeed([0, 1]).hash(&id), TableSeed([1, 0]).hash(&id));
    }
}
