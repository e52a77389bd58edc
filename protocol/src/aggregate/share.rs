//! How much of the mean each update is, from norms and inner products.
//!
//! Shares are in units of 2^-22 and add up to at most one (and rounding), so that a sum of values
//! times shares stays inside an `i64` however many updates there are.
//!
//! Invariants: a function of the contributions in the order of their ids. Inner products are exact;
//! where roots and quotients of them are needed, it is IEEE 754 doubles in a fixed order with nothing
//! but + - * / and sqrt, which every machine rounds alike. What it is not: the mean.

use super::Contribution;
use super::inner::Products;
use super::rule::Rule;

/// The share of one.
pub(super) const SHARE_ONE: u64 = 1 << SHARE_BITS;
/// Binary places of a share.
pub(super) const SHARE_BITS: u32 = 22;
/// The whole of a discount.
pub const DISCOUNT_ONE: u16 = 256;
/// What an update counts for that comes a round late: half, as it was made from an older model.
pub const DISCOUNT_LATE: u16 = 128;

/// Each contribution's share, in their order. `products` are there if the rule needs them.
pub(super) fn shares(
    rule: &Rule,
    contributions: &[Contribution<'_>],
    products: &Products,
    seed: &[u8; 32],
) -> Vec<i32> {
    let count = contributions.len();
    let discounted = |share: u64, contribution: &Contribution<'_>| {
        (share * u64::from(contribution.discount) / u64::from(DISCOUNT_ONE)) as i32
    };
    let chosen = |chosen: &[usize]| {
        let mut shares = vec![0; count];
        for at in chosen {
            shares[*at] = discounted(SHARE_ONE / chosen.len() as u64, &contributions[*at]);
        }
        shares
    };
    match *rule {
        Rule::ClippedMean { norm_max_milli, median_milli } => {
            clipped(contributions, norm_max_milli, median_milli)
        }
        Rule::Krum { hostile_milli } => chosen(&nearest(products, count, hostile_milli)[..1]),
        Rule::MultiKrum { hostile_milli } => {
            let keeps = count - hostile(count, hostile_milli);
            chosen(&nearest(products, count, hostile_milli)[..keeps])
        }
        Rule::CentredClip { bucket, iterations } => {
            let shares = centred(products, count, bucket as usize, iterations, seed);
            let whole = |share: f64| (share * SHARE_ONE as f64 + 0.5) as u64;
            shares.iter().zip(contributions).map(|(s, of)| discounted(whole(*s), of)).collect()
        }
        Rule::TrimmedMean { .. } | Rule::Median => Vec::new(),
    }
}

/// Weights by their part of all, cut where a norm is above the bound.
fn clipped(contributions: &[Contribution<'_>], norm_max_milli: u64, median_milli: u32) -> Vec<i32> {
    let norms: Vec<u128> = contributions.iter().map(|c| c.norm.into()).collect();
    let mut bound = (u128::from(norm_max_milli) << super::FRACTION_BITS) / 1000;
    if median_milli > 0 {
        bound = bound.min(median(&norms) * u128::from(median_milli) / 1000);
    }
    let weight = |c: &Contribution<'_>| u128::from(c.weight) * u128::from(c.discount);
    let total = contributions.iter().map(weight).sum::<u128>().max(1);
    let share = |(contribution, norm): (&Contribution<'_>, &u128)| {
        let (bound, norm) = if *norm <= bound { (1, 1) } else { (bound, *norm) };
        // At most 2^30 * 2^22 * 2^60: every factor is bounded where the update was looked at.
        let part = weight(contribution) * u128::from(SHARE_ONE) * bound;
        let whole = total * norm;
        ((part + whole / 2) / whole) as i32
    };
    contributions.iter().zip(&norms).map(share).collect()
}

/// The lower of the two in the middle: half of the norms cannot lift it.
fn median(norms: &[u128]) -> u128 {
    let mut norms = norms.to_vec();
    norms.sort_unstable();
    norms[(norms.len() - 1) / 2]
}

fn hostile(count: usize, hostile_milli: u32) -> usize {
    count * hostile_milli as usize / 1000
}

/// All updates, those first that have the others nearest: by the sum of squared distances to the
/// `count - hostile - 2` nearest.
fn nearest(products: &Products, count: usize, hostile_milli: u32) -> Vec<usize> {
    let neighbours = count.saturating_sub(hostile(count, hostile_milli) + 2).max(1);
    let score = |at: usize| -> u128 {
        let others = (0..count).filter(|other| *other != at);
        let mut distances: Vec<u128> = others.map(|other| products.distance(at, other)).collect();
        distances.sort_unstable();
        distances.iter().take(neighbours).fold(0, |sum, distance| sum.saturating_add(*distance))
    };
    let mut order: Vec<(u128, usize)> = (0..count).map(|at| (score(at), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

/// The centre as a combination of the updates: one factor each, none negative, at most one together.
fn centred(
    products: &Products,
    count: usize,
    bucket: usize,
    iterations: u32,
    seed: &[u8; 32],
) -> Vec<f64> {
    let order = shuffled(count, seed);
    let buckets: Vec<&[usize]> = order.chunks(bucket).collect();
    let mut centre = vec![0.0; count];
    for _ in 0..iterations {
        let along: Vec<f64> = (0..count).map(|i| products.along(i, &centre)).collect();
        let own: f64 = centre.iter().zip(&along).map(|(a, b)| a * b).sum();
        let lengths: Vec<f64> = buckets
            .iter()
            .map(|bucket| {
                let size = bucket.len() as f64;
                let mut square = own;
                for i in *bucket {
                    square -= 2.0 * along[*i] / size;
                    for j in *bucket {
                        square += products.product(*i, *j) / (size * size);
                    }
                }
                square.max(0.0).sqrt()
            })
            .collect();
        let mut sorted = lengths.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let radius = sorted[(sorted.len() - 1) / 2];
        let cut = |length: f64| if length > radius { radius / length } else { 1.0 };
        let kept =
            1.0 - lengths.iter().map(|length| cut(*length)).sum::<f64>() / lengths.len() as f64;
        for share in &mut centre {
            *share *= kept;
        }
        for (bucket, length) in buckets.iter().zip(&lengths) {
            let part = cut(*length) / (buckets.len() * bucket.len()) as f64;
            for i in *bucket {
                centre[*i] += part;
            }
        }
    }
    centre
}

/// `0..count` in an order that the seed decides (Fisher and Yates).
fn shuffled(count: usize, seed: &[u8; 32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut stream = blake3::Hasher::new_keyed(seed).update(b"accord/buckets/v1").finalize_xof();
    for last in (1..count).rev() {
        let mut word = [0; 8];
        stream.fill(&mut word);
        order.swap(last, (u64::from_le_bytes(word) % (last as u64 + 1)) as usize);
    }
    order
}
