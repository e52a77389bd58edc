//! A permit cannot be had but from the gate, nor used twice: code that tries does not compile.
//!
//! Each file in `ui/` is compiled by rustc against the libraries that this test was built with. Its
//! first lines say which crates it uses and which error it must give, or none: error codes, because
//! the wording of messages changes from one compiler to the next.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One file of `ui/`.
struct Case {
    path: PathBuf,
    crates: Vec<String>,
    errors: BTreeSet<String>,
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("cases are UTF-8");
        let words = |heading: &str| -> Vec<String> {
            let line = text.lines().find_map(|line| line.strip_prefix(heading));
            let line = line.unwrap_or_else(|| panic!("{} has no line {heading:?}", path.display()));
            line.split_whitespace().map(str::to_owned).collect()
        };
        let (crates, errors) = (words("//! crates:"), words("//! errors:"));
        Self { path, crates, errors: errors.into_iter().collect() }
    }

    /// The error codes that compiling gives, with these libraries for the crates.
    fn compile(&self, libraries: &[PathBuf], out: &Path) -> BTreeSet<String> {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=metadata",
            "--error-format=json",
        ]);
        rustc.arg("--out-dir").arg(out).arg("-L").arg(joined("dependency=", &library_dir()));
        for (name, library) in self.crates.iter().zip(libraries) {
            rustc.arg("--extern").arg(joined(&format!("{name}="), library));
        }
        let output = rustc.arg(&self.path).output().expect("rustc runs");
        let stderr = String::from_utf8(output.stderr).expect("rustc writes UTF-8");
        let diagnostics = stderr.lines().filter_map(|line| serde_json::from_str(line).ok());
        let errors: Vec<Value> =
            diagnostics.filter(|message: &Value| message["level"] == "error").collect();
        assert_eq!(errors.is_empty(), output.status.success(), "{stderr}");
        errors.iter().filter_map(|error| Some(error["code"]["code"].as_str()?.to_owned())).collect()
    }
}

/// Where the libraries are that this test was built with: beside itself.
fn library_dir() -> PathBuf {
    let own = std::env::current_exe().expect("this test is a file");
    own.parent().expect("a file is in a directory").to_owned()
}

/// All libraries of a crate. There may be several, of builds with other features or older code.
fn libraries(name: &str) -> Vec<PathBuf> {
    files(&library_dir())
        .into_iter()
        .filter(|path| {
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            file.starts_with(&format!("lib{name}-")) && file.ends_with(".rlib")
        })
        .collect()
}

/// The files of a directory, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries: Vec<fs::DirEntry> =
        fs::read_dir(dir).and_then(Iterator::collect).expect("the directory can be read");
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    paths
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(prefix);
    argument.push(path);
    argument
}

/// The ways to choose one library for each crate.
fn choices(crates: &[String]) -> Vec<Vec<PathBuf>> {
    crates.iter().fold(vec![Vec::new()], |chosen, name| {
        let with = |before: &Vec<PathBuf>| -> Vec<Vec<PathBuf>> {
            libraries(name).into_iter().map(|one| [before.clone(), vec![one]].concat()).collect()
        };
        chosen.iter().flat_map(with).collect()
    })
}

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    files(&dir).into_iter().map(Case::read).collect()
}

#[test]
fn only_the_gate_gives_permits() {
    let out = tempfile::tempdir().expect("a directory for metadata");
    let cases = cases();
    for case in &cases {
        // Each crate's libraries compile the good case of that crate, or are not the ones in use.
        let good = cases.iter().find(|good| good.errors.is_empty() && good.crates == case.crates);
        let good = good.unwrap_or_else(|| panic!("no good case for {:?}", case.crates));
        let in_use: Vec<Vec<PathBuf>> = choices(&case.crates)
            .into_iter()
            .filter(|libraries| good.compile(libraries, out.path()).is_empty())
            .collect();
        assert!(!in_use.is_empty(), "{} does not compile", good.path.display());
        for libraries in in_use {
            let errors = case.compile(&libraries, out.path());
            assert_eq!(errors, case.errors, "{}", case.path.display());
        }
    }
    assert!(cases.iter().filter(|case| !case.errors.is_empty()).count() >= 5);
}
