//! Which bits of a code make up which chunk.
//!
//! Invariants: no bit is in two chunks, so a distance between codes is at least the sum of the
//! distances between their chunks; that is all that finding every match rests on. Which bit goes
//! where only decides how fast: bits that are mostly the same, or go with each other, are spread
//! over the chunks, so that no chunk has few values with many codes.
//! What it is not: a table of the codes.

use super::entries::{Code, LINKS};

/// Bits of a code.
const BITS: usize = 256;
/// Chunks, each a chain of every entry.
pub(super) const CHUNKS: usize = LINKS;
/// Chunks up to here have at most 23 bits, the rest 24: 8 * 23 + 3 * 24 = 256.
pub(super) const SHORT: usize = 8;
/// The most bits of a chunk.
pub(super) const WIDTH_MAX: u32 = 24;
/// Codes looked at to see which bits go together.
const SAMPLE_MAX: usize = 4096;
const LANES: usize = 12;
const NIBBLES: usize = 16;

/// Bits of the chunk `chunk`, where chunks are `width` wide.
pub(super) fn width_of(chunk: usize, width: u32) -> u32 {
    if chunk < SHORT { width.min(WIDTH_MAX - 1) } else { width.min(WIDTH_MAX) }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Chunks {
    /// For each nibble of a code and each of its values, what it puts into each chunk.
    rows: Vec<[u32; LANES]>,
}

impl Chunks {
    /// Chunks that are `width` wide, as even as can be for codes like `codes`.
    pub(super) fn fit<'a>(width: u32, len: usize, codes: impl Iterator<Item = &'a Code>) -> Self {
        let sample: Vec<&Code> = codes.step_by(len.div_ceil(SAMPLE_MAX).max(1)).collect();
        let mut rows = vec![[0; LANES]; BITS / 4 * NIBBLES];
        for (chunk, bits) in deal(width, &Columns::new(&sample)).iter().enumerate() {
            for (to, from) in bits.iter().enumerate() {
                let values = (0..NIBBLES).filter(|value| value >> (from % 4) & 1 == 1);
                for value in values {
                    rows[from / 4 * NIBBLES + value][chunk] |= 1 << to;
                }
            }
        }
        Self { rows }
    }

    /// The value of each chunk; the last is always 0.
    pub(super) fn keys(&self, code: &Code) -> [u32; LANES] {
        let mut keys = [0; LANES];
        for (nibble, rows) in self.rows.chunks_exact(NIBBLES).enumerate() {
            let value = code[nibble / NIBBLES] >> (nibble % NIBBLES * 4) & 15;
            for (key, part) in keys.iter_mut().zip(&rows[value as usize]) {
                *key |= part;
            }
        }
        keys
    }
}

