//! Every kind of proof, made by the code that makes them and checked by a program that has none of it:
//! `docs/verify.py`.
//!
//! Invariants: each proof is taken as it is and refused with any bit flipped, by both, and also where
//! whoever flipped the bit made the file's sum anew. The Python half needs `ACCORD_OUTSIDE_PYTHON`
//! (see `.ci/run`) and says so where it is skipped. What it is not: a test of how a node gets proofs.

use std::fs;
use std::path::Path;
use std::process::Command;

use consent::ledger::forked_head;
use consent::proof::{
    AbsenceProof, BoundProof, DataProof, ExcludedProof, MemberProof, Proof, RecordProof,
    RoundProof, Shown, Unused,
};
use consent::subject_map::{SubjectMap, said_by};
use consent::{
    Collection, Denial, DenialReason, Identity, Policy, Record, Statement, Subject, Use,
    commit_data, head_at, record_id,
};
use protocol::log::audit::prove_inclusion;
use protocol::log::map::root_line;
use protocol::log::policy::TrustPolicy;
use protocol::log::proof::LogProof;
use protocol::log::tree::{HashSource, root};
use protocol::log::vkey::Algorithm;
use protocol::log::{Checkpoint, SignedCheckpoint, SigningKey, TreeHash, cosignature};
use protocol::round::{
    Accepted, Cause, Certificate, Change, DataCommit, Findings, Parts, Phase, Precommit,
    RoundRecord, UpdateCommit, Vote, What, commit_id,
};
use protocol::run::{ModelSpec, RunSpec, genesis, run_id};
use protocol::{
    ContentId, FeedHead, FileHash, Frontier, PublicKey, RecordId, SecretKey, Signed, codec, merkle,
};
use tests::samples::plain_spec;

/// Of so many bits one is also flipped with the sum made anew; an odd number meets all of a byte's.
const MENDED: usize = 11;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn work(n: u8) -> ContentId {
    ContentId::of(&[n])
}

/// A feed: its genesis and three statements.
fn feed(seed: u8) -> Vec<Signed<Record>> {
    let me = Identity::new(key(seed), key(seed + 100), 0);
    let genesis = me.genesis(0).expect("genesis");
    let statements: Vec<Statement> =
        (0..3).flat_map(|n| Statement::deny(&[Use::TrainOther]).over([work(n)])).collect();
    let mut records = me.statements(&head_at(&genesis), &statements).expect("statements");
    records.insert(0, genesis);
    records
}

struct Hashes(Vec<TreeHash>);

impl HashSource for Hashes {
    type Error = std::convert::Infallible;
    fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Self::Error> {
        let start = (index << level) as usize;
        Ok(root(self.0[start..start + (1 << level)].iter().copied()))
    }
}

/// A log over two feeds, cosigned by two witnesses.
struct Log {
    records: Vec<Signed<Record>>,
    map: SubjectMap,
    checkpoint: SignedCheckpoint,
    policy: String,
}

impl Log {
    fn new() -> Self {
        let records = [feed(1), feed(2)].concat();
        let mut map = SubjectMap::default();
        for record in &records {
            if let Some((id, keys)) = said_by(record.bytes()) {
                map.add(id, &keys).expect("room");
            }
        }
        let named = |name: &str, algorithm, seed| {
            SigningKey::new(name, algorithm, key(seed)).expect("a name")
        };
        let log = named("log.example/2026", Algorithm::Ed25519, 50);
        let size = records.len() as u64;
        let tree = root(records.iter().map(|record| TreeHash::of_entry(record.bytes())));
        let lines = vec![root_line(&map.root())];
        let checkpoint = Checkpoint::new("log.example/2026", size, tree, lines).expect("lines");
        let mut checkpoint = checkpoint.sign(&[&log]).expect("signed");
        let mut policy = format!("log {}\n", log.public());
        for at in 1..=2u8 {
            let witness = named(&format!("witness.example/{at}"), Algorithm::Cosignature, 60 + at);
            let line = cosignature::sign(checkpoint.checkpoint(), &witness, 1_800_000_000)
                .expect("cosigned")
                .to_string();
            let keys = [witness.public().clone()];
            assert_eq!(checkpoint.add_cosignatures(&line, &keys), Ok(1));
            policy += &format!("witness w{at} {}\n", witness.public());
        }
        policy += "group both all w1 w2\nquorum both\n";
        Self { records, map, checkpoint, policy }
    }

    fn record(&self, index: usize) -> Proof {
        let leaves = self.records.iter().map(|record| TreeHash::of_entry(record.bytes()));
        let hashes = Hashes(leaves.collect());
        let size = self.records.len() as u64;
        let Ok(path) = prove_inclusion(index as u64, size, &hashes) else { panic!("an entry") };
        let note = self.checkpoint.note().clone();
        let log = LogProof::new(index as u64, path, note, Vec::new()).expect("a proof");
        Proof::Record(RecordProof::new(self.records[index].bytes(), &log))
    }

