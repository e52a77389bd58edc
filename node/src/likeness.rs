//! What of a work stays alike on copies: codes of pictures, texts and sounds, and passages.
//!
//! Role: one look at a work's bytes, for whoever registers it and for whoever asks about it.
//!
//! | bytes | registered | asked about |
//! |---|---|---|
//! | JPEG, PNG, GIF, WebP, BMP, TIFF | PDQ of quality 50 on, ISCC image code | PDQ in eight orientations, ISCC |
//! | UTF-8 text | ISCC text code, passages but those of common licences | the same with all passages |
//! | WAV, MP3, FLAC, Ogg Vorbis | ISCC audio code | the same |
//!
//! Invariants: bytes that begin as a picture or a sound and do not decode are a fault, for nobody
//! can tell what they are alike to. What it is not: a judge of likeness, or a reader of films and
//! documents: of those only the exact bytes are known.

use std::sync::OnceLock;

use consent::code::is_telling;
use consent::fingerprint::{
    AudioError, ImageError, ImageFingerprint, Passages, audio_code, image_fingerprint_within,
    image_memory_bytes, is_audio, is_image, passages, text_code,
};
use consent::{CodeKind, Marks, Subject};
use protocol::limits::{IMAGE_MEMORY_BYTES_MAX, PASSAGE_PARTS_NAMED_MAX, TEXT_BYTES_MAX};

use crate::room::Room;

/// PDQ codes of pictures with less shape than this match much (ThreatExchange, `pdq/README`).
const PDQ_QUALITY_MIN: u8 = 50;
/// Memory in which pictures are decoded, however many threads do: as much as one may take.
static PICTURES: Room = Room::new(IMAGE_MEMORY_BYTES_MAX);
/// What decoders may take beside what a picture's header tells.
const DECODER_BYTES: u64 = 4 << 20;
/// Licences that many works carry, and that are nobody's work here.
const LICENCES: [&str; 2] =
    [include_str!("../../LICENSE-APACHE"), include_str!("../../LICENSE-MIT")];

/// What is known of a work beside its exact bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Likeness {
    /// The codes of the work as it is.
    codes: Vec<(CodeKind, [u8; 32])>,
    /// PDQ of a picture turned and mirrored.
    turned: Vec<[u8; 32]>,
    passages: Passages,
}

