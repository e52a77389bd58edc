//! Every decoder of bytes from outside, in one table: what is fuzzed, and what the kept corpus is
//! run through.
//!
//! Role: a new decoder is a new line here, and a file `fuzz/fuzz_targets/<name>.rs` that names it.
//!
//! Invariants: a decoder is given any bytes and never panics; what it takes it writes again, and
//! that is taken again and written alike. What it is not: a list of who may say what.

use consent::fingerprint::{Passages, audio_code, image_fingerprint, passages, text_code};
use consent::terms::aipref::Vocabulary;
use consent::terms::cawg::Trust;
use consent::terms::{
    Address, Found, Place, UrlPath, ai_txt, aipref, bigcode, cawg, content_signal, iptc, robots,
    rsl, tdmrep, x_robots,
};
use consent::{Payload, Policy, Record, Remark, RowForm, Statement, Subject, Use};
use protocol::exchange::{Answer, Question, Whereabouts};
use protocol::limits::RECORD_BYTES_MAX;
use protocol::log::map::MapProof;
use protocol::log::policy::TrustPolicy;
use protocol::log::proof::LogProof;
use protocol::log::tile::TilePath;
use protocol::log::witness::AddCheckpoint;
use protocol::log::{Checkpoint, Note, VerifierKey};
use protocol::manifest::{Head, Manifest};
use protocol::round::{
    Certificate, Equivocation, Motion, Partial, Proposal, Report, Resolution, Roster, RoundRecord,
    Slate, Trace, UpdateCommit, Vote, Wire, open_slate_list, slate_list,
};
use protocol::run::{Invitation, Presence, RunSpec};
use protocol::update::{Encoding, Update, UpdateForm};
use protocol::weights::Weights;
use protocol::{Frontier, Message, PublicKey, Signed, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads bytes and writes what they mean; none for what is refused.
pub type Decoder = fn(&[u8]) -> Option<Vec<u8>>;

/// The longest picture or sound that is read here: a fuzzer is to try many small ones.
const MEDIA_BYTES_MAX: usize = 1 << 15;

/// Parameters of the model that updates are read for.
const PARAMETERS: usize = 300;

/// The decoders by the names of their fuzz targets.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("address", |bytes| {
        Address::parse(std::str::from_utf8(bytes).ok()?).ok()?;
        Some(bytes.to_vec())
    }),
    ("answer", |bytes| Some(Answer::from_bytes(bytes).ok()?.to_bytes())),
    ("audio", |bytes| media(bytes, |bytes| Some(audio_code(bytes).ok()?.to_vec()))),
    ("certificate", value::<Certificate>),
    ("commit", message::<UpdateCommit>),
    ("equivocation", value::<Equivocation>),
    ("frontier", |bytes| Some(Frontier::from_bytes(bytes).ok()?.to_bytes())),
    ("head", message::<Head>),
    ("image", |bytes| {
        media(bytes, |bytes| Some(format!("{:?}", image_fingerprint(bytes).ok()?).into_bytes()))
    }),
    ("invitation", message::<Invitation>),
    ("log_checkpoint", text::<Checkpoint>),
    ("log_map_proof", |bytes| Some(MapProof::parse(bytes).ok()?.to_bytes())),
    ("log_note", |bytes| Some(Note::parse(bytes).ok()?.to_bytes())),
    ("log_policy", |bytes| TrustPolicy::parse(bytes).ok().map(|_| bytes.to_vec())),
    ("log_proof", |bytes| Some(LogProof::parse(bytes).ok()?.to_bytes())),
    ("log_request", |bytes| Some(AddCheckpoint::parse(bytes).ok()?.to_bytes())),
    ("log_tile_path", text::<TilePath>),
    ("log_vkey", text::<VerifierKey>),
    ("manifest", |bytes| Some(Manifest::from_bytes(bytes).ok()?.to_bytes())),
    ("motion", message::<Motion>),
    ("passages", |bytes| Some(Passages::decode(bytes).ok()?.encode().expect("as it was read"))),
    ("partial", message::<Partial>),
    ("payload", payload),
    ("place", |bytes| {
        Some(Place::parse(std::str::from_utf8(bytes).ok()?).ok()?.to_string().into_bytes())
    }),
    ("policy", |bytes| Some(Policy::from_bytes(bytes).ok()?.to_bytes())),
    ("presence", message::<Presence>),
    ("proposal", message::<Proposal>),
    ("question", |bytes| Some(Question::from_bytes(bytes).ok()?.to_bytes())),
    ("record", message::<Record>),
    ("remark", |bytes| Some(Remark::from_bytes(bytes).ok()?.to_bytes())),
    ("report", message::<Report>),
    ("resolution", value::<Resolution>),
    ("roster", |bytes| Some(Roster::from_bytes(bytes).ok()?.to_bytes())),
    ("round_record", value::<RoundRecord>),
    ("row", row),
    ("run_spec", message::<RunSpec>),
    ("slate", message::<Slate>),
    ("slate_list", |bytes| Some(slate_list(&open_slate_list(bytes).ok()?))),
    ("statement", value::<Statement>),
    ("subject", value::<Subject>),
    ("terms", terms),
    ("text", |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        let (_, prints) = (text_code(text), passages(text));
        assert!(prints.fingerprints().is_sorted_by(|a, b| a < b));
        Some(bytes.to_vec())
    }),
    ("trace", |bytes| Some(Trace::from_bytes(bytes).ok()?.to_bytes())),
    ("update", update),
    ("vote", message::<Vote>),
    ("weights", |bytes| Some(Weights::from_bytes(bytes).ok()?.to_bytes())),
    ("whereabouts", |bytes| Some(Whereabouts::from_bytes(bytes).ok()?.to_bytes())),
    ("wire", |bytes| Some(Wire::from_bytes(bytes).ok()?.to_bytes())),
];

