//! The run file that a person writes, in TOML.
//!
//! Invariants: unknown fields and values out of range are refused by name with what is allowed;
//! decimal numbers become the integers of `RunSpec` here and nowhere else.
//! What it is not: signed, or complete; `create` adds what only the node knows.

use protocol::limits::{
    HIDDEN_LAYERS_MAX, HIDDEN_UNITS_MAX, LEARNING_RATE_MAX_MICRO, MOMENTUM_MAX_MICRO,
    ROUND_WAIT_MIN_MS, TRAIN_WAIT_MAX_MS,
};
use protocol::run::{AggregateSpec, LocalSpec, Work};
use serde::Deserialize;

use super::spec_sections::{AdmissionSection, AggregateSection, OuterSection, UpdateSection};
use crate::policy_file::{self, ConsentSection, toml_fault};

/// Why a run file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecError {
    /// Not TOML of this shape.
    #[error("the run file is wrong{place}: {reason}")]
    Toml {
        /// Where, such as ` at line 3`.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A value out of range.
    #[error("the run file is wrong: {0}")]
    Range(String),
}

/// A run file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpecFile {
    /// The run's name.
    pub name: String,
    /// The model to start from.
    pub model: ModelSection,
    /// How rounds go.
    #[serde(default)]
    pub rounds: RoundsSection,
    /// How each trainer trains.
    #[serde(default)]
    pub local: LocalSection,
    /// What updates look like.
    #[serde(default)]
    pub update: UpdateSection,
    /// How updates become one change.
    #[serde(default)]
    pub aggregate: AggregateSection,
    /// How that moves the model.
    #[serde(default)]
    pub outer: OuterSection,
    /// What a sample's makers must have agreed to.
    #[serde(default)]
    pub consent: ConsentSection,
    /// Keys of the nodes whose votes count; this node alone if left out.
    #[serde(default)]
    pub stewards: Vec<String>,
    /// Who may train.
    #[serde(default)]
    pub admission: AdmissionSection,
}

/// `[model]`: a repo of this node, or a new model for a table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelSection {
    /// `OWNER/NAME[@REV]` with `model.safetensors` and `config.json`.
    pub repo: Option<String>,
    /// A table like the trainers': to make a new model for its columns and classes, or, with `repo`, to see
    /// that the model can be fed with it.
    pub data: Option<String>,
    /// That table's label column.
    pub label: Option<String>,
    /// Hidden layers of a new model.
    #[serde(default = "default_hidden")]
    pub hidden: Vec<usize>,
    /// The seed of a new model's weights.
    #[serde(default)]
    pub seed: u64,
    /// A held-out table, shared with everyone in the run for evaluation.
    pub held_out: Option<String>,
}

fn default_hidden() -> Vec<usize> {
    vec![64]
}

/// `[rounds]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RoundsSection {
    /// How many rounds.
    pub count: u64,
    /// How many accepted updates a round needs.
    pub updates_min: u32,
    /// How long a round waits for trainers who joined, in seconds.
    pub train_seconds: f64,
    /// The first timeout of each step of agreement, in milliseconds.
    pub agree_ms: u64,
    /// How many of a round's updates other trainers look at once it is certified.
    pub audits: u32,
    /// Into how many slices a round's aggregate is cut, each worked out by three trainers; 1 for none.
    pub slices: u32,
}

impl Default for RoundsSection {
    fn default() -> Self {
        let (train_seconds, agree_ms) = (60.0, 500);
        Self { count: 10, updates_min: 1, train_seconds, agree_ms, audits: 1, slices: 1 }
    }
}

/// Passes over the samples where nothing is said.
const EPOCHS: u32 = 5;

/// `[local]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LocalSection {
    /// Passes over the samples a round; 5 if neither this nor `steps` is there.
    pub epochs: Option<u32>,
    /// Steps a round, whatever a trainer holds, instead of `epochs`.
    pub steps: Option<u32>,
    /// Samples of a step.
    pub batch_size: u32,
    /// The learning rate.
    pub learning_rate: f64,
    /// The momentum.
    pub momentum: f64,
    /// The most samples that count for an update's weight.
    pub weight_max: u64,
}

