//! Splits of a table's rows: held-out rows, and shares of unequal makeup for several trainers.
//!
//! Source: Dirichlet shares as in Hsu, Qi, Brown 2019, arXiv 1909.06335, drawn class by class as in
//! Li et al. 2022 (arXiv 2102.02079); gamma variates by Marsaglia and Tsang 2000.
//!
//! Invariants: a function of its arguments; every row is in exactly one part; parts are sorted.
//! What it is not: consensus-critical. It uses logarithms, whose last bit differs by platform.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Rows that each part of a Dirichlet split gets at least, if there are that many.
const PART_ROWS_MIN: usize = 10;
/// Draws until every part is large enough; after them, rows are moved.
const DRAWS_MAX: usize = 100;

/// Splits all rows into `(rest, held out)`, with `held_out_milli` thousandths of each class held
/// out. `labels` gives each row's class.
pub fn held_out(labels: &[usize], held_out_milli: u32, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut rest, mut held) = (Vec::new(), Vec::new());
    for (_, mut rows) in by_class(&(0..labels.len()).collect::<Vec<_>>(), labels) {
        shuffle(&mut rows, &mut rng);
        let count = (rows.len() * held_out_milli.min(1000) as usize + 500) / 1000;
        held.extend_from_slice(&rows[..count]);
        rest.extend_from_slice(&rows[count..]);
    }
    rest.sort_unstable();
    held.sort_unstable();
    (rest, held)
}

/// Splits `rows` into `parts` shares whose makeup by class is Dirichlet(`alpha_milli` / 1000):
/// the smaller it is, the more each class is one part's own. `labels` gives the class of every
/// row of the table.
///
/// # Panics
/// If there are no parts, or `alpha_milli` is zero.
pub fn dirichlet(
    rows: &[usize],
    labels: &[usize],
    parts: usize,
    alpha_milli: u32,
    seed: u64,
) -> Vec<Vec<usize>> {
    assert!(parts > 0 && alpha_milli > 0, "a split has parts, and a positive alpha");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let alpha = f64::from(alpha_milli) / 1000.0;
    let least = PART_ROWS_MIN.min(rows.len() / parts);
    let mut shares = shares(rows, labels, parts, alpha, &mut rng);
    for _ in 1..DRAWS_MAX {
        if shares.iter().all(|share| share.len() >= least) {
            break;
        }
        shares = self::shares(rows, labels, parts, alpha, &mut rng);
    }
    level(&mut shares, least);
    for share in &mut shares {
        share.sort_unstable();
    }
    shares
}

/// Shuffles by a seed.
pub fn shuffled<T>(items: &mut [T], seed: u64) {
    shuffle(items, &mut ChaCha8Rng::seed_from_u64(seed));
}

/// A shuffle in place (Fisher and Yates), the same for one seed whatever the version of `rand`.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let at = (rng.next_u64() % (last as u64 + 1)) as usize;
        items.swap(last, at);
    }
}

/// One draw of the split.
fn shares(
    rows: &[usize],
    labels: &[usize],
    parts: usize,
    alpha: f64,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut shares = vec![Vec::new(); parts];
    let fair = rows.len() / parts;
    for (_, mut rows) in by_class(rows, labels) {
        shuffle(&mut rows, rng);
        let mut weights: Vec<f64> = (0..parts).map(|_| gamma(alpha, rng)).collect();
        for (weight, share) in weights.iter_mut().zip(&shares) {
            // A part that has its fair share already gets no more, as in the source.
            *weight *= f64::from(u8::from(share.len() < fair));
        }
        let total: f64 = weights.iter().sum();
        let (mut reached, mut start) = (0.0, 0);
        for (part, weight) in weights.iter().enumerate() {
            reached += weight;
            let last = part + 1 == parts;
            let share =
                if total > 0.0 { reached / total } else { (part + 1) as f64 / parts as f64 };
            let end = if last { rows.len() } else { (share * rows.len() as f64) as usize };
            shares[part].extend_from_slice(&rows[start..end.max(start)]);
            start = end.max(start);
        }
    }
    shares
}

