//! Fingerprints of a text's passages, by which a copied one is found inside a larger text or program.
//!
//! Role: winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003). A text is brought to its bare
//! letters and digits, each run of [`GRAM_CHARS`] of them is hashed, and of each [`WINDOW_GRAMS`]
//! consecutive hashes the least is kept: about one in 32.
//!
//! Guarantee: two texts that share a run of [`PASSAGE_CHARS`] bare characters or more share a
//! fingerprint, wherever it stands in either; a run of `n * WINDOW_GRAMS + GRAM_CHARS - 1` that does
//! not repeat itself gives `n` of them. It holds between the whole sets; [`Passages::parts`] says
//! what a part of one still finds.
//!
//! Bare characters are the letters and digits that are left after ISO 24138's text collapse, in lower
//! case. So indentation, line ends, case, accents, punctuation, quote marks, comment signs and braces
//! don't count, and neither do the invisible characters of Unicode; full-width and other forms of one
//! letter are that letter. A copy is hidden by changing a word in each line: renamed variables, a
//! translation, letters that look alike of another alphabet.
//!
//! Invariants: equal on all machines and in all versions, since records hold them; sorted, distinct.
//! What it is not: keyed or hard to forge. Whoever wants a text to match can make it match, and
//! registered fingerprints are their author's word.

use protocol::limits;
use thiserror::Error;

/// Characters in one hashed run: some seven words, so that few phrases are shared by chance.
pub const GRAM_CHARS: usize = 32;
/// Consecutive runs of which one is kept.
pub const WINDOW_GRAMS: usize = 64;
/// Bare characters that two texts must share in one run for it to be found for certain: some twenty
/// words, or two lines of a program. A text of fewer has no fingerprints.
pub const PASSAGE_CHARS: usize = WINDOW_GRAMS + GRAM_CHARS - 1;

/// Fingerprints that a text must share with a work, common ones aside, to be taken for a copy of part
/// of it, if a policy names none: about 360 bare characters as a rule, 543 for certain. Measured on
/// files of different packages: 0.09 % of pairs of programs share as many and 1.2 % of READMEs and the
/// like; those looked at are forks, licences and copied boilerplate. A licence header alone has four
/// to six (see [`Passages::without`]).
pub const PASSAGES_SHARED_MIN: u32 = 8;

/// Fingerprints of a text's passages: sorted, distinct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passages {
    fingerprints: Vec<u64>,
}

/// Why fingerprints do not make a subject, or bytes are not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PassagesError {
    /// None, or more than `limits::PASSAGES_PER_SUBJECT_MAX`.
    #[error("a subject has 1 to {max} passage fingerprints, this has {0}: use its parts",
        max = limits::PASSAGES_PER_SUBJECT_MAX)]
    Count(usize),
    /// Not a whole number of fingerprints.
    #[error("passage fingerprints are 8 bytes each, these are {0} bytes")]
    Length(usize),
    /// Not sorted, or one twice: another form of the same subject.
    #[error("passage fingerprints are not in rising order at number {0}")]
    Order(usize),
}

/// The fingerprints of all passages of `text`; none if it has fewer than [`PASSAGE_CHARS`] bare
/// characters.
///
/// Memory: a quarter of the text for ASCII, and some 20 times its longest run without ASCII.
pub fn passages(text: &str) -> Passages {
    let mut winnower = Winnower::new();
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
        winnower.push_ascii(&rest.as_bytes()[..ascii]);
        rest = &rest[ascii..];
        let other = rest.bytes().position(|byte| byte.is_ascii()).unwrap_or(rest.len());
        bare(&rest[..other], |character| winnower.push(character));
        rest = &rest[other..];
    }
    winnower.digest();
    let mut fingerprints = winnower.found;
    fingerprints.sort_unstable();
    fingerprints.dedup();
    Passages { fingerprints }
}

impl Passages {
    /// The fingerprints, sorted and distinct.
    pub fn fingerprints(&self) -> &[u64] {
        &self.fingerprints
    }

    /// Parts that fit a subject each, the least fingerprints first. All of them together keep the
    /// guarantee.
    ///
    /// Whoever registers only the first one of a long text registers a sample that is spread evenly
    /// over it, and still finds long copies: of a passage of `c` bare characters out of a text of `n`,
    /// some `1024 * c / n` fingerprints are in it. (Least hashes are the ones that every window
    /// that holds them keeps, so the other text has them too.)
    pub fn parts(&self) -> impl Iterator<Item = Self> {
        let parts = self.fingerprints.chunks(limits::PASSAGES_PER_SUBJECT_MAX);
        parts.map(|part| Self { fingerprints: part.to_vec() })
    }