/// Runs `bytes` through the decoder of this name.
///
/// # Panics
/// If there is none, if it panics, or if what it took is not what it writes.
pub fn check(name: &str, bytes: &[u8]) {
    let (_, decoder) = DECODERS.iter().find(|(of, _)| *of == name).expect("a decoder's name");
    if let Some(written) = decoder(bytes) {
        assert_eq!(decoder(&written).as_ref(), Some(&written), "{name} writes what it reads");
    }
}

/// A value in the codec's form; what is taken is canonical.
fn value<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: T = codec::decode(bytes, 1 << 20).ok()?;
    let written = codec::encode(&value);
    assert_eq!(written, bytes, "only the canonical form is taken");
    Some(written)
}

/// A signed message. Bytes that are no envelope are also read as its payload: a fuzzer signs nothing,
/// and whoever has a key may sign anything.
fn message<T: Message>(bytes: &[u8]) -> Option<Vec<u8>> {
    if let Ok(signed) = Signed::<T>::open(bytes) {
        return Some(signed.bytes().to_vec());
    }
    let value = codec::decode::<T>(bytes, T::BYTES_MAX).ok()?;
    let signer = signer();
    let read = T::read(bytes, &signer).expect("a payload that decodes is read");
    assert_eq!(codec::encode(&read), bytes, "only the canonical form is taken");
    let passes = value.check(&signer).is_ok();
    assert_eq!(passes, read.check(&signer).is_ok());
    Some(codec::encode(&value))
}

fn signer() -> PublicKey {
    protocol::SecretKey::from_seed(&[1; 32]).public()
}

/// A payload of the kind that comes first, up to a line feed.
fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let kind = std::str::from_utf8(&bytes[..end]).ok()?;
    if bytes.len() > RECORD_BYTES_MAX {
        return None;
    }
    Payload::decode(kind, &bytes[end + 1..]).ok()?;
    Some(bytes.to_vec())
}

/// A table of two lines with commas: the names of the columns, and one row's values.
fn row(bytes: &[u8]) -> Option<Vec<u8>> {
    let (columns, values) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let form = RowForm::new(&split(columns)).ok()?;
    form.content_id(&split(values)).ok()?;
    Some(bytes.to_vec())
}

/// What has one text form.
fn text<T: std::str::FromStr + ToString>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: T = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    Some(value.to_string().into_bytes())
}

/// A picture or a sound; its code is the same each time.
fn media(bytes: &[u8], code: fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    if bytes.len() > MEDIA_BYTES_MAX {
        return None;
    }
    let first = code(bytes)?;
    assert_eq!(code(bytes).as_ref(), Some(&first), "the code is the same each time");
    Some(bytes.to_vec())
}

/// Outside terms of the scheme that comes first, up to a line feed.
fn terms(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (scheme, rest) = (&bytes[..end], &bytes[end + 1..]);
    let (token, path) = ("AccordBot", UrlPath::new("/art/a.png"));
    let address = Address::parse("https://example.org/art/a.png").expect("a URL");
    let found: Found = match scheme {
        b"ai.txt" => ai_txt::read(rest, &path),
        b"aipref" => aipref::read(rest, Vocabulary::Generative),
        b"aipref-robots" => aipref::read_robots(rest, token, &path, Vocabulary::AllTraining),
        b"bigcode" => bigcode::read(rest, "github.com"),
        b"cawg-cbor" => cawg::read_cbor(rest, "cawg.training-mining", Trust::Validated),
        b"cawg-json" => cawg::read_json(rest, "c2pa.training-mining", Trust::Unvalidated),
        b"cawg-picture" => cawg::read_picture(rest),
        b"content-signal" => content_signal::read(rest, token, &path),
        b"iptc" => iptc::read(rest),
        b"iptc-xmp" => iptc::read_xmp(rest),
        b"robots" => {
            let file = robots::Robots::parse(rest).ok()?;
            let _ = (file.allows(token, &path), file.names(token));
            return Some(bytes.to_vec());
        }
        b"rsl" => rsl::read_for(rest, &address),
        b"tdmrep" => tdmrep::read_file(rest, &path),
        b"tdmrep-headers" => tdmrep::read_headers(Some(rest), Some(rest)),
        b"tdmrep-page" => tdmrep::read_page(rest),
        b"tdmrep-xmp" => tdmrep::read_xmp(rest),
        b"x-robots" => x_robots::read(rest, token),
        b"x-robots-page" => x_robots::read_page(rest, token),
        _ => return None,
    };
    // What could not be read refuses every use.
    let rules = found.rules();
    assert!(Use::ALL.iter().all(|atom| found.excludes(*atom) == found.value(*atom).restricts()));
    assert!(rules.is_sorted_by(|a, b| a.0 < b.0));
    Some(bytes.to_vec())
}

/// The first byte says which encoding; the trainer is whoever the bytes say.
fn update(bytes: &[u8]) -> Option<Vec<u8>> {
    let (first, update) = bytes.split_first()?;
    let encoding = match first % 4 {
        0 => Encoding::Int8,
        1 => Encoding::TopK { per_chunk: 1 + u32::from(first / 4) * 48 },
        2 => Encoding::Sign,
        _ => Encoding::MaxOf { group: 2 << (first / 4 % 8) },
    };
    let form = UpdateForm { encoding, parameters: PARAMETERS };
    let trainer = PublicKey::from_bytes(*update.first_chunk()?).ok()?;
    let opened = Update::open(update.to_vec(), &form, trainer).ok()?;
    Some([&[*first], opened.bytes()].concat())
}
