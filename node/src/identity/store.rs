//! The identities in a data directory.
//!
//! Invariants: a file of keys is written whole, for its owner only, and never made over another
//! identity's; one that others can read, or that another node wrote, is not used.
//! What it is not: the ledger.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use protocol::limits::IDENTITY_BYTES_MAX;
use protocol::{PublicKey, SecretKey};

use super::error::IdentityError;
use super::file::{self, FileError, Summary};
use super::keyring::{Generation, Keyring};
use super::seal::SealError;
use super::speaker::{Access, Speaker};
use crate::api::dto::Passphrase;
use crate::home::{ME, UNFINISHED, write_new, write_whole};

/// The directory with the identities' files.
#[derive(Debug, Clone)]
pub(crate) struct Identities {
    dir: PathBuf,
    device: PublicKey,
}

impl Identities {
    /// Those in `dir`, of the node with this key.
    pub(crate) const fn new(dir: PathBuf, device: PublicKey) -> Self {
        Self { dir, device }
    }

    /// The names of those there are.
    pub(crate) fn names(&self) -> Result<Vec<String>, IdentityError> {
        let io = |source| IdentityError::Io { doing: "read", path: self.dir.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
            // Counters and what a crash left half written begin with a dot.
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes what a crash left of files half written: there may be keys in them. Only before
    /// anything is written.
    pub(crate) fn sweep(&self) -> Result<(), IdentityError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| IdentityError::Io { doing: "tidy up", path, source }
        };
        for entry in fs::read_dir(&self.dir).map_err(io(&self.dir))? {
            let path = entry.map_err(io(&self.dir))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy());
            if name.is_some_and(|name| name.starts_with(UNFINISHED)) {
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        Ok(())
    }

    /// What an identity's file says without its passphrase.
    pub(crate) fn summary(&self, name: &str) -> Result<Summary, IdentityError> {
        let path = self.path(name)?;
        let text = self.read_own(name, &path)?;
        let summary = file::summarize(&text, name).map_err(|error| refused(&path, error))?;
        Ok(Summary { name: name.to_owned(), ..summary })
    }

    /// The identity with this name.
    pub(crate) fn open(&self, name: &str, access: &Access) -> Result<Speaker, IdentityError> {
        let path = self.path(name)?;
        let text = self.read_own(name, &path)?;
        let parse = |text| file::parse(text, name, access.passphrase.as_ref());
        let mut ring = parse(&text).map_err(|error| refused(&path, error))?;
        if ring.device.is_some_and(|device| device != self.device) {
            return Err(IdentityError::Copied(path));
        }
        // A file of before names no device; it is this one from its next change on.
        ring.device = Some(self.device);
        name.clone_into(&mut ring.name);
        let sealed = file::summarize(&text, name).is_ok_and(|summary| summary.sealed);
        let passphrase = access.passphrase.clone().filter(|_| sealed);
        if let Some(recovery) = access.recovery.as_deref().filter(|_| ring.root_elsewhere) {
            let other = read_recovery(recovery)?;
            let (found, wanted) = (other.author(), ring.author());
            if found != wanted {
                let path = recovery.to_owned();
                return Err(IdentityError::OtherIdentity { path, found, wanted });
            }
            ring.fill(&other);
        }
        let counter = self.counter(name);
        Speaker::new(ring, path, counter, passphrase, access.recovery.clone())
    }

    /// The identity with this name, made if there is none. Says whether it was made.
    pub(crate) fn open_or_create(
        &self,
        name: &str,
        access: &Access,
    ) -> Result<(Speaker, bool), IdentityError> {
        match self.open(name, access) {
            Err(IdentityError::Unknown(_)) => Ok((self.create(name, access)?, true)),
            opened => Ok((opened?, false)),
        }
    }

    /// A new identity, under the passphrase if there is one, its root key in the recovery file if
    /// one is named.
    pub(crate) fn create(&self, name: &str, access: &Access) -> Result<Speaker, IdentityError> {
        let ring = Keyring {
            name: name.to_owned(),
            feed: 0,
            device: Some(self.device),
            root_elsewhere: access.recovery.is_some(),
            generations: vec![Generation::fresh()?],
            next: None,
        };
        self.add(ring, access)
    }

    /// An identity that is new to this node: its file must not be there yet.
    pub(crate) fn add(&self, ring: Keyring, access: &Access) -> Result<Speaker, IdentityError> {
        let path = self.path(&ring.name)?;
        if path.exists() {
            return Err(IdentityError::Exists(ring.name));
        }
        if ring.name == ME && access.passphrase.is_some() {
            return Err(IdentityError::MeSealed);
        }
        let (passphrase, recovery) = (access.passphrase.clone(), access.recovery.clone());
        let counter = self.counter(&ring.name);
        let text = print(&ring.kept(), passphrase.as_ref(), &path)?;
        if let Some(recovery) = recovery.as_deref().filter(|recovery| !recovery.exists()) {
            write_away(recovery, &ring, None)?;
        } else if let Some(recovery) = &recovery {
            // A recovery file that is there is this identity's, or is not to be lost.
            let found = read_recovery(recovery)?.author();
            if found != ring.author() {
                return Err(IdentityError::Occupied(recovery.clone()));
            }
        }
        if !write_new(&path, &text)? {
            return Err(IdentityError::Exists(ring.name));
        }
        Speaker::new(ring, path, counter, passphrase, recovery)
    }

    /// The identity with this name without a passphrase, made if there is none.
    pub(crate) fn make_plain(&self, name: &str) -> Result<(), IdentityError> {
        if self.path(name)?.exists() {
            return Ok(());
        }
        self.create(name, &Access::default()).map(|_| ())
    }

    /// The first daily key of an identity without a passphrase.
    pub(crate) fn first_daily(&self, name: &str) -> Result<SecretKey, IdentityError> {
        let path = self.path(name)?;
        let text = self.read_own(name, &path)?;
        let ring = file::parse(&text, name, None).map_err(|error| refused(&path, error))?;
        Ok(ring.generations[0].daily.clone())
    }

    /// The local name of an identity that is here.
    pub(crate) fn name_of(&self, author: PublicKey) -> Result<Option<String>, IdentityError> {
        let mut names = self.names()?.into_iter();
        Ok(names.find(|name| self.summary(name).is_ok_and(|found| found.author == author)))
    }

    /// The node that keeps them.
    pub(crate) const fn device(&self) -> PublicKey {
        self.device
    }

    /// Where an identity's file is.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, IdentityError> {
        protocol::run::check_name("the identity's name", name).map_err(IdentityError::Name)?;
        Ok(self.dir.join(name))
    }

