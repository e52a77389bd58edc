//! Steps of stochastic gradient descent with momentum: `v = m v + g`, `w = w - r v` (Polyak 1964, as in
//! Sutskever et al. 2013, without dampening).
//!
//! Invariants: the velocity starts at zero and can be taken out and put back, so that training may be taken
//! up where somebody else left it; parameters are visited in the module's own order, which is fixed.
//! What it is not: burn's optimizer, whose state is bound to the parameters of one process.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::model::Model;

/// The velocity of each parameter tensor, flat; nothing before the first step, or where there is no
/// momentum.
#[derive(Debug, Clone, Default)]
pub(crate) struct Velocity(pub(crate) Vec<Tensor<1>>);

/// One step.
pub(crate) struct Step {
    pub(crate) learning_rate: f64,
    pub(crate) momentum: f64,
}

impl Step {
    /// Moves the model against the gradients.
    pub(crate) fn take(
        &self,
        model: Model,
        gradients: GradientsParams,
        velocity: &mut Velocity,
    ) -> Model {
        let before = std::mem::take(&mut velocity.0).into_iter();
        let mut mapper = Mapper { step: self, gradients, before, after: &mut velocity.0 };
        model.map(&mut mapper)
    }
}

struct Mapper<'a, Before> {
    step: &'a Step,
    gradients: GradientsParams,
    before: Before,
    after: &'a mut Vec<Tensor<1>>,
}

impl<Before: Iterator<Item = Tensor<1>>> ModuleMapper for Mapper<'_, Before> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let gradient = self.gradients.remove::<D>(id);
        let gradient = gradient.unwrap_or_else(|| tensor.clone().inner().zeros_like());
        let moved = if self.step.momentum > 0.0 {
            let flat = gradient.flatten::<1>(0, D - 1);
            let velocity = match self.before.next() {
                Some(velocity) => flat.add(velocity.mul_scalar(self.step.momentum)),
                None => flat,
            };
            self.after.push(velocity.clone());
            velocity.reshape(tensor.shape())
        } else {
            gradient
        };
        let tensor = tensor.inner().sub(moved.mul_scalar(self.step.learning_rate));
        Param::from_mapped_value(id, Tensor::from_inner(tensor).require_grad(), mapper)
    }
}
