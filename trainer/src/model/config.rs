//! A model's `config.json`: what it is, what its inputs mean, what it can answer.
//!
//! Invariants: a config that exists has been checked, so its sizes are bounded, its names unique
//! and its scales finite and positive. Every trainer scales by the same numbers, since they are
//! part of the model. What it is not: training settings; a run has those.

use consent::permit::TrainOther;
use protocol::limits::{
    CLASSES_MAX, HIDDEN_LAYERS_MAX, HIDDEN_UNITS_MAX, MODEL_CONFIG_BYTES_MAX, PARAMETERS_MAX,
    TABLE_COLUMNS_MAX,
};
use serde::{Deserialize, Serialize};

use crate::data::{Admitted, Scaling, TableOptions};

/// Why something is not a model's config.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Longer than any config.
    #[error("config.json has {0} bytes, at most {MODEL_CONFIG_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Not JSON, or not these fields.
    #[error("config.json: {0}")]
    Json(String),
    /// No architecture, or one that this version does not know.
    #[error("config.json: the architecture is {0}; allowed: \"mlp\"")]
    Architecture(String),
    /// A number or a list has a size that is not allowed.
    #[error("config.json: {what} is {found}; allowed: {min} to {max}")]
    Size {
        /// What has the size.
        what: &'static str,
        /// The size.
        found: usize,
        /// The least that is allowed.
        min: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// Two columns or classes of one name, or a column that is the label.
    #[error("config.json: {what} {name:?} is there twice")]
    Twice {
        /// A column or a class.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A name that is empty.
    #[error("config.json: {0} has no name")]
    Unnamed(&'static str),
    /// A column cannot be scaled so.
    #[error(
        "config.json: column {column:?} has offset {offset} and scale {scale}; \
         both must be finite and the scale above zero"
    )]
    Scale {
        /// The column's name.
        column: String,
        /// Its offset.
        offset: f32,
        /// Its scale.
        scale: f32,
    },
    /// A model cannot be made for data of which nothing may be used.
    #[error("no row may be used, so there is nothing to make a model for")]
    NoSamples,
}

/// A model's config, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ModelConfig(pub(super) Architecture);

/// A config by architecture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "architecture", rename_all = "lowercase")]
pub(super) enum Architecture {
    /// A multilayer perceptron for tables.
    Mlp(MlpConfig),
}

/// The config of a multilayer perceptron: one input a column, one output a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MlpConfig {
    pub(super) hidden: Vec<usize>,
    pub(super) label: String,
    pub(super) classes: Vec<String>,
    pub(super) columns: Vec<Column>,
}

/// A feature column: the model sees `(value - offset) / scale`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    name: String,
    offset: f32,
    scale: f32,
}

impl ModelConfig {
    /// The config of a multilayer perceptron with these hidden layers for data like `admitted`:
    /// its columns, its classes, and each column scaled so that these rows lie in 0 to 1.
    pub fn mlp(admitted: Admitted<TrainOther>, hidden: &[usize]) -> Result<Self, ConfigError> {
        let names = admitted.names().clone();
        let draw = admitted.draw();
        if draw.len() == 0 {
            return Err(ConfigError::NoSamples);
        }
        let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); names.columns.len()];
        for at in 0..draw.len() {
            for ((least, most), &value) in ranges.iter_mut().zip(draw.features(at)) {
                (*least, *most) = (least.min(value), most.max(value));
            }
        }
        let columns = names.columns.into_iter().zip(ranges).map(|(name, (least, most))| {
            // Halves, so that the difference of two large floats stays finite.
            let scale = 2.0 * (most / 2.0 - least / 2.0);
            let scale = if scale.is_normal() { scale } else { 1.0 };
            Column { name, offset: least, scale }
        });
        let config = MlpConfig {
            hidden: hidden.to_vec(),
            label: names.label,
            classes: names.classes,
            columns: columns.collect(),
        };
        config.check()?;
        Ok(Self(Architecture::Mlp(config)))
    }

    /// Reads an untrusted `config.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > MODEL_CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong(bytes.len()));
        }
        let json = |error: serde_json::Error| ConfigError::Json(error.to_string());
        let mut fields: serde_json::Map<_, _> = serde_json::from_slice(bytes).map_err(json)?;
        match fields.remove("architecture") {
            Some(serde_json::Value::String(name)) if name == "mlp" => {
                let config: MlpConfig = serde_json::from_value(fields.into()).map_err(json)?;
                config.check()?;
                Ok(Self(Architecture::Mlp(config)))
            }
            Some(other) => {
                Err(ConfigError::Architecture(other.to_string().chars().take(80).collect()))
            }
            None => Err(ConfigError::Architecture("missing".into())),
        }
    }

    /// The text of `config.json`.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("strings, integers and finite floats are JSON") + "\n"
    }

    /// How to read a table for this model.
    pub fn table_options(&self) -> TableOptions {
        let Architecture::Mlp(config) = &self.0;
        TableOptions {
            label: config.label.clone(),
            columns: Some(config.columns.iter().map(|column| column.name.clone()).collect()),
            classes: Some(config.classes.clone()),
        }
    }

    /// The label column.
    pub fn label(&self) -> &str {
        let Architecture::Mlp(config) = &self.0;
        &config.label
    }

    /// The classes it tells apart.
    pub fn classes(&self) -> &[String] {
        let Architecture::Mlp(config) = &self.0;
        &config.classes
    }

    /// Whether data with these names is what the model was made for.
    pub(crate) fn fits(&self, names: &crate::data::Names) -> bool {
        let Architecture::Mlp(config) = &self.0;
        let columns = config.columns.iter().map(|column| &column.name);
        config.label == names.label
            && config.classes == names.classes
            && columns.eq(names.columns.iter())
    }

    /// How columns become inputs.
    pub(crate) fn scaling(&self) -> Scaling {
        let Architecture::Mlp(config) = &self.0;
        Scaling(config.columns.iter().map(|column| (column.offset, column.scale)).collect())
    }
}

