//! The records that this node's own identities make.
//!
//! Invariants: one record is durable before the next is signed and before anyone hears of it; one
//! identity's records are signed one after another, on the end of its feed as this ledger has it;
//! nothing is signed that could only be void, or that a ledger behind the node's own past would
//! make a fork. What it is not: what records say; a closure makes them.

use consent::identity::SignError;
use consent::{
    Behalf, FeedKeys, GivingDoubt, Identity, Ledger, Payload, Record, Remark, Statement, Use,
    head_at,
};
use protocol::limits::GENESIS_WORK_BITS;
use protocol::{FeedHead, FeedId, PublicKey, RecordId, Signed};

use super::book::{Inner, LedgerBook, TakeError};
use super::log::LogError;
use super::remarks::RemarkName;
use super::work::worked;
use crate::identity::{IdentityError, Speaker};

/// New records with their envelopes.
pub(crate) type Made = Vec<(RecordId, Vec<u8>)>;

/// Why an identity's record was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    /// It was not taken.
    #[error("{0}")]
    Take(#[from] TakeError),
    /// Its keys.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// It cannot be signed.
    #[error("cannot sign the record: {0}")]
    Sign(SignError),
    /// The root key is elsewhere.
    #[error("this needs the root key of {0}, which is in its recovery file: give --recovery FILE")]
    NoRoot(String),
    /// The ledger is not the one on which the last record was signed.
    #[error(
        "this node signed record {signed} of {name}, and its ledger ends before that: connect to a \
         node that has the rest, or the feed would fork"
    )]
    Behind {
        /// The identity.
        name: String,
        /// What it signed.
        signed: u64,
    },
    /// The file has none of the keys in force.
    #[error(
        "the keys of {0} were replaced by others than its file has: `accord id recover` with its \
         recovery file, or export it on the device that replaced them and import it here"
    )]
    Replaced(String),
    /// It could take away, but what it gives would be void.
    #[error(
        "{name}'s feed forked, so what it allows or lifts is void: `accord consent reconcile` first"
    )]
    Forked {
        /// The identity.
        name: String,
    },
    /// The same, for the keys.
    #[error(
        "the keys of {0} were replaced on another device or reported stolen, so what they allow or \
         lift is void: `accord id rotate`, or import it again from that device"
    )]
    Retired(String),
    /// Another device was first.
    #[error(
        "the keys of {0} were replaced on another device already: `accord id export` there and \
         `accord id import` here"
    )]
    RotatedElsewhere(String),
    /// The same, for ever.
    #[error("somebody began feeds of {0} with different root keys: what they allow is void")]
    Births(String),
    /// What is needed has not arrived yet.
    #[error("{0}")]
    Waiting(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Refused(String),
}

impl From<SignError> for OwnError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::NoRoot => Self::NoRoot("this identity".to_owned()),
            SignError::Rule(rule) => Self::Refused(rule),
            other => Self::Sign(other),
        }
    }
}

impl From<LogError> for OwnError {
    fn from(error: LogError) -> Self {
        Self::Take(error.into())
    }
}

/// Whether records give, so that it matters that they are not void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Giving {
    /// They only take away, or replace keys.
    No,
    /// By the daily key.
    Daily,
    /// By the root key.
    Root,
}

/// What the making of records may look at.
pub(crate) struct Own<'a> {
    /// The identity with the keys in force.
    pub(crate) identity: Identity,
    /// The end of its feed.
    pub(crate) head: FeedHead,
    pub(super) inner: &'a Inner,
}

impl Own<'_> {
    /// The ledger at this moment.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Whether a record that the ledger has is this identity's and names a remark.
    pub(crate) fn has_remark(&self, id: &RecordId) -> Result<bool, OwnError> {
        let record = self.inner.record(id)?;
        Ok(record.author == self.identity.author() && record.remark.is_some())
    }

    /// What a record says that the ledger has, and in which feed.
    pub(crate) fn payload(&self, id: &RecordId) -> Result<(FeedId, Payload), OwnError> {
        self.inner.payload(id)
    }

    /// The leave under which the identity speaks for `principal` of these uses; the latest to end
    /// of those that hold, or for what only takes away any.
    pub(crate) fn behalf(
        &self,
        principal: PublicKey,
        uses: &[Use],
        allow: bool,
        now_ms: u64,
    ) -> Result<(Behalf, u64), OwnError> {
        let leaves = self.ledger().leaves(principal, self.identity.author());
        let holds = |leave: &consent::Leave<'_>| {
            leave.holds
                && leave.delegation.not_after_ms > now_ms
                && leave.delegation.may_allow
                && uses.iter().all(|about| leave.delegation.uses.contains(about))
        };
        let fit = leaves.iter().filter(|leave| !allow || holds(leave));
        let best = fit.max_by_key(|leave| (leave.holds, leave.delegation.not_after_ms));
        let none = || {
            let to = match allow {
                true => "allow this (see `accord consent records --author`)",
                false => "speak for it",
            };
            OwnError::Refused(format!("{principal} gave this identity no leave to {to}"))
        };
        let best = best.ok_or_else(none)?;
        let behalf = Behalf { principal, delegation: best.record };
        Ok((behalf, best.delegation.not_after_ms))
    }
}

