//! Why a file holds no weights that can be used.
//!
//! Invariants: one line each, naming the tensor where there is one. What it is not: where the file
//! is; the caller knows its path.

use std::io;

use protocol::limits::{PARAMETERS_MAX, TENSORS_MAX, WEIGHTS_HEADER_BYTES_MAX};
use protocol::weights::WeightsError;

/// Why a file holds no weights that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not there, or it may not be read.
    #[error("cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// It was there and then could not be read on.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// A pickle.
    #[error("{0}; convert it to safetensors")]
    Pickle(&'static str),
    /// Longer than any model.
    #[error("has {0} bytes, more than any model of {PARAMETERS_MAX} parameters")]
    TooLong(u64),
    /// Shorter than it says itself.
    #[error("is truncated: it has {found} bytes and needs {expected}")]
    Truncated {
        /// Bytes there.
        found: u64,
        /// Bytes needed.
        expected: u64,
    },
    /// Longer than it says itself.
    #[error("has {0} bytes after its last tensor")]
    Trailing(u64),
    /// The header claims more than any header may have.
    #[error(
        "its header claims {0} bytes, at most {WEIGHTS_HEADER_BYTES_MAX} are allowed; \
         is it a safetensors file?"
    )]
    HeaderTooLong(u64),
    /// The header is not that of a safetensors file.
    #[error("its header is no safetensors header: {0}")]
    Header(String),
    /// More tensors than are allowed.
    #[error("has {0} tensors, at most {TENSORS_MAX} are allowed")]
    TooManyTensors(usize),
    /// A tensor begins before its neighbour ends.
    #[error(
        "tensor {name:?} begins at byte {begin}, before {before:?} ends at {end}: they overlap"
    )]
    Overlap {
        /// The tensor.
        name: String,
        /// Where it begins in the data.
        begin: u64,
        /// The tensor before it.
        before: String,
        /// Where that one ends.
        end: u64,
    },
    /// Bytes between tensors that belong to none.
    #[error(
        "tensor {name:?} begins at byte {begin}, expected {expected}: there is a hole before it"
    )]
    Hole {
        /// The tensor.
        name: String,
        /// Where it begins in the data.
        begin: u64,
        /// Where it should.
        expected: u64,
    },
    /// A tensor's bytes do not hold its shape.
    #[error(
        "tensor {name:?} has {found} bytes, its shape {shape:?} of {dtype} needs another number"
    )]
    Size {
        /// The tensor.
        name: String,
        /// Its dimensions.
        shape: Vec<u64>,
        /// Its number type.
        dtype: &'static str,
        /// Its bytes.
        found: u64,
    },
    /// A number type that is not read.
    #[error("tensor {name:?} has dtype {found:?}; allowed: F32, F16, BF16")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its dtype.
        found: String,
    },
    /// A rule for weights is broken, such as a value that is not finite.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
