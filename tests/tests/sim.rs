//! Runs under many seeds, each checked after every event.
//!
//! Environment: `ACCORD_SIM_SEEDS` says how many seeds (256), `ACCORD_SIM_FIRST` from which on (0), and
//! `ACCORD_SIM_SCENARIO` in which scenario (`small`). To look at one seed, see `accord-sim`.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::sim::{
    Case, Defect, Failure, Fault, Lie, Plane, Replay, Report, Rule, Scenario, Shape, Step, Trail,
    Wrong, measure, minimise, plan_of, run, run_case, run_plan,
};

const SEEDS: u64 = 256;
const SEEDS_OF_OTHERS: u64 = 32;
const SEEDS_OF_SLICES: u64 = 48;
/// Seeds in which a planted mistake must be found.
const SEEDS_PLANTED: u64 = 64;
const THREADS: usize = 2;
const FAILURES_SHOWN: usize = 5;

/// What must have happened in some seed or other: they mean little if nothing goes wrong in them.
const REACHED: [&str; 32] = [
    "packet lost",
    "packet doubled",
    "packet out of order",
    "packet cut off",
    "crash",
    "crash at a persist",
    "entry torn off",
    "steward lost for good",
    "trainer away",
    "fast steady clock",
    "slow steady clock",
    "day clock set forward",
    "day clock set back",
    "slow worker",
    "slow disk",
    "refused work",
    "message that does not open",
    "certificate that does not open",
    "bytes with another hash",
    "weight capped",
    "rejected: Base",
    "rejected: Policy",
    "rejected: Oversize",
    "rejected: Shape",
    "rejected: Frontier",
    "rejected: StaleFrontier",
    "rejected: Copied",
    "rejected: Value",
    "rejected: Norm",
    "rejected: Duplicate",
    "record refused",
    "trainer without invitation",
];

/// The same of rounds in slices.
const REACHED_IN_SLICES: [&str; 7] = [
    "slices worked out",
    "built of slices",
    "false slice found",
    "charged with a false slice",
    "unfit by its slices",
    "record worked out alone",
    "removed for a false slice",
];

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

/// The scenario named in the environment.
fn scenario() -> Scenario {
    let Ok(name) = std::env::var("ACCORD_SIM_SCENARIO") else { return Scenario::small() };
    Scenario::named(&name)
        .unwrap_or_else(|| panic!("ACCORD_SIM_SCENARIO is {name:?}, which is no scenario"))
}

/// Does this with every item, on two threads.
fn on_threads<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
}

/// Runs these seeds; fails with what broke. Returns what all of them came to.
fn run_seeds(scenario: &Scenario, seeds: &[u64]) -> Report {
    let outcome = Mutex::new((Report::default(), Vec::new()));
    on_threads(seeds, |seed| {
        let result = run(*seed, scenario, Trail::Quiet);
        let mut outcome = outcome.lock().expect("no seed panics");
        match result {
            Ok((report, _)) => outcome.0 = outcome.0.join(&report),
            Err(failure) => outcome.1.push(*failure),
        }
    });
    let (report, mut failures) = outcome.into_inner().expect("no seed panics");
    failures.sort_by_key(|failure: &Failure| failure.case.seed);
    for failure in failures.iter().take(FAILURES_SHOWN) {
        println!("{failure}\n");
    }
    let broken: Vec<(u64, Rule)> =
        failures.iter().map(|failure| (failure.case.seed, failure.violation.rule)).collect();
    println!("{}: {report}", scenario.name);
    assert!(broken.is_empty(), "{} of {} seeds broke: {broken:?}", broken.len(), seeds.len());
    report
}