impl LedgerBook {
    /// Makes records at the end of the identity's feed, which is begun if it is not there, and
    /// repeats rotations that other feeds of the identity know. Returns all new records' envelopes.
    pub(crate) fn speak(
        &self,
        who: &Speaker,
        giving: Giving,
        make: impl FnOnce(&Own<'_>) -> Result<Vec<Signed<Record>>, OwnError>,
    ) -> Result<Made, OwnError> {
        let mut made = Vec::new();
        let feed = who.ring.feed_id();
        let genesis = self.birth(who)?;
        let mut inner = self.lock();
        if let Some(genesis) = genesis.filter(|_| inner.ledger.head(&feed).is_none()) {
            inner.insert_own(vec![genesis], None, &mut made)?;
        }
        inner.check_past(who)?;
        let at = inner.repeat_rotations(who, &mut made)?;
        inner.check_giving(who, giving)?;
        let remark = remark_of(who)?;
        let identity = who.ring.identity(at).ok_or_else(|| replaced(who))?;
        let identity = match &remark {
            Some(remark) => identity.remarking(remark.hash()),
            None => identity,
        };
        let head = inner.ledger.head(&feed).ok_or_else(|| replaced(who))?;
        let records =
            make(&Own { identity, head, inner: &inner }).map_err(|error| match error {
                OwnError::NoRoot(_) => OwnError::NoRoot(who.name().to_owned()),
                other => other,
            })?;
        let last = records.last().map_or(head, head_at);
        inner.insert_own(records, remark.as_ref(), &mut made)?;
        who.remember(last.seq)?;
        Ok(made)
    }

    /// Registers these statements, in somebody's name if `behalf` says whose.
    pub(crate) fn state(
        &self,
        who: &Speaker,
        statements: &[Statement],
        behalf: Option<PublicKey>,
        now_ms: u64,
    ) -> Result<Made, OwnError> {
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        let gives = statements.iter().any(|statement| statement.not_after_ms.is_some());
        self.speak(who, if gives { Giving::Daily } else { Giving::No }, |own| {
            let statements = own.in_the_name_of(behalf, statements, now_ms)?;
            Ok(own.identity.statements(&own.head, &statements)?)
        })
    }

    /// The keys in force at the end of a feed.
    pub(crate) fn keys_in_force(&self, feed: &FeedId) -> Option<FeedKeys> {
        self.lock().ledger.keys_in_force(feed)
    }

    /// The keys that replaced those in another feed of the same identity.
    pub(crate) fn rotated_elsewhere(&self, feed: &FeedId) -> Option<FeedKeys> {
        self.lock().ledger.rotated_elsewhere(feed)
    }

    /// Whether a feed is here.
    pub(crate) fn has_feed(&self, feed: &FeedId) -> bool {
        self.lock().ledger.head(feed).is_some()
    }

    /// The first record of the identity's feed, if it is not there; the work for it is done with
    /// the ledger open to others.
    fn birth(&self, who: &Speaker) -> Result<Option<Signed<Record>>, OwnError> {
        let feed = who.ring.feed_id();
        {
            let inner = self.lock();
            if inner.ledger.head(&feed).is_some() {
                return Ok(None);
            }
            inner.check_past(who)?;
        }
        let born = &who.ring.generations[0];
        let identity = Identity::rotated(feed, born.daily.clone(), born.root.clone());
        let genesis = worked(identity.birth(), feed, GENESIS_WORK_BITS);
        Ok(Some(identity.genesis_with(genesis)?))
    }
}

impl Own<'_> {
    pub(super) fn in_the_name_of(
        &self,
        principal: Option<PublicKey>,
        statements: &[Statement],
        now_ms: u64,
    ) -> Result<Vec<Statement>, OwnError> {
        let mut statements = statements.to_vec();
        let Some((principal, first)) = principal.zip(statements.first()) else {
            return Ok(statements);
        };
        let uses: Vec<Use> = first.rules.iter().map(|(about, _)| *about).collect();
        let allow = first.not_after_ms.is_some();
        let (behalf, until_ms) = self.behalf(principal, &uses, allow, now_ms)?;
        for statement in &mut statements {
            statement.behalf = Some(behalf);
            // It would end then anyway; so it says what is true.
            statement.not_after_ms = statement.not_after_ms.map(|ms| ms.min(until_ms));
        }
        Ok(statements)
    }
}

