//! What tiles must do: paths to the letter, sizes around every edge, proofs from files alone.

use std::collections::BTreeMap;

use super::super::audit::{
    prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};
use super::*;

/// Files in memory, the older partial ones too.
#[derive(Default)]
struct Files(BTreeMap<TilePath, Vec<u8>>);

impl Files {
    fn write(&mut self, files: Vec<TileFile>) {
        for file in files {
            let before = self.0.insert(file.path, file.bytes.clone());
            assert!(before.is_none_or(|before| before == file.bytes), "{} changed", file.path);
        }
    }
}

impl TileReader for Files {
    type Error = String;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| format!("no {path}"))
    }
}

fn entry(index: u64) -> Vec<u8> {
    vec![index as u8; (index % 7) as usize]
}

#[test]
fn paths_are_those_of_the_specification() {
    let tile = |level, index, width| TilePath::new(TileKind::Hashes(level), index, width);
    for (path, text) in [
        (tile(0, 0, 256), "tile/0/000"),
        (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (tile(1, 1_000, 12), "tile/1/x001/000.p/12"),
        (tile(63, 999, 1), "tile/63/999.p/1"),
        (tile(0, u64::MAX, 255), "tile/0/x018/x446/x744/x073/x709/x551/615.p/255"),
        (TilePath::new(TileKind::Entries, 5, 256), "tile/entries/005"),
        (TilePath::new(TileKind::Entries, 12_345, 9), "tile/entries/x012/345.p/9"),
    ] {
        let path = path.expect("valid");
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
    assert_eq!((tile(64, 0, 1), tile(0, 0, 0), tile(0, 0, 257)), (None, None, None));
    for text in [
        "",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/000/",
        "tile/0/x000/000",
        "tile/0/x00/000",
        "tile/0/1000",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "/tile/0/000",
        "tile/0/../000",
        "tile/Entries/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/000.p/1/2",
        "tile/0/x1e/000",
    ] {
        assert_eq!(text.parse::<TilePath>(), Err(TilePathError(text.into())), "{text:?}");
    }
}

#[test]
fn a_log_of_70_000_has_the_tiles_that_the_specification_counts() {
    let tiles = |level, size: u64| {
        let widths = (0..).map_while(|n| TilePath::in_log(TileKind::Hashes(level), n, size));
        let widths: Vec<u16> = widths.map(|path| path.width()).collect();
        (widths.iter().filter(|&&w| w == 256).count(), widths.last().copied())
    };
    assert_eq!(tiles(0, 70_000), (273, Some(112)));
    assert_eq!(tiles(1, 70_000), (1, Some(17)));
    assert_eq!(tiles(2, 70_000), (0, Some(1)));
    assert_eq!(tiles(3, 70_000), (0, None));
    assert_eq!((tiles(0, 256), tiles(1, 256)), ((1, Some(256)), (0, Some(1))));
}

#[test]
fn proofs_and_restarts_need_nothing_but_the_files() {
    let (mut writer, mut files, mut hashes) = (TileWriter::default(), Files::default(), Vec::new());
    let mut roots = vec![writer.root()];
    for index in 0..66_000u64 {
        let full = writer.append(&entry(index)).expect("room");
        assert_eq!(full.is_empty(), (index + 1) % 256 != 0);
        files.write(full);
        hashes.push(TreeHash::of_entry(&entry(index)));
        roots.push(writer.root());
        let size = index + 1;
        if [1, 2, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 65_537, 66_000].contains(&size) {
            files.write(writer.partial_files());
            let again = TileWriter::resume(size, &writer.root(), &files).expect("its own files");
            assert_eq!((again.size(), again.root()), (size, writer.root()));
            assert_eq!(again.partial_files(), writer.partial_files());
            writer = again;
            let source = TiledHashes::new(size, &files);
            for at in [0, 1, size / 3, size / 2, size - 1].into_iter().filter(|&at| at < size) {
                let proof = prove_inclusion(at, size, &source).expect("files");
                let hash = &hashes[at as usize];
                assert_eq!(verify_inclusion(hash, at, size, &proof, &writer.root()), Ok(()));
                let old = &roots[at as usize + 1];
                let proof = prove_consistency(at + 1, size, &source).expect("files");
                assert_eq!(verify_consistency(at + 1, old, size, &writer.root(), &proof), Ok(()));
            }
        }
    }
    assert_eq!(writer.root(), root(hashes));
    let source = TiledHashes::new(66_000, &files);
    assert!(matches!(source.hash(0, 66_000), Err(TileReadError::OutOfLog { .. })));
    assert!(matches!(source.hash(64, 0), Err(TileReadError::OutOfLog { .. })));
}

#[test]
fn a_restart_from_changed_files_is_refused() {
    let mut writer = TileWriter::default();
    for index in 0..520 {
        writer.append(&entry(index)).expect("room");
    }
    // Only the partial files are read again, as they are all that appending needs.
    let mut files = Files::default();
    files.write(writer.partial_files());
    let resume = |files: &Files| TileWriter::resume(520, &writer.root(), files).map(|w| w.root());
    assert_eq!(resume(&files), Ok(writer.root()));
    let paths: Vec<TilePath> = files.0.keys().copied().collect();
    assert_eq!(paths.len(), 3);
    for path in paths {
        for at in 0..files.0[&path].len() {
            let mut changed = Files(files.0.clone());
            changed.0.get_mut(&path).expect("there")[at] ^= 1;
            assert!(resume(&changed).is_err(), "{path} byte {at}");
        }
    }
}

#[test]
fn bytes_that_are_not_the_files_are_refused() {
    let tile = TilePath::new(TileKind::Hashes(0), 0, 2).expect("valid");
    let bundle = TilePath::new(TileKind::Entries, 0, 2).expect("valid");
    assert_eq!(parse_hashes(&tile, &[0; 64]).map(|h| h.len()), Ok(2));
    for bytes in [0, 32, 63, 65, 96] {
        assert_eq!(parse_hashes(&tile, &vec![0; bytes]), Err(TileError::Hashes(bytes)));
    }
    assert_eq!(parse_entries(&bundle, &[0, 0, 0, 1, 7]), Ok(vec![&b""[..], &[7]]));
    for bytes in [&[][..], &[0], &[0, 0], &[0, 0, 0], &[0, 0, 0, 1], &[0, 0, 0, 0, 0]] {
        assert_eq!(parse_entries(&bundle, bytes), Err(TileError::Entries), "{bytes:?}");
    }
    assert_eq!(parse_entries(&bundle, &[255, 255]), Err(TileError::TooLong(65_535)));
    assert_eq!(parse_entries(&tile, &[]), Err(TileError::Kind));
    assert_eq!(parse_hashes(&bundle, &[]), Err(TileError::Kind));
    let mut writer = TileWriter::default();
    let long = vec![0; LOG_ENTRY_BYTES_MAX + 1];
    assert_eq!(writer.append(&long), Err(AppendError::TooLong(long.len())));
    assert_eq!(writer.size(), 0);
    assert!(writer.append(&long[1..]).is_ok());
}
