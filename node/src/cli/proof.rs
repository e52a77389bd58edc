//! `accord consent prove` and `verify-proof`.
//!
//! Invariants: a proof is a file of its own that is replaced whole or not at all; verifying needs no
//! node and no network. What it is not: the rules (see `consent::proof` and `docs/proofs.md`).

use clap::Args;
use std::path::{Path, PathBuf};

use consent::proof::{BoundShown, DataShown, Proof, RoundShown, Shown};
use consent::record_id;
use protocol::limits::PROOF_FILE_BYTES_MAX;
use protocol::log::policy::{TrustPolicy, Trusted};
use serde::Serialize;

use crate::api::dto::ProveRequest;

use super::context::{Context, absolute_text};
use super::error::CliError;
use super::units::size;

/// What no proof shows.
const LIMIT: &str = "What the weights have seen beside this, no proof can show.";

/// A proof that was written.
#[derive(Debug, Serialize)]
struct WrittenView {
    file: String,
    bytes: u64,
}

/// What a proof shows, in sentences.
#[derive(Debug, Serialize)]
struct ShownView {
    shows: Vec<String>,
    limit: &'static str,
}

/// What is to be proved.
#[derive(Debug, Args)]
pub(super) struct ProveArguments {
    /// A record.
    #[arg(long, value_name = "ID")]
    pub(super) record: Option<String>,
    /// The run, for a proof about one of its rounds.
    #[arg(long, requires = "round")]
    pub(super) run: Option<String>,
    /// The round.
    #[arg(long, value_name = "N", requires = "run")]
    pub(super) round: Option<u64>,
    /// A file with the work: alone, that nobody spoke of it; with a record, that it is in the record's
    /// collection; with a round, that this node's update did not use it.
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Which row of the file, counted from 1, if it is a table.
    #[arg(long, value_name = "N", requires = "file")]
    pub(super) row: Option<u64>,
    /// The content id of a work that nobody spoke of.
    #[arg(long, value_name = "ID", conflicts_with_all = ["record", "run", "file"])]
    pub(super) absent: Option<String>,
    /// Where to write the proof; `consent.proof` here if left out.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

pub(super) async fn prove(context: &Context, arguments: ProveArguments) -> Result<(), CliError> {
    let path = arguments.file.as_deref().map(absolute_text).transpose()?;
    let request = ProveRequest {
        record: arguments.record,
        run: arguments.run,
        round: arguments.round,
        path,
        row: arguments.row,
        absent: arguments.absent,
    };
    let reply = context.client()?.prove(&request).await?;
    let bytes = hex::decode(&reply.proof)
        .map_err(|error| CliError::Usage(format!("the node's answer is no proof: {error}")))?;
    let out = arguments.out.unwrap_or_else(|| PathBuf::from("consent.proof"));
    write(&out, &bytes).map_err(|error| CliError::Write(out.display().to_string(), error))?;
    let view = WrittenView { file: out.display().to_string(), bytes: bytes.len() as u64 };
    Ok(context.out.show(&view, |view, _| {
        format!(
            "wrote {} ({}); anyone can check it with docs/verify.py or \
             `accord consent verify-proof`\n{LIMIT}",
            view.file,
            size(view.bytes)
        )
    })?)
}

pub(super) fn verify(
    context: &Context,
    file: &Path,
    policy: Option<&Path>,
) -> Result<(), CliError> {
    let policy = policy.map(|path| read(path, 1 << 20)).transpose()?;
    let policy = policy.map(|bytes| TrustPolicy::parse(&bytes)).transpose();
    let policy = policy.map_err(|error| CliError::Usage(format!("--policy: {error}")))?;
    let proof = Proof::from_bytes(&read(file, PROOF_FILE_BYTES_MAX)?)
        .map_err(|error| CliError::NotProved(error.to_string()))?;
    let shown = proof.verify(policy.as_ref());
    let shown = shown.map_err(|error| CliError::NotProved(error.to_string()))?;
    let view = ShownView { shows: sentences(&shown), limit: LIMIT };
    Ok(context.out.show(&view, |view, _| format!("{}\n{LIMIT}", view.shows.join("\n")))?)
}

fn sentences(shown: &Shown) -> Vec<String> {
    match shown {
        Shown::Record(shown) => {
            let record = shown.record.value();
            vec![format!(
                "record {} ({} {} of feed {} of {}) is entry {} of {}",
                record_id(&shown.record),
                record.kind,
                record.seq,
                record.feed,
                record.author,
                shown.index,
                vouched(&shown.trusted)
            )]
        }
        Shown::Absent(shown) => {
            vec![format!(
                "no statement about {:?} is in {}",
                shown.subject,
                vouched(&shown.trusted)
            )]
        }
        Shown::Member(shown) => {
            let (record, signer) = (shown.record.value(), shown.record.signer());
            vec![format!(
                "record {} of {}, signed with the key {signer}, speaks of a collection that {} is in",
                record_id(&shown.record),
                record.author,
                shown.content
            )]
        }
        Shown::Round(shown) => round(shown),
    }
}

fn round(shown: &RoundShown) -> Vec<String> {
    let RoundShown { run, name, round, votes, stewards, bound, data } = shown;
    let mut said = vec![format!(
        "run {run} ({name}), round {round}: certified by {votes} of {stewards} stewards"
    )];
    if let Some(BoundShown { record, head }) = bound {
        said.push(format!(
            "it bound a ledger that has record {record} (its feed up to {}): every update from the \
             next round on must have been decided with it",
            head.seq
        ));
    }
    if let Some(DataShown { content, trainer, accepted, used, excluded, .. }) = data {
        let counted = if *accepted { "accepted" } else { "rejected" };
        said.push(format!(
            "its {counted} update by {trainer} says that {content} was not among the {used} works \
             used"
        ));
        match excluded {
            None => {}
            Some(None) => said.push("and left out because nobody had allowed it".into()),
            Some(Some(record)) => said.push(format!("and left out because of record {record}")),
        }
    }
    said
}

fn vouched(trusted: &Trusted) -> String {
    let checkpoint = trusted.checkpoint.checkpoint();
    let by: Vec<String> =
        trusted.cosigned.iter().map(|(name, time_s)| format!("{name} at {time_s}")).collect();
    let by = if by.is_empty() { "no witness".to_owned() } else { by.join(", ") };
    format!("log {} of {} entries, cosigned by {by}", checkpoint.origin(), checkpoint.size())
}

fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, CliError> {
    let failed = |error| CliError::Read(path.display().to_string(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > bytes_max as u64 {
        return Err(CliError::Usage(format!("{} is too long for what it is", path.display())));
    }
    std::fs::read(path).map_err(failed)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::Builder::new().tempfile_in(dir.unwrap_or_else(|| Path::new(".")))?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}
