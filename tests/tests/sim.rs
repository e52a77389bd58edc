//! Runs under many seeds, each checked after every event.
//!
//! Environment: `ACCORD_SIM_SEEDS` says how many seeds (64), `ACCORD_SIM_FIRST` from which on (0),
//! `ACCORD_SIM_SCENARIO` in which scenario (`small`), and `ACCORD_SIM_SEED` which one `replay` prints.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::sim::{Defect, Failure, Report, Rule, Scenario, Trail, run};

const SEEDS: u64 = 64;
const SEEDS_OF_OTHERS: u64 = 8;
/// Seeds outside the range that broke a rule once, with a steward lost for good: the others could
/// not show each other its votes, for the record that some had locked on (the first four) or for
/// leaving an attempt that the rest was still in.
const REGRESSIONS: [u64; 6] = [1098, 1549, 1735, 2604, 1393, 2759];
const THREADS: usize = 2;
const FAILURES_SHOWN: usize = 5;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

/// The scenario named in the environment.
fn scenario() -> Scenario {
    let Ok(name) = std::env::var("ACCORD_SIM_SCENARIO") else { return Scenario::small() };
    let known = Scenario::all().into_iter().find(|scenario| scenario.name == name);
    known.unwrap_or_else(|| panic!("ACCORD_SIM_SCENARIO is {name:?}, which is no scenario"))
}

/// Runs these seeds; fails with what broke. Returns what all of them came to.
fn run_seeds(scenario: &Scenario, seeds: &[u64]) -> Report {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new((Report::default(), Vec::new()));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = run(*seed, scenario, Trail::Quiet);
            let mut outcome = outcome.lock().expect("no seed panics");
            match result {
                Ok((report, _)) => outcome.0 = outcome.0.join(&report),
                Err(failure) => outcome.1.push(*failure),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let (report, mut failures) = outcome.into_inner().expect("no seed panics");
    failures.sort_by_key(|failure: &Failure| failure.seed);
    for failure in failures.iter().take(FAILURES_SHOWN) {
        println!("{failure}\n");
    }
    let broken: Vec<(u64, Rule)> = failures.iter().map(|f| (f.seed, f.violation.rule)).collect();
    println!("{}: {report:?}", scenario.name);
    assert!(broken.is_empty(), "{} of {} seeds broke: {broken:?}", broken.len(), seeds.len());
    report
}

#[test]
fn every_seed_holds() {
    let first = from_environment("ACCORD_SIM_FIRST").unwrap_or(0);
    let count = from_environment("ACCORD_SIM_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = (first..first + count).chain(REGRESSIONS).collect();
    let report = run_seeds(&scenario(), &seeds);
    if count < SEEDS {
        return;
    }
    // The seeds mean little if nothing goes wrong in them.
    let reached = [
        ("losses", report.lost),
        ("doubles", report.doubled),
        ("crashes", report.crashes),
        ("torn journals", report.torn),
        ("second attempts", report.attempt_max),
        ("rejected updates", report.rejected),
        ("refused works", report.refused),
    ];
    for (what, times) in reached {
        assert!(times > 0, "no {what} in {count} seeds");
    }
}

#[test]
fn other_scenarios_hold() {
    let seeds: Vec<u64> = (0..SEEDS_OF_OTHERS).collect();
    run_seeds(&Scenario::lone(), &seeds);
    run_seeds(&Scenario::wide(), &seeds);
}

#[test]
fn one_seed_has_one_trace() {
    for seed in [1, 2, 3] {
        let [one, two] = [(); 2].map(|()| run(seed, &Scenario::small(), Trail::Quiet));
        assert_eq!(one.unwrap(), two.unwrap(), "seed {seed} differs from itself");
    }
    let other = run(4, &Scenario::small(), Trail::Quiet).unwrap().1;
    assert_ne!(run(1, &Scenario::small(), Trail::Quiet).unwrap().1, other);
}

/// Prints the whole trace of the seed named in the environment; without one there is nothing to do.
#[test]
fn replay() {
    let Some(seed) = from_environment("ACCORD_SIM_SEED") else { return };
    match run(seed, &scenario(), Trail::Print) {
        Ok((report, hash)) => println!("seed {seed} holds: {report:?}, trace {hash}"),
        Err(failure) => panic!("{failure}"),
    }
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
    ];
    for (defect, rules) in planted {
        let scenario = Scenario::small().with(defect);
        let found = (0..SEEDS).find_map(|seed| run(seed, &scenario, Trail::Quiet).err());
        let found = found.unwrap_or_else(|| panic!("{defect:?} passes {SEEDS} seeds"));
        assert!(rules.contains(&found.violation.rule), "{defect:?}: {found}");
    }
}
