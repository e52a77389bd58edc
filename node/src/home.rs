//! A node's data directory: its layout, its lock, and the keys in it.
//!
//! ```text
//! DIR/version          the layout's version
//! DIR/lock             held by the running node
//! DIR/node.key         the node's Ed25519 seed (mode 0600)
//! DIR/token            what the local API wants to see (mode 0600)
//! DIR/identities/NAME  an identity's keys (mode 0600; see `identity`)
//! DIR/meta/            metadata (sled)
//! DIR/blobs/           shards, updates, models (iroh-blobs)
//! DIR/api.json         where the running node listens
//! ```
//!
//! Invariants: one process at a time by lock; a file appears under its name whole or not at all; no
//! key is ever overwritten. What it is not: a place for settings.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use consent::TableSeed;
use protocol::{PublicKey, SecretKey};

use crate::identity::{Identities, IdentityError};

/// The layout this program reads and writes.
const VERSION: u32 = 1;
/// The identity that `me` stands for.
pub const ME: &str = "me";

/// With what the names of files begin while they are being written (`tempfile`'s own).
pub(crate) const UNFINISHED: &str = ".tmp";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It was never made.
    #[error("{0} is no data directory: make one with `accord init --dir {0}`")]
    Missing(PathBuf),
    /// Another node runs on it.
    #[error("{0} is in use by another node: stop that one or choose another directory with --dir")]
    InUse(PathBuf),
    /// It was made by a newer program.
    #[error("{dir} has layout version {found}, this program knows {VERSION}: use a newer accord")]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A file in it is not what it should be.
    #[error("{path} is damaged: {rule}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        rule: &'static str,
    },
    /// The system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory of something else.
    #[error("{} holds {found:?} and is no Accord data directory: name a new or empty one", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// What is in it.
        found: String,
    },
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// A data directory with its keys, open for reading.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    node: SecretKey,
    token: String,
    changing: Mutex<()>,
}

/// A data directory held by this process; others are kept out until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// Makes the directory if it is not there, and opens it. Says whether it was made.
    ///
    /// The version is written last, so that what a crash left half made is made again, and what is
    /// there with a version is never mended: a lost key is not replaced by another.
    pub fn init(dir: &Path) -> Result<(Self, bool), IdentityError> {
        if dir.join("version").exists() {
            return Ok((Self::open(dir)?, false));
        }
        create_dir(dir)?;
        if let Some(found) = foreign_entry(dir)? {
            return Err(HomeError::Foreign { dir: dir.to_owned(), found }.into());
        }
        create_dir(&dir.join("identities"))?;
        write_new(&dir.join("node.key"), &hex::encode(fresh_seed()?))?;
        write_new(&dir.join("token"), &hex::encode(fresh_seed()?))?;
        let node = SecretKey::from_seed(&read_seed(&dir.join("node.key"))?).public();
        Identities::new(dir.join("identities"), node).make_plain(ME)?;
        write_new(&dir.join("version"), &VERSION.to_string())?;
        Ok((Self::open(dir)?, true))
    }

    /// Opens a directory that was made before.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let version_path = dir.join("version");
        if !version_path.exists() {
            return Err(HomeError::Missing(dir.to_owned()));
        }
        let damaged = |path: &Path, rule| HomeError::Damaged { path: path.to_owned(), rule };
        let version = read(&version_path)?
            .trim()
            .parse()
            .map_err(|_| damaged(&version_path, "it holds no number"))?;
        if version > VERSION {
            return Err(HomeError::Newer { dir: dir.to_owned(), found: version });
        }
        let node = read_seed(&dir.join("node.key"))?;
        let token = read(&dir.join("token"))?.trim().to_owned();
        if token.len() != 64 {
            return Err(damaged(&dir.join("token"), "it is not 64 digits"));
        }
        let (dir, node) = (dir.to_owned(), SecretKey::from_seed(&node));
        Ok(Self { dir, node, token, changing: Mutex::default() })
    }

    /// Keeps other processes out.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let path = self.dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| HomeError::Io { doing: "open", path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse(self.dir.clone())),
            Err(TryLockError::Error(source)) => Err(HomeError::Io { doing: "lock", path, source }),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The node's key.
    pub fn node(&self) -> &SecretKey {
        &self.node
    }

    /// What the local API wants to see.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the consent ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    /// Where metadata is.
    pub fn meta(&self) -> PathBuf {
        self.dir.join("meta")
    }

    /// Where blobs are.
    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    /// The identities in it.
    pub(crate) fn identities(&self) -> Identities {
        Identities::new(self.dir.join("identities"), self.node.public())
    }

    /// Held while an identity's file is read to be written anew, so that two changes at once do not
    /// undo each other.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first daily key of the identity `me`, which owns repos and creates runs.
    pub fn owner(&self) -> Result<SecretKey, IdentityError> {
        self.identities().first_daily(ME)
    }

    /// The public key of `me`.
    pub fn me(&self) -> Result<PublicKey, IdentityError> {
        Ok(self.owner()?.public())
    }
}

