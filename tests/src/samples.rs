//! One valid message of each kind that a run's nodes exchange, for the kept corpus.
//!
//! Invariants: every call gives the same bytes. What it is not: a run; nothing of it was trained.

use consent::{Policy, Silence};
use protocol::aggregate::{Outer, Rule};
use protocol::exchange::Whereabouts;
use protocol::round::{
    Accepted, Alike, Cause, Certificate, Change, DataCommit, Equivocation, Findings, Holdout,
    Motion, Outcome, Partial, Parts, Phase, Precommit, Proposal, RejectReason, Rejected, Report,
    Reported, Resolution, Retraining, Roster, RoundRecord, RunMessage, Slate, Sliced, Trace,
    UpdateCommit, Vote, What, commit_id, slate_list,
};
use protocol::run::{
    Admission, AdmissionSpec, AggregateSpec, ConsentSpec, Invitation, LocalSpec, ModelSpec,
    Presence, RoundSpec, RunSpec, Work, genesis, run_id,
};
use protocol::update::{Encoding, Update, UpdateForm};
use protocol::{CommitId, FileHash, Frontier, PublicKey, RoundId, RunId, SecretKey, Signed, codec};

/// Parameters of the model.
const PARAMETERS: usize = 300;

/// Samples with the names of the decoders that take them.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let key = SecretKey::from_seed(&[1; 32]);
    let policy = Policy { default: Silence::OptOut, ..Policy::default() };
    let spec = Signed::sign(plain_spec(vec![key.public()], &policy), &key);
    let run = run_id(&spec);
    let commit = commit(&spec, &key);
    let record = record(&spec, &commit);
    let vote =
        Vote { run, round: 1, attempt: 0, phase: Phase::Precommit, record: Some(record.id()) };
    let vote = Signed::sign(vote, &key);
    let signature = serde_bytes::ByteArray::new(*vote.signature());
    let precommits = vec![Precommit { steward: key.public(), signature }];
    let certificate = Certificate { record: record.clone(), attempt: 0, precommits };
    let proposal = Proposal { attempt: 2, proven: Some(1), record: record.clone() };
    let proposal = Signed::sign(proposal, &key);
    let messages = vec![
        ("run_spec", spec.bytes().to_vec()),
        ("commit", commit.bytes().to_vec()),
        ("round_record", codec::encode(&record)),
        ("certificate", certificate.to_bytes()),
        ("proposal", proposal.bytes().to_vec()),
        ("vote", vote.bytes().to_vec()),
        ("wire", RunMessage::Certificate(certificate).to_wire(run, 7).to_bytes()),
        ("wire", RunMessage::Proposal(proposal).to_wire(run, 0).to_bytes()),
    ];
    messages.into_iter().chain(updates(&key)).chain(parts(&spec, &record, &vote, &key)).collect()
}

fn commit(spec: &Signed<RunSpec>, key: &SecretKey) -> Signed<UpdateCommit> {
    let data = DataCommit {
        used_root: FileHash::of(b"used"),
        used: 3,
        excluded_root: FileHash::of(b"excluded"),
        excluded: 1,
        frontier: Frontier::default().id(),
        policy: spec.value().consent.policy_hash(),
    };
    let run = run_id(spec);
    let commit = UpdateCommit {
        run,
        round: 1,
        base: genesis(run),
        update: FileHash::of(b"update"),
        update_bytes: 334,
        norm: 1 << 33,
        data,
        invitation: Some(vec![1, 2, 3].into()),
        trace: Some(FileHash::of(b"trace")),
    };
    Signed::sign(commit, key)
}

fn other(seed: u8) -> PublicKey {
    SecretKey::from_seed(&[seed; 32]).public()
}

fn record(spec: &Signed<RunSpec>, commit: &Signed<UpdateCommit>) -> RoundRecord {
    let run = run_id(spec);
    let (what, proof) = (What::Appoint(other(3)), FileHash::of(b"proof"));
    RoundRecord {
        run,
        round: 1,
        prev: genesis(run),
        model_in: spec.value().model.weights,
        accepted: vec![Accepted {
            commit: commit_id(commit),
            trainer: commit.signer(),
            update: commit.value().update,
            norm: commit.value().norm,
            weight: 3,
            late: true,
            voucher: Some(other(2)),
        }],
        rejected: vec![Rejected {
            commit: CommitId::of(b"other"),
            trainer: commit.signer(),
            reason: RejectReason::Duplicate,
        }],
        frontier: Frontier::default().id(),
        model_out: FileHash::of(b"model"),
        outer_out: FileHash::of(b"state"),
        step: Some(FileHash::of(b"step")),
        found: Findings {
            alike: vec![Alike {
                one: CommitId::of(b"one"),
                other: CommitId::of(b"other"),
                cosine_milli: 987,
            }],
            reports: vec![Reported {
                round: 1,
                auditor: other(4),
                trainer: other(5),
                report: FileHash::of(b"report"),
                passed: Some(true),
                matched: None,
            }],
        },
        parts: Parts {
            changes: vec![Change { what, cause: Cause::Motion, proof }],
            roster: FileHash::of(b"roster"),
        },
    }
}

/// Updates, one of each encoding; the first byte tells the fuzzer which.
fn updates(key: &SecretKey) -> Vec<(&'static str, Vec<u8>)> {
    let encodings = [
        (Encoding::Int8, 0),
        (Encoding::TopK { per_chunk: 49 }, 5),
        (Encoding::Sign, 2),
        (Encoding::MaxOf { group: 8 }, 11),
    ];
    let sample = |(encoding, first): (Encoding, u8)| {
        let form = UpdateForm { encoding, parameters: PARAMETERS };
        let delta: Vec<f32> = (0..PARAMETERS).map(|at| (at as f32).sin() * 0.1).collect();
        let update = Update::make(&form, key.public(), &delta, &mut [0.0; PARAMETERS]);
        ("update", [&[first], update.bytes()].concat())
    };
    encodings.into_iter().map(sample).collect()
}

