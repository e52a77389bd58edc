//! The files of the blob store: where they are, and how they become durable.
//!
//! Invariants: a file appears under its name whole; what is flushed is flushed with its folder. What it is
//! not: the store, which is iroh-blobs'.

use std::io;
use std::path::{Path, PathBuf};

use protocol::FileHash;
use tempfile::NamedTempFile;

/// The folder of files that were made here and are blobs where they are.
pub(super) const MADE: &str = "made";

/// The file of a blob that is large enough to have one.
pub(super) fn file_of(directory: &Path, hash: FileHash) -> Option<PathBuf> {
    let copied = directory.join("data").join(format!("{hash}.data"));
    let made = directory.join(MADE).join(hash.to_string());
    [copied, made].into_iter().find(|path| path.exists())
}

/// Flushes the files of a blob. Small blobs live in the database and have none.
pub(super) fn sync_blob(directory: &Path, hash: FileHash) -> io::Result<()> {
    let (data, made) = (directory.join("data"), directory.join(MADE));
    for (folder, name) in [
        (&data, format!("{hash}.data")),
        (&data, format!("{hash}.obao4")),
        (&made, hash.to_string()),
    ] {
        match std::fs::File::open(folder.join(name)) {
            Ok(file) => file.sync_all()?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        }
        sync_directory_now(folder)?;
    }
    Ok(())
}

pub(super) async fn sync_directory(directory: PathBuf) -> io::Result<()> {
    let synced = tokio::task::spawn_blocking(move || sync_directory_now(&directory)).await;
    synced.map_err(io::Error::other)?
}

/// Makes renames in a directory durable; Windows has no such call and does so by itself.
fn sync_directory_now(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { std::fs::File::open(directory)?.sync_all() } else { Ok(()) }
}

/// A file that vanishes unless it is renamed, with the permissions of any new file.
pub(super) fn temporary_file(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".accord-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}
