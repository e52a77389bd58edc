//! A model's weights in the form that is hashed: safetensors, f32, one byte string for one model.
//!
//! Format (safetensors, github.com/huggingface/safetensors, README "Format"): 8 bytes little-endian
//! header length, a JSON header padded with spaces to a multiple of 8, then the tensors back to back.
//! Ours is narrower so that it is canonical: every tensor F32 little-endian, sorted by name, no
//! `__metadata__`, header keys in the order dtype, shape, data_offsets and no blanks.
//!
//! Invariants: names unique and sorted, values finite and within `VALUE_MAX`, -0 written as 0, so
//! equal models have equal bytes. What it is not: a reader for files from elsewhere (see `trainer`).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Source, TapeError};
use crate::id::FileHash;
use crate::kernel::kernel;
use crate::limits::{
    PARAMETERS_MAX, TENSOR_DIMENSIONS_MAX, TENSOR_NAME_BYTES_MAX, TENSORS_MAX,
    WEIGHTS_HEADER_BYTES_MAX,
};

/// The largest magnitude of a weight; beyond it fixed-point arithmetic would not be exact.
pub const VALUE_MAX: f32 = (1 << 20) as f32;

/// Why something is not a model's weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// Shorter than its header says.
    #[error("the file ends after {bytes} bytes, its header needs {expected}")]
    Truncated {
        /// Bytes there.
        bytes: usize,
        /// Bytes needed.
        expected: u64,
    },
    /// The header claims more than any header may have.
    #[error("the header claims {0} bytes, at most {WEIGHTS_HEADER_BYTES_MAX} are allowed")]
    HeaderTooLong(u64),
    /// The header is not the JSON of a safetensors file.
    #[error("the header is not valid: {0}")]
    Header(String),
    /// A tensor breaks a rule.
    #[error("tensor {name:?}: {rule}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// More than one model can hold.
    #[error("{what} is {found}, at most {max} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A valid safetensors file, but not the one form of these weights.
    #[error("not the canonical form (f32, sorted by name, no metadata)")]
    NotCanonical,
}

/// A tensor's name and shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorShape {
    /// The name, such as `layers.0.weight`.
    pub name: String,
    /// The dimensions, row-major; empty for a scalar.
    pub shape: Vec<u64>,
}

impl TensorShape {
    fn parameters(&self) -> Result<usize, WeightsError> {
        let tensor = |rule| WeightsError::Tensor { name: self.name.clone(), rule };
        if self.name.is_empty() || self.name.len() > TENSOR_NAME_BYTES_MAX {
            return Err(tensor("its name is empty or too long"));
        }
        if self.shape.len() > TENSOR_DIMENSIONS_MAX {
            return Err(tensor("it has too many dimensions"));
        }
        let count = self.shape.iter().try_fold(1u64, |product, &d| product.checked_mul(d));
        match count.and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count <= PARAMETERS_MAX => Ok(count),
            _ => Err(tensor("its shape multiplies to more parameters than are allowed")),
        }
    }
}

/// The tensors of a model, sorted by name; all values flat, in that order.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    layout: Vec<TensorShape>,
    values: Vec<f32>,
}

impl Weights {
    /// The weights of these tensors, in any order.
    pub fn new(tensors: Vec<(TensorShape, Vec<f32>)>) -> Result<Self, WeightsError> {
        let mut tensors = tensors;
        tensors.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        let mut layout = Vec::with_capacity(tensors.len());
        let mut values = Vec::new();
        for (shape, tensor) in tensors {
            if shape.parameters()? != tensor.len() {
                return Err(WeightsError::Tensor {
                    name: shape.name,
                    rule: "its shape and its number of values differ",
                });
            }
            layout.push(shape);
            values.extend(tensor);
        }
        Self::from_flat(layout, values)
    }

    /// The weights with this layout (sorted by name) and these values in its order.
    pub fn from_flat(layout: Vec<TensorShape>, values: Vec<f32>) -> Result<Self, WeightsError> {
        let parameters = check_layout(&layout)?;
        if parameters != values.len() {
            return Err(WeightsError::Header(format!(
                "the shapes hold {parameters} values, there are {}",
                values.len()
            )));
        }
        let mut values = values;
        let mut start = 0;
        for tensor in &layout {
            let count = tensor.parameters()?;
            if normalise(&mut values[start..start + count]) {
                return Err(WeightsError::Tensor {
                    name: tensor.name.clone(),
                    rule: "it holds a value that is not finite or beyond 2^20",
                });
            }
            start += count;
        }
        Ok(Self { layout, values })
    }

