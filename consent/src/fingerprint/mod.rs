//! What is alike about works that are not the same bytes.
//!
//! Role: codes of pictures, texts and sounds that stay close when a work is edited or encoded
//! again, and fingerprints of passages that stay equal when one is copied into a larger text.
//!
//! Invariants: no IO, no clock, no randomness; a work comes as untrusted bytes, and bounds hold
//! before anything is decoded.
//!
//! What it is not: proof, or a decision. Decoders differ in the last bits, so a code is never
//! compared for equality and nothing that nodes must agree on depends on one; how close is close
//! enough is a run's policy.

pub mod audio;
mod collapse;
pub mod image;
mod iscc_image;
mod jpeg;
mod minhash;
pub mod passage;
pub mod passage_index;
mod pdq;
mod picture;
mod resample;
pub mod text;
mod xxh32;

pub use audio::{AUDIO_DISTANCE_MAX, AudioError, audio_code, is_audio};
pub use image::{
    ImageError, ImageFingerprint, image_fingerprint, image_fingerprint_within, image_memory_bytes,
    is_image,
};
pub use passage::{PASSAGES_SHARED_MIN, Passages, PassagesError, passages};
pub use passage_index::{PassageHit, PassageIndex, PassageIndexError};
pub use text::{TEXT_DISTANCE_MAX, text_code};

/// The 256 bits of an ISCC unit that `iscc-lib` made.
fn digest(iscc: &str) -> [u8; 32] {
    let (_, _, _, _, digest) = iscc_lib::iscc_decode(iscc).expect("a code that was just made");
    digest.try_into().expect("256 bits were asked for")
}
