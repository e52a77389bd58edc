//! The node's copy of the consent ledger: what was said, kept and told.
//!
//! Role: `book` answers and takes records, `log` keeps them on disk, `frames` is the log's files,
//! `own` makes this node's, `listing` shows them, `pull` catches up with peers, `quota` bounds what each
//! may bring.
//! `chain` finds records for proofs, `remarks` keeps what stands beside records, `reopen` takes refusals
//! back for an opt-in.
//! What it is not: the rules (see the `consent` crate).

mod answer;
mod batch;
mod book;
mod branches;
mod chain;
mod frames;
mod listing;
mod log;
mod own;
mod pull;
mod quota;
mod remarks;
mod reopen;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use book::{Gossiped, LedgerBook, TakeError, goes_first};
pub(crate) use chain::ChainError;
pub(crate) use listing::Listed;
pub(crate) use own::{Giving, Made, Own, OwnError, ids};
pub(crate) use pull::{meet_all, pull_feeds, pull_records};
pub(crate) use remarks::{Beside, pull_remark};
pub(crate) use reopen::Holding;
