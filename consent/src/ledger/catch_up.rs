//! One side's catching up with another: what to ask next, given what came.
//!
//! ```text
//! heads that differ -> passes over their feeds: urgent and short, urgent, the rest
//! ```
//!
//! What restricts and key events, with what must precede them, is asked of every feed before anything
//! else is asked of any; and of those the feeds that are least behind come first, so that one person's
//! word does not wait for somebody's million records.
//!
//! Invariants: sans IO; what is kept is one page of heads and what to ask of their feeds; it ends
//! after a bounded number of questions whatever is answered, and leaves a feed that brings nothing.
//! What it is not: trusting. An answer that is wrong ends a feed's turn, or all of it, early.

use std::collections::VecDeque;

use protocol::exchange::Question;
use protocol::limits::{IDLE_PAGES_MAX, PAGE_ITEMS_MAX, PAGES_MAX, SHORT_GAP_MAX};
use protocol::reconcile::{Digests, HeadsPage, Next, Nonce, Place, Want};
use protocol::{FeedHead, FeedId};

use super::Ledger;

/// A meeting with one other ledger.
#[derive(Debug)]
pub struct CatchUp {
    /// None if the feeds are known beforehand.
    nonce: Option<Nonce>,
    digests: Option<Digests>,
    pass: Pass,
    stage: Stage,
    /// The page of heads at hand.
    page: HeadsPage,
    /// Whether a pass takes several pages.
    is_paged: bool,
    /// What is still to be asked of it, and how many records each seems to be behind.
    wants: VecDeque<(u64, Want)>,
    from: Place,
    /// How many of `wants` the last question had.
    asked: usize,
    questions: u64,
    /// Pages without news, in all and of the first wanted feed in a row.
    idle: [u32; 2],
}

/// A page of records that came, to be told of when it was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Came {
    /// The feed, if it was all of one that goes on.
    feed: Option<FeedId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Short,
    Urgent,
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Heads,
    Wants,
    Records,
}

impl CatchUp {
    /// A meeting over everything; the nonce must be random, and used once.
    pub fn new(nonce: Nonce) -> Self {
        Self::starting(Some(nonce), Stage::Heads, HeadsPage::default())
    }

    /// A meeting over the feeds of these heads, which somebody is known to have, at most
    /// `PAGE_ITEMS_MAX` of them.
    pub fn with(heads: impl IntoIterator<Item = FeedHead>) -> Self {
        let heads = heads.into_iter().take(PAGE_ITEMS_MAX).collect();
        Self::starting(None, Stage::Wants, HeadsPage { heads, more: false })
    }

    fn starting(nonce: Option<Nonce>, stage: Stage, page: HeadsPage) -> Self {
        Self {
            nonce,
            digests: None,
            pass: Pass::Short,
            stage,
            page,
            is_paged: false,
            wants: VecDeque::new(),
            from: Place::default(),
            asked: 0,
            questions: 0,
            idle: [0; 2],
        }
    }

    /// What to ask now that all that came is inserted; none at the end. Of feeds that are not here
    /// at most `feeds_max` are asked for.
    pub fn ask(&mut self, ledger: &Ledger, feeds_max: usize) -> Option<Question> {
        loop {
            if self.is_over() {
                return None;
            }
            match self.stage {
                Stage::Heads => {
                    let nonce = self.nonce?;
                    let of = || Digests::of(nonce, ledger.frontier());
                    let digests = self.digests.get_or_insert_with(of).clone();
                    self.questions += 1;
                    return Some(Question::Feeds { digests, after: self.after() });
                }
                Stage::Wants => self.look(ledger, feeds_max),
                Stage::Records => match self.ask_ahead() {
                    Some(question) => return Some(question),
                    None => self.turn_page()?,
                },
            }
        }
    }

