//! MinHash of ISO 24138: of a set of 32-bit features, the least value that each of 64 hash functions
//! takes, four bits of each.
//!
//! A function is `(a * f + b mod 2^64) mod (2^61 - 1) mod 2^32`. As `2^61 - 1` is one less than a
//! multiple of `2^32`, that is `lo + k mod 2^32`, where `lo` are the low 32 bits of `a * f + b` and `k`
//! is how often `2^61 - 1` went into it, 8 at most. So the upper half of `lo`, for which numbers of 16
//! bits will do, tells what a block of features can bring, and almost no block brings anything.
//!
//! Invariants: the values are exactly those of the formula. What it is not: a maker of features.

/// Four bits of each of the 64 least values.
pub(super) const DIGEST_BYTES: usize = FUNCTIONS.len() / 2;

const MODULUS: u64 = (1 << 61) - 1;
/// How often the modulus goes into 64 bits.
const QUOTIENT_MAX: u32 = 8;
/// Features of which the least is told by 16 bits.
const BLOCK: usize = 64;
/// Blocks that are looked at together, so that most of the first ones need no second look either.
const BLOCKS: usize = 16;
/// How much more the upper half of a value may be than what 16 bits tell of it: a carry out of the
/// lower half, and one by `k`.
const CARRIES: u16 = 2;
/// Signed numbers with this added are in the order of unsigned ones; only signed ones of 16 bits have
/// a minimum of their own on every processor of 64 bits.
const SIGN: u16 = 1 << 15;

/// The digest of `features`; all ones of none.
pub(super) fn minhash(features: &[u32]) -> [u8; DIGEST_BYTES] {
    let mut least = [u32::MAX; FUNCTIONS.len()];
    let mut halves = [[0; BLOCK * BLOCKS]; 2];
    for features in features.chunks(BLOCK * BLOCKS) {
        for (at, feature) in features.iter().enumerate() {
            (halves[0][at], halves[1][at]) = (*feature as u16, (feature >> 16) as u16);
        }
        let halves = halves.each_ref().map(|half| &half[..features.len()]);
        for (least, function) in least.iter_mut().zip(&FUNCTIONS) {
            *least = least_of(features, halves, function, *least);
        }
    }
    let mut digest = [0; DIGEST_BYTES];
    for bit in 0..4 {
        for (at, least) in least.iter().enumerate() {
            let place = bit * FUNCTIONS.len() + at;
            digest[place / 8] |= ((least >> bit & 1) as u8) << (7 - place % 8);
        }
    }
    digest
}

/// The least of `least` and the values of features, whose lower and upper halves these are.
fn least_of(features: &[u32], [low, high]: [&[u16]; 2], function: &(u64, u64), least: u32) -> u32 {
    let mut of_blocks = [u16::MAX; BLOCKS];
    let blocks = low.chunks(BLOCK).zip(high.chunks(BLOCK));
    for (of_block, (low, high)) in of_blocks.iter_mut().zip(blocks) {
        *of_block = least_half(low, high, function);
    }
    let lowest = of_blocks.into_iter().min().unwrap_or(u16::MAX);
    // What passed 2^32, and began anew, is below `CARRIES` here; other values may be far above it.
    let bound = if lowest < CARRIES { least } else { least.min(u32::from(lowest) << 16 | 0xffff) };
    let half_max = (bound >> 16) + u32::from(CARRIES);
    let near = features.chunks(BLOCK).zip(of_blocks).filter(|(_, of)| u32::from(*of) <= half_max);
    near.fold(least, |least, (block, _)| least_value(block, function, bound, least))
}

/// The least of what 16 bits tell of the upper halves of values, `CARRIES` added: each value's is at
/// most that much below. The loop is one that compilers make vectors of.
fn least_half(low: &[u16], high: &[u16], &(a, b): &(u64, u64)) -> u16 {
    let (a_low, a_high) = (a as u16, (a >> 16) as u16);
    let b_high = ((b >> 16) as u16).wrapping_add(CARRIES).wrapping_add(SIGN);
    let mut least = i16::MAX;
    for (low, high) in low.iter().zip(high) {
        let carried = ((u32::from(a_low) * u32::from(*low)) >> 16) as u16;
        let crossed = a_high.wrapping_mul(*low).wrapping_add(a_low.wrapping_mul(*high));
        let half = carried.wrapping_add(crossed).wrapping_add(b_high).cast_signed();
        least = least.min(half);
    }
    least.cast_unsigned() ^ SIGN
}

