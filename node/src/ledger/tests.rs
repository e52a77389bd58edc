//! What one peer may bring, and that others are not touched by it.

use consent::{Identity, Record, Statement, TableSeed, Use, head_at};
use protocol::limits::{
    FEEDS_ANSWERED_PER_HOUR, FEEDS_GOSSIPED_PER_HOUR, RECORDS_GOSSIPED_PER_MINUTE,
};
use protocol::{ContentId, PublicKey, SecretKey, Signed};

use super::book::{Gossiped, LedgerBook, TakeError};

fn key(number: u32, kind: u8) -> SecretKey {
    let mut seed = [kind; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

fn identity(number: u32) -> Identity {
    Identity::new(key(number, 1), key(number, 2), 0)
}

fn peer(number: u32) -> PublicKey {
    key(number, 3).public()
}

fn said(me: &Identity, last: &Signed<Record>, work: u32) -> Signed<Record> {
    let work = ContentId::of(&work.to_le_bytes());
    let deny = Statement::deny(&[Use::Mine]).over([work]).remove(0);
    me.statement(&head_at(last), &deny).expect("a statement")
}

impl LedgerBook {
    /// Takes all that another node has.
    pub(crate) fn learn_from(&self, other: &Self) {
        let envelopes: Vec<Vec<u8>> = {
            let inner = other.lock();
            let slots = 0..inner.ledger.len() as u32;
            slots.map(|slot| inner.log.envelope(slot).expect("read")).collect()
        };
        self.take_all(&envelopes, peer(9)).expect("taken");
    }
}

#[test]
fn ten_thousand_feeds_and_an_endless_one_leave_room_for_an_artist() {
    let dir = tempfile::tempdir().expect("a directory");
    // Asked for no work: what holds here is the quota alone.
    let book = LedgerBook::asking(dir.path(), TableSeed::default(), 0).expect("opened");
    let births: Vec<Vec<u8>> = (0..10_000)
        .map(|number| identity(number).genesis(0).expect("a genesis").bytes().to_vec())
        .collect();
    let flood = peer(1);
    // All at one moment: as time passes, a peer may bring some more.
    let take = |bytes: &[u8], from, urgent| book.take_at(bytes, from, urgent, 1_000);
    let mut refused = 0;
    for birth in births.iter().take(FEEDS_GOSSIPED_PER_HOUR as usize + 100) {
        match take(birth, flood, true) {
            Ok(_) => {}
            Err(TakeError::Quota) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((refused, book.refused().feeds), (100, 100));

    // The same by answers, which have more room, and then a feed without end by gossip.
    let taken = book.take_all(&births, flood).expect("taken");
    assert!(book.count() as u64 <= FEEDS_ANSWERED_PER_HOUR, "{taken:?}");
    let me = identity(20_000);
    let mut last = me.genesis(0).expect("a genesis");
    assert_eq!(take(last.bytes(), peer(2), true).expect("taken"), Gossiped::News);
    let mut news = 0;
    for work in 0..RECORDS_GOSSIPED_PER_MINUTE as u32 + 2_000 {
        last = said(&me, &last, work);
        news += u64::from(take(last.bytes(), peer(2), true).is_ok());
    }
    assert_eq!(news, RECORDS_GOSSIPED_PER_MINUTE - 1, "the feed's birth counts too");
    assert!(book.refused().records > 0 && book.refused().forwards > 0);

    // Through another peer an artist is heard at once.
    let artist = identity(30_000);
    let birth = artist.genesis(0).expect("a genesis");
    let word = said(&artist, &birth, 7);
    for record in [&birth, &word] {
        assert_eq!(book.take(record.bytes(), peer(3), true).expect("taken"), Gossiped::News);
    }
}

#[test]
fn a_record_on_the_wrong_topic_is_refused_and_one_that_waits_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let book = LedgerBook::asking(dir.path(), TableSeed::default(), 0).expect("opened");
    let me = identity(1);
    let birth = me.genesis(0).expect("a genesis");
    let word = said(&me, &birth, 1);
    let take = |record: &Signed<Record>, urgent| book.take(record.bytes(), peer(1), urgent);
    assert_eq!(take(&word, false).expect("opened"), Gossiped::Misplaced);
    let end = head_at(&word);
    assert_eq!(take(&word, true).expect("opened"), Gossiped::Gap(end));
    assert!(!book.has_news(&end));
    assert_eq!(take(&birth, true).expect("taken"), Gossiped::News);
    assert!(book.has_news(&end), "what waited came with it");
    assert_eq!(take(&word, true).expect("known"), Gossiped::Known);
}
