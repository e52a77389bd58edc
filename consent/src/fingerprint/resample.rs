//! Sound at one sample rate from sound at another.
//!
//! Role: brings a recording to the rate at which Chromaprint listens, as `fpcalc` does: a sinc under
//! a Kaiser window, 32 zero crossings long, cut off at 0.97 of the lower of the two bands (the
//! defaults of FFmpeg's `swresample`). The resampler inside `rusty-chromaprint` is shorter and runs
//! late, which moves four times as many bits of the code.
//!
//! Invariants: state and work for each sample are bounded by the ratio of the rates; the same
//! samples give the same result however they are cut into calls. What it is not: exact at the very
//! ends, where it takes silence before the first sample and stops with the last whole window.

/// Zero crossings under the window.
const CROSSINGS: f64 = 32.0;
/// Where the pass band ends, of the lower of the two bands.
const CUTOFF: f64 = 0.97;
/// The Kaiser window's shape.
const BETA: f64 = 9.0;
/// Filters held for positions between two samples, unless fewer hit every position exactly.
const PHASES_MAX: usize = 1_024;

/// Resamples one channel. Rates are in hertz, samples as in 16-bit sound.
pub(super) struct Resampler {
    /// Input samples for each output sample, as a fraction in lowest terms.
    step: (usize, usize),
    taps: usize,
    phases: usize,
    /// One filter of `taps` for each phase.
    filters: Vec<f32>,
    /// Input from the start of the next window on.
    held: Vec<f32>,
    /// Where the next window starts in `held`, and how far past a sample it is, in `1 / step.1`.
    at: (usize, usize),
}

impl Resampler {
    /// From one rate to another; neither is zero.
    pub(super) fn new(from: u32, to: u32) -> Self {
        let divisor = gcd(from, to);
        let step = ((from / divisor) as usize, (to / divisor) as usize);
        let factor = (CUTOFF * f64::from(to) / f64::from(from)).min(1.0);
        let taps = (CROSSINGS / factor).ceil() as usize;
        let phases = step.1.min(PHASES_MAX);
        let filters = (0..phases).flat_map(|phase| filter(taps, phase, phases, factor)).collect();
        // The first output sample is at the first input sample: what comes before is silence.
        let held = vec![0.0; (taps - 1) / 2];
        Self { step, taps, phases, filters, held, at: (0, 0) }
    }

    /// Takes `input`, and appends what can be told so far to `output`.
    pub(super) fn push(&mut self, input: impl Iterator<Item = f32>, output: &mut Vec<i16>) {
        self.held.extend(input);
        while let Some(window) = self.held.get(self.at.0..self.at.0 + self.taps) {
            let phase = self.at.1 * self.phases / self.step.1;
            let filter = &self.filters[phase * self.taps..(phase + 1) * self.taps];
            output.push(product(window, filter).round() as i16);
            let offset = self.at.1 + self.step.0;
            self.at = (self.at.0 + offset / self.step.1, offset % self.step.1);
        }
        let done = self.at.0.min(self.held.len());
        self.held.drain(..done);
        self.at.0 -= done;
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The filter for a position `phase / phases` past a sample; its weights add up to one.
fn filter(taps: usize, phase: usize, phases: usize, factor: f64) -> Vec<f32> {
    let centre = ((taps - 1) / 2) as f64 + phase as f64 / phases as f64;
    let weights: Vec<f64> = (0..taps)
        .map(|tap| {
            let distance = tap as f64 - centre;
            let x = std::f64::consts::PI * distance * factor;
            let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
            let edge = 2.0 * distance / taps as f64;
            sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt())
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// The modified Bessel function of the first kind of order zero, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    // For the arguments up to `BETA` that come here, 40 terms are exact.
    for k in 1..40 {
        let half = x / 2.0 / f64::from(k);
        term *= half * half;
        sum += term;
    }
    sum
}

/// The scalar product, in eight sums side by side so that it runs in vector registers.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_eights, b_eights) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_eights.remainder().iter().zip(b_eights.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_eights.zip(b_eights) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    rest + sums.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<f32> {
        let turn = 2.0 * std::f64::consts::PI * hertz / f64::from(rate);
        (0..count).map(|n| (10_000.0 * (turn * n as f64).sin()) as f32).collect()
    }

    fn resampled(from: u32, input: &[f32], piece: usize) -> Vec<i16> {
        let (mut resampler, mut output) = (Resampler::new(from, 11_025), Vec::new());
        for piece in input.chunks(piece) {
            resampler.push(piece.iter().copied(), &mut output);
        }
        output
    }

    #[test]
    fn a_tone_in_the_band_comes_out_as_it_is_and_on_time() {
        for rate in [4_000, 8_000, 11_025, 22_050, 44_100, 47_999, 48_000, 96_000, 384_000] {
            let output = resampled(rate, &tone(rate, 1_000.0, rate as usize), 1_000);
            let expected = tone(11_025, 1_000.0, output.len());
            assert!(output.len() > 10_900, "{rate}: {}", output.len());
            for (n, (got, expected)) in output.iter().zip(expected).enumerate().skip(100) {
                assert!((f32::from(*got) - expected).abs() < 60.0, "{rate} {n}: {got} {expected}");
            }
        }
    }

    #[test]
    fn a_tone_above_the_band_is_gone() {
        let output = resampled(44_100, &tone(44_100, 7_000.0, 44_100), 1_000);
        assert!(output[100..].iter().all(|sample| sample.abs() < 20));
    }

    #[test]
    fn how_the_samples_are_cut_does_not_matter() {
        let input = tone(48_000, 440.0, 9_600);
        assert_eq!(resampled(48_000, &input, 1), resampled(48_000, &input, 9_600));
    }
}