/// What is said of who has which part.
fn parts(
    spec: &Signed<RunSpec>,
    record: &RoundRecord,
    vote: &Signed<Vote>,
    key: &SecretKey,
) -> Vec<(&'static str, Vec<u8>)> {
    let run = run_id(spec);
    let motion = Signed::sign(Motion { run, serial: 4, what: What::Dismiss(other(3)) }, key);
    let invitation = Signed::sign(Invitation { run, trainer: other(3) }, key);
    let roster = Roster::start(spec.value());
    let (rejected, found) = (vec![], Findings::default());
    let record = RoundRecord { rejected, found, ..record.clone() };
    let roster = roster.after(&record).expect("it fits");
    vec![
        ("motion", motion.bytes().to_vec()),
        ("resolution", Resolution::new([&motion]).to_bytes()),
        ("invitation", invitation.bytes().to_vec()),
        ("equivocation", equivocation(vote, key)),
        ("roster", roster.to_bytes()),
        ("report", report(run, key).bytes().to_vec()),
        ("trace", trace().to_bytes()),
        ("slate_list", slate_list(&record.accepted)),
        ("slate", slate(run, key).bytes().to_vec()),
        ("partial", partial(run, key).bytes().to_vec()),
        ("whereabouts", whereabouts().to_bytes()),
        ("presence", presence(run, key).bytes().to_vec()),
    ]
}

fn presence(run: RunId, key: &SecretKey) -> Signed<Presence> {
    let addresses = vec!["192.0.2.1:4001".into()];
    Signed::sign(Presence { run, joined: true, said_ms: 1_700_000_000_000, addresses }, key)
}

fn slate(run: RunId, key: &SecretKey) -> Signed<Slate> {
    let (base, list) = (RoundId::of(b"record"), FileHash::of(b"list"));
    Signed::sign(Slate { run, round: 2, base, list }, key)
}

fn partial(run: RunId, key: &SecretKey) -> Signed<Partial> {
    let [norms, step, state] = [b"norms", b"steps", b"state"].map(|bytes| FileHash::of(bytes));
    let slices = [3, 7].map(|slice| Sliced { slice, norms, step, state }).to_vec();
    let (base, slate) = (RoundId::of(b"record"), FileHash::of(b"list"));
    Signed::sign(Partial { run, round: 2, base, slate, slices }, key)
}

fn whereabouts() -> Whereabouts {
    let addresses = vec!["192.0.2.1:4001".into(), "[2001:db8::1]:4001".into()];
    Whereabouts { node: other(3), addresses }
}

fn report(run: RunId, key: &SecretKey) -> Signed<Report> {
    let samples_root = FileHash::of(b"samples");
    let holdout = Holdout {
        samples_root,
        samples: 7,
        before_micro: 900,
        after_micro: 800,
        control_micro: Some(850),
    };
    let outcome = Outcome::Distance(12);
    let report = Report {
        run,
        round: 3,
        record: RoundId::of(b"record"),
        commit: CommitId::of(b"commit"),
        holdout: Some(holdout),
        retraining: Some(Retraining { segments: 8, segment: 5, outcome }),
    };
    Signed::sign(report, key)
}

fn trace() -> Trace {
    Trace {
        rows: FileHash::of(b"rows"),
        residual: Some(FileHash::of(b"residual")),
        segment_steps: 25,
        states: vec![FileHash::of(b"one"), FileHash::of(b"two")],
    }
}

/// Two votes of one steward in one place, in the order that counts.
fn equivocation(vote: &Signed<Vote>, key: &SecretKey) -> Vec<u8> {
    let other = Signed::sign(Vote { record: None, ..vote.value().clone() }, key);
    let mut pair = [vote.bytes().to_vec(), other.bytes().to_vec()];
    pair.sort();
    let [one, other] = pair;
    Equivocation::Votes(one, other).to_bytes()
}

/// A run of these stewards, sorted, that passes every check.
pub fn plain_spec(stewards: Vec<PublicKey>, policy: &Policy) -> RunSpec {
    RunSpec {
        name: "digits".into(),
        model: ModelSpec {
            weights: FileHash::of(b"weights"),
            weights_bytes: 1_300,
            parameters: PARAMETERS as u64,
            config: FileHash::of(b"{}"),
            repo: "digits".into(),
            held_out: None,
        },
        stewards,
        admission: AdmissionSpec { who: Admission::Open, probation_rounds: 2 },
        rounds: RoundSpec {
            count: 3,
            updates_min: 1,
            train_ms: 60_000,
            agree_ms: 1_000,
            audits: 2,
            slices: 1,
        },
        aggregate: AggregateSpec {
            update: Encoding::TopK { per_chunk: 64 },
            step: Some(Encoding::Int8),
            norm_max_milli: 1_000_000,
            rule: Rule::CentredClip { bucket: 2, iterations: 3 },
            outer: Outer::Nesterov { rate_milli: 700, momentum_milli: 900 },
        },
        local: LocalSpec {
            work: Work::Steps(100),
            batch_size: 32,
            learning_rate_micro: 50_000,
            momentum_micro: 0,
            weight_max: 12,
        },
        consent: ConsentSpec { policy: policy.to_bytes(), frontier: Frontier::default().id() },
        created_ms: 1,
    }
}
