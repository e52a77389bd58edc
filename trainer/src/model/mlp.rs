//! The multilayer perceptron: `x -> relu(x W^T + b)` layer after layer, the last without the relu.
//!
//! Tensors: `layers.{2i}.weight` of shape `[out, in]` and `layers.{2i}.bias` of shape `[out]`, as
//! PyTorch names those of `self.layers = nn.Sequential(Linear, ReLU, Linear, ...)`.
//!
//! Invariants: `with_weights` then `weights` is the identity. What it is not: a check of foreign
//! weights; `Model::check` has looked at them.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};
use protocol::weights::{TensorShape, Weights, WeightsError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::ModelError;
use super::config::MlpConfig;

/// A multilayer perceptron on a device.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

/// The tensors' names and shapes, sorted by name.
pub(super) fn layout(config: &MlpConfig) -> Vec<TensorShape> {
    let sizes = config.sizes();
    let mut layout: Vec<TensorShape> = sizes
        .windows(2)
        .enumerate()
        .flat_map(|(layer, pair)| {
            let (inputs, outputs) = (pair[0] as u64, pair[1] as u64);
            [
                TensorShape { name: weight_name(layer), shape: vec![outputs, inputs] },
                TensorShape { name: bias_name(layer), shape: vec![outputs] },
            ]
        })
        .collect();
    layout.sort();
    layout
}

/// Initial weights: uniform within `1 / sqrt(inputs)`, biases too, which is PyTorch's default for
/// `nn.Linear` (He et al. 2015, arXiv 1502.01852, with a = sqrt(5)).
pub(super) fn init(config: &MlpConfig, seed: u64) -> Result<Weights, WeightsError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = Vec::new();
    for (layer, pair) in config.sizes().windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut uniform = |count: usize| -> Vec<f32> {
            // 53 random bits make a double in 0 to 1; exact, so every platform agrees.
            let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
            (0..count).map(|_| ((2.0 * unit(rng.next_u64()) - 1.0) * bound) as f32).collect()
        };
        let shape = vec![outputs as u64, inputs as u64];
        tensors.push((TensorShape { name: weight_name(layer), shape }, uniform(inputs * outputs)));
        let shape = vec![outputs as u64];
        tensors.push((TensorShape { name: bias_name(layer), shape }, uniform(outputs)));
    }
    Weights::new(tensors)
}

/// The columns of rows of this length, one after the other.
fn transposed(values: &[f32], length: usize) -> Vec<f32> {
    (0..length).flat_map(|at| values.iter().skip(at).step_by(length).copied()).collect()
}

impl Mlp {
    /// The model with these weights, whose layout is the config's.
    pub(super) fn with_weights(
        config: &MlpConfig,
        weights: &Weights,
        device: &burn::tensor::Device,
    ) -> Self {
        let values = |wanted: &str| {
            weights
                .tensors()
                .find(|(shape, _)| shape.name == wanted)
                .map_or_else(Vec::new, |(_, values)| values.to_vec())
        };
        let sizes = config.sizes();
        let layers = sizes.windows(2).enumerate().map(|(layer, pair)| {
            let (inputs, outputs) = (pair[0], pair[1]);
            // burn keeps the weight as [in, out]. It is written so, as training leaves it: a transposed view
            // has the same values, and sums in another order.
            let weight = transposed(&values(&weight_name(layer)), inputs);
            let weight = TensorData::new(weight, [inputs, outputs]);
            let bias = TensorData::new(values(&bias_name(layer)), [outputs]);
            Linear {
                weight: Param::from_tensor(Tensor::<2>::from_data(weight, device)),
                bias: Some(Param::from_tensor(Tensor::<1>::from_data(bias, device))),
            }
        });
        Self { layers: layers.collect() }
    }

    /// The weights of the model.
    pub(super) fn weights(&self) -> Result<Weights, ModelError> {
        let mut tensors = Vec::new();
        for (layer, linear) in self.layers.iter().enumerate() {
            let weight = linear.weight.val().transpose();
            let shape = weight.dims().map(|d| d as u64).to_vec();
            let shape = TensorShape { name: weight_name(layer), shape };
            tensors.push((shape, values(weight)?));
            let bias = linear.bias.as_ref().expect("with_weights gives every layer a bias").val();
            let shape = bias.dims().map(|d| d as u64).to_vec();
            let shape = TensorShape { name: bias_name(layer), shape };
            tensors.push((shape, values(bias)?));
        }
        Ok(Weights::new(tensors)?)
    }

