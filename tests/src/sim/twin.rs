//! A twin: what would be left of a node if it crashed right now, and what it would say.
//!
//! Invariants: a twin sees the durable journal and nothing else. What it is not: kept in step; it is
//! made anew whenever a node speaks.

use std::collections::{BTreeMap, BTreeSet};

use protocol::round::{Effect, Input, Phase, Round, RunMessage, Tip, compacted};
use protocol::{FileHash, PublicKey};

use super::checker::Sender;
use super::facts::Facts;
use super::packet::wire;

/// A place in which a steward may say one thing: its key, round, attempt, and the vote's phase, or
/// none for a proposal.
pub(super) type Slot = (PublicKey, u64, u32, Option<Phase>);

/// What a node would say after a crash.
#[derive(Debug)]
pub(super) struct Twin {
    /// The round that it would have certified.
    round: u64,
    says: BTreeSet<FileHash>,
    /// Its votes and proposals by place.
    pub(super) slots: BTreeMap<Slot, FileHash>,
}

impl Twin {
    /// Restores the sender from what is durable, and lets it say everything again; `newest` is the tip that
    /// its newest certificate makes.
    pub(super) fn of(facts: &Facts, sender: &Sender<'_>, newest: Option<&Tip>) -> Self {
        let (spec, key) = (facts.spec.clone(), facts.keys[sender.node].clone());
        let resend_ms = spec.value().rounds.agree_ms * 2;
        let entries = match newest {
            Some(tip) => compacted(sender.journal, tip),
            None => sender.journal.to_vec(),
        };
        let mut round = Round::restore(spec, key, entries, sender.now_ms);
        let effects = round.handle(sender.now_ms + resend_ms, Input::Tick);
        let (mut says, mut slots) = (BTreeSet::new(), BTreeMap::new());
        for effect in effects {
            let Effect::Send(message) = effect else { continue };
            let hash = FileHash::of(&wire(&message, facts.run).to_bytes());
            slots.extend(slot(&message).map(|slot| (slot, hash)));
            says.insert(hash);
        }
        Self { round: round.tip().round, says, slots }
    }

    /// Whether it would say this again, or never speak of that round any more.
    pub(super) fn covers(&self, round: u64, hash: FileHash) -> bool {
        self.round >= round || self.says.contains(&hash)
    }
}

/// The place of a vote or proposal.
pub(super) fn slot(message: &RunMessage) -> Option<Slot> {
    match message {
        RunMessage::Proposal(proposal) => {
            let value = proposal.value();
            Some((proposal.signer(), value.record.round, value.attempt, None))
        }
        RunMessage::Vote(vote) => {
            let value = vote.value();
            Some((vote.signer(), value.round, value.attempt, Some(value.phase)))
        }
        _ => None,
    }
}