    /// Reads untrusted bytes in the canonical form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let (header, data) = split_header(bytes)?;
        let layout = parse_header(header)?;
        let parameters = check_layout(&layout)?;
        if data.len() != parameters * 4 {
            return Err(WeightsError::Truncated {
                bytes: bytes.len(),
                expected: (8 + header.len() + parameters * 4) as u64,
            });
        }
        if header != self::header(&layout).as_bytes() || holds_minus_zero(data) {
            return Err(WeightsError::NotCanonical);
        }
        let values = data.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
        Self::from_flat(layout, values.collect())
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = header(&self.layout);
        let mut bytes = Vec::with_capacity(8 + header.len() + self.values.len() * 4);
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// Where the first value is in the canonical bytes.
    pub fn values_start(&self) -> u64 {
        8 + header(&self.layout).len() as u64
    }

    /// The model root: the blake3 hash of the canonical bytes.
    pub fn root(&self) -> FileHash {
        let header = header(&self.layout);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(header.len() as u64).to_le_bytes()).update(header.as_bytes());
        let mut room = [0; 4 * HASHED_AT_ONCE];
        for values in self.values.chunks(HASHED_AT_ONCE) {
            for (bytes, value) in room.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *bytes = value.to_le_bytes();
            }
            hasher.update(&room[..4 * values.len()]);
        }
        FileHash::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The tensors' names and shapes, sorted by name.
    pub fn layout(&self) -> &[TensorShape] {
        &self.layout
    }

    /// All values, tensor after tensor in the layout's order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.values.len()
    }

    /// Each tensor's shape with its values.
    pub fn tensors(&self) -> impl Iterator<Item = (&TensorShape, &[f32])> {
        let mut start = 0;
        self.layout.iter().map(move |tensor| {
            let count = tensor.shape.iter().product::<u64>() as usize;
            start += count;
            (tensor, &self.values[start - count..start])
        })
    }
}

/// The exact length of the canonical file with this layout, in bytes.
pub fn file_bytes(layout: &[TensorShape]) -> u64 {
    let parameters: u64 = layout.iter().map(|t| t.shape.iter().product::<u64>()).sum();
    8 + header(layout).len() as u64 + parameters * 4
}

/// Values that are hashed in one call.
const HASHED_AT_ONCE: usize = 4096;

kernel! {
    /// Makes one zero of two; says whether a value is not finite or beyond the range.
    fn normalise<'a>(values: &'a mut [f32]) -> bool {
        let mut beyond = false;
        for value in values {
            // False also for what is not a number.
            let within = value.abs() <= VALUE_MAX;
            beyond |= !within;
            *value += 0.0;
        }
        beyond
    }
}

kernel! {
    /// Whether a zero among these little-endian floats has a sign.
    fn holds_minus_zero<'a>(data: &'a [u8]) -> bool {
        let mut holds = false;
        for value in data.as_chunks::<4>().0 {
            holds |= u32::from_le_bytes(*value) == 1 << 31;
        }
        holds
    }
}

/// Where the first value is in a canonical file, in bytes; an error if it is too short for a header.
pub fn values_start(file: &dyn Source) -> Result<u64, TapeError> {
    let mut length = [0; 8];
    file.read_at(0, &mut length)?;
    let start = u64::from_le_bytes(length).saturating_add(8);
    if start <= file.bytes() { Ok(start) } else { Err(TapeError("the model has no header".into())) }
}

fn check_layout(layout: &[TensorShape]) -> Result<usize, WeightsError> {
    if layout.len() > TENSORS_MAX {
        let found = layout.len();
        return Err(WeightsError::TooMany {
            what: "the number of tensors",
            found,
            max: TENSORS_MAX,
        });
    }
    if let Some(pair) = layout.windows(2).find(|pair| pair[0].name >= pair[1].name) {
        let rule = "it is there twice or out of order";
        return Err(WeightsError::Tensor { name: pair[1].name.clone(), rule });
    }
    let mut parameters = 0usize;
    for tensor in layout {
        parameters = parameters.saturating_add(tensor.parameters()?);
    }
    if parameters > PARAMETERS_MAX {
        let what = "the number of parameters";
        return Err(WeightsError::TooMany { what, found: parameters, max: PARAMETERS_MAX });
    }
    Ok(parameters)
}

