//! The ISCC audio code of a recording: 256 bits that stay close under re-encoding.
//!
//! Role: decodes WAV, MP3, FLAC or Ogg Vorbis, computes Chromaprint features over the whole
//! recording (algorithm 2, what `fpcalc -raw -signed -length 0` prints), and folds them into the
//! Content-Code Audio of ISO 24138.
//!
//! Invariants: no more than `limits::AUDIO_BYTES_MAX` bytes are read, and no more than
//! `limits::AUDIO_SAMPLES_MAX` samples and `limits::AUDIO_SECONDS_MAX` seconds are decoded, whatever
//! a header claims; samples are used as they come and never held together. Any input gives a code or
//! an error.
//!
//! What it is not: a finder of excerpts. The code is of the whole recording, in order: what is cut
//! to another length, sped up, shifted in pitch or mixed with other sound has another code. Nor is it
//! bit-exact: another decoder or resampler moves some bits, so codes are compared by distance.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use protocol::limits;
use rusty_chromaprint::{Configuration, Fingerprinter};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as MediaError;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::formats::{FlacReader, MpaReader, OggReader, WavReader};
use thiserror::Error;

use super::resample::Resampler;

/// The distance of two audio codes up to which one recording is taken for a copy of the other, if a
/// policy names none. Measured on synthetic music: encoding again (MP3 down to 32 kbit/s, Vorbis,
/// other rates) moves at most 19 bits; unrelated pieces of 10, 60 and 200 s are at least 73, 49 and 34
/// apart. Long recordings of one style come closer to each other, so no larger one is safe.
pub const AUDIO_DISTANCE_MAX: u32 = 20;

/// Why there is no audio code of these bytes.
#[derive(Debug, Error)]
pub enum AudioError {
    /// No WAV, MP3, FLAC or Ogg file.
    #[error("these bytes are no WAV, MP3, FLAC or Ogg Vorbis file")]
    NotAudio,
    /// More bytes than `limits::AUDIO_BYTES_MAX`.
    #[error("an audio file of {0} bytes: at most {max} are read", max = limits::AUDIO_BYTES_MAX)]
    TooLarge(usize),
    /// The file's header cannot be read.
    #[error("the audio file's header cannot be read: {0}")]
    Header(#[source] MediaError),
    /// There is no sound in it that is understood.
    #[error("the file has no audio track in a codec that is understood")]
    NoTrack,
    /// The sample rate is outside `limits::AUDIO_RATE_MIN_HZ..=AUDIO_RATE_MAX_HZ`.
    #[error("a sample rate of {0} Hz is not supported")]
    Rate(u32),
    /// No channels, or more than `limits::AUDIO_CHANNELS_MAX`.
    #[error("{0} channels: 1 to {max} are supported", max = limits::AUDIO_CHANNELS_MAX)]
    Channels(usize),
    /// The sample rate or the number of channels changes on the way.
    #[error("the recording changes its sample rate or channels on the way")]
    Changes,
    /// More than `limits::AUDIO_SAMPLES_MAX` samples or `limits::AUDIO_SECONDS_MAX` seconds.
    #[error(
        "the recording is longer than {} s or {} samples",
        limits::AUDIO_SECONDS_MAX,
        limits::AUDIO_SAMPLES_MAX
    )]
    TooLong,
    /// More packets failed to decode than did.
    #[error("the recording is broken: {bad} of its packets cannot be decoded, {good} can")]
    Broken {
        /// Packets that failed.
        bad: u64,
        /// Packets that decoded.
        good: u64,
    },
    /// Fewer features than `limits::AUDIO_FEATURES_MIN`.
    #[error("the recording is too short to be told from others: {0} features")]
    TooShort(usize),
    /// Fewer distinct features than `limits::AUDIO_FEATURES_DISTINCT_MIN`: silence, or one tone.
    #[error("the recording is too plain to be told from others: {0} distinct features")]
    TooPlain(usize),
    /// The decoder failed in a way that it should not.
    #[error("the audio decoder failed on these bytes")]
    Decoder,
}

/// Whether `bytes` begin like a file that [`audio_code`] reads. It looks at a few bytes only.
pub fn is_audio(bytes: &[u8]) -> bool {
    container(bytes).is_some()
}

