//! Audits of work: who looks at whom, and what becomes of what they say.

use super::*;
use crate::key::PublicKey;
use crate::limits::AUDIT_ROUNDS_MAX;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn report_on(record: &RoundRecord, assignment: &Assignment, after_micro: u64) -> Report {
    let Audited { round, commit, holdout, retraining, .. } =
        looked_at(record, assignment, after_micro);
    let (run, record) = (record.run, record.id());
    Report { run, round, record, commit, holdout, retraining }
}

fn naming_one(reported: Reported) -> Findings {
    Findings { alike: vec![], reports: vec![reported] }
}

fn signed(report: Report, auditor: PublicKey) -> Signed<Report> {
    let secret = (0..=255).map(key).find(|key| key.public() == auditor).expect("a small seed");
    Signed::sign(report, &secret)
}

#[test]
fn everyone_draws_the_same_auditors_and_nobody_draws_itself() {
    let entries: Vec<Accepted> = (1..=20).map(|seed| accepted(seed, 5, seed > 17)).collect();
    let mut looked_at = std::collections::BTreeSet::new();
    for round in 1..=40 {
        let record = record_of(round, &entries, &[]);
        let drawn = assignments(&record, 6);
        assert_eq!(drawn, assignments(&record.clone(), 6));
        assert_eq!(drawn.len(), 6);
        for assignment in &drawn {
            assert_ne!(assignment.auditor, assignment.update.trainer);
            assert!(!assignment.update.late, "a late one has another base");
            let control = assignment.control.as_ref().expect("there are twenty");
            assert!(![assignment.auditor, assignment.update.trainer].contains(&control.trainer));
            assert_eq!(assignment.share_micro, 50_000);
            assert!(assignment.segment(8) < Some(8));
            assert_eq!(assignment.segment(0), None);
            looked_at.insert(assignment.update.trainer);
        }
    }
    assert_eq!(looked_at.len(), 17, "all that are in time come up");
    let on_trial = [accepted(1, 0, false), accepted(2, 5, false)];
    let drawn = assignments(&record_of(1, &on_trial, &[]), 6);
    let who: Vec<_> = drawn.iter().map(|drawn| (drawn.auditor, drawn.update.trainer)).collect();
    assert_eq!(who, [(key(2).public(), key(1).public())], "whoever is on trial judges nobody");
    assert_eq!((drawn[0].share_micro, &drawn[0].control), (500_000, &None));
    assert!(assignments(&record_of(1, &[accepted(1, 5, false)], &[]), 6).is_empty());
    assert!(assignments(&record_of(1, &entries, &[]), 0).is_empty());
}

#[test]
fn a_report_counts_only_as_what_it_is() {
    let entries = [accepted(1, 5, false), accepted(2, 5, false), accepted(3, 5, false)];
    let record = record_of(4, &entries, &[]);
    let drawn = assignments(&record, 2);
    let report = report_on(&record, &drawn[0], 9_000);
    let good = signed(report.clone(), drawn[0].auditor);
    let reported = Reported::of(&good, &record, 2).expect("it is asked for");
    assert_eq!((reported.passed, reported.matched), (Some(true), None));
    assert_eq!(reported.trainer, drawn[0].update.trainer);

    let refused = |report: Report, by| Reported::of(&signed(report, by), &record, 2).err();
    let auditor = drawn[0].auditor;
    let idle = entries.iter().map(|entry| entry.trainer);
    let idle = idle.clone().find(|node| drawn.iter().all(|drawn| drawn.auditor != *node));
    let unasked = Some(ReportError::Unasked);
    assert_eq!(refused(report.clone(), idle.expect("two of three look")), unasked);
    let other = entries.iter().find(|entry| entry.commit != drawn[0].update.commit);
    let other = Report { commit: other.expect("there are three").commit, ..report.clone() };
    assert_eq!(refused(other, auditor), unasked);
    let of_another = Report { record: crate::RoundId::of(b"other"), ..report.clone() };
    assert_eq!(refused(of_another, auditor), Some(ReportError::Record));
    let segment = drawn[0].segment(8).expect("there are eight");
    let retrained = |segment, outcome| Report {
        retraining: Some(Retraining { segments: 8, segment, outcome }),
        holdout: None,
        ..report.clone()
    };
    let chosen = retrained((segment + 1) % 8, Outcome::Distance(0));
    assert_eq!(refused(chosen, auditor), Some(ReportError::Segment));
    for (outcome, matched) in [
        (Outcome::Distance(0), true),
        (Outcome::Distance(50_000), true),
        (Outcome::Distance(50_001), false),
        (Outcome::Withheld, false),
        (Outcome::Unlike, false),
    ] {
        let report = signed(retrained(segment, outcome), auditor);
        let reported = Reported::of(&report, &record, 2).expect("it is asked for");
        assert_eq!((reported.passed, reported.matched), (None, Some(matched)), "{outcome:?}");
    }
}

