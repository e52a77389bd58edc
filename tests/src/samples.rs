//! One valid message of each kind that a run's nodes exchange, for the kept corpus.
//!
//! Invariants: every call gives the same bytes. What it is not: a run; nothing of it was trained.

use consent::{Policy, Silence};
use protocol::aggregate::{Outer, Rule};
use protocol::round::{
    Accepted, Certificate, DataCommit, Phase, Proposal, RejectReason, Rejected, RoundRecord,
    RunMessage, UpdateCommit, Vote, commit_id,
};
use protocol::run::{
    Admission, AggregateSpec, ConsentSpec, LocalSpec, ModelSpec, RoundSpec, RunSpec, Work, genesis,
    run_id,
};
use protocol::update::{Encoding, Update, UpdateForm};
use protocol::{CommitId, FileHash, Frontier, PublicKey, SecretKey, Signed, codec};

/// Parameters of the model.
const PARAMETERS: usize = 300;

/// Samples with the names of the decoders that take them.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let key = SecretKey::from_seed(&[1; 32]);
    let policy = Policy { default: Silence::OptOut, ..Policy::default() };
    let spec = Signed::sign(plain_spec(vec![key.public()], &policy), &key);
    let run = run_id(&spec);
    let data = DataCommit {
        used_root: FileHash::of(b"used"),
        used: 3,
        excluded_root: FileHash::of(b"excluded"),
        excluded: 1,
        frontier: Frontier::default().id(),
        policy: spec.value().consent.policy_hash(),
    };
    let (base, update) = (genesis(run), FileHash::of(b"update"));
    let commit = UpdateCommit { run, round: 1, base, update, update_bytes: 334, data };
    let commit = Signed::sign(commit, &key);
    let record = RoundRecord {
        run,
        round: 1,
        prev: base,
        model_in: spec.value().model.weights,
        accepted: vec![Accepted {
            commit: commit_id(&commit),
            trainer: key.public(),
            update,
            weight: 3,
        }],
        rejected: vec![Rejected {
            commit: CommitId::of(b"other"),
            trainer: key.public(),
            reason: RejectReason::Duplicate,
        }],
        frontier: Frontier::default().id(),
        model_out: FileHash::of(b"model"),
        outer_out: FileHash::of(b"state"),
        step: Some(FileHash::of(b"step")),
    };
    let vote =
        Vote { run, round: 1, attempt: 0, phase: Phase::Precommit, record: Some(record.id()) };
    let vote = Signed::sign(vote, &key);
    let precommits = vec![serde_bytes::ByteBuf::from(vote.bytes().to_vec())];
    let certificate = Certificate { record: record.clone(), precommits };
    let proposal = Proposal { attempt: 2, proven: Some(1), record: record.clone() };
    let proposal = Signed::sign(proposal, &key);
    let mut samples = vec![
        ("run_spec", spec.bytes().to_vec()),
        ("commit", commit.bytes().to_vec()),
        ("round_record", codec::encode(&record)),
        ("certificate", certificate.to_bytes()),
        ("proposal", proposal.bytes().to_vec()),
        ("vote", vote.bytes().to_vec()),
        ("wire", RunMessage::Certificate(certificate).to_wire(run, 7).to_bytes()),
        ("wire", RunMessage::Proposal(proposal).to_wire(run, 0).to_bytes()),
    ];
    let encodings = [
        (Encoding::Int8, 0),
        (Encoding::TopK { per_chunk: 49 }, 5),
        (Encoding::Sign, 2),
        (Encoding::MaxOf { group: 8 }, 11),
    ];
    for (encoding, first) in encodings {
        let form = UpdateForm { encoding, parameters: PARAMETERS };
        let delta: Vec<f32> = (0..PARAMETERS).map(|at| (at as f32).sin() * 0.1).collect();
        let update = Update::make(&form, key.public(), &delta, &mut [0.0; PARAMETERS]);
        samples.push(("update", [&[first], update.bytes()].concat()));
    }
    samples
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
        admission: Admission::Open,
        rounds: RoundSpec { count: 3, updates_min: 1, train_ms: 60_000, agree_ms: 1_000 },
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
