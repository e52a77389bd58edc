//! A revision's manifest, and the signed head that says which revision a repo is at.
//!
//! Invariants: paths are relative, plain, sorted and distinct even where case is ignored; a file's
//! shards add up to its size; a manifest's hash is its [`RevisionId`]. A head's author is the owner.
//! What it is not: the bytes of the files, or the choice of where to cut them.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::envelope::Message;
use crate::id::{FileHash, RevisionId};
use crate::key::PublicKey;
use crate::limits::{
    FILES_MAX, HEAD_BYTES_MAX, HEAD_PARENTS_MAX, MANIFEST_BYTES_MAX, PATH_BYTES_MAX,
    SHARD_BYTES_MAX, SHARDS_MAX,
};
use crate::run::check_name;

/// A revision: its files, and what they are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The files, sorted by path.
    pub files: Vec<FileEntry>,
}

/// A file of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path within the repo, with `/`.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The blake3 hash of the whole file.
    pub blake3: FileHash,
    /// Its SHA-256, for clients that know files by it.
    #[serde(with = "serde_bytes")]
    pub sha256: [u8; 32],
    /// The shards it is made of, in order.
    pub shards: Vec<Shard>,
}

/// A piece of a file, stored and fetched by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The blake3 hash of the piece.
    pub hash: FileHash,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not well formed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// More files or shards than a revision may have.
    #[error("{found} {what}, at most {max} are allowed")]
    TooMany {
        /// Files or shards.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A path that must not be written anywhere.
    #[error("path {path:?} {rule}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// A file whose shards do not add up.
    #[error("the shards of {path:?} do not add up to its {bytes} bytes")]
    Shards {
        /// The file.
        path: String,
        /// What it says its length is.
        bytes: u64,
    },
}

impl Manifest {
    /// The manifest of these files, in any order.
    pub fn new(files: Vec<FileEntry>) -> Result<Self, ManifestError> {
        let mut files = files;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Self { files };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = codec::decode(bytes, MANIFEST_BYTES_MAX)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The revision that this manifest is.
    pub fn revision(&self) -> RevisionId {
        RevisionId::of(&self.to_bytes())
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        Some(&self.files[at])
    }

    /// The length of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    fn check(&self) -> Result<(), ManifestError> {
        let too_many = |what, found, max| Err(ManifestError::TooMany { what, found, max });
        if self.files.len() > FILES_MAX {
            return too_many("files", self.files.len(), FILES_MAX);
        }
        let shards = self.files.iter().map(|file| file.shards.len()).sum::<usize>();
        if shards > SHARDS_MAX {
            return too_many("shards", shards, SHARDS_MAX);
        }
        let mut folded = std::collections::BTreeSet::new();
        let mut before: Option<&str> = None;
        for file in &self.files {
            check_path(&file.path)?;
            let path = || file.path.clone();
            if before.is_some_and(|before| before >= file.path.as_str()) {
                return Err(ManifestError::Path { path: path(), rule: "is out of order" });
            }
            if !folded.insert(file.path.to_lowercase()) {
                let rule = "differs from another only in case";
                return Err(ManifestError::Path { path: path(), rule });
            }
            before = Some(&file.path);
            let sized = file.shards.iter().all(|s| s.bytes > 0 && s.bytes <= SHARD_BYTES_MAX);
            let mut shards = file.shards.iter();
            let sum = shards.try_fold(0u64, |sum, shard| sum.checked_add(shard.bytes));
            if !sized || sum != Some(file.bytes) {
                return Err(ManifestError::Shards { path: path(), bytes: file.bytes });
            }
        }
        Ok(())
    }
}

/// Whether a file may be written at `path` under any directory, on any system.
pub fn check_path(path: &str) -> Result<(), ManifestError> {
    let error = |rule| {
        let path = path.chars().take(120).collect();
        Err(ManifestError::Path { path, rule })
    };
    if path.is_empty() || path.len() > PATH_BYTES_MAX {
        return error("is empty or too long");
    }
    if path
        .chars()
        .any(|c| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'))
    {
        return error("holds a character that not every system allows");
    }
    for part in path.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return error("is absolute or climbs out of the repo");
        }
        if part.ends_with(['.', ' ']) || part.starts_with(' ') {
            return error("has a part that begins or ends with a blank, or ends with a dot");
        }
        if is_reserved(part) {
            return error("has a part that is a device name on Windows");
        }
    }
    Ok(())
}

fn is_reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// Which revision a repo is at, signed by its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The owner.
    pub owner: PublicKey,
    /// The repo's name.
    pub name: String,
    /// One more than the head before; two heads of one number are a fork.
    pub seq: u64,
    /// The revision.
    pub revision: RevisionId,
    /// The length of the revision's manifest in bytes.
    pub manifest_bytes: u64,
    /// The revisions it comes from.
    pub parents: Vec<RevisionId>,
}

impl Message for Head {
    const DOMAIN: &'static str = "accord/head/v1";
    const BYTES_MAX: usize = HEAD_BYTES_MAX;

    fn check(&self, signer: &PublicKey) -> Result<(), String> {
        if self.owner != *signer {
            return Err("a head is signed by its owner".into());
        }
        if self.parents.len() > HEAD_PARENTS_MAX {
            return Err(format!("a head has at most {HEAD_PARENTS_MAX} parents"));
        }
        if self.manifest_bytes == 0 || self.manifest_bytes > MANIFEST_BYTES_MAX as u64 {
            return Err(format!("a manifest has 1 to {MANIFEST_BYTES_MAX} bytes"));
        }
        check_name("name", &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64, shards: &[u64]) -> FileEntry {
        let shard = |&bytes: &u64| Shard { hash: FileHash::of(path.as_bytes()), bytes };
        FileEntry {
            path: path.into(),
            bytes,
            blake3: FileHash::of(path.as_bytes()),
            sha256: [0; 32],
            shards: shards.iter().map(shard).collect(),
        }
    }

    #[test]
    fn a_manifest_survives_its_bytes() {
        let files = vec![file("model.safetensors", 7, &[3, 4]), file("config.json", 2, &[2])];
        let manifest = Manifest::new(files).expect("valid");
        assert_eq!(manifest.files[0].path, "config.json");
        assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest.clone()));
        assert_eq!(manifest.bytes(), 9);
        assert!(manifest.file("model.safetensors").is_some() && manifest.file("x").is_none());
    }

    #[test]
    fn hostile_paths_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/./b",
            "a\\b",
            "C:x",
            "a\nb",
            "NUL",
            "com1.txt",
            "a/aux",
            "x.",
            "x ",
            " x",
            "a/",
        ] {
            assert!(Manifest::new(vec![file(path, 1, &[1])]).is_err(), "{path:?}");
        }
        let case = vec![file("A", 1, &[1]), file("a", 1, &[1])];
        assert!(matches!(Manifest::new(case), Err(ManifestError::Path { .. })));
        let deep = "a/".repeat(600) + "b";
        assert!(check_path(&deep).is_err() && check_path("a/b.c/d-e_f").is_ok());
    }

    #[test]
    fn shards_that_do_not_add_up_are_refused() {
        for shards in [&[1u64, 1][..], &[], &[3, 0], &[u64::MAX, 4]] {
            let made = Manifest::new(vec![file("a", 3, shards)]);
            assert!(matches!(made, Err(ManifestError::Shards { .. })), "{shards:?}");
        }
    }
}
