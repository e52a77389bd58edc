//! Rounds: base model in, certified model out, as a state machine without IO.
//!
//! ```text
//!            Join                Trained              all in, or time is up
//!  opened ---------> training ------------> committed ---------------------> agreeing
//!    ^                                                                          |
//!    |               Certified: the record's model is the next base             |
//!    +--------------------------------------------------------------------------+
//! ```
//!
//! [`Round::handle`] takes the time and one [`Input`] and returns [`Effect`]s in the order in which
//! they must happen; [`Round::deadline`] says when it next wants [`Input::Tick`]. A [`Effect::Persist`]
//! is a barrier: no later effect of that call may happen before it is durable.
//!
//! Invariants:
//! - R1 one certified record per (run, round) as long as fewer than a third of stewards lie;
//! - R2 no trainer counts twice in a round;
//! - R3 a trainer commits once a round, and says the same again after a crash;
//! - R4 a steward votes only for a record that it recomputed, and its vote is journaled first;
//! - R5 with two thirds of the stewards up and messages arriving, a ready round is certified;
//! - R6 everything kept is bounded by `limits`;
//! - R7 `restore` of the journal gives back the state that was durable.
//!
//! What it is not: a driver of anything. It never fetches, trains, aggregates, sends or writes.

mod agreement;
mod change;
pub mod check;
mod commit;
mod committee;
mod context;
mod docket;
mod effect;
mod equivocation;
mod gather;
mod heard;
mod input;
mod machine;
mod member;
mod message;
mod part;
mod present;
mod record;
mod replay;
mod report;
mod roster;
mod slate;
mod steward;
mod tally;
mod tip;
mod trace;
mod vote;

pub use agreement::{Step, Wait};
pub use change::{Cause, Change, ChangeError, Motion, Resolution, What};
pub use commit::{DataCommit, UpdateCommit, commit_id};
pub use committee::{Committee, Standing, keepers};
pub use effect::{Effect, Entry};
pub use equivocation::{Equivocation, EquivocationError};
pub use input::{Audited, Input, Trained, Verdict};
pub use machine::Round;
pub use member::{Audits, Member};
pub use message::{Kind, RunMessage, Wire, WireError};
pub use record::{
    Accepted, Alike, Certificate, CertificateError, Findings, Parts, Precommit, RejectReason,
    Rejected, RoundRecord, is_quorum,
};
pub use replay::compacted;
pub use report::{
    Assignment, Holdout, Outcome, Report, ReportError, Reported, Retraining, assignments,
};
pub use roster::{Roster, RosterError, stewards_after};
pub use slate::{Partial, Slate, Sliced, open_slate_list, slate_list};
pub use tip::Tip;
pub use trace::Trace;
pub use vote::{Phase, Proposal, Vote};

#[cfg(test)]
mod tests;