    /// Those that `common` does not have: how a work is registered without the licence text, or the
    /// form, that it shares with others.
    #[must_use]
    pub fn without(&self, common: &Self) -> Self {
        let is_own = |own: &u64| common.fingerprints.binary_search(own).is_err();
        Self { fingerprints: self.fingerprints.iter().copied().filter(is_own).collect() }
    }

    /// The form in a record: 8 bytes each, big-endian, in rising order.
    ///
    /// # Errors
    ///
    /// [`PassagesError::Count`] if they don't fit one subject; each of [`Passages::parts`] does.
    pub fn encode(&self) -> Result<Vec<u8>, PassagesError> {
        check_count(self.fingerprints.len())?;
        Ok(self.fingerprints.iter().flat_map(|fingerprint| fingerprint.to_be_bytes()).collect())
    }

    /// Reads what [`Passages::encode`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`PassagesError`] names what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, PassagesError> {
        let (eights, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(PassagesError::Length(bytes.len()));
        }
        check_count(eights.len())?;
        let fingerprints: Vec<u64> = eights.iter().copied().map(u64::from_be_bytes).collect();
        match fingerprints.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(at) => Err(PassagesError::Order(at + 1)),
            None => Ok(Self { fingerprints }),
        }
    }
}

fn check_count(count: usize) -> Result<(), PassagesError> {
    if (1..=limits::PASSAGES_PER_SUBJECT_MAX).contains(&count) {
        Ok(())
    } else {
        Err(PassagesError::Count(count))
    }
}

/// Gives the bare characters of a run without ASCII, one by one.
fn bare(text: &str, mut each: impl FnMut(u32)) {
    if text.is_empty() {
        return;
    }
    for character in iscc_lib::text_collapse(text).chars() {
        // The collapse makes capitals where one sign stands for a word in capitals. The small sigma
        // at the end of a word is a sigma.
        let lower = character.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c });
        lower.filter(|c| c.is_alphanumeric()).for_each(|c| each(u32::from(c)));
    }
}

/// Letters in lower case and digits as they are, 0 for what does not count.
const ASCII_BARE: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Characters that are gathered before they are hashed.
const BLOCK: usize = 4_096;
/// What a character's weight in a run grows by with each character after it: odd, and with no
/// pattern in its bits (the golden ratio's).
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
/// `BASE` to the power of `GRAM_CHARS`: the weight of the character that leaves.
const BASE_OUT: u64 = {
    let mut power: u64 = 1;
    let mut n = 0;
    while n < GRAM_CHARS {
        power = power.wrapping_mul(BASE);
        n += 1;
    }
    power
};

/// The least hash of each window over a stream of characters.
struct Winnower {
    /// The last `GRAM_CHARS` characters hashed, zeros at first, and then those to be hashed.
    block: Box<[u32; GRAM_CHARS + BLOCK]>,
    waiting: usize,
    /// Characters hashed so far.
    hashed: usize,
    /// The polynomial of the last `GRAM_CHARS` characters.
    sum: u64,
    /// The last hashes, each at its number modulo the length.
    window: [u64; WINDOW_GRAMS],
    /// The least in the window, and its number.
    least: (u64, usize),
    found: Vec<u64>,
}

impl Winnower {
    fn new() -> Self {
        Self {
            block: Box::new([0; GRAM_CHARS + BLOCK]),
            waiting: 0,
            hashed: 0,
            sum: 0,
            window: [0; WINDOW_GRAMS],
            least: (u64::MAX, 0),
            found: Vec::new(),
        }
    }

    fn push(&mut self, character: u32) {
        self.block[GRAM_CHARS + self.waiting] = character;
        self.waiting += 1;
        if self.waiting == BLOCK {
            self.digest();
        }
    }

