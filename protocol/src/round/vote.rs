//! What stewards say while they agree: proposals and votes.
//!
//! Invariants: every message names the run, the round and the attempt it is for; one steward says
//! one thing for each (round, attempt, phase), and two different ones are proof against it.
//! What it is not: counting (see `agreement`).

use serde::{Deserialize, Serialize};

use super::record::RoundRecord;
use crate::envelope::Message;
use crate::id::{RoundId, RunId};
use crate::key::PublicKey;
use crate::limits::{PROPOSAL_BYTES_MAX, VOTE_BYTES_MAX};

/// The two votes of Tendermint (Buchman, Kwon, Milosevic 2018, arXiv 1807.04938).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// "I recomputed this record and it holds", or "I have seen none that does".
    Prevote,
    /// "More than two thirds prevoted for it".
    Precommit,
}

/// A steward's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The run.
    pub run: RunId,
    /// The round, from 1.
    pub round: u64,
    /// The attempt at agreeing on that round, from 0.
    pub attempt: u32,
    /// Which vote.
    pub phase: Phase,
    /// The record voted for, or none.
    pub record: Option<RoundId>,
}

impl Message for Vote {
    const DOMAIN: &'static str = "accord/vote/v1";
    const BYTES_MAX: usize = VOTE_BYTES_MAX;

    fn check(&self, _steward: &PublicKey) -> Result<(), String> {
        Ok(())
    }
}

/// A steward's proposal of a record, made by whoever's turn the attempt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The attempt, from 0.
    pub attempt: u32,
    /// The attempt in which more than two thirds prevoted for this record already, if any.
    pub proven: Option<u32>,
    /// The record.
    pub record: RoundRecord,
}

impl Message for Proposal {
    const DOMAIN: &'static str = "accord/proposal/v1";
    const BYTES_MAX: usize = PROPOSAL_BYTES_MAX;

    fn check(&self, _steward: &PublicKey) -> Result<(), String> {
        match self.proven {
            Some(proven) if proven >= self.attempt => {
                Err("a proposal is proven by an attempt that is not before its own".into())
            }
            _ => Ok(()),
        }
    }
}
