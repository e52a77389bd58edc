//! Models: an architecture with its weights, on a device.
//!
//! Invariants: weights enter and leave in the outside world's names and shapes (PyTorch's), and
//! are checked against the config on the way in. What it is not: training.

mod config;
mod mlp;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use protocol::weights::{TensorShape, Weights, WeightsError};

use config::Architecture;
pub use config::{ConfigError, ModelConfig};

/// Why weights are not those of a model, or a model has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The weights lack a tensor.
    #[error("the weights have no tensor {name:?}; the config asks for shape {expected:?}")]
    Missing {
        /// The tensor's name.
        name: String,
        /// The shape it should have.
        expected: Vec<u64>,
    },
    /// The weights have a tensor that the model has not.
    #[error("the weights have a tensor {name:?} of shape {found:?} that the config knows not")]
    Extra {
        /// The tensor's name.
        name: String,
        /// Its shape.
        found: Vec<u64>,
    },
    /// A tensor has another shape than the config says.
    #[error("tensor {name:?}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape it should have.
        expected: Vec<u64>,
        /// The shape it has.
        found: Vec<u64>,
    },
    /// The model's values are no weights, such as after training that diverged.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device failed to give the values back.
    #[error("the device gave no values back: {0}")]
    Device(String),
}

/// Counts the parameters of each tensor.
struct Counts(Vec<usize>);

impl ModuleVisitor for Counts {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().shape().num_elements());
    }
}

/// A model on a device.
#[derive(Module, Debug)]
pub enum Model {
    /// A multilayer perceptron.
    Mlp(mlp::Mlp),
}

impl Model {
    /// The initial weights of a model of this config: a function of the config and the seed.
    pub fn init(config: &ModelConfig, seed: u64) -> Result<Weights, ModelError> {
        let Architecture::Mlp(config) = &config.0;
        Ok(mlp::init(config, seed)?)
    }

    /// The names and shapes of this config's tensors, sorted by name.
    pub fn layout(config: &ModelConfig) -> Vec<TensorShape> {
        let Architecture::Mlp(config) = &config.0;
        mlp::layout(config)
    }

    /// How many parameters a model of this config has.
    pub fn parameters(config: &ModelConfig) -> usize {
        let count = |tensor: &TensorShape| tensor.shape.iter().product::<u64>() as usize;
        Self::layout(config).iter().map(count).sum()
    }

    /// Whether these are weights of this config.
    pub fn check(config: &ModelConfig, weights: &Weights) -> Result<(), ModelError> {
        let expected = Self::layout(config);
        for tensor in &expected {
            let name = tensor.name.clone();
            let expected = tensor.shape.clone();
            match weights.layout().iter().find(|found| found.name == name) {
                None => return Err(ModelError::Missing { name, expected }),
                Some(found) if found.shape != expected => {
                    let found = found.shape.clone();
                    return Err(ModelError::Shape { name, expected, found });
                }
                Some(_) => {}
            }
        }
        let extra = weights.layout().iter().find(|t| !expected.iter().any(|e| e.name == t.name));
        extra.map_or(Ok(()), |tensor| {
            Err(ModelError::Extra { name: tensor.name.clone(), found: tensor.shape.clone() })
        })
    }

    /// The model with these weights.
    pub(crate) fn with_weights(
        config: &ModelConfig,
        weights: &Weights,
        device: &burn::tensor::Device,
    ) -> Result<Self, ModelError> {
        Self::check(config, weights)?;
        let Architecture::Mlp(config) = &config.0;
        Ok(Self::Mlp(mlp::Mlp::with_weights(config, weights, device)))
    }

    /// How many parameters each tensor has, in the model's own order.
    pub(crate) fn parameter_counts(&self) -> Vec<usize> {
        let mut counts = Counts(Vec::new());
        self.visit(&mut counts);
        counts.0
    }

    /// The weights of the model.
    pub(crate) fn weights(&self) -> Result<Weights, ModelError> {
        let Self::Mlp(model) = self;
        model.weights()
    }

    /// From inputs `[samples, columns]` to logits `[samples, classes]`.
    pub(crate) fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let Self::Mlp(model) = self;
        model.forward(inputs)
    }
}
