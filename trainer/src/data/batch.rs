//! A batch: the samples of one step as tensors.
//!
//! Invariants: made only from a [`Draw`], whose permits are spent; features are scaled as the
//! model's config says. What it is not: an order; the caller picks.

use burn::tensor::{Int, Tensor, TensorData};

use super::sample::Draw;

/// How the columns become what the model sees: `(value - offset) / scale`, one pair a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scaling(pub(crate) Vec<(f32, f32)>);

/// The samples of one step.
pub(crate) struct Batch {
    /// `[samples, columns]`, scaled.
    pub(crate) inputs: Tensor<2>,
    /// `[samples]`, class indices.
    pub(crate) targets: Tensor<1, Int>,
}

impl Batch {
    /// The samples at `picks`, on `device`.
    pub(crate) fn new(
        draw: &Draw,
        picks: &[usize],
        scaling: &Scaling,
        device: &burn::tensor::Device,
    ) -> Self {
        let mut values = Vec::with_capacity(picks.len() * scaling.0.len());
        let mut classes = Vec::with_capacity(picks.len());
        for &at in picks {
            let pairs = draw.features(at).iter().zip(&scaling.0);
            values.extend(pairs.map(|(value, (offset, scale))| (value - offset) / scale));
            classes.push(draw.class(at) as i32);
        }
        Self {
            inputs: Tensor::from_data(
                TensorData::new(values, [picks.len(), scaling.0.len()]),
                device,
            ),
            targets: Tensor::from_data(TensorData::new(classes, [picks.len()]), device),
        }
    }
}