fn header(layout: &[TensorShape]) -> String {
    let mut json = String::from("{");
    let mut start = 0u64;
    for (at, tensor) in layout.iter().enumerate() {
        let end = start + tensor.shape.iter().product::<u64>() * 4;
        let comma = if at == 0 { "" } else { "," };
        let name = serde_json::Value::from(tensor.name.as_str());
        let shape = serde_json::Value::from(tensor.shape.as_slice());
        write!(
            json,
            "{comma}{name}:{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}"
        )
        .expect("writing to a String does not fail");
        start = end;
    }
    json.push('}');
    json.extend(std::iter::repeat_n(' ', json.len().next_multiple_of(8) - json.len()));
    json
}

fn split_header(bytes: &[u8]) -> Result<(&[u8], &[u8]), WeightsError> {
    let truncated = |expected| WeightsError::Truncated { bytes: bytes.len(), expected };
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| truncated(8))?;
    let length = u64::from_le_bytes(*length);
    if length > WEIGHTS_HEADER_BYTES_MAX as u64 {
        return Err(WeightsError::HeaderTooLong(length));
    }
    rest.split_at_checked(length as usize).ok_or_else(|| truncated(8 + length))
}

fn parse_header(header: &[u8]) -> Result<Vec<TensorShape>, WeightsError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        dtype: String,
        shape: Vec<u64>,
        data_offsets: (u64, u64),
    }
    let entries: std::collections::BTreeMap<String, Entry> =
        serde_json::from_slice(header).map_err(|e| WeightsError::Header(e.to_string()))?;
    entries
        .into_iter()
        .map(|(name, entry)| {
            if entry.dtype != "F32" {
                return Err(WeightsError::Tensor { name, rule: "its dtype is not F32" });
            }
            if entry.data_offsets.0 > entry.data_offsets.1 {
                return Err(WeightsError::Tensor { name, rule: "its offsets are reversed" });
            }
            Ok(TensorShape { name, shape: entry.shape })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[u64], values: &[f32]) -> (TensorShape, Vec<f32>) {
        (TensorShape { name: name.into(), shape: shape.into() }, values.into())
    }

    fn small() -> Weights {
        Weights::new(vec![tensor("b", &[2], &[1.5, -0.0]), tensor("a", &[1, 2], &[3.0, 4.0])])
            .expect("valid")
    }

    #[test]
    fn the_form_is_pinned_and_sorted() {
        let bytes = small().to_bytes();
        let header = r#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#;
        let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let mut expected = (padded.len() as u64).to_le_bytes().to_vec();
        expected.extend(padded.bytes());
        for value in [3.0f32, 4.0, 1.5, 0.0] {
            expected.extend(value.to_le_bytes());
        }
        assert_eq!(bytes, expected);
        assert_eq!(file_bytes(small().layout()), bytes.len() as u64);
        assert_eq!(Weights::from_bytes(&bytes), Ok(small()));
    }

    #[test]
    fn outside_readers_read_it() {
        let bytes = small().to_bytes();
        let read = safetensors::SafeTensors::deserialize(&bytes).expect("their reader takes it");
        assert_eq!(read.tensor("a").expect("there").shape(), [1, 2]);
        assert_eq!(read.tensor("b").expect("there").data(), &bytes[bytes.len() - 8..]);
    }

    #[test]
    fn hostile_files_are_refused() {
        let good = small().to_bytes();
        assert!(matches!(
            Weights::from_bytes(&good[..good.len() - 1]),
            Err(WeightsError::Truncated { .. })
        ));
        let mut claims = good.clone();
        claims[..8].copy_from_slice(&(1u64 << 63).to_le_bytes());
        assert_eq!(Weights::from_bytes(&claims), Err(WeightsError::HeaderTooLong(1 << 63)));
        assert!(matches!(Weights::from_bytes(b"pickle"), Err(WeightsError::Truncated { .. })));
        let nan = Weights::new(vec![tensor("a", &[1], &[f32::NAN])]);
        assert!(matches!(nan, Err(WeightsError::Tensor { .. })));
        let twice = Weights::new(vec![tensor("a", &[1], &[1.0]), tensor("a", &[1], &[2.0])]);
        assert!(matches!(twice, Err(WeightsError::Tensor { .. })));
        let huge = Weights::new(vec![tensor("a", &[1 << 40, 1 << 40], &[])]);
        assert!(matches!(huge, Err(WeightsError::Tensor { .. })));
    }

    #[test]
    fn overlapping_tensors_are_refused() {
        let text = String::from_utf8_lossy(&small().to_bytes()).replace("[8,16]", "[0,8] ");
        assert!(Weights::from_bytes(text.as_bytes()).is_err());
    }
}