/// The 256-bit ISCC Content-Code Audio of the recording in `bytes`.
///
/// Packets that cannot be decoded are passed over, as `fpcalc` does, unless they are the greater
/// part; a file that ends early counts as far as it goes.
///
/// # Errors
///
/// What [`AudioError`] lists; any error is of these bytes, and comes again on the same bytes.
pub fn audio_code(bytes: &[u8]) -> Result<[u8; 32], AudioError> {
    audio_features(bytes).map(|features| code_of_features(&features))
}

/// The Chromaprint features of the recording in `bytes`, about 8 for each second: what
/// `fpcalc -raw -signed -length 0` prints, but for single bits that depend on the resampler.
///
/// # Errors
///
/// As [`audio_code`].
pub fn audio_features(bytes: &[u8]) -> Result<Vec<i32>, AudioError> {
    if bytes.len() > limits::AUDIO_BYTES_MAX {
        return Err(AudioError::TooLarge(bytes.len()));
    }
    let container = container(bytes).ok_or(AudioError::NotAudio)?;
    // symphonia's Vorbis reader panics on some broken codebooks (a file of the tests is one). Nothing
    // outlives the closure, so nothing is left half changed.
    let features = catch_unwind(AssertUnwindSafe(|| decode(bytes, container)))
        .unwrap_or(Err(AudioError::Decoder))?;
    if features.len() < limits::AUDIO_FEATURES_MIN {
        return Err(AudioError::TooShort(features.len()));
    }
    let mut distinct = features.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < limits::AUDIO_FEATURES_DISTINCT_MIN {
        return Err(AudioError::TooPlain(distinct.len()));
    }
    Ok(features)
}

/// The 256-bit ISCC Content-Code Audio of signed Chromaprint features. Unlike [`audio_code`] it has
/// no floor: few or equal features give a code that says nothing.
pub fn code_of_features(features: &[i32]) -> [u8; 32] {
    let code = iscc_lib::gen_audio_code_v0(features, 256).expect("256 bits are a length it has");
    super::digest(&code.iscc)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Wav,
    Flac,
    Ogg,
    /// MPEG layer III, from this offset: after an ID3 tag.
    Mpeg(usize),
}

fn container(bytes: &[u8]) -> Option<Container> {
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE") {
        return Some(Container::Wav);
    }
    if bytes.starts_with(b"fLaC") {
        return Some(Container::Flac);
    }
    if bytes.starts_with(b"OggS") {
        return Some(Container::Ogg);
    }
    // Encoders put one tag before another, and fill up with zeros.
    let mut start = 0;
    while let Some(length) = id3_bytes(bytes.get(start..)?) {
        start += length;
        start += bytes.get(start..)?.iter().take_while(|byte| **byte == 0).count();
    }
    is_layer_3(bytes.get(start..)?).then_some(Container::Mpeg(start))
}

/// The length of the ID3v2 tag at the front: ten bytes of header, and a size of 28 bits in four
/// bytes (ID3v2.4.0 section 3.1).
fn id3_bytes(bytes: &[u8]) -> Option<usize> {
    let [b'I', b'D', b'3', major, minor, flags, size @ ..] = bytes else { return None };
    let size = size.first_chunk::<4>()?;
    if *major == 0xff || *minor == 0xff || size.iter().any(|byte| *byte >= 0x80) {
        return None;
    }
    let size = size.iter().fold(0, |sum, byte| sum << 7 | usize::from(*byte));
    let footer = if flags & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

/// Whether an MPEG layer III frame header stands first: sync, a version, layer III, a bit rate and a
/// sample rate that are not reserved (ISO 11172-3 section 2.4.1.3).
fn is_layer_3(bytes: &[u8]) -> bool {
    let [first, second, third, ..] = bytes else { return false };
    *first == 0xff
        && second & 0xe0 == 0xe0
        && second & 0x18 != 0x08
        && second & 0x06 == 0x02
        && !matches!(third & 0xf0, 0x00 | 0xf0)
        && third & 0x0c != 0x0c
}

fn open(bytes: &[u8], container: Container) -> Result<Box<dyn FormatReader + '_>, MediaError> {
    let start = if let Container::Mpeg(start) = container { start } else { 0 };
    let stream = MediaSourceStream::new(Box::new(Cursor::new(&bytes[start..])), Default::default());
    let options = FormatOptions::default();
    Ok(match container {
        Container::Wav => Box::new(WavReader::try_new(stream, options)?),
        Container::Flac => Box::new(FlacReader::try_new(stream, options)?),
        Container::Ogg => Box::new(OggReader::try_new(stream, options)?),
        Container::Mpeg(_) => Box::new(MpaReader::try_new(stream, options)?),
    })
}

