//! Which registered works a text shares passages with.
//!
//! Role: the fingerprints of registered works, and how many of them a text has.
//!
//! Invariants: the answer depends on the set of what was inserted, not on its order, and comes in one
//! order; a query is bounded, for each fingerprint, by the logarithm of the index and
//! `limits::PASSAGE_WORKS_MAX`, whatever fingerprints strangers made up: there is no hash table to
//! crowd. Memory: 12.5 bytes for each fingerprint, twice that while it is reorganised.
//!
//! What it is not: a judge. Wording that many share (a licence, a form) is counted apart, in
//! [`PassageHit::common`], and the caller weighs it. Nothing is ever taken out: the caller passes
//! over hits of works whose claims have ended.

use std::collections::BTreeMap;

use protocol::limits;
use thiserror::Error;

/// What a text shares with one registered work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassageHit {
    /// The work's tag.
    pub tag: u32,
    /// Fingerprints of the work that the text has.
    pub shared: u32,
    /// How many of the shared ones more than `limits::PASSAGE_WORKS_MAX` works have: common wording,
    /// or a work that was registered that often.
    pub common: u32,
    /// All fingerprints of the work.
    pub of: u32,
}

/// Why a work was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PassageIndexError {
    /// `limits::PASSAGE_INDEX_MAX` fingerprints would be passed.
    #[error("the passage index is full: {max} fingerprints", max = limits::PASSAGE_INDEX_MAX)]
    Full,
}

/// Fingerprints of registered works.
#[derive(Debug, Clone, Default)]
pub struct PassageIndex {
    /// Each at least `LEVEL_RATIO` times as large as the next, so there are few.
    levels: Vec<Level>,
    /// Fingerprints of each work.
    works: BTreeMap<u32, u32>,
    len: usize,
}

/// How much larger a level is than the next: fewer levels to ask, for more copying on insertion.
const LEVEL_RATIO: usize = 8;

impl PassageIndex {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fingerprints in it, counted once for each work.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Registers `fingerprints`, sorted and distinct, of the work `tag`. A work of several parts is
    /// inserted part by part, each of them once; of one fingerprint inserted twice,
    /// [`PassageHit::of`] counts both.
    ///
    /// # Errors
    ///
    /// [`PassageIndexError::Full`]; then nothing of it was taken.
    pub fn insert(&mut self, tag: u32, fingerprints: &[u64]) -> Result<(), PassageIndexError> {
        if self.len + fingerprints.len() > limits::PASSAGE_INDEX_MAX {
            return Err(PassageIndexError::Full);
        }
        if fingerprints.is_empty() {
            return Ok(());
        }
        self.len += fingerprints.len();
        *self.works.entry(tag).or_default() += fingerprints.len() as u32;

        let mut keys: Vec<u64> = fingerprints.iter().copied().map(key).collect();
        keys.sort_unstable();
        let mut level = Level::new(keys, vec![tag; fingerprints.len()]);
        while let Some(last) = self.levels.pop_if(|last| last.len() < LEVEL_RATIO * level.len()) {
            level = last.merge(level);
        }
        level.set_starts();
        self.levels.push(level);
        Ok(())
    }

    /// The works that have any of `fingerprints` (sorted, distinct): most shared first, then by tag.
    ///
    /// A fingerprint that more than `limits::PASSAGE_WORKS_MAX` works have counts for those with the
    /// lowest tags only: what is registered later cannot push an earlier work out of an answer.
    pub fn find(&self, fingerprints: &[u64]) -> Vec<PassageHit> {
        let mut shared: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        let mut tags = Vec::new();
        for (at, fingerprint) in fingerprints.iter().enumerate() {
            if at > 0 && fingerprints[at - 1] == *fingerprint {
                continue;
            }
            self.tags(key(*fingerprint), &mut tags);
            let is_common = tags.len() > limits::PASSAGE_WORKS_MAX;
            for tag in tags.iter().take(limits::PASSAGE_WORKS_MAX) {
                let (all, common) = shared.entry(*tag).or_default();
                *all += 1;
                *common += u32::from(is_common);
            }
        }
        let hit = |(tag, (shared, common))| {
            let of = self.works.get(&tag).copied().unwrap_or(0);
            PassageHit { tag, shared, common, of }
        };
        let mut hits: Vec<PassageHit> = shared.into_iter().map(hit).collect();
        hits.sort_by_key(|hit| (std::cmp::Reverse(hit.shared), hit.tag));
        hits
    }

