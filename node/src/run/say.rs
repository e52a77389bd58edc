//! Whether whoever signed a message has a say in its run, as far as this node knows.
//!
//! Invariants: messages of trainers pass, for the round to judge; those of stewards only if their signer is
//! one. What it is not: blame. Whoever is behind does not know the newest stewards.

use protocol::PublicKey;
use protocol::round::{Roster, RunMessage};

/// Whether `message` is to be heard and passed on; of a run that is not followed the stewards of its
/// spec, `first`, are known.
pub(crate) fn has_say(message: &RunMessage, roster: Option<&Roster>, first: &[PublicKey]) -> bool {
    let stewards = roster.map_or(first, Roster::stewards);
    let is_steward = |node: &PublicKey| stewards.binary_search(node).is_ok();
    // Of a run that is not followed nobody knows who trains.
    let is_member = |node: &PublicKey| roster.is_none_or(|roster| roster.member(node).is_some());
    match message {
        RunMessage::Presence(_) | RunMessage::Commit(_) => true,
        RunMessage::Proposal(proposal) => is_steward(&proposal.signer()),
        RunMessage::Vote(vote) => is_steward(&vote.signer()),
        RunMessage::Motion(motion) => is_steward(&motion.signer()),
        RunMessage::Evidence(of, _) => is_steward(of),
        RunMessage::Slate(slate) => is_steward(&slate.signer()),
        RunMessage::Report(report) => is_member(&report.signer()),
        RunMessage::Partial(partial) => {
            is_steward(&partial.signer()) || is_member(&partial.signer())
        }
        RunMessage::Certificate(certificate) => {
            certificate.precommits.iter().any(|precommit| is_steward(&precommit.steward))
        }
    }
}
