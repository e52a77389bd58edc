//! `accord log` and `accord witness`: making, following, looking, verifying.
//!
//! Invariants: only files in the data directory are read and written, each whole, so that all of it
//! works beside a running node, which looks again at what can change. What it is not: the log.

use protocol::log::VerifierKey;
use serde::Serialize;

use crate::home::Home;
use crate::log::{FollowedView, LogDir, Verified, WitnessAddress, WitnessDir, verify};

use super::context::Context;
use super::error::CliError;
use super::log_args::{LogVerb, LogWitnessVerb, WitnessVerb};
use super::table::pairs;
use super::units::count;

/// A log or witness that was made.
#[derive(Debug, Serialize)]
struct MadeView {
    vkey: String,
}

/// `accord log status`.
#[derive(Debug, Serialize)]
struct LogView {
    vkey: String,
    signed: u64,
    shown: Option<u64>,
    cosigned: Vec<String>,
    witnesses: Vec<WitnessAddress>,
    refusals: Vec<String>,
}

/// `accord witness status`.
#[derive(Debug, Serialize)]
struct WitnessView {
    vkey: String,
    logs: Vec<FollowedView>,
    evidence: Vec<String>,
}

pub(super) fn act(context: &Context, verb: LogVerb) -> Result<(), CliError> {
    let dir = &context.dir;
    match verb {
        LogVerb::Init { origin } => {
            Home::init(dir)?;
            let log = LogDir::init(dir, &origin)?;
            made(context, log.vkey(), "log")
        }
        LogVerb::Witness(LogWitnessVerb::Add { url, vkey }) => {
            let log = LogDir::open(dir)?;
            log.add_witness(&url, &key(&vkey)?)?;
            show_status(context, &log)
        }
        LogVerb::Status => show_status(context, &LogDir::open(dir)?),
        LogVerb::Verify => {
            let verified = verify(&LogDir::open(dir)?)?;
            Ok(context.out.show(&verified, |verified, style| {
                let Verified { origin, size, statements, root, map } = verified;
                let said = format!(
                    "every tile, the tree's root and the map's root are those of {} ({})\n",
                    count(*size, "entry").replace("entrys", "entries"),
                    count(*statements, "statement")
                );
                said + &pairs(
                    &[("log", origin.clone()), ("root", root.clone()), ("map", map.clone())],
                    style,
                )
            })?)
        }
        LogVerb::Policy { quorum } => {
            let log = LogDir::open(dir)?;
            let text = policy(&log, quorum)?;
            Ok(context.out.show(&text, |text, _| text.clone())?)
        }
    }
}

pub(super) fn act_witness(context: &Context, verb: WitnessVerb) -> Result<(), CliError> {
    let dir = &context.dir;
    match verb {
        WitnessVerb::Init { name } => {
            Home::init(dir)?;
            made(context, WitnessDir::init(dir, &name)?.vkey(), "witness")
        }
        WitnessVerb::Follow { vkey } => {
            let witness = WitnessDir::open(dir)?;
            witness.follow(&key(&vkey)?)?;
            show_witness(context, &witness)
        }
        WitnessVerb::Status => show_witness(context, &WitnessDir::open(dir)?),
    }
}

fn key(text: &str) -> Result<VerifierKey, CliError> {
    text.parse().map_err(|error| CliError::Usage(format!("{text:?} is no key: {error}")))
}

fn made(context: &Context, vkey: &VerifierKey, what: &str) -> Result<(), CliError> {
    let view = MadeView { vkey: vkey.to_string() };
    Ok(context.out.show(&view, |view, style| {
        let next = "accord up --log-port PORT".to_owned();
        let lines = [(what, view.vkey.clone()), ("next", next)];
        format!("made a {what}; its key is its own, keep a copy of it offline\n")
            + &pairs(&lines, style)
    })?)
}

fn show_status(context: &Context, log: &LogDir) -> Result<(), CliError> {
    // A running log shows before it keeps the refusals, and signs before both: read the other way
    // round, no refusal stands beside a checkpoint older than the one refused.
    let refusals = log.refusals()?;
    let shown = log.published()?;
    let signed = log.signed()?;
    let witnesses = log.witnesses()?;
    let keys: Vec<VerifierKey> = witnesses.iter().map(|(_, key)| key.clone()).collect();
    let verified = shown.as_ref().and_then(|shown| shown.note().verify(&keys).ok());
    let cosigned = verified.into_iter().flatten().map(|by| by.key.name().to_owned());
    let view = LogView {
        vkey: log.vkey().to_string(),
        signed: signed.checkpoint().size(),
        shown: shown.as_ref().map(|shown| shown.checkpoint().size()),
        cosigned: cosigned.collect(),
        witnesses: witnesses.into_iter().map(|(address, _)| address).collect(),
        refusals,
    };
    Ok(context.out.show(&view, |view, style| {
        let shown = view.shown.map_or_else(|| "nothing yet".to_owned(), |size| size.to_string());
        let mut lines = vec![
            ("log", view.vkey.clone()),
            ("entries signed", view.signed.to_string()),
            ("entries shown", shown),
            ("cosigned by", view.cosigned.join(", ")),
        ];
        for WitnessAddress { url, key } in &view.witnesses {
            lines.push(("witness", format!("{key} at {url}")));
        }
        lines.extend(view.refusals.iter().map(|said| ("refused", said.clone())));
        pairs(&lines, style)
    })?)
}

fn show_witness(context: &Context, witness: &WitnessDir) -> Result<(), CliError> {
    let evidence = witness.evidence()?;
    let view = WitnessView {
        vkey: witness.vkey().to_string(),
        logs: witness.followed()?,
        evidence: evidence.iter().map(|path| path.display().to_string()).collect(),
    };
    Ok(context.out.show(&view, |view, style| {
        let mut lines = vec![("witness", view.vkey.clone())];
        for FollowedView { log, size } in &view.logs {
            lines.push(("follows", format!("{log}, cosigned up to {size}")));
        }
        lines.extend(view.evidence.iter().map(|path| ("evidence", path.clone())));
        pairs(&lines, style)
    })?)
}

/// A policy that believes this log with so many of its witnesses.
fn policy(log: &LogDir, quorum: Option<usize>) -> Result<String, CliError> {
    let witnesses = log.witnesses()?;
    let mut text = format!("log {}\n", log.vkey());
    let mut names = Vec::new();
    for (at, (address, _)) in witnesses.iter().enumerate() {
        let name = format!("w{}", at + 1);
        text += &format!("witness {name} {} {}\n", address.key, address.url);
        names.push(name);
    }
    let quorum = quorum.unwrap_or(names.len());
    if quorum > names.len() {
        let said = format!("--quorum is {quorum}, and the log has {} witnesses", names.len());
        return Err(CliError::Usage(said));
    }
    if quorum == 0 {
        return Ok(text + "quorum none\n");
    }
    Ok(text + &format!("group all-witnesses {quorum} {}\nquorum all-witnesses\n", names.join(" ")))
}
