//! Two ledgers that catch up with each other: whatever they hold, forks too, one meeting in each
//! direction makes them equal; answers that lie only fail to help; all of it is bounded.

use std::collections::BTreeMap;

use consent::{CatchUp, Identity, Ledger, Record, Statement, Use, head_at, record_id};
use proptest::prelude::*;
use protocol::exchange::Question;
use protocol::limits::{PAGE_ITEMS_MAX, PAGES_MAX};
use protocol::reconcile::{HeadsPage, Next, Place, RecordsPage};
use protocol::{ContentId, FeedHead, RecordId, SecretKey, Signed};
use serde_bytes::ByteBuf;

/// Records on one page here, so that a few records take many pages.
const PAGE: usize = 3;

type Envelopes = BTreeMap<RecordId, Signed<Record>>;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// What an answerer does to its answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    /// Leaves out the end of each page and says that it was there.
    Loses,
    /// Says that the next page starts where this one did.
    Stalls,
    /// Says that there is more, for ever.
    Endless,
    /// Gives another order.
    Turned,
}

struct Answerer<'a> {
    ledger: &'a Ledger,
    envelopes: &'a Envelopes,
    manner: Manner,
    questions: u64,
    bytes: usize,
    /// Kinds of the records sent.
    sent: Vec<Signed<Record>>,
}

impl<'a> Answerer<'a> {
    fn new(ledger: &'a Ledger, envelopes: &'a Envelopes, manner: Manner) -> Self {
        Self { ledger, envelopes, manner, questions: 0, bytes: 0, sent: Vec::new() }
    }

    fn heads(&self, question: &Question) -> HeadsPage {
        let Question::Feeds { digests, after } = question else { panic!("{question:?}") };
        let mut page = digests.differing(self.ledger.frontier(), after.as_ref());
        if self.manner == Manner::Endless {
            page.more = !page.heads.is_empty();
        }
        page
    }

    fn records(&mut self, question: &Question) -> RecordsPage {
        let Question::Records { wants, from, urgent } = question else { panic!("{question:?}") };
        let (lacking, next) = self.ledger.records_for(wants, *from, *urgent, PAGE);
        assert!(lacking.len() <= PAGE);
        let of = |id: RecordId| self.envelopes[&id].clone();
        let mut records: Vec<_> = lacking.iter().map(|it| of(self.ledger.id(it.slot))).collect();
        let mut next = next;
        match self.manner {
            Manner::Honest => {}
            Manner::Loses => drop(records.pop()),
            Manner::Stalls => next = Some(Next { want: 0, from: *from }),
            Manner::Endless => {
                let from = Place { seq: from.seq, nth: from.nth + 1 };
                next = Some(Next { want: 0, from });
            }
            Manner::Turned => records.reverse(),
        }
        self.sent.extend(records.iter().cloned());
        let item = |record: &Signed<Record>| ByteBuf::from(record.bytes().to_vec());
        RecordsPage { items: records.iter().map(item).collect(), next }
    }
}

/// One meeting, as a node has it: the next page is asked for before the last is inserted.
fn meet(to: &mut Ledger, mut meeting: CatchUp, from: &mut Answerer<'_>) {
    let mut question = meeting.ask(to, usize::MAX);
    while let Some(asked) = question {
        let bytes = asked.to_bytes();
        assert_eq!(Question::from_bytes(&bytes).as_ref(), Ok(&asked));
        from.questions += 1;
        from.bytes += bytes.len();
        if matches!(asked, Question::Feeds { .. }) {
            let page = from.heads(&asked).to_bytes();
            from.bytes += page.len();
            let Ok(page) = HeadsPage::from_bytes(&page, meeting.after().as_ref()) else { return };
            meeting.heads(page);
            question = meeting.ask(to, usize::MAX);
            continue;
        }
        let page = from.records(&asked).to_bytes();
        from.bytes += page.len();
        let page = RecordsPage::from_bytes(&page).expect("well formed");
        let came = meeting.records(page.next);
        let ahead = meeting.ask_ahead();
        let before = to.len();
        for item in &page.items {
            let record = Signed::<Record>::open(item).expect("an honest record");
            // As a node does: what does not follow what is here is left out.
            if record.value().prev.is_none_or(|prev| to.held_record(&prev).is_some()) {
                let _ = to.insert(record, 0);
            }
        }
        meeting.inserted(came, to.len() - before);
        question = ahead.or_else(|| meeting.ask(to, usize::MAX));
    }
}