/// A secret for the ledger's tables, another at each start.
pub fn table_seed() -> Result<TableSeed, HomeError> {
    let seed = fresh_seed()?;
    let (words, _) = seed.as_chunks::<8>();
    Ok(TableSeed([u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]))
}

/// Something in the directory that no `init` has put there.
fn foreign_entry(dir: &Path) -> Result<Option<String>, HomeError> {
    let io = |source| HomeError::Io { doing: "look into", path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        // A temporary file is a key that was being written.
        let own =
            ["identities", "node.key", "token"].contains(&&*name) || name.starts_with(UNFINISHED);
        if !own {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Writes a file that appears whole, for its owner only, replacing what was there.
pub fn write_whole(path: &Path, text: &str) -> Result<(), HomeError> {
    let io = |doing| {
        let path = path.to_owned();
        move |source| HomeError::Io { doing, path, source }
    };
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir).map_err(io("write"))?;
    file.write_all(text.as_bytes()).map_err(io("write"))?;
    file.as_file().sync_all().map_err(io("write"))?;
    file.persist(path).map_err(|e| io("write")(e.error))?;
    sync_dir(dir).map_err(io("write"))
}

/// Makes a directory's entries durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Writes a file unless it is there already; says whether it wrote. A temporary file of
/// `tempfile` has mode 0600.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<bool, HomeError> {
    let io = |source| HomeError::Io { doing: "write", path: path.to_owned(), source };
    if path.exists() {
        return Ok(false);
    }
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_dir(dir).map(|()| true).map_err(io),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(io(e.error)),
    }
}

fn create_dir(dir: &Path) -> Result<(), HomeError> {
    fs::create_dir_all(dir).map_err(|source| HomeError::Io {
        doing: "make",
        path: dir.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<String, HomeError> {
    fs::read_to_string(path).map_err(|source| HomeError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    })
}

fn read_seed(path: &Path) -> Result<[u8; 32], HomeError> {
    let rule = "it is not a seed of 64 hexadecimal digits";
    parse_seed(&read(path)?).ok_or_else(|| HomeError::Damaged { path: path.to_owned(), rule })
}

fn parse_seed(text: &str) -> Option<[u8; 32]> {
    let mut seed = [0u8; 32];
    hex::decode_to_slice(text.trim(), &mut seed).ok().map(|()| seed)
}

/// 32 random bytes.
pub(crate) fn fresh_seed() -> Result<[u8; 32], HomeError> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(HomeError::Randomness)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let (first, made) = Home::init(dir.path()).expect("made");
        assert!(made);
        let (again, made) = Home::init(dir.path()).expect("opened");
        assert!(!made);
        assert_eq!(first.node().public(), again.node().public());
        first.identities().make_plain("artist").expect("made");
        let artist = first.identities().first_daily("artist").expect("read").public();
        again.identities().make_plain("artist").expect("there");
        let same = again.identities().first_daily("artist").expect("read").public();
        assert_eq!(same, artist);
        assert_ne!(artist, first.me().expect("there"));
        #[cfg(unix)]
        for file in ["node.key", "token", "identities/me", "identities/artist"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(file)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }

    #[test]
    fn two_nodes_do_not_share_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, _) = Home::init(dir.path()).expect("made");
        let held = home.lock().expect("free");
        let said = home.lock().expect_err("held").to_string();
        assert!(said.contains("is in use by another node"), "{said}");
        drop(held);
        home.lock().expect("free again");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let said = Home::open(dir.path()).expect_err("empty").to_string();
        assert!(said.contains("accord init"), "{said}");
        let (home, _) = Home::init(dir.path()).expect("made");
        assert!(home.identities().make_plain("../x").is_err());
        fs::write(dir.path().join("version"), "7").expect("written");
        let said = Home::open(dir.path()).expect_err("newer").to_string();
        assert!(said.contains("layout version 7"), "{said}");
    }

    #[test]
    fn a_lost_key_is_not_replaced_and_a_foreign_directory_not_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        Home::init(dir.path()).expect("made");
        fs::remove_file(dir.path().join("node.key")).expect("removed");
        let said = Home::init(dir.path()).expect_err("lost").to_string();
        assert!(said.contains("node.key") && !dir.path().join("node.key").exists(), "{said}");

        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("thesis.tex"), "").expect("written");
        let said = Home::init(dir.path()).expect_err("foreign").to_string();
        assert!(said.contains("thesis.tex"), "{said}");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1, "nothing was made");
    }

    #[test]
    fn what_a_crash_left_half_made_is_finished() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, new) = Home::init(dir.path()).expect("made");
        let key = home.node().public();
        fs::remove_file(dir.path().join("version")).expect("removed");
        let (home, again) = Home::init(dir.path()).expect("made");
        assert!(new && again);
        assert_eq!(home.node().public(), key);
    }
}
