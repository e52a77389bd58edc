//! Every entry in one chain for each of its chunks, by the chunk's value.
//!
//! Two codes at most `d` apart are at most `r = d / 11` apart in one of the first `d % 11 + 1`
//! chunks, or at most `r - 1` in one of the others: otherwise the chunks alone would be more than
//! `d` apart (Norouzi, Punjani, Fleet: Fast Search in Hamming Space with Multi-Index Hashing, CVPR
//! 2012). So a query looks up all values of each chunk that are so near its own, and measures what
//! it finds there.
//!
//! Invariants: each entry before `linked` is in as many chains as there are chunks. What a query found does not
//! depend on the width of the chunks, nor on which bits they took.
//! What it is not: always faster than reading all codes. Where the chains are too long it says so.

use super::chunks::{CHUNKS, Chunks, SHORT, WIDTH_MAX, width_of};
use super::entries::{Code, Entries, NEAR_LINKS};
use super::scratch::Scratch;

/// The largest radius of a chunk.
const RADIUS_MAX: u32 = 2;
/// The largest distance that chains find; with more, the chunks would need a larger radius.
pub(super) const DISTANCE_CHAINED_MAX: u32 = CHUNKS as u32 * (RADIUS_MAX + 1) - 1;
/// Reading an entry by its link takes as long as reading this many in order.
const READS_PER_VISIT: usize = 8;
const WIDTH_MIN: u32 = 4;
/// Entries that are linked at a time. Fewer than that are in no chain and are read by every query.
const BLOCK: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Chains {
    width: u32,
    chunks: Chunks,
    heads: Vec<Vec<u32>>,
    linked: u32,
    /// For the short and the long chunks.
    probes: [Probes; 2],
}

/// The chains could not answer faster than reading all codes.
#[derive(Debug)]
pub(super) struct TooLong;

/// The width of the chunks for `codes` codes: about one chain each. It grows by two bits, so in
/// growing to any size entries are chained anew less than half a time on average.
pub(super) fn width_for(codes: usize) -> u32 {
    let bits = usize::BITS - codes.saturating_sub(1).leading_zeros();
    bits.next_multiple_of(2).clamp(WIDTH_MIN, WIDTH_MAX)
}

impl Chains {
    /// Chains of all entries.
    pub(super) fn new(width: u32, entries: &mut Entries) -> Self {
        let heads = |chunk| vec![0; 1 << width_of(chunk, width)];
        let mut chains = Self {
            width,
            chunks: Chunks::fit(width, entries.len(), entries.codes_from(0).map(|(_, code)| code)),
            heads: (0..CHUNKS).map(heads).collect(),
            linked: 0,
            probes: [Probes::new(width_of(0, width)), Probes::new(width_of(SHORT, width))],
        };
        chains.link_rest(entries);
        chains
    }

    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// Entries from this one on are in no chain yet.
    pub(super) fn linked(&self) -> u32 {
        self.linked
    }

    /// Puts new entries at the heads of their chains, once there is a block of them.
    pub(super) fn link(&mut self, entries: &mut Entries) {
        if entries.len() >= self.linked as usize + BLOCK {
            self.link_rest(entries);
        }
    }

    /// Links block by block, and in a block chunk by chunk: as in a query no write waits for another.
    fn link_rest(&mut self, entries: &mut Entries) {
        let mut keys = [[0; BLOCK]; CHUNKS];
        let mut links = [[0; CHUNKS]; BLOCK];
        while (self.linked as usize) < entries.len() {
            let count = BLOCK.min(entries.len() - self.linked as usize);
            let block = self.linked..self.linked + count as u32;
            for (at, id) in block.clone().enumerate() {
                let keys_of = self.chunks.keys(&entries.near(id).code);
                for (keys, key) in keys.iter_mut().zip(keys_of) {
                    keys[at] = key;
                }
            }
            for (chunk, heads) in self.heads.iter_mut().enumerate() {
                for (at, id) in block.clone().enumerate() {
                    let head = &mut heads[keys[chunk][at] as usize];
                    links[at][chunk] = std::mem::replace(head, id + 1);
                }
            }
            for (at, id) in block.clone().enumerate() {
                entries.set_links(id, &links[at]);
            }
            self.linked = block.end;
        }
    }

    /// Finds the linked entries at most `distance_max` from `code`, each once.
    ///
    /// It goes in waves: first all heads, then all first entries, then all seconds. Within a wave no
    /// read waits for another, so the processor keeps many misses of its cache under way at a time.
    pub(super) fn search(
        &self,
        entries: &Entries,
        code: &Code,
        distance_max: u32,
        visits_max: usize,
        scratch: &mut Scratch,
    ) -> Result<(), TooLong> {
        let mut waiting = self.read_heads(code, distance_max, scratch);
        let visits_max = visits_max.max(entries.len() / READS_PER_VISIT);
        let mut visits = 0;
        loop {
            let wave: usize = waiting.iter().sum();
            if wave == 0 {
                return Ok(());
            }
            visits += wave;
            if visits > visits_max {
                return Err(TooLong);
            }
            for (chunk, count) in waiting.iter_mut().enumerate() {
                let mut links = std::mem::take(&mut scratch.links[chunk]);
                let (now, found) = (&mut links[..*count], &mut scratch.found);
                *count = if chunk < NEAR_LINKS {
                    advance(now, |id| {
                        let near = entries.near(id);
                        found.consider(id, &near.code, code, distance_max);
                        near.links[chunk]
                    })
                } else {
                    advance(now, |id| {
                        found.consider(id, &entries.near(id).code, code, distance_max);
                        entries.far(id).links[chunk - NEAR_LINKS]
                    })
                };
                scratch.links[chunk] = links;
            }
        }
    }