impl Default for LocalSection {
    fn default() -> Self {
        Self {
            epochs: None,
            steps: None,
            batch_size: 32,
            learning_rate: 0.1,
            momentum: 0.9,
            weight_max: 10_000,
        }
    }
}

impl SpecFile {
    /// Reads a run file's text.
    pub(super) fn parse(text: &str) -> Result<Self, SpecError> {
        toml::from_str(text).map_err(|error| {
            let (place, reason) = toml_fault(&error, text);
            SpecError::Toml { place, reason }
        })
    }

    /// The hidden layers of a new model.
    pub(super) fn hidden(&self) -> Result<&[usize], SpecError> {
        let hidden = &self.model.hidden;
        let fits = |units: &usize| (1..=HIDDEN_UNITS_MAX).contains(units);
        if hidden.len() <= HIDDEN_LAYERS_MAX && hidden.iter().all(fits) {
            return Ok(hidden);
        }
        Err(SpecError::Range(format!(
            "model.hidden is {hidden:?}: at most {HIDDEN_LAYERS_MAX} layers of 1 to \
             {HIDDEN_UNITS_MAX} units are allowed"
        )))
    }

    /// What updates look like and how they become a model.
    pub(super) fn aggregate(&self) -> Result<AggregateSpec, SpecError> {
        Ok(AggregateSpec {
            update: self.update.encoding(),
            step: self.update.step(),
            norm_max_milli: self.update.norm_max_milli()?,
            rule: self.aggregate.rule()?,
            outer: self.outer.outer()?,
        })
    }

    /// A trainer's own training.
    pub(super) fn local(&self) -> Result<LocalSpec, SpecError> {
        let section = &self.local;
        let (name, most) = ("local.learning_rate", LEARNING_RATE_MAX_MICRO.into());
        let rate = scaled(name, section.learning_rate, 1e6, 1, most)?;
        let momentum =
            scaled("local.momentum", section.momentum, 1e6, 0, MOMENTUM_MAX_MICRO.into())?;
        let work = match (section.epochs, section.steps) {
            (Some(_), Some(_)) => {
                let both = "local.epochs and local.steps are both there: one of them is allowed";
                return Err(SpecError::Range(both.into()));
            }
            (_, Some(steps)) => Work::Steps(steps),
            (epochs, None) => Work::Epochs(epochs.unwrap_or(EPOCHS)),
        };
        Ok(LocalSpec {
            work,
            batch_size: section.batch_size,
            learning_rate_micro: rate as u32,
            momentum_micro: momentum as u32,
            weight_max: section.weight_max,
        })
    }

    /// How long a round waits, in milliseconds.
    pub(super) fn train_ms(&self) -> Result<u64, SpecError> {
        let (name, seconds) = ("rounds.train_seconds", self.rounds.train_seconds);
        scaled(name, seconds, 1e3, ROUND_WAIT_MIN_MS, TRAIN_WAIT_MAX_MS)
    }

    /// The consent policy.
    pub(super) fn policy(&self) -> Result<consent::Policy, SpecError> {
        self.consent.policy("consent.").map_err(SpecError::Range)
    }
}

