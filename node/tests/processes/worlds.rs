//! The same scenario twice: real processes, and the simulator with the same keys, data and training. Both
//! must certify the same records, bit for bit.
//!
//! The processes run in network namespaces of the test's own, if whoever runs it may make some; otherwise on
//! loopback, where nodes are killed and the network is whole.
//!
//! Invariants: every round needs the updates of all, so that what is certified does not depend on time; the
//! training here is written once more, from the protocol's words. What it is not: a test of speed.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use consent::permit::TrainOther;
use consent::{Gate, Ledger, Policy};
use protocol::run::{RunSpec, run_id};
use protocol::update::Update;
use protocol::weights::Weights;
use protocol::{ContentId, SecretKey, Signed};
use serde_json::Value;
use tests::sim::{Mishap, Script, Stage, Training, What, play};
use trainer::data::Admitted;
use trainer::{Device, LocalOptions, ModelConfig, Table};

use super::command::{PROGRAM, quiet};
use super::digits;
use super::netns::Net;
use super::process::{Ended, PATIENCE, Process};

/// One node, wherever it runs.
struct Member {
    name: String,
    dir: PathBuf,
    namespace: Option<String>,
    bind: String,
    addresses: Vec<String>,
    process: Option<Process>,
}

impl Member {
    fn command(&self) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, PROGRAM]);
                command
            }
            None => Command::new(PROGRAM),
        };
        quiet(&mut command, &self.dir);
        command
    }

    fn up(&mut self, peers: &[String]) {
        let mut command = self.command();
        command.args(["--json", "up", "--bind", &self.bind, "--no-mdns", "--dir", &self.name]);
        for peer in peers {
            command.args(["--peer", peer]);
        }
        let process = Process::start(&self.name, &mut command);
        let ready = process.line_that(|line| line.contains("\"event\":\"ready\""));
        let ready: Value = serde_json::from_str(&ready).expect("a JSON line");
        let addresses = ready["addresses"].as_array().expect("addresses");
        self.addresses = addresses.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect();
        self.process = Some(process);
    }

    fn ask(&self, args: &[&str]) -> Ended {
        let mut command = self.command();
        command.arg("--json").args(args).args(["--dir", &self.name]);
        Process::start(&format!("{}: {}", self.name, args.join(" ")), &mut command).end()
    }

    fn json(&self, args: &[&str]) -> Value {
        let ended = self.ask(args);
        assert_eq!(ended.code, Some(0), "{} {args:?}: {ended:?}", self.name);
        serde_json::from_str(&ended.out).expect("JSON")
    }

    /// The ids of the rounds that it has certified.
    fn chain(&self, run: &str) -> Vec<String> {
        let ended = self.ask(&["run", "log", run]);
        assert_eq!(ended.code, Some(0), "{}: {ended:?}", self.name);
        let id = |line: &str| {
            let round: Value = serde_json::from_str(line).expect("JSON");
            round["id"].as_str().expect("an id").to_owned()
        };
        ended.out.lines().map(id).collect()
    }
}

/// The processes of a scenario.
struct Real {
    script: Script,
    net: Option<Net>,
    members: Vec<Member>,
    run: String,
    /// The newest round that any node had certified at each turn, right after it.
    seen: Vec<(u64, u64)>,
    /// When the first fault's clock began, in milliseconds since 1970.
    began_ms: u64,
}

impl Real {
    fn start(dir: &Path, script: Script) -> Self {
        let net = Net::new(&script);
        let net = net.inspect_err(|why| println!("on loopback, without partitions: {why}")).ok();
        let mut members: Vec<Member> = Vec::new();
        for node in 0..script.nodes {
            let mut member = Member {
                name: format!("n{node}"),
                dir: dir.to_owned(),
                namespace: net.as_ref().map(|net| net.of(node)),
                bind: net.as_ref().map_or_else(|| "127.0.0.1".into(), |_| Net::address(node)),
                addresses: Vec::new(),
                process: None,
            };
            let peers: Vec<String> =
                members.iter().flat_map(|other: &Member| other.addresses.clone()).collect();
            member.up(&peers);
            digits::write(dir, &format!("n{node}.csv"), node * 60..(node + 1) * 60);
            members.push(member);
        }
        let (run, seen) = (String::new(), Vec::new());
        let mut real = Self { script, net, members, run, seen, began_ms: 0 };
        real.create(dir);
        real
    }

    fn create(&mut self, dir: &Path) {
        let keys: Vec<String> = self.members.iter().map(|it| format!("{:?}", key(it))).collect();
        let Script { nodes, rounds, agree_ms, .. } = self.script;
        let rest = format!(
            "stewards = [{}]\n\n[rounds]\ncount = {rounds}\nupdates_min = {nodes}\n\
             agree_ms = {agree_ms}\naudits = 0\n\n[local]\nepochs = 2\n",
            keys.join(", ")
        );
        digits::write(dir, "all.csv", 0..400);
        fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
        let view = self.members[0].json(&["run", "create", "run.toml"]);
        self.run = view["run"].as_str().expect("an id").to_owned();
        for member in &self.members {
            let knows = |runs: &Value| runs.as_array().expect("runs").len() == 1;
            until("all know the run", || knows(&member.json(&["run", "status"])).then_some(()));
        }
    }

