//! The sections of a run file about updates and what becomes of them.
//!
//! Invariants: a number that its neighbour's choice has no use for is allowed and ignored, so that a choice
//! can be tried by changing one word. What it is not: the file (see `spec_file`).

use protocol::aggregate::{Outer, Rule};
use protocol::limits::{NORM_MAX_MILLI, OUTER_MOMENTUM_MAX_MILLI, OUTER_RATE_MAX_MILLI};
use protocol::update::Encoding;
use serde::Deserialize;

use super::spec_file::{SpecError, scaled};

/// `[admission]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AdmissionSection {
    /// Keys of the nodes that may train; anyone if this and `vouches_max` are left out.
    pub invited: Vec<String>,
    /// How many more each steward, and each trainer past probation, may invite.
    pub vouches_max: u32,
    /// Updates that must have counted until a trainer has its full weight.
    pub probation_rounds: u32,
}

impl Default for AdmissionSection {
    fn default() -> Self {
        Self { invited: Vec::new(), vouches_max: 0, probation_rounds: 3 }
    }
}

/// `[update]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UpdateSection {
    /// How updates are written.
    pub encoding: EncodingName,
    /// How many of 4,096 values an update has, for `top-k`.
    pub per_chunk: u32,
    /// Of how many values one is in an update, for `max-of`.
    pub group: u32,
    /// How a round's change is written; `none` for the whole model.
    pub step: StepName,
    /// How many of 4,096 values a step has, for `top-k`.
    pub step_per_chunk: u32,
    /// Of how many values one is in a step, for `max-of`.
    pub step_group: u32,
    /// The norm above which an update is rejected.
    pub norm_max: f64,
}

impl Default for UpdateSection {
    fn default() -> Self {
        Self {
            encoding: EncodingName::Int8,
            per_chunk: 64,
            group: 8,
            step: StepName::Int8,
            step_per_chunk: 128,
            step_group: 8,
            norm_max: 1_000.0,
        }
    }
}

/// An encoding's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EncodingName {
    /// A byte a parameter.
    Int8,
    /// The largest of each chunk.
    TopK,
    /// The largest of each group.
    MaxOf,
    /// A bit a parameter.
    Sign,
}

/// The name of a step's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StepName {
    /// The whole model instead.
    None,
    /// A byte a parameter.
    Int8,
    /// The largest of each chunk.
    TopK,
    /// The largest of each group.
    MaxOf,
    /// A bit a parameter.
    Sign,
}

impl UpdateSection {
    pub(super) fn encoding(&self) -> Encoding {
        match self.encoding {
            EncodingName::Int8 => Encoding::Int8,
            EncodingName::TopK => Encoding::TopK { per_chunk: self.per_chunk },
            EncodingName::MaxOf => Encoding::MaxOf { group: self.group },
            EncodingName::Sign => Encoding::Sign,
        }
    }

    pub(super) fn step(&self) -> Option<Encoding> {
        match self.step {
            StepName::None => None,
            StepName::Int8 => Some(Encoding::Int8),
            StepName::TopK => Some(Encoding::TopK { per_chunk: self.step_per_chunk }),
            StepName::MaxOf => Some(Encoding::MaxOf { group: self.step_group }),
            StepName::Sign => Some(Encoding::Sign),
        }
    }

    pub(super) fn norm_max_milli(&self) -> Result<u64, SpecError> {
        scaled("update.norm_max", self.norm_max, 1e3, 1, NORM_MAX_MILLI)
    }
}

/// `[aggregate]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AggregateSection {
    /// The rule.
    pub rule: RuleName,
    /// The bound on an update's norm, for `clipped-mean`.
    pub norm_max: f64,
    /// The same bound as a multiple of the median norm, 0 for none, for `clipped-mean`.
    pub median_max: f64,
    /// The share of updates left out at each end, for `trimmed-mean`.
    pub trim: f64,
    /// The share of updates that may be hostile, for `krum` and `multi-krum`.
    pub hostile: f64,
    /// Updates in a bucket, for `centred-clip`.
    pub bucket: u32,
    /// How often the centre moves, for `centred-clip`.
    pub iterations: u32,
}

