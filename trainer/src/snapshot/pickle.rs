//! Pickles, told by content and by name.
//!
//! Invariants: a file that is a safetensors file is never called a pickle. What it is not: a
//! reader of pickles; unpickling one runs code of its author's choice.

use std::path::Path;

use protocol::limits::WEIGHTS_HEADER_BYTES_MAX;

/// Why the file at `path`, which begins with the bytes `start` (its first 4 KiB do), is refused as
/// a pickle, if it is.
pub fn pickle_reason(path: &Path, start: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 7] = ["pkl", "pickle", "pt", "pth", "ckpt", "joblib", "dill"];
    if start.starts_with(b"PK\x03\x04") && start.windows(8).any(|bytes| bytes == b"data.pkl") {
        return Some("is a PyTorch archive with a pickle inside, which runs code when it is read");
    }
    if let [0x80, 2..=5, ..] = start {
        // A safetensors file could begin so too, but then a JSON object stands at byte 8.
        if !is_safetensors(start) {
            return Some("is a Python pickle, which runs code when it is read");
        }
    }
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    (NAMES.contains(&extension.as_str()) && !is_safetensors(start))
        .then_some("has the name of a Python pickle, which runs code when it is read")
}

fn is_safetensors(start: &[u8]) -> bool {
    let header_bytes = start.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    start.get(8) == Some(&b'{')
        && header_bytes.is_some_and(|bytes| bytes <= WEIGHTS_HEADER_BYTES_MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(name: &str, start: &[u8]) -> Option<&'static str> {
        pickle_reason(Path::new(name), start)
    }

    #[test]
    fn pickles_are_told_by_content_whatever_their_name() {
        let archive = b"PK\x03\x04\x00\x00\x08\x08archive/data.pklFB";
        assert!(reason("model.safetensors", archive).is_some_and(|r| r.contains("PyTorch")));
        assert!(reason("model.bin", b"\x80\x02}q\x00X").is_some());
        assert!(reason("model", b"\x80\x05\x95").is_some());
        assert_eq!(reason("notes.zip", b"PK\x03\x04 notes.txt"), None);
    }

    #[test]
    fn pickles_are_told_by_name_unless_they_are_safetensors() {
        assert!(reason("model.PT", b"(dp0\nS'a'").is_some_and(|r| r.contains("name")));
        assert_eq!(reason("model.pt", b"\x08\0\0\0\0\0\0\0{}      "), None);
        assert_eq!(reason("model.safetensors", b"\x80\x02\0\0\0\0\0\0{\"a\""), None);
        assert_eq!(reason("config.json", b"{}"), None);
    }
}
