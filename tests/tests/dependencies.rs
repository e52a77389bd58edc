//! The direction of dependencies: `protocol <- consent <- trainer <- node <- tests`.
//!
//! An arrow points from the crate that is used to the crates that use it, which are those to its
//! right. Cargo itself says what the manifests say; no network is needed.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The crates of the workspace; each may use those before it.
const ORDER: [&str; 5] = ["protocol", "consent", "trainer", "node", "tests"];

/// Crates without IO, clock and randomness.
const PURE: [&str; 2] = ["protocol", "consent"];

/// What would bring those in. The tools of tests (dev-dependencies) are free.
const IMPURE: [&str; 12] = [
    "burn",
    "getrandom",
    "iroh",
    "iroh-blobs",
    "libp2p",
    "rand",
    "rand_chacha",
    "rand_core",
    "sled",
    "tempfile",
    "tokio",
    "trainer",
];

/// A dependency as a manifest has it.
#[derive(Debug)]
struct Dependency {
    name: String,
    is_dev: bool,
}

/// Each workspace member with its dependencies.
fn members() -> BTreeMap<String, Vec<Dependency>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let dependency = |value: &Value| Dependency {
        name: value["name"].as_str().expect("a name").into(),
        is_dev: value["kind"] == "dev",
    };
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let name = package["name"].as_str().expect("a name").to_owned();
            (name, dependencies.iter().map(dependency).collect())
        })
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let members = members();
    let place = |name: &str| ORDER.iter().position(|member| *member == name);
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    let mut expected = ORDER.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected, "the crates of the workspace");
    for (name, dependencies) in &members {
        for used in dependencies {
            // A crate's own tests may be held against the simulator; the program has nothing of it.
            if used.is_dev && used.name == "tests" {
                continue;
            }
            let Some(at) = place(&used.name) else { continue };
            assert!(Some(at) < place(name), "{name} uses {}, which comes after it", used.name);
        }
    }
    for pair in ORDER[..4].windows(2) {
        let uses = members[pair[1]].iter().any(|used| used.name == pair[0]);
        assert!(uses, "{} does not use {}", pair[1], pair[0]);
    }
}

#[test]
fn the_pure_crates_use_nothing_that_acts() {
    let members = members();
    for name in PURE {
        for used in members[name].iter().filter(|used| !used.is_dev) {
            assert!(!IMPURE.contains(&used.name.as_str()), "{name} uses {}", used.name);
        }
    }
}
