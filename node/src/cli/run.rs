//! `accord run create`, `join`, `leave` and `status`, and `accord audit`; the rest is in `run_act`.
//!
//! Invariants: a watch ends with the run, with Ctrl-C, or with an error if the node stops first.
//! What it is not: how rounds look (see `rounds`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use protocol::limits::API_REQUEST_BYTES_MAX;
use protocol::{RoundId, RunId};
use serde::Serialize;

use crate::api::Watch;
use crate::api::dto::{
    AuditReply, AuditRequest, CreateRequest, JoinRequest, RoundView, RunAct, RunView,
};

use super::context::{Context, absolute, absolute_text};
use super::error::CliError;
use super::output::{Output, Style};
use super::progress::Reporter;
use super::rounds::{Shown, round_text, run_text, runs_text};
use super::run_act;
use super::run_args::RunVerb;
use super::table::pairs;
use super::units::{count, duration, short};
use crate::signals::Signals;

/// A run's spec file in bytes: what fits into a request, however its text is escaped.
const SPEC_BYTES_MAX: u64 = API_REQUEST_BYTES_MAX as u64 / 8;

/// A line of `accord run status --watch --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Round {
        run: RunId,
        #[serde(flatten)]
        round: &'a RoundView,
    },
    Finished {
        run: RunId,
        published: &'a Option<String>,
    },
}

pub(super) async fn act(context: &Context, verb: RunVerb) -> Result<(), CliError> {
    match verb {
        RunVerb::Create { spec } => create(context, &spec).await,
        RunVerb::Join { run, data, show_work: shows, invitation } => {
            let request = JoinRequest { data: absolute_text(&data)?, shows, invitation };
            let view = context.client()?.join(&run.run, &request).await?;
            context.out.show(&view, |view, _| {
                let (name, data) = (&view.name, &request.data);
                format!("joined {name}, training on {data}\nwatch it with: {}", watch_hint(view))
            })?;
            Ok(())
        }
        RunVerb::Leave { run } => {
            let view = context.client()?.leave(&run.run).await?;
            context.out.show(&view, |view, _| {
                format!(
                    "left {}; what was certified stays, and joining again is possible",
                    view.name
                )
            })?;
            Ok(())
        }
        RunVerb::Status { run: None, .. } => {
            let runs = context.client()?.runs().await?;
            context.out.show(runs.as_slice(), runs_text)?;
            Ok(())
        }
        RunVerb::Status { run: Some(run), watch: false } => {
            let view = context.client()?.run(&run).await?;
            context.out.show(&view, run_text)?;
            Ok(())
        }
        RunVerb::Status { run: Some(run), watch: true } => {
            let watch = context.client()?.watch(&run).await?;
            follow(context.out, watch).await
        }
        RunVerb::Members { run } => run_act::act(context, &run, RunAct::Members).await,
        RunVerb::Follow { run } => run_act::act(context, &run, RunAct::Follow).await,
        RunVerb::Invite { run, trainer } => {
            run_act::act(context, &run, RunAct::Invite { trainer }).await
        }
        RunVerb::Motion { run, change, node } => {
            let change = run_act::change_name(change);
            run_act::act(context, &run, RunAct::Motion { change, node }).await
        }
        RunVerb::Log { run, from, follow } => run_act::log(context, &run, from, follow).await,
        RunVerb::Export { run, out, updates } => {
            run_act::export(context, &run, &out, updates).await
        }
    }
}

/// `accord audit`.
pub(super) async fn audit(
    context: &Context,
    run: &str,
    from: Option<(u64, RoundId)>,
) -> Result<(), CliError> {
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let (trusted_round, trusted_id) = from.unzip();
    let request = AuditRequest { trusted_round, trusted_id };
    let reply = client.audit(run, &request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&reply?, audit_text)?;
    Ok(())
}

async fn create(context: &Context, spec: &Path) -> Result<(), CliError> {
    let path = absolute(spec)?;
    let dir = absolute_text(path.parent().unwrap_or(&path))?;
    let request = CreateRequest { spec: read_spec(spec)?, dir };
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let view = client.create(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&view?, created_text)?;
    Ok(())
}

