//! `accord init`, `up` and `status`: the node itself.
//!
//! Invariants: exactly one line that begins with `ready` (or a JSON line with the event `ready`)
//! says that the node can be asked. What it is not: the node (see `daemon`).

use std::io::{self, IsTerminal};
use std::thread::available_parallelism;

use protocol::PublicKey;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::api::dto::{PutOffView, Status};
use crate::daemon::{self, Ready, UpOptions};
use crate::home::Home;

use super::args::UpArguments;
use super::context::Context;
use super::error::CliError;
use super::output::Style;
use super::table::{Table, pairs};
use super::units::{count, short, size};
use crate::signals::Signals;

/// The environment variable with the log filter, such as `node=debug`.
const LOG: &str = "ACCORD_LOG";

/// What `accord init` made or found.
#[derive(Debug, Serialize)]
struct InitView {
    dir: String,
    node: PublicKey,
    identity: PublicKey,
    /// Whether it was made just now.
    made: bool,
}

/// A line of `accord up --json`.
#[derive(Debug, Serialize)]
struct Event<'a> {
    event: &'static str,
    #[serde(flatten)]
    ready: Option<&'a Ready>,
}

pub(super) fn init(context: &Context) -> Result<(), CliError> {
    let (home, made) = Home::init(&context.dir)?;
    let view = InitView {
        dir: home.dir().display().to_string(),
        node: home.node().public(),
        identity: home.me()?,
        made,
    };
    context.out.show(&view, |view, style| {
        let first = match view.made {
            true => format!("made {}\n", view.dir),
            false => format!("{} was made before; nothing was changed\n", view.dir),
        };
        let keys = pairs(
            &[
                ("node", view.node.to_string()),
                ("identity", format!("{} (me)", view.identity)),
                ("next", "accord up".to_owned() + &dir_flag(context)),
            ],
            style,
        );
        first + &keys
    })?;
    Ok(())
}

pub(super) async fn up(context: &Context, arguments: UpArguments) -> Result<(), CliError> {
    log()?;
    let threads = arguments.threads.or_else(|| available_parallelism().ok().map(Into::into));
    let options = UpOptions {
        dir: context.dir.clone(),
        port: arguments.port,
        data_port: arguments.data_port,
        api_port: arguments.api_port,
        log_port: arguments.log_port,
        bind: arguments.bind,
        peers: arguments.peers,
        mdns: !arguments.no_mdns,
        dht: !arguments.no_dht,
        threads: threads.unwrap_or(1),
        device: arguments.device,
    };
    let cancel = CancellationToken::new();
    tokio::spawn(stop_on_signals(Signals::new().map_err(CliError::System)?, cancel.clone()));
    if arguments.while_input_open {
        stop_at_end_of_input(cancel.clone());
    }
    let out = context.out;
    daemon::run(options, cancel, |ready| {
        // A node goes on when nobody reads what it says.
        let _ = out.show(&Event { event: "ready", ready: Some(ready) }, |_, style| {
            ready_text(ready, style)
        });
    })
    .await?;
    out.show(&Event { event: "stopped", ready: None }, |_, _| "stopped".to_owned())?;
    Ok(())
}

pub(super) async fn status(context: &Context) -> Result<(), CliError> {
    let status = context.client()?.status().await?;
    context.out.show(&status, status_text)?;
    Ok(())
}

fn ready_text(ready: &Ready, style: Style) -> String {
    let mut text = pairs(
        &[
            ("node", ready.node.to_string()),
            ("identity", format!("{} (me)", ready.identity)),
            ("directory", ready.dir.clone()),
            ("local API", ready.api.clone()),
        ],
        style,
    );
    if let Some(log) = &ready.log {
        text += &pairs(&[("log", log.clone())], style);
    }
    text += "other nodes connect with any of\n";
    for address in &ready.addresses {
        text += &format!("  --peer {address}\n");
    }
    text + &style.good("ready") + "; Ctrl-C stops the node\n"
}

