//! An index that finds every code of 256 bits near a given one.
//!
//! Role: perceptual codes of works (PDQ, ISCC) come in with a tag; a query gives the tags of all
//! codes that differ from it in at most so many bits.
//!
//! Invariants: no misses and nothing too far, at any distance, whatever the codes are; hits come in
//! an order that depends on the set of codes and tags only. Few codes are read one after the other;
//! from some thousands on they are in chains (see `chains`), and new ones go into theirs without
//! touching others. As the codes become four times as many the chains are made anew, up to
//! 4 million codes; beyond, never again.
//!
//! What it is not: a maker of codes, or a judge of what a match means.

mod chains;
mod chunks;
mod entries;
mod scratch;

use chains::{Chains, DISTANCE_CHAINED_MAX, width_for};
use entries::{Code, Entries};
pub use scratch::Scratch;

/// A tag whose code is near enough. The nearest hit is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Bits that differ, 0 to 256.
    pub distance: u32,
    /// What was inserted with the code.
    pub tag: u32,
}

/// From where on chains are worth their room, and until when following them is.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    /// Up to so many codes are read one after the other.
    read_max: usize,
    /// So many entries are followed in any case.
    visits_max: usize,
}

const TUNING: Tuning = Tuning { read_max: 16_384, visits_max: 4096 };

/// See the module.
#[derive(Debug)]
pub struct HammingIndex {
    tuning: Tuning,
    capacity: usize,
    tags: usize,
    entries: Entries,
    chains: Option<Chains>,
}

impl Default for HammingIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl HammingIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty index that expects so many codes, so that chains are made once only. Room for them
    /// is not taken before there are thousands.
    pub fn with_capacity(codes: usize) -> Self {
        Self { tuning: TUNING, capacity: codes, tags: 0, entries: Entries::new(), chains: None }
    }

    /// How many codes were inserted, repeats included.
    pub fn len(&self) -> usize {
        self.tags
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tags == 0
    }

    /// How many bytes the index holds on the heap.
    pub fn bytes_held(&self) -> usize {
        self.entries.bytes() + self.chains.as_ref().map_or(0, Chains::bytes)
    }

    /// Adds a code. A code may have many tags; a pair that is inserted twice is found twice.
    ///
    /// # Panics
    /// At 2^32 codes, which take 400 GiB.
    pub fn insert(&mut self, code: &[u8; 32], tag: u32) {
        self.tags += 1;
        if !self.entries.insert(&words(code), tag) {
            return;
        }
        let codes = self.entries.len();
        if codes <= self.tuning.read_max {
            return;
        }
        let width = width_for(codes.max(self.capacity));
        match &mut self.chains {
            Some(chains) if chains.width() == width => chains.link(&mut self.entries),
            chains => {
                // The old ones go before the new ones come.
                *chains = None;
                *chains = Some(Chains::new(width, &mut self.entries));
            }
        }
    }

    /// Every code at most `distance_max` bits from `code`, the nearest first, then by tag.
    ///
    /// Up to a distance of 32 the chains answer; beyond, or where they would take longer, all codes
    /// are read.
    pub fn within<'s>(
        &self,
        code: &[u8; 32],
        distance_max: u32,
        scratch: &'s mut Scratch,
    ) -> &'s [Hit] {
        let code = words(code);
        scratch.found.fit(self.entries.len());
        let chains = self.chains.as_ref().filter(|_| distance_max <= DISTANCE_CHAINED_MAX);
        let answered = chains.and_then(|chains| {
            let visits_max = self.tuning.visits_max;
            chains.search(&self.entries, &code, distance_max, visits_max, scratch).ok()?;
            Some(chains.linked())
        });
        if answered.is_none() {
            scratch.found.forget();
        }
        for (id, entry) in self.entries.codes_from(answered.unwrap_or(0)) {
            scratch.found.consider(id, entry, &code, distance_max);
        }
        scratch.report(&self.entries)
    }
}

/// How many bits differ between two codes.
pub fn distance(a: &[u8; 32], b: &[u8; 32]) -> u32 {
    differing(&words(a), &words(b))
}

