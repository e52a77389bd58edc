//! ISO 24138's text collapse: no space, punctuation, control or mark, lower case, one form of each
//! letter.
//!
//! Role: the library's collapse, with a short way for words of ASCII, which need no tables. What is
//! not ASCII goes to the library together with everything up to the next word of ASCII that leaves
//! a character: what stands on both sides of such a word has no influence on each other.
//!
//! Invariants: equal to `iscc_lib::text_collapse` for every text.

/// What stays of each ASCII character; 0 for nothing.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let ascii = byte as u8;
        // Unicode takes these for symbols, not for punctuation.
        let is_symbol =
            matches!(ascii, b'$' | b'+' | b'<' | b'=' | b'>' | b'^' | b'`' | b'|' | b'~');
        if is_symbol || ascii.is_ascii_alphanumeric() {
            table[byte] = ascii.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// The collapsed text.
pub(super) fn collapse(text: &str) -> String {
    let mut collapsed = Vec::with_capacity(text.len());
    // Where a run begins that is the library's.
    let mut begun: Option<usize> = None;
    let mut at = 0;
    for word in text.split_inclusive(|c: char| c.is_ascii_whitespace()) {
        let start = at;
        at += word.len();
        if !word.is_ascii() {
            begun.get_or_insert(start);
        } else if begun.is_none() {
            push_ascii(word, &mut collapsed);
        } else if word.bytes().any(|byte| ASCII[usize::from(byte)] != 0) {
            let run = &text[begun.take().unwrap_or(start)..start];
            collapsed.extend(iscc_lib::text_collapse(run).into_bytes());
            push_ascii(word, &mut collapsed);
        }
    }
    if let Some(start) = begun {
        collapsed.extend(iscc_lib::text_collapse(&text[start..]).into_bytes());
    }
    String::from_utf8(collapsed).expect("pieces of text, one after the other, are a text")
}

/// The word must be ASCII.
fn push_ascii(word: &str, collapsed: &mut Vec<u8>) {
    let kept = word.bytes().map(|byte| ASCII[usize::from(byte & 0x7f)]);
    collapsed.extend(kept.filter(|byte| *byte != 0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_character_alone_and_beside_letters_is_the_library_s() {
        for character in (0..=0x2_ffff).filter_map(char::from_u32) {
            for text in [format!("{character}"), format!("aΣ{character} k {character}\u{3099}b")] {
                assert_eq!(collapse(&text), iscc_lib::text_collapse(&text), "{text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_is_the_library_s(
            // Marks, jamo, kana with marks of their own, sigmas, ligatures, and what stands between.
            text in "([ -~]{0,6}|[ \t\r\n\u{a0}\u{2003}]|[a-cΣσςΑİıſßﬁŉ\u{307}\u{301}\u{345}'’.-]{0,5}\
                |[가-각\u{1100}-\u{1112}\u{1161}-\u{1175}\u{11a8}-\u{11c2}]{0,3}|[かカｶﾞﾟ\u{3099}\u{309a}]{0,3}\
                |[\u{fdfa}\u{a8}\u{b4}\u{37a}\u{1fbd}\u{200d}\u{ad}𝔄①]{0,2}){0,12}",
        ) {
            prop_assert_eq!(collapse(&text), iscc_lib::text_collapse(&text));
        }

        #[test]
        fn it_is_the_library_s_for_any_text(text in any::<String>(), word in "[ a-zA-Z]{0,9}") {
            let text = format!("{text}{word}{text}");
            prop_assert_eq!(collapse(&text), iscc_lib::text_collapse(&text));
        }
    }
}
