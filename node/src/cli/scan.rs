//! `accord consent scan`: what may be used of a data set, as a table, JSON lines or CSV.
//!
//! Exit codes, as `grep` and linters have them: 0 if everything may be used, 1 if anything may not
//! or could not be read, 2 for wrong use.
//!
//! Invariants: the node reads the items; of a report without `--out`, standard output gets the items
//! and standard error the counts. What it is not: the decision.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::dto::{ScanColumns, ScanItem, ScanReply, ScanRequest, ScanSite};

use super::args::uses;
use super::context::{Context, absolute_text};
use super::error::CliError;
use super::output::Style;
use super::progress::Reporter;
use super::table::{Table, pairs};
use super::units::{count, duration, shorts};

/// Refused items that a table shows, and licences.
const SHOWN: usize = 20;
/// Records that a line names.
const RECORDS_SHOWN: usize = 4;

/// What can be typed after `accord consent scan`.
#[derive(Debug, Args)]
pub(super) struct ScanArguments {
    /// A directory, or a file: of .csv, .tsv, .jsonl, .ndjson and .parquet each row is an item, any
    /// other file is one.
    path: PathBuf,
    /// The use asked about.
    #[arg(long = "use", value_name = "USE", value_parser = uses())]
    use_name: String,
    /// The rules to decide by, a file as a run's `[consent]`.
    #[arg(long, value_name = "P.toml", conflicts_with = "default")]
    policy: Option<PathBuf>,
    /// Without a policy, what silence means: `opt-in` is no, `opt-out` is yes. An allow then counts
    /// at once.
    #[arg(long, value_parser = ["opt-in", "opt-out"])]
    default: Option<String>,
    /// What to report of each item: `table` shows the first that may not be used, `json` and `csv`
    /// all.
    #[arg(long, default_value = "table", value_parser = ["table", "json", "csv"])]
    format: String,
    /// Write the items of `json` or `csv` here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write what may be used here, in the same format; must not exist.
    #[arg(long, value_name = "OUT")]
    fix: Option<PathBuf>,
    /// The column of tables that holds the work itself, text or bytes: compared by likeness too.
    #[arg(long, value_name = "COLUMN")]
    content: Option<String>,
    /// The column that holds where an item was found.
    #[arg(long, value_name = "COLUMN")]
    url: Option<String>,
    /// The column that holds the key of the identity that made it.
    #[arg(long, value_name = "COLUMN")]
    author: Option<String>,
    /// The column that holds its licence, for the counts.
    #[arg(long, value_name = "COLUMN")]
    licence: Option<String>,
    /// The URL that the directory is a copy of, or that URLs of rows begin with.
    #[arg(long, value_name = "URL")]
    base: Option<String>,
    /// The robots.txt of that site.
    #[arg(long, value_name = "FILE", requires = "base")]
    robots: Option<PathBuf>,
    /// Its ai.txt.
    #[arg(long, value_name = "FILE", requires = "base")]
    ai_txt: Option<PathBuf>,
    /// Its .well-known/tdmrep.json.
    #[arg(long, value_name = "FILE", requires = "base")]
    tdmrep: Option<PathBuf>,
    /// An RSL document of it, as its robots.txt names them in `License` lines; may be given again.
    #[arg(long, value_name = "FILE", requires = "base")]
    rsl: Vec<PathBuf>,
}

pub(super) async fn act(context: &Context, arguments: ScanArguments) -> Result<(), CliError> {
    let streams = arguments.format != "table" && arguments.out.is_none();
    if arguments.format == "table" && arguments.out.is_some() {
        return Err(CliError::Usage("--out is for --format json or csv".to_owned()));
    }
    if streams && context.out.json() {
        return Err(CliError::Usage(
            "--json shows the counts: give --out for the items".to_owned(),
        ));
    }
    let between = tempfile::tempdir()?;
    let items = match (&arguments.out, streams) {
        (Some(out), _) => Some(absolute_text(out)?),
        (None, true) => Some(absolute_text(&between.path().join("items"))?),
        (None, false) => None,
    };
    let about = arguments.use_name.clone();
    let request = request(arguments, items.clone())?;
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let reply = client.scan(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    let reply = reply?;
    match items.filter(|_| streams) {
        Some(items) => {
            io::copy(&mut File::open(items)?, &mut io::stdout().lock())?;
            eprint!("{}", text(&reply, &about, false, Style::PLAIN));
        }
        None => context.out.show(&reply, |reply, style| text(reply, &about, true, style))?,
    }
    if reply.allowed == reply.items { Ok(()) } else { Err(CliError::Said) }
}

fn request(arguments: ScanArguments, items: Option<String>) -> Result<ScanRequest, CliError> {
    let path = |path: &Option<PathBuf>| path.as_deref().map(absolute_text).transpose();
    let policy = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| CliError::Read(path.display().to_string(), e))
    };
    let site = match &arguments.base {
        None => None,
        Some(base) => Some(ScanSite {
            base: base.clone(),
            robots: path(&arguments.robots)?,
            ai_txt: path(&arguments.ai_txt)?,
            tdmrep: path(&arguments.tdmrep)?,
            rsl: arguments.rsl.iter().map(|path| absolute_text(path)).collect::<Result<_, _>>()?,
        }),
    };
    let ScanArguments { content, url, author, licence, .. } = arguments;
    Ok(ScanRequest {
        path: absolute_text(&arguments.path)?,
        use_name: arguments.use_name,
        policy: arguments.policy.as_deref().map(policy).transpose()?,
        default: arguments.default,
        columns: ScanColumns { content, url, author, licence },
        site,
        items: items.map(|items| (items, arguments.format)),
        fix: path(&arguments.fix)?,
    })
}

