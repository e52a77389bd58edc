//! Who is admitted, on whose word, and what an update of theirs weighs.

use super::*;
use crate::key::PublicKey;
use crate::run::{Admission, AdmissionSpec, Invitation, RunSpec};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn spec_with(who: Admission, probation_rounds: u32) -> Signed<RunSpec> {
    let mut plain = spec(&[key(1).public()]);
    plain.admission = AdmissionSpec { who, probation_rounds };
    Signed::sign(plain, &key(99))
}

fn commit_of(spec: &Signed<RunSpec>, seed: u8, invited_by: Option<u8>) -> Signed<UpdateCommit> {
    let tip = Tip::start(id_of(spec), spec.value());
    let made = made_up(&tip);
    let trainer = key(seed).public();
    let invitation = invited_by.map(|voucher| {
        let invitation = Invitation { run: id_of(spec), trainer };
        Signed::sign(invitation, &key(voucher)).bytes().to_vec().into()
    });
    let commit = UpdateCommit {
        run: id_of(spec),
        round: 1,
        base: tip.id,
        update: made.update,
        update_bytes: made.update_bytes,
        norm: made.norm,
        data: made.data,
        invitation,
        trace: None,
    };
    Signed::sign(commit, &key(seed))
}

fn weights(entries: &[Accepted]) -> std::collections::BTreeMap<PublicKey, u64> {
    entries.iter().map(|entry| (entry.trainer, entry.weight)).collect()
}

#[test]
fn a_newcomer_weighs_nothing_at_first_and_more_with_each_update_that_counts() {
    let spec = spec_with(Admission::Open, 2);
    let roster = Roster::start(spec.value());
    let old = commit_of(&spec, 2, None);
    let alone = roster.entries(spec.value(), 1, [&old]);
    assert_eq!(alone[0].weight, 5, "where all are on trial each counts in full");
    let mut roster = roster.after(&record_of(1, &alone, &[])).expect("it fits");
    let new = commit_of(&spec, 3, None);
    let mut seen = Vec::new();
    for round in 2..=5 {
        let entries = roster.entries(spec.value(), round, [&old, &new]);
        let weights = weights(&entries);
        seen.push((weights[&old.signer()], weights[&new.signer()]));
        roster = roster.after(&record_of(round, &entries, &[])).expect("it fits");
    }
    assert_eq!(seen, [(3, 0), (5, 3), (5, 5), (5, 5)]);
    let member = roster.member(&new.signer()).expect("known by now");
    assert_eq!((member.since, member.last, member.accepted), (2, 5, 4));
}

#[test]
fn an_invitation_opens_the_door_as_often_as_its_signer_may_vouch() {
    let who = Admission::Invited { trainers: vec![key(2).public()], vouches_max: 1 };
    let spec = spec_with(who, 1);
    let roster = Roster::start(spec.value());
    let admit = |seed, by| roster.admit(spec.value(), &commit_of(&spec, seed, by));
    assert_eq!(admit(2, None), Ok(None), "invited by the spec");
    assert_eq!(admit(1, None), Ok(None), "a steward");
    assert_eq!(admit(3, None), Err(RejectReason::NotInvited));
    assert_eq!(admit(3, Some(1)), Ok(Some(key(1).public())), "by a steward");
    assert_eq!(admit(3, Some(2)), Ok(Some(key(2).public())), "by a trainer that the spec invites");
    assert_eq!(admit(3, Some(4)), Err(RejectReason::NotInvited), "by a stranger");
    // Two at once by one voucher: the lower commit id comes in.
    let commits = [3, 4].map(|seed| commit_of(&spec, seed, Some(1)));
    let entries = roster.entries(spec.value(), 1, &commits);
    let first = commits.iter().map(commit_id).min().expect("there are two");
    assert_eq!(entries.iter().map(|entry| entry.commit).collect::<Vec<_>>(), [first]);
    let after = roster.after(&record_of(1, &entries, &[])).expect("it fits");
    let late = commit_of(&spec, 5, Some(1));
    assert_eq!(after.admit(spec.value(), &late), Err(RejectReason::VouchedOut));
    // Who came in may bring one in as well, once past probation.
    let new = entries[0].trainer;
    assert!(after.may_vouch(spec.value(), &new) && !roster.may_vouch(spec.value(), &new));
    assert_eq!(after.member(&new).and_then(|member| member.voucher), Some(key(1).public()));
}

#[test]
fn an_invitation_is_for_one_trainer_of_one_run() {
    let who = Admission::Invited { trainers: vec![key(2).public()], vouches_max: 8 };
    let (spec, other) = (spec_with(who.clone(), 0), spec_with(who, 1));
    let roster = Roster::start(spec.value());
    let stolen = commit_of(&spec, 3, Some(1)).value().invitation.clone();
    let elsewhere = commit_of(&other, 3, Some(1)).value().invitation.clone();
    let with = |seed, invitation: &Option<serde_bytes::ByteBuf>| {
        let plain = commit_of(&spec, seed, None).value().clone();
        Signed::sign(UpdateCommit { invitation: invitation.clone(), ..plain }, &key(seed))
    };
    assert!(roster.admit(spec.value(), &with(3, &stolen)).is_ok());
    let refused = Err(RejectReason::NotInvited);
    assert_eq!(roster.admit(spec.value(), &with(4, &stolen)), refused);
    assert_eq!(roster.admit(spec.value(), &with(3, &elsewhere)), refused);
}

#[test]
fn whoever_was_removed_is_out_until_readmitted() {
    let spec = spec_with(Admission::Open, 0);
    let commit = commit_of(&spec, 2, None);
    let change = |what| Change { what, cause: Cause::Motion, proof: FileHash::of(b"") };
    let start = Roster::start(spec.value());
    let remove = record_of(1, &[], &[change(What::Remove(commit.signer()))]);
    let removed = start.after(&remove).expect("it fits");
    assert_eq!(removed.admit(spec.value(), &commit), Err(RejectReason::Removed));
    assert!(!removed.welcomes(spec.value(), &commit.signer()));
    assert_eq!(removed.motions(), 1);
    let readmit = record_of(2, &[], &[change(What::Readmit(commit.signer()))]);
    let back = removed.after(&readmit).expect("it fits");
    assert_eq!(back.admit(spec.value(), &commit), Ok(None));
    assert_eq!(Roster::from_bytes(&back.to_bytes()), Ok(back));
}

#[test]
fn changes_that_do_not_fit_are_refused() {
    let spec = spec_with(Admission::Open, 0);
    let start = Roster::start(spec.value());
    let change = |what| Change { what, cause: Cause::Motion, proof: FileHash::of(b"") };
    let after = |changes: &[Change]| start.after(&record_of(1, &[], changes)).map(|_| ());
    let (steward, node) = (key(1).public(), key(2).public());
    let last = after(&[change(What::Dismiss(steward))]);
    assert_eq!(last, Err(RosterError::Unfit), "the last steward stays");
    assert_eq!(after(&[change(What::Appoint(steward))]), Err(RosterError::Unfit));
    assert_eq!(after(&[change(What::Readmit(node))]), Err(RosterError::Unfit));
    let (appoint, remove) = (change(What::Appoint(node)), change(What::Remove(node)));
    assert_eq!(after(&[appoint, remove]), Err(RosterError::Motions));
    assert_eq!(after(&[remove, appoint]), Err(RosterError::Order));
    assert_eq!(after(&[appoint]), Ok(()));
}
