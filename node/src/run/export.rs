//! A run's whole log as files: for a paper's appendix, and for whoever checks it without this program.
//!
//! Invariants: the directory is new or empty; every file is what its name says, byte for byte as signed or
//! certified; what cannot be had is an error, not a gap. What it is not: the model (see `accord get`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use protocol::limits::{COMMIT_BYTES_MAX, PROOF_BYTES_MAX, REPORT_BYTES_MAX};
use protocol::round::{Certificate, Tip};
use serde::Serialize;

use super::chain::{Chain, ChainError, envelope_hash};
use super::desk::{Desk, DeskError};
use super::log::log_view;
use crate::api::ProgressSender;
use crate::store::StoreError;

/// Why a run's log was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// There is something already.
    #[error("{0} is not empty: name a new directory")]
    NotEmpty(String),
    /// It cannot be written.
    #[error("cannot write {0}: {1}")]
    Write(String, std::io::Error),
    /// A certificate could not be had, or does not hold.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Something that a round names could not be had.
    #[error("round {0}: {1}")]
    Missing(u64, DeskError),
    /// This node's notes could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to write.
    #[error("no round of the run is certified yet")]
    Empty,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exported {
    pub(crate) rounds: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// What `run.json` says.
#[derive(Debug, Serialize)]
struct About<'a> {
    run: String,
    name: &'a str,
    creator: String,
    rounds: u64,
    rounds_count: u64,
    last: String,
    model: String,
    stewards: Vec<String>,
    updates_included: bool,
}

struct Folder {
    root: PathBuf,
    written: Exported,
}

impl Folder {
    fn new(root: &Path) -> Result<Self, ExportError> {
        let name = root.display().to_string();
        let failed = |error| ExportError::Write(name.clone(), error);
        fs::create_dir_all(root).map_err(failed)?;
        if fs::read_dir(root).map_err(failed)?.next().is_some() {
            return Err(ExportError::NotEmpty(name));
        }
        Ok(Self { root: root.to_owned(), written: Exported::default() })
    }

    /// Writes a file, unless one of that name was written before: names are hashes or numbers.
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.root.join(name);
        let failed = |error| ExportError::Write(path.display().to_string(), error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        if path.exists() {
            return Ok(());
        }
        let mut file = fs::File::create(&path).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        self.written.files += 1;
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Writes everything that is certified into `out`.
pub(crate) async fn export(
    desk: &Desk,
    out: &Path,
    updates: bool,
    progress: &ProgressSender,
) -> Result<Exported, ExportError> {
    let count = desk.spec.value().rounds.count;
    let mut chain = Chain::from_start(desk);
    let mut log = String::new();
    // A directory is made only for something.
    let mut next = Some(chain.next().await?.ok_or(ExportError::Empty)?);
    let mut folder = Folder::new(out)?;
    while let Some((certificate, tip)) = next {
        let view = log_view(desk, &certificate).await?;
        log += &(serde_json::to_string(&view).expect("a log is always JSON") + "\n");
        write_round(desk, &mut folder, &certificate, updates).await?;
        progress.send("writing", tip.round, Some(count), "rounds");
        next = chain.next().await?;
    }
    let tip = chain.tip();
    folder.written.rounds = tip.round;
    folder.write("log.jsonl", log.as_bytes())?;
    folder.write("roster.cbor", &tip.roster.to_bytes())?;
    folder.write("run.cose", desk.spec.bytes())?;
    let about = serde_json::to_string_pretty(&about(desk, tip, updates)).expect("always JSON");
    folder.write("run.json", (about + "\n").as_bytes())?;
    folder.write("README.md", README.as_bytes())?;
    Ok(folder.written)
}

async fn write_round(
    desk: &Desk,
    folder: &mut Folder,
    certificate: &Certificate,
    updates: bool,
) -> Result<(), ExportError> {
    let record = &certificate.record;
    let missing = |error| ExportError::Missing(record.round, error);
    let name = format!("certificates/{:06}.cbor", record.round);
    folder.write(&name, &certificate.to_bytes())?;
    let accepted = record.accepted.iter().map(|entry| (entry.commit, entry.trainer));
    let rejected = record.rejected.iter().map(|entry| (entry.commit, entry.trainer));
    for (commit, trainer) in accepted.chain(rejected) {
        let (hash, most) = (envelope_hash(commit), COMMIT_BYTES_MAX as u64);
        let bytes = desk.bytes("a commit", hash, most, &[trainer]).await.map_err(missing)?;
        folder.write(&format!("commits/{commit}.cose"), &bytes)?;
    }
    for change in &record.parts.changes {
        let most = PROOF_BYTES_MAX as u64;
        let bytes = desk.bytes("the proof of a change", change.proof, most, &[]).await;
        folder.write(&format!("changes/{}.cbor", change.proof), &bytes.map_err(missing)?)?;
    }
    for entry in &record.found.reports {
        let (most, hints) = (REPORT_BYTES_MAX as u64, [entry.auditor]);
        let bytes = desk.bytes("a report", entry.report, most, &hints).await;
        folder.write(&format!("reports/{}.cose", entry.report), &bytes.map_err(missing)?)?;
    }
    let most = desk.spec.value().update_form().update_bytes();
    for entry in record.accepted.iter().filter(|_| updates) {
        let bytes = desk.bytes("an update", entry.update, most, &[entry.trainer]).await;
        folder.write(&format!("updates/{}", entry.update), &bytes.map_err(missing)?)?;
    }
    Ok(())
}

fn about<'a>(desk: &'a Desk, tip: &Tip, updates_included: bool) -> About<'a> {
    let spec = desk.spec.value();
    About {
        run: desk.run.to_string(),
        name: &spec.name,
        creator: desk.spec.signer().to_string(),
        rounds: tip.round,
        rounds_count: spec.rounds.count,
        last: tip.id.to_string(),
        model: tip.model.to_string(),
        stewards: tip.roster.stewards().iter().map(ToString::to_string).collect(),
        updates_included,
    }
}

/// What lies beside the files.
const README: &str = "\
# The log of a training run

- `run.json`: what the run is, how far it came, and the hash of its model.
- `run.cose`: its specification, as signed by its creator; the BLAKE3 hash of this file is the run's id.
- `log.jsonl`: one line of JSON for each certified round: who counted with what weight, who did not and why,
  what auditors found, what changed of the stewards and trainers, every hash. `evaluation` and `certified_ms` are the exporting
  node's own; all else is in the certificates.
- `certificates/N.cbor`: what more than two thirds of the stewards signed for round N. The BLAKE3 hash of its
  record is the round's id; each record names the one before it, the first one the run.
- `commits/ID.cose`: each trainer's signed commit: from which model and which data it made which update.
- `reports/HASH.cose`: what auditors found of others' updates, signed by each.
- `changes/HASH.cbor`: the proofs of changes: motions of stewards, or two things that one said at once.
- `roster.cbor`: who has which part after the last round, with each trainer's standing.
- `updates/HASH`: the updates themselves, if they were asked for.

All formats are in `docs/protocol.md` of Accord, sections 3, 8 and 12 to 15. `accord audit RUN` verifies and
recomputes all of it from any node that holds the updates.
";