impl Likeness {
    /// Looks at a work's bytes; why they cannot be understood, if they should be and cannot.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, String> {
        if is_image(bytes) {
            return Self::of_picture(bytes);
        }
        if is_audio(bytes) {
            return Self::of_sound(bytes);
        }
        match str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Self::of_text(text),
            _ => Ok(Self::default()),
        }
    }

    /// As [`Likeness::of`], of what is known to be a text.
    pub(crate) fn of_text(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            let bytes = text.len();
            return Err(format!("a text of {bytes} bytes: {TEXT_BYTES_MAX} are compared at most"));
        }
        let codes = text_code(text).map(|code| (CodeKind::IsccText, code));
        Ok(Self { codes: codes.into_iter().collect(), passages: passages(text), turned: vec![] })
    }

    fn of_picture(bytes: &[u8]) -> Result<Self, String> {
        let print = fingerprint_in(&PICTURES, bytes).map_err(|error| error.to_string())?;
        let mut likeness =
            Self { codes: vec![(CodeKind::IsccImage, print.iscc)], ..Self::default() };
        if print.pdq_quality >= PDQ_QUALITY_MIN {
            likeness.codes.push((CodeKind::Pdq, print.pdq));
            likeness.turned = print.pdq_dihedral[1..].to_vec();
        }
        Ok(likeness)
    }

    fn of_sound(bytes: &[u8]) -> Result<Self, String> {
        match audio_code(bytes) {
            Ok(code) => Ok(Self { codes: vec![(CodeKind::IsccAudio, code)], ..Self::default() }),
            // Silence and single tones are nobody's.
            Err(AudioError::TooShort(_) | AudioError::TooPlain(_)) => Ok(Self::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The subjects that stand for it in a statement; none if it tells too little.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let codes = self.codes.iter().filter(|(_, code)| is_telling(code));
        let codes = codes.map(|(kind, code)| Subject::Code(*kind, *code));
        let own = common().iter().fold(self.passages.clone(), |own, common| own.without(common));
        let parts = own
            .parts()
            .take(PASSAGE_PARTS_NAMED_MAX)
            .map(|part| Subject::Passages(part.fingerprints().to_vec()));
        codes.chain(parts.collect::<Vec<_>>()).collect()
    }

    /// What a gate is told of it.
    pub(crate) fn marks(self) -> Marks {
        let mut codes = self.codes;
        codes.extend(self.turned.into_iter().map(|code| (CodeKind::Pdq, code)));
        Marks { codes, passages: self.passages.fingerprints().to_vec(), ..Marks::default() }
    }
}

/// The fingerprint of a picture, decoded in its share of the room.
fn fingerprint_in(room: &Room, bytes: &[u8]) -> Result<ImageFingerprint, ImageError> {
    let known = image_memory_bytes(bytes)?;
    let share = room.take(2 * known + DECODER_BYTES);
    match image_fingerprint_within(bytes, share.bytes()) {
        // Some formats are unpacked by way of more than their header tells.
        Err(ImageError::Memory { .. } | ImageError::Decode(image::ImageError::Limits(_)))
            if share.bytes() < IMAGE_MEMORY_BYTES_MAX =>
        {
            drop(share);
            let all = room.take(IMAGE_MEMORY_BYTES_MAX);
            image_fingerprint_within(bytes, all.bytes())
        }
        print => print,
    }
}

fn common() -> &'static [Passages] {
    static COMMON: OnceLock<Vec<Passages>> = OnceLock::new();
    COMMON.get_or_init(|| LICENCES.map(passages).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_text_is_nobody_s() {
        let chapter = |n: u32| format!("Chapter {n} tells what came of it. ");
        let own: String = (0..60).map(chapter).collect();
        let text = format!("{own}\n{}", LICENCES[0]);
        let all = Likeness::of(text.as_bytes()).expect("a text");
        let named: usize = all
            .subjects()
            .iter()
            .map(|subject| match subject {
                Subject::Passages(prints) => prints.len(),
                _ => 0,
            })
            .sum();
        let marks = all.marks();
        assert!(named > 0 && named < marks.passages.len() / 2, "{named}");
        let licence = Likeness::of(LICENCES[0].as_bytes()).expect("a text").subjects();
        assert!(!licence.iter().any(|subject| matches!(subject, Subject::Passages(_))));
    }

    #[test]
    fn pictures_are_decoded_in_the_room_that_there_is() {
        let picture = image::RgbImage::from_fn(400, 300, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
        let png = png.into_inner();
        // Enough for one at a time: each waits for the others, and all are decoded.
        let room = Room::new(DECODER_BYTES + 400 * 300 * 10);
        let all = fingerprint_in(&PICTURES, &png).expect("a picture");
        std::thread::scope(|scope| {
            for _ in 0..16 {
                let decode = || fingerprint_in(&room, &png).map_err(|error| error.to_string());
                scope.spawn(move || assert_eq!(decode(), Ok(all)));
            }
        });
        // Too little for any.
        let error = fingerprint_in(&Room::new(100_000), &png).expect_err("no room");
        assert!(matches!(error, ImageError::Memory { .. }), "{error}");
    }

    #[test]
    fn what_should_be_understood_and_is_not_is_a_fault() {
        assert!(Likeness::of(b"\xff\xd8\xff\xe0 cut off").is_err());
        assert!(Likeness::of(b"RIFF\x10\0\0\0WAVEjunk").is_err());
        assert_eq!(Likeness::of(b"\0\x01\x02"), Ok(Likeness::default()));
        assert_eq!(Likeness::of(b"short"), Ok(Likeness::default()));
    }
}
