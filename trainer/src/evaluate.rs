//! A model's score on admitted rows.
//!
//! Invariants: the permits are spent; counts are exact; the loss is summed in a fixed order.
//! What it is not: equal in its last digits on every machine; who agrees on a score across
//! machines must allow for that.

use burn::tensor::activation::log_softmax;
use consent::permit::Evaluate;
use protocol::weights::Weights;

use crate::data::{Admitted, Batch};
use crate::device::Device;
use crate::model::{Model, ModelConfig, ModelError};

/// Samples of one step of evaluation.
const STEP_SAMPLES: usize = 1024;

/// Why a model has no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// Every row was refused, or there was none.
    #[error("no row may be used, so there is nothing to evaluate on")]
    NoSamples,
    /// The rows were read for another model.
    #[error("the rows were not read for this model: their label, columns or classes differ")]
    Data,
    /// The weights are not the model's.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights give infinite or undefined answers.
    #[error("the model gives no finite answer on these rows")]
    NotFinite,
    /// The device failed.
    #[error("the device gave no answer back: {0}")]
    Device(String),
}

/// A score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// How many samples were looked at.
    pub samples: u64,
    /// For how many of them the most likely class was right.
    pub correct: u64,
    /// The mean cross-entropy in millionths of a nat.
    pub loss_micro: u64,
    /// The same counts class by class, in the order of the model's classes.
    pub classes: Vec<ClassScore>,
}

/// The score on the samples of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassScore {
    /// How many samples are of the class.
    pub samples: u64,
    /// How many of them were told right.
    pub correct: u64,
}

impl Evaluation {
    /// The share of samples that were right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }

    /// The mean cross-entropy in nats.
    pub fn loss(&self) -> f64 {
        self.loss_micro as f64 / 1e6
    }
}

/// Measures the model on `admitted`.
pub fn evaluate(
    config: &ModelConfig,
    weights: &Weights,
    admitted: Admitted<Evaluate>,
    device: &Device,
) -> Result<Evaluation, EvaluateError> {
    if !config.fits(admitted.names()) {
        return Err(EvaluateError::Data);
    }
    let (draw, scaling, device) = (admitted.draw(), config.scaling(), device.plain());
    if draw.len() == 0 {
        return Err(EvaluateError::NoSamples);
    }
    let model = Model::with_weights(config, weights, &device)?;
    let mut classes = vec![ClassScore::default(); config.classes().len()];
    let mut loss = 0.0;
    let all: Vec<usize> = (0..draw.len()).collect();
    for picks in all.chunks(STEP_SAMPLES) {
        let batch = Batch::new(&draw, picks, &scaling, &device);
        let logarithms: Vec<f32> = log_softmax(model.forward(batch.inputs), 1)
            .try_into_vec_as()
            .map_err(|error| EvaluateError::Device(error.to_string()))?;
        for (&at, row) in picks.iter().zip(logarithms.chunks(classes.len())) {
            if row.iter().any(|logarithm| logarithm.is_nan()) {
                return Err(EvaluateError::NotFinite);
            }
            let class = draw.class(at) as usize;
            let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
            classes[class].samples += 1;
            classes[class].correct += u64::from(best == Some(class));
            loss -= f64::from(row[class]);
        }
    }
    let loss = loss / draw.len() as f64;
    if !loss.is_finite() {
        return Err(EvaluateError::NotFinite);
    }
    Ok(Evaluation {
        samples: draw.len() as u64,
        correct: classes.iter().map(|class| class.correct).sum(),
        loss_micro: (loss * 1e6) as u64,
        classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Table;
    use consent::{Gate, Ledger, Policy, Silence};
    use protocol::weights::TensorShape;

    fn score(weight: [f32; 2]) -> Result<Evaluation, EvaluateError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("signs.csv");
        std::fs::write(&path, "x,sign\n-2,-\n-1,-\n1,+\n3,+\n-4,+\n").expect("writable");
        let config = r#"{"architecture": "mlp", "hidden": [], "label": "sign",
            "classes": ["-", "+"], "columns": [{"name": "x", "offset": 0.0, "scale": 1.0}]}"#;
        let config = ModelConfig::from_json(config.as_bytes()).expect("a config");
        let table = Table::open(&path, &config.table_options()).expect("a table");
        let tensor = |name: &str, shape: &[u64], values: &[f32]| {
            (TensorShape { name: name.into(), shape: shape.into() }, values.to_vec())
        };
        let weights = Weights::new(vec![
            tensor("layers.0.weight", &[2, 1], &weight),
            tensor("layers.0.bias", &[2], &[0.0, 0.0]),
        ]);
        let (ledger, policy) =
            (Ledger::new(), Policy { default: Silence::OptOut, ..Policy::default() });
        let gate = Gate::new(&ledger, &policy, 0);
        let admitted = table.admit(|work| gate.decide(work)).admitted;
        evaluate(&config, &weights.expect("weights"), admitted, &Device::cpu())
    }

    #[test]
    fn a_score_counts_by_class() {
        let score = score([-1.0, 1.0]).expect("a score");
        assert_eq!((score.samples, score.correct), (5, 4));
        assert_eq!(score.accuracy(), 0.8);
        let minus = ClassScore { samples: 2, correct: 2 };
        assert_eq!(score.classes, [minus, ClassScore { samples: 3, correct: 2 }]);
        // ln(1 + e^-2|x|) for each of the four that are right, and 8 more for the last.
        let expected: f64 = [-4.0f64, -2.0, -2.0, -6.0, 8.0].iter().map(|z| z.exp().ln_1p()).sum();
        assert!(
            (score.loss() - expected / 5.0).abs() < 2e-6,
            "{} {}",
            score.loss(),
            expected / 5.0
        );
    }

    #[test]
    fn a_tie_is_the_first_class() {
        assert_eq!(score([0.0, 0.0]).expect("a score").correct, 2);
    }
}
