//! The joining of a forked feed's branches by its owner.
//!
//! Invariants: the record stands after the longest branch and names the ends of all others, so that
//! it is one place further than each. What it is not: a choice between branches; all of them stay.

use protocol::limits::NAMED_MAX;

use super::book::LedgerBook;
use super::own::{Giving, Made, OwnError};
use crate::identity::Speaker;

impl LedgerBook {
    /// Joins the branches of the identity's feed, by its root key.
    pub(crate) fn join_branches(&self, who: &Speaker) -> Result<Made, OwnError> {
        self.speak(who, Giving::No, |own| {
            let none = || OwnError::Refused(format!("the feed of {} did not fork", who.name()));
            let (head, others) = own.ledger().ends_to_join(&who.ring.feed_id()).ok_or_else(none)?;
            if others.len() > NAMED_MAX {
                let rule = format!("{} branches: at most {NAMED_MAX} are joined", others.len());
                return Err(OwnError::Refused(rule));
            }
            Ok(vec![own.identity.reconcile(&head, others)?])
        })
    }
}
