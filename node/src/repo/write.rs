//! Writing a revision's files where a person wants them.
//!
//! Invariants: all files are written to a place of their own beside and verified before the first
//! gets its name, so a failure before that leaves nothing; a file that is there and differs stays as
//! it is unless it is to be replaced; no link below the directory asked for is followed.
//! What it is not: fetching. Every shard is here already.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::FileHash;
use protocol::manifest::{FileEntry, Manifest};
use tempfile::TempDir;

use super::fetch::GetError;
use crate::net::Blobs;

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// A file's bytes are not what the manifest says.
    #[error("{0} does not hash to what its manifest says: nothing was written")]
    Wrong(String),
    /// Other files are there.
    #[error(
        "{} is there and differs from the revision's{}: nothing was written; give --overwrite to \
         replace what is there, or another directory",
        path.display(),
        others(*count)
    )]
    Differs {
        /// The first of them.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// Something stands where a file or a directory of the revision goes.
    #[error("{path} is {what}: nothing was written; remove it or choose another directory")]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system refused.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, io::Error),
}

/// What is to become of files that are there and differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Present {
    /// They stay, and nothing is written.
    Stays,
    /// They are replaced.
    Replaced,
}

/// What is at a file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    File,
}

/// Writes a revision's files under `out`, where some may be.
pub(crate) async fn write_out(
    blobs: &Blobs,
    manifest: &Manifest,
    out: &Path,
    present: Present,
) -> Result<(), GetError> {
    // Reading what is there may take long.
    let missing = tokio::task::block_in_place(|| missing(manifest, out, present))?;
    if missing.is_empty() {
        return Ok(());
    }
    let staged = staging(out)?;
    for file in &missing {
        // The path was checked with the manifest: relative, plain, and it cannot climb.
        write_whole(blobs, file, &staged.path().join(&file.path)).await?;
    }
    let paths: Vec<&str> = missing.iter().map(|file| file.path.as_str()).collect();
    tokio::task::block_in_place(|| place(staged.path(), out, &paths))?;
    Ok(())
}

/// A directory on `out`'s disk that vanishes when dropped; `out` need not be there yet.
fn staging(out: &Path) -> Result<TempDir, WriteError> {
    let beside = out.ancestors().find(|dir| dir.is_dir()).unwrap_or_else(|| Path::new("."));
    let made = tempfile::Builder::new().prefix(".accord-").tempdir_in(beside);
    made.map_err(|e| WriteError::Write(out.to_owned(), e))
}

/// The files that are to be written under `out`.
fn missing<'a>(
    manifest: &'a Manifest,
    out: &Path,
    present: Present,
) -> Result<Vec<&'a FileEntry>, WriteError> {
    let mut missing = Vec::new();
    let mut differing: Option<(PathBuf, usize)> = None;
    for file in &manifest.files {
        match find(out, &file.path)? {
            Found::Nothing => missing.push(file),
            Found::File => {
                let place = out.join(&file.path);
                let same =
                    is_same(&place, file).map_err(|e| WriteError::Write(place.clone(), e))?;
                match present {
                    _ if same => {}
                    Present::Replaced => missing.push(file),
                    Present::Stays => differing.get_or_insert((place, 0)).1 += 1,
                }
            }
        }
    }
    match differing {
        Some((path, count)) => Err(WriteError::Differs { path, count }),
        None => Ok(missing),
    }
}

/// Looks at a file's place under `out`, following no link below it.
fn find(out: &Path, path: &str) -> Result<Found, WriteError> {
    let mut place = out.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let meta = match place.symlink_metadata() {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(WriteError::Write(place, e)),
        };
        let is_last = parts.peek().is_none();
        let what = if meta.is_symlink() {
            "a symbolic link"
        } else if is_last && !meta.is_file() {
            "no plain file"
        } else if !is_last && !meta.is_dir() {
            "no directory"
        } else {
            continue;
        };
        return Err(WriteError::InTheWay { path: place, what });
    }
    Ok(Found::File)
}

fn is_same(place: &Path, file: &FileEntry) -> io::Result<bool> {
    let mut there = File::open(place)?;
    if there.metadata()?.len() != file.bytes {
        return Ok(false);
    }
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut there, &mut hasher)?;
    Ok(FileHash::from_bytes(*hasher.finalize().as_bytes()) == file.blake3)
}

