//! What an importer found: nothing, terms, or something that it could not read.
//!
//! Invariants: what cannot be read refuses every use, and says by which scheme, so that refusals can
//! be counted; several voices join to the strictest. What it is not: a decision. The gate decides,
//! with the ledger and a policy; it may only get stricter from here.

use super::scheme::Scheme;
use super::term::{Term, joined};
use crate::use_atom::{Use, Value};

/// Why something outside could not be read. The item that it is about is to be excluded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{scheme}: {fault}; the item is excluded")]
pub struct TermsError {
    /// Of which scheme.
    pub scheme: Scheme,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// What is wrong with something outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More than is read; what is beyond may restrict.
    #[error("{bytes} bytes, at most {bytes_max} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// More entries or deeper nesting than is read.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
    /// Not the text, structure or container that it should be.
    #[error("not {0}: {1}")]
    Malformed(&'static str, String),
    /// A value that the scheme does not have, for something that it has.
    #[error("{0} has the unknown value {1:?}")]
    Value(&'static str, String),
}

impl Fault {
    pub(super) const fn of(self, scheme: Scheme) -> TermsError {
        TermsError { scheme, fault: self }
    }

    pub(super) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed(what, why.to_string().chars().take(200).collect())
    }

    pub(super) fn value(what: &'static str, value: &str) -> Self {
        Self::Value(what, value.chars().take(80).collect())
    }
}

/// Refuses what is longer than `bytes_max`.
pub(super) const fn bounded(bytes: &[u8], bytes_max: usize) -> Result<(), Fault> {
    if bytes.len() > bytes_max {
        return Err(Fault::TooLong { bytes: bytes.len(), bytes_max });
    }
    Ok(())
}

/// What was found on one item in one scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The scheme says nothing of it.
    Nothing,
    /// What it says.
    Terms(Vec<Term>),
    /// Something is there and cannot be read: every use is refused.
    Unreadable(TermsError),
}

impl Found {
    pub(super) fn of(scheme: Scheme, read: Result<Vec<Term>, Fault>) -> Self {
        match read {
            Ok(terms) if terms.iter().all(|term| term.rules.is_empty()) => Self::Nothing,
            Ok(terms) => Self::Terms(terms),
            Err(fault) => Self::Unreadable(fault.of(scheme)),
        }
    }

    /// The strictest of what was said about a use; deny if it could not be read.
    pub fn value(&self, atom: Use) -> Value {
        match self {
            Self::Nothing => Value::Unset,
            Self::Terms(terms) => {
                terms.iter().map(|term| term.value(atom)).max().unwrap_or_default()
            }
            Self::Unreadable(_) => Value::Deny,
        }
    }

    /// The strictest of what was said about each use that was spoken of, sorted.
    pub fn rules(&self) -> Vec<(Use, Value)> {
        joined(Use::ALL.map(|atom| (atom, self.value(atom)))).into_iter().collect()
    }

    /// Whether the item must be left out of this use, for want of an agreement or at all.
    pub fn excludes(&self, atom: Use) -> bool {
        self.value(atom).restricts()
    }

    /// The terms; none if there are none or they cannot be read.
    pub fn terms(&self) -> &[Term] {
        match self {
            Self::Terms(terms) => terms,
            Self::Nothing | Self::Unreadable(_) => &[],
        }
    }

    /// Why it could not be read.
    pub const fn fault(&self) -> Option<&TermsError> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::Nothing | Self::Terms(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_refuses_everything() {
        let found = Found::of(Scheme::Rsl, Err(Fault::malformed("XML", "cut off")));
        assert!(Use::ALL.into_iter().all(|atom| found.excludes(atom)));
        assert_eq!(found.fault().map(|error| error.scheme), Some(Scheme::Rsl));
        assert!(found.terms().is_empty() && found.rules().len() == Use::ALL.len());
        assert_eq!(Found::Nothing.rules(), []);
    }
}
