//! Catching up with a peer: the questions of `consent`'s `CatchUp`, asked over the network.
//!
//! Invariants: the next page is on its way while the last one is verified, on all cores, and written
//! with one flush; a peer that answers with what does not open is counted against, and left.
//! What it is not: the choice of what to ask (see `consent::ledger`).

use std::time::Duration;

use consent::CatchUp;
use futures::StreamExt;
use protocol::exchange::Question;
use protocol::reconcile::{HeadsPage, RecordsPage};
use protocol::{FeedHead, OpenError, PublicKey};
use tokio::time::timeout;

use super::book::{LedgerBook, Taken};
use super::quota::Way;
use crate::clock::steady_ms;
use crate::net::{Net, RequestError};

/// Peers met at once before something is signed.
const MEETINGS_AT_ONCE: usize = 4;
/// Meetings with one of them, each of which goes on where the last ended.
const MEETINGS_MAX: usize = 8;
/// How long one of them may take over it: minutes for a large ledger, and an end for one that dawdles.
const MEETING_PATIENCE: Duration = Duration::from_secs(300);

/// An answer, and to which kind of question.
enum Came {
    Heads(Vec<u8>),
    Records(Vec<u8>),
}

/// Why a meeting ended early.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error("cannot draw a random number")]
    Random,
    #[error("no answer: {0}")]
    Request(#[from] RequestError),
    #[error("a malformed answer")]
    Malformed,
    #[error("a record that does not open: {0}")]
    Record(OpenError),
    #[error("the peer has brought as many records as a peer may for now")]
    Quota,
}

/// What a meeting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met {
    /// Records that were news.
    pub(crate) news: usize,
    /// Whether it went to its end.
    pub(crate) is_whole: bool,
}

/// Meets these peers until each has nothing more that this node lacks. Returns how many of them came
/// so far.
pub(crate) async fn meet_all(net: &Net, ledger: &LedgerBook, peers: Vec<PublicKey>) -> usize {
    let meet = |peer| async move {
        timeout(MEETING_PATIENCE, meet(net, ledger, peer)).await.unwrap_or(false)
    };
    let met = futures::stream::iter(peers).map(meet).buffer_unordered(MEETINGS_AT_ONCE);
    met.filter(|is_whole| std::future::ready(*is_whole)).count().await
}

async fn meet(net: &Net, ledger: &LedgerBook, peer: PublicKey) -> bool {
    for _ in 0..MEETINGS_MAX {
        let met = pull_records(net, ledger, peer).await;
        if !met.is_whole || met.news == 0 {
            return met.is_whole;
        }
    }
    false
}

/// Takes the consent records that a peer has and this node lacks.
pub(crate) async fn pull_records(net: &Net, ledger: &LedgerBook, peer: PublicKey) -> Met {
    let mut nonce = [0; 32];
    let meeting = getrandom::fill(&mut nonce).map(|()| CatchUp::new(nonce));
    let mut news = 0;
    let done = match meeting {
        Ok(meeting) => pull(net, ledger, peer, meeting, &mut news).await,
        Err(_) => Err(PullError::Random),
    };
    let is_whole = done.is_ok();
    settle(net, peer, done).await;
    Met { news, is_whole }
}

/// Takes the records of feeds that a peer may have as far as these heads say. Returns how many were
/// news.
pub(crate) async fn pull_feeds(
    net: &Net,
    ledger: &LedgerBook,
    peer: PublicKey,
    heads: impl IntoIterator<Item = FeedHead>,
) -> usize {
    let mut news = 0;
    let done = pull(net, ledger, peer, CatchUp::with(heads), &mut news).await;
    settle(net, peer, done).await;
    news
}

async fn settle(net: &Net, peer: PublicKey, done: Result<(), PullError>) {
    let Err(error) = done else { return };
    tracing::debug!(peer = %peer.short(), %error, "a meeting about consent records ended early");
    match error {
        PullError::Malformed => net.penalise(peer, "a malformed answer").await,
        PullError::Record(_) => net.penalise(peer, "a record that does not open").await,
        PullError::Random | PullError::Request(_) | PullError::Quota => {}
    }
}

async fn pull(
    net: &Net,
    ledger: &LedgerBook,
    peer: PublicKey,
    mut meeting: CatchUp,
    news: &mut usize,
) -> Result<(), PullError> {
    let ask = |meeting: &mut CatchUp| ledger.ask(meeting, peer);
    let mut answer = match ask(&mut meeting)? {
        Some(question) => answered(net, peer, question).await?,
        None => return Ok(()),
    };
    loop {
        let next = match answer {
            Came::Heads(bytes) => {
                let after = meeting.after();
                let page = HeadsPage::from_bytes(&bytes, after.as_ref());
                meeting.heads(page.map_err(|_| PullError::Malformed)?);
                None
            }
            Came::Records(bytes) => {
                let page = tokio::task::block_in_place(|| RecordsPage::from_bytes(&bytes));
                let page = page.map_err(|_| PullError::Malformed)?;
                drop(bytes);
                let came = meeting.records(page.next);
                let ahead = meeting.ask_ahead();
                let take =
                    async { tokio::task::block_in_place(|| ledger.take_all(&page.items, peer)) };
                let (next, taken) = match ahead {
                    Some(question) => {
                        let (next, taken) = tokio::join!(answered(net, peer, question), take);
                        (Some(next), taken)
                    }
                    None => (None, take.await),
                };
                let taken = taken.unwrap_or_else(|error| {
                    tracing::debug!(peer = %peer.short(), %error, "records were not taken");
                    Taken::default()
                });
                if let Some(error) = taken.bad {
                    return Err(PullError::Record(error));
                }
                *news += taken.news;
                meeting.inserted(came, taken.news);
                next
            }
        };
        answer = match next {
            Some(came) => came?,
            None => match ask(&mut meeting)? {
                Some(question) => answered(net, peer, question).await?,
                None => return Ok(()),
            },
        };
    }
}

async fn answered(net: &Net, peer: PublicKey, question: Question) -> Result<Came, PullError> {
    let bytes = net.request(peer, question.to_bytes()).await?;
    Ok(match question {
        Question::Feeds { .. } => Came::Heads(bytes),
        _ => Came::Records(bytes),
    })
}

impl LedgerBook {
    /// What to ask a peer next, within what it may bring.
    fn ask(&self, meeting: &mut CatchUp, peer: PublicKey) -> Result<Option<Question>, PullError> {
        let left = self.quotas.allowance(peer, Way::Answer, steady_ms());
        if left.records == 0 {
            return Err(PullError::Quota);
        }
        let feeds_max = usize::try_from(left.feeds).unwrap_or(usize::MAX);
        Ok(meeting.ask(&self.lock().ledger, feeds_max))
    }
}
