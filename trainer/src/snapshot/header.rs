//! The header of a safetensors file: which tensor lies where.
//!
//! Invariants: tensors that passed [`check_places`] lie back to back and hold their shapes.
//! What it is not: bounded by itself; the caller bounds its length.

use std::collections::BTreeMap;

use protocol::limits::TENSORS_MAX;
use serde::Deserialize;

use super::error::SnapshotError;

/// A number type that is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dtype {
    F32,
    F16,
    Bf16,
}

/// Where a tensor lies in the data.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<u64>,
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Dtype {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Bytes of one number.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The number that these bytes hold; there are `self.bytes()` of them.
    pub(super) fn read(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F16, &[a, b]) => half(u16::from_le_bytes([a, b])),
            (Self::Bf16, &[a, b]) => f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
            _ => f32::NAN,
        }
    }
}

/// The tensors in the order of their bytes.
pub(super) fn parse_header(header: &[u8]) -> Result<Vec<Place>, SnapshotError> {
    #[derive(Deserialize)]
    struct Entry {
        dtype: String,
        shape: Vec<u64>,
        data_offsets: (u64, u64),
    }
    let json = |error: serde_json::Error| SnapshotError::Header(error.to_string());
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(json)?;
    if entries.len() > TENSORS_MAX {
        return Err(SnapshotError::TooManyTensors(entries.len()));
    }
    let mut places = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if name == "__metadata__" {
            continue;
        }
        let entry: Entry = serde_json::from_value(value)
            .map_err(|e| SnapshotError::Header(format!("tensor {name:?}: {e}")))?;
        let dtype = match entry.dtype.as_str() {
            "F32" => Dtype::F32,
            "F16" => Dtype::F16,
            "BF16" => Dtype::Bf16,
            _ => return Err(SnapshotError::Dtype { name, found: entry.dtype }),
        };
        let (begin, end) = entry.data_offsets;
        places.push(Place { name, dtype, shape: entry.shape, begin, end });
    }
    places.sort_by_key(|place| (place.begin, place.end));
    Ok(places)
}

/// Whether the tensors lie back to back; gives where the last one ends.
pub(super) fn check_places(places: &[Place]) -> Result<u64, SnapshotError> {
    let mut last: Option<&Place> = None;
    for place in places {
        let (name, begin) = (place.name.clone(), place.begin);
        let expected = last.map_or(0, |last| last.end);
        if begin < expected {
            let before = last.map_or_else(String::new, |last| last.name.clone());
            return Err(SnapshotError::Overlap { name, begin, before, end: expected });
        }
        if begin > expected {
            return Err(SnapshotError::Hole { name, begin, expected });
        }
        let needed = place
            .shape
            .iter()
            .try_fold(place.dtype.bytes() as u64, |product, &d| product.checked_mul(d));
        let found = place.end.saturating_sub(begin);
        if place.end < begin || needed != Some(found) {
            let (shape, dtype) = (place.shape.clone(), place.dtype.name());
            return Err(SnapshotError::Size { name, shape, dtype, found });
        }
        last = Some(place);
    }
    Ok(last.map_or(0, |last| last.end))
}

/// The float of these IEEE 754 binary16 bits; exact.
fn half(bits: u16) -> f32 {
    const SUBNORMAL_STEP: f32 = 1.0 / (1 << 24) as f32;
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    match exponent {
        0 => f32::from_bits((fraction as f32 * SUBNORMAL_STEP).to_bits() | sign),
        31 => f32::from_bits(sign | 0xff << 23 | fraction << 13),
        // The biases are 15 and 127.
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7c01).is_nan());
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert_eq!(half(0x8000).to_bits(), (-0.0f32).to_bits());
    }
}
