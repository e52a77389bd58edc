//! Digests: what the ledger keeps of a record, as bytes, so that it starts again without opening
//! every envelope.
//!
//! ```text
//! id            32
//! received_ms    8
//! place          1  0: a genesis, 1: another; 0x80 added where the root key signed
//! genesis:      author 32, feed 4           another: feed's number 4, number of the one before 4
//! seq            4
//! statement:     0x01, values 2 (two bits a use), then as flags 1 say: not_after_ms 8, behalf 64;
//!                subjects 2 bytes of count, each a kind 1 and its value (with a length 2 if it has
//!                no fixed one)
//! other kinds:   0x02, kind 1 byte of length and text, payload 2 bytes of length and bytes
//! ```
//!
//! Integers are little endian. Invariants: what is written is read again; what is read has one of these
//! forms, and no byte more. What it is not: for other nodes, nor a judge of whether a digest fits those
//! before it (see `replay`).

use protocol::limits::RECORD_BYTES_MAX;
use protocol::{ContentId, FeedId, PublicKey, RecordId, codec};

use super::table::Slot;
use super::{Admitted, Ledger};
use crate::payload::Payload;
use crate::record::record_id;
use crate::statement::{Behalf, Remedy, Statement};
use crate::subject::Subject;
use crate::use_atom::{Use, Value};

const GENESIS_PLACE: u8 = 0;
const LATER_PLACE: u8 = 1;
const BY_ROOT: u8 = 0x80;
const STATEMENT_FORM: u8 = 1;
const OTHER_FORM: u8 = 2;
const HAS_END: u8 = 1;
const HAS_BEHALF: u8 = 2;
const CONTENT_SUBJECT: u8 = 0;
const OTHER_SUBJECT: u8 = 1;

/// Why bytes are not the digest of the next record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// It ends too early, goes on too long, or has a form that is none.
    #[error("a digest of another form")]
    Form,
    /// It names a feed or a record that is not there yet, or one that is there twice.
    #[error("a digest that does not follow those before it")]
    Order,
}

impl Ledger {
    /// The digest of a record that has just been admitted.
    ///
    /// # Panics
    /// If the ledger does not have the record.
    pub fn digest(&self, admitted: &Admitted) -> Vec<u8> {
        let record = &admitted.record;
        let slot = self.slot(&record_id(record)).expect("an admitted record is in the ledger");
        let entry = self.entry(slot);
        let mut bytes = Vec::with_capacity(160);
        bytes.extend(entry.id.as_bytes());
        bytes.extend(entry.received_ms.to_le_bytes());
        let by_root = if entry.by_root { BY_ROOT } else { 0 };
        match entry.prev() {
            None => {
                bytes.push(GENESIS_PLACE | by_root);
                bytes.extend(record.value().author.as_bytes());
                bytes.extend(record.value().feed.to_le_bytes());
            }
            Some(prev) => {
                bytes.push(LATER_PLACE | by_root);
                bytes.extend(entry.feed.to_le_bytes());
                bytes.extend(prev.to_le_bytes());
            }
        }
        bytes.extend(entry.seq.to_le_bytes());
        match record.value().payload() {
            Ok(Payload::Statement(statement)) => write_statement(&mut bytes, &statement),
            _ => {
                let (kind, payload) = (&record.value().kind, &record.value().payload);
                bytes.push(OTHER_FORM);
                bytes.push(kind.len() as u8);
                bytes.extend(kind.as_bytes());
                write_long(&mut bytes, payload);
            }
        }
        bytes
    }
}

/// What a digest says; what it names by number is not looked up.
pub(super) struct Digest {
    pub(super) id: RecordId,
    pub(super) received_ms: u64,
    pub(super) origin: Origin,
    pub(super) seq: u32,
    pub(super) by_root: bool,
    pub(super) payload: Payload,
}

/// What a record comes after.
pub(super) enum Origin {
    /// Nothing: it begins this feed.
    Genesis(FeedId),
    /// This record, of the feed with this number.
    Later { feed: u32, prev: Slot },
}

