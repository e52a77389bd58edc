//! Questions that one node asks another, and the answers: how nodes that were apart catch up.
//!
//! Invariants: an answer carries envelopes and certificates as they were signed, each of which the
//! asker opens for itself; answers are paged, so neither side holds more than `limits` say.
//! What it is not: trusted. A peer that answers wrongly only fails to help.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec::{self, DecodeError};
use crate::frontier::FeedId;
use crate::id::{RecordId, RunId};
use crate::key::PublicKey;
use crate::limits::{
    PRESENCE_ADDRESSES_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, UPDATES_MAX,
    WHEREABOUTS_BYTES_MAX,
};
use crate::reconcile::{Digests, Place, Want};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// The heads of feeds in which the asker may be behind; answered by a
    /// [`HeadsPage`](crate::reconcile::HeadsPage).
    Feeds {
        /// The asker's heads.
        digests: Digests,
        /// The last feed of the page before.
        after: Option<FeedId>,
    },
    /// Consent records; answered by a [`RecordsPage`](crate::reconcile::RecordsPage).
    Records {
        /// Of which feeds, and what the asker holds of each.
        wants: Vec<Want>,
        /// Where in the first of them the page starts.
        from: Place,
        /// Only restrictions and key events, with what must precede them.
        urgent: bool,
    },
    /// Heads of repos, in a fixed order, after the first `skip`.
    Heads {
        /// How many it has had already.
        skip: u64,
    },
    /// Announcements of runs, in a fixed order, after the first `skip`.
    Runs {
        /// How many it has had already.
        skip: u64,
    },
    /// A run's certificates from this round on.
    Certificates {
        /// The run.
        run: RunId,
        /// The first round wanted.
        round: u64,
    },
    /// The remark that stands beside a consent record; at most one item.
    Remark {
        /// The record.
        record: RecordId,
    },
    /// Where the data planes of these nodes listen; answered by a [`Whereabouts`] of each that is known.
    Whereabouts {
        /// The nodes.
        nodes: Vec<PublicKey>,
    },
}

/// Where a node's data plane listens, as far as another knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The node.
    pub node: PublicKey,
    /// Socket addresses, as `ip:port`.
    pub addresses: Vec<String>,
}

impl Whereabouts {
    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read: Self = codec::decode(bytes, WHEREABOUTS_BYTES_MAX)?;
        let bounded = read.addresses.len() <= PRESENCE_ADDRESSES_MAX;
        if bounded { Ok(read) } else { Err(DecodeError::NotCanonical) }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// An answer to a question about heads, runs, certificates or a remark: what was asked for, as signed; empty
/// if there is no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Envelopes, certificates or a remark.
    pub items: Vec<ByteBuf>,
}

impl Question {
    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let question: Self = codec::decode(bytes, REQUEST_BYTES_MAX)?;
        let is_sound = match &question {
            Self::Feeds { digests, .. } => digests.is_well_formed(),
            Self::Records { wants, .. } => Want::are_bounded(wants),
            Self::Whereabouts { nodes } => nodes.len() <= UPDATES_MAX,
            Self::Heads { .. }
            | Self::Runs { .. }
            | Self::Certificates { .. }
            | Self::Remark { .. } => true,
        };
        if is_sound { Ok(question) } else { Err(DecodeError::NotCanonical) }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl Answer {
    /// As many of `items` as fit one answer, in order, at least one if there is any.
    pub fn page<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Self {
        let mut room = RESPONSE_BYTES_MAX / 2;
        let mut page = Self::default();
        for item in items {
            let item = item.as_ref();
            if !page.items.is_empty() && item.len() + 16 > room {
                break;
            }
            room = room.saturating_sub(item.len() + 16);
            page.items.push(ByteBuf::from(item.to_vec()));
        }
        page
    }

    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, RESPONSE_BYTES_MAX)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_an_answer_does() {
        let items = vec![vec![7u8; RESPONSE_BYTES_MAX / 5]; 9];
        let page = Answer::page(&items);
        assert_eq!(page.items.len(), 2);
        assert!(page.to_bytes().len() <= RESPONSE_BYTES_MAX);
        assert_eq!(Answer::from_bytes(&page.to_bytes()), Ok(page));
        assert!(Answer::page(Vec::<Vec<u8>>::new()).items.is_empty());
    }

    #[test]
    fn questions_survive_their_bytes() {
        let feed = FeedId { author: crate::SecretKey::from_seed(&[1; 32]).public(), feed: 3 };
        let wants = vec![Want { feed, holds: vec![crate::RecordId::of(b"held")] }];
        let digests = Digests::of([1; 32], &crate::Frontier::default());
        for question in [
            Question::Records { wants, from: Place { seq: 3, nth: 1 }, urgent: true },
            Question::Feeds { digests, after: Some(feed) },
            Question::Remark { record: crate::RecordId::of(b"record") },
            Question::Whereabouts { nodes: vec![feed.author] },
        ] {
            assert_eq!(Question::from_bytes(&question.to_bytes()), Ok(question));
        }
        assert!(Question::from_bytes(b"garbage").is_err());
        let many = Question::Whereabouts { nodes: vec![feed.author; UPDATES_MAX + 1] };
        assert!(Question::from_bytes(&many.to_bytes()).is_err());
        let addresses = vec!["127.0.0.1:1".to_owned(); PRESENCE_ADDRESSES_MAX];
        let mut known = Whereabouts { node: feed.author, addresses };
        assert_eq!(Whereabouts::from_bytes(&known.to_bytes()), Ok(known.clone()));
        known.addresses.push("127.0.0.1:2".into());
        assert!(Whereabouts::from_bytes(&known.to_bytes()).is_err());
    }
}
