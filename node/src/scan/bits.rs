//! A yes or no for each item.
//!
//! Invariants: a bit each, in the order in which they were pushed. What it is not: a set.

use std::ops::Range;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    pub(super) fn push(&mut self, bit: bool) {
        if self.count.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(last) = self.words.last_mut() {
            *last |= u64::from(bit) << (self.count % 64);
        }
        self.count += 1;
    }

    pub(super) const fn len(&self) -> u64 {
        self.count
    }

    pub(super) fn has(&self, item: u64) -> bool {
        self.words.get((item / 64) as usize).is_some_and(|word| word >> (item % 64) & 1 == 1)
    }

    pub(super) fn any(&self, items: Range<u64>) -> bool {
        items.into_iter().any(|item| self.has(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_item() {
        let mut bits = Bits::default();
        (0..200).for_each(|item| bits.push(item % 3 == 0));
        assert!((0..200).all(|item| bits.has(item) == (item % 3 == 0)));
        assert!(!bits.has(200) && bits.any(64..67) && !bits.any(64..66));
        assert_eq!(bits.len(), 200);
    }
}
