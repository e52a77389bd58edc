//! The lengths in a page of texts that are told by differences (`DELTA_BINARY_PACKED` in Parquet's
//! `Encodings.md`), before the decoder makes room for as many as the page claims.
//!
//! Invariants: memory is that of as many lengths as the caller allows. What it is not: a reader of
//! numbers. What the decoder takes for a length and is none is refused.

/// How many numbers bytes claim to begin with.
pub(super) fn count(bytes: &[u8]) -> Option<u64> {
    let mut bytes = Bytes(bytes);
    bytes.number()?;
    bytes.number()?;
    bytes.number()
}

/// The lengths that bytes begin with, and the bytes behind them; nothing if they are not whole, if
/// they are more than `count_max`, or if one is negative.
pub(super) fn lengths(bytes: &[u8], count_max: usize) -> Option<(Vec<u32>, &[u8])> {
    let mut bytes = Bytes(bytes);
    let block = bytes.number()?;
    let minis = bytes.number()?;
    let count = usize::try_from(bytes.number()?).ok().filter(|count| *count <= count_max)?;
    let per_mini = block.checked_div(minis).filter(|per| *per > 0 && per.is_multiple_of(32))?;
    let (minis, per_mini) = (usize::try_from(minis).ok()?, usize::try_from(per_mini).ok()?);
    let mut value = bytes.signed()? as i32;
    let mut lengths = Vec::with_capacity(count);
    if count > 0 {
        lengths.push(u32::try_from(value).ok()?);
    }
    while lengths.len() < count {
        let least = bytes.signed()? as i32;
        for width in bytes.take(minis)? {
            let left = count - lengths.len();
            // The widths of those that are not there mean nothing.
            if left == 0 {
                break;
            }
            let width = usize::from(*width);
            if width > 32 {
                return None;
            }
            // The last ones need not be there.
            let packed = bytes.at_most(width.checked_mul(per_mini)? / 8);
            if packed.len() * 8 < width * left.min(per_mini) {
                return None;
            }
            for at in 0..left.min(per_mini) {
                value = value.wrapping_add(least).wrapping_add(bits(packed, at * width, width));
                lengths.push(u32::try_from(value).ok()?);
            }
        }
    }
    Some((lengths, bytes.0))
}

/// A number of `width` bits, the least first, that begins at bit `from`.
fn bits(packed: &[u8], from: usize, width: usize) -> i32 {
    let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
    (0..width).fold(0, |number, at| number | bit(from + at) << at).cast_signed()
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn at_most(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A ULEB128 number of 64 bits.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_they_are_written() {
        // One block of four mini blocks of 32; the first has differences 0 to 3, the second one
        // difference, and both that less one.
        let mut bytes = vec![0x80, 1, 4, 34, 6, 1];
        bytes.extend([2, 5, 77, 99]);
        bytes.extend([0b1110_0100; 8]);
        bytes.extend([3, 0, 0]);
        let mut expected = vec![3u32];
        (0..32).for_each(|at| expected.push(expected[at] + at as u32 % 4 - 1));
        expected.push(expected[32] + 2);
        assert_eq!(count(&bytes), Some(34));
        assert_eq!(lengths(&bytes, 34), Some((expected.clone(), &[][..])));
        let more = [bytes.clone(), vec![0; 20]].concat();
        assert_eq!(
            lengths(&more, 34),
            Some((expected, &[0; 3][..])),
            "three behind the last block"
        );
        bytes[4] = 0;
        assert_eq!(lengths(&bytes, 34), None, "a length of less than nothing");
        bytes[4] = 6;
        assert_eq!(lengths(&bytes, 33), None, "more than are wanted");
        for cut in 0..bytes.len() - 2 {
            assert_eq!(lengths(&bytes[..cut], 34), None, "{cut}");
        }
    }
}