fn status_text(status: &Status, style: Style) -> String {
    let traffic = [status.bytes.sent, status.bytes.received].map(size);
    let known = [
        count(status.models as u64, "model"),
        count(status.runs as u64, "run"),
        count(status.records as u64, "consent record"),
    ];
    let mut lines = vec![
        ("node", status.node.to_string()),
        ("identity", format!("{} (me)", status.identity)),
        ("directory", status.dir.clone()),
        ("version", status.version.clone()),
        ("knows", known.join(", ")),
        ("data", format!("{} sent, {} received", traffic[0], traffic[1])),
        ("dropped", format!("{} of peers that broke a rule", count(status.dropped, "message"))),
        ("ignored", format!("{} known already or not wanted", count(status.ignored, "message"))),
    ];
    lines.extend(put_off(status.put_off).map(|text| ("put off", text)));
    lines.push(("addresses", status.addresses.join("\n           ")));
    let mut text = pairs(&lines, style);
    let mut table = Table::new(["peer", ">refused", "address"]);
    for peer in &status.peers {
        let address = peer.addresses.first().cloned().unwrap_or_default();
        table.row([short(peer.node), peer.rejected.to_string(), address]);
    }
    text += &match status.peers.is_empty() {
        true => "no peers: give the address of one with `accord up --peer MULTIADDR`\n".to_owned(),
        false => format!("\n{}", table.text(style)),
    };
    text
}

/// What quotas put off, if they did.
fn put_off(put_off: PutOffView) -> Option<String> {
    let PutOffView { feeds, records, forwards } = put_off;
    let parts = [
        (feeds, count(feeds, "new feed")),
        (records, count(records, "record")),
        (forwards, format!("{} not passed on", count(forwards, "record"))),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0).map(|(_, text)| text);
    let parts: Vec<String> = parts.collect();
    let why = "one peer or feed brought more than it may for now";
    (!parts.is_empty()).then(|| format!("{}: {why}", parts.join(", ")))
}

/// The `--dir` that the next command needs to find the same directory, unless it is the usual one.
fn dir_flag(context: &Context) -> String {
    let usual = Context::new(None, false).is_ok_and(|usual| usual.dir == context.dir);
    if usual { String::new() } else { format!(" --dir {}", context.dir.display()) }
}

/// Logs to standard error; warnings only, unless the environment says otherwise. libp2p's hash table
/// warns while a node is alone, which is no fault.
fn log() -> Result<(), CliError> {
    let text = std::env::var(LOG).unwrap_or_else(|_| "warn,libp2p_kad=error".to_owned());
    let filter = EnvFilter::try_new(&text)
        .map_err(|e| CliError::Usage(format!("{LOG} is no log filter: {e}")))?;
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(io::stderr)
        .init();
    Ok(())
}

/// The first signal stops the node in order, the second at once.
async fn stop_on_signals(mut signals: Signals, cancel: CancellationToken) {
    signals.next().await;
    cancel.cancel();
    signals.next().await;
    // What is on disk is whole at every instant, so that this loses nothing.
    std::process::exit(1);
}

/// Stops the node when standard input ends. Reading it cannot be called off, so that it has a thread
/// of its own that ends with the program.
fn stop_at_end_of_input(cancel: CancellationToken) {
    std::thread::spawn(move || {
        // Input that cannot be read has ended, too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        cancel.cancel();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dto::BytesView;

    #[test]
    fn what_was_put_off_is_told_and_nothing_is_not() {
        let key = protocol::SecretKey::from_seed(&[1; 32]).public();
        let text = |feeds, records, forwards| {
            let status = Status {
                version: String::new(),
                node: key,
                identity: key,
                dir: "/d".into(),
                addresses: vec![],
                peers: vec![],
                dropped: 0,
                ignored: 0,
                models: 0,
                runs: 0,
                records: 0,
                put_off: PutOffView { feeds, records, forwards },
                bytes: BytesView { sent: 0, received: 0 },
            };
            status_text(&status, Style::PLAIN)
        };
        assert!(!text(0, 0, 0).contains("put off"), "{}", text(0, 0, 0));
        let all = "\nput off    1 new feed, 12 records, 3 records not passed on: one peer or feed";
        assert!(text(1, 12, 3).contains(all), "{}", text(1, 12, 3));
        assert!(text(0, 0, 1).contains("\nput off    1 record not passed on:"));
    }

    #[test]
    fn one_line_says_ready() {
        let key = protocol::SecretKey::from_seed(&[1; 32]).public();
        let ready = Ready {
            node: key,
            identity: key,
            dir: "/d".into(),
            addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
            api: "http://127.0.0.1:2".into(),
            log: None,
        };
        let text = ready_text(&ready, Style::PLAIN);
        assert_eq!(text.lines().filter(|line| line.starts_with("ready")).count(), 1);
        assert!(text.contains("  --peer /ip4/127.0.0.1/tcp/1\n"), "{text}");
        let event = Event { event: "ready", ready: Some(&ready) };
        let json = serde_json::to_string(&event).expect("json");
        assert!(json.starts_with("{\"event\":\"ready\",\"node\":"), "{json}");
        let stopped = serde_json::to_string(&Event { event: "stopped", ready: None });
        assert_eq!(stopped.expect("json"), "{\"event\":\"stopped\"}");
    }
}