impl MlpConfig {
    /// The sizes of the layers, from the inputs to the outputs.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![self.columns.len()];
        sizes.extend(&self.hidden);
        sizes.push(self.classes.len());
        sizes
    }

    fn check(&self) -> Result<(), ConfigError> {
        size("the number of columns", self.columns.len(), 1, TABLE_COLUMNS_MAX)?;
        size("the number of classes", self.classes.len(), 2, CLASSES_MAX)?;
        size("the number of hidden layers", self.hidden.len(), 0, HIDDEN_LAYERS_MAX)?;
        for &units in &self.hidden {
            size("a hidden layer", units, 1, HIDDEN_UNITS_MAX)?;
        }
        let parameters = self.sizes().windows(2).fold(0usize, |sum, pair| {
            sum.saturating_add((pair[0].saturating_add(1)).saturating_mul(pair[1]))
        });
        size("the number of parameters", parameters, 1, PARAMETERS_MAX)?;
        unique("class", self.classes.iter())?;
        unique("column", self.columns.iter().map(|c| &c.name).chain([&self.label]))?;
        for Column { name, offset, scale } in &self.columns {
            if !offset.is_finite() || !scale.is_normal() || *scale < 0.0 {
                let column = name.clone();
                return Err(ConfigError::Scale { column, offset: *offset, scale: *scale });
            }
        }
        Ok(())
    }
}

fn size(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(ConfigError::Size { what, found, min, max })
    }
}

fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), ConfigError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(ConfigError::Unnamed(what));
        }
        if !seen.insert(name) {
            return Err(ConfigError::Twice { what, name: name.chars().take(80).collect() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"architecture": "mlp", "hidden": [4], "label": "kind",
        "classes": ["a", "b"], "columns": [{"name": "x", "offset": 0.5, "scale": 2.0}]}"#;

    fn message(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        ModelConfig::from_json(text.as_bytes()).expect_err("not a config").to_string()
    }

    #[test]
    fn a_config_survives_its_text() {
        let config = ModelConfig::from_json(GOOD.as_bytes()).expect("valid");
        assert_eq!(ModelConfig::from_json(config.to_json().as_bytes()), Ok(config.clone()));
        assert_eq!(config.scaling(), Scaling(vec![(0.5, 2.0)]));
        let options = config.table_options();
        assert_eq!(options.columns.as_deref(), Some(["x".to_string()].as_slice()));
        assert!(config.to_json().starts_with("{\n  \"architecture\": \"mlp\","));
    }

    #[test]
    fn each_fault_says_what_is_allowed() {
        assert_eq!(
            message("\"mlp\"", "\"cnn\""),
            "config.json: the architecture is \"cnn\"; allowed: \"mlp\""
        );
        assert!(message("\"architecture\": \"mlp\",", "").contains("is missing; allowed"));
        assert!(message("\"hidden\"", "\"hiden\"").contains("unknown field `hiden`, expected"));
        assert!(message("[4]", "[0]").ends_with("a hidden layer is 0; allowed: 1 to 65536"));
        assert!(message("[4]", "[65536, 65536]").contains("the number of parameters is"));
        assert!(message("[4]", "[-1]").contains("invalid value"));
        assert!(message("\"a\", \"b\"", "\"a\"").contains("number of classes is 1; allowed: 2"));
        assert!(message("\"a\", \"b\"", "\"a\", \"a\"").contains("class \"a\" is there twice"));
        assert!(message("\"x\"", "\"kind\"").contains("column \"kind\" is there twice"));
        assert!(message("2.0", "0.0").contains("the scale above zero"));
        assert!(message("2.0", "-1.0").contains("the scale above zero"));
        assert!(message("0.5", "1e39").contains("config.json"));
        assert!(message("}]}", "}]").contains("EOF"));
    }
}
