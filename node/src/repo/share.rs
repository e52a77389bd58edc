//! Sharing: cut files into shards, store them, sign the new head.
//!
//! Invariants: every shard and the manifest are stored before the head is signed; nothing outside
//! the given path is read; a pickle is refused by name with the reason, and so is every path that a
//! node's own keys would go out with.
//! What it is not: the announcement, which the service makes once this is done.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use protocol::limits::FILES_MAX;
use protocol::manifest::{FileEntry, Head, Manifest, ManifestError, Shard, check_path};
use protocol::{FileHash, RevisionId, SecretKey, Signed};
use sha2::{Digest, Sha256};

use super::cut::{CutError, content_cut, content_window, tensor_shards};
use super::heads::{HeadBook, HeadError};
use super::keys::{data_dir_around, is_data_dir};
use crate::api::ProgressSender;
use crate::net::{BlobError, Blobs};

/// Why a path was not shared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    /// There is nothing to share.
    #[error("{0} holds no files")]
    Empty(PathBuf),
    /// A file or directory could not be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// Something is neither a file nor a directory, such as a link that leads out of the repo.
    #[error("{0} is not a plain file or directory: links and devices are not shared")]
    NotPlain(PathBuf),
    /// Whoever fetched it would have the keys in it.
    #[error(
        "{0} is an Accord data directory with secret keys in it: nothing was shared; share a path \
         outside of it"
    )]
    Keys(PathBuf),
    /// A file that runs code when it is read.
    #[error("{0} {1}: convert it to safetensors; pickles are not shared")]
    Pickle(PathBuf, &'static str),
    /// A weights file is damaged.
    #[error("{0} {1}")]
    Weights(PathBuf, CutError),
    /// A file changed while it was read.
    #[error("{0} changed while it was read: share it again when it is at rest")]
    Changed(PathBuf),
    /// The files make no manifest.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// A name that is none.
    #[error("{0}")]
    Name(String),
    /// A shard could not be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The head could not be kept.
    #[error(transparent)]
    Head(#[from] HeadError),
}

/// What was shared.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// The repo's new head.
    pub head: Signed<Head>,
    /// Its manifest.
    pub manifest: Manifest,
    /// Names that were left out, since they start with a dot.
    pub left_out: u64,
}

/// Shares a file or directory as the next revision of `owner`'s repo `name`. If the repo is at this
/// very revision already, that head is returned and nothing is signed.
pub(crate) async fn share(
    path: &Path,
    name: &str,
    owner: &SecretKey,
    blobs: &Blobs,
    heads: &HeadBook,
    progress: &ProgressSender,
) -> Result<Shared, ShareError> {
    protocol::run::check_name("the repo's name", name).map_err(ShareError::Name)?;
    let Listing { files, left_out } = list(path)?;
    let total = files.iter().map(|file| file.bytes).sum::<u64>();
    let mut entries = Vec::with_capacity(files.len());
    let mut done = 0;
    for file in files {
        let entry = import(&file, blobs, |bytes| {
            done += bytes;
            progress.send(&format!("storing {}", file.path), done, Some(total), "bytes");
        })
        .await?;
        entries.push(entry);
    }
    let manifest = Manifest::new(entries)?;
    let bytes = manifest.to_bytes();
    let manifest_bytes = bytes.len() as u64;
    blobs.add_bytes(bytes).await?;
    let head = sign_head(&manifest, manifest_bytes, name, owner, heads)?;
    Ok(Shared { head, manifest, left_out })
}

fn sign_head(
    manifest: &Manifest,
    manifest_bytes: u64,
    name: &str,
    owner: &SecretKey,
    heads: &HeadBook,
) -> Result<Signed<Head>, ShareError> {
    let revision = manifest.revision();
    let before = heads.newest_of(owner.public(), name);
    let (mut seq, mut parents): (u64, Vec<RevisionId>) = (1, Vec::new());
    if let Some(before) = before {
        let value = before.head.value();
        if value.revision == revision && !before.forked {
            return Ok(before.head);
        }
        seq = value.seq + 1;
        parents.push(value.revision);
    }
    let owner_key = owner.public();
    let head = Head { owner: owner_key, name: name.into(), seq, revision, manifest_bytes, parents };
    let head = Signed::sign(head, owner);
    heads.take_own(&head)?;
    Ok(head)
}

/// A file to share.
struct Listed {
    /// Within the repo.
    path: String,
    /// On this machine.
    place: PathBuf,
    bytes: u64,
}

/// What there is to share.
struct Listing {
    /// Sorted by path.
    files: Vec<Listed>,
    /// Files and directories passed over, since their names start with a dot.
    left_out: u64,
}

