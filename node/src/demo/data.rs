//! The demo's data: the shipped digits, split over three trainers, and a contributor's works.
//!
//! Invariants: a function of the shipped file and fixed seeds. What it is not: downloaded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use consent::permit::TrainOther;
use consent::{Gate, Ledger, Policy, Silence};
use protocol::ContentId;
use trainer::data::split::{dirichlet, held_out};
use trainer::data::{works, write_rows};
use trainer::{Model, ModelConfig, Table, TableOptions};

use super::DemoError;

/// Handwritten digits (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0; see the file's README).
const DIGITS: &str = include_str!("../../assets/digits.csv");
/// Trainers in the demo.
pub(super) const TRAINERS: usize = 3;
/// Works that the contributor takes out.
pub(super) const OPTED_OUT: usize = 100;
const SEED: u64 = 7;
const HELD_OUT_MILLI: u32 = 200;
const ALPHA_MILLI: u32 = 500;
const HIDDEN: [usize; 1] = [64];

/// Files of the demo.
#[derive(Debug)]
pub(super) struct Files {
    /// One table a trainer.
    pub parts: Vec<PathBuf>,
    /// The held-out table.
    pub held_out: PathBuf,
    /// The contributor's works.
    pub works: PathBuf,
    /// How many rows of each part are the contributor's.
    pub opted_out: Vec<u64>,
    /// How many rows each part has.
    pub rows: Vec<u64>,
    /// The initial model: `model.safetensors` and `config.json`.
    pub model: PathBuf,
}

/// Writes the demo's files under `dir`.
pub(super) fn prepare(dir: &Path) -> Result<Files, DemoError> {
    let said = |e: &dyn std::fmt::Display| DemoError::Data(e.to_string());
    let write = |path: PathBuf, bytes: &[u8]| {
        std::fs::write(&path, bytes).map_err(|e| DemoError::Write(path.clone(), e))
    };
    let all = dir.join("digits.csv");
    write(all.clone(), DIGITS.as_bytes())?;
    let table = Table::open(&all, &TableOptions::new("label")).map_err(|e| said(&e))?;
    let labels = table.labels();
    let (rest, held) = held_out(&labels, HELD_OUT_MILLI, SEED);
    let split = dirichlet(&rest, &labels, TRAINERS, ALPHA_MILLI, SEED);
    let held_out = dir.join("held-out.csv");
    write_rows(&all, &held, &held_out).map_err(|e| said(&e))?;
    let mut parts = Vec::new();
    for (at, rows) in split.iter().enumerate() {
        let path = dir.join(format!("part-{}.csv", at + 1));
        write_rows(&all, rows, &path).map_err(|e| said(&e))?;
        parts.push(path);
    }
    // The contributor's works: every so many rows of what is trained on, so that each trainer
    // holds some.
    let taken: Vec<usize> =
        rest.iter().copied().step_by(rest.len() / OPTED_OUT).take(OPTED_OUT).collect();
    let works_file = dir.join("my-works.csv");
    write_rows(&all, &taken, &works_file).map_err(|e| said(&e))?;
    let mine: BTreeSet<ContentId> = works(&works_file).map_err(|e| said(&e))?.into_iter().collect();
    let (mut opted_out, mut rows) = (Vec::new(), Vec::new());
    for part in &parts {
        let held = works(part).map_err(|e| said(&e))?;
        rows.push(held.len() as u64);
        opted_out.push(held.iter().filter(|work| mine.contains(work)).count() as u64);
    }
    let model = dir.join("model");
    std::fs::create_dir_all(&model).map_err(|e| DemoError::Write(model.clone(), e))?;
    let config = config(&table.part(&rest))?;
    let weights = Model::init(&config, SEED).map_err(|e| said(&e))?;
    write(model.join("config.json"), config.to_json().as_bytes())?;
    write(model.join("model.safetensors"), &weights.to_bytes())?;
    Ok(Files { parts, held_out, works: works_file, opted_out, rows, model })
}

/// The model's config: a hidden layer, columns and classes of the table.
fn config(table: &Table) -> Result<ModelConfig, DemoError> {
    let ledger = Ledger::new();
    let policy = Policy { default: Silence::OptOut, ..Policy::default() };
    let gate = Gate::new(&ledger, &policy, 0);
    let admission = table.admit::<TrainOther>(|work| gate.decide(work));
    ModelConfig::mlp(admission.admitted, &HIDDEN).map_err(|e| DemoError::Data(e.to_string()))
}
