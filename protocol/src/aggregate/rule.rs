//! Aggregation rules: how updates become one change.
//!
//! Two kinds. Some give each update a share of a weighted mean, found from norms and inner products
//! (`share`); the others take the middle of the values of each parameter by itself (`middle`).
//!
//! Invariants: a rule sees the contributions as a set. What it is not: a check of who contributes.

use serde::{Deserialize, Serialize};

use crate::limits::{CLIP_ITERATIONS_MAX, NORM_MAX_MILLI, UPDATES_MAX};

/// How updates become one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The mean, weighted, after scaling every update whose Euclidean norm is above the bound down
    /// to it. The bound is `norm_max_milli`, or the median of the updates' norms times
    /// `median_milli` where that is less.
    ClippedMean {
        /// The bound on an update's norm, in thousandths.
        norm_max_milli: u64,
        /// Of the median norm, in thousandths; 0 for no such bound.
        median_milli: u32,
    },
    /// Of each parameter the mean of what is left without the largest and the smallest values
    /// (Yin et al. 2018, arXiv 1803.01498).
    TrimmedMean {
        /// The share of the updates that is left out at each end, in thousandths, below 500.
        trim_milli: u32,
    },
    /// Of each parameter the median (Yin et al. 2018).
    Median,
    /// The one update that has the others nearest (Blanchard et al. 2017, arXiv 1703.02757).
    Krum {
        /// The share of the updates that may be hostile, in thousandths, below 500.
        hostile_milli: u32,
    },
    /// The mean of as many updates as are not hostile, those that have the others nearest
    /// (Blanchard et al. 2017).
    MultiKrum {
        /// The share of the updates that may be hostile, in thousandths, below 500.
        hostile_milli: u32,
    },
    /// Centred clipping of means of random buckets (Karimireddy, He, Jaggi 2021, arXiv 2012.10333
    /// and 2020, arXiv 2006.09365): from zero on, the centre moves by the mean of what leads from it
    /// to each bucket, cut at the median length.
    CentredClip {
        /// Updates in a bucket.
        bucket: u32,
        /// How often the centre moves.
        iterations: u32,
    },
}

impl Rule {
    /// Whether it compares updates with each other: then no part of the parameters can be worked out by
    /// itself.
    pub fn looks_at_pairs(&self) -> bool {
        matches!(self, Self::Krum { .. } | Self::MultiKrum { .. } | Self::CentredClip { .. })
    }

    /// Whether its numbers are in range, or which is not.
    pub fn check(&self) -> Result<(), String> {
        let within = |field: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!("rule.{field} is {value}: {least} to {most} are allowed"))
        };
        match *self {
            Self::ClippedMean { norm_max_milli, median_milli } => {
                within("norm_max_milli", norm_max_milli, 1, NORM_MAX_MILLI)?;
                within("median_milli", median_milli.into(), 0, 1_000_000)
            }
            Self::TrimmedMean { trim_milli } => within("trim_milli", trim_milli.into(), 0, 499),
            Self::Median => Ok(()),
            Self::Krum { hostile_milli } | Self::MultiKrum { hostile_milli } => {
                within("hostile_milli", hostile_milli.into(), 0, 499)
            }
            Self::CentredClip { bucket, iterations } => {
                within("bucket", bucket.into(), 1, UPDATES_MAX as u64)?;
                within("iterations", iterations.into(), 1, CLIP_ITERATIONS_MAX.into())
            }
        }
    }
}
