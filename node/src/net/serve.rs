//! What peers take from our data plane: who may connect, and how much they got.
//!
//! Invariants: at most `DATA_CONNECTIONS_MAX` connections are served, few of them one peer's; peers
//! may get blobs, and nothing else (no pushing, no batch requests, no watching).
//! What it is not: the transfer itself, which iroh-blobs does.

use std::collections::BTreeMap;
use std::sync::Arc;

use iroh::EndpointId;
use iroh_blobs::provider::events::{
    AbortReason, ConnectMode, EventMask, EventSender, ObserveMode, ProviderMessage, RequestMode,
    RequestUpdate, ThrottleMode,
};
use libp2p::futures::StreamExt;
use libp2p::futures::stream::FuturesUnordered;
use protocol::limits::{DATA_CONNECTIONS_MAX, DATA_CONNECTIONS_PER_PEER_MAX};
use tokio::sync::mpsc;

use super::traffic::Traffic;

/// Provider events that wait to be looked at; a full queue makes peers wait.
const EVENTS_MAX: usize = 64;

/// The sender that the provider reports to, and where its reports arrive.
pub(super) fn serving_events() -> (EventSender, mpsc::Receiver<ProviderMessage>) {
    let mask = EventMask {
        connected: ConnectMode::Intercept,
        get: RequestMode::NotifyLog,
        get_many: RequestMode::Disabled,
        push: RequestMode::Disabled,
        observe: ObserveMode::Intercept,
        throttle: ThrottleMode::None,
    };
    EventSender::channel(EVENTS_MAX, mask)
}

/// Answers the provider and adds up what it sent, until the provider is gone.
pub(super) async fn watch(mut messages: mpsc::Receiver<ProviderMessage>, traffic: Arc<Traffic>) {
    let mut open = Open::default();
    let mut transfers = FuturesUnordered::new();
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            Some(bytes) = transfers.next(), if !transfers.is_empty() => {
                traffic.add_sent(bytes);
                continue;
            }
        };
        // Whoever asked may be gone by the time we answer; that is no error of ours.
        match message {
            None => return,
            Some(ProviderMessage::ClientConnected(asked)) => {
                let admitted = open.admit(asked.inner.connection_id, asked.inner.endpoint_id);
                let answer = if admitted { Ok(()) } else { Err(AbortReason::RateLimited) };
                let _ = asked.tx.send(answer).await;
            }
            Some(ProviderMessage::ConnectionClosed(closed)) => {
                open.forget(closed.inner.connection_id);
            }
            Some(ProviderMessage::ObserveRequestReceived(asked)) => {
                let _ = asked.tx.send(Err(AbortReason::Permission)).await;
            }
            Some(ProviderMessage::GetRequestReceivedNotify(mut started)) => {
                transfers.push(async move {
                    loop {
                        match started.rx.recv().await {
                            Ok(Some(RequestUpdate::Completed(end))) => {
                                return end.stats.payload_bytes_sent;
                            }
                            Ok(Some(RequestUpdate::Aborted(end))) => {
                                return end.stats.payload_bytes_sent;
                            }
                            Ok(Some(_)) => {}
                            Ok(None) | Err(_) => return 0,
                        }
                    }
                });
            }
            // The mask above lets nothing else through.
            Some(_) => {}
        }
    }
}

/// The connections served now, by number, with whose they are.
#[derive(Debug, Default)]
struct Open(BTreeMap<u64, Option<EndpointId>>);

impl Open {
    /// Whether a connection is served. One whose peer is not known counts with its like.
    fn admit(&mut self, connection: u64, peer: Option<EndpointId>) -> bool {
        let of_peer = self.0.values().filter(|other| **other == peer).count();
        let admitted =
            self.0.len() < DATA_CONNECTIONS_MAX && of_peer < DATA_CONNECTIONS_PER_PEER_MAX;
        if admitted {
            self.0.insert(connection, peer);
        }
        admitted
    }

    fn forget(&mut self, connection: u64) {
        self.0.remove(&connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(seed: u8) -> Option<EndpointId> {
        Some(iroh::SecretKey::from_bytes(&[seed; 32]).public())
    }

    #[test]
    fn one_peer_cannot_hold_every_connection() {
        let mut open = Open::default();
        let of_one = (0..DATA_CONNECTIONS_MAX as u64).filter(|n| open.admit(*n, peer(1))).count();
        assert_eq!(of_one, DATA_CONNECTIONS_PER_PEER_MAX);
        assert!(open.admit(1_000, peer(2)), "others are served");
        open.forget(0);
        assert!(open.admit(1_001, peer(1)), "a closed one makes room");
        assert!(!open.admit(1_002, peer(1)));
    }

    #[test]
    fn all_together_are_bounded() {
        let mut open = Open::default();
        let all = (0..2 * DATA_CONNECTIONS_MAX as u64).filter(|n| open.admit(*n, peer(*n as u8)));
        assert_eq!(all.count(), DATA_CONNECTIONS_MAX);
    }
}
