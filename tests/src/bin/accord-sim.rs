//! `accord-sim`: simulates runs under many seeds, makes failing ones small, and steps through one.
//!
//! Exit codes: 0 all held, 1 a rule was broken, 2 wrong use.
//!
//! Invariants: what a seed comes to does not depend on the options, the clock or the number of threads.
//! What it is not: the simulator (see `tests::sim`).

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use tests::sim::{
    Case, Defect, Failure, Minimised, Replay, Report, Scenario, Step, Trail, minimise, run,
};

/// Seeds if neither their number nor a time is given.
const SEEDS: u64 = 256;
/// Failures after which no more seeds are run.
const FAILURES_MAX: usize = 5;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Simulates whole runs under seeds, and holds every event against the rules.
#[derive(Debug, Parser)]
#[command(name = "accord-sim")]
struct Arguments {
    /// How many seeds to run [default: 256, or as many as fit into --minutes]
    #[arg(long, conflicts_with = "seed")]
    seeds: Option<u64>,
    /// Stop after so many minutes
    #[arg(long, conflicts_with = "seed", value_parser = minutes)]
    minutes: Option<f64>,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// What to simulate
    #[arg(long, default_value = "small", value_parser = scenario)]
    scenario: Scenario,
    /// Plant a mistake, to see it found
    #[arg(long, value_parser = defect, value_name = "MISTAKE")]
    plant: Option<Defect>,
    /// Threads [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
    /// The most runs that it may take to make a failing one small
    #[arg(long, default_value_t = 200)]
    tries: u32,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    one: One,
}

/// One seed, and what of it.
#[derive(Debug, clap::Args)]
struct One {
    /// Run this seed only
    #[arg(long)]
    seed: Option<u64>,
    /// Leave out these faults
    #[arg(long, requires = "seed", value_delimiter = ',', value_name = "FAULT,...")]
    without: Vec<u32>,
    /// End after so many rounds, if the seed says more
    #[arg(long, requires = "seed", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Show every event; on a terminal, wait for Enter before each
    #[arg(long, requires = "seed", conflicts_with = "json")]
    step: bool,
    /// Show events from this one on
    #[arg(long, requires = "step", default_value_t = 1, value_name = "EVENT")]
    from: u64,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    let names = || Scenario::all().map(|scenario| scenario.name).join(", ");
    Scenario::named(name).ok_or_else(|| format!("the scenarios are: {}", names()))
}

fn defect(name: &str) -> Result<Defect, String> {
    let names = || Defect::ALL.map(Defect::name).join(", ");
    let known = Defect::ALL.into_iter().find(|defect| defect.name() == name);
    known.ok_or_else(|| format!("the mistakes are: {}", names()))
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if (0.0..=1e6).contains(&minutes) { Ok(minutes) } else { Err("from 0 to a million".into()) }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    arguments.scenario.defect = arguments.plant;
    let held = match (arguments.one.seed, arguments.one.step) {
        (Some(seed), true) => step_through(&arguments, &case(&arguments, seed)),
        (Some(seed), false) => run_one(&arguments, &case(&arguments, seed)),
        (None, _) => run_many(&arguments),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn case(arguments: &Arguments, seed: u64) -> Case {
    let without: BTreeSet<u32> = arguments.one.without.iter().copied().collect();
    Case { seed, without, rounds: arguments.one.rounds }
}

/// What many seeds came to.
#[derive(Default)]
struct Outcome {
    seeds: u64,
    report: Report,
    failures: Vec<Failure>,
    shown: Option<Instant>,
}

fn run_many(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let seeds = match (arguments.seeds, arguments.minutes) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX - arguments.first,
        (None, None) => SEEDS,
    };
    let ends = arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let (next, outcome) = (AtomicU64::new(0), Mutex::new(Outcome::default()));
    let progress = std::io::stderr().is_terminal() && !arguments.json;
    let work = || {
        loop {
            let late = ends.is_some_and(|ends| began.elapsed() >= ends);
            let at = next.fetch_add(1, Ordering::Relaxed);
            let full = lock(&outcome).failures.len() >= FAILURES_MAX;
            if at >= seeds || late || full {
                return;
            }
            let result = run(arguments.first + at, &arguments.scenario, Trail::Quiet);
            let mut outcome = lock(&outcome);
            outcome.seeds += 1;
            match result {
                Ok((report, _)) => outcome.report = outcome.report.join(&report),
                Err(failure) => outcome.failures.push(*failure),
            }
            if progress && outcome.shown.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
                outcome.shown = Some(Instant::now());
                show_progress(&outcome, began.elapsed());
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(processors).max(1) {
            scope.spawn(work);
        }
    });
    if progress {
        eprint!("\r\x1b[K");
    }
    let mut outcome = outcome.into_inner().expect("no run panics");
    outcome.failures.sort_by_key(|failure| failure.case.seed);
    conclude(arguments, &outcome, began.elapsed())
}

fn lock(outcome: &Mutex<Outcome>) -> std::sync::MutexGuard<'_, Outcome> {
    outcome.lock().expect("no run panics")
}

fn show_progress(outcome: &Outcome, elapsed: Duration) {
    let (broke, simulated) = (outcome.failures.len(), outcome.report.simulated_ms / 1_000);
    let seconds = elapsed.as_secs();
    let Outcome { seeds, .. } = outcome;
    eprint!("\r\x1b[K{seeds} seeds, {broke} broke a rule, {simulated} s simulated in {seconds} s");
    // Nothing depends on the line.
    let _ = std::io::stderr().flush();
}

