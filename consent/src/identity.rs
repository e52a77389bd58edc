//! An identity that signs: makes the records of one feed.
//!
//! Invariants: pure; given the feed's head it makes the next record, and never one that a ledger
//! with that head would refuse. What it is not: a store of keys or of heads. Whoever signs two
//! records on one head forks the feed; the caller persists a record before making the next.

use protocol::limits::{LIFTED_MAX, RECORD_BYTES_MAX};
use protocol::{
    FeedHead, FeedId, FileHash, Message, PublicKey, RecordId, SecretKey, Signed, codec,
};

use crate::payload::{
    ATTESTATION, Attestation, Compromise, DELEGATION, DELEGATION_REVOCATION, DISPUTE, Delegation,
    Dispute, GENESIS, Genesis, KEY_COMPROMISE, KEY_ROTATION, LIFT, Lift, RECONCILE, Reconcile,
    Revocation, Rotation, STATEMENT, TOMBSTONE, Tombstone, root_commitment,
};
use crate::record::{Record, record_id};
use crate::statement::Statement;

/// Why a record cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The head is another feed's.
    #[error("the head given is of feed {} of {}, not of this one", .0.feed, .0.author)]
    OtherFeed(FeedId),
    /// The record would break a rule.
    #[error("{0}")]
    Rule(String),
    /// The record would be too long.
    #[error("the record has {0} bytes, at most {RECORD_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Only the root key may do it, and it is kept elsewhere.
    #[error("the root key is needed, and it is kept elsewhere")]
    NoRoot,
}

/// The root key, or what is known of it where it is kept elsewhere.
#[derive(Debug, Clone)]
pub enum RootKey {
    /// The key.
    Here(SecretKey),
    /// What the feed commits to.
    Elsewhere(FileHash),
}

impl RootKey {
    /// What a genesis or a rotation commits to.
    pub fn commitment(&self) -> FileHash {
        match self {
            Self::Here(key) => root_commitment(&key.public()),
            Self::Elsewhere(commitment) => *commitment,
        }
    }
}

impl From<SecretKey> for RootKey {
    fn from(key: SecretKey) -> Self {
        Self::Here(key)
    }
}

/// A person's or organisation's keys, for one of its feeds.
#[derive(Debug, Clone)]
pub struct Identity {
    feed: FeedId,
    daily: SecretKey,
    root: RootKey,
    remark: Option<FileHash>,
}

impl Identity {
    /// An identity that is born with these keys, or that never rotated them.
    pub fn new(daily: SecretKey, root: impl Into<RootKey>, feed: u32) -> Self {
        let feed = FeedId { author: daily.public(), feed };
        Self::rotated(feed, daily, root)
    }

    /// An identity that has rotated its keys to these.
    pub fn rotated(feed: FeedId, daily: SecretKey, root: impl Into<RootKey>) -> Self {
        Self { feed, daily, root: root.into(), remark: None }
    }

    /// The same identity, whose records name the [`Remark`](crate::Remark) with this hash.
    pub fn remarking(self, remark: FileHash) -> Self {
        Self { remark: Some(remark), ..self }
    }

    /// The identity's name for ever: its first daily public key.
    pub fn author(&self) -> PublicKey {
        self.feed.author
    }

    /// The feed it signs.
    pub fn feed(&self) -> FeedId {
        self.feed
    }

    /// The first record of a feed, for an identity that has not rotated, with so many bits of work
    /// (see [`Genesis::worked`] for how long that takes).
    pub fn genesis(&self, work_bits: u32) -> Result<Signed<Record>, SignError> {
        self.genesis_with(self.birth().worked(self.feed, work_bits))
    }

    /// What the feed's first record says, before any work went into it.
    pub fn birth(&self) -> Genesis {
        Genesis { root_commitment: self.root.commitment(), work: 0 }
    }

    /// The first record of a feed with work that was done elsewhere.
    pub fn genesis_with(&self, genesis: Genesis) -> Result<Signed<Record>, SignError> {
        self.sign(None, GENESIS, codec::encode(&genesis), &self.daily)
    }

    /// A statement after `head`, by the daily key.
    pub fn statement(
        &self,
        head: &FeedHead,
        statement: &Statement,
    ) -> Result<Signed<Record>, SignError> {
        self.sign(Some(head), STATEMENT, codec::encode(statement), &self.daily)
    }