    fn absent(&mut self, content: ContentId) -> Proof {
        let subject = Subject::Content(content);
        let (_, proof) = self.map.prove(&subject);
        Proof::Absent(AbsenceProof::new(&subject, &proof, &self.checkpoint.note().to_bytes()))
    }
}

/// A certified round with one trainer's commit.
struct Round {
    spec: Signed<RunSpec>,
    commit: Signed<UpdateCommit>,
    certificate: Vec<u8>,
    handover: Vec<u8>,
    handed_over: Vec<u8>,
    frontier: Frontier,
    used: Vec<ContentId>,
    denials: Vec<Denial>,
}

impl Round {
    fn new(frontier: Frontier) -> Self {
        let stewards = [3u8, 4, 5].map(key);
        let policy = Policy::default();
        let spec = Signed::sign(spec(stewards.iter().map(SecretKey::public), &policy), &key(6));
        let run = run_id(&spec);
        let used: Vec<ContentId> = (10..17).map(work).collect();
        let denial = |n: u8, records| Denial {
            work: work(n),
            about: Use::TrainOther,
            reason: DenialReason::Denied,
            records,
            found: None,
        };
        let mine = record_id(&feed(1)[1]);
        let denials = vec![denial(0, vec![mine]), denial(1, vec![]), denial(2, vec![mine])];
        let data = commit_data(&used, &denials, frontier.id(), &policy);
        let commit = UpdateCommit {
            run,
            round: 1,
            base: genesis(run),
            update: FileHash::of(b"update"),
            update_bytes: 6,
            norm: 1,
            data,
            invitation: None,
            trace: None,
        };
        let commit = Signed::sign(commit, &key(7));
        let accepted = vec![Accepted {
            commit: commit_id(&commit),
            trainer: key(7).public(),
            update: FileHash::of(b"update"),
            norm: 1,
            weight: 7,
            late: false,
            voucher: None,
        }];
        let record = RoundRecord {
            run,
            round: 1,
            prev: genesis(run),
            model_in: FileHash::of(b"in"),
            accepted,
            rejected: vec![],
            frontier: frontier.id(),
            model_out: FileHash::of(b"out"),
            outer_out: FileHash::of(b"outer"),
            step: None,
            found: Findings::default(),
            parts: Parts { changes: vec![], roster: FileHash::of(b"roster") },
        };
        let certificate = certify(record.clone(), &stewards);
        // The same a round later, when one of the stewards has left and another come.
        let change = |what| Change { what, cause: Cause::Motion, proof: FileHash::of(b"proof") };
        let (left, came) = (key(5).public(), key(9).public());
        let changes = vec![change(What::Appoint(came)), change(What::Dismiss(left))];
        let handover = certify(
            RoundRecord { parts: Parts { changes, ..record.parts.clone() }, ..record.clone() },
            &stewards,
        );
        let handed_over = certify(RoundRecord { round: 2, ..record }, &[3u8, 4, 9].map(key));
        Self { spec, commit, certificate, handover, handed_over, frontier, used, denials }
    }

    fn proof(&self, bound: Option<BoundProof>, content: Option<ContentId>) -> Proof {
        let data = content.map(|content| self.data(content));
        Proof::Round(Box::new(RoundProof::new(&self.spec, &[], &self.certificate, bound, data)))
    }

    /// The proof of round 2, by these handovers.
    fn proof_after(&self, handovers: &[Vec<u8>], content: ContentId) -> Proof {
        let data = Some(self.data(content));
        let certificate = &self.handed_over;
        Proof::Round(Box::new(RoundProof::new(&self.spec, handovers, certificate, None, data)))
    }

    fn data(&self, content: ContentId) -> DataProof {
        let mut used: Vec<[u8; 32]> = self.used.iter().map(|work| *work.as_bytes()).collect();
        used.sort_unstable();
        let leaves = self.denials.iter().map(consent::data_commit::excluded_leaf);
        let mut excluded: Vec<[u8; 64]> = leaves.collect();
        excluded.sort_unstable();
        let unused = Unused::prove(&used, &content).expect("it was not used");
        let excluded = ExcludedProof::prove(&excluded, &content);
        DataProof::new(self.commit.bytes(), content, unused, excluded)
    }
}

