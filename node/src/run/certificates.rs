//! Asking peers for a run's certificates.
//!
//! Invariants: every signature in what is returned was verified, and rounds follow on from the one asked
//! for; a peer that answers wrongly is counted against; whoever keeps asking has asked every peer before
//! long. What it is not: adopting them, or knowing whether those who signed have a say (see `chain`).

use protocol::exchange::{Answer, Question};
use protocol::limits::CERTIFICATES_SENT_MAX;
use protocol::round::Certificate;
use protocol::{PublicKey, RunId};

use super::desk::Desk;

/// Peers of each group that are asked for certificates at a turn.
const CATCH_UP_PEERS: usize = 3;

/// Certificates from `round` on, from the first of a few peers that has any: stewards, and of all
/// others the next ones at each `turn`.
pub(super) async fn ask_some(desk: &Desk, round: u64, turn: usize) -> Vec<Certificate> {
    let stewards = desk.stewards();
    let peers = asked(peers(desk).await, |peer| stewards.binary_search(peer).is_ok(), turn);
    ask(desk, round, peers).await
}

/// Certificates from `round` on, from the first peer that has any; every connected one is asked.
pub(super) async fn ask_all(desk: &Desk, round: u64) -> Vec<Certificate> {
    let stewards = desk.stewards();
    let mut peers = peers(desk).await;
    peers.sort_by_key(|peer| stewards.binary_search(peer).is_err());
    ask(desk, round, peers).await
}

async fn peers(desk: &Desk) -> Vec<PublicKey> {
    desk.means.net.peers().await.iter().map(|peer| peer.key).collect()
}

async fn ask(desk: &Desk, round: u64, peers: Vec<PublicKey>) -> Vec<Certificate> {
    let question = Question::Certificates { run: desk.run, round }.to_bytes();
    let net = &desk.means.net;
    for peer in peers {
        let Ok(bytes) = net.request(peer, question.clone()).await else { continue };
        match open_certificates(desk.run, &bytes, round) {
            Some(certificates) if !certificates.is_empty() => return certificates,
            Some(_) => {}
            None => net.penalise(peer, "certificates that do not verify").await,
        }
    }
    Vec::new()
}

/// Whom to ask at this turn: some stewards and some others, each group in a circle.
fn asked(
    peers: Vec<PublicKey>,
    is_steward: impl Fn(&PublicKey) -> bool,
    turn: usize,
) -> Vec<PublicKey> {
    let (stewards, others): (Vec<_>, Vec<_>) = peers.into_iter().partition(is_steward);
    let some = |group: Vec<PublicKey>| {
        let first = (turn * CATCH_UP_PEERS) % group.len().max(1);
        group.into_iter().cycle().skip(first)
    };
    let counts = [&stewards, &others].map(|group| group.len().min(CATCH_UP_PEERS));
    let stewards = some(stewards).take(counts[0]).collect::<Vec<_>>();
    stewards.into_iter().chain(some(others).take(counts[1])).collect()
}

fn open_certificates(run: RunId, bytes: &[u8], first: u64) -> Option<Vec<Certificate>> {
    let answer = Answer::from_bytes(bytes).ok()?;
    let mut certificates = Vec::new();
    for (item, round) in answer.items.iter().take(CERTIFICATES_SENT_MAX).zip(first..) {
        let certificate = Certificate::open(item, run).ok()?;
        if certificate.record.round != round {
            return None;
        }
        certificates.push(certificate);
    }
    Some(certificates)
}

#[cfg(test)]
mod tests {
    use protocol::SecretKey;

    use super::*;

    #[test]
    fn everybody_is_asked_in_turn_and_stewards_each_time() {
        let peers: Vec<PublicKey> =
            (0..10).map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect();
        let steward = peers[4];
        let mut seen = std::collections::BTreeSet::new();
        for turn in 0..3 {
            let asked = asked(peers.clone(), |peer| *peer == steward, turn);
            assert_eq!((asked.len(), asked[0]), (1 + CATCH_UP_PEERS, steward));
            seen.extend(asked);
        }
        assert_eq!(seen.len(), peers.len());
        assert!(asked(vec![], |_| true, 7).is_empty());
    }
}