    /// Statements one after another, by the daily key.
    pub fn statements(
        &self,
        head: &FeedHead,
        statements: &[Statement],
    ) -> Result<Vec<Signed<Record>>, SignError> {
        let mut at = *head;
        let mut records = Vec::with_capacity(statements.len());
        for statement in statements {
            let record = self.statement(&at, statement)?;
            at = head_at(&record);
            records.push(record);
        }
        Ok(records)
    }

    /// The end of the identity's own statements, by the root key: as many lifts, one after
    /// another, as their number takes.
    pub fn lifts(
        &self,
        head: &FeedHead,
        statements: impl IntoIterator<Item = RecordId>,
    ) -> Result<Vec<Signed<Record>>, SignError> {
        let ids = sorted(statements);
        let mut at = *head;
        let mut records = Vec::new();
        for chunk in ids.chunks(LIFTED_MAX) {
            let lift = Lift { statements: chunk.to_vec() };
            let record = self.sign(Some(&at), LIFT, codec::encode(&lift), self.root()?)?;
            at = head_at(&record);
            records.push(record);
        }
        Ok(records)
    }

    /// New keys for the rest of the feed, by the root key, and the identity that holds them.
    pub fn rotate(
        &self,
        head: &FeedHead,
        daily: SecretKey,
        root: SecretKey,
    ) -> Result<(Signed<Record>, Self), SignError> {
        let record = self.rotate_to(head, daily.public(), root_commitment(&root.public()))?;
        Ok((record, Self::rotated(self.feed, daily, root)))
    }

    /// The same for keys of which only the public part is here.
    pub fn rotate_to(
        &self,
        head: &FeedHead,
        daily: PublicKey,
        root_commitment: FileHash,
    ) -> Result<Signed<Record>, SignError> {
        let rotation = Rotation { daily, root_commitment };
        self.sign(Some(head), KEY_ROTATION, codec::encode(&rotation), self.root()?)
    }

    /// Word that one of the keys is in the wrong hands, from `kept` of this feed on; by the root
    /// key, or by the daily key of itself where the root key is elsewhere.
    pub fn compromise(
        &self,
        head: &FeedHead,
        key: PublicKey,
        kept: u64,
    ) -> Result<Signed<Record>, SignError> {
        let said = Compromise { key, kept };
        let by = match &self.root {
            RootKey::Elsewhere(_) if key == self.daily.public() => &self.daily,
            _ => self.root()?,
        };
        self.sign(Some(head), KEY_COMPROMISE, codec::encode(&said), by)
    }

    /// Leave for another identity to speak, by the daily key.
    pub fn delegate(
        &self,
        head: &FeedHead,
        delegation: &Delegation,
    ) -> Result<Signed<Record>, SignError> {
        self.sign(Some(head), DELEGATION, codec::encode(delegation), &self.daily)
    }

    /// The end of delegations, by the daily key.
    pub fn revoke(
        &self,
        head: &FeedHead,
        delegations: impl IntoIterator<Item = RecordId>,
    ) -> Result<Signed<Record>, SignError> {
        let revocation = Revocation { delegations: sorted(delegations) };
        self.sign(Some(head), DELEGATION_REVOCATION, codec::encode(&revocation), &self.daily)
    }

    /// A witness's word, by the daily key.
    pub fn attest(
        &self,
        head: &FeedHead,
        attestation: &Attestation,
    ) -> Result<Signed<Record>, SignError> {
        self.sign(Some(head), ATTESTATION, codec::encode(attestation), &self.daily)
    }

    /// Doubt about what others allowed, by the daily key.
    pub fn dispute(
        &self,
        head: &FeedHead,
        records: impl IntoIterator<Item = RecordId>,
    ) -> Result<Signed<Record>, SignError> {
        let dispute = Dispute { records: sorted(records) };
        self.sign(Some(head), DISPUTE, codec::encode(&dispute), &self.daily)
    }

    /// The wish that the remarks beside own records are erased, by the daily key.
    pub fn erase(
        &self,
        head: &FeedHead,
        records: impl IntoIterator<Item = RecordId>,
    ) -> Result<Signed<Record>, SignError> {
        let tombstone = Tombstone { records: sorted(records) };
        self.sign(Some(head), TOMBSTONE, codec::encode(&tombstone), &self.daily)
    }

