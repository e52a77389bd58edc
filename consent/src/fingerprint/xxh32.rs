//! The hash of ISO 24138's text features: XXH32 with the seed 0.
//!
//! Source: the XXH32 specification (`xxhash_spec.md` 0.2.0, Yann Collet). What it is not: a hash that
//! is hard to collide.

const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];

/// The hash of `bytes`.
pub(super) fn xxh32(bytes: &[u8]) -> u32 {
    let (stripes, mut rest) = bytes.as_chunks::<16>();
    let mut hash = if stripes.is_empty() { PRIMES[4] } else { striped(stripes) };
    hash = hash.wrapping_add(bytes.len() as u32);
    while let Some((four, after)) = rest.split_first_chunk::<4>() {
        let lane = u32::from_le_bytes(*four).wrapping_mul(PRIMES[2]);
        hash = hash.wrapping_add(lane).rotate_left(17).wrapping_mul(PRIMES[3]);
        rest = after;
    }
    for byte in rest {
        let lane = u32::from(*byte).wrapping_mul(PRIMES[4]);
        hash = hash.wrapping_add(lane).rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(PRIMES[1]);
    hash = (hash ^ hash >> 13).wrapping_mul(PRIMES[2]);
    hash ^ hash >> 16
}

fn striped(stripes: &[[u8; 16]]) -> u32 {
    let first = PRIMES[0].wrapping_add(PRIMES[1]);
    let mut lanes = [first, PRIMES[1], 0, 0u32.wrapping_sub(PRIMES[0])];
    for stripe in stripes {
        for (lane, four) in lanes.iter_mut().zip(stripe.as_chunks::<4>().0) {
            *lane = lane.wrapping_add(u32::from_le_bytes(*four).wrapping_mul(PRIMES[1]));
            *lane = lane.rotate_left(13).wrapping_mul(PRIMES[0]);
        }
    }
    let turned = lanes.into_iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
    turned.fold(0, u32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_values() {
        assert_eq!(xxh32(b""), 0x02cc_5d05);
        assert_eq!(xxh32(b"a"), 0x550d_7456);
        assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }
}