fn catch_up(to: &mut Ledger, from: &Ledger, envelopes: &Envelopes) -> (u64, usize) {
    let mut answerer = Answerer::new(from, envelopes, Manner::Honest);
    meet(to, CatchUp::new([9; 32]), &mut answerer);
    (answerer.questions, answerer.bytes)
}

/// A world of records: each choice goes on from one that was made, or forks there.
fn world(choices: &[(u8, u8, u8)]) -> Vec<Signed<Record>> {
    let mut feeds: BTreeMap<(u8, u32), Vec<Signed<Record>>> = BTreeMap::new();
    let mut made = Vec::new();
    for (number, (who, parent, what)) in choices.iter().enumerate() {
        let (author, feed) = (who % 6, u32::from(who / 128));
        let me = Identity::new(key(author * 2 + 1), key(author * 2 + 2), feed);
        let feed = feeds.entry((author, feed)).or_default();
        let Some(last) = feed.len().checked_sub(1) else {
            let genesis = me.genesis(0).expect("genesis");
            feed.push(genesis.clone());
            made.push(genesis);
            continue;
        };
        // Mostly at the end, at times from further back: a fork.
        let back = if parent % 4 == 0 { usize::from(parent / 4) } else { 0 };
        let head = head_at(&feed[last.saturating_sub(back)]);
        let work = [ContentId::of(&(number as u32).to_le_bytes())];
        let statement = match what % 4 {
            0 => Statement::deny(&[Use::Mine]),
            _ => Statement::allow(&[Use::Mine], 99),
        };
        let statement = statement.over(work).remove(0);
        let record = me.statement(&head, &statement).expect("a statement");
        feed.push(record.clone());
        made.push(record);
    }
    made
}

fn choices() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec(any::<(u8, u8, u8)>(), 0..60)
}

/// What a side with a part of the world holds: `keep` says of each record whether it came.
fn part(made: &[Signed<Record>], keep: impl Fn(usize) -> bool) -> Ledger {
    let mut ledger = Ledger::new();
    for (at, record) in made.iter().enumerate() {
        if keep(at) && ledger.admits(record).is_ok() {
            ledger.insert(record.clone(), 0).expect("admitted");
        }
    }
    ledger
}

