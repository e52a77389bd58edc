//! Two certified records of one round: noted and shown, never merged.
//!
//! With fewer than a third of lying stewards it cannot happen; a lone steward that was restored from a backup
//! and certified again while nobody else was there is enough. This node goes on with what it adopted first.
//!
//! Invariants: only what enough stewards signed counts as a fork, so that no stranger can raise an alarm; each
//! is noted once, and a few of a run. What it is not: a way out. People decide which branch they trust.

use protocol::round::{Certificate, Tip};
use protocol::{PublicKey, RoundId};
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::log::decoded;
use crate::api::dto::ForkView;
use crate::store::StoreError;

/// The note under which a run's forks are kept, at round 0.
const FORKS_NOTE: &str = "forks";
/// Forks of a run that are noted.
const FORKS_MAX: usize = 16;

/// A fork as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fork {
    /// The newest round in which the branches are known to differ.
    round: u64,
    ours: RoundId,
    theirs: RoundId,
    /// Stewards that signed here and there: that many lied, or were two at once.
    signed_both: Vec<PublicKey>,
    /// The other branch's certificate, in hexadecimal digits.
    certificate: String,
}

/// Looks whether `certificate` is of another branch than the one up to `tip`, and notes it; says whether
/// that is news.
pub(super) fn look(desk: &Desk, tip: &Tip, certificate: &Certificate) -> Result<bool, StoreError> {
    let record = &certificate.record;
    let next = record.round == tip.round + 1;
    let differs = if next { record.prev != tip.id } else { record.round <= tip.round };
    if !differs || record.round == 0 {
        return Ok(false);
    }
    let (round, theirs) = if next { (tip.round, record.prev) } else { (record.round, record.id()) };
    let Some(own) = desk.means.store.certificates(desk.run, round, 1)?.pop() else {
        return Ok(false);
    };
    let own = decoded(&own)?;
    let ours = own.record.id();
    let mut forks = known(desk)?;
    let full = forks.len() >= FORKS_MAX || forks.iter().any(|fork| fork.theirs == theirs);
    if ours == theirs || full || !is_certified(desk, certificate)? {
        return Ok(false);
    }
    let signers = |certificate: &Certificate| -> Vec<PublicKey> {
        certificate.precommits.iter().map(|precommit| precommit.steward).collect()
    };
    let here = signers(&own);
    let signed_both = signers(certificate).into_iter().filter(|key| here.contains(key)).collect();
    let certificate = hex::encode(certificate.to_bytes());
    forks.push(Fork { round, ours, theirs, signed_both, certificate });
    desk.means.store.keep_note(desk.run, 0, FORKS_NOTE, &forks)?;
    Ok(true)
}

fn known(desk: &Desk) -> Result<Vec<Fork>, StoreError> {
    Ok(desk.means.store.note(desk.run, 0, FORKS_NOTE)?.unwrap_or_default())
}

/// Whether the stewards of its round, as this branch knows them, certified it.
fn is_certified(desk: &Desk, certificate: &Certificate) -> Result<bool, StoreError> {
    let spec = desk.spec.value();
    let mut tip = Tip::start(desk.run, spec);
    let before = certificate.record.round.saturating_sub(1) as usize;
    for bytes in desk.means.store.certificates(desk.run, 1, before)? {
        match tip.after(&decoded(&bytes)?.record) {
            Ok(next) => tip = next,
            Err(_) => return Ok(false),
        }
    }
    Ok(certificate.check(spec, tip.roster.stewards()).is_ok())
}

/// The forks of a run that were noted, for people.
pub(super) fn views(desk: &Desk) -> Result<Vec<ForkView>, StoreError> {
    let view = |fork: Fork| {
        let Fork { round, ours, theirs, signed_both, .. } = fork;
        ForkView { round, ours, theirs, signed_both }
    };
    Ok(known(desk)?.into_iter().map(view).collect())
}
