//! Votes and proposals of a round that a steward has taken, by place.
//!
//! Invariants: at most two for each place, which is one more than an honest steward says; so what is kept is
//! bounded by the places. What it is not: counted, but for the one count that the driver cannot make.

use std::collections::{BTreeMap, BTreeSet};

use super::equivocation::Equivocation;
use super::record::is_quorum;
use super::vote::{Phase, Proposal, Vote};
use crate::envelope::Signed;
use crate::id::{FileHash, RoundId};
use crate::key::PublicKey;
use crate::limits::EVIDENCE_BYTES_MAX;

/// A place in which a steward may say one thing: its key, the attempt, and the phase of a vote.
type Slot = (PublicKey, u32, Option<Phase>);

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    proposals: BTreeMap<Slot, Vec<FileHash>>,
    /// The first proposal of each place, to hold others against.
    first: BTreeMap<Slot, Vec<u8>>,
    votes: BTreeMap<Slot, Vec<Signed<Vote>>>,
    /// Of which attempts and records the driver was shown that enough prevoted.
    shown: BTreeSet<(u32, RoundId)>,
}

impl Heard {
    /// Takes a proposal; says whether it is new, and no third of its place.
    pub(super) fn proposal(&mut self, message: &Signed<Proposal>) -> bool {
        let slot = (message.signer(), message.value().attempt, None);
        self.first.entry(slot).or_insert_with(|| message.bytes().to_vec());
        let ids = self.proposals.entry(slot).or_default();
        let takes = ids.len() < 2 && !ids.contains(&message.id());
        if takes {
            ids.push(message.id());
        }
        takes
    }

    /// Forgets a proposal, so that it may come again.
    pub(super) fn forget(&mut self, message: &Signed<Proposal>) {
        let slot = (message.signer(), message.value().attempt, None);
        if let Some(ids) = self.proposals.get_mut(&slot) {
            ids.retain(|id| *id != message.id());
        }
    }

    /// Takes a vote; says whether it is new, and no third of its place.
    pub(super) fn vote(&mut self, message: &Signed<Vote>) -> bool {
        let slot = (message.signer(), message.value().attempt, Some(message.value().phase));
        let votes = self.votes.entry(slot).or_default();
        let takes = votes.len() < 2 && !votes.contains(message);
        if takes {
            votes.push(message.clone());
        }
        takes
    }

    /// What a vote and one heard before in its place show together, if they contradict each other.
    pub(super) fn other_vote(&self, vote: &Signed<Vote>) -> Option<Equivocation> {
        let slot = (vote.signer(), vote.value().attempt, Some(vote.value().phase));
        let first = self.votes.get(&slot)?.first()?;
        (first != vote).then(|| Equivocation::votes(first.bytes(), vote.bytes()))
    }

    /// The same of a proposal; of long ones nothing is made that could not travel.
    pub(super) fn other_proposal(&self, proposal: &Signed<Proposal>) -> Option<Equivocation> {
        let slot = (proposal.signer(), proposal.value().attempt, None);
        let first = self.first.get(&slot)?;
        let fits = first.len() + proposal.bytes().len() + 64 <= EVIDENCE_BYTES_MAX;
        let differ = fits && first != proposal.bytes();
        differ.then(|| Equivocation::proposals(first, proposal.bytes()))
    }

    /// The prevotes of more than two thirds for the record of `vote`, where the driver has not counted them
    /// all: it counts the first vote of whoever votes twice, and Tendermint needs both counted, each for its
    /// own record, or one that votes twice could keep a record apart from the others for ever.
    pub(super) fn uncounted(&mut self, vote: &Vote, stewards: usize) -> Option<Vec<Vec<u8>>> {
        let (attempt, record) = (vote.attempt, vote.record?);
        if vote.phase != Phase::Prevote || self.shown.contains(&(attempt, record)) {
            return None;
        }
        let of_attempt = self
            .votes
            .iter()
            .filter(|((_, of, phase), _)| *of == attempt && *phase == Some(Phase::Prevote));
        let (mut votes, mut twice) = (Vec::new(), false);
        for (_, said) in of_attempt {
            let found = said.iter().find(|vote| vote.value().record == Some(record));
            twice |= found.is_some() && said.len() > 1;
            votes.extend(found.map(|vote| vote.bytes().to_vec()));
        }
        let uncounted = twice && is_quorum(votes.len(), stewards);
        (uncounted && self.shown.insert((attempt, record))).then_some(votes)
    }
}
