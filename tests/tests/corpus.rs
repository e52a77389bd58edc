//! What fuzzing found worth keeping, run through every decoder on each run of the tests.
//!
//! Environment: with `ACCORD_WRITE_VECTORS` the messages of a run in it are written anew, which a change of
//! their form makes necessary.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::decoders::{DECODERS, check};
use tests::samples::samples;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let name = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    entries.filter_map(|entry| name(entry.expect("an entry").path())).collect()
}

#[test]
fn the_corpus_goes_through_its_decoders() {
    if std::env::var_os("ACCORD_WRITE_VECTORS").is_some() {
        for (at, (name, bytes)) in samples().into_iter().enumerate() {
            let path = fuzz().join("corpus").join(name).join(format!("sample-{at}"));
            fs::write(path, bytes).expect("written");
        }
    }
    let mut files = 0;
    for (name, decoder) in DECODERS {
        let mut taken = 0;
        for entry in fs::read_dir(fuzz().join("corpus").join(name)).expect("a corpus of each") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
            check(name, &bytes);
            taken += usize::from(decoder(&bytes).is_some());
            files += 1;
        }
        assert!(taken > 0, "the corpus of {name} has nothing that is taken");
    }
    println!("{files} files of {} decoders", DECODERS.len());
}

#[test]
fn the_corpus_with_changes_goes_through_its_decoders() {
    // A little of what the fuzzer does, on every run.
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (name, _) in DECODERS {
        for entry in fs::read_dir(fuzz().join("corpus").join(name)).expect("a corpus of each") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
            for _ in 0..60 {
                let mut changed = bytes.clone();
                for _ in 0..random.random_range(1..4) {
                    let at = random.random_range(0..=changed.len());
                    match random.random_range(0..4) {
                        0 => changed.truncate(at),
                        1 => changed.insert(at, random.random()),
                        _ if at < changed.len() => changed[at] = random.random(),
                        _ => {}
                    }
                }
                check(name, &changed);
            }
        }
    }
}

#[test]
fn every_decoder_has_a_fuzz_target_and_a_corpus() {
    let decoders: BTreeSet<String> = DECODERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), decoders);
    assert_eq!(names(&fuzz().join("corpus")), decoders);
}