impl Inner {
    /// What a record says that the ledger has, and in which feed.
    pub(super) fn payload(&self, id: &RecordId) -> Result<(FeedId, Payload), OwnError> {
        let record = self.record(id)?;
        let payload = record.payload().map_err(|e| OwnError::Refused(e.to_string()))?;
        Ok((record.feed_id(), payload))
    }

    fn record(&self, id: &RecordId) -> Result<Record, OwnError> {
        let unknown = || OwnError::Refused(format!("there is no record {id} in the ledger here"));
        let held = self.ledger.held_record(id).ok_or_else(unknown)?;
        let record = Signed::<Record>::open(&self.log.envelope(held.slot)?);
        Ok(record.map_err(TakeError::Open)?.value().clone())
    }

    /// What makes sure of the remark beside the record in `slot`, if it names one.
    pub(super) fn remark_name(&self, slot: u32) -> Result<Option<RemarkName>, TakeError> {
        let record = Signed::<Record>::open(&self.log.envelope(slot)?)?;
        let (author, remark) = (record.value().author, record.value().remark);
        Ok(remark.map(|hash| RemarkName { author, hash }))
    }

    fn check_past(&self, who: &Speaker) -> Result<(), OwnError> {
        let held = self.ledger.head(&who.ring.feed_id()).map(|head| head.seq);
        match who.ahead_of(held) {
            Some(signed) => Err(OwnError::Behind { name: who.name().to_owned(), signed }),
            None => Ok(()),
        }
    }

    /// Repeats in this feed the rotations that the identity has been through, and returns the place
    /// of the keys that are in force then.
    fn repeat_rotations(&mut self, who: &Speaker, made: &mut Made) -> Result<usize, OwnError> {
        let feed = who.ring.feed_id();
        loop {
            let keys = self.ledger.keys_in_force(&feed).ok_or_else(|| replaced(who))?;
            let (at, _) = who.ring.in_force(&keys).ok_or_else(|| replaced(who))?;
            if at + 1 >= who.ring.generations.len() {
                return Ok(at);
            }
            let next = &who.ring.generations[at + 1];
            let head = self.ledger.head(&feed).ok_or_else(|| replaced(who))?;
            let identity = who.ring.identity(at).ok_or_else(|| replaced(who))?;
            let (daily, root) = (next.daily.public(), next.root.commitment());
            let rotation = identity.rotate_to(&head, daily, root).map_err(|error| match error {
                SignError::NoRoot => OwnError::NoRoot(who.name().to_owned()),
                other => other.into(),
            })?;
            self.insert_own(vec![rotation], None, made)?;
        }
    }

    pub(super) fn check_giving(&self, who: &Speaker, giving: Giving) -> Result<(), OwnError> {
        let name = || who.name().to_owned();
        let by_root = match giving {
            Giving::No => return Ok(()),
            Giving::Daily => false,
            Giving::Root => true,
        };
        match self.ledger.giving_doubt(&who.ring.feed_id(), by_root) {
            None => Ok(()),
            Some(GivingDoubt::Forked) => Err(OwnError::Forked { name: name() }),
            Some(GivingDoubt::Retired) => Err(OwnError::Retired(name())),
            Some(GivingDoubt::Births) => Err(OwnError::Births(name())),
        }
    }
}

/// The remark that is to stand beside what is said.
fn remark_of(who: &Speaker) -> Result<Option<Remark>, OwnError> {
    let Some(text) = who.remark() else { return Ok(None) };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|e| OwnError::Refused(format!("no random salt: {e}")))?;
    let remark = Remark::new(who.author(), salt, text.to_owned());
    remark.map(Some).map_err(|error| OwnError::Refused(error.to_string()))
}

fn replaced(who: &Speaker) -> OwnError {
    OwnError::Replaced(who.name().to_owned())
}

/// The records' ids.
pub(crate) fn ids(made: &Made) -> Vec<RecordId> {
    made.iter().map(|(id, _)| *id).collect()
}