fn read_spec(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read(path.display().to_string(), source);
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(SPEC_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > SPEC_BYTES_MAX {
        let path = path.display();
        let said = format!("{path} is no run's spec: it is longer than {SPEC_BYTES_MAX} bytes");
        return Err(CliError::Usage(said));
    }
    Ok(text)
}

async fn follow(out: Output, mut watch: Watch) -> Result<(), CliError> {
    let mut signals = Signals::new().map_err(CliError::System)?;
    let mut shown = Shown::default();
    loop {
        let view = tokio::select! {
            view = watch.next() => view?.ok_or(CliError::Stopped)?,
            () = signals.next() => return Ok(()),
        };
        if let Some(trouble) = shown.take_trouble(&view).filter(|_| !out.json()) {
            eprintln!("{}: {trouble}", view.name);
        }
        for (round, first) in shown.take_new(&view) {
            let event = Event::Round { run: view.run, round };
            out.show(&event, |_, style| round_text(round, first, style))?;
        }
        if shown.is_all(&view) {
            let (run, published) = (view.run, &view.published);
            out.show(&Event::Finished { run, published }, |_, style| finished_text(&view, style))?;
            return Ok(());
        }
    }
}

fn created_text(view: &RunView, style: Style) -> String {
    let stewards = view.stewards.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rounds = count(view.rounds_count, "round");
    format!("created {}: {rounds}, {}\n", view.name, count(stewards.len() as u64, "steward"))
        + &pairs(
            &[
                ("run", view.run.to_string()),
                ("model", view.model.to_string()),
                ("stewards", stewards.join("\n          ")),
                ("join with", format!("accord run join {} --data FILE", view.run)),
                ("watch with", watch_hint(view)),
            ],
            style,
        )
}

fn watch_hint(view: &RunView) -> String {
    format!("accord run status {} --watch", short(view.run))
}

fn finished_text(view: &RunView, style: Style) -> String {
    let model = match &view.published {
        Some(revision) => format!("published as {revision}"),
        None => format!("its model is {}", view.model),
    };
    format!("{} after {}; {model}", style.good("finished"), count(view.round, "round"))
}

fn audit_text(reply: &AuditReply, style: Style) -> String {
    let verified = format!(
        "{} with {} and {} of trainers, from {} on, in {}",
        count(reply.rounds, "certificate"),
        count(reply.signatures, "signature"),
        count(reply.updates, "update"),
        if reply.first == 1 {
            "the first round".to_owned()
        } else {
            format!("round {}", reply.first)
        },
        duration(reply.elapsed_ms)
    );
    let verdict =
        style.good("everything holds") + ": every aggregate, computed again, is the same\n";
    verdict
        + &pairs(
            &[
                ("run", reply.run.to_string()),
                ("verified", verified),
                ("model", reply.model.to_string()),
                ("up to", format!("{}:{}", reply.first + reply.rounds - 1, reply.id)),
            ],
            style,
        )
}

#[cfg(test)]
mod tests {
    use protocol::FileHash;

    use super::*;

    #[test]
    fn a_spec_is_read_whole_or_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("spec.toml");
        let said = read_spec(&path).expect_err("missing").to_string();
        assert!(said.starts_with("cannot read ") && said.contains("spec.toml"), "{said}");
        std::fs::write(&path, "name = \"x\"").expect("written");
        assert_eq!(read_spec(&path).expect("read"), "name = \"x\"");
        std::fs::write(&path, vec![b'#'; SPEC_BYTES_MAX as usize + 1]).expect("written");
        assert!(read_spec(&path).expect_err("long").failure().usage);
    }

    #[test]
    fn an_audit_says_what_it_did() {
        let reply = AuditReply {
            run: RunId::of(b""),
            first: 1,
            rounds: 10,
            signatures: 10,
            updates: 30,
            model: FileHash::of(b""),
            id: RoundId::of(b""),
            elapsed_ms: 1_500,
        };
        let text = audit_text(&reply, Style::PLAIN);
        assert!(text.contains("10 certificates with 10 signatures and 30 updates"), "{text}");
        assert!(text.contains(&reply.model.to_string()), "{text}");
    }
}