    /// Reads the heads of all chains in reach of `code`, and says how many there are by chunk.
    fn read_heads(&self, code: &Code, distance_max: u32, scratch: &mut Scratch) -> [usize; CHUNKS] {
        let keys = self.chunks.keys(code);
        let (radius, rest) = (distance_max / CHUNKS as u32, distance_max as usize % CHUNKS);
        let mut counts = [0; CHUNKS];
        for (chunk, heads) in self.heads.iter().enumerate() {
            let probes = &self.probes[usize::from(chunk >= SHORT)];
            let Some(radius) = (radius + u32::from(chunk <= rest)).checked_sub(1) else { continue };
            let masks = probes.up_to(radius);
            let links = &mut scratch.links[chunk];
            if links.len() < masks.len() {
                links.resize(masks.len(), 0);
            }
            let mut count = 0;
            for mask in masks {
                let head = heads[(keys[chunk] ^ mask) as usize];
                // Written in any case and counted if it is one: a branch would often go wrong.
                links[count] = head;
                count += usize::from(head != 0);
            }
            counts[chunk] = count;
        }
        counts
    }

    pub(super) fn bytes(&self) -> usize {
        self.heads.iter().map(|heads| heads.capacity() * size_of::<u32>()).sum()
    }
}

/// Goes one step along each chain and gives the number of those that go on, which then come first.
fn advance(links: &mut [u32], mut visit: impl FnMut(u32) -> u32) -> usize {
    let mut count = 0;
    for at in 0..links.len() {
        let next = visit(links[at] - 1);
        links[count] = next;
        count += usize::from(next != 0);
    }
    count
}

/// What to change in a chunk's value to get each value near it, nearest first.
#[derive(Debug)]
struct Probes {
    masks: Vec<u32>,
    /// Where each radius ends.
    ends: Vec<usize>,
}

impl Probes {
    fn new(width: u32) -> Self {
        let (mut masks, mut ends) = (vec![0], vec![1]);
        for radius in 1..=RADIUS_MAX {
            // From each mask of one bit less, by a bit above its highest: each comes once. Masks
            // that differ in low bits only stand together, and so do the heads that they lead to.
            let fewer = ends.get(radius as usize - 2).map_or(0, |start| *start)..masks.len();
            let fewer = if radius == 1 { 0..1 } else { fewer };
            for high in 0..width {
                let below = |mask: &u32| *mask < 1 << high;
                let with = |mask: &u32| mask | 1 << high;
                let made: Vec<u32> =
                    masks[fewer.clone()].iter().filter(|m| below(m)).map(with).collect();
                masks.extend(made);
            }
            ends.push(masks.len());
        }
        Self { masks, ends }
    }

    fn up_to(&self, radius: u32) -> &[u32] {
        &self.masks[..self.ends[radius as usize]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_all_values_within_the_radius() {
        for width in [4, 9, 23] {
            let probes = Probes::new(width);
            for radius in 0..=RADIUS_MAX {
                let mut masks = probes.up_to(radius).to_vec();
                masks.sort_unstable();
                let near = |mask: &u32| mask.count_ones() <= radius;
                assert!(masks.iter().copied().eq((0..1 << width).filter(near)));
            }
        }
    }

    /// A pair may be as far apart as allowed with a single chunk within its radius: each chunk in
    /// turn, at each distance.
    #[test]
    fn the_one_chunk_that_shows_a_pair_is_looked_up() {
        let mut entries = Entries::new();
        for n in 1..200_u64 {
            let word = |at: u64| (n * 4 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            entries.insert(&std::array::from_fn(|at| word(at as u64)), 0);
        }
        let code = entries.near(100).code;
        for width in [16, 22, 24] {
            let chains = Chains::new(width, &mut entries);
            let mut bits = vec![Vec::new(); CHUNKS];
            for bit in 0..256 {
                let mut one = [0; 4];
                one[bit / 64] = 1 << (bit % 64);
                let keys = chains.chunks.keys(&one);
                keys.iter()
                    .position(|key| *key != 0)
                    .into_iter()
                    .for_each(|chunk| bits[chunk].push(bit));
            }
            for distance in 0..=DISTANCE_CHAINED_MAX {
                let flips = |chunk| (distance as usize + CHUNKS - chunk) / CHUNKS;
                for shows in (0..CHUNKS).filter(|chunk| flips(*chunk) > 0) {
                    let mut query = code;
                    for (chunk, bits) in bits.iter().enumerate() {
                        for bit in &bits[..flips(chunk) - usize::from(chunk == shows)] {
                            query[bit / 64] ^= 1 << (bit % 64);
                        }
                    }
                    let mut scratch = Scratch::new();
                    scratch.found.fit(entries.len());
                    let searched =
                        chains.search(&entries, &query, distance, usize::MAX, &mut scratch);
                    assert!(searched.is_ok());
                    let hits = scratch.report(&entries);
                    assert!(
                        hits.iter().any(|hit| hit.distance == distance),
                        "{width} {distance} {shows}"
                    );
                }
            }
        }
    }

    #[test]
    fn chains_are_about_as_many_as_codes() {
        let widths =
            [1, 16, 17, 64, 65, 1 << 22, (1 << 22) + 1, 10_000_000, 1 << 30].map(width_for);
        assert_eq!(widths, [4, 4, 6, 6, 8, 22, 24, 24, 24]);
    }
}