    /// Lets all join, and what is written happen, until the run is over.
    fn play(&mut self) {
        for member in &self.members {
            member.json(&["run", "join", &self.run, "--data", &format!("{}.csv", member.name)]);
        }
        let (_rings, clock) = sync_channel::<()>(0);
        let began = Instant::now();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        self.began_ms = since.as_millis() as u64;
        let mut turns: Vec<u64> = self.script.faults.iter().map(|it| it.at_ms).collect();
        turns.extend(self.script.faults.iter().map(|it| it.at_ms + it.for_ms));
        turns.sort_unstable();
        turns.dedup();
        for turn in turns {
            // The scenario is in time, and its clock is all that there is to wait for.
            let rest = Duration::from_millis(turn).saturating_sub(began.elapsed());
            assert_eq!(clock.recv_timeout(rest), Err(RecvTimeoutError::Timeout));
            self.turn(turn);
            self.seen.push((turn, self.newest()));
        }
        let rounds = self.script.rounds;
        for member in &self.members {
            let done = |view: &Value| view["finished"] == true && view["round"] == rounds;
            until("the run ends", || {
                done(&member.json(&["run", "status", &self.run])).then_some(())
            });
        }
    }

    fn newest(&self) -> u64 {
        let up = self.members.iter().filter(|member| member.process.is_some());
        let round = |member: &Member| member.json(&["run", "status", &self.run])["round"].as_u64();
        up.filter_map(round).max().expect("somebody is up")
    }

    /// How long after the end of each fault the next round was certified, in milliseconds.
    fn healed_after_ms(&self, run: &str) -> Vec<u64> {
        let ended = self.members[0].ask(&["run", "log", run]);
        let certified_ms = |line: &str| {
            let round: Value = serde_json::from_str(line).expect("JSON");
            round["certified_ms"].as_u64().expect("a time")
        };
        let times: Vec<u64> = ended.out.lines().map(certified_ms).collect();
        let ends = self.script.faults.iter().map(|it| self.began_ms + it.at_ms + it.for_ms);
        ends.filter_map(|end| times.iter().find(|at| **at > end).map(|at| at - end)).collect()
    }

    /// Holds what was seen against what was written: nobody goes on without those whom it cannot hear, and
    /// a bad line stops nobody. After the last fault the run goes on soon.
    fn faults_were_felt(&self) {
        let at = |turn: u64| self.seen.iter().find(|seen| seen.0 == turn).map(|seen| seen.1);
        for fault in &self.script.faults {
            let (began, ended) = (at(fault.at_ms), at(fault.at_ms + fault.for_ms));
            let (began, ended) = (began.expect("seen"), ended.expect("seen"));
            if began >= self.script.rounds {
                // On a fast machine a run may be over before its last faults.
                assert!(fault.at_ms > self.script.faults[0].at_ms, "{:?}", self.seen);
                continue;
            }
            match fault.what {
                What::Split { .. } | What::OneWay { .. } | What::Crash { .. } => {
                    assert!(ended <= began + 3, "{fault:?} stops nobody: {:?}", self.seen);
                }
                What::Loss { .. } | What::Lag { .. } => {
                    assert!(
                        ended > began || ended == self.script.rounds,
                        "{fault:?} stops all: {:?}",
                        self.seen
                    );
                }
            }
        }
    }

    /// What begins or is over at `at_ms`.
    fn turn(&mut self, at_ms: u64) {
        let lasts = |it: &&Mishap| (it.at_ms..it.at_ms + it.for_ms).contains(&at_ms);
        let faults = self.script.faults.clone();
        let now: Vec<&What> = faults.iter().filter(lasts).map(|it| &it.what).collect();
        if let Some(net) = &mut self.net {
            net.suffer(&now).unwrap_or_else(|why| panic!("{why}"));
        }
        let peers: Vec<String> =
            self.members.iter().flat_map(|member| member.addresses.clone()).collect();
        for (node, member) in self.members.iter_mut().enumerate() {
            let is_dead = now.contains(&&What::Crash { node });
            match member.process.take_if(|_| is_dead) {
                Some(mut process) => process.kill(),
                None if !is_dead && member.process.is_none() => member.up(&peers),
                None => {}
            }
        }
    }