/// Writes one file and makes it durable, verified.
async fn write_whole(blobs: &Blobs, file: &FileEntry, target: &Path) -> Result<(), GetError> {
    let write = |e| WriteError::Write(target.to_owned(), e);
    make_parent(target).map_err(write)?;
    let mut written = File::create_new(target).map_err(write)?;
    let mut hasher = blake3::Hasher::new();
    for shard in &file.shards {
        let bytes = blobs.read(shard.hash, shard.bytes).await?;
        hasher.update(&bytes);
        written.write_all(&bytes).map_err(write)?;
    }
    if hasher.finalize().as_bytes() != file.blake3.as_bytes() {
        return Err(WriteError::Wrong(file.path.clone()).into());
    }
    written.sync_all().map_err(write)?;
    Ok(())
}

fn place(staged: &Path, out: &Path, paths: &[&str]) -> Result<(), WriteError> {
    let mut dirs = BTreeSet::new();
    for path in paths {
        let target = out.join(path);
        let write = |e| WriteError::Write(target.clone(), e);
        make_parent(&target).map_err(write)?;
        std::fs::rename(staged.join(path), &target).map_err(write)?;
        dirs.extend(target.parent().map(Path::to_owned));
    }
    for dir in dirs {
        crate::home::sync_dir(&dir).map_err(|e| WriteError::Write(dir.clone(), e))?;
    }
    Ok(())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

fn others(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        2 => ", as does 1 other".to_owned(),
        _ => format!(", as do {} others", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use protocol::manifest::Shard;

    use super::*;

    fn manifest(files: &[(&str, &[u8])]) -> Manifest {
        let entry = |(path, bytes): &(&str, &[u8])| {
            let (hash, length) = (FileHash::of(bytes), bytes.len() as u64);
            FileEntry {
                path: (*path).to_owned(),
                bytes: length,
                blake3: hash,
                sha256: [0; 32],
                shards: vec![Shard { hash, bytes: length }],
            }
        };
        Manifest::new(files.iter().map(entry).collect()).expect("a manifest")
    }

    #[test]
    fn what_is_there_and_the_same_is_not_written_again() {
        let out = tempfile::tempdir().expect("a directory");
        let manifest = manifest(&[("a", b"one"), ("sub/b", b"two"), ("sub/c", b"three")]);
        fs::create_dir(out.path().join("sub")).expect("made");
        fs::write(out.path().join("sub/b"), b"two").expect("written");
        let due = missing(&manifest, out.path(), Present::Stays).expect("nothing differs");
        assert_eq!(due.iter().map(|file| &*file.path).collect::<Vec<_>>(), ["a", "sub/c"]);
        // Of the same length, and of another.
        fs::write(out.path().join("sub/b"), b"TWO").expect("written");
        fs::write(out.path().join("a"), b"longer").expect("written");
        let said = missing(&manifest, out.path(), Present::Stays).expect_err("they differ");
        let said = said.to_string();
        assert!(said.contains("/a is there and differs from the revision's, as does 1"), "{said}");
        let due = missing(&manifest, out.path(), Present::Replaced).expect("they may go");
        assert_eq!(due.len(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let (out, elsewhere) = (dir.path().join("out"), dir.path().join("elsewhere"));
        fs::create_dir(&out).expect("made");
        fs::create_dir(&elsewhere).expect("made");
        std::os::unix::fs::symlink(&elsewhere, out.join("sub")).expect("linked");
        std::os::unix::fs::symlink("nowhere", out.join("a")).expect("linked");
        for path in ["sub/b", "a"] {
            let said = find(&out, path).expect_err("a link").to_string();
            assert!(said.contains("is a symbolic link"), "{said}");
        }
        fs::write(out.join("c"), b"").expect("written");
        assert!(find(&out, "c/d").expect_err("a file").to_string().contains("no directory"));
        let manifest = manifest(&[("sub/b", b"new")]);
        assert!(missing(&manifest, &out, Present::Replaced).is_err());
        assert_eq!(fs::read_dir(&elsewhere).expect("there").count(), 0);
    }

    #[test]
    fn what_is_staged_replaces_what_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("not/yet/there");
        let staged = staging(&out).expect("a place");
        assert!(!out.exists(), "nothing is made before it is needed");
        fs::write(staged.path().join("a"), b"new").expect("written");
        place(staged.path(), &out, &["a"]).expect("placed");
        let staged = staging(&out).expect("a place");
        fs::write(staged.path().join("a"), b"newer").expect("written");
        place(staged.path(), &out, &["a"]).expect("replaced");
        drop(staged);
        assert_eq!(fs::read(out.join("a")).expect("there"), b"newer");
        assert_eq!(fs::read_dir(&out).expect("there").count(), 1, "nothing else is left");
    }
}
