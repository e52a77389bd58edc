//! Codes of 256 bits that are near for works that look, read or sound alike.
//!
//! Invariants: nearness is the Hamming distance, the same for all kinds; codes of two kinds are
//! never compared. What it is not: how codes are made (see [`crate::fingerprint`]), nor how near is
//! near enough (see [`crate::Policy`]).

use std::fmt;

/// What made a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeKind {
    /// Meta's PDQ of an image.
    Pdq,
    /// ISO 24138 content code of an image.
    IsccImage,
    /// ISO 24138 content code of a text.
    IsccText,
    /// ISO 24138 content code of a sound.
    IsccAudio,
}

impl CodeKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Pdq, Self::IsccImage, Self::IsccText, Self::IsccAudio];

    /// The text form, which is also the kind of the subject.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pdq => "pdq",
            Self::IsccImage => "iscc-image",
            Self::IsccText => "iscc-text",
            Self::IsccAudio => "iscc-audio",
        }
    }
}

impl fmt::Display for CodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a code tells anything: one with nearly all bits alike is that of an empty page.
pub fn is_telling(code: &[u8; 32]) -> bool {
    let ones: u32 = code.iter().map(|byte| byte.count_ones()).sum();
    (32..=224).contains(&ones)
}
