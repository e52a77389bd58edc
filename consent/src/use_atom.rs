//! What may be done with a work ([`Use`]) and what somebody said about it ([`Value`]).
//!
//! Invariants: uses are disjoint, so a term of an outside scheme becomes a set of them; values are
//! ordered by strictness, and several voices about one work join to the strictest.
//! What it is not: a mapping from outside schemes; importers do that and keep the term verbatim.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of use. Text form is kebab-case: `train-generative`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Training a model that generates works of the same kind.
    TrainGenerative,
    /// Training any other model.
    TrainOther,
    /// Text and data mining without training.
    Mine,
    /// Input to a model at inference, such as retrieval.
    Ground,
    /// Indexing for search.
    Index,
    /// Keeping and redistributing in a data set.
    Archive,
    /// Measuring a model.
    Evaluate,
}

/// Why a text is not a use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no use; one of train-generative, train-other, mine, ground, index, archive, evaluate"
)]
pub struct ParseUseError(pub String);

impl Use {
    /// Every use, in order.
    pub const ALL: [Self; 7] = [
        Self::TrainGenerative,
        Self::TrainOther,
        Self::Mine,
        Self::Ground,
        Self::Index,
        Self::Archive,
        Self::Evaluate,
    ];
    /// The uses that train a model.
    pub const TRAINING: [Self; 2] = [Self::TrainGenerative, Self::TrainOther];

    /// The text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TrainGenerative => "train-generative",
            Self::TrainOther => "train-other",
            Self::Mine => "mine",
            Self::Ground => "ground",
            Self::Index => "index",
            Self::Archive => "archive",
            Self::Evaluate => "evaluate",
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Use {
    type Err = ParseUseError;
    fn from_str(text: &str) -> Result<Self, ParseUseError> {
        let found = Self::ALL.into_iter().find(|candidate| candidate.as_str() == text);
        found.ok_or_else(|| ParseUseError(text.chars().take(80).collect()))
    }
}

/// What was said about one use, from silence to refusal; the order is the lattice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Nothing was said.
    #[default]
    Unset,
    /// Yes.
    Allow,
    /// Yes under terms; without a matching agreement it means no.
    Constrained,
    /// No.
    Deny,
}

impl Value {
    /// The stricter of the two: commutative, associative, idempotent, with `Unset` neutral.
    pub fn join(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether it holds a use back.
    pub const fn restricts(self) -> bool {
        matches!(self, Self::Constrained | Self::Deny)
    }

    /// The text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Allow => "allow",
            Self::Constrained => "constrained",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_forms_agree() {
        for atom in Use::ALL {
            assert_eq!(atom.as_str().parse(), Ok(atom));
            let bytes = protocol::codec::encode(&atom);
            assert_eq!(bytes, protocol::codec::encode(&atom.as_str()));
        }
        assert!("train".parse::<Use>().is_err());
        for value in [Value::Unset, Value::Allow, Value::Constrained, Value::Deny] {
            let bytes = protocol::codec::encode(&value);
            assert_eq!(bytes, protocol::codec::encode(&value.as_str()));
        }
    }

    #[test]
    fn the_strictest_voice_wins() {
        assert_eq!(Value::Allow.join(Value::Deny), Value::Deny);
        assert_eq!(Value::Constrained.join(Value::Allow), Value::Constrained);
        assert_eq!(Value::Unset.join(Value::Allow), Value::Allow);
        assert!(!Value::Allow.restricts() && Value::Constrained.restricts());
    }
}
