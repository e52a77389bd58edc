//! Where a command runs and where its words go: what was typed, resolved against the system.
//!
//! Invariants: paths that leave here are absolute, because the node has another working directory.
//! What it is not: the grammar (see `args`).

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::api::Client;

use super::error::CliError;
use super::output::Output;

/// What every verb needs.
#[derive(Debug)]
pub(super) struct Context {
    /// The data directory, absolute.
    pub(super) dir: PathBuf,
    /// Where results go.
    pub(super) out: Output,
}

impl Context {
    /// Resolves the options that all verbs share.
    pub(super) fn new(dir: Option<PathBuf>, json: bool) -> Result<Self, CliError> {
        let dir = dir.or_else(|| data_dir(|name| env::var_os(name).filter(|v| !v.is_empty())));
        let missing = || CliError::Usage("no home directory is set: give --dir DIR".to_owned());
        Ok(Self { dir: absolute(&dir.ok_or_else(missing)?)?, out: Output::new(json) })
    }

    /// The node that runs on the data directory.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        Ok(Client::open(&self.dir)?)
    }
}

/// A path that means the same to the node; only its text changes.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path)
        .map_err(|e| CliError::Usage(format!("{:?} is no usable path: {e}", path.display())))
}

/// The same, as text for the API.
pub(super) fn absolute_text(path: &Path) -> Result<String, CliError> {
    absolute(path)?.into_os_string().into_string().map_err(|path| {
        CliError::Usage(format!("{} is not UTF-8: rename it", Path::new(&path).display()))
    })
}

/// A model argument: a directory as an absolute path, a repo's name as it is. What could be either
/// is a directory only if there is a model in it; what could be no repo is one if it is there.
pub(super) fn model_text(model: &str) -> Result<String, CliError> {
    let path = Path::new(model);
    let meant = path.is_absolute() || model.starts_with('.');
    let there = path.join("config.json").is_file() || (path.is_dir() && !is_repo(model));
    if meant || there { absolute_text(path) } else { Ok(model.to_owned()) }
}

/// Whether a text has the form of a repo's name.
fn is_repo(text: &str) -> bool {
    let is_key = |owner: &str| owner.len() >= 8 && owner.chars().all(|c| c.is_ascii_hexdigit());
    text.split_once('/').is_some_and(|(owner, name)| {
        (owner == "me" || is_key(owner)) && !name.is_empty() && !name.contains('/')
    })
}

/// The platform's place for a user's data.
fn data_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = |rest: &str| variable("HOME").map(|home| PathBuf::from(home).join(rest));
    if cfg!(windows) {
        return variable("LOCALAPPDATA").map(|data| PathBuf::from(data).join("accord"));
    }
    if cfg!(target_os = "macos") {
        return home("Library/Application Support/accord");
    }
    // XDG Base Directory Specification 0.8: a relative path is to be ignored.
    let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|data| data.is_absolute());
    data.map(|data| data.join("accord")).or_else(|| home(".local/share/accord"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_data_directory_follows_the_platform() {
        let with = |pairs: &'static [(&str, &str)]| {
            data_dir(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
        };
        let both = with(&[("XDG_DATA_HOME", "/data"), ("HOME", "/home/a")]);
        assert_eq!(both, Some("/data/accord".into()));
        let relative = with(&[("XDG_DATA_HOME", "data"), ("HOME", "/home/a")]);
        assert_eq!(relative, Some("/home/a/.local/share/accord".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn a_model_is_a_directory_only_if_it_looks_like_one() {
        assert_eq!(model_text("me/digits@1f").expect("a name"), "me/digits@1f");
        let made = model_text("./digits").expect("a directory");
        assert!(Path::new(&made).is_absolute() && made.ends_with("digits"), "{made}");
        assert!(absolute(Path::new("")).is_err());
        // Tests run in the crate's own directory.
        let made = model_text("src").expect("a directory without a model");
        assert!(Path::new(&made).is_absolute() && made.ends_with("src"), "{made}");
        assert_eq!(model_text("scr").expect("nothing"), "scr");
        assert!(is_repo("me/digits") && is_repo("0123456789/digits@3"));
        assert!(!is_repo("models1/digits") && !is_repo("models/") && !is_repo("me/a/b"));
    }
}