impl Default for AggregateSection {
    fn default() -> Self {
        Self {
            rule: RuleName::ClippedMean,
            norm_max: 20.0,
            median_max: 1.0,
            trim: 0.2,
            hostile: 0.2,
            bucket: 2,
            iterations: 3,
        }
    }
}

/// An aggregation rule's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RuleName {
    /// The weighted mean of updates no longer than a bound.
    ClippedMean,
    /// Of each parameter the mean without both ends.
    TrimmedMean,
    /// Of each parameter the median.
    Median,
    /// The update that has the others nearest.
    Krum,
    /// The mean of those that have the others nearest.
    MultiKrum,
    /// A centre that no update moves far.
    CentredClip,
}

impl AggregateSection {
    pub(super) fn rule(&self) -> Result<Rule, SpecError> {
        let norm_max_milli = scaled("aggregate.norm_max", self.norm_max, 1e3, 1, NORM_MAX_MILLI)?;
        let median_milli =
            scaled("aggregate.median_max", self.median_max, 1e3, 0, 1_000_000)? as u32;
        let trim_milli = scaled("aggregate.trim", self.trim, 1e3, 0, 499)? as u32;
        let hostile_milli = scaled("aggregate.hostile", self.hostile, 1e3, 0, 499)? as u32;
        Ok(match self.rule {
            RuleName::ClippedMean => Rule::ClippedMean { norm_max_milli, median_milli },
            RuleName::TrimmedMean => Rule::TrimmedMean { trim_milli },
            RuleName::Median => Rule::Median,
            RuleName::Krum => Rule::Krum { hostile_milli },
            RuleName::MultiKrum => Rule::MultiKrum { hostile_milli },
            RuleName::CentredClip => {
                Rule::CentredClip { bucket: self.bucket, iterations: self.iterations }
            }
        })
    }
}

/// `[outer]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OuterSection {
    /// The outer optimizer.
    pub optimizer: OuterName,
    /// The outer learning rate, for all but `average`; 0.7 if it is not there, 0.01 for `adam`.
    pub rate: Option<f64>,
    /// How much of the direction before is kept, for all but `average`.
    pub momentum: f64,
    /// How much of the squares before is kept, for `adam`.
    pub second: f64,
    /// What is added to the root, for `adam`.
    pub floor: f64,
}

impl Default for OuterSection {
    fn default() -> Self {
        Self {
            optimizer: OuterName::Nesterov,
            rate: None,
            momentum: 0.7,
            second: 0.99,
            floor: 0.001,
        }
    }
}

/// An outer optimizer's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OuterName {
    /// Adds the mean.
    Average,
    /// Nesterov momentum on the mean.
    Nesterov,
    /// FedAdam.
    Adam,
}

impl OuterSection {
    pub(super) fn outer(&self) -> Result<Outer, SpecError> {
        let kept = |field, value| {
            Ok(scaled(field, value, 1e3, 0, OUTER_MOMENTUM_MAX_MILLI.into())? as u32)
        };
        let momentum_milli = kept("outer.momentum", self.momentum)?;
        let second_milli = kept("outer.second", self.second)?;
        let rate_max = u64::from(OUTER_RATE_MAX_MILLI);
        let name = "outer.rate";
        match self.optimizer {
            OuterName::Average => Ok(Outer::Average),
            OuterName::Nesterov => {
                let rate = scaled(name, self.rate.unwrap_or(0.7), 1e3, 1, rate_max)?;
                Ok(Outer::Nesterov { rate_milli: rate as u32, momentum_milli })
            }
            OuterName::Adam => {
                let rate = scaled(name, self.rate.unwrap_or(0.01), 1e6, 1, rate_max * 1_000)?;
                let floor = scaled("outer.floor", self.floor, 1e6, 1, 1_000_000)?;
                Ok(Outer::Adam {
                    rate_micro: rate as u32,
                    first_milli: momentum_milli,
                    second_milli,
                    floor_micro: floor as u32,
                })
            }
        }
    }
}