impl Digest {
    pub(super) fn read(digest: &[u8]) -> Result<Self, DigestError> {
        let mut reader = Reader(digest);
        let id = RecordId::from_bytes(reader.array()?);
        let received_ms = u64::from_le_bytes(reader.array()?);
        let place = reader.byte()?;
        let origin = match place & !BY_ROOT {
            GENESIS_PLACE => {
                let author = PublicKey::from_bytes(reader.array()?);
                let author = author.map_err(|_| DigestError::Form)?;
                Origin::Genesis(FeedId { author, feed: u32::from_le_bytes(reader.array()?) })
            }
            LATER_PLACE => {
                let feed = u32::from_le_bytes(reader.array()?);
                Origin::Later { feed, prev: u32::from_le_bytes(reader.array()?) }
            }
            _ => return Err(DigestError::Form),
        };
        let seq = u32::from_le_bytes(reader.array()?);
        let payload = match reader.byte()? {
            STATEMENT_FORM => Payload::Statement(read_statement(&mut reader)?),
            OTHER_FORM => read_other(&mut reader)?,
            _ => return Err(DigestError::Form),
        };
        let is_first = matches!(payload, Payload::Genesis(_));
        if !reader.0.is_empty() || is_first != matches!(origin, Origin::Genesis(_)) {
            return Err(DigestError::Form);
        }
        Ok(Self { id, received_ms, origin, seq, by_root: place & BY_ROOT != 0, payload })
    }
}

fn write_statement(bytes: &mut Vec<u8>, statement: &Statement) {
    let values = statement.values().iter().rev().fold(0, |bits: u16, v| bits << 2 | *v as u16);
    bytes.push(STATEMENT_FORM);
    bytes.extend(values.to_le_bytes());
    let end = if statement.not_after_ms.is_some() { HAS_END } else { 0 };
    let behalf = if statement.behalf.is_some() { HAS_BEHALF } else { 0 };
    bytes.push(end | behalf);
    bytes.extend(statement.not_after_ms.iter().flat_map(|ms| ms.to_le_bytes()));
    if let Some(behalf) = &statement.behalf {
        bytes.extend(behalf.principal.as_bytes());
        bytes.extend(behalf.delegation.as_bytes());
    }
    bytes.extend((statement.subjects.len() as u16).to_le_bytes());
    for subject in &statement.subjects {
        match subject {
            Subject::Content(content) => {
                bytes.push(CONTENT_SUBJECT);
                bytes.extend(content.as_bytes());
            }
            other => {
                bytes.push(OTHER_SUBJECT);
                write_long(bytes, &codec::encode(other));
            }
        }
    }
}

fn read_statement(reader: &mut Reader<'_>) -> Result<Statement, DigestError> {
    let mut bits = u16::from_le_bytes(reader.array()?);
    let mut rules = Vec::new();
    for atom in Use::ALL {
        match bits & 3 {
            1 => rules.push((atom, Value::Allow)),
            2 => rules.push((atom, Value::Constrained)),
            3 => rules.push((atom, Value::Deny)),
            _ => {}
        }
        bits >>= 2;
    }
    let flags = reader.byte()?;
    let not_after_ms = match flags & HAS_END {
        0 => None,
        _ => Some(u64::from_le_bytes(reader.array()?)),
    };
    let behalf = match flags & HAS_BEHALF {
        0 => None,
        _ => {
            let principal = PublicKey::from_bytes(reader.array()?);
            let principal = principal.map_err(|_| DigestError::Form)?;
            Some(Behalf { principal, delegation: RecordId::from_bytes(reader.array()?) })
        }
    };
    let count = u16::from_le_bytes(reader.array()?);
    let mut subjects = Vec::with_capacity(count.into());
    for _ in 0..count {
        subjects.push(match reader.byte()? {
            CONTENT_SUBJECT => Subject::Content(ContentId::from_bytes(reader.array()?)),
            OTHER_SUBJECT => {
                codec::decode(reader.long()?, RECORD_BYTES_MAX).map_err(|_| DigestError::Form)?
            }
            _ => return Err(DigestError::Form),
        });
    }
    let (origin, terms, remedy) = (None, None, Remedy::default());
    Ok(Statement { subjects, rules, not_after_ms, origin, remedy, behalf, terms })
}

fn read_other(reader: &mut Reader<'_>) -> Result<Payload, DigestError> {
    let length = reader.byte()?;
    let kind = str::from_utf8(reader.take(length.into())?).map_err(|_| DigestError::Form)?;
    Payload::decode(kind, reader.long()?).map_err(|_| DigestError::Form)
}

fn write_long(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value);
}

/// What is left of a digest.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DigestError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DigestError::Form)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DigestError> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }

    fn byte(&mut self) -> Result<u8, DigestError> {
        Ok(self.take(1)?[0])
    }

    fn long(&mut self) -> Result<&'a [u8], DigestError> {
        let length = u16::from_le_bytes(self.array()?);
        self.take(length.into())
    }
}