/// The counts, and the first items that may not be used if they are wanted.
fn text(reply: &ScanReply, about: &str, refusals: bool, style: Style) -> String {
    let (items, allowed) = (count(reply.items, "item"), reply.allowed);
    let mut text = format!(
        "{about}: of {items}, {allowed} may be used, {} may not, {} could not be read\n",
        reply.refused, reply.unreadable
    );
    if refusals && !reply.refusals.is_empty() {
        let mut table = Table::new(["item", "records", "why"]);
        for item in reply.refusals.iter().take(SHOWN) {
            table.row([item.place.clone(), shorts(&item.records), why(item)]);
        }
        text += &table.text(style);
        let not_allowed = reply.refused + reply.unreadable;
        let more = not_allowed.saturating_sub(SHOWN.min(reply.refusals.len()) as u64);
        if more > 0 {
            text += &format!("and {more} more: --format json or csv has all\n");
        }
    }
    let listed = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![
        ("by reason", listed(&reply.reasons)),
        ("found by", listed(&reply.found)),
        ("by scheme", listed(&reply.schemes)),
    ];
    let by_record =
        |(record, count): &(_, u64)| format!("{count} by {}", super::units::short(record));
    let mut records: Vec<String> =
        reply.records.iter().take(RECORDS_SHOWN).map(by_record).collect();
    if reply.records.len() > RECORDS_SHOWN {
        records.push("fewer by others".to_owned());
    }
    lines.push(("by record", records.join(", ")));
    let licence = |(name, (all, used)): (&String, &(u64, u64))| format!("{used} of {all} {name}");
    let licences: Vec<String> = reply.licences.iter().take(SHOWN).map(licence).collect();
    lines.push(("by licence", licences.join(", ")));
    if !reply.set_aside.is_empty() {
        let aside = shorts(&reply.set_aside);
        lines.push(("set aside", format!("{aside}: would refuse more than the policy's reach")));
    }
    if reply.lists_missing > 0 {
        let lists = count(reply.lists_missing, "collection");
        lines.push(("not known", format!("what is in {lists} whose lists did not come yet")));
    }
    if reply.dotted > 0 {
        lines.push(("left out", count(reply.dotted, "name") + " that begin with a dot"));
    }
    lines.push(("written to", reply.fixed.clone().unwrap_or_default()));
    let moved = if reply.moved { ", and records came meanwhile: scan again" } else { "" };
    let frontier = reply.frontier.map(|id| id.short()).unwrap_or_default();
    lines.push(("decided on", format!("ledger {frontier}{moved}")));
    let each_second = reply.items.saturating_mul(1_000) / reply.elapsed_ms.max(1);
    lines.push(("took", format!("{} ({each_second} items/s)", duration(reply.elapsed_ms))));
    lines.retain(|(_, value)| !value.is_empty());
    text + &pairs(&lines, style)
}

fn why(item: &ScanItem) -> String {
    let why = item.why.clone().unwrap_or_default();
    match &item.scheme {
        Some(scheme) => {
            format!("{scheme}: {}", why.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        None => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::RecordId;

    #[test]
    fn counts_and_first_refusals_are_shown() {
        let record = RecordId::of(b"record");
        let item = |place: &str, scheme: Option<&str>| ScanItem {
            place: place.into(),
            verdict: "refused".into(),
            records: vec![record],
            scheme: scheme.map(str::to_owned),
            why: Some("denied,\n found by its pdq code, 4 of 256 bits away".into()),
            ..ScanItem::default()
        };
        let reply = ScanReply {
            items: 30,
            allowed: 3,
            refused: 25,
            unreadable: 2,
            reasons: [("denied".to_owned(), 25)].into(),
            records: vec![(record, 25)],
            refusals: vec![item("a.png", None), item("b.png", Some("iptc"))],
            dotted: 1,
            elapsed_ms: 10,
            ..ScanReply::default()
        };
        let text = text(&reply, "mine", true, Style::PLAIN);
        assert!(text.starts_with("mine: of 30 items, 3 may be used, 25 may not, 2 could not"));
        assert!(text.contains("and 25 more") && text.contains("25 denied"), "{text}");
        assert!(text.contains("iptc: denied, found by its pdq code, 4 of 256"), "{text}");
        assert!(text.contains("(3000 items/s)") && !text.contains("by scheme"), "{text}");
    }
}