#[test]
fn every_seed_holds() {
    let first = from_environment("ACCORD_SIM_FIRST").unwrap_or(0);
    let count = from_environment("ACCORD_SIM_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = (first..first + count).collect();
    let scenario = scenario();
    let report = run_seeds(&scenario, &seeds);
    if count < SEEDS || scenario.name != "small" {
        return;
    }
    let lies = Lie::all().map(|lie| format!("lie: {lie:?}"));
    let shapes = Shape::ALL.map(|shape| shape.name().to_owned());
    let reached = REACHED.map(str::to_owned).into_iter().chain(shapes).chain(lies);
    let missed: Vec<String> = reached.filter(|what| report.counts.of(what) == 0).collect();
    assert!(missed.is_empty(), "never in {count} seeds: {missed:?}");
    assert!(report.attempt_max > 1, "no second attempt in {count} seeds");
}

#[test]
fn other_scenarios_hold() {
    let seeds: Vec<u64> = (0..SEEDS_OF_OTHERS).collect();
    run_seeds(&Scenario::lone(), &seeds);
    run_seeds(&Scenario::wide(), &seeds);
}

/// Rounds in slices: lying members of triples and stewards that cry wolf come to nothing, and are charged.
#[test]
fn rounds_in_slices_hold() {
    let seeds: Vec<u64> = (0..SEEDS_OF_SLICES).collect();
    let report = run_seeds(&Scenario::sliced(), &seeds);
    let lies = Lie::OF_SLICES.map(|lie| format!("lie: {lie:?}"));
    let reached = REACHED_IN_SLICES.map(str::to_owned).into_iter().chain(lies);
    let missed: Vec<String> = reached.filter(|what| report.counts.of(what) == 0).collect();
    assert!(missed.is_empty(), "never in {SEEDS_OF_SLICES} seeds: {missed:?}");
}

#[test]
fn many_nodes_hold() {
    run_seeds(&Scenario::hundred(), &[0, 1, 2, 3]);
    run_seeds(&Scenario::thousand(), &[0, 1]);
}

/// What a mesh is for: what one node passes on does not grow with their number.
#[test]
fn gossip_of_a_node_is_bounded_by_its_neighbours() {
    let mean = |nodes: usize| {
        let (report, traffic) = measure(0, &Scenario::mesh(nodes)).expect("nothing goes wrong");
        assert_eq!(report.rounds, 2);
        traffic.of(0..nodes, Plane::Gossip).0.sent
    };
    // Two hundred trainers commit at either size.
    let (some, many) = (mean(300), mean(600));
    assert!(many < some * 5 / 4, "{some} bytes for each of 300, {many} for each of 600");
}

#[test]
fn one_seed_has_one_trace() {
    for seed in [1, 2, 3] {
        let [one, two] = [(); 2].map(|()| run(seed, &Scenario::small(), Trail::Quiet));
        let (one, two) = (one.expect("the seed holds"), two.expect("the seed holds"));
        assert_eq!(one, two, "seed {seed} differs from itself");
    }
    let trace = |seed| run(seed, &Scenario::small(), Trail::Quiet).expect("the seed holds").1;
    assert_ne!(trace(1), trace(4));
}

#[test]
fn a_run_event_by_event_is_the_same_run() {
    let scenario = Scenario::small();
    let case = Case { without: [1].into(), rounds: Some(2), ..Case::of(5) };
    let at_once = run_case(&case, &scenario, Trail::Quiet).expect("the seed holds");
    let mut replay = Replay::new(&case, &scenario);
    assert!(replay.faults().iter().all(|fault| fault.index != 1));
    let mut lines = 0;
    let stepped = loop {
        let (step, new) = replay.step();
        lines += new.len();
        assert!(replay.states().len() >= scenario.cast.nodes());
        match step {
            Step::On => {}
            Step::Over(report, hash) => break (*report, hash),
            Step::Broken(failure) => panic!("{failure}"),
        }
    };
    assert_eq!(stepped, at_once);
    assert!(lines as u64 > replay.event() / 2, "{lines} lines in {} events", replay.event());
}

/// A steward and a trainer that die with each entry of their journals in turn, the entry durable or
/// not: nothing else goes wrong, so that it is this crash that the run gets over.
#[test]
fn a_crash_at_every_persist_is_got_over() {
    let (scenario, case) = (Scenario::calm(), Case::of(0));
    let trainer = scenario.cast.stewards;
    let places: Vec<(usize, bool)> =
        [0, trainer].into_iter().flat_map(|node| [(node, true), (node, false)]).collect();
    let crashes = Mutex::new(0);
    on_threads(&places, |(node, kept)| {
        for nth in 1.. {
            let mut plan = plan_of(case.seed, &scenario);
            let wrong = Wrong::AtPersist { node: *node, nth, kept: *kept };
            plan.faults = vec![Fault { index: 0, from_ms: 0, until_ms: 0, wrong }];
            let (report, _) =
                run_plan(&case, &scenario, plan, Trail::Quiet).unwrap_or_else(|failure| {
                    panic!("n{node} dies of entry {nth}, durable: {kept}: {failure}")
                });
            if report.counts.of("crash at a persist") == 0 {
                assert!(nth > 4, "n{node} journals {nth} entries");
                return;
            }
            *crashes.lock().expect("no thread panics") += 1;
        }
    });
    let crashes = crashes.into_inner().expect("no thread panics");
    println!("{crashes} crashes, each at another entry");
    assert!(crashes > 30, "{crashes}");
}

/// A checker that never objects would pass everything above.
#[test]
fn planted_mistakes_are_found() {
    let planted = [
        (Defect::SendUnsynced, &[Rule::DurableFirst, Rule::SignedOnce][..]),
        (Defect::ForgetJournal, &[Rule::SignedOnce, Rule::DurableFirst][..]),
        (Defect::SkipGate, &[Rule::Consent][..]),
        (Defect::TrustRecords, &[Rule::Recomputes][..]),
        (Defect::SkipReach, &[Rule::Consent, Rule::Ends][..]),
        (Defect::IgnoreCatchUp, &[Rule::Ends][..]),
        (Defect::TrustVotes, &[Rule::SignedOnce, Rule::Recomputes, Rule::Ends][..]),
        (Defect::TrustCertificates, &[Rule::Opens][..]),
        (Defect::TrustBytes, &[Rule::Ends, Rule::Restores, Rule::Recomputes][..]),
        (Defect::SkipCheck, &[Rule::Recomputes, Rule::Consent, Rule::Ends][..]),
        (Defect::TooManyLiars, &[Rule::OneRecord][..]),
    ];
    assert_eq!(planted.map(|(defect, _)| defect), Defect::ALL);
    on_threads(&planted, |(defect, rules)| {
        let scenario = Scenario::small().with(*defect);
        // With too many liars a run may also come to no end; that is promised to nobody.
        let is_meant = |rule: Rule| *defect != Defect::TooManyLiars || rule != Rule::Ends;
        let broken = |seed| run(seed, &scenario, Trail::Quiet).err();
        let mut broken = (0..SEEDS_PLANTED).filter_map(broken);
        let found = broken.find(|failure| is_meant(failure.violation.rule));
        let found = found.unwrap_or_else(|| panic!("{defect:?} passes {SEEDS_PLANTED} seeds"));
        assert!(rules.contains(&found.violation.rule), "{defect:?}: {found}");
    });
}

#[test]
fn a_failing_run_is_made_small() {
    let scenario = Scenario::small().with(Defect::TrustCertificates);
    let found = (0..SEEDS_PLANTED).find_map(|seed| run(seed, &scenario, Trail::Quiet).err());
    let found = found.expect("the mistake is found");
    let small = minimise(&found, &scenario, 100);
    println!("{}\nof {} faults, after {} runs", small.failure, small.faults, small.runs);
    assert_eq!(small.failure.violation.rule, found.violation.rule);
    assert!(small.runs <= 100);
    // It takes a liar who hands out such certificates, and little else.
    let left = &small.failure.faults;
    assert!(left.len() < small.faults / 2 && left.len() < 6, "{} of {}", left.len(), small.faults);
    let lie =
        |fault: &Fault| matches!(fault.wrong, Wrong::Lies { lie: Lie::FalseCertificates, .. });
    assert!(left.iter().any(lie), "{left:?}");
    let again = run_case(&small.failure.case, &scenario, Trail::Quiet).unwrap_err();
    assert_eq!(again.violation, small.failure.violation);
}

fn accord_sim(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_accord-sim")).args(arguments).output();
    let output = output.expect("the program starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn the_program_says_how_it_ended() {
    let (code, text) = accord_sim(&["--scenario", "lone", "--seeds", "3", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("one JSON value");
    assert_eq!(value["seeds"], 3);
    assert_eq!(value["failures"].as_array().map(Vec::len), Some(0));

    let planted = ["--plant", "SkipGate", "--seeds", "1", "--json", "--tries", "5"];
    let (code, text) = accord_sim(&planted);
    assert_eq!(code, Some(1), "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("one JSON value");
    assert_eq!(value["failures"][0]["rule"], "Consent");
    // The command that it prints shows the same.
    let replay = value["failures"][0]["replay"].as_str().expect("a command");
    let (_, arguments) = replay.split_once("-- ").expect("arguments");
    let (code, text) = accord_sim(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(code, Some(1));
    assert!(text.lines().last().is_some_and(|line| line.starts_with("Consent: ")), "{text}");

    for wrong in
        [&["--scenario", "none"][..], &["--without", "1"], &["--seed", "1", "--seeds", "2"]]
    {
        assert_eq!(accord_sim(wrong).0, Some(2), "{wrong:?}");
    }
}
