//! How much the data plane moved since the node started.
//!
//! Invariants: payload only; a transfer that broke counts with what it moved.
//! What it is not: exact about the moment. What peers took is added when their transfer ends.

use std::sync::atomic::{AtomicU64, Ordering};

/// Payload bytes sent to and received from peers.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    pub(super) fn add_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes sent and bytes received.
    pub(super) fn total(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}