fn certify(record: RoundRecord, stewards: &[SecretKey]) -> Vec<u8> {
    let (run, round, id) = (record.run, record.round, Some(record.id()));
    let vote = Vote { run, round, attempt: 2, phase: Phase::Precommit, record: id };
    let mut votes: Vec<Signed<Vote>> =
        stewards.iter().map(|steward| Signed::sign(vote.clone(), steward)).collect();
    votes.sort_by_key(Signed::signer);
    let precommit = |vote: &Signed<Vote>| Precommit {
        steward: vote.signer(),
        signature: serde_bytes::ByteArray::new(*vote.signature()),
    };
    let precommits = votes.iter().map(precommit).collect();
    Certificate { record, attempt: 2, precommits }.to_bytes()
}

fn spec(stewards: impl Iterator<Item = PublicKey>, policy: &Policy) -> RunSpec {
    let mut stewards: Vec<PublicKey> = stewards.collect();
    stewards.sort();
    let plain = plain_spec(stewards, policy);
    RunSpec { model: ModelSpec { weights: FileHash::of(b"in"), ..plain.model }, ..plain }
}

/// The frontier over the two feeds, the first of which ends with `head` at 3.
fn frontier(head: RecordId) -> Frontier {
    let first = head_at(&feed(1)[3]);
    Frontier::new([FeedHead { head, ..first }, head_at(&feed(2)[3])])
}

/// The proof of one work of a collection.
fn member(count: u16, at: usize) -> Proof {
    let mut works: Vec<[u8; 32]> =
        (0..count).map(|n| *ContentId::of(&n.to_le_bytes()).as_bytes()).collect();
    works.sort_unstable();
    let (root, list) = (merkle::root(&works), FileHash::of(works.as_flattened()));
    let collection = Collection { root, count: count.into(), list };
    let me = Identity::new(key(8), key(9), 0);
    let genesis = me.genesis(0).expect("genesis");
    let other = Collection { count: 7, ..collection };
    let both = [collection, other].map(Subject::Collection);
    let statement = Statement::deny(&[Use::TrainOther]).over_subjects(both).remove(0);
    let record = me.statement(&head_at(&genesis), &statement).expect("a statement");
    let content = ContentId::from_bytes(works[at]);
    let proof = MemberProof::prove(record.bytes(), &collection, &works, content);
    Proof::Member(proof.expect("one of its works"))
}

/// Every kind of proof, by name.
fn proofs(log: &mut Log) -> Vec<(String, Proof)> {
    let mut all: Vec<(String, Proof)> = Vec::new();
    for index in [0, 5, 7] {
        all.push((format!("record-{index}"), log.record(index)));
    }
    all.push(("absent".into(), log.absent(work(9))));
    for (count, at) in [(1, 0), (2, 1), (13, 12), (300, 77)] {
        all.push((format!("member-{count}-{at}"), member(count, at)));
    }
    let records = feed(1);
    let envelopes = |from: usize| records[from..].iter().map(Signed::bytes).collect::<Vec<_>>();
    let plain = Round::new(frontier(record_id(&records[3])));
    for from in [1, 3] {
        let bound = BoundProof::new(&plain.frontier, vec![], &envelopes(from));
        all.push((format!("bound-{from}"), plain.proof(Some(bound), None)));
    }
    let ends = vec![RecordId::of(b"another branch's end"), record_id(&records[3])];
    let forked = Round::new(frontier(forked_head(&ends)));
    let bound = BoundProof::new(&forked.frontier, ends, &envelopes(2));
    all.push(("bound-forked".into(), forked.proof(Some(bound), Some(work(0)))));
    // One before the first used work, one after the last, some between.
    let mut asked: Vec<ContentId> = (20..=255).map(work).collect();
    asked.sort();
    for (name, content) in [("first", asked[0]), ("between", work(77)), ("last", asked[235])] {
        all.push((format!("unused-{name}"), plain.proof(None, Some(content))));
    }
    all.push(("excluded-by-silence".into(), plain.proof(None, Some(work(1)))));
    all.push(("excluded-by-record".into(), plain.proof(None, Some(work(2)))));
    let handed_over = plain.proof_after(std::slice::from_ref(&plain.handover), work(2));
    all.push(("unused-handed-over-and-late".into(), handed_over));
    all
}

/// The proof's bytes with one bit flipped, and the same with its sum made anew.
fn flipped(bytes: &[u8], bit: usize) -> [Option<Vec<u8>>; 2] {
    let mut bent = bytes.to_vec();
    bent[bit / 8] ^= 1 << (bit % 8);
    let file = codec::decode::<File>(&bent, bent.len()).ok();
    let mended = file.map(|mut file| {
        let summed = [file.claim.as_bytes(), b"\n", &file.body].concat();
        file.sum = TreeHash::of_entry(&summed).as_bytes().to_vec().into();
        codec::encode(&file)
    });
    [Some(bent), mended.filter(|mended| mended != bytes)]
}

#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    version: String,
    claim: String,
    body: serde_bytes::ByteBuf,
    sum: serde_bytes::ByteBuf,
}