fn decode(bytes: &[u8], container: Container) -> Result<Vec<i32>, AudioError> {
    let mut reader = open(bytes, container).map_err(AudioError::Header)?;
    let track = reader.default_track(TrackType::Audio).ok_or(AudioError::NoTrack)?;
    let id = track.id;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters.ok_or(AudioError::NoTrack)?, &AudioDecoderOptions::default())
        .map_err(|_| AudioError::NoTrack)?;

    let mut listener = Listener::new();
    let (mut good, mut bad) = (0u64, 0u64);
    // A packet takes at least a byte of the file: one that takes none would come for ever.
    for _ in 0..=bytes.len() {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            // What is missing at the end is missing; what came before is the recording.
            Ok(None) | Err(MediaError::IoError(_)) => break,
            Err(MediaError::ResetRequired) => return Err(AudioError::Changes),
            Err(_) => {
                bad += 1;
                break;
            }
        };
        if packet.track_id != id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(_) => good += 1,
            Err(MediaError::ResetRequired) => return Err(AudioError::Changes),
            Err(_) => {
                bad += 1;
                continue;
            }
        }
        listener.hear(decoder.as_ref())?;
    }
    if bad > good {
        return Err(AudioError::Broken { bad, good });
    }
    Ok(listener.features())
}

/// Feeds decoded packets to Chromaprint, and counts.
struct Listener {
    fingerprinter: Fingerprinter,
    /// Sample rate and channels, once a packet was heard, and what brings them to Chromaprint's.
    form: Option<(u32, usize, Resampler)>,
    /// Samples heard, all channels together.
    samples: u64,
    interleaved: Vec<i16>,
    mono: Vec<i16>,
}

impl Listener {
    fn new() -> Self {
        // Algorithm 2 of fpcalc's own names, `CHROMAPRINT_ALGORITHM_TEST2`: its default.
        let fingerprinter = Fingerprinter::new(&Configuration::preset_test2());
        Self { fingerprinter, form: None, samples: 0, interleaved: Vec::new(), mono: Vec::new() }
    }

    fn hear(&mut self, decoder: &dyn AudioDecoder) -> Result<(), AudioError> {
        let packet = decoder.last_decoded();
        let (rate, channels) = (packet.spec().rate(), packet.spec().channels().count());
        if packet.frames() == 0 {
            return Ok(());
        }
        if self.form.is_none() {
            self.form = Some((rate, channels, self.start(rate, channels)?));
        }
        let Some((expected_rate, expected_channels, resampler)) = &mut self.form else {
            return Ok(());
        };
        if (rate, channels) != (*expected_rate, *expected_channels) {
            return Err(AudioError::Changes);
        }
        self.samples += packet.samples_interleaved() as u64;
        let seconds = self.samples / channels as u64 / u64::from(rate);
        if self.samples > limits::AUDIO_SAMPLES_MAX || seconds >= limits::AUDIO_SECONDS_MAX {
            return Err(AudioError::TooLong);
        }
        packet.copy_to_vec_interleaved(&mut self.interleaved);
        let frames = self.interleaved.chunks_exact(channels);
        let mixed =
            frames.map(|frame| frame.iter().copied().map(f32::from).sum::<f32>() / channels as f32);
        self.mono.clear();
        resampler.push(mixed, &mut self.mono);
        self.fingerprinter.consume(&self.mono);
        Ok(())
    }

    fn start(&mut self, rate: u32, channels: usize) -> Result<Resampler, AudioError> {
        if !(limits::AUDIO_RATE_MIN_HZ..=limits::AUDIO_RATE_MAX_HZ).contains(&rate) {
            return Err(AudioError::Rate(rate));
        }
        if !(1..=limits::AUDIO_CHANNELS_MAX).contains(&channels) {
            return Err(AudioError::Channels(channels));
        }
        let heard_rate = Configuration::preset_test2().sample_rate();
        self.fingerprinter.start(heard_rate, 1).map_err(|_| AudioError::Rate(rate))?;
        Ok(Resampler::new(rate, heard_rate))
    }

    fn features(mut self) -> Vec<i32> {
        if self.form.is_none() {
            return Vec::new();
        }
        self.fingerprinter.finish();
        self.fingerprinter.fingerprint().iter().map(|feature| feature.cast_signed()).collect()
    }
}