/// The least of `least` and those values of features that are `bound` at most.
fn least_value(features: &[u32], function: &(u64, u64), bound: u32, least: u32) -> u32 {
    let (a, b) = (function.0 as u32, (function.1 as u32).wrapping_add(QUOTIENT_MAX));
    let key_max = bound.saturating_add(QUOTIENT_MAX);
    // A key is at most so much above its value; if that began anew, the key may have, too.
    let near = |feature: &&u32| a.wrapping_mul(**feature).wrapping_add(b) <= key_max;
    let values = features.iter().filter(near).map(|feature| value(*feature, function));
    values.fold(least, u32::min)
}

/// The formula.
fn value(feature: u32, (a, b): &(u64, u64)) -> u32 {
    (a.wrapping_mul(u64::from(feature)).wrapping_add(*b) % MODULUS) as u32
}

/// `a` and `b` of each function (iscc-core 1.1, `minhash.py`).
#[rustfmt::skip]
const FUNCTIONS: [(u64, u64); 64] = [
    (0xbd6fc3666cddccd, 0xf1f0fc99887ea6b),
    (0x19aa265a296861b9, 0xa16b994dc3e2e31),
    (0xfb49116249f240b, 0xeb34b84804bce1),
    (0x1adfc726aa0e5561, 0xef748584001dd8c),
    (0xc5ce3a5a06b706b, 0x12a4f6f418028b4b),
    (0x1b97ae3504f68d05, 0x9b21d5014ea68a7),
    (0x138d6618323c0103, 0x115383e3e873be27),
    (0x1db3b398a8a09af9, 0x141832af19da3c79),
    (0x185b745ad0bfcc4d, 0xe5ba22c9b8b9597),
    (0x12d12f23cf0e9aad, 0x1474bad6b504b08e),
    (0x795dd9577a978b3, 0xb040cc67987e745),
    (0x6e7d7fc0f99e34d, 0xd9b708e8e83c66f),
    (0x1bc3f30e608b1f5d, 0xd609bbd004e3c77),
    (0xead57b0906151af, 0x33e191007d3a85d),
    (0x15dfcd6ab8a2fefd, 0x362866a7c0a8dd3),
    (0x1cd9533f55cc8673, 0x7ea010bad227ece),
    (0xe31107120a54313, 0x42167e53cd07b2c),
    (0x1dd6a07fbce3ea19, 0x150cbece2d2bc69d),
    (0x9e2be8079dfdf2f, 0x14be94be75539629),
    (0x14fad77228bf5eaf, 0x17fdb8f10970bd53),
    (0x152cebf702e35f9d, 0xe4871b571e49530),
    (0x1189d1c0ba059a33, 0x170c1b6091d92ea8),
    (0x10dff879fb1c38af, 0x136cfb07a4630835),
    (0x83058c40f70e60b, 0x70753a97f8d2789),
    (0x1d0c85297804a39, 0x11c27ab17baf8edd),
    (0xd5c4995355da7b7, 0xbefad23100a6f74),
    (0x17a0b681612e861f, 0x5b602f9333e9d8c),
    (0x41bddefc7647a75, 0xf70d86a9d1b347),
    (0x6cd94739c33f043, 0x1b350f0580186b99),
    (0x116bd16f547bd8ff, 0x865b809757aca74),
    (0x9b4fa40e2209827, 0xe1edf3c5eabb21d),
    (0x74fdd0712066b5, 0x121bb418ab60509c),
    (0x1b8c7bf89b896469, 0xd2b92c2a4ee995b),
    (0x5062e675f96b6db, 0xfdbf4f00758271b),
    (0x1a69b5bdbb8eed2b, 0x801d841df2f5d40),
    (0xc7ed59cd4700c29, 0xeddec5e885fb480),
    (0x799012d426d7c6f, 0x14bda0b2c901d2eb),
    (0x1771dc7389d3dacf, 0xee5184f15aac6aa),
    (0xbbc27794a831943, 0x11d8730eb8699e99),
    (0x58e43cdca23150d, 0x11b9715b4fb518d7),
    (0x26d9ba8744b8015, 0x4c561c0cf35cca1),
    (0xc2a00912496855b, 0x1d27f34e80cc26e3),
    (0x705226d8016da9d, 0x1109b4e108174f4a),
    (0x1aa6dfeeea108247, 0x420e62e60aeef1),
    (0x11f04783ff3d1e6d, 0x1d2b647f2464f369),
    (0xd5e63ecea7ccc9f, 0x2a9709cb76f3ea8),
    (0x1805523801e53327, 0x1e1dd51c3d760398),
    (0x3f327c54f7c4bc5, 0xcbeeba5a7d69dfd),
    (0x10720f1822703779, 0x19691b22e0998389),
    (0x1e13c1b3d5491a6d, 0x1b14a4990f3ff12e),
    (0x10dc35f27d79d913, 0xa547884667ffce3),
    (0x15955e73e37ffb71, 0x1aaa9ab9597b6f22),
    (0xe8b4adcc1633f0b, 0x1c0911f4404a97d6),
    (0x1130750cadb338d5, 0x187e4a9d069783c9),
    (0x10d73a2b670cfd6f, 0x1a6bfcefede6406c),
    (0x3f925002144e9df, 0x141d3a7ba317ccca),
    (0x115a2a7110219dc9, 0x13ed1387613eaca9),
    (0x5a7dabd33c9c463, 0xb901cc1caa732fd),
    (0xd55b1668de1a12b, 0x1f127e7dfd0015af),
    (0x17e8426ee18e595f, 0xa64d32f76a735be),
    (0x1265d8fa972717bf, 0x1975c032c417f355),
    (0x2bbd023752576d7, 0x314bf0108540316),
    (0x172aee6666d154b3, 0xc81d79ae5775341),
    (0xad7dd83733f8a95, 0x14d6cb5e18ae5b4e),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slowly(features: &[u32]) -> [u8; DIGEST_BYTES] {
        let mut digest = [0; DIGEST_BYTES];
        for (at, function) in FUNCTIONS.iter().enumerate() {
            let values = features.iter().map(|feature| value(*feature, function));
            let least = values.min().unwrap_or(u32::MAX);
            for bit in (0..4).filter(|bit| least >> bit & 1 == 1) {
                let place = bit * FUNCTIONS.len() + at;
                digest[place / 8] |= 0x80 >> (place % 8);
            }
        }
        digest
    }

    /// The feature whose product's low bits are these: the factors are odd.
    fn feature_of(low: u32, (a, b): &(u64, u64)) -> u32 {
        let a = *a as u32;
        // Newton's iteration for an inverse modulo 2^32.
        let inverse = (0..5).fold(1u32, |inverse, _| {
            inverse.wrapping_mul(2u32.wrapping_sub(a.wrapping_mul(inverse)))
        });
        low.wrapping_sub(*b as u32).wrapping_mul(inverse)
    }

    #[test]
    fn low_bits_around_the_ends_of_their_range_are_exact() {
        for function in &FUNCTIONS {
            assert_eq!(function.0 % 2, 1);
            let around = |low: u32| (0..24).map(move |n| low.wrapping_sub(12).wrapping_add(n));
            let ends = [0, 1 << 16, 2 << 16, 3 << 16, 0xfffd_0000, 0xfffe_0000, 0xffff_0000];
            let ends = ends.into_iter().flat_map(around);
            let ends: Vec<u32> = ends.map(|low| feature_of(low, function)).collect();
            let (a, b) = (function.0 as u32, function.1 as u32);
            assert_eq!(a.wrapping_mul(ends[13]).wrapping_add(b), 1);
            for features in ends.windows(3).chain([&ends[..]]) {
                assert_eq!(minhash(features), slowly(features));
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_formula(
            features in proptest::collection::vec(
                prop_oneof![any::<u32>(), 0u32..64, Just(u32::MAX)], 0..700,
            ),
        ) {
            prop_assert_eq!(minhash(&features), slowly(&features));
        }
    }
}