fn conclude(arguments: &Arguments, outcome: &Outcome, elapsed: Duration) -> bool {
    let small = |failure| minimise(failure, &arguments.scenario, arguments.tries);
    let minimised: Vec<Minimised> = outcome.failures.iter().map(small).collect();
    let Outcome { seeds, report, .. } = outcome;
    let name = arguments.scenario.name;
    if arguments.json {
        let failures: Vec<Value> = minimised.iter().map(failure_as_json).collect();
        let counts: serde_json::Map<String, Value> =
            report.counts.iter().map(|(what, times)| (what.into(), times.into())).collect();
        let value = json!({
            "scenario": name, "first": arguments.first, "seeds": seeds, "failures": failures,
            "seconds": elapsed.as_secs_f64(), "simulated_ms": report.simulated_ms,
            "events": report.events, "rounds": report.rounds, "counts": counts,
        });
        println!("{value}");
        return minimised.is_empty();
    }
    for minimised in &minimised {
        show_minimised(minimised);
    }
    let seconds = elapsed.as_secs_f64().max(0.001);
    let times = report.simulated_ms as f64 / 1_000.0 / seconds;
    println!("{name}: {seeds} seeds in {seconds:.1} s, {times:.0} times as fast as real time");
    println!("{report}");
    println!("{} of {seeds} seeds broke a rule", minimised.len());
    minimised.is_empty()
}

fn show_minimised(minimised: &Minimised) {
    let Minimised { failure, faults, runs } = minimised;
    let left = failure.faults.len();
    println!("{failure}\n  of {faults} faults {left} are left after {runs} runs\n");
}

fn failure_as_json(minimised: &Minimised) -> Value {
    let Minimised { failure, faults, runs } = minimised;
    let left: Vec<String> = failure.faults.iter().map(ToString::to_string).collect();
    json!({
        "seed": failure.case.seed, "rule": format!("{:?}", failure.violation.rule),
        "what": failure.violation.what, "event": failure.event, "faults": left,
        "faults_before": faults, "runs": runs, "replay": failure.replay(),
    })
}

fn run_one(arguments: &Arguments, case: &Case) -> bool {
    match tests::sim::run_case(case, &arguments.scenario, Trail::Quiet) {
        Ok((report, hash)) if arguments.json => {
            println!("{}", json!({ "seed": case.seed, "events": report.events, "trace": hash }));
            true
        }
        Ok((report, hash)) => {
            println!("seed {} holds: {report}\ntrace {hash}", case.seed);
            true
        }
        Err(failure) => {
            // What was left out by hand stays out.
            let minimised = match *case == Case::of(case.seed) {
                true => minimise(&failure, &arguments.scenario, arguments.tries),
                false => Minimised { faults: failure.faults.len(), failure: *failure, runs: 0 },
            };
            match arguments.json {
                true => println!("{}", failure_as_json(&minimised)),
                false => show_minimised(&minimised),
            }
            false
        }
    }
}

fn step_through(arguments: &Arguments, case: &Case) -> bool {
    let mut replay = Replay::new(case, &arguments.scenario);
    replay.faults().iter().for_each(|fault| println!("{fault}"));
    let waits = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut stepper = Stepper { left: 0, states: replay.states() };
    loop {
        let shows = replay.event() + 1 >= arguments.one.from;
        if shows && waits && !stepper.goes_on(replay.event() + 1) {
            return true;
        }
        let (step, lines) = replay.step();
        if shows {
            stepper.show(replay.event(), &lines, replay.states());
        }
        match step {
            Step::On => {}
            Step::Over(report, hash) => {
                println!("seed {} holds: {report}\ntrace {hash}", case.seed);
                return true;
            }
            Step::Broken(failure) => {
                println!("{}", failure.violation);
                return false;
            }
        }
    }
}

/// Whoever steps through a run.
struct Stepper {
    /// Events to be shown before the next question.
    left: u64,
    /// The nodes after the last event.
    states: Vec<String>,
}

impl Stepper {
    /// Asks, if it is time to; whether to go on.
    fn goes_on(&mut self, event: u64) -> bool {
        while self.left == 0 {
            print!("event {event}: Enter, a number of events, s for all nodes, q> ");
            let mut line = String::new();
            let read =
                std::io::stdout().flush().and_then(|()| std::io::stdin().read_line(&mut line));
            match (read, line.trim()) {
                (Ok(0) | Err(_), _) | (_, "q") => return false,
                (_, "s") => self.states.iter().for_each(|state| println!("  {state}")),
                (_, "") => self.left = 1,
                (_, number) => self.left = number.parse().unwrap_or(0),
            }
        }
        self.left -= 1;
        true
    }

    /// Shows an event, and the nodes that are otherwise than before it.
    fn show(&mut self, event: u64, lines: &[String], states: Vec<String>) {
        let lines = lines.iter().map(|line| format!("{event:>6} {line}\n"));
        let changed = states.iter().zip(&self.states).filter(|(state, before)| state != before);
        let changed = changed.map(|(state, _)| format!("         {state}\n"));
        let text: String = lines.chain(changed).collect();
        // Whoever reads the beginning only, as `head` does, has seen what they wanted.
        if std::io::stdout().write_all(text.as_bytes()).is_err() {
            std::process::exit(0);
        }
        self.states = states;
    }
}
