//! Whom to dial and when to try again.
//!
//! Invariants: a target is dialled only while its peer is not connected, one attempt at a time,
//! with a pause that doubles from `DIAL_PAUSE_MIN_MS` to `DIAL_PAUSE_MAX_MS`; an address that does
//! not answer costs nothing else. What it is not: the peers we have (see `peers`).

use std::time::{Duration, Instant};

use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};
use protocol::limits::{
    DIAL_ADDRESSES_MAX, DIAL_PAUSE_MAX_MS, DIAL_PAUSE_MIN_MS, DIAL_TARGETS_MAX,
};

use super::address::peer_in;

/// All targets, each due at some time.
#[derive(Debug)]
pub(super) struct DialBook {
    own: PeerId,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    /// Whom we expect there; learned when an address that names nobody answers.
    peer: Option<PeerId>,
    /// Whether the address itself names the peer, so that nobody else will do.
    named: bool,
    /// Newest last.
    addresses: Vec<Multiaddr>,
    failures: u32,
    due: Instant,
    attempt: Option<ConnectionId>,
}

impl DialBook {
    pub(super) fn new(own: PeerId) -> Self {
        Self { own, targets: Vec::new() }
    }

    /// Adds an address, due at once. False if the book is full.
    pub(super) fn remember(&mut self, address: Multiaddr, now: Instant) -> bool {
        let peer = peer_in(&address);
        if peer == Some(self.own) {
            return true;
        }
        let known = self.targets.iter_mut().find(|target| match peer {
            Some(_) => target.named && target.peer == peer,
            None => target.addresses.contains(&address),
        });
        if let Some(target) = known {
            if !target.addresses.contains(&address) {
                if target.addresses.len() == DIAL_ADDRESSES_MAX {
                    target.addresses.remove(0);
                }
                target.addresses.push(address);
                target.failures = 0;
                target.due = now;
            }
            return true;
        }
        if self.targets.len() >= DIAL_TARGETS_MAX {
            return false;
        }
        self.targets.push(Target {
            peer,
            named: peer.is_some(),
            addresses: vec![address],
            failures: 0,
            due: now,
            attempt: None,
        });
        true
    }

    /// The attempts to make now. `skip` says which peers need none.
    pub(super) fn due(&mut self, now: Instant, skip: impl Fn(&PeerId) -> bool) -> Vec<DialOpts> {
        let mut attempts = Vec::new();
        for target in &mut self.targets {
            let needless = target.peer.as_ref().is_some_and(&skip);
            if needless || target.attempt.is_some() || target.due > now {
                continue;
            }
            let options = target.options();
            target.attempt = Some(options.connection_id());
            attempts.push(options);
        }
        attempts
    }

    /// An attempt found this peer.
    pub(super) fn succeeded(&mut self, connection: ConnectionId, peer: PeerId) {
        if let Some(target) = self.target_of(connection) {
            target.peer = Some(peer);
            target.attempt = None;
            target.failures = 0;
        }
    }

    /// An attempt found nobody, or us.
    pub(super) fn failed(&mut self, connection: ConnectionId, error: &DialError, now: Instant) {
        if matches!(error, DialError::LocalPeerId { .. }) {
            self.targets.retain(|target| target.attempt != Some(connection));
        }
        if let Some(target) = self.target_of(connection) {
            target.attempt = None;
            // Somebody else is dialling the same peer; that is no failure of the address.
            if !matches!(error, DialError::DialPeerConditionFalse(_)) {
                target.failures = target.failures.saturating_add(1);
            }
            target.due = now + pause(target.failures);
        }
    }

    /// A peer is gone: try it again soon.
    pub(super) fn lost(&mut self, peer: PeerId, now: Instant) {
        for target in self.targets.iter_mut().filter(|target| target.peer == Some(peer)) {
            target.failures = 0;
            target.due = now + pause(0);
        }
    }

    /// A peer turned out not to be one of ours.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.targets.retain(|target| target.peer != Some(peer));
    }

    fn target_of(&mut self, connection: ConnectionId) -> Option<&mut Target> {
        self.targets.iter_mut().find(|target| target.attempt == Some(connection))
    }
}

impl Target {
    fn options(&self) -> DialOpts {
        // A new local port each time: two nodes that dial each other from their listening ports at
        // the same moment would open one TCP connection with two dialling ends.
        match self.peer.filter(|_| self.named) {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(self.addresses.clone())
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id()
                .address(self.addresses[0].clone())
                .allocate_new_port()
                .build(),
        }
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = DIAL_PAUSE_MIN_MS.saturating_mul(1 << failures.min(20));
    Duration::from_millis(doubled.min(DIAL_PAUSE_MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
    }

    #[test]
    fn pauses_double_up_to_a_cap() {
        assert_eq!(pause(0), Duration::from_millis(DIAL_PAUSE_MIN_MS));
        assert_eq!(pause(1), Duration::from_millis(DIAL_PAUSE_MIN_MS * 2));
        assert_eq!(pause(u32::MAX), Duration::from_millis(DIAL_PAUSE_MAX_MS));
    }

    #[test]
    fn a_target_is_tried_until_it_answers_and_again_when_lost() {
        let mut book = DialBook::new(PeerId::random());
        let peer = PeerId::random();
        let start = Instant::now();
        assert!(book.remember(address(1), start));
        let first = book.due(start, |_| false).pop().expect("due at once");
        assert!(book.due(start, |_| false).is_empty(), "one attempt at a time");

        book.failed(first.connection_id(), &DialError::Aborted, start);
        assert!(book.due(start, |_| false).is_empty(), "not at once again");
        let later = start + pause(1);
        let second = book.due(later, |_| false).pop().expect("due again");
        book.succeeded(second.connection_id(), peer);
        let much_later = later + pause(u32::MAX);
        assert!(book.due(much_later, |p| *p == peer).is_empty(), "connected");

        book.lost(peer, much_later);
        assert!(book.due(much_later, |_| false).is_empty());
        assert_eq!(book.due(much_later + pause(0), |_| false).len(), 1);

        book.forget(peer);
        assert!(book.targets.is_empty());
    }

    #[test]
    fn we_do_not_dial_ourselves_nor_without_bound() {
        let own = PeerId::random();
        let mut book = DialBook::new(own);
        let now = Instant::now();
        assert!(book.remember(super::super::address::with_peer(&address(1), own), now));
        assert!(book.due(now, |_| false).is_empty());
        assert!(book.remember(address(2), now));
        let attempt = book.due(now, |_| false).pop().expect("due");
        let ourselves = DialError::LocalPeerId { address: address(2) };
        book.failed(attempt.connection_id(), &ourselves, now);
        assert!(book.due(now + pause(u32::MAX), |_| false).is_empty(), "forgotten");

        for port in 0..DIAL_TARGETS_MAX {
            assert!(book.remember(address(port as u16 + 1), now));
        }
        assert!(!book.remember(address(65_000), now));
    }
}