fn differing(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn words(code: &[u8; 32]) -> Code {
    let (words, _) = code.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// Chains from the ninth code on, however long they are.
    const CHAINED: Tuning = Tuning { read_max: 8, visits_max: usize::MAX };

    fn tuned(tuning: Tuning, capacity: usize) -> HammingIndex {
        HammingIndex { tuning, ..HammingIndex::with_capacity(capacity) }
    }

    fn brute(codes: &[[u8; 32]], code: &[u8; 32], distance_max: u32) -> Vec<Hit> {
        let all = (0..).zip(codes).map(|(tag, other)| Hit { distance: distance(code, other), tag });
        let mut hits: Vec<Hit> = all.filter(|hit| hit.distance <= distance_max).collect();
        hits.sort_unstable();
        hits
    }

    fn flipped(mut code: [u8; 32], bits: &[u8]) -> [u8; 32] {
        for bit in bits {
            code[usize::from(bit / 8)] ^= 1 << (bit % 8);
        }
        code
    }

    /// A generator that is the same everywhere.
    struct Draw(u64);

    impl Draw {
        fn word(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn code(&mut self) -> [u8; 32] {
            let words: [[u8; 8]; 4] = std::array::from_fn(|_| self.word().to_le_bytes());
            words.as_flattened().try_into().unwrap()
        }

        /// A code that differs in `count` bits, all in one place if `close`.
        fn near(&mut self, mut code: [u8; 32], count: usize, close: bool) -> [u8; 32] {
            let (start, stride) =
                (self.word() as u8, if close { 1 } else { 2 * self.word() as u8 + 1 });
            for step in 0..count {
                code = flipped(code, &[start.wrapping_add(stride.wrapping_mul(step as u8))]);
            }
            code
        }
    }

    /// Codes that are unlike, or copies of others, or alike in most bits.
    fn codes() -> impl Strategy<Value = Vec<[u8; 32]>> {
        let changes = prop::collection::vec(any::<u8>(), 0..34);
        let copy = (any::<Index>(), changes);
        let one = (any::<[u8; 32]>(), prop::option::weighted(0.7, copy));
        let masks = prop_oneof![Just(0xff_u8), Just(0x11), Just(0x01)];
        (prop::collection::vec(one, 1..400), masks).prop_map(|(drawn, mask)| {
            let mut codes: Vec<[u8; 32]> = Vec::new();
            for (fresh, copy) in drawn {
                let code = match copy {
                    Some((at, bits)) if !codes.is_empty() => flipped(*at.get(&codes), &bits),
                    _ => fresh.map(|byte| byte & mask),
                };
                codes.push(code);
            }
            codes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn hits_are_those_of_brute_force(
            codes in codes(),
            capacity in prop_oneof![Just(0_usize), Just(3000)],
            asked in prop::collection::vec((any::<Index>(), prop::collection::vec(any::<u8>(), 0..40), 0_u32..=40), 20),
        ) {
            let mut index = tuned(CHAINED, capacity);
            let mut scratch = Scratch::new();
            let mut asked = asked.iter();
            for (at, code) in codes.iter().enumerate() {
                index.insert(code, at as u32);
                // Queries between additions, and some after the last.
                let last = at + 1 == codes.len();
                let count = if last { 10 } else { usize::from(at % 41 == 40) };
                for (at_query, bits, distance_max) in asked.by_ref().take(count) {
                    let known = &codes[..=at];
                    let query = flipped(*at_query.get(known), bits);
                    let hits = index.within(&query, *distance_max, &mut scratch);
                    prop_assert_eq!(hits, &brute(known, &query, *distance_max)[..]);
                }
            }
            prop_assert_eq!(index.len(), codes.len());
        }
    }

    #[test]
    fn every_distance_is_found_exactly_at_every_width() {
        let mut draw = Draw(7);
        // The last two make chunks of 16 and of 23 and 24 bits with few codes.
        for (count, capacity) in
            [(5, 0), (40, 0), (300, 0), (1000, 0), (300, 60_000), (300, 5_000_000)]
        {
            let query = draw.code();
            let mut codes: Vec<[u8; 32]> = (0..count).map(|_| draw.code()).collect();
            for apart in 0..=40 {
                codes.push(draw.near(query, apart, false));
                codes.push(draw.near(query, apart, true));
            }
            let mut index = tuned(CHAINED, capacity);
            (0..).zip(&codes).for_each(|(tag, code)| index.insert(code, tag));
            let mut scratch = Scratch::new();
            for distance_max in (0..=40).chain([100, 128, 255, 256, u32::MAX]) {
                let hits = index.within(&query, distance_max, &mut scratch);
                assert_eq!(hits, brute(&codes, &query, distance_max), "{count} {distance_max}");
                if distance_max <= 40 {
                    assert!(hits.len() >= 2 * (distance_max as usize + 1));
                }
            }
        }
    }

    #[test]
    fn no_near_pair_is_missed_at_full_width() {
        let mut draw = Draw(11);
        let codes: Vec<[u8; 32]> = (0..3000).map(|_| draw.code()).collect();
        let mut index = tuned(CHAINED, 5_000_000);
        (0..).zip(&codes).for_each(|(tag, code)| index.insert(code, tag));
        let mut scratch = Scratch::new();
        for round in 0..20_000_u32 {
            let tag = round % codes.len() as u32;
            let apart = 26 + round % 7;
            let query = draw.near(codes[tag as usize], apart as usize, round % 5 == 0);
            let hits = index.within(&query, apart, &mut scratch);
            assert!(hits.contains(&Hit { distance: apart, tag }), "{apart} apart is missed");
            assert!(
                apart == 0
                    || !index
                        .within(&query, apart - 1, &mut scratch)
                        .iter()
                        .any(|hit| hit.tag == tag)
            );
        }
    }

    #[test]
    fn growth_with_the_real_thresholds_misses_nothing() {
        let mut draw = Draw(3);
        let mut codes: Vec<[u8; 32]> = Vec::new();
        let (mut index, mut scratch) = (HammingIndex::new(), Scratch::new());
        for tag in 0..70_000_u32 {
            let code = match tag % 3 {
                0 => draw.near(
                    codes[draw.0 as usize % codes.len().max(1)..]
                        .first()
                        .copied()
                        .unwrap_or([0; 32]),
                    20,
                    false,
                ),
                _ => draw.code(),
            };
            codes.push(code);
            index.insert(&code, tag);
            if [100, 16_383, 16_384, 16_385, 20_000, 65_535, 65_536, 69_999].contains(&tag) {
                for step in 0..20 {
                    let query = draw.near(codes[codes.len() * step / 20], step, false);
                    let hits = index.within(&query, 31, &mut scratch);
                    assert_eq!(hits, brute(&codes, &query, 31), "after {tag}");
                }
            }
        }
    }

    #[test]
    fn one_code_with_many_tags_is_one_entry() {
        let (mut index, mut scratch) = (HammingIndex::new(), Scratch::new());
        for tag in (0..50_000).rev() {
            index.insert(&[7; 32], tag);
        }
        assert_eq!((index.len(), index.entries.len()), (50_000, 1));
        let hits = index.within(&[7; 32], 0, &mut scratch);
        assert!(hits.iter().map(|hit| hit.tag).eq(0..50_000));
    }

    #[test]
    fn chains_that_are_too_long_are_left() {
        // All codes share three words, so most chains hold all of them.
        let mut draw = Draw(5);
        let tuning = Tuning { read_max: 8, visits_max: 0 };
        let mut index = tuned(tuning, 0);
        let codes: Vec<[u8; 32]> = (0..2000)
            .map(|_| {
                let mut code = [0; 32];
                code[..4].copy_from_slice(&draw.code()[..4]);
                code
            })
            .collect();
        (0..).zip(&codes).for_each(|(tag, code)| index.insert(code, tag));
        let mut scratch = Scratch::new();
        for distance_max in [0, 5, 12, 31] {
            let hits = index.within(&codes[3], distance_max, &mut scratch);
            assert_eq!(hits, brute(&codes, &codes[3], distance_max));
        }
    }

    #[test]
    fn one_scratch_serves_several_indexes() {
        let mut draw = Draw(9);
        let (mut small, mut large) = (tuned(CHAINED, 0), tuned(CHAINED, 0));
        let codes: Vec<[u8; 32]> = (0..500).map(|_| draw.code()).collect();
        (0..).zip(&codes).for_each(|(tag, code)| large.insert(code, tag));
        small.insert(&codes[1], 5);
        let mut scratch = Scratch::new();
        for _ in 0..3 {
            assert_eq!(large.within(&codes[1], 31, &mut scratch), [Hit { distance: 0, tag: 1 }]);
            assert_eq!(small.within(&codes[1], 31, &mut scratch), [Hit { distance: 0, tag: 5 }]);
        }
        assert!(HammingIndex::new().within(&codes[1], 256, &mut scratch).is_empty());
    }

    #[test]
    fn few_codes_take_little_room() {
        let mut draw = Draw(1);
        let mut index = HammingIndex::with_capacity(10_000_000);
        assert!(index.is_empty() && index.bytes_held() < 1 << 10);
        (0..100).for_each(|tag| index.insert(&draw.code(), tag));
        assert!(index.bytes_held() < 16 << 10, "{} bytes", index.bytes_held());
    }
}