fn list(root: &Path) -> Result<Listing, ShareError> {
    let read = |place: &Path| {
        let place = place.to_owned();
        move |e| ShareError::Read(place, e)
    };
    if let Some(dir) = data_dir_around(root).map_err(read(root))? {
        return Err(ShareError::Keys(dir));
    }
    let meta = std::fs::metadata(root).map_err(read(root))?;
    let (mut files, mut left_out) = (Vec::new(), 0);
    if meta.is_file() {
        let path = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        check_path(&path)?;
        files.push(Listed { path, place: root.to_owned(), bytes: meta.len() });
        return Ok(Listing { files, left_out });
    }
    if !meta.is_dir() {
        return Err(ShareError::NotPlain(root.to_owned()));
    }
    let mut waiting = vec![(root.to_owned(), String::new())];
    while let Some((dir, prefix)) = waiting.pop() {
        if is_data_dir(&dir) {
            return Err(ShareError::Keys(dir));
        }
        for entry in std::fs::read_dir(&dir).map_err(read(&dir))? {
            let entry = entry.map_err(read(&dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                left_out += 1;
                continue;
            }
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let place = entry.path();
            let meta = entry.metadata().map_err(read(&place))?;
            if meta.is_dir() {
                waiting.push((place, path));
            } else if meta.is_file() {
                check_path(&path)?;
                files.push(Listed { path, place, bytes: meta.len() });
            } else {
                return Err(ShareError::NotPlain(place));
            }
            check_count(files.len() + waiting.len())?;
        }
    }
    if files.is_empty() {
        return Err(ShareError::Empty(root.to_owned()));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Listing { files, left_out })
}

fn check_count(found: usize) -> Result<(), ManifestError> {
    if found > FILES_MAX {
        return Err(ManifestError::TooMany { what: "files", found, max: FILES_MAX });
    }
    Ok(())
}

/// Reads a file once, cuts it, stores the shards.
async fn import(
    file: &Listed,
    blobs: &Blobs,
    mut progress: impl FnMut(u64),
) -> Result<FileEntry, ShareError> {
    let read = |e| ShareError::Read(file.place.clone(), e);
    let mut source = File::open(&file.place).map_err(read)?;
    let mut start = Vec::new();
    source.by_ref().take(1 << 16).read_to_end(&mut start).map_err(read)?;
    source.rewind().map_err(read)?;
    if let Some(reason) = trainer::snapshot::pickle_reason(&file.place, &start) {
        return Err(ShareError::Pickle(file.place.clone(), reason));
    }
    let mut planned = None;
    if file.path.ends_with(".safetensors") {
        let cut = tensor_shards(&mut source, file.bytes);
        let cut = cut.map_err(|e| ShareError::Weights(file.place.clone(), e))?;
        planned = Some(cut.into_iter());
        source.rewind().map_err(read)?;
    }
    let mut cutter = Cutter { source, window: Vec::new() };
    let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256::new());
    let (mut shards, mut bytes) = (Vec::new(), 0u64);
    loop {
        let next = planned.as_mut().map(Iterator::next);
        let piece = cutter.next(next).map_err(read)?;
        if piece.is_empty() {
            break;
        }
        blake3.update(&piece);
        sha256.update(&piece);
        let length = piece.len() as u64;
        bytes += length;
        let hash = blobs.add_bytes(piece).await?;
        shards.push(Shard { hash, bytes: length });
        progress(length);
    }
    if bytes != file.bytes {
        return Err(ShareError::Changed(file.place.clone()));
    }
    Ok(FileEntry {
        path: file.path.clone(),
        bytes,
        blake3: FileHash::from_bytes(*blake3.finalize().as_bytes()),
        sha256: sha256.finalize().into(),
        shards,
    })
}

/// Hands out a file's pieces in order.
struct Cutter {
    source: File,
    window: Vec<u8>,
}

impl Cutter {
    /// The next piece: of the planned length, or as the content says; empty at the end.
    fn next(&mut self, planned: Option<Option<u64>>) -> io::Result<Vec<u8>> {
        let wanted = match planned {
            Some(None) => return Ok(Vec::new()),
            Some(Some(bytes)) => bytes as usize,
            None => content_window(),
        };
        let missing = wanted.saturating_sub(self.window.len()) as u64;
        (&mut self.source).take(missing).read_to_end(&mut self.window)?;
        let length = match planned {
            Some(_) => wanted.min(self.window.len()),
            None => content_cut(&self.window),
        };
        let rest = self.window.split_off(length);
        Ok(std::mem::replace(&mut self.window, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::home::Home;

    #[test]
    fn what_is_left_out_is_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("model");
        fs::create_dir_all(root.join(".git/objects")).expect("made");
        fs::create_dir(root.join("sub")).expect("made");
        for file in ["b", "sub/a", ".hidden", "sub/.too", ".git/config"] {
            fs::write(root.join(file), b"text").expect("written");
        }
        let listing = list(&root).expect("listed");
        let paths: Vec<&str> = listing.files.iter().map(|file| &*file.path).collect();
        assert_eq!((paths, listing.left_out), (vec!["b", "sub/a"], 3));
    }

    #[test]
    fn what_holds_keys_is_refused_from_every_side() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().join("deep/alice");
        Home::init(&home).expect("made");
        for path in ["", "deep", "deep/alice", "deep/alice/identities", "deep/alice/node.key"] {
            let refused = list(&dir.path().join(path)).err().expect(path);
            let said = refused.to_string();
            assert!(matches!(refused, ShareError::Keys(_)), "{path}: {said}");
            assert!(said.contains("deep/alice is an Accord data directory"), "{path}: {said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_file() {
        let said = list(Path::new("/dev/null")).err().expect("refused").to_string();
        assert!(said.contains("not a plain file or directory"), "{said}");
    }
}
