//! What hostile trainers send.
//!
//! Invariants: an attack sees the honest updates of its round and nothing of the rule. What it is not:
//! within the rules of the protocol's messages, which are checked elsewhere.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// An attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attack {
    /// The opposite of what was learnt.
    SignFlip,
    /// Twenty times what was learnt.
    Scaling,
    /// Noise, three times as long as an honest update.
    Noise,
    /// Learnt from labels turned round.
    LabelFlip,
    /// As far from the mean as hides among the honest ones.
    Alie,
    /// Half of the honest mean, backwards.
    Ipm,
    /// All send what one honest trainer sends.
    Mimic,
    /// Honest for half of the rounds, then the opposite.
    LateOnset,
}

impl Attack {
    pub(crate) const ALL: [Self; 8] = [
        Self::SignFlip,
        Self::Scaling,
        Self::Noise,
        Self::LabelFlip,
        Self::Alie,
        Self::Ipm,
        Self::Mimic,
        Self::LateOnset,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SignFlip => "sign-flip",
            Self::Scaling => "scaling",
            Self::Noise => "noise",
            Self::LabelFlip => "label-flip",
            Self::Alie => "ALIE",
            Self::Ipm => "IPM",
            Self::Mimic => "mimic",
            Self::LateOnset => "late onset",
        }
    }

    /// What a hostile trainer sends in a round, who would honestly send `own`.
    pub(crate) fn delta(
        self,
        own: &[f32],
        honest: &[Vec<f32>],
        hostile: usize,
        late: bool,
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        match self {
            Self::SignFlip => own.iter().map(|value| -value).collect(),
            Self::Scaling => own.iter().map(|value| 20.0 * value).collect(),
            Self::Noise => {
                let length = own.iter().map(|v| v * v).sum::<f32>().sqrt();
                let scale = 3.0 * length / (own.len() as f32).sqrt();
                own.iter().map(|_| normal(rng) * scale).collect()
            }
            // The caller trains it on other labels.
            Self::LabelFlip => own.to_vec(),
            Self::Alie => alie(honest, hostile),
            Self::Ipm => mean(honest).iter().map(|value| -0.5 * value).collect(),
            Self::Mimic => honest[0].clone(),
            Self::LateOnset if late => own.iter().map(|value| -value).collect(),
            Self::LateOnset => own.to_vec(),
        }
    }
}

fn mean(deltas: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; deltas[0].len()];
    for delta in deltas {
        for (sum, value) in mean.iter_mut().zip(delta) {
            *sum += value / deltas.len() as f32;
        }
    }
    mean
}

/// The mean less so many deviations of each parameter that enough honest updates are as far.
fn alie(honest: &[Vec<f32>], hostile: usize) -> Vec<f32> {
    let mean = mean(honest);
    let mut square = vec![0.0f32; mean.len()];
    for delta in honest {
        for ((sum, value), mean) in square.iter_mut().zip(delta).zip(&mean) {
            *sum += (value - mean).powi(2) / honest.len() as f32;
        }
    }
    let all = honest.len() + hostile;
    let supporters = (all / 2 + 1).saturating_sub(hostile).max(1);
    let share = (honest.len() - supporters.min(honest.len() - 1)) as f64 / honest.len() as f64;
    let deviations = quantile(share.clamp(0.55, 0.999)) as f32;
    mean.iter().zip(square).map(|(mean, square)| mean - deviations * square.sqrt()).collect()
}

/// The quantile of the normal distribution, by halving; the integral by Simpson's rule.
fn quantile(share: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let below = |x: f64| {
        let step = x / 200.0;
        let sum: f64 = (0..200)
            .map(|at| {
                let left = f64::from(at) * step;
                (density(left) + 4.0 * density(left + step / 2.0) + density(left + step)) * step
                    / 6.0
            })
            .sum();
        0.5 + sum
    };
    let (mut low, mut high) = (0.0, 5.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) < share { low = middle } else { high = middle }
    }
    low
}

/// A normal variate (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (a, b): (f64, f64) = (rng.random_range(1e-12..1.0), rng.random());
    ((-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()) as f32
}
