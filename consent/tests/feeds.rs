//! The golden feeds under `tests/vectors/feeds/`: what people signed, and what a gate says then.
//!
//! Each folder is one story: envelopes in the order in which they are received, and `answers.json`
//! with the questions asked of them. The answers stand here as well, written by hand; the files are
//! for other implementations. `ACCORD_WRITE_VECTORS=1` writes them anew.

use std::fs;
use std::path::Path;

use consent::payload::Delegation;
use consent::{
    Behalf, DenialReason, Gate, Identity, Ledger, Policy, Record, Remark, SetAside, Silence,
    Statement, Subject, Use, head_at, record_id,
};
use protocol::{ContentId, FeedHead, RecordId, SecretKey, Signed};
use serde_json::json;

const USE: Use = Use::TrainOther;
const END_MS: u64 = 1_800_000_000_000;
const NOW_MS: u64 = END_MS - 1;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn work(n: u8) -> ContentId {
    ContentId::of(&[n])
}

fn deny(n: u8) -> Statement {
    Statement::deny(&[USE]).over([work(n)]).remove(0)
}

fn allow(n: u8) -> Statement {
    Statement::allow(&[USE], END_MS).over([work(n)]).remove(0)
}

/// A question: the work, what silence means, when, and the answer.
type Asked = (u8, Silence, u64, &'static str);

/// Records in the order of receipt, and where each feed goes on.
struct Story {
    name: &'static str,
    about: &'static str,
    records: Vec<Signed<Record>>,
    asked: Vec<Asked>,
}

struct Voice {
    me: Identity,
    head: FeedHead,
}

impl Story {
    fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, records: Vec::new(), asked: Vec::new() }
    }

    fn person(&mut self, seed: u8, feed: u32) -> Voice {
        let me = Identity::new(key(seed), key(seed + 1), feed);
        let genesis = me.genesis(8).expect("a genesis");
        let head = head_at(&genesis);
        self.records.push(genesis);
        Voice { me, head }
    }

    fn take(&mut self, voice: &mut Voice, record: Signed<Record>) -> RecordId {
        voice.head = head_at(&record);
        let id = record_id(&record);
        self.records.push(record);
        id
    }

    fn state(&mut self, voice: &mut Voice, statement: &Statement) -> RecordId {
        let record = voice.me.statement(&voice.head, statement).expect("a statement");
        self.take(voice, record)
    }

    fn lift(&mut self, voice: &mut Voice, record: RecordId) {
        let record = voice.me.lifts(&voice.head, [record]).expect("a lift").remove(0);
        self.take(voice, record);
    }

    /// Asked now, of a policy where silence is yes and one where it is no.
    fn ask(&mut self, n: u8, open: &'static str, closed: &'static str) {
        self.asked.push((n, Silence::OptOut, NOW_MS, open));
        self.asked.push((n, Silence::OptIn, NOW_MS, closed));
    }
}

const YES: &str = "allowed";
const NO: &str = "denied";
const NOT_LIVE: &str = "allow-not-live";
const SILENT: &str = "silent";

fn whole() -> Story {
    let mut story = Story::new("whole", "a refusal, an allow, and a refusal that its author lifts");
    let mut me = story.person(1, 0);
    story.state(&mut me, &deny(1));
    story.state(&mut me, &allow(2));
    let lifted = story.state(&mut me, &deny(3));
    story.lift(&mut me, lifted);
    story.ask(1, NO, NO);
    story.ask(2, YES, YES);
    story.ask(3, YES, SILENT);
    story
}

fn tombstone() -> Story {
    let about = "a refusal whose remark is to be erased: it refuses all the same";
    let mut story = Story::new("tombstone", about);
    let mut me = story.person(1, 0);
    let salt = [7; 16];
    let remark = Remark::new(me.me.author(), salt, "the term, verbatim".into()).expect("a remark");
    let speaker = me.me.clone().remarking(remark.hash());
    let denied = speaker.statement(&me.head, &deny(1)).expect("a statement");
    let denied = story.take(&mut me, denied);
    let wish = me.me.erase(&me.head, [denied]).expect("a tombstone");
    story.take(&mut me, wish);
    story.ask(1, NO, NO);
    story
}

