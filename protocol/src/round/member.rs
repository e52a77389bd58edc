//! How a trainer stands in a run: counts of what became of its updates.
//!
//! Invariants: counts of what certified records say, and nothing else. What it is not: a weight or a rank.

use serde::{Deserialize, Serialize};

use super::report::Reported;
use crate::key::PublicKey;

/// A trainer's standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The trainer.
    pub trainer: PublicKey,
    /// Who vouched for it, where that was needed.
    pub voucher: Option<PublicKey>,
    /// The round in which an update of it counted first; 0 if none has.
    pub since: u64,
    /// The newest round that names a commit of it.
    pub last: u64,
    /// Updates that counted, late ones included.
    pub accepted: u64,
    /// Updates that counted a round late.
    pub late: u64,
    /// Updates that did not count.
    pub rejected: u64,
    /// It was removed.
    pub removed: bool,
    /// Rounds in which an update of it was like another's.
    pub alike: u64,
    /// What audits found of its work.
    pub audits: Audits,
    /// The newest round about which a report of its own was counted.
    pub reported: u64,
}

/// How many audits of a trainer's work found what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audits {
    /// Updates evaluated on samples of an auditor's.
    pub evaluated: u64,
    /// Of these, how many lowered the loss there, or raised it no more than another update did.
    pub passed: u64,
    /// Updates of which a segment was trained again, or should have been.
    pub retrained: u64,
    /// Of these, how many came to the same.
    pub matched: u64,
}

impl Member {
    /// A newcomer.
    pub(super) fn new(trainer: PublicKey, voucher: Option<PublicKey>) -> Self {
        Self {
            trainer,
            voucher,
            since: 0,
            last: 0,
            accepted: 0,
            late: 0,
            rejected: 0,
            removed: false,
            alike: 0,
            audits: Audits::default(),
            reported: 0,
        }
    }
}

impl Audits {
    /// Counts one report.
    pub(super) fn count(&mut self, report: &Reported) {
        self.evaluated += u64::from(report.passed.is_some());
        self.passed += u64::from(report.passed == Some(true));
        self.retrained += u64::from(report.matched.is_some());
        self.matched += u64::from(report.matched == Some(true));
    }
}
