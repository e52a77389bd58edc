//! Audio codes of real files, of files encoded again, and of what is no good.

use std::fs;
use std::path::Path;

use consent::fingerprint::audio::{audio_features, code_of_features};
use consent::fingerprint::{AUDIO_DISTANCE_MAX, AudioError, audio_code, is_audio};
use proptest::prelude::*;
use protocol::limits;
use serde_json::Value;

const FILES: [&str; 4] = ["tune.flac", "tune.mp3", "tune.ogg", "tune.wav"];

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/audio").join(name);
    fs::read(path).expect("the file is there")
}

fn distance(a: [u8; 32], b: [u8; 32]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// A WAV header that claims what it is told, and samples.
fn wav(rate: u32, channels: u16, claimed: u32, samples: &[i16]) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(claimed.saturating_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(channels) * 2).to_le_bytes());
    bytes.extend((channels * 2).to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(claimed.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

#[test]
fn features_are_those_of_fpcalc() {
    let text = String::from_utf8(read("fpcalc.json")).expect("text");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    for name in FILES {
        let number = |n: &Value| n.as_i64().and_then(|n| n.try_into().ok()).expect("a number");
        let theirs: Vec<i32> = all[name].as_array().expect("numbers").iter().map(number).collect();
        let ours = audio_features(&read(name)).expect(name);
        assert!(ours.len().abs_diff(theirs.len()) <= 1, "{name}: {} {}", ours.len(), theirs.len());
        let pairs = ours.iter().zip(&theirs);
        let wrong: u32 = pairs.map(|(ours, theirs)| (ours ^ theirs).count_ones()).sum();
        assert!(wrong as usize * 100 < ours.len() * 32, "{name}: {wrong} bits");
        let distance = distance(code_of_features(&ours), code_of_features(&theirs));
        assert!(distance <= 6, "{name}: {distance}");
    }
}

#[test]
fn a_recording_encoded_again_stays_close() {
    let code = audio_code(&read("tune.flac")).expect("a tune");
    for name in FILES {
        let again = audio_code(&read(name)).expect(name);
        assert!(distance(code, again) <= AUDIO_DISTANCE_MAX, "{name}: {}", distance(code, again));
    }
}

#[test]
fn what_is_cut_off_counts_as_far_as_it_goes() {
    for name in FILES {
        let bytes = read(name);
        for eighths in 0..8 {
            let cut = audio_code(&bytes[..bytes.len() * eighths / 8]);
            match eighths {
                0 => assert!(matches!(cut, Err(AudioError::NotAudio)), "{name}"),
                7 => assert!(cut.is_ok(), "{name}"),
                _ => {}
            }
        }
        for length in 0..bytes.len().min(2_000) {
            assert!(audio_code(&bytes[..length]).is_err(), "{name} {length}");
        }
    }
}

#[test]
fn an_id3_tag_is_passed_over() {
    let tune = read("tune.mp3");
    assert!(is_audio(&tune));
    let tag = [b"ID3\x04\x00\x00\x00\x00\x01\x00".as_slice(), &[0; 128]].concat();
    let tagged = [tag.as_slice(), &tune].concat();
    assert_eq!(audio_code(&tagged).expect("a tune"), audio_code(&tune).expect("a tune"));
    // A tag that claims to be longer than the file.
    let claims = [b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f".as_slice(), &tune].concat();
    assert!(matches!(audio_code(&claims), Err(AudioError::NotAudio)));
}

#[test]
fn what_is_no_audio_is_told_at_once() {
    let others: [&[u8]; 8] = [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0AVI LIST",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xfeu\0t\0f\0",
        b"ID3",
        b"plain text",
    ];
    for bytes in others {
        assert!(!is_audio(bytes), "{bytes:?}");
        assert!(matches!(audio_code(bytes), Err(AudioError::NotAudio)), "{bytes:?}");
    }
}

#[test]
fn what_says_too_little_has_no_code() {
    let rate = 8_000;
    let silence = wav(rate, 1, 160_000, &vec![0; 80_000]);
    assert!(matches!(audio_code(&silence), Err(AudioError::TooPlain(1))));
    let short = wav(rate, 1, 32_000, &vec![0; 16_000]);
    assert!(matches!(audio_code(&short), Err(AudioError::TooShort(0))));
    let empty = wav(rate, 1, 0, &[]);
    assert!(audio_code(&empty).is_err());
}

#[test]
fn claims_of_a_header_are_not_believed() {
    let samples: Vec<i16> = (0..80_000).map(|n| (n * n / 3_000 % 9_000) as i16).collect();
    let honest = audio_code(&wav(8_000, 1, 160_000, &samples)).expect("sound");
    let boast = audio_code(&wav(8_000, 1, u32::MAX, &samples)).expect("sound");
    assert_eq!(honest, boast);
    for rate in [0, 1, 999, limits::AUDIO_RATE_MIN_HZ - 1, limits::AUDIO_RATE_MAX_HZ + 1, u32::MAX]
    {
        assert!(audio_code(&wav(rate, 1, 160_000, &samples)).is_err(), "{rate}");
    }
    for channels in [0, 17, 1_000, 30_000] {
        assert!(audio_code(&wav(8_000, channels, 160_000, &samples)).is_err(), "{channels}");
    }
}

#[test]
fn a_recording_of_too_many_hours_is_refused() {
    let samples = vec![0i16; limits::AUDIO_SECONDS_MAX as usize * 4_000 + 1];
    let long = wav(4_000, 1, samples.len() as u32 * 2, &samples);
    assert!(matches!(audio_code(&long), Err(AudioError::TooLong)));
}

#[test]
fn a_decoder_that_panics_is_an_error() {
    assert!(matches!(audio_code(&read("broken_codebook.ogg")), Err(AudioError::Decoder)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_give_a_code_or_an_error(
        file in 0usize..4,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<proptest::sample::Index>(),
        early in any::<bool>(),
    ) {
        let mut bytes = read(FILES[file]);
        for (at, byte) in damage {
            // Headers are where claims are: half the damage is done there.
            let at = if early { at.index(400) } else { at.index(bytes.len()) };
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()).max(bytes.len() / 8));
        let _ = audio_code(&bytes);
    }

    #[test]
    fn random_bytes_give_an_error(
        kind in 0usize..5,
        bytes in proptest::collection::vec(any::<u8>(), 0..4_096),
    ) {
        let magic: [&[u8]; 5] = [b"", b"RIFF\xff\xff\xff\xffWAVE", b"fLaC", b"OggS\0\x02", b"\xff\xfb\x90"];
        let bytes = [magic[kind], &bytes].concat();
        let code = audio_code(&bytes);
        prop_assert!(code.is_err(), "{:?}", code);
    }
}
