//! Where a running node listens: the file `api.json` in its data directory.
//!
//! Invariants: the file appears whole and is readable by its owner only, because the token is in
//! it. What it is not: proof that the node still runs; after a crash the file stays.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{AddressError, Token};
use crate::home::write_whole;

/// The file in the data directory.
const FILE: &str = "api.json";
/// An address in bytes: a short URL, a token and a number.
const ADDRESS_BYTES_MAX: u64 = 4_096;

/// What a client needs to reach a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// Such as `http://127.0.0.1:7411`.
    pub url: String,
    /// What it wants to see.
    pub token: Token,
    /// Its process.
    pub pid: u32,
}

impl Address {
    /// Writes it into a data directory, replacing what a crashed node left.
    pub fn write(&self, dir: &Path) -> Result<(), AddressError> {
        let text = serde_json::to_string(self).expect("strings and numbers are always JSON");
        Ok(write_whole(&dir.join(FILE), &text)?)
    }

    /// Reads it from a data directory.
    pub fn read(dir: &Path) -> Result<Self, AddressError> {
        let path = dir.join(FILE);
        let mut text = String::new();
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(AddressError::Missing(path));
            }
            opened => opened
                .and_then(|file| file.take(ADDRESS_BYTES_MAX).read_to_string(&mut text))
                .map_err(|source| io_error("read", &path, source))?,
        };
        serde_json::from_str(&text).map_err(|_| AddressError::Damaged(path))
    }

    /// Takes it away when the node stops; it is no error that it is gone.
    pub fn remove(dir: &Path) -> Result<(), AddressError> {
        let path = dir.join(FILE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove", &path, source))
            }
            _ => Ok(()),
        }
    }

    /// The host and port of the URL; nothing if it is not one of ours.
    pub(super) fn host(&self) -> Option<&str> {
        self.url.strip_prefix("http://").filter(|host| !host.contains('/'))
    }
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> AddressError {
    AddressError::Io { doing, path: PathBuf::from(path), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_read_and_taken_away() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(Address::read(dir.path()), Err(AddressError::Missing(_))));
        Address::remove(dir.path()).expect("nothing to do");
        let address = Address { url: "http://127.0.0.1:1".into(), token: Token::new("t"), pid: 7 };
        address.write(dir.path()).expect("written");
        let read = Address::read(dir.path()).expect("read");
        assert_eq!((read.host(), read.pid), (Some("127.0.0.1:1"), 7));
        assert!(read.token.matches(b"Bearer t"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(FILE)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(dir.path().join(FILE), "{").expect("written");
        assert!(matches!(Address::read(dir.path()), Err(AddressError::Damaged(_))));
        Address::remove(dir.path()).expect("removed");
    }
}