    /// The same run for the simulator, from what lies on the disks.
    fn stage(&self, dir: &Path) -> Stage {
        let spec = fs::read(dir.join("appendix/run.cose")).expect("exported");
        let spec = Signed::<RunSpec>::open(&spec).expect("signed");
        assert_eq!(run_id(&spec).to_string(), self.run);
        let policy = Policy::from_bytes(&spec.value().consent.policy).expect("a policy");
        let config = fs::read(dir.join("model/config.json")).expect("a model");
        let config = ModelConfig::from_json(&config).expect("a config");
        let weights = trainer::Model::init(&config, 0).expect("weights");
        assert_eq!(weights.root(), spec.value().model.weights, "a new model of seed 0");
        let secret = |member: &Member| {
            let text = fs::read_to_string(dir.join(&member.name).join("node.key"));
            let seed = hex::decode(text.expect("a key").trim()).expect("digits");
            SecretKey::from_seed(&seed.try_into().expect("32 bytes"))
        };
        let keys: Vec<SecretKey> = self.members.iter().map(secret).collect();
        let table = |member: &Member| {
            let path = dir.join(format!("{}.csv", member.name));
            Table::open(&path, &config.table_options()).expect("a table")
        };
        let tables: Vec<Table> = self.members.iter().map(table).collect();
        let held = tables.iter().map(|table| table.works().collect::<Vec<ContentId>>()).collect();
        let weights = weights.to_bytes();
        let training = training(spec.clone(), policy.clone(), keys.clone(), config, tables);
        Stage { spec, policy, keys, held, weights, training }
    }
}

/// Training as the protocol says (TRC-1, section 11), with what each round leaves unsaid kept as bfloat16.
fn training(
    spec: Signed<RunSpec>,
    policy: Policy,
    keys: Vec<SecretKey>,
    config: ModelConfig,
    tables: Vec<Table>,
) -> Training {
    let left: Mutex<BTreeMap<(usize, u64), Vec<f32>>> = Mutex::default();
    let (run, form) = (run_id(&spec), spec.value().update_form());
    Box::new(move |node, round, base: &Weights| {
        let trainer = keys[node].public();
        let seed =
            blake3::hash(&[&run.as_bytes()[..], trainer.as_bytes(), &round.to_le_bytes()].concat());
        let (first, _) = seed.as_bytes().split_first_chunk().expect("32 bytes");
        let options = LocalOptions::new(&spec.value().local, u64::from_le_bytes(*first));
        let ledger = Ledger::new();
        let gate = Gate::new(&ledger, &policy, 0);
        let admitted: Admitted<TrainOther> = tables[node].admit(|work| gate.decide(work)).admitted;
        let go = |_| ControlFlow::Continue(());
        let learnt = trainer::train(&config, base, admitted, &options, &Device::cpu(), go);
        let delta = learnt.expect("it trains").delta;
        let mut left = left.lock().expect("no training panics");
        let before = left.range(..(node, round)).next_back().filter(|((of, _), _)| *of == node);
        let mut residual =
            before.map_or_else(|| vec![0.0; form.parameters], |(_, kept)| kept.clone());
        let update = Update::make(&form, trainer, &delta, &mut residual);
        let half = |value: &f32| {
            let bits = value.to_bits();
            f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
        };
        left.insert((node, round), residual.iter().map(half).collect());
        update.bytes().to_vec()
    })
}

fn key(member: &Member) -> String {
    let view = member.json(&["status"]);
    view["node"].as_str().expect("a key").to_owned()
}

/// Asks again and again until there is an answer; each question takes a process, which is wait enough.
fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        if let Some(found) = answer() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
    }
}

fn both_agree(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios").join(file);
    let text = fs::read_to_string(&path).expect("a scenario");
    let script = Script::parse(&text).unwrap_or_else(|why| panic!("{file}: {why}"));
    let dir = tempfile::tempdir().expect("a directory");
    let mut real = Real::start(dir.path(), script);
    real.play();
    let healed = real.healed_after_ms(&real.run);
    println!("{file}: rounds {:?}, the next one {healed:?} ms after each fault", real.seen);
    if real.net.is_some() {
        real.faults_were_felt();
    }
    let chains: Vec<Vec<String>> = real.members.iter().map(|it| it.chain(&real.run)).collect();
    assert!(chains.windows(2).all(|pair| pair[0] == pair[1]), "the nodes agree: {chains:#?}");
    let first = &real.members[0];
    first.json(&["run", "export", &real.run, "--out", "appendix"]);
    first.json(&["get", "me/digits", "--out", "model"]);
    for seed in 0..3 {
        let stage = real.stage(dir.path());
        let simulated =
            play(stage, &real.script, seed).unwrap_or_else(|failure| panic!("{failure}"));
        let simulated: Vec<String> = simulated.iter().map(ToString::to_string).collect();
        assert_eq!(simulated, chains[0], "seed {seed}");
    }
}

#[test]
fn processes_and_simulation_certify_the_same_through_partitions_and_a_kill() {
    both_agree("split.toml");
}

#[test]
fn processes_and_simulation_certify_the_same_in_bad_weather() {
    both_agree("weather.toml");
}
