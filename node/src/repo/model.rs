//! A model as it lies in a directory: `config.json` and `model.safetensors`.
//!
//! Invariants: what is returned fits together; each error is one line that names the file.
//! What it is not: a repo, or a judgement on whether the model is good.

use std::path::Path;

use protocol::limits::MODEL_CONFIG_BYTES_MAX;
use protocol::weights::Weights;
use trainer::{Model, ModelConfig};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// Why a directory holds no model that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{name}{reason}")]
pub(crate) struct ModelFilesError {
    /// What the directory is called.
    name: String,
    reason: String,
}

/// A model's files, read and checked.
#[derive(Debug)]
pub(crate) struct ModelFiles {
    /// The configuration.
    pub config: ModelConfig,
    /// Its bytes as they are in the file.
    pub config_json: Vec<u8>,
    /// The weights.
    pub weights: Weights,
}

/// Reads the model in `dir`, which errors call `name`.
pub(crate) fn read_model(dir: &Path, name: &str) -> Result<ModelFiles, ModelFilesError> {
    let failed = |reason: String| ModelFilesError { name: name.to_owned(), reason };
    let of = |file: &str, error: &dyn std::fmt::Display| failed(format!(": {file}: {error}"));
    for file in [CONFIG, WEIGHTS] {
        if !dir.join(file).exists() {
            return Err(failed(format!(" holds no {file}: a model is a {CONFIG} and a {WEIGHTS}")));
        }
    }
    let path = dir.join(CONFIG);
    let length = std::fs::metadata(&path).map_err(|e| of(CONFIG, &e))?.len();
    if length > MODEL_CONFIG_BYTES_MAX as u64 {
        return Err(of(CONFIG, &format!("it has {length} bytes")));
    }
    let config_json = std::fs::read(&path).map_err(|e| of(CONFIG, &e))?;
    // Its errors name the file.
    let config = ModelConfig::from_json(&config_json).map_err(|e| failed(format!(": {e}")))?;
    let weights = trainer::read_weights(&dir.join(WEIGHTS)).map_err(|e| of(WEIGHTS, &e))?;
    Model::check(&config, &weights).map_err(|e| of(WEIGHTS, &e))?;
    Ok(ModelFiles { config, config_json, weights })
}
