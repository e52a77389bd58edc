//! The command line: `accord VERB`.
//!
//! Role: parse (`args`), resolve (`context`), do (one file a group of verbs), and turn the outcome
//! into an exit code: 0 done, 1 failed, 2 used wrongly.
//!
//! Invariants: results go to standard output, everything else to standard error; with `--json`
//! every outcome, errors included, is JSON on standard output. What it is not: the work. All but
//! `init`, `up` and `demo` only ask the running node over its local API.

mod args;
mod consent;
mod context;
mod error;
mod id;
mod id_args;
mod log;
mod log_args;
mod model;
mod node;
mod output;
mod own;
mod own_args;
mod passphrase;
mod progress;
mod proof;
mod rounds;
mod run;
mod run_act;
mod run_args;
mod scan;
mod table;
mod terms;
mod units;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::{Builder, Runtime};

use crate::api::dto::Failure;
use crate::demo::{self, DemoOptions};

use args::{Arguments, DemoArguments, Verb};
use context::{Context, absolute};
use error::{CliError, exit_code};

/// How long work on other threads may keep the program from ending; a node may end at any time.
const END: Duration = Duration::from_secs(3);

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let json = arguments.json;
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(CliError::Said) => ExitCode::FAILURE,
        Err(error) => {
            let failure = error.failure();
            report(&failure, json);
            exit_code(&failure)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), CliError> {
    let context = Context::new(arguments.dir, arguments.json)?;
    let runtime = runtime(&arguments.verb).map_err(CliError::System)?;
    let outcome = runtime.block_on(act(&context, arguments.verb));
    runtime.shutdown_timeout(END);
    outcome
}

/// Only a node and the demo have work for several threads.
fn runtime(verb: &Verb) -> io::Result<Runtime> {
    match verb {
        Verb::Up(_) | Verb::Demo(_) => Builder::new_multi_thread().enable_all().build(),
        _ => Builder::new_current_thread().enable_all().build(),
    }
}

async fn act(context: &Context, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Init => node::init(context),
        Verb::Up(arguments) => node::up(context, arguments).await,
        Verb::Status => node::status(context).await,
        Verb::Share(arguments) => model::share(context, &arguments).await,
        Verb::Models => model::list(context).await,
        Verb::Get(arguments) => model::get(context, arguments).await,
        Verb::Eval(arguments) => model::eval(context, &arguments).await,
        Verb::Run(verb) => run::act(context, verb).await,
        Verb::Audit { run, from } => run::audit(context, &run.run, from).await,
        Verb::Log(verb) => log::act(context, verb),
        Verb::Witness(verb) => log::act_witness(context, verb),
        Verb::Consent(verb) => consent::act(context, verb).await,
        Verb::Id(verb) => id::act(context, verb).await,
        Verb::Demo(arguments) => show(context, arguments).await,
    }
}

/// `accord demo`.
async fn show(context: &Context, arguments: DemoArguments) -> Result<(), CliError> {
    let keep = arguments.keep.as_deref().map(absolute).transpose()?;
    demo::run(&DemoOptions { keep, json: context.out.json() }).await?;
    Ok(())
}

/// Arguments that cannot be parsed, or a wish for help.
fn refuse(error: &clap::Error) -> ExitCode {
    // A verb or a group of verbs alone is asked for its help, which is no line.
    let helps = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let wrong = error.exit_code() != 0;
    let json = std::env::args_os().any(|argument| argument == "--json");
    if wrong && (json || !helps) {
        report(&Failure { error: one_line(&error.to_string()), usage: true }, json);
    } else {
        // Whoever closed the stream does not want to know.
        let _ = error.print();
    }
    if wrong { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// What clap says over several paragraphs: the mistake; its tip; the usage.
fn one_line(text: &str) -> String {
    let paragraphs = text.trim_start_matches("error: ").split("\n\n");
    let joined = paragraphs.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let told = joined.filter(|text| !text.is_empty() && !text.starts_with("For more information"));
    told.collect::<Vec<_>>().join("; ").replace("; Usage: ", "; usage: ")
}

/// Says why a command failed; that the saying may fail too changes nothing.
fn report(failure: &Failure, json: bool) {
    let _ = match serde_json::to_string(failure) {
        Ok(text) if json => writeln!(io::stdout().lock(), "{text}"),
        _ => writeln!(io::stderr().lock(), "accord: {}", failure.error),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_use_is_told_in_one_line() {
        let said = |arguments: &[&str]| {
            let error = Arguments::try_parse_from(arguments).expect_err("wrong use");
            one_line(&error.to_string())
        };
        let typo = said(&["accord", "shrae", "x"]);
        assert!(typo.starts_with("unrecognized subcommand 'shrae'; tip: "), "{typo}");
        let missing = said(&["accord", "run", "join", "digits"]);
        assert!(missing.contains("--data <FILE>; usage: accord run join"), "{missing}");
        for line in [typo, missing, said(&["accord", "up", "--port", "x"])] {
            assert!(!line.contains('\n') && !line.contains("For more information"), "{line}");
        }
    }
}
