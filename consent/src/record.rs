//! A record: one entry of a contributor's feed, as it travels.
//!
//! The author is the identity: the daily public key it was born with. The signer is the daily or
//! the root key in force at that point of the feed. [`Message::check`] verifies what a record shows
//! alone; that the signer is one of the feed's keys, and that the chain fits, needs the records
//! before it and is the ledger's to verify.
//!
//! Invariants: sequence number 0, no predecessor and kind `genesis` come together or not at all;
//! the id is the hash of the envelope, signature included, and `prev` names the record before.
//! What it is not: valid merely because it opened.

use serde::{Deserialize, Serialize};

use protocol::codec::{self, DecodeError};
use protocol::limits::{FEED_RECORDS_MAX, RECORD_BYTES_MAX, RECORD_KIND_BYTES_MAX};
use protocol::{FeedId, FileHash, Message, PublicKey, RecordId, Signed};

use crate::payload::{GENESIS, Payload, PayloadError, root_commitment};

/// An entry of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The identity whose feed it is.
    pub author: PublicKey,
    /// Which of the identity's feeds.
    pub feed: u32,
    /// Its place in the feed, from 0.
    pub seq: u64,
    /// The record before it; none exactly for the first.
    pub prev: Option<RecordId>,
    /// What kind of payload; lower-case words joined by hyphens.
    pub kind: String,
    /// The payload, in the codec's form for kinds of this version, else opaque.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// The [`Remark`](crate::Remark) that stands beside it, by its hash.
    pub remark: Option<FileHash>,
}

impl Record {
    /// The feed it belongs to.
    pub fn feed_id(&self) -> FeedId {
        FeedId { author: self.author, feed: self.feed }
    }

    /// The payload, decoded and checked.
    pub fn payload(&self) -> Result<Payload, PayloadError> {
        Payload::decode(&self.kind, &self.payload)
    }
}

/// A record whose author is still bytes: mostly it is the signer, and a key that is known to be
/// valid need not be found valid again, which takes a tenth of the time that a record takes.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(with = "serde_bytes")]
    author: &'a [u8],
    feed: u32,
    seq: u64,
    prev: Option<RecordId>,
    kind: &'a str,
    #[serde(with = "serde_bytes")]
    payload: &'a [u8],
    remark: Option<FileHash>,
}

impl Wire<'_> {
    fn record(self, signer: &PublicKey) -> Option<Record> {
        let author = if self.author == signer.as_bytes() {
            *signer
        } else {
            PublicKey::from_bytes(self.author.try_into().ok()?).ok()?
        };
        let Self { feed, seq, prev, remark, .. } = self;
        let (kind, payload) = (self.kind.into(), self.payload.into());
        Some(Record { author, feed, seq, prev, kind, payload, remark })
    }
}

impl Message for Record {
    const DOMAIN: &'static str = "accord/consent/v1";
    const BYTES_MAX: usize = RECORD_BYTES_MAX;

    fn read(payload: &[u8], signer: &PublicKey) -> Result<Self, DecodeError> {
        codec::decode_by(payload, Self::BYTES_MAX, |wire: Wire<'_>| wire.record(signer))
    }

    fn check(&self, signer: &PublicKey) -> Result<(), String> {
        if !kind_is_well_formed(&self.kind) {
            return Err(format!(
                "a record's kind is 1 to {RECORD_KIND_BYTES_MAX} of a-z, 0-9 and hyphen"
            ));
        }
        if self.seq >= FEED_RECORDS_MAX as u64 {
            return Err(format!(
                "sequence number {}, a feed has at most {FEED_RECORDS_MAX} records",
                self.seq
            ));
        }
        let is_genesis = self.kind == GENESIS;
        if is_genesis != (self.seq == 0) || is_genesis != self.prev.is_none() {
            return Err("a feed starts with a genesis at 0, and has no other".into());
        }
        if let Payload::Genesis(genesis) = self.payload().map_err(|e| e.to_string())? {
            if *signer != self.author {
                return Err("a genesis is signed by its author's key".into());
            }
            if genesis.root_commitment == root_commitment(&self.author) {
                return Err("the root key must be another than the daily key".into());
            }
        }
        Ok(())
    }
}

/// The id of a record: the hash of its envelope.
pub fn record_id(record: &Signed<Record>) -> RecordId {
    RecordId::from_bytes(*record.id().as_bytes())
}

fn kind_is_well_formed(kind: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=RECORD_KIND_BYTES_MAX).contains(&kind.len()) && kind.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Genesis;
    use protocol::SecretKey;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn genesis() -> Record {
        let genesis = Genesis { root_commitment: FileHash::from_bytes([7; 32]), work: 0 };
        Record {
            author: key().public(),
            feed: 0,
            seq: 0,
            prev: None,
            kind: GENESIS.into(),
            payload: codec::encode(&genesis),
            remark: None,
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let signed = Signed::sign(genesis(), &key());
        assert_eq!(hex::encode(signed.bytes()), PINNED);
        assert_eq!(Signed::<Record>::open(signed.bytes()), Ok(signed));
    }

    #[test]
    fn a_record_of_a_later_version_opens() {
        let record = Record {
            seq: 3,
            prev: Some(RecordId::of(b"before")),
            kind: "later-kind".into(),
            payload: vec![0xff, 0],
            remark: Some(FileHash::of(b"remark")),
            ..genesis()
        };
        let signed = Signed::sign(record, &key());
        let opened = Signed::<Record>::open(signed.bytes()).expect("kept and forwarded");
        assert_eq!(opened.bytes(), signed.bytes());
        assert_eq!(opened.value().payload(), Ok(Payload::Unknown));
    }

    #[test]
    fn what_a_record_shows_alone_is_checked() {
        let root = root_commitment(&key().public());
        let prev = Some(RecordId::of(b"before"));
        let broken = [
            Record { kind: "Genesis".into(), ..genesis() },
            Record { kind: String::new(), seq: 1, prev, ..genesis() },
            Record { seq: 1, ..genesis() },
            Record { seq: 1, prev, ..genesis() },
            Record { kind: "statement".into(), ..genesis() },
            Record { kind: "unheard-of".into(), seq: u64::MAX, prev, ..genesis() },
            Record { payload: vec![], ..genesis() },
            Record {
                payload: codec::encode(&Genesis { root_commitment: root, work: 0 }),
                ..genesis()
            },
            Record { author: SecretKey::from_seed(&[2; 32]).public(), ..genesis() },
        ];
        for record in broken {
            let signed = Signed::sign(record.clone(), &key());
            assert!(Signed::<Record>::open(signed.bytes()).is_err(), "{record:?}");
        }
    }

    /// Any change here is a change of the wire format.
    const PINNED: &str = "\
        d2845826a201270458208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f\
        6f5ca05893a766617574686f7258208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3\
        748801b40f6f5c64666565640063736571006470726576f6646b696e646767656e65736973677061\
        796c6f61645839a26f726f6f745f636f6d6d69746d656e7458200707070707070707070707070707\
        07070707070707070707070707070707070764776f726b006672656d61726bf658402f60c0b731d9\
        c4e5487fad613580cae0e09b6302a489c3caa728c89d23eab78f80c3f36accdcd2d2cc026d05b52b\
        65292624e2796bfa76baf4636ed48b09f30a";
}