/// Deals the bits out, the most uneven first, each to the chunk that it burdens least. Where not all
/// have room, the most uneven stay out.
fn deal(width: u32, columns: &Columns) -> Vec<Vec<usize>> {
    let room = |chunk: usize| width_of(chunk, width) as usize;
    let mut order: Vec<(f32, usize)> = (0..BITS).map(|bit| (columns.burden(bit), bit)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let left_out = BITS - (0..CHUNKS).map(room).sum::<usize>();
    let mut chunks = vec![Vec::new(); CHUNKS];
    let mut burdens = [0.0_f32; CHUNKS];
    for &(burden, bit) in &order[left_out..] {
        let with = |chunk: usize| {
            let bits: &Vec<usize> = &chunks[chunk];
            burdens[chunk] + bits.iter().map(|other| columns.shared(bit, *other)).sum::<f32>()
        };
        let open = (0..CHUNKS).filter(|chunk| chunks[*chunk].len() < room(*chunk));
        let best = open.map(|chunk| (with(chunk), chunk)).min_by(|a, b| a.0.total_cmp(&b.0));
        let (carried, chunk) = best.expect("there is room for as many bits as are dealt out");
        burdens[chunk] = carried + burden;
        chunks[chunk].push(bit);
    }
    chunks
}

/// A sample of codes, bit by bit.
struct Columns {
    columns: Vec<Vec<u64>>,
    ones: Vec<f32>,
    len: f32,
}

impl Columns {
    fn new(sample: &[&Code]) -> Self {
        let mut columns = vec![vec![0_u64; sample.len().div_ceil(64)]; BITS];
        for (row, code) in sample.iter().enumerate() {
            for (bit, column) in columns.iter_mut().enumerate() {
                column[row / 64] |= (code[bit / 64] >> (bit % 64) & 1) << (row % 64);
            }
        }
        let count = |column: &Vec<u64>| column.iter().map(|word| word.count_ones()).sum::<u32>();
        let ones = columns.iter().map(|column| count(column) as f32).collect();
        Self { columns, ones, len: sample.len() as f32 }
    }

    /// By how much a bit makes two codes more likely to agree than a fair one, as the logarithm to
    /// base 2: 0 for a fair bit, 1 for one that never changes.
    fn burden(&self, bit: usize) -> f32 {
        let one = self.ones[bit] / self.len.max(1.0);
        (2.0 * (one * one + (1.0 - one) * (1.0 - one))).log2()
    }

    /// By how much two bits together do so more than apart: by their correlation r, `log2(1 + r^2)`.
    fn shared(&self, a: usize, b: usize) -> f32 {
        let pairs = self.columns[a].iter().zip(&self.columns[b]);
        let both: u32 = pairs.map(|(a, b)| (a & b).count_ones()).sum();
        let (ones_a, ones_b) = (self.ones[a], self.ones[b]);
        let spread = ones_a * (self.len - ones_a) * ones_b * (self.len - ones_b);
        let covariance = both as f32 * self.len - ones_a * ones_b;
        if spread > 0.0 { (1.0 + covariance * covariance / spread).log2() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_in_one_chunk_at_full_width_and_none_in_two_below() {
        let codes: Vec<Code> = (0..300_u64).map(|n| [n, n * n, !n, n.pow(3)]).collect();
        for width in [4, 8, 16, 22, 24] {
            let dealt = deal(width, &Columns::new(&codes.iter().collect::<Vec<_>>()));
            let mut bits: Vec<usize> = dealt.concat();
            bits.sort_unstable();
            let before = bits.len();
            bits.dedup();
            assert_eq!(bits.len(), before);
            let wanted: u32 = (0..CHUNKS).map(|chunk| width_of(chunk, width)).sum();
            assert_eq!(bits.len(), wanted as usize);
        }
    }

    #[test]
    fn a_flipped_bit_changes_one_chunk_by_one_bit() {
        let chunks = Chunks::fit(24, 0, [].iter());
        let code = [0x0123_4567_89ab_cdef, 42, u64::MAX, 1 << 63];
        for bit in 0..BITS {
            let mut other = code;
            other[bit / 64] ^= 1 << (bit % 64);
            let (a, b) = (chunks.keys(&code), chunks.keys(&other));
            let changed: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert_eq!(changed, 1);
        }
    }

    #[test]
    fn bits_that_go_together_are_kept_apart() {
        // Bits 0 to 10 are always alike, and so are the next eleven, and so on.
        let mut state = 1_u64;
        let mut codes = Vec::new();
        for _ in 0..2000 {
            let mut code = [0_u64; 4];
            for bit in 0..BITS {
                if bit % CHUNKS == 0 {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                }
                code[bit / 64] |= (state >> 63) << (bit % 64);
            }
            codes.push(code);
        }
        for bits in deal(22, &Columns::new(&codes.iter().collect::<Vec<_>>())) {
            let mut groups: Vec<usize> = bits.iter().map(|bit| bit / CHUNKS).collect();
            groups.sort_unstable();
            groups.dedup();
            assert!(groups.len() >= 20, "{groups:?}");
        }
    }
}
