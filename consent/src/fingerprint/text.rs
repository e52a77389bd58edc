//! The ISCC text code: 256 bits that stay close when a text is edited lightly.
//!
//! Role: the Content-Code Text of ISO 24138: characters in 13-grams, MinHash over them. The
//! expected distance of two texts is 128 times one less the Jaccard similarity of their 13-grams.
//!
//! Invariants: equal to iscc-core's code for every text that it takes; layout, case, punctuation and
//! accents don't count. What it is not: a finder of passages (`super::passage` is), nor a code for
//! short or monotonous texts, which would match others that merely share a phrase.

use std::collections::BTreeSet;

use iscc_lib::TEXT_NGRAM_SIZE;
use protocol::limits;

use super::collapse::collapse;
use super::minhash::minhash;
use super::xxh32::xxh32;

/// The distance of two text codes up to which one text is taken for a copy of the other, if a policy
/// names none: three quarters of the 13-grams in common. Measured on programs and documentation: with
/// one word in a hundred changed, 92 % and 99 % stay within it; of six million pairs of different
/// packages 373 do, and those looked at are forks and boilerplate.
pub const TEXT_DISTANCE_MAX: u32 = 31;

/// The 256-bit ISCC Content-Code Text of `text`.
///
/// None if it says too little or too much: fewer than `limits::TEXT_CODE_CHARS_MIN` characters or
/// `limits::TEXT_CODE_GRAMS_MIN` distinct 13-grams, or more than `limits::TEXT_CODE_BYTES_MAX` bytes,
/// all counted after ISO 24138's text collapse (no space, punctuation, control or mark, lower case).
pub fn text_code(text: &str) -> Option<[u8; 32]> {
    if text.len() > limits::TEXT_CODE_BYTES_MAX * COLLAPSE_RATIO_MAX {
        return None;
    }
    let collapsed = collapse(text);
    if collapsed.len() > limits::TEXT_CODE_BYTES_MAX {
        return None;
    }
    let features: Vec<u32> = grams(&collapsed).map(|gram| xxh32(gram.as_bytes())).collect();
    if features.len() + TEXT_NGRAM_SIZE <= limits::TEXT_CODE_CHARS_MIN {
        return None;
    }
    is_telling(&collapsed, &features).then(|| minhash(&features))
}

/// How many bytes of text may stand for one that is kept: a text of more has nothing but space.
const COLLAPSE_RATIO_MAX: usize = 4;

/// The runs of [`TEXT_NGRAM_SIZE`] characters of a text, in order; none of a shorter one.
fn grams(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.char_indices().map(|(at, _)| at);
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]).skip(TEXT_NGRAM_SIZE);
    starts.zip(ends).map(|(start, end)| &text[start..end])
}

/// Whether a text has enough in it to be told from others: so many different runs.
fn is_telling(text: &str, features: &[u32]) -> bool {
    const WANTED: usize = limits::TEXT_CODE_GRAMS_MIN;
    // Runs with different hashes are different; mostly the first ones are.
    let mut first: Vec<u32> = features.iter().copied().take(2 * WANTED).collect();
    first.sort_unstable();
    first.dedup();
    if first.len() >= WANTED {
        return true;
    }
    let mut distinct = BTreeSet::new();
    grams(text).any(|gram| distinct.insert(gram) && distinct.len() >= WANTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROSE: &str = "The lighthouse keeper climbed the stairs each evening, counting them under \
        his breath, and each evening he came to a different number, which he wrote down.";

    fn distance(a: [u8; 32], b: [u8; 32]) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn what_says_too_little_has_no_code() {
        let dots = ".".repeat(10_000);
        let zeros = "0, ".repeat(10_000);
        for text in ["", "ten chars!", "Thank you very much for your kind letter.", &dots, &zeros] {
            assert_eq!(text_code(text), None, "{text:.40}");
        }
        assert!(text_code(PROSE).is_some());
    }

    #[test]
    fn what_says_too_much_has_no_code() {
        let long = PROSE.repeat(limits::TEXT_CODE_BYTES_MAX / PROSE.len() * 4 / 3 + 1);
        assert_eq!(text_code(&long), None);
        // Each of these three bytes becomes 33 bytes when it is collapsed.
        assert_eq!(text_code(&"\u{fdfa}".repeat(limits::TEXT_CODE_BYTES_MAX / 30)), None);
    }

    #[test]
    fn layout_case_and_accents_do_not_count() {
        let other = PROSE.to_uppercase().replace(' ', "\r\n\t").replace('e', "é");
        assert_eq!(text_code(&other), text_code(PROSE));
        assert!(text_code(&other).is_some());
    }

    #[test]
    fn a_light_edit_stays_close_and_another_text_does_not() {
        let code = text_code(PROSE).expect("long enough");
        let edited = text_code(&PROSE.replace("wrote down", "put down")).expect("long enough");
        let other = "Nobody in the village could say when the bakery had last sold bread, though all \
            of them remembered the smell of it, and some the price of a loaf.";
        let other = text_code(other).expect("long enough");
        assert!(distance(code, edited) <= TEXT_DISTANCE_MAX, "{}", distance(code, edited));
        assert!(distance(code, other) >= 80, "{}", distance(code, other));
    }

    /// What the library says, where we say anything.
    fn slowly(text: &str) -> [u8; 32] {
        super::super::digest(&iscc_lib::gen_text_code_v0(text, 256).expect("256 bits").iscc)
    }

    #[test]
    fn a_long_text_has_the_library_s_code() {
        let text: String = (0..20_000).map(|n| format!("Satz {n}, ß{}; ", n * n % 977)).collect();
        assert_eq!(text_code(&text), Some(slowly(&text)));
    }

    proptest! {
        #[test]
        fn any_text_has_the_library_s_code_or_none(
            text in "([a-zA-Z]{1,9}[ ,.]|[가-힣]{1,4} ?|[äßΣςı中文かﾞ]{1,5}|.{0,9}){0,60}",
            times in 0usize..5,
        ) {
            let text = text.repeat(times);
            if let Some(code) = text_code(&text) {
                prop_assert_eq!(code, slowly(&text));
            }
        }
    }
}