    fn push_ascii(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.waiting));
            // Always written and sometimes kept: quicker than a branch that is hard to foresee.
            for byte in now {
                let bare = ASCII_BARE[usize::from(byte & 0x7f)];
                self.block[GRAM_CHARS + self.waiting] = u32::from(bare);
                self.waiting += usize::from(bare != 0);
            }
            if self.waiting == BLOCK {
                self.digest();
            }
            bytes = later;
        }
    }

    /// Hashes what waits.
    fn digest(&mut self) {
        let (mut sum, mut least, first) = (self.sum, self.least, self.hashed);
        let characters = &self.block[GRAM_CHARS..GRAM_CHARS + self.waiting];
        for (at, (arrives, leaves)) in characters.iter().zip(self.block.iter()).enumerate() {
            sum = sum.wrapping_mul(BASE).wrapping_add(u64::from(*arrives));
            sum = sum.wrapping_sub(u64::from(*leaves).wrapping_mul(BASE_OUT));
            let Some(number) = (first + at + 1).checked_sub(GRAM_CHARS) else { continue };
            let hash = mix(sum);
            self.window[number % WINDOW_GRAMS] = hash;
            let full = number + 1 >= WINDOW_GRAMS;
            if number == 0 || hash < least.0 {
                least = (hash, number);
                if full {
                    self.found.push(hash);
                }
            } else if number - least.1 >= WINDOW_GRAMS {
                least = rightmost_least(&self.window, number);
                self.found.push(least.0);
            } else if number + 1 == WINDOW_GRAMS {
                self.found.push(least.0);
            }
        }
        (self.sum, self.least) = (sum, least);
        self.hashed += self.waiting;
        self.block.copy_within(self.waiting..self.waiting + GRAM_CHARS, 0);
        self.waiting = 0;
    }
}

/// The least of a full window whose last hash is number `last`, and its number; of equal ones the
/// last, which stays the longest.
fn rightmost_least(window: &[u64; WINDOW_GRAMS], last: usize) -> (u64, usize) {
    let least = window.iter().copied().fold(u64::MAX, u64::min);
    let back = (0..WINDOW_GRAMS).find(|back| window[(last - back) % WINDOW_GRAMS] == least);
    (least, last - back.unwrap_or(0))
}