/// Moves rows from the largest parts until each has `least`.
fn level(shares: &mut [Vec<usize>], least: usize) {
    while let Some(small) = shares.iter().position(|share| share.len() < least) {
        let large = (0..shares.len()).max_by_key(|&at| shares[at].len()).unwrap_or(small);
        let Some(row) = shares[large].pop() else { return };
        shares[small].push(row);
    }
}

fn by_class(rows: &[usize], labels: &[usize]) -> BTreeMap<usize, Vec<usize>> {
    let mut classes = BTreeMap::<usize, Vec<usize>>::new();
    for &row in rows {
        classes.entry(labels[row]).or_default().push(row);
    }
    classes
}

/// A gamma variate of this shape and scale 1.
fn gamma(shape: f64, rng: &mut ChaCha8Rng) -> f64 {
    if shape < 1.0 {
        // Marsaglia and Tsang, section 8: a variate of shape + 1, times u^(1 / shape).
        let boost = open_unit(rng).powf(1.0 / shape);
        return gamma(shape + 1.0, rng) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && open_unit(rng).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A standard normal variate (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * open_unit(rng).ln()).sqrt();
    radius * (std::f64::consts::TAU * open_unit(rng)).cos()
}

/// Uniform in the open interval from 0 to 1: 53 random bits, in the middle of their step.
fn open_unit(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<usize> {
        (0..1000).map(|row| row % 10).collect()
    }

    fn is_partition(parts: &[Vec<usize>], rows: usize) -> bool {
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        all == (0..rows).collect::<Vec<_>>() && parts.iter().all(|part| part.is_sorted())
    }

    #[test]
    fn held_out_rows_are_a_share_of_each_class() {
        let (rest, held) = held_out(&labels(), 200, 7);
        assert!(is_partition(&[rest, held.clone()], 1000));
        for class in 0..10 {
            assert_eq!(held.iter().filter(|&&row| row % 10 == class).count(), 20);
        }
        assert_eq!(held, held_out(&labels(), 200, 7).1);
        assert_ne!(held, held_out(&labels(), 200, 8).1);
    }

    #[test]
    fn shares_are_a_partition_with_a_minimum_and_a_seed() {
        let rows: Vec<usize> = (0..1000).collect();
        for seed in 0..50 {
            let parts = dirichlet(&rows, &labels(), 4, 100, seed);
            assert!(is_partition(&parts, 1000));
            assert!(parts.iter().all(|part| part.len() >= PART_ROWS_MIN));
            assert_eq!(parts, dirichlet(&rows, &labels(), 4, 100, seed));
        }
        assert!(is_partition(&dirichlet(&[0, 1, 2], &labels()[..3], 5, 500, 1), 3));
        assert!(is_partition(&dirichlet(&rows, &vec![0; 1000], 20, 1, 1), 1000));
    }

    #[test]
    fn a_small_alpha_makes_shares_unlike_and_a_large_one_alike() {
        let rows: Vec<usize> = (0..1000).collect();
        // How unevenly the classes are spread, summed over them: 0 if each part has 25 of each.
        let spread = |alpha_milli| -> usize {
            let parts = dirichlet(&rows, &labels(), 4, alpha_milli, 3);
            let count = |part: &[usize], class| part.iter().filter(|&&r| r % 10 == class).count();
            let of_class =
                |class| parts.iter().map(|part| count(part, class).abs_diff(25)).sum::<usize>();
            (0..10).map(of_class).sum()
        };
        assert!(spread(100) > 800, "{}", spread(100));
        assert!(spread(1_000_000) < 100, "{}", spread(1_000_000));
    }

    #[test]
    fn gamma_has_its_mean_and_variance() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for shape in [0.3, 1.0, 4.5] {
            let draws: Vec<f64> = (0..20_000).map(|_| gamma(shape, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance =
                draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((mean / shape - 1.0).abs() < 0.05, "mean {mean} for shape {shape}");
            assert!((variance / shape - 1.0).abs() < 0.1, "variance {variance} for {shape}");
        }
    }
}