    /// How many works have a fingerprint; one more than `limits::PASSAGE_WORKS_MAX` stands for more.
    pub(crate) fn works_with(&self, fingerprint: u64) -> usize {
        let mut tags = Vec::new();
        self.tags(key(fingerprint), &mut tags);
        tags.len().min(limits::PASSAGE_WORKS_MAX + 1)
    }

    /// The lowest tags that have `key`, sorted and distinct; one more than count, so that it shows.
    fn tags(&self, key: u64, tags: &mut Vec<u32>) {
        tags.clear();
        for level in &self.levels {
            let found = level.tags(key);
            // A few more than are wanted, because one work may have a fingerprint in two levels.
            tags.extend(&found[..found.len().min(limits::PASSAGE_WORKS_MAX + 1)]);
        }
        if tags.len() > 1 {
            tags.sort_unstable();
            tags.dedup();
        }
    }
}

/// Where a fingerprint stands in the order. Fingerprints are the least of many hashes and crowd at
/// the low end; their low bits don't, and an odd factor, which loses nothing, brings them up.
const fn key(fingerprint: u64) -> u64 {
    fingerprint.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A sorted run of keys and their works.
#[derive(Debug, Clone)]
struct Level {
    keys: Vec<u64>,
    /// The work of each key; rising where keys are equal.
    tags: Vec<u32>,
    /// Where the keys with each value of the first bits start: one for every 8 to 16 keys, and the
    /// end.
    starts: Vec<u32>,
    /// How far a key is shifted to leave those bits; 64 for none.
    shift: u32,
}

impl Level {
    const fn new(keys: Vec<u64>, tags: Vec<u32>) -> Self {
        Self { keys, tags, starts: Vec::new(), shift: 64 }
    }

    const fn len(&self) -> usize {
        self.keys.len()
    }

    fn merge(self, other: Self) -> Self {
        let len = self.len() + other.len();
        let mut merged = Self::new(Vec::with_capacity(len), Vec::with_capacity(len));
        let (mut a, mut b) = (0, 0);
        while a < self.len() || b < other.len() {
            let first_a = self.keys.get(a).zip(self.tags.get(a));
            let first_b = other.keys.get(b).zip(other.tags.get(b));
            let take_a = first_a.is_some_and(|a| first_b.is_none_or(|b| a <= b));
            let (from, at) = if take_a { (&self, &mut a) } else { (&other, &mut b) };
            merged.keys.push(from.keys[*at]);
            merged.tags.push(from.tags[*at]);
            *at += 1;
        }
        merged
    }

    fn set_starts(&mut self) {
        let bits = (self.len() / 8).checked_ilog2().unwrap_or(0);
        self.shift = 64 - bits;
        let mut starts = vec![0u32; (1 << bits) + 1];
        for key in &self.keys {
            starts[first_bits(*key, self.shift) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        self.starts = starts;
    }

    fn tags(&self, key: u64) -> &[u32] {
        let bucket = first_bits(key, self.shift);
        let (from, to) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        let keys = &self.keys[from..to];
        let first = keys.partition_point(|other| *other < key);
        // Mostly none: looked at before a second search.
        if keys.get(first) != Some(&key) {
            return &[];
        }
        let end = keys.partition_point(|other| *other <= key);
        &self.tags[from + first..from + end]
    }
}

const fn first_bits(key: u64, shift: u32) -> usize {
    match key.checked_shr(shift) {
        Some(bits) => bits as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn index(works: &[(u32, Vec<u64>)]) -> PassageIndex {
        let mut index = PassageIndex::new();
        for (tag, fingerprints) in works {
            index.insert(*tag, fingerprints).expect("few");
        }
        index
    }

    #[test]
    fn what_is_shared_is_counted_and_the_most_comes_first() {
        let index = index(&[(7, vec![1, 2, 3]), (4, vec![3, 4]), (9, vec![5]), (5, vec![3, 9])]);
        let hit = |tag, shared, of| PassageHit { tag, shared, common: 0, of };
        assert_eq!(index.find(&[1, 3, 6]), [hit(7, 2, 3), hit(4, 1, 2), hit(5, 1, 2)]);
        assert_eq!(index.find(&[3, 3]).len(), 3);
        assert_eq!(index.find(&[8]), []);
        assert_eq!(PassageIndex::new().find(&[8]), []);
        assert_eq!(index.len(), 8);
    }

    #[test]
    fn a_work_may_come_in_parts() {
        let index = index(&[(1, vec![1, 2]), (2, vec![2, 3]), (1, vec![3, 4])]);
        let expected = PassageHit { tag: 1, shared: 3, common: 0, of: 4 };
        assert_eq!(index.find(&[1, 2, 3])[0], expected);
    }

    #[test]
    fn common_wording_counts_for_the_first_works_and_is_told_apart() {
        let works = limits::PASSAGE_WORKS_MAX as u32 * 40;
        let mut index = PassageIndex::new();
        for tag in (0..works).rev() {
            index.insert(tag, &[1, 100 + u64::from(tag)]).expect("few");
        }
        let hits = index.find(&[1, 101]);
        assert_eq!(hits.len(), limits::PASSAGE_WORKS_MAX);
        assert_eq!(hits[0], PassageHit { tag: 1, shared: 2, common: 1, of: 2 });
        assert_eq!(hits[1], PassageHit { tag: 0, shared: 1, common: 1, of: 2 });
        assert_eq!(
            (index.works_with(1), index.works_with(101)),
            (limits::PASSAGE_WORKS_MAX + 1, 1)
        );
        assert_eq!(index.works_with(2), 0);
        // Only its own passage is left to a late work.
        let late = index.find(&[1, 100 + u64::from(works - 1)]);
        assert!(late.contains(&PassageHit { tag: works - 1, shared: 1, common: 0, of: 2 }));
    }

    #[test]
    fn a_large_index_has_few_levels_and_finds_all() {
        let mut index = PassageIndex::new();
        let works = 3_000u64;
        for tag in 0..works {
            let fingerprints: Vec<u64> = (0..100).map(|n| tag * 1_000 + n).collect();
            index.insert(tag as u32, &fingerprints).expect("few");
        }
        assert!(index.levels.len() <= 5, "{}", index.levels.len());
        for tag in (0..works).step_by(97) {
            let hits = index.find(&[tag * 1_000 + 5, tag * 1_000 + 99, tag * 1_000 + 100]);
            assert_eq!(hits, [PassageHit { tag: tag as u32, shared: 2, common: 0, of: 100 }]);
        }
    }

    proptest! {
        #[test]
        fn it_answers_as_a_plain_search_does(
            works in proptest::collection::vec(
                (0u32..40, proptest::collection::btree_set(prop_oneof![0u64..60, any::<u64>()], 0..30)),
                0..60,
            ),
            text in proptest::collection::btree_set(0u64..60, 0..40),
        ) {
            let mut sets: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
            let mut inserted = Vec::new();
            for (tag, fingerprints) in &works {
                let set = sets.entry(*tag).or_default();
                let new: Vec<u64> = fingerprints.difference(set).copied().collect();
                set.extend(&new);
                inserted.push((*tag, new));
            }
            let mut expected: Vec<PassageHit> = sets
                .iter()
                .map(|(tag, set)| PassageHit {
                    tag: *tag,
                    shared: set.intersection(&text).count() as u32,
                    common: 0,
                    of: set.len() as u32,
                })
                .filter(|hit| hit.shared > 0)
                .collect();
            expected.sort_by_key(|hit| (std::cmp::Reverse(hit.shared), hit.tag));
            let text: Vec<u64> = text.into_iter().collect();
            prop_assert_eq!(&index(&inserted).find(&text), &expected);
            inserted.reverse();
            prop_assert_eq!(&index(&inserted).find(&text), &expected);
        }
    }
}