/// A decimal as an integer, as [`policy_file::scaled`].
pub(super) fn scaled(
    field: &str,
    value: f64,
    by: f64,
    min: u64,
    max: u64,
) -> Result<u64, SpecError> {
    policy_file::scaled(field, value, by, min, max).map_err(SpecError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_is_enough() {
        let spec = SpecFile::parse("name = 'x'\n[model]\nrepo = 'me/x'\n").expect("enough");
        assert_eq!(spec.rounds.count, 10);
        assert_eq!(spec.local().expect("in range").learning_rate_micro, 100_000);
        assert_eq!(spec.policy().expect("in range"), consent::Policy::default());
    }

    /// `docs/runs.md` shows every field with what it is if nothing is said.
    #[test]
    fn the_documented_file_is_what_a_short_one_means() {
        let page = include_str!("../../../docs/runs.md");
        let file = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let documented = SpecFile::parse(file.expect("a block")).expect("a run file");
        let short = "name = 'digits'\n[model]\ndata = 'alice.csv'\nlabel = 'label'\n";
        let short = SpecFile::parse(short).expect("enough");
        assert_eq!(documented.aggregate().expect("good"), short.aggregate().expect("good"));
        assert_eq!(documented.local().expect("good"), short.local().expect("good"));
        assert_eq!(documented.policy().expect("good"), short.policy().expect("good"));
        assert_eq!((documented.rounds, documented.model), (short.rounds, short.model));
        for field in ["steps", "stewards", "invited", "repo", "held_out"] {
            assert!(page.contains(&format!("# {field} = ")), "{field}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_is_allowed() {
        let said = |text: &str| {
            let parsed = SpecFile::parse(text).and_then(|spec| {
                spec.hidden()?;
                spec.aggregate()?;
                spec.local()?;
                spec.policy()?;
                spec.train_ms()
            });
            parsed.expect_err("a mistake").to_string()
        };
        let unknown = said("name = 'x'\n[model]\nrepo = 'me/x'\n[rounds]\ncuont = 3\n");
        assert!(unknown.contains("at line 5") && unknown.contains("unknown field `cuont`"));
        assert!(unknown.contains("`count`"), "{unknown}");
        let range = said("name = 'x'\n[model]\n[local]\nlearning_rate = -1.0\n");
        assert!(range.contains("local.learning_rate is -1: 0.000001 to 100 are allowed"));
        let rule = said("name = 'x'\n[model]\n[aggregate]\nrule = 'mean'\n");
        assert!(rule.contains("`clipped-mean`"), "{rule}");
        let nan = said("name = 'x'\n[model]\n[aggregate]\nnorm_max = nan\n");
        assert!(nan.contains("aggregate.norm_max is NaN"), "{nan}");
        let both = said("name = 'x'\n[model]\n[local]\nepochs = 1\nsteps = 5\n");
        assert!(both.contains("local.epochs and local.steps are both there"), "{both}");
        let trim = said("name = 'x'\n[model]\n[aggregate]\nrule = 'trimmed-mean'\ntrim = 0.5\n");
        assert!(trim.contains("aggregate.trim is 0.5: 0 to 0.499 are allowed"), "{trim}");
        let outer = said("name = 'x'\n[model]\n[outer]\noptimizer = 'sgd'\n");
        assert!(outer.contains("`nesterov`") && outer.contains("`adam`"), "{outer}");
        let hidden = said("name = 'x'\n[model]\nhidden = [64, 0]\n");
        assert!(hidden.contains("model.hidden is [64, 0]: at most 32 layers of 1 to"), "{hidden}");
        assert!(said("name = 3").contains("at line 1 (name = 3): invalid type"));
        let negative = said("name = 'x'\n[model]\n[rounds]\ncount = -1\n");
        assert!(negative.contains("at line 4 (count = -1)"), "{negative}");
        assert!(negative.contains("expected a whole number from 0 on"), "{negative}");
        let silence = said("name = 'x'\n[model]\n[consent]\ndefault = 'maybe'\n");
        assert!(silence.contains("default = 'maybe'") && silence.contains("opt-out"), "{silence}");
        let standing = said("name = 'x'\n[model]\n[consent]\nallow_standing = 'all'\n");
        assert!(standing.contains("at line 4") && standing.contains("`registrar`"), "{standing}");
        let bits = said("name = 'x'\n[model]\n[consent.likeness]\npdq_distance_max = 200\n");
        assert!(bits.contains("consent.likeness.pdq_distance_max is 200: 0 to 96"), "{bits}");
        let missing = said("name = 'x'\n");
        assert!(missing.contains("missing field `model`"), "{missing}");
        assert!(!said("name = 'x'\n[model\n").contains('\n'), "one line");
    }
}
