//! What the network tells the node, and the handles with which the node answers.
//!
//! Invariants: every gossip message carries a [`Verdict`] and every request a [`Reply`]; a handle
//! that is dropped answers for itself (ignore, no response), so nothing waits forever.
//! What it is not: the meaning of a message. Bytes are passed on as they came.

use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance, TopicHash};
use protocol::PublicKey;
use tokio::sync::oneshot;

/// What gossip is about. There are few topics on purpose: each costs a mesh of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Heads of repos.
    Heads,
    /// Records of consent feeds that take away, with key events and beginnings of feeds.
    Consent,
    /// All other records of consent feeds: they may wait.
    ConsentRest,
    /// Everything about runs: specs, commits, votes.
    Runs,
}

impl Topic {
    /// All topics; a node subscribes to each.
    pub const ALL: [Self; 4] = [Self::Heads, Self::Consent, Self::ConsentRest, Self::Runs];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heads => "accord/heads/1",
            Self::Consent => "accord/consent/1",
            Self::ConsentRest => "accord/consent-rest/1",
            Self::Runs => "accord/runs/1",
        }
    }

    pub(super) fn gossip(self) -> IdentTopic {
        IdentTopic::new(self.name())
    }

    pub(super) fn of(hash: &TopicHash) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == hash.as_str())
    }
}

/// Something that happened in the network.
#[derive(Debug)]
pub enum NetEvent {
    /// A peer is connected and, if it said so in time, its data address is known.
    PeerConnected(PublicKey),
    /// The last connection to a peer is gone.
    PeerDisconnected(PublicKey),
    /// A connected peer hears this topic from now on; what was published before passed it by.
    PeerSubscribed {
        /// Who listens.
        peer: PublicKey,
        /// To what.
        topic: Topic,
    },
    /// A gossip message to be judged before it is passed on.
    Gossip {
        /// What it is about.
        topic: Topic,
        /// The peer it came from, who vouches for it; not necessarily its author.
        from: PublicKey,
        /// The payload, at most `GOSSIP_BYTES_MAX` long.
        bytes: Vec<u8>,
        /// Where the judgement goes.
        verdict: Verdict,
    },
    /// A question of a peer.
    Request {
        /// Who asks.
        from: PublicKey,
        /// The question, at most `REQUEST_BYTES_MAX` long.
        bytes: Vec<u8>,
        /// Where the answer goes.
        reply: Reply,
    },
}

/// The judgement on a gossip message. Dropped without a word it means [`Verdict::ignore`].
#[derive(Debug)]
pub struct Verdict(oneshot::Sender<MessageAcceptance>);

impl Verdict {
    pub(super) fn pair() -> (Self, oneshot::Receiver<MessageAcceptance>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// The message is valid: pass it on.
    pub fn accept(self) {
        self.say(MessageAcceptance::Accept);
    }

    /// No honest peer passes this on: drop it and count it against the sender.
    pub fn reject(self) {
        self.say(MessageAcceptance::Reject);
    }

    /// Neither: do not pass it on, and blame nobody.
    pub fn ignore(self) {
        self.say(MessageAcceptance::Ignore);
    }

    fn say(self, acceptance: MessageAcceptance) {
        // Nobody listens any more when the time for judging is over or the node stops.
        let _ = self.0.send(acceptance);
    }
}

/// Where the answer to a request goes. Dropped, the asker sees its request fail.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Vec<u8>>);

impl Reply {
    pub(super) fn pair() -> (Self, oneshot::Receiver<Vec<u8>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Answers. Longer than `RESPONSE_BYTES_MAX`, the asker sees its request fail.
    pub fn send(self, bytes: Vec<u8>) {
        // Nobody listens any more when the asker's patience is over or the node stops.
        let _ = self.0.send(bytes);
    }
}

/// A connected peer.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Its key.
    pub key: PublicKey,
    /// Where it can be dialled, each ending in `/p2p/`; worth remembering.
    pub addresses: Vec<Multiaddr>,
    /// When its first connection was made.
    pub since: Instant,
    /// Messages of it that were rejected since this node started.
    pub rejected: u64,
}

/// Counts since this node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetStatus {
    /// Peers connected now.
    pub peers: usize,
    /// Peers refused now for what they sent.
    pub peers_blocked: usize,
    /// How often a peer was dropped for what it sent.
    pub peers_dropped: u64,
    /// Messages and requests that broke a rule.
    pub messages_rejected: u64,
    /// Messages and requests let go without blame: known already, or this node was busy.
    pub messages_ignored: u64,
}
