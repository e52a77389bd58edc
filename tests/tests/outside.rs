//! Other people's programs read what we write: the scripts of `tests/outside/`.
//!
//! They need the Python that `ACCORD_OUTSIDE_PYTHON` names, with `tests/outside/requirements.txt`
//! installed; `.ci/run` makes one. Without it a test says that it was skipped and passes.

use std::env;
use std::path::Path;
use std::process::Command;

/// What the script said, or nothing if there is no Python to run it.
fn run(script: &str, arguments: &[&str]) -> Option<String> {
    let Some(python) = env::var_os("ACCORD_OUTSIDE_PYTHON") else {
        println!("SKIPPED: {script} needs ACCORD_OUTSIDE_PYTHON, a Python; see .ci/run");
        return None;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(folder.join("outside").join(script))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("ACCORD_OUTSIDE_PYTHON is a program that runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}{complaint}");
    println!("{script}: {}", said.trim());
    Some(said)
}

#[test]
fn a_cose_library_in_python_verifies_our_records() {
    if let Some(said) = run("cose.py", &["vectors/cose"]) {
        assert!(said.starts_with("6 records verify"), "{said}");
    }
}

#[test]
fn a_library_in_python_reads_structured_fields_as_our_cases_say() {
    if let Some(said) = run("structured_fields.py", &["vectors/structured-fields/cases.json"]) {
        assert!(said.starts_with("293 fields read as the cases say, 191 of them"), "{said}");
    }
}
