//! A denial: the gate's no, with its reason and the records behind it.
//!
//! Invariants: says nothing of the work that whoever asked did not bring. What it is not: an error.

use std::fmt;

use protocol::{ContentId, RecordId};

use crate::use_atom::Use;
use crate::work::Match;

/// Why a work may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialReason {
    /// Somebody denied it, or doubts who allowed it; the records say who.
    Denied,
    /// Somebody allowed it under terms, and no agreement is known.
    Constrained,
    /// It was allowed, but every allow has ended, was lifted, is void, still cools, or lacks the
    /// standing that the policy asks for.
    AllowNotLive,
    /// Nobody spoke, and under this policy silence is no.
    Silent,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The work.
    pub work: ContentId,
    /// For which use it was asked.
    pub about: Use,
    /// Why.
    pub reason: DenialReason,
    /// The records behind the reason, sorted, the first few if there are many.
    pub records: Vec<RecordId>,
    /// How the nearest of them speaks of the work.
    pub found: Option<Match>,
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "denied",
            Self::Constrained => "allowed only under terms, and no agreement is known",
            Self::AllowNotLive => {
                "allowed, but not now: the allow has ended, was lifted, waits out the cooling time, \
                 or lacks a witness"
            }
            Self::Silent => "nobody allowed it, and silence is no",
        })
    }
}

impl Denial {
    /// Why, and how what says so speaks of the work.
    pub fn in_words(&self) -> String {
        match self.found {
            Some(found) => format!("{}, found by {found}", self.reason),
            None => self.reason.to_string(),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not be used for {}: {}", self.work.short(), self.about, self.reason)?;
        match self.records.split_first() {
            None => return Ok(()),
            Some((first, [])) => write!(f, " (record {}", first.short())?,
            Some((first, rest)) => {
                write!(f, " (record {} and {} more", first.short(), rest.len())?;
            }
        }
        match self.found {
            Some(found) if found != Match::Content => write!(f, ", found by {found})"),
            _ => f.write_str(")"),
        }
    }
}
