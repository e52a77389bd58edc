//! Keeping a node's own files out of what is shared: whoever has a seed is that identity.
//!
//! Invariants: links are resolved before a place is judged; a data directory is known by its form,
//! whoever's it is, even if a part of it is gone.
//! What it is not: a search for secrets in other files.

use std::io;
use std::path::{Path, PathBuf};

/// The data directory that a path lies in, or is, if any.
pub(super) fn data_dir_around(path: &Path) -> io::Result<Option<PathBuf>> {
    let place = path.canonicalize()?;
    Ok(place.ancestors().find(|dir| is_data_dir(dir)).map(Path::to_owned))
}

/// Whether this is a node's data directory (see `home` for its layout): two marks of three, so that
/// one with a file missing is still known.
pub(super) fn is_data_dir(dir: &Path) -> bool {
    let marks = [
        dir.join("node.key").is_file(),
        dir.join("version").is_file(),
        dir.join("identities").is_dir(),
    ];
    marks.into_iter().filter(|there| *there).count() >= 2
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::home::Home;

    #[test]
    fn a_data_directory_is_known_by_its_form() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().join("alice");
        Home::init(&home).expect("made");
        assert!(is_data_dir(&home) && !is_data_dir(dir.path()));
        for file in ["", "node.key", "identities", "identities/me"] {
            assert!(data_dir_around(&home.join(file)).expect("there").is_some(), "{file}");
        }
        assert!(data_dir_around(dir.path()).expect("there").is_none());
        assert!(data_dir_around(&dir.path().join("nothing")).is_err());
        for lost in ["version", "node.key"] {
            let kept = fs::read(home.join(lost)).expect("there");
            fs::remove_file(home.join(lost)).expect("removed");
            assert!(is_data_dir(&home), "without {lost} it holds keys all the same");
            fs::write(home.join(lost), kept).expect("written");
        }
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(home.join("identities"), &link).expect("linked");
            assert!(data_dir_around(&link).expect("there").is_some());
        }
    }
}