/// Spreads a polynomial's bits over the whole word, one to one (the finaliser of MurmurHash3).
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Prose of `words` words out of a vocabulary of 2,000, no two seeds alike.
    pub(crate) fn prose(seed: u64, words: usize) -> String {
        let syllables = ["ka", "mer", "to", "lin", "sa", "vor", "ne", "dul", "pi", "rath"];
        let mut text = String::new();
        for n in 0..words as u64 {
            let mut word = mix(mix(seed) ^ n) % 2_000;
            while word > 0 {
                text.push_str(syllables[(word % 10) as usize]);
                word /= 10;
            }
            text.push_str(if n % 13 == 12 { ".\n" } else { " " });
        }
        text
    }

    /// What `passages` does, without its haste.
    fn slowly(text: &str) -> Vec<u64> {
        let mut bare = Vec::new();
        for c in text.chars() {
            super::bare(&c.to_string(), |c| bare.push(c));
        }
        let hash = |gram: &[u32]| {
            let add = |sum: u64, c: &u32| sum.wrapping_mul(BASE).wrapping_add(u64::from(*c));
            mix(gram.iter().fold(0, add))
        };
        let hashes: Vec<u64> = bare.windows(GRAM_CHARS).map(hash).collect();
        let least = |window: &[u64]| window.iter().copied().min().expect("not empty");
        let mut found: Vec<u64> = hashes.windows(WINDOW_GRAMS).map(least).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn shared(a: &Passages, b: &Passages) -> usize {
        a.fingerprints().iter().filter(|f| b.fingerprints().binary_search(f).is_ok()).count()
    }

    #[test]
    fn a_paragraph_is_found_in_a_file_a_hundred_times_as_long() {
        let paragraph = prose(1, 60);
        let file = prose(2, 3_000) + &paragraph + &prose(3, 3_000);
        assert!(file.len() > 100 * paragraph.len());
        let found = shared(&passages(&paragraph), &passages(&file));
        assert!(found >= 5, "{found}");
    }

    #[test]
    fn reformatted_code_is_found() {
        let code = "fn total(prices: &[Price], rate: Rate) -> Result<Money, Overflow> {\n    let mut \
            sum = Money::ZERO;\n    for price in prices {\n        sum = sum.checked_add(price.net)?;\n\
            \x20   }\n    // The tax is on the sum and not on each, which would round too often.\n    \
            sum.checked_mul(rate.of_hundred()).ok_or(Overflow)\n}\n";
        let other = code
            .replace("\n    ", "\r\n\t\t")
            .replace(" {", "\r\n{")
            .replace("// ", "/* ")
            .to_uppercase();
        let (code, other) = (passages(code), passages(&other));
        assert!(code.fingerprints().len() >= 3, "{code:?}");
        assert_eq!(code, other);
    }

    #[test]
    fn unrelated_texts_share_nothing() {
        assert_eq!(shared(&passages(&prose(1, 20_000)), &passages(&prose(2, 20_000))), 0);
    }

    #[test]
    fn a_text_of_fewer_characters_has_no_fingerprints() {
        let text: String = prose(1, 60).chars().filter(char::is_ascii_alphanumeric).collect();
        assert!(passages(&text[..PASSAGE_CHARS - 1]).fingerprints().is_empty());
        assert_eq!(passages(&text[..PASSAGE_CHARS]).fingerprints().len(), 1);
        assert!(passages(&"- , ".repeat(10_000)).fingerprints().is_empty());
    }

    #[test]
    fn forms_of_a_letter_are_one_letter() {
        let plain = "Uber den Wolken muss die Freiheit wohl grenzenlos sein, alle Angste, alle \
            Sorgen, sagt man, blieben darunter verborgen und dann, odysseus \u{3c3} TEL 1 fi";
        let fancy = "U\u{308}ber den Wolken mu\u{ad}ss die Freiheit \u{200b}wohl \
            \u{ff27}renzenlos sein, alle \u{c4}ngste, alle Sorgen, sagt man, blieben darunter \
            verborgen und dann, odysseus \u{3c2} \u{2121} \u{2460} \u{fb01}";
        assert_eq!(passages(plain).fingerprints(), passages(fancy).fingerprints());
        assert!(!passages(plain).fingerprints().is_empty());
    }

    #[test]
    fn fingerprints_stay_the_same_in_all_versions() {
        let passages = passages(&prose(1, 60));
        let bytes = passages.encode().expect("few");
        assert_eq!(hex::encode(&bytes[..16]), "01961142ee089d18019b7c6934eda704");
        assert_eq!(Passages::decode(&bytes), Ok(passages));
    }

    #[test]
    fn parts_fit_subjects_and_lose_nothing() {
        let whole = passages(&prose(1, 30_000));
        let parts: Vec<Passages> = whole.parts().collect();
        assert!(parts.len() > 2, "{}", parts.len());
        let all: Vec<u64> = parts.iter().flat_map(|part| part.fingerprints()).copied().collect();
        assert_eq!(all, whole.fingerprints());
        assert_eq!(whole.encode(), Err(PassagesError::Count(all.len())));
        for part in parts {
            assert_eq!(Passages::decode(&part.encode().expect("fits")), Ok(part));
        }
        assert_eq!(whole.without(&whole), Passages::default());
        assert_eq!(whole.without(&Passages::default()), whole);
    }

    #[test]
    fn only_the_one_form_is_read() {
        let two = [[0, 0, 0, 0, 0, 0, 0, 1u8], [0, 0, 0, 0, 0, 0, 0, 2]];
        assert!(Passages::decode(two.as_flattened()).is_ok());
        assert_eq!(Passages::decode(&[]), Err(PassagesError::Count(0)));
        assert_eq!(Passages::decode(&[0; 7]), Err(PassagesError::Length(7)));
        assert_eq!(Passages::decode(&[0; 16]), Err(PassagesError::Order(1)));
        assert_eq!(Passages::decode([two[1], two[0]].as_flattened()), Err(PassagesError::Order(1)));
        let many: Vec<u8> = (0..1_025u64).flat_map(u64::to_be_bytes).collect();
        assert_eq!(Passages::decode(&many), Err(PassagesError::Count(1_025)));
    }

    proptest! {
        #[test]
        fn it_is_winnowing(text in "([a-z]{1,8}[ ,.A-Z]{0,3}|[äßΣςı中文]{1,5}){0,120}", times in 1usize..60) {
            let text = text.repeat(times);
            let found = passages(&text);
            prop_assert_eq!(found.fingerprints(), slowly(&text));
        }

        #[test]
        fn a_shared_run_is_found(
            before in "[a-f \n]{0,300}",
            after in "[a-f \n]{0,300}",
            run in "[a-d]{95,300}",
            other_before in "[a-f]{0,300}",
            other_after in "[a-f]{0,300}",
        ) {
            let one = passages(&(before + &run + &after));
            let other = passages(&(other_before + &run.to_uppercase() + &other_after));
            prop_assert!(shared(&one, &other) >= 1);
        }

        #[test]
        fn any_text_has_passages(text in any::<String>(), times in 0usize..100) {
            let found = passages(&text.repeat(times));
            prop_assert!(found.fingerprints().is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(read) = Passages::decode(&bytes) {
                prop_assert_eq!(read.encode(), Ok(bytes));
            }
        }
    }
}
