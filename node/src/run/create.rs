//! Creating a run: from a person's run file to a signed `RunSpec` that others can join.
//!
//! Invariants: everything that the spec names by hash is stored and served before it is signed; the
//! model is checked against its config first. What it is not: joining it.

use std::io::Write;
use std::path::{Path, PathBuf};

use consent::permit::TrainOther;
use protocol::limits::HELD_OUT_BYTES_MAX;
use protocol::run::{Admission, AdmissionSpec, ConsentSpec, ModelSpec, RoundSpec, RunSpec};
use protocol::weights::Weights;
use protocol::{FileHash, Message, PublicKey, SecretKey, Signed};
use trainer::{Model, ModelConfig, Table, TableOptions};

use super::desk::Means;
use super::refusal::none_admitted;
use super::spec_file::{ModelSection, SpecError, SpecFile};
use crate::announce::announce_head;
use crate::api::ProgressSender;
use crate::clock::now_ms;
use crate::net::BlobError;
use crate::repo::{self, GetError, HeadBook, HeadError, ModelFiles, Present, ShareError};

/// Why a run was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The run file is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The finished specification breaks a rule.
    #[error("the run file is wrong: {0}")]
    Rule(String),
    /// A key in it is none.
    #[error("the run file is wrong: {field}: {reason}")]
    Key {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The model is not known.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The model cannot be fetched.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The model cannot be used.
    #[error("{0}")]
    Model(String),
    /// A table cannot be used.
    #[error(transparent)]
    Table(#[from] trainer::TableError),
    /// The new model cannot be shared.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Something could not be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A file could not be written.
    #[error("cannot write the new model: {0}")]
    Io(#[from] std::io::Error),
}

/// The starting model, in the forms that a run needs.
struct Start {
    weights: Weights,
    config: ModelConfig,
    config_json: Vec<u8>,
    repo: String,
    /// A new model's files, to be shared once the run is known to be sound.
    files: Option<tempfile::TempDir>,
}

/// Makes and signs the run of a run file's text; relative paths in it start from `dir`.
pub(crate) async fn create(
    text: &str,
    dir: &Path,
    owner: &SecretKey,
    means: &Means,
    heads: &HeadBook,
    progress: &ProgressSender,
) -> Result<Signed<RunSpec>, CreateError> {
    let file = SpecFile::parse(text)?;
    let (aggregate, local) = (file.aggregate()?, file.local()?);
    let (policy, train_ms) = (file.policy()?, file.train_ms()?);
    protocol::run::check_name("name", &file.name).map_err(CreateError::Rule)?;
    let start = match &file.model.repo {
        Some(repo) => from_repo(repo, owner, means, heads, progress).await?,
        None => new_model(&file, dir, means)?,
    };
    check_data(&file.model, dir, &start.config)?;
    let held_out = keep_held_out(&file.model, dir, &start.config, means).await?;
    let bytes = start.weights.to_bytes();
    let weights_bytes = bytes.len() as u64;
    let weights = means.net.blobs().add_bytes(bytes).await?;
    let config = means.net.blobs().add_bytes(start.config_json).await?;
    let frontier = means.net.blobs().add_bytes(means.ledger.frontier().to_bytes()).await?;
    let spec = RunSpec {
        name: file.name.clone(),
        model: ModelSpec {
            weights,
            weights_bytes,
            parameters: start.weights.parameters() as u64,
            config,
            repo: start.repo,
            held_out,
        },
        stewards: keys("stewards", &file.stewards, Some(means.net.key()))?,
        admission: admission(&file)?,
        rounds: RoundSpec {
            count: file.rounds.count,
            updates_min: file.rounds.updates_min,
            train_ms,
            agree_ms: file.rounds.agree_ms,
            audits: file.rounds.audits,
            slices: file.rounds.slices,
        },
        aggregate,
        local,
        consent: ConsentSpec { policy: policy.to_bytes(), frontier },
        created_ms: now_ms(),
    };
    spec.check(&owner.public()).map_err(CreateError::Rule)?;
    let known = heads.newest_of(owner.public(), &file.name);
    if start.files.is_some() && known.is_some() {
        // Its newest revision would be an untrained model.
        return Err(CreateError::Rule(format!(
            "there is a repo me/{0} already: go on from it with `repo = \"me/{0}\"` under [model], \
             or take another name",
            file.name
        )));
    }
    if let Some(files) = start.files {
        let blobs = means.net.blobs();
        let shared = repo::share(files.path(), &file.name, owner, blobs, heads, progress).await?;
        announce_head(&means.net, &shared.head).await;
    }
    Ok(Signed::sign(spec, owner))
}

fn admission(file: &SpecFile) -> Result<AdmissionSpec, CreateError> {
    let (section, probation_rounds) = (&file.admission, file.admission.probation_rounds);
    let open = section.invited.is_empty() && section.vouches_max == 0;
    let who = if open {
        Admission::Open
    } else {
        let trainers = keys("admission.invited", &section.invited, None)?;
        Admission::Invited { trainers, vouches_max: section.vouches_max }
    };
    Ok(AdmissionSpec { who, probation_rounds })
}

async fn from_repo(
    text: &str,
    owner: &SecretKey,
    means: &Means,
    heads: &HeadBook,
    progress: &ProgressSender,
) -> Result<Start, CreateError> {
    let resolved = heads.resolve(text, owner.public())?;
    let got = repo::fetch(&means.net, &resolved.head, progress).await?;
    let dir = tempfile::tempdir()?;
    repo::write_out(means.net.blobs(), &got.manifest, dir.path(), Present::Stays).await?;
    let ModelFiles { config, config_json, weights } =
        repo::read_model(dir.path(), text).map_err(|e| CreateError::Model(e.to_string()))?;
    Ok(Start {
        weights,
        config,
        config_json,
        repo: resolved.head.value().name.clone(),
        files: None,
    })
}

/// Makes a new model for a table's columns and classes.
fn new_model(file: &SpecFile, dir: &Path, means: &Means) -> Result<Start, CreateError> {
    let section = &file.model;
    let (Some(data), Some(label)) = (&section.data, &section.label) else {
        let reason = "[model] needs `repo`, or `data` and `label` to make a new model for a table";
        return Err(CreateError::Rule(reason.into()));
    };
    let (policy, hidden) = (file.policy()?, file.hidden()?);
    let path = dir.join(data);
    let config = tokio::task::block_in_place(|| {
        let table = Table::open(&path, &TableOptions::new(label.clone()))?;
        let (_, admission) = means
            .ledger
            .with_gate(&policy, |gate| table.admit::<TrainOther>(|work| gate.decide(work)));
        if admission.admitted.is_empty() {
            let why = none_admitted(&admission.denials);
            return Err(CreateError::Model(format!("{}: {why}", path.display())));
        }
        ModelConfig::mlp(admission.admitted, hidden)
            .map_err(|e| CreateError::Model(format!("{}: {e}", path.display())))
    })?;
    let weights = Model::init(&config, section.seed)
        .map_err(|e| CreateError::Model(format!("the new model: {e}")))?;
    let config_json = config.to_json().into_bytes();
    let files = tempfile::tempdir()?;
    write(files.path().join("model.safetensors"), &weights.to_bytes())?;
    write(files.path().join("config.json"), &config_json)?;
    Ok(Start { weights, config, config_json, repo: file.name.clone(), files: Some(files) })
}

/// Whether a model that there is already can be fed with the table that the run file names for it.
fn check_data(section: &ModelSection, dir: &Path, config: &ModelConfig) -> Result<(), CreateError> {
    let (Some(repo), Some(data)) = (&section.repo, &section.data) else { return Ok(()) };
    let (said, told) = (section.label.as_deref(), config.label());
    if said.is_some_and(|said| said != told) {
        let what = format!("model.label: the model of {repo} tells column {told:?}");
        return Err(CreateError::Rule(what));
    }
    tokio::task::block_in_place(|| Table::open(&dir.join(data), &config.table_options()))?;
    Ok(())
}

/// Stores the held-out table after reading it as the trainers will. It is shared with commas, since
/// its name, which would tell, is not.
async fn keep_held_out(
    section: &ModelSection,
    dir: &Path,
    config: &ModelConfig,
    means: &Means,
) -> Result<Option<FileHash>, CreateError> {
    let Some(held_out) = &section.held_out else { return Ok(None) };
    let path = dir.join(held_out);
    let csv = tempfile::Builder::new().suffix(".csv").tempfile()?;
    tokio::task::block_in_place(|| {
        let table = Table::open(&path, &config.table_options())?;
        let rows: Vec<usize> = (0..table.len()).collect();
        trainer::data::write_rows(&path, &rows, csv.path())
    })?;
    let bytes = std::fs::metadata(csv.path())?.len();
    if bytes > HELD_OUT_BYTES_MAX {
        let what =
            format!("model.held_out has {bytes} bytes: at most {HELD_OUT_BYTES_MAX} are shared");
        return Err(CreateError::Rule(what));
    }
    let (hash, _) = means.net.blobs().add_path(csv.path()).await?;
    Ok(Some(hash))
}

fn keys(
    field: &'static str,
    texts: &[String],
    default: Option<PublicKey>,
) -> Result<Vec<PublicKey>, CreateError> {
    let mut keys = Vec::with_capacity(texts.len().max(1));
    for text in texts {
        match (text.as_str(), default) {
            ("self", Some(own)) => keys.push(own),
            _ => keys.push(text.parse().map_err(|e: protocol::key::KeyError| {
                CreateError::Key { field, reason: e.to_string() }
            })?),
        }
    }
    if texts.is_empty() {
        keys.extend(default);
    }
    keys.sort();
    keys.dedup();
    Ok(keys)
}

fn write(path: PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::File::create(path)?.write_all(bytes)
}