#[test]
fn every_proof_holds_and_none_with_a_flipped_bit_does() {
    let mut log = Log::new();
    let policy = TrustPolicy::parse(log.policy.as_bytes()).expect("a policy");
    for (name, proof) in proofs(&mut log) {
        let bytes = proof.to_bytes();
        assert_eq!(Proof::from_bytes(&bytes).as_ref(), Ok(&proof), "{name}");
        let shown = proof.verify(Some(&policy)).unwrap_or_else(|e| panic!("{name}: {e}"));
        for bit in 0..8 * bytes.len() {
            // With its sum mended a file goes through all checks, which takes a while.
            let tries = if bit % MENDED == 0 { 2 } else { 1 };
            for (mended, bent) in flipped(&bytes, bit).into_iter().take(tries).enumerate() {
                let Some(Ok(read)) = bent.map(|bent| Proof::from_bytes(&bent)) else { continue };
                assert_eq!(mended, 1, "{name}: bit {bit} is free");
                // Whoever mends the sum may ask about another work: the same proof may well show
                // that nobody used that one or spoke of it either. Nothing else may come of it.
                let Ok(other) = read.verify(Some(&policy)) else { continue };
                assert!(other != shown && is_about_another_work(&shown, &other), "{name}: {bit}");
            }
        }
    }
}

fn is_about_another_work(shown: &Shown, other: &Shown) -> bool {
    match (shown, other) {
        (Shown::Absent(shown), Shown::Absent(other)) => {
            shown.subject != other.subject && shown.trusted == other.trusted
        }
        (Shown::Round(shown), Shown::Round(other)) => {
            let mut same = other.clone();
            let (Some(data), Some(was)) = (&mut same.data, &shown.data) else { return false };
            data.content = was.content;
            same == *shown && was.excluded.is_none()
        }
        _ => false,
    }
}

#[test]
fn what_is_not_so_cannot_be_proved() {
    let round = Round::new(frontier(record_id(&feed(1)[3])));
    let mut used: Vec<[u8; 32]> = round.used.iter().map(|work| *work.as_bytes()).collect();
    used.sort_unstable();
    assert_eq!(Unused::prove(&used, &work(12)), None);
    let data: &DataCommit = &round.commit.value().data;
    let gap = Unused::prove(&used, &work(77)).expect("not used");
    assert!(gap.holds(&work(77), data));
    for used in &round.used {
        assert!(!gap.holds(used, data), "a used work between no neighbours");
    }
    let wide = Unused { left: None, ..gap.clone() };
    assert!(!wide.holds(&work(77), data), "a gap that leaves out a side");
    assert!(!Unused { left: None, right: None }.holds(&work(77), data));

    // Stewards who came later have no say unless it is shown how they came; nor twice, nor out of order.
    let because = |handovers: &[Vec<u8>]| {
        round.proof_after(handovers, work(2)).verify(None).unwrap_err().to_string()
    };
    assert!(because(&[]).contains("no steward"), "{}", because(&[]));
    let twice = [round.handover.clone(), round.handover.clone()];
    assert!(because(&twice).contains("no steward"), "{}", because(&twice));
    let later = [round.handover.clone(), round.handed_over.clone()];
    assert!(because(&later).contains("out of order"), "{}", because(&later));

    // A record names a collection under its own number of works, and no work that is not in its list.
    let works = [*work(1).as_bytes(), *work(2).as_bytes()];
    let (root, list) = (merkle::root(works), FileHash::of(b"a list"));
    let collection = Collection { root, count: 2, list };
    let record = &feed(1)[1];
    assert_eq!(MemberProof::prove(record.bytes(), &collection, &works, work(3)), None);
    let unnamed = MemberProof::prove(record.bytes(), &collection, &[works[0]], work(1));
    let error = Proof::Member(unnamed.expect("a leaf")).verify(None).unwrap_err();
    assert_eq!(error.to_string(), "the record names no such collection");
}

#[test]
fn a_program_without_our_code_agrees() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = Log::new();
    fs::write(dir.path().join("trust.policy"), &log.policy).expect("written");
    let proofs = proofs(&mut log);
    for (name, proof) in &proofs {
        fs::write(dir.path().join(format!("{name}.proof")), proof.to_bytes()).expect("written");
    }
    let Some(python) = std::env::var_os("ACCORD_OUTSIDE_PYTHON") else {
        println!("SKIPPED: verify_proofs.py needs ACCORD_OUTSIDE_PYTHON, a Python; see .ci/run");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("outside/verify_proofs.py");
    let output = Command::new(python).arg(script).arg(dir.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", said.trim());
    assert!(said.starts_with(&format!("{} proofs hold", proofs.len())), "{said}");
}
