//! How long the other side of a connection is waited for: a while, and longer the more it moves. So
//! a slow line is served, and somebody who moves a byte now and then is not.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

/// Whoever moves so many bytes a second is never given up.
const RATE_MIN: u64 = 1024;

/// The time that is left for the other side. It only runs while nothing moves.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    used: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Patience {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, used: Duration::ZERO, waiting: None }
    }

    /// To be polled while nothing moves; ready when the time is up.
    pub(crate) fn poll_up(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.limit.saturating_sub(self.used);
        let (_, up) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        up.as_mut().poll(context)
    }

    /// Something moved, which gives time back.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.used += since.elapsed();
        }
        if !self.used.is_zero() {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let earned = Duration::from_micros(bytes.saturating_mul(1_000_000) / RATE_MIN);
            self.used = self.used.saturating_sub(earned);
        }
    }
}

/// The client sends its body too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the body came too slowly")]
pub(crate) struct TooSlow;

impl TooSlow {
    /// Whether an error is this one at its bottom.
    pub(crate) fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.into_iter().any(<dyn std::error::Error>::is::<Self>)
    }
}

/// A request's body that ends with an error when it comes too slowly.
#[derive(Debug)]
pub(crate) struct TimelyBody<B> {
    body: B,
    patience: Patience,
}

impl<B> TimelyBody<B> {
    pub(crate) const fn new(body: B, limit: Duration) -> Self {
        Self { body, patience: Patience::new(limit) }
    }
}

impl<B> Body for TimelyBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            let bytes = data.map_or(0, Bytes::len);
            self.patience.moved(bytes);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.patience.poll_up(context));
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Whether somebody who moves so many bytes at each of these intervals is given up.
    async fn is_given_up(limit: Duration, interval: Duration, bytes: usize) -> bool {
        let mut patience = Patience::new(limit);
        for _ in 0..1000 {
            let up = poll_fn(|context| patience.poll_up(context));
            if timeout(interval, up).await.is_ok() {
                return true;
            }
            patience.moved(bytes);
            sleep(Duration::from_secs(5)).await;
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_is_waited_for_and_a_byte_now_and_then_is_not() {
        let (limit, second) = (Duration::from_secs(30), Duration::from_secs(1));
        assert!(!is_given_up(limit, second, 1024).await);
        assert!(!is_given_up(limit, second * 20, 20 * 1024).await);
        assert!(is_given_up(limit, second, 1).await);
        assert!(is_given_up(limit, second * 31, usize::MAX).await, "one pause of the whole limit");
        assert!(!is_given_up(limit, second * 29, usize::MAX).await);
    }
}
