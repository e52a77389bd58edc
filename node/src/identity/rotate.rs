//! The change of an identity's keys, in an order that a crash at any instant cannot hurt.
//!
//! ```text
//! 1  the new keys go into the recovery file, if there is one, beside the old ones
//! 2  the new keys go into the node's file, beside the old ones
//! 3  the record goes into the ledger's log, signed by the old root key
//! 4  the node's file says that the new keys are in force
//! 5  the recovery file says so too
//! ```
//!
//! Before 3 the ledger says that the old keys are in force, after it the new ones; both are in both
//! files. Whoever rotates again goes on where the crash was, with the same new keys.
//!
//! Invariants: no file is ever without the keys in force. What it is not: the record's effect.

use consent::RootKey;
use protocol::RecordId;
use protocol::limits::ROTATIONS_MAX;

use super::error::IdentityError;
use super::keyring::Generation;
use super::speaker::Speaker;
use crate::ledger::{Giving, LedgerBook, OwnError};

/// What has just been made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The recovery file has the new keys.
    Recoverable,
    /// The node's file has them.
    Prepared,
    /// The ledger has the record.
    Recorded,
    /// The node's file says so.
    Settled,
    /// The recovery file says so.
    Done,
}

/// Replaces the identity's keys, or finishes what a crash interrupted. Returns the new records'
/// envelopes; `reached` hears of each step.
pub(crate) fn rotate(
    speaker: &mut Speaker,
    ledger: &LedgerBook,
    mut reached: impl FnMut(Step),
) -> Result<Vec<(RecordId, Vec<u8>)>, OwnError> {
    if !speaker.ring.has_roots() {
        return Err(OwnError::NoRoot(speaker.name().to_owned()));
    }
    let feed = speaker.ring.feed_id();
    let in_force = ledger.keys_in_force(&feed);
    if in_force.is_some_and(|keys| speaker.ring.in_force(&keys).is_none()) {
        return Err(OwnError::Replaced(speaker.name().to_owned()));
    }
    // Two successors of one root key would leave nothing allowed and nothing lifted, for ever.
    let elsewhere = ledger.rotated_elsewhere(&feed);
    if elsewhere.is_some_and(|keys| speaker.ring.in_force(&keys).is_none()) {
        return Err(OwnError::RotatedElsewhere(speaker.name().to_owned()));
    }
    let is_recorded =
        in_force.is_some_and(|keys| speaker.ring.next.as_ref().is_some_and(|next| next.is(&keys)));
    let mut made = Vec::new();
    if !is_recorded {
        if speaker.ring.generations.len() > ROTATIONS_MAX {
            return Err(IdentityError::RotationsFull.into());
        }
        let prepared = speaker.ring.next.take();
        let next = match prepared.filter(|next| matches!(next.root, RootKey::Here(_))) {
            Some(next) => next,
            None => Generation::fresh().map_err(IdentityError::Home)?,
        };
        let (daily, root) = (next.daily.public(), next.root.commitment());
        speaker.ring.next = Some(next);
        speaker.save_recovery()?;
        reached(Step::Recoverable);
        speaker.save()?;
        reached(Step::Prepared);
        made = ledger.speak(speaker, Giving::No, |own| {
            // Now that this feed repeats what the others have been through.
            let elsewhere = own.ledger().rotated_elsewhere(&feed);
            if elsewhere.is_some_and(|keys| (keys.daily, keys.root) != (daily, root)) {
                return Err(OwnError::RotatedElsewhere(speaker.name().to_owned()));
            }
            Ok(vec![own.identity.rotate_to(&own.head, daily, root)?])
        })?;
        reached(Step::Recorded);
    }
    speaker.ring.settle();
    speaker.save()?;
    reached(Step::Settled);
    speaker.save_recovery()?;
    reached(Step::Done);
    Ok(made)
}