fn fork() -> Story {
    let mut story =
        Story::new("fork", "two records at place 2: refusals of both stay, allows do not");
    let mut me = story.person(1, 0);
    story.state(&mut me, &allow(1));
    let mut other = Voice { me: me.me.clone(), head: me.head };
    story.state(&mut me, &allow(2));
    story.state(&mut me, &deny(3));
    story.state(&mut other, &deny(4));
    story.ask(1, YES, YES);
    story.ask(2, YES, NOT_LIVE);
    story.ask(3, NO, NO);
    story.ask(4, NO, NO);
    story
}

fn lift_after_fork() -> Story {
    let mut story =
        Story::new("lift-after-fork", "a lift after a fork ends allows and no refusals");
    let mut me = story.person(1, 0);
    let denied = story.state(&mut me, &deny(1));
    let allowed = story.state(&mut me, &allow(2));
    let mut other = Voice { me: me.me.clone(), head: me.head };
    story.lift(&mut me, denied);
    story.lift(&mut me, allowed);
    story.state(&mut other, &deny(3));
    story.ask(1, NO, NO);
    story.ask(2, YES, NOT_LIVE);
    story
}

fn rotation() -> Story {
    let mut story = Story::new("rotation", "new keys: what the old ones allowed elsewhere is void");
    let mut me = story.person(1, 0);
    let mut device = story.person(1, 1);
    story.state(&mut me, &allow(1));
    let denied = story.state(&mut me, &deny(2));
    story.state(&mut device, &allow(3));
    story.state(&mut device, &deny(4));
    let (record, renewed) = me.me.rotate(&me.head, key(11), key(12)).expect("a rotation");
    me.me = renewed;
    story.take(&mut me, record);
    story.lift(&mut me, denied);
    story.ask(1, YES, YES);
    story.ask(2, YES, SILENT);
    story.ask(3, YES, NOT_LIVE);
    story.ask(4, NO, NO);
    story
}

fn delegation() -> Story {
    let about = "a delegate's allow within its scope counts, outside it does not, its refusals do";
    let mut story = Story::new("delegation", about);
    let (mut artist, mut collective) = (story.person(1, 0), story.person(3, 0));
    let delegation = Delegation {
        delegate: collective.me.author(),
        uses: vec![USE],
        may_allow: true,
        scope: vec![Subject::Content(work(1))],
        not_after_ms: END_MS,
    };
    let record = artist.me.delegate(&artist.head, &delegation).expect("a delegation");
    let delegation = story.take(&mut artist, record);
    let behalf = Some(Behalf { principal: artist.me.author(), delegation });
    for said in [allow(1), allow(2), deny(3)] {
        story.state(&mut collective, &Statement { behalf, ..said });
    }
    story.ask(1, YES, YES);
    story.ask(2, YES, NOT_LIVE);
    story.ask(3, NO, NO);
    story
}

fn expired() -> Story {
    let mut story = Story::new("expired", "an allow ends at the time that it names");
    let mut me = story.person(1, 0);
    story.state(&mut me, &allow(1));
    story.ask(1, YES, YES);
    story.asked.push((1, Silence::OptIn, END_MS, NOT_LIVE));
    story.asked.push((1, Silence::OptOut, END_MS, YES));
    story
}

fn compromise() -> Story {
    let mut story =
        Story::new("compromise", "a stolen daily key: what it allowed from place 2 on is void");
    let mut me = story.person(1, 0);
    story.state(&mut me, &allow(1));
    story.state(&mut me, &allow(2));
    story.state(&mut me, &deny(3));
    let record = me.me.compromise(&me.head, key(1).public(), 2).expect("a compromise");
    story.take(&mut me, record);
    story.state(&mut me, &allow(4));
    story.ask(1, YES, YES);
    story.ask(2, YES, NOT_LIVE);
    story.ask(3, NO, NO);
    story.ask(4, YES, NOT_LIVE);
    story
}

