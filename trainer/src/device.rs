//! The device that computes: the CPU unless the user asks for another.
//!
//! Invariants: the CPU is always there; one CPU device gives one result for one seed.
//! What it is not: a scheduler. A device that a build lacks is refused, never replaced.

use std::fmt;
use std::str::FromStr;

/// A device to train and evaluate on. Text form: `cpu`, `cuda` or `wgpu`.
#[derive(Clone)]
pub struct Device {
    name: &'static str,
    device: burn::tensor::Device,
}

/// Why there is no such device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not a device's name.
    #[error("{0:?} is no device; one of cpu, cuda, wgpu")]
    Unknown(String),
    /// A device that this build has no code for.
    #[error("this build has no {0}; build with `--features {0}`")]
    NotBuilt(&'static str),
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        Self { name: "cpu", device: burn::tensor::Device::flex() }
    }

    /// For computing without gradients.
    pub(crate) fn plain(&self) -> burn::tensor::Device {
        self.device.clone()
    }

    /// For computing with gradients.
    pub(crate) fn autodiff(&self) -> burn::tensor::Device {
        self.device.clone().autodiff()
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::cpu()
    }
}

impl FromStr for Device {
    type Err = DeviceError;
    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "cpu" => Ok(Self::cpu()),
            #[cfg(feature = "cuda")]
            "cuda" => Ok(Self { name: "cuda", device: burn::tensor::Device::cuda(0usize) }),
            #[cfg(not(feature = "cuda"))]
            "cuda" => Err(DeviceError::NotBuilt("cuda")),
            #[cfg(feature = "wgpu")]
            "wgpu" => Ok(Self {
                name: "wgpu",
                device: burn::tensor::Device::wgpu(burn::tensor::DeviceKind::default()),
            }),
            #[cfg(not(feature = "wgpu"))]
            "wgpu" => Err(DeviceError::NotBuilt("wgpu")),
            other => Err(DeviceError::Unknown(other.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        assert_eq!("cpu".parse::<Device>().expect("always there").to_string(), "cpu");
        let error = "tpu".parse::<Device>().expect_err("no such device");
        assert_eq!(error.to_string(), "\"tpu\" is no device; one of cpu, cuda, wgpu");
    }
}