    /// The joining of the feed's other branches, which end with `heads`, to the one that ends with
    /// `head`; by the root key.
    pub fn reconcile(
        &self,
        head: &FeedHead,
        heads: impl IntoIterator<Item = RecordId>,
    ) -> Result<Signed<Record>, SignError> {
        let reconcile = Reconcile { heads: sorted(heads) };
        self.sign(Some(head), RECONCILE, codec::encode(&reconcile), self.root()?)
    }

    /// The public half of the daily key.
    pub fn daily(&self) -> PublicKey {
        self.daily.public()
    }

    /// The public half of the root key.
    pub fn root_public(&self) -> Result<PublicKey, SignError> {
        Ok(self.root()?.public())
    }

    fn root(&self) -> Result<&SecretKey, SignError> {
        match &self.root {
            RootKey::Here(key) => Ok(key),
            RootKey::Elsewhere(_) => Err(SignError::NoRoot),
        }
    }

    fn sign(
        &self,
        head: Option<&FeedHead>,
        kind: &str,
        payload: Vec<u8>,
        key: &SecretKey,
    ) -> Result<Signed<Record>, SignError> {
        if let Some(head) = head.filter(|head| head.feed != self.feed) {
            return Err(SignError::OtherFeed(head.feed));
        }
        let FeedId { author, feed } = self.feed;
        let seq = head.map_or(0, |head| head.seq.saturating_add(1));
        let prev = head.map(|head| head.head);
        let record =
            Record { author, feed, seq, prev, kind: kind.into(), payload, remark: self.remark };
        record.check(&key.public()).map_err(SignError::Rule)?;
        let signed = Signed::sign(record, key);
        match signed.bytes().len() {
            bytes if bytes > RECORD_BYTES_MAX => Err(SignError::TooLong(bytes)),
            _ => Ok(signed),
        }
    }
}

fn sorted(ids: impl IntoIterator<Item = RecordId>) -> Vec<RecordId> {
    let mut ids: Vec<RecordId> = ids.into_iter().collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The head of a feed that ends with this record.
pub fn head_at(record: &Signed<Record>) -> FeedHead {
    let value = record.value();
    FeedHead { feed: value.feed_id(), seq: value.seq, head: record_id(record) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Origin;
    use crate::use_atom::Use;
    use protocol::ContentId;
    use protocol::limits::ORIGIN_NAME_BYTES_MAX;

    fn identity() -> Identity {
        Identity::new(SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]), 0)
    }

    #[test]
    fn what_is_signed_opens() {
        let identity = identity();
        let genesis = identity.genesis(0).expect("genesis");
        let works = (0..400u32).map(|i| ContentId::of(&i.to_le_bytes()));
        let statements = Statement::deny(&Use::ALL).over(works);
        let records = identity.statements(&head_at(&genesis), &statements).expect("statements");
        let ids = records.iter().map(record_id);
        let lifts = identity.lifts(&head_at(&records[1]), ids).expect("lift");
        assert_eq!((records.len(), lifts.len()), (2, 1));
        assert_eq!(lifts[0].value().seq, 3);
        assert_eq!(lifts[0].value().prev, Some(record_id(&records[1])));
        for record in [&[genesis], &records[..], &lifts[..]].concat() {
            assert_eq!(Signed::<Record>::open(record.bytes()), Ok(record));
        }
    }

    #[test]
    fn the_largest_statement_fits_a_record() {
        let identity = identity();
        let works = (0..256u32).map(|i| ContentId::of(&i.to_le_bytes()));
        let origin = Origin {
            scheme: "s".repeat(ORIGIN_NAME_BYTES_MAX),
            version: "v".repeat(ORIGIN_NAME_BYTES_MAX),
        };
        let deny = Statement { origin: Some(origin), ..Statement::deny(&Use::ALL) };
        let head = head_at(&identity.genesis(0).expect("genesis"));
        for statement in deny.over(works) {
            assert!(identity.statement(&head, &statement).is_ok());
        }
    }

    #[test]
    fn a_head_of_another_feed_or_an_empty_statement_is_refused() {
        let identity = identity();
        let head = head_at(&identity.genesis(0).expect("genesis"));
        let other = FeedHead { feed: FeedId { feed: 9, ..head.feed }, ..head };
        let deny = Statement::deny(&Use::ALL);
        assert!(matches!(identity.statement(&other, &deny), Err(SignError::OtherFeed(_))));
        assert!(matches!(identity.statement(&head, &deny), Err(SignError::Rule(_))));
    }
}