#[test]
fn what_auditors_find_is_certified_with_the_next_round_and_stands_in_the_roster() {
    let spec = run_of(&[1]);
    let mut nodes: Vec<Node> = (1..=4).map(|seed| Node::new(&spec, seed)).collect();
    let mut said: Vec<RunMessage> = nodes[1..]
        .iter_mut()
        .flat_map(|node| node.give(0, Input::Participate { joined: true, said_ms: 1 }))
        .collect();
    // All are heard before the first commit, so that the round waits for all.
    said.sort_by_key(|message| !matches!(message, RunMessage::Presence(_)));
    settle(&mut nodes, 0, said);
    assert!(nodes.iter().all(|node| node.round.is_finished()));
    let records: Vec<&RoundRecord> =
        nodes[0].certified.iter().map(|certificate| &certificate.record).collect();
    assert!(records[0].found.reports.is_empty(), "there was nothing to look at before");
    let reports: Vec<Reported> =
        records.iter().flat_map(|record| record.found.reports.clone()).collect();
    assert!(!reports.is_empty());
    let (roster, mut evaluated) = (&nodes[0].round.tip().roster, 0);
    for member in roster.members() {
        let about = |report: &&Reported| report.trainer == member.trainer;
        let (audits, count) = (member.audits, reports.iter().filter(about).count() as u64);
        assert_eq!((audits.evaluated, audits.passed, audits.retrained), (count, count, 0));
        evaluated += count;
    }
    assert_eq!(evaluated, reports.len() as u64);
}

#[test]
fn an_auditor_is_counted_once_a_round_and_not_for_ever_after() {
    let entries = [accepted(1, 5, false), accepted(2, 5, false)];
    let first = record_of(1, &entries, &[]);
    let start = Roster::of(vec![key(9).public()]).after(&first).expect("it fits");
    let drawn = &assignments(&first, 2)[0];
    let report = signed(report_on(&first, drawn, 12_000), drawn.auditor);
    let reported = Reported::of(&report, &first, 2).expect("it is asked for");
    let naming = |round| RoundRecord { found: naming_one(reported), ..record_of(round, &[], &[]) };
    let after = start.after(&naming(2)).expect("it is due");
    let member = after.member(&reported.trainer).expect("it counted");
    assert_eq!((member.audits.evaluated, member.audits.passed), (1, 0), "it raised the loss");
    assert_eq!(after.after(&naming(3)), Err(RosterError::Report), "it was counted");
    assert_eq!(start.after(&naming(1)), Err(RosterError::Report), "of the round itself");
    assert!(start.after(&naming(1 + AUDIT_ROUNDS_MAX)).is_ok());
    assert_eq!(start.after(&naming(2 + AUDIT_ROUNDS_MAX)), Err(RosterError::Report), "too old");
    let stranger = Reported { auditor: key(8).public(), ..reported };
    let by_stranger = RoundRecord { found: naming_one(stranger), ..record_of(2, &[], &[]) };
    assert_eq!(start.after(&by_stranger), Err(RosterError::Report));
}

#[test]
fn whoever_is_like_another_is_counted_once_a_round() {
    let entries: Vec<Accepted> = (1..=3).map(|seed| accepted(seed, 5, false)).collect();
    let alike = |one: usize, other: usize| {
        let [one, other] = [one, other].map(|at| entries[at].commit);
        Alike { one, other, cosine_milli: 990 }
    };
    let found = Findings { alike: vec![alike(0, 1), alike(0, 2)], reports: vec![] };
    let record = RoundRecord { found, ..record_of(1, &entries, &[]) };
    let after = Roster::of(vec![key(9).public()]).after(&record).expect("it fits");
    assert!(after.members().iter().all(|member| member.alike == 1));
}

#[test]
fn a_rise_that_is_noise_is_no_harm() {
    let holdout = |before_micro, after_micro, control_micro| Holdout {
        samples_root: FileHash::of(b"samples"),
        samples: 3,
        before_micro,
        after_micro,
        control_micro,
    };
    assert!(holdout(500, 400, None).passed());
    assert!(holdout(500, 1_499, None).passed(), "less than a thousandth of a nat");
    assert!(!holdout(500, 1_500, None).passed());
    assert!(!holdout(500, 1_500, Some(1_499)).passed());
    assert!(holdout(500, 1_500, Some(1_500)).passed(), "no more than another");
    assert!(holdout(u64::MAX, u64::MAX - 1, None).passed());
}
