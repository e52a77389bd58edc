//! What a round asks for.
//!
//! Invariants: effects happen in the order given, and none before the [`Effect::Persist`]s ahead of
//! it are durable. What it is not: how they are done.

use serde::{Deserialize, Serialize};

use super::agreement::Step;
use super::change::Change;
use super::commit::UpdateCommit;
use super::message::RunMessage;
use super::record::{Accepted, Certificate, Rejected, RoundRecord};
use super::report::{Assignment, Reported};
use super::slate::{Partial, Slate};
use super::tip::Tip;
use crate::envelope::Signed;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append to the run's journal; durable before any later effect.
    Persist(Entry),
    /// Send to everyone in the run.
    Send(RunMessage),
    /// Train a round's update from this base; answered by `Input::Trained`.
    Train {
        /// The round.
        round: u64,
        /// What it starts from.
        base: Tip,
    },
    /// Look at a commit; answered by `Input::Checked`.
    Check {
        /// The commit.
        commit: Signed<UpdateCommit>,
        /// What it must start from.
        base: Tip,
    },
    /// Store these bytes and serve them.
    Keep(Vec<u8>),
    /// Work out slices of an aggregate; answered by `Input::Sliced`, if that can be done.
    Slices {
        /// What they start from.
        base: Tip,
        /// What is to count, by hash; its signer has the list.
        slate: Signed<Slate>,
        /// Which slices, in order.
        slices: Vec<u32>,
    },
    /// Aggregate a record to propose; answered by `Input::Built`.
    Build {
        /// The round.
        round: u64,
        /// What it starts from.
        base: Tip,
        /// What counts.
        accepted: Vec<Accepted>,
        /// What does not.
        rejected: Vec<Rejected>,
        /// What audits have found.
        reports: Vec<Reported>,
        /// What changes of who has which part.
        changes: Vec<Change>,
        /// The bytes of the reports and of the changes' proofs, to be stored and served.
        proofs: Vec<Vec<u8>>,
        /// What others say that the slices come to, where the round is cut.
        partials: Vec<Signed<Partial>>,
        /// The slice that this node works out whatever others say, where the round is cut.
        spot: Option<u32>,
    },
    /// Look at what another trainer did in a certified round; answered by `Input::Audited`, if anything
    /// can be said.
    Audit {
        /// What the update started from.
        base: Box<Tip>,
        /// The round's record.
        record: Box<RoundRecord>,
        /// Whose update, and what of it.
        assignment: Assignment,
    },
    /// Recompute a proposed record; answered by `Input::Verified`.
    Verify {
        /// The record.
        record: Box<RoundRecord>,
        /// What it must start from.
        base: Tip,
        /// What others say that its slices come to, where the round is cut.
        partials: Vec<Signed<Partial>>,
        /// The slice that this node works out whatever others say, where the round is cut.
        spot: Option<u32>,
    },
    /// Ask peers for certificates from this round on; answered by `Input::CaughtUp`.
    CatchUp {
        /// The first round wanted.
        round: u64,
    },
    /// A round is certified and makes this tip: keep its certificate, serve its model.
    Certified(Box<Certificate>, Box<Tip>),
    /// The last round is certified.
    Finish,
}

/// One entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// This node trains in the run, or no longer.
    Participate {
        /// Whether it does.
        joined: bool,
        /// When it said so.
        said_ms: u64,
    },
    /// The envelope of this node's own commit.
    Commit(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A step of this steward's agreement.
    Step {
        /// The round.
        round: u64,
        /// The step.
        step: Step,
    },
    /// A certified round; entries of that round before it are no longer needed.
    Certificate(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The tip, in the place of all certificates up to its own.
    Tip(Box<Tip>),
    /// The envelope of this steward's own motion.
    Motion(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The bytes of an [`Equivocation`](super::Equivocation).
    Evidence(#[serde(with = "serde_bytes")] Vec<u8>),
}