    /// What to ask while the page that came last is still being looked at; none if that has to be
    /// inserted first.
    pub fn ask_ahead(&mut self) -> Option<Question> {
        if self.stage != Stage::Records || self.wants.is_empty() || self.is_over() {
            return None;
        }
        let urgent = self.pass != Pass::Rest;
        let mut records = 0;
        let some = self.wants.iter().take_while(|(behind, _)| {
            // What takes further pages is not named in every one of them.
            let fits = urgent || records < PAGE_ITEMS_MAX as u64;
            records = behind.saturating_add(records);
            fits
        });
        self.asked = Want::fitting(some.map(|(_, want)| want));
        self.questions += 1;
        let wants = self.wants.range(..self.asked).map(|(_, want)| want.clone()).collect();
        Some(Question::Records { wants, from: self.from, urgent })
    }

    /// The last feed of the page at hand: the answer to the question about feeds goes on after it.
    pub fn after(&self) -> Option<FeedId> {
        self.page.heads.last().map(|head| head.feed)
    }

    /// Takes the answer to a question about feeds.
    pub fn heads(&mut self, page: HeadsPage) {
        self.is_paged |= page.more;
        self.page = page;
        self.stage = Stage::Wants;
    }

    /// Takes note of where a page of records ended.
    pub fn records(&mut self, next: Option<Next>) -> Came {
        let (done, from) = match next {
            None => (self.asked, Place::default()),
            Some(next) => match next.want as usize {
                0 if next.from > self.from => (0, next.from),
                // Not from here on: a feed that does not move is left.
                0 => (1, Place::default()),
                want if want < self.asked => (want, next.from),
                _ => (self.asked, Place::default()),
            },
        };
        self.from = from;
        self.wants.drain(..done.min(self.wants.len()));
        let feed = self.wants.front().filter(|_| done == 0).map(|(_, want)| want.feed);
        Came { feed }
    }

    /// Takes note that a page was inserted, and how many records of it were news.
    pub fn inserted(&mut self, came: Came, news: usize) {
        let is_idle = u32::from(news == 0);
        self.idle = [self.idle[0] + is_idle, (self.idle[1] + 1) * is_idle];
        let first = self.wants.front().map(|(_, want)| want.feed);
        if came.feed.is_none() || came.feed != first {
            self.idle[1] = 0;
        } else if self.idle[1] >= IDLE_PAGES_MAX {
            self.wants.pop_front();
            (self.from, self.idle[1]) = (Place::default(), 0);
        }
    }

    fn is_over(&self) -> bool {
        self.questions >= PAGES_MAX || self.idle[0] >= 2 * IDLE_PAGES_MAX
    }

    /// What this ledger lacks of the feeds on the page.
    fn look(&mut self, ledger: &Ledger, feeds_max: usize) {
        let only_short = self.pass == Pass::Short && self.is_paged;
        let mut news = 0;
        let mut wants: Vec<(u64, Want)> = self
            .page
            .heads
            .iter()
            .filter_map(|head| ledger.want(head))
            .map(|(want, behind)| (behind, want))
            .filter(|(behind, _)| !only_short || *behind <= SHORT_GAP_MAX)
            .filter(|(_, want)| {
                news += usize::from(want.holds.is_empty());
                !want.holds.is_empty() || news <= feeds_max
            })
            .collect();
        wants.sort_by_key(|(behind, _)| *behind);
        self.wants = wants.into();
        self.from = Place::default();
        self.stage = Stage::Records;
    }

    /// Goes on to the next page of heads, or to the next pass.
    fn turn_page(&mut self) -> Option<()> {
        if self.page.more {
            self.stage = Stage::Heads;
            return Some(());
        }
        self.pass = match self.pass {
            Pass::Short if self.is_paged => Pass::Urgent,
            Pass::Short | Pass::Urgent => Pass::Rest,
            Pass::Rest => return None,
        };
        if self.is_paged {
            (self.digests, self.page) = (None, HeadsPage::default());
            self.stage = Stage::Heads;
        } else {
            self.stage = Stage::Wants;
        }
        Some(())
    }
}
