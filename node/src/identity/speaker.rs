//! An identity that was opened to sign.
//!
//! Beside its file stands the number of the last record that this node signed in its feed. A ledger
//! that ends before it is not the one that the node had: it was restored from a backup, or lost. To
//! sign on it would fork the feed, so nothing is signed until other nodes have sent the rest.
//!
//! Invariants: the number is written after the record is durable and before anyone hears of it.
//! What it is not: protection where the whole data directory was restored; nothing on the machine
//! can tell that.

use std::path::PathBuf;

use protocol::PublicKey;

use super::error::IdentityError;
use super::keyring::Keyring;
use super::store::{print, rewrite_recovery};
use crate::api::dto::Passphrase;
use crate::home::{ME, write_whole};

/// What opens an identity.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Its passphrase.
    pub(crate) passphrase: Option<Passphrase>,
    /// The file with its root key, if that is not in the node's file.
    pub(crate) recovery: Option<PathBuf>,
}

/// An opened identity.
#[derive(Debug)]
pub(crate) struct Speaker {
    /// Its keys.
    pub(crate) ring: Keyring,
    path: PathBuf,
    counter: PathBuf,
    signed_seq: Option<u64>,
    passphrase: Option<Passphrase>,
    recovery: Option<PathBuf>,
    remark: Option<String>,
}

impl Speaker {
    pub(super) fn new(
        ring: Keyring,
        path: PathBuf,
        counter: PathBuf,
        passphrase: Option<Passphrase>,
        recovery: Option<PathBuf>,
    ) -> Result<Self, IdentityError> {
        let text = match std::fs::read_to_string(&counter) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(IdentityError::Io { doing: "read", path: counter, source }),
        };
        let rule = "it is not a feed and a record's number";
        let mut signed_seq = None;
        if !text.is_empty() {
            let (feed, seq) = text
                .trim()
                .split_once(' ')
                .and_then(|(feed, seq)| Some((feed.parse::<u32>().ok()?, seq.parse().ok()?)))
                .ok_or_else(|| IdentityError::Damaged { path: counter.clone(), rule })?;
            // Of a feed that an earlier identity of this name had, it says nothing.
            signed_seq = Some(seq).filter(|_| feed == ring.feed);
        }
        Ok(Self { ring, path, counter, signed_seq, passphrase, recovery, remark: None })
    }

    /// Puts a remark beside each record that it is asked to make from here on.
    pub(crate) fn remark_with(&mut self, text: Option<String>) {
        self.remark = text;
    }

    /// The remark's text, if there is to be one.
    pub(crate) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Its local name.
    pub(crate) fn name(&self) -> &str {
        &self.ring.name
    }

    /// Its name for ever.
    pub(crate) fn author(&self) -> PublicKey {
        self.ring.author()
    }

    /// Where its file is.
    pub(crate) fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// The number of the last record that this node signed, if the ledger's last is before it.
    pub(crate) fn ahead_of(&self, ledger_seq: Option<u64>) -> Option<u64> {
        self.signed_seq.filter(|signed| ledger_seq.is_none_or(|held| held < *signed))
    }

    /// Keeps the number of the last record that was signed.
    pub(crate) fn remember(&self, seq: u64) -> Result<(), IdentityError> {
        Ok(write_whole(&self.counter, &format!("{} {seq}\n", self.ring.feed))?)
    }

    /// Writes its file again.
    pub(crate) fn save(&self) -> Result<(), IdentityError> {
        let text = print(&self.ring.kept(), self.passphrase.as_ref(), &self.path)?;
        Ok(write_whole(&self.path, &text)?)
    }

    /// Whether its file is under a passphrase.
    pub(crate) const fn is_sealed(&self) -> bool {
        self.passphrase.is_some()
    }

    /// Writes its file again, under this passphrase or under none.
    pub(crate) fn reseal(&mut self, passphrase: Option<Passphrase>) -> Result<(), IdentityError> {
        if self.ring.name == ME && passphrase.is_some() {
            return Err(IdentityError::MeSealed);
        }
        self.passphrase = passphrase;
        self.save()
    }

    /// Writes its recovery file again, if its root key is in one.
    pub(crate) fn save_recovery(&self) -> Result<(), IdentityError> {
        match &self.recovery {
            Some(path) if self.ring.root_elsewhere => rewrite_recovery(path, &self.ring),
            _ => Ok(()),
        }
    }
}
