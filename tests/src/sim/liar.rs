//! What a liar remembers, and what it makes of that.
//!
//! Invariants: its memory is bounded; a stream of chance of its own decides, so that honest nodes draw the
//! same with and without it. What it is not: when it lies (see `byzantine`).

use std::collections::{BTreeSet, VecDeque};

use protocol::limits::AGREEMENT_ROUNDS_AHEAD_MAX;
use protocol::round::{Certificate, Phase, Precommit, RunMessage, UpdateCommit, Vote};
use protocol::{FileHash, PublicKey, RoundId, SecretKey, Signed};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::byzantine::Lie;
use super::facts::Facts;
use super::packet::wire;
use super::scenario::Defect;

/// Messages that a liar remembers, to say them again.
const HEARD_MAX: usize = 64;

/// What makes a node a liar.
#[derive(Debug)]
pub(super) struct Liar {
    pub(super) lies: BTreeSet<Lie>,
    pub(super) heard: VecDeque<RunMessage>,
    /// Another update of the round, to commit to as well.
    pub(super) second: Option<(FileHash, u64)>,
    pub(super) rng: ChaCha8Rng,
}

impl Liar {
    /// The liar in this node, if there is one.
    pub(super) fn of(node: usize, facts: &Facts) -> Option<Self> {
        let lies = facts.liars.lies(node);
        let rng = facts.seed.child(&format!("liar {node}")).rng();
        (!lies.is_empty()).then_some(Self { lies, heard: VecDeque::new(), second: None, rng })
    }

    pub(super) fn hear(&mut self, message: &RunMessage) {
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(message.clone());
    }

    /// Somebody else's commit of this round on this base, to copy.
    pub(super) fn overheard(&self, own: &SecretKey, base: RoundId) -> Option<UpdateCommit> {
        let of_others = self.heard.iter().rev().find_map(|message| match message {
            RunMessage::Commit(commit) if commit.signer() != own.public() => Some(commit),
            _ => None,
        });
        of_others.map(|commit| commit.value().clone()).filter(|commit| commit.base == base)
    }

    pub(super) fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    /// A record to vote for instead: none, one that somebody proposed, or one that there is not.
    fn other_record(&mut self, than: Option<RoundId>) -> Option<RoundId> {
        let proposed = self.heard.iter().filter_map(|message| match message {
            RunMessage::Proposal(proposal) => Some(proposal.value().record.id()),
            _ => None,
        });
        let known: Vec<RoundId> = proposed.filter(|id| Some(*id) != than).collect();
        match self.rng.random_range(0..3) {
            0 if than.is_some() => None,
            1 if !known.is_empty() => Some(known[self.rng.random_range(0..known.len())]),
            _ => Some(RoundId::of(b"no such record")),
        }
    }

    /// Another vote for the same place, or for a place to come.
    pub(super) fn other_vote(&mut self, vote: &Vote) -> Vote {
        let ahead = match self.chance(0.2) {
            true => self.rng.random_range(0..AGREEMENT_ROUNDS_AHEAD_MAX * 2),
            false => 0,
        };
        let phase = if self.chance(0.2) { Phase::Precommit } else { vote.phase };
        let record = self.other_record(vote.record);
        Vote { attempt: vote.attempt.saturating_add(ahead), phase, record, ..vote.clone() }
    }

    /// The record proposed last, with its own signature in the name of every steward.
    pub(super) fn forged_certificate(
        &self,
        key: &SecretKey,
        stewards: &[PublicKey],
    ) -> Option<Certificate> {
        let proposed = self.heard.iter().rev().find_map(|message| match message {
            RunMessage::Proposal(proposal) => Some(proposal.value()),
            _ => None,
        });
        let (record, attempt) = proposed.map(|made| (made.record.clone(), made.attempt))?;
        let (run, round, id) = (record.run, record.round, record.id());
        let vote = Vote { run, round, attempt, phase: Phase::Precommit, record: Some(id) };
        let signature = serde_bytes::ByteArray::new(*Signed::sign(vote, key).signature());
        let precommits = stewards.iter().map(|steward| Precommit { steward: *steward, signature });
        Some(Certificate { record, attempt, precommits: precommits.collect() })
    }

    /// A vote in the name of another steward: signed with that one's key where a planted mistake says
    /// that nobody looks at signatures.
    pub(super) fn forged_vote(&mut self, facts: &Facts, stewards: usize) -> Option<Vec<u8>> {
        if !facts.has(Defect::TrustVotes) {
            return None;
        }
        let heard = self.heard.iter().rev().find_map(|message| match message {
            RunMessage::Vote(vote) => Some(vote.value().clone()),
            _ => None,
        });
        let other = self.other_vote(&heard?);
        let victim = &facts.keys[self.rng.random_range(0..stewards)];
        let message = RunMessage::Vote(Signed::sign(other, victim));
        Some(wire(&message, facts.run).to_bytes())
    }
}
