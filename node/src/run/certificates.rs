//! Asking peers for a run's certificates.
//!
//! Invariants: what is returned was verified and follows on from the round asked for; a peer that
//! answers wrongly is counted against. What it is not: adopting them.

use protocol::exchange::{Answer, Question};
use protocol::limits::CERTIFICATES_SENT_MAX;
use protocol::round::Certificate;
use protocol::{PublicKey, RunId};

use super::desk::Desk;

/// Peers asked for certificates at once.
const CATCH_UP_PEERS: usize = 3;

/// Certificates from `round` on, from the first few peers that have any.
pub(super) async fn ask_certificates(desk: &Desk, round: u64) -> Vec<Certificate> {
    let question = Question::Certificates { run: desk.run, round }.to_bytes();
    let net = &desk.means.net;
    let mut peers: Vec<PublicKey> = net.peers().await.iter().map(|peer| peer.key).collect();
    let stewards = &desk.spec.value().stewards;
    peers.sort_by_key(|peer| stewards.binary_search(peer).is_err());
    for peer in peers.into_iter().take(CATCH_UP_PEERS) {
        let Ok(bytes) = net.request(peer, question.clone()).await else { continue };
        match open_certificates(desk.run, desk, &bytes, round) {
            Some(certificates) if !certificates.is_empty() => return certificates,
            Some(_) => {}
            None => net.penalise(peer, "certificates that do not verify").await,
        }
    }
    Vec::new()
}

fn open_certificates(
    run: RunId,
    desk: &Desk,
    bytes: &[u8],
    first: u64,
) -> Option<Vec<Certificate>> {
    let answer = Answer::from_bytes(bytes).ok()?;
    let mut certificates = Vec::new();
    for (item, round) in answer.items.iter().take(CERTIFICATES_SENT_MAX).zip(first..) {
        let certificate = Certificate::open(item, run, desk.spec.value()).ok()?;
        if certificate.record.round != round {
            return None;
        }
        certificates.push(certificate);
    }
    Some(certificates)
}
