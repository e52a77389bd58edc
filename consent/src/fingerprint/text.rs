//! The ISCC text code: 256 bits that stay close when a text is edited lightly.
//!
//! Role: the Content-Code Text of ISO 24138: characters in 13-grams, MinHash over them. The
//! expected distance of two texts is 128 times one less the Jaccard similarity of their 13-grams.
//!
//! Invariants: equal to iscc-core's code for every text that it takes; layout, case, punctuation and
//! accents don't count. What it is not: a finder of passages (`super::passage` is), nor a code for
//! short or monotonous texts, which would match others that merely share a phrase.

use std::collections::BTreeSet;

use protocol::limits;

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
    let collapsed = iscc_lib::text_collapse(text);
    if collapsed.len() > limits::TEXT_CODE_BYTES_MAX || !is_telling(&collapsed) {
        return None;
    }
    let code = iscc_lib::gen_text_code_v0(text, 256).expect("256 bits are a length it has");
    Some(super::digest(&code.iscc))
}

/// How many bytes of text may stand for one that is kept: a text of more has nothing but space.
const COLLAPSE_RATIO_MAX: usize = 4;

/// Whether a collapsed text has enough in it to be told from others.
fn is_telling(collapsed: &str) -> bool {
    if collapsed.chars().nth(limits::TEXT_CODE_CHARS_MIN - 1).is_none() {
        return false;
    }
    let starts = collapsed.char_indices().map(|(at, _)| at);
    let ends = collapsed
        .char_indices()
        .map(|(at, _)| at)
        .chain([collapsed.len()])
        .skip(iscc_lib::TEXT_NGRAM_SIZE);
    let mut grams = BTreeSet::new();
    starts.zip(ends).any(|(start, end)| {
        grams.insert(&collapsed[start..end]);
        grams.len() >= limits::TEXT_CODE_GRAMS_MIN
    })
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

    proptest! {
        #[test]
        fn any_text_gives_a_code_or_none(text in any::<String>(), times in 0usize..40) {
            let _ = text_code(&text.repeat(times));
        }
    }
}