    /// From inputs `[samples, columns]` to logits `[samples, classes]`.
    pub(super) fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(inputs, |x, (at, layer)| {
            let x = layer.forward(x);
            if at < last { relu(x) } else { x }
        })
    }
}

fn weight_name(layer: usize) -> String {
    format!("layers.{}.weight", 2 * layer)
}

fn bias_name(layer: usize) -> String {
    format!("layers.{}.bias", 2 * layer)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    tensor.try_into_vec_as().map_err(|error| ModelError::Device(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::{Model, ModelConfig};
    use super::*;
    use crate::device::Device;

    fn config(hidden: &str) -> ModelConfig {
        let text = format!(
            r#"{{"architecture": "mlp", "hidden": {hidden}, "label": "y", "classes": ["a", "b"],
                "columns": [{{"name": "p", "offset": 0.0, "scale": 1.0}},
                            {{"name": "q", "offset": 0.0, "scale": 1.0}},
                            {{"name": "r", "offset": 0.0, "scale": 1.0}}]}}"#
        );
        ModelConfig::from_json(text.as_bytes()).expect("valid")
    }

    fn tensor(name: &str, shape: &[u64], values: &[f32]) -> (TensorShape, Vec<f32>) {
        (TensorShape { name: name.into(), shape: shape.into() }, values.into())
    }

    #[test]
    fn initial_weights_are_a_function_of_the_seed_and_have_pytorchs_names() {
        let config = config("[5, 4]");
        let weights = Model::init(&config, 1).expect("weights");
        assert_eq!(weights.layout(), Model::layout(&config));
        let names: Vec<&str> = weights.layout().iter().map(|t| t.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "layers.0.bias",
                "layers.0.weight",
                "layers.2.bias",
                "layers.2.weight",
                "layers.4.bias",
                "layers.4.weight"
            ]
        );
        assert_eq!(weights.layout()[1].shape, [5, 3]);
        assert_eq!(weights, Model::init(&config, 1).expect("weights"));
        assert_ne!(weights, Model::init(&config, 2).expect("weights"));
        assert!(weights.values().iter().all(|v| v.abs() <= 0.578));
    }

    #[test]
    fn weights_survive_the_model() {
        for device in [Device::cpu().plain(), Device::cpu().autodiff()] {
            let config = config("[5, 4]");
            let weights = Model::init(&config, 3).expect("weights");
            let model = Model::with_weights(&config, &weights, &device).expect("they fit");
            assert_eq!(model.weights(), Ok(weights));
        }
    }

    #[test]
    fn the_forward_pass_is_that_of_the_formula() {
        let config = config("[2]");
        let weights = Weights::new(vec![
            tensor("layers.0.weight", &[2, 3], &[1.0, 2.0, 3.0, -1.0, 0.0, 0.0]),
            tensor("layers.0.bias", &[2], &[0.5, 0.0]),
            tensor("layers.2.weight", &[2, 2], &[1.0, 1.0, -2.0, 1.0]),
            tensor("layers.2.bias", &[2], &[0.0, 1.0]),
        ]);
        let weights = weights.expect("weights");
        let device = Device::cpu().plain();
        let model = Model::with_weights(&config, &weights, &device).expect("they fit");
        let logits = model.forward(Tensor::from_data([[1.0f32, 1.0, 1.0]], &device));
        assert_eq!(logits.try_into_vec_as::<f32>().expect("values"), [6.5, -12.0]);
    }

    #[test]
    fn foreign_weights_are_named() {
        let config = config("[]");
        let weight = || tensor("layers.0.weight", &[2, 3], &[0.0; 6]);
        let bias = |n: usize| tensor("layers.0.bias", &[n as u64], &vec![0.0; n]);
        let check = |tensors| Model::check(&config, &Weights::new(tensors).expect("weights"));
        assert_eq!(check(vec![weight(), bias(2)]), Ok(()));
        let message = |tensors| check(tensors).expect_err("foreign").to_string();
        assert_eq!(
            message(vec![weight(), bias(3)]),
            "tensor \"layers.0.bias\": expected shape [2], found [3]"
        );
        assert!(message(vec![weight()]).contains("no tensor \"layers.0.bias\""));
        let extra = tensor("head", &[1], &[0.0]);
        assert!(message(vec![weight(), bias(2), extra]).contains("a tensor \"head\" of shape [1]"));
    }
}