fn reconcile() -> Story {
    let mut story =
        Story::new("reconcile", "the root key joins two branches: what follows counts again");
    let mut me = story.person(1, 0);
    let mut other = Voice { me: me.me.clone(), head: me.head };
    story.state(&mut me, &allow(1));
    let end = story.state(&mut other, &deny(2));
    let record = me.me.reconcile(&me.head, [end]).expect("a reconcile");
    story.take(&mut me, record);
    story.state(&mut me, &allow(3));
    story.ask(1, YES, NOT_LIVE);
    story.ask(2, NO, NO);
    story.ask(3, YES, YES);
    story
}

fn stories() -> [Story; 9] {
    [
        whole(),
        fork(),
        tombstone(),
        lift_after_fork(),
        rotation(),
        delegation(),
        expired(),
        compromise(),
        reconcile(),
    ]
}

fn answer(ledger: &Ledger, &(n, default, now_ms, _): &Asked) -> &'static str {
    let policy = Policy { default, cooling_ms: 0, allow_ms_max: u64::MAX, ..Policy::default() };
    let gate = Gate::new(ledger, &policy, now_ms);
    match gate.check(&work(n).into(), USE, &SetAside::default()) {
        Ok(()) => YES,
        Err(denial) => match denial.reason {
            DenialReason::Denied => NO,
            DenialReason::AllowNotLive => NOT_LIVE,
            DenialReason::Silent => SILENT,
            DenialReason::Constrained => "constrained",
        },
    }
}

/// `answers.json`: the state of the feeds, and what is asked.
fn told(story: &Story, ledger: &Ledger) -> String {
    let asked: Vec<_> = story
        .asked
        .iter()
        .map(|(n, default, now_ms, answer)| {
            let silence = if *default == Silence::OptIn { "opt-in" } else { "opt-out" };
            json!({
                "work": work(*n).to_string(), "use": USE.as_str(), "silence": silence,
                "now_ms": now_ms, "answer": answer,
            })
        })
        .collect();
    let heads: Vec<_> = ledger
        .heads()
        .map(|head| {
            let author = hex::encode(head.feed.author.as_bytes());
            let head_id = head.head.to_string();
            json!({ "author": author, "feed": head.feed.feed, "seq": head.seq, "head": head_id })
        })
        .collect();
    let forks: Vec<_> = ledger
        .forks()
        .map(|fork| {
            let records: Vec<_> = fork.records.iter().map(RecordId::to_string).collect();
            json!({ "seq": fork.seq, "records": records })
        })
        .collect();
    let told = json!({ "about": story.about, "heads": heads, "forks": forks, "asked": asked });
    serde_json::to_string_pretty(&told).expect("JSON") + "\n"
}

#[test]
fn the_golden_feeds_are_what_we_sign_and_answer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/feeds");
    for story in stories() {
        let folder = root.join(story.name);
        let files: Vec<(String, Vec<u8>)> = (0..)
            .zip(&story.records)
            .map(|(at, record)| {
                (format!("{at:02}-{}.cbor", record.value().kind), record.bytes().to_vec())
            })
            .collect();
        let mut ledger = Ledger::new();
        for record in &story.records {
            ledger.insert(record.clone(), 0).expect("a valid record");
        }
        for asked in &story.asked {
            assert_eq!(answer(&ledger, asked), asked.3, "{}: {asked:?}", story.name);
        }
        let told = told(&story, &ledger);
        if std::env::var_os("ACCORD_WRITE_VECTORS").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            for (name, bytes) in &files {
                fs::write(folder.join(name), bytes).expect("written");
            }
            fs::write(folder.join("answers.json"), &told).expect("written");
        }
        let golden = |name: &str| fs::read(folder.join(name)).expect("a golden file");
        assert_eq!(String::from_utf8(golden("answers.json")).expect("text"), told);
        let mut again = Ledger::new();
        for (name, bytes) in &files {
            assert_eq!(hex::encode(golden(name)), hex::encode(bytes), "{}/{name}", story.name);
            let record = Signed::<Record>::open(bytes).expect("a record");
            again.insert(record, 0).expect("as they are read");
        }
        assert_eq!(again.frontier(), ledger.frontier());
        let count = fs::read_dir(&folder).expect("the folder").count();
        assert_eq!(count, files.len() + 1, "no file of {} is left over", story.name);
    }
}