    /// Where the number of the last record that this node signed for it is.
    fn counter(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".signed-{name}"))
    }

    fn read_own(&self, name: &str, path: &Path) -> Result<String, IdentityError> {
        if !path.exists() {
            return Err(IdentityError::Unknown(name.to_owned()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let io = |source| IdentityError::Io { doing: "read", path: path.to_owned(), source };
            let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(IdentityError::Mode { path: path.to_owned(), mode });
            }
        }
        read(path)
    }
}

/// What a recovery file holds: all root keys.
pub(crate) fn read_recovery(path: &Path) -> Result<Keyring, IdentityError> {
    let ring = read_away(path, None)?;
    if ring.has_roots() { Ok(ring) } else { Err(IdentityError::NoRoot(path.to_owned())) }
}

/// What a file from elsewhere holds.
pub(crate) fn read_away(
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<Keyring, IdentityError> {
    let ring = file::parse(&read(path)?, "", passphrase);
    ring.map_err(|error| refused(path, error))
}

/// Whether a file from elsewhere is under a passphrase.
pub(crate) fn is_sealed(path: &Path) -> Result<bool, IdentityError> {
    let summary = file::summarize(&read(path)?, "").map_err(|error| refused(path, error))?;
    Ok(summary.sealed)
}

/// Writes a file to be carried elsewhere; it must not be there yet.
pub(crate) fn write_away(
    path: &Path,
    ring: &Keyring,
    passphrase: Option<&Passphrase>,
) -> Result<(), IdentityError> {
    let text = print(&away(ring), passphrase, path)?;
    if write_new(path, &text)? { Ok(()) } else { Err(IdentityError::Occupied(path.to_owned())) }
}

/// Replaces a recovery file.
pub(super) fn rewrite_recovery(path: &Path, ring: &Keyring) -> Result<(), IdentityError> {
    Ok(write_whole(path, &print(&Keyring { root_elsewhere: false, ..away(ring) }, None, path)?)?)
}

/// The text of a file of keys.
pub(super) fn print(
    ring: &Keyring,
    passphrase: Option<&Passphrase>,
    path: &Path,
) -> Result<String, IdentityError> {
    file::print(ring, passphrase).map_err(|error| refused(path, error))
}

/// The same keys for another place, with the root keys if they are here.
fn away(ring: &Keyring) -> Keyring {
    let root_elsewhere = !ring.has_roots();
    Keyring { device: None, root_elsewhere, ..ring.clone() }
}

fn read(path: &Path) -> Result<String, IdentityError> {
    let io = |source| IdentityError::Io { doing: "read", path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(io)?;
    match file.take(IDENTITY_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(IdentityError::Damaged { path: path.to_owned(), rule: "it is no text" })
        }
        Err(error) => Err(io(error)),
    }
}

fn refused(path: &Path, error: FileError) -> IdentityError {
    let path = path.to_owned();
    match error {
        FileError::Damaged(rule) => IdentityError::Damaged { path, rule },
        FileError::Newer => IdentityError::Newer(path),
        FileError::Sealed => IdentityError::Sealed(path),
        FileError::Seal(SealError::Wrong) => IdentityError::Passphrase(path),
        FileError::Seal(SealError::Length) => IdentityError::PassphraseLength,
        FileError::Seal(SealError::Derive(error)) => IdentityError::Derive(error),
        FileError::Seal(SealError::Randomness(error)) => IdentityError::Home(error),
        FileError::Seal(SealError::Form) => {
            IdentityError::Damaged { path, rule: "its seal is of no form that is known" }
        }
    }
}
