//! What peers take from our data plane: who may connect, and how much they got.
//!
//! Invariants: at most `DATA_CONNECTIONS_MAX` connections are served; peers may get blobs, and
//! nothing else (no pushing, no batch requests, no watching).
//! What it is not: the transfer itself, which iroh-blobs does.

use std::collections::BTreeSet;
use std::sync::Arc;

use iroh_blobs::provider::events::{
    AbortReason, ConnectMode, EventMask, EventSender, ObserveMode, ProviderMessage, RequestMode,
    RequestUpdate, ThrottleMode,
};
use libp2p::futures::StreamExt;
use libp2p::futures::stream::FuturesUnordered;
use protocol::limits::DATA_CONNECTIONS_MAX;
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
    let mut open = BTreeSet::new();
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
                let answer = if open.len() < DATA_CONNECTIONS_MAX {
                    open.insert(asked.inner.connection_id);
                    Ok(())
                } else {
                    Err(AbortReason::RateLimited)
                };
                let _ = asked.tx.send(answer).await;
            }
            Some(ProviderMessage::ConnectionClosed(closed)) => {
                open.remove(&closed.inner.connection_id);
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