fn envelopes(made: &[Signed<Record>]) -> Envelopes {
    made.iter().map(|record| (record_id(record), record.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn one_meeting_each_way_makes_any_two_ledgers_equal(made in choices(), seed: u64) {
        let made = world(&made);
        let all = envelopes(&made);
        let mut left = part(&made, |at| seed >> (at % 64) & 1 == 0);
        let mut right = part(&made, |at| seed >> (at * 7 % 64) & 3 != 0);
        catch_up(&mut left, &right, &all);
        catch_up(&mut right, &left, &all);
        prop_assert_eq!(left.frontier(), right.frontier());
        prop_assert_eq!(left.len(), right.len());
        prop_assert_eq!((left.held(), right.held()), (0, 0));
        // Of equal ledgers one learns so by one question.
        prop_assert_eq!(catch_up(&mut left, &right, &all).0, 1);
    }

    #[test]
    fn who_lies_only_fails_to_help(made in choices(), seed: u64, which in 0usize..4) {
        let made = world(&made);
        let all = envelopes(&made);
        let manner = [Manner::Loses, Manner::Stalls, Manner::Endless, Manner::Turned][which];
        let mut left = part(&made, |at| seed >> (at % 64) & 1 == 0);
        let right = part(&made, |_| true);
        let before = left.len();
        let mut liar = Answerer::new(&right, &all, manner);
        meet(&mut left, CatchUp::new([3; 32]), &mut liar);
        prop_assert!(liar.questions <= PAGES_MAX);
        prop_assert!(left.len() >= before);
        catch_up(&mut left, &right, &all);
        prop_assert_eq!(left.frontier(), right.frontier());
    }

    #[test]
    fn restrictions_come_before_what_nobody_waits_for(made in choices()) {
        let made = world(&made);
        let all = envelopes(&made);
        let (mut left, right) = (Ledger::new(), part(&made, |_| true));
        let mut answerer = Answerer::new(&right, &all, Manner::Honest);
        meet(&mut left, CatchUp::new([1; 32]), &mut answerer);
        prop_assert_eq!(answerer.sent.len(), right.len(), "each once");
        let urgent = |record: &Signed<Record>| record.value().payload().is_ok_and(|p| p.is_urgent());
        // After the last restriction nothing has to come first, and before it nothing has come that
        // stands behind the last restriction of its feed.
        let last = answerer.sent.iter().rposition(urgent).map_or(0, |at| at + 1);
        for record in &answerer.sent[..last] {
            let feed = record.value().feed_id();
            let later = right.feeds_of(feed.author).count() > 0
                && made.iter().any(|other| {
                    urgent(other)
                        && other.value().feed_id() == feed
                        && other.value().seq >= record.value().seq
                });
            prop_assert!(later, "{record:?} could wait");
        }
    }
}

#[test]
fn a_fork_is_sent_and_not_the_feed() {
    let me = Identity::new(key(1), key(2), 0);
    let allow = |n: u32| Statement::allow(&[Use::Mine], 9).over([ContentId::of(&n.to_le_bytes())]);
    let mut made = vec![me.genesis(0).expect("genesis")];
    for n in 0..200 {
        let head = head_at(made.last().expect("one"));
        made.push(me.statement(&head, &allow(n).remove(0)).expect("a statement"));
    }
    let head = head_at(&made[180]);
    let fork = me.statement(&head, &allow(999).remove(0)).expect("a statement");
    let branch = me.statement(&head_at(&fork), &allow(998).remove(0)).expect("a statement");
    made.extend([fork, branch]);
    let all = envelopes(&made);
    // Each has one branch.
    let mut left = part(&made, |at| at <= 200);
    let mut right = part(&made, |at| at <= 180 || at > 200);
    let mut answerer = Answerer::new(&right, &all, Manner::Honest);
    meet(&mut left, CatchUp::new([1; 32]), &mut answerer);
    // What is named of a branch lies ever further apart.
    assert!(answerer.sent.len() <= 2 + 12, "{}", answerer.sent.len());
    assert_eq!(left.len(), made.len());
    let mut answerer = Answerer::new(&left, &all, Manner::Honest);
    meet(&mut right, CatchUp::new([1; 32]), &mut answerer);
    assert_eq!(right.frontier(), left.frontier());
    assert!(answerer.sent.len() <= 20 + 2, "{}", answerer.sent.len());
}

#[test]
fn feeds_that_are_named_are_caught_up_with_alone() {
    let made = world(&[(1, 1, 0), (1, 1, 1), (1, 1, 1), (2, 1, 0), (2, 1, 1)]);
    let all = envelopes(&made);
    let (mut left, right) = (Ledger::new(), part(&made, |_| true));
    let head = *right.frontier().heads().first().expect("one");
    // What is asked for may be ahead of what anyone has.
    let named = FeedHead { seq: head.seq + 7, head: RecordId::of(b"to come"), ..head };
    let mut answerer = Answerer::new(&right, &all, Manner::Honest);
    meet(&mut left, CatchUp::with([named]), &mut answerer);
    assert_eq!(left.heads().collect::<Vec<_>>(), [head]);
}

#[test]
fn a_hundred_thousand_feeds_that_differ_in_three() {
    // Heads alone: the records behind them are not looked at.
    let head = |n: u32| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_le_bytes());
        let feed = protocol::FeedId { author: SecretKey::from_seed(&seed).public(), feed: 0 };
        FeedHead { feed, seq: 3, head: RecordId::of(&seed) }
    };
    let heads: Vec<FeedHead> = (0..100_000).map(head).collect();
    let ours = protocol::Frontier::new(heads.clone());
    let news = |(at, head): (usize, &FeedHead)| match at {
        7 | 50_000 | 99_999 => FeedHead { seq: 4, head: RecordId::of(b"news"), ..*head },
        _ => *head,
    };
    let theirs = protocol::Frontier::new(heads.iter().enumerate().map(news));
    let digests = protocol::reconcile::Digests::of([5; 32], &ours);
    let question = Question::Feeds { digests: digests.clone(), after: None }.to_bytes();
    let page = digests.differing(&theirs, None);
    println!("{} bytes asked, {} answered", question.len(), page.to_bytes().len());
    assert!(!page.more && page.heads.len() < 200);
    assert!(question.len() + page.to_bytes().len() < 100_000);
    assert!(page.heads.len() <= PAGE_ITEMS_MAX);
}
