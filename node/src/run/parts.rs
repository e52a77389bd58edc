//! Who comes into a run and who leaves it by somebody's word: invitations and motions.
//!
//! Invariants: an invitation is verified before it is kept, and given only by those whose word counts; a
//! motion is durable before it is answered. What it is not: admission itself (see `protocol::round`).

use protocol::round::{Roster, What};
use protocol::run::{Admission, Invitation};
use protocol::{PublicKey, RunId, Signed};

use super::book::{RunBook, RunError};
use super::desk::Desk;
use super::driver::Driver;

/// The note under which it is kept that this node follows a run, at round 0.
pub(super) const FOLLOWS_NOTE: &str = "follows";
/// The note under which it is kept whether this node shows its work, at round 0.
pub(super) const SHOWS_NOTE: &str = "shows";
/// The note under which this node's invitation is kept, at round 0, in hexadecimal digits.
pub(super) const INVITATION_NOTE: &str = "invitation";

/// The envelope of an invitation for `node` to `run`, from its text.
pub(super) fn read_invitation(
    text: &str,
    run: RunId,
    node: PublicKey,
) -> Result<Vec<u8>, RunError> {
    let wrong = |why: &str| RunError::Invitation(why.into());
    let envelope =
        hex::decode(text.trim()).map_err(|_| wrong("not one that this program wrote"))?;
    let opened = Signed::<Invitation>::open(&envelope);
    let invitation = opened.map_err(|error| RunError::Invitation(format!("damaged: {error}")))?;
    if invitation.value().run != run {
        return Err(wrong("for another run"));
    }
    if invitation.value().trainer != node {
        return Err(wrong("for another node"));
    }
    Ok(envelope)
}

impl RunBook {
    /// This node's invitation to a run, if it has one.
    pub(super) fn invitation(&self, run: RunId) -> Result<Option<Vec<u8>>, RunError> {
        let text: Option<String> = self.means.store.note(run, 0, INVITATION_NOTE)?;
        Ok(text.and_then(|text| hex::decode(text).ok()))
    }

    /// Whether this node may train in a run.
    pub(super) fn check_welcome(
        &self,
        desk: &Desk,
        roster: &Roster,
        invited: bool,
    ) -> Result<(), RunError> {
        let node = self.key.public();
        if roster.member(&node).is_some_and(|member| member.removed) {
            return Err(RunError::Removed);
        }
        if invited || roster.welcomes(desk.spec.value(), &node) {
            return Ok(());
        }
        Err(RunError::NotInvited { run: desk.spec.value().name.clone(), node })
    }

    /// The driver of a run in which something can still change.
    async fn follow_unfinished(&self, run: RunId) -> Result<Driver, RunError> {
        let driver = self.follow(run).await?;
        let snapshot = driver.snapshot().await.ok_or(RunError::Stopped)?;
        if snapshot.finished { Err(RunError::Finished) } else { Ok(driver) }
    }

    /// An invitation to a run for `trainer`, as text, by this node.
    pub(crate) async fn invite(&self, run: RunId, trainer: PublicKey) -> Result<String, RunError> {
        let driver = self.follow_unfinished(run).await?;
        let (spec, roster) = (driver.desk().spec.value(), driver.roster());
        let Admission::Invited { vouches_max, .. } = &spec.admission.who else {
            return Err(RunError::Open);
        };
        let me = self.key.public();
        if !roster.may_vouch(spec, &me) {
            return Err(RunError::NoVoucher);
        }
        if roster.vouched(&me) >= *vouches_max as usize {
            return Err(RunError::VouchedOut(*vouches_max));
        }
        if trainer == me {
            return Err(RunError::Unfit("nobody vouches for itself"));
        }
        let invitation = Signed::sign(Invitation { run, trainer }, &self.key);
        Ok(hex::encode(invitation.bytes()))
    }

    /// Moves, as a steward of the run, that something changes.
    pub(crate) async fn moves(&self, run: RunId, what: What) -> Result<Driver, RunError> {
        let driver = self.follow_unfinished(run).await?;
        let roster = driver.roster();
        if !roster.is_steward(&self.key.public()) {
            return Err(RunError::NoSteward);
        }
        if !roster.takes(what) {
            return Err(RunError::Unfit(match what {
                What::Appoint(_) => "it is a steward already, or there are as many as there may be",
                What::Dismiss(_) => "it is no steward, or the only one",
                What::Remove(_) => "it is removed already",
                What::Readmit(_) => "it was not removed",
            }));
        }
        match driver.moves(what).await {
            Some(true) => Ok(driver),
            Some(false) => Err(RunError::Unfit("this node has too many motions open")),
            None => Err(RunError::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::SecretKey;

    use super::*;

    #[test]
    fn an_invitation_is_read_whole_and_for_this_node_and_run() {
        let [voucher, node, other] = [1, 2, 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let run = RunId::of(b"run");
        let invitation = Signed::sign(Invitation { run, trainer: node.public() }, &voucher);
        let text = hex::encode(invitation.bytes());
        let said = |text: &str, run, node: &SecretKey| {
            read_invitation(text, run, node.public()).map_err(|error| error.to_string())
        };
        assert_eq!(said(&format!(" {text}\n"), run, &node), Ok(invitation.bytes().to_vec()));
        assert!(said(&text, run, &other).unwrap_err().contains("another node"));
        assert!(said(&text, RunId::of(b"other"), &node).unwrap_err().contains("another run"));
        assert!(said(&text[2..], run, &node).unwrap_err().contains("damaged"));
        assert!(said("come in", run, &node).unwrap_err().contains("not one"));
    }
}
