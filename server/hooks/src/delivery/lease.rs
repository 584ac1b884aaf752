//! Holding a subscription, so that of several nodes one delivers to it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::POLL_INTERVAL;
use super::subscription::Subscription;
use crate::event_log::{Hold, LogError};

/// A node stops this long before others may begin, whatever its clock's rate is.
const MARGIN: Duration = Duration::from_secs(2);

/// A subscription that this node holds.
pub(super) struct Lease {
    /// Until when, unless it holds on; for ever where no other node can be.
    until: Option<Instant>,
    /// When it asks again.
    renew_at: Instant,
    renewal: Option<Renewal>,
}

/// When it was asked for, and the answer.
type Renewal = BoxFuture<'static, (Instant, Result<Hold, LogError>)>;

impl Lease {
    /// Waits until this node holds the subscription; none if it is stopped before.
    pub(super) async fn take(
        subscription: &Subscription,
        stop: &CancellationToken,
    ) -> Option<Self> {
        while !stop.is_cancelled() {
            let asked_at = Instant::now();
            match subscription.shared.log.hold(&subscription.key).await {
                Ok(Hold::Elsewhere) => {}
                Ok(hold) => return Some(Self::new(asked_at, hold)),
                Err(error) => subscription.log_storage(&error),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        }
        None
    }

    fn new(asked_at: Instant, hold: Hold) -> Self {
        let until = match hold {
            Hold::Always => None,
            Hold::For(time) => Some(asked_at + time.saturating_sub(MARGIN)),
            Hold::Elsewhere => Some(asked_at),
        };
        let renew_at = until.map_or(asked_at, |until| asked_at + (until - asked_at) / 3);
        Self { until, renew_at, renewal: None }
    }

    /// Holds on. Resolves when there is news: whether it is still held. Dropping it loses nothing.
    pub(super) async fn keep(&mut self, subscription: &Subscription) -> bool {
        let Some(until) = self.until else { return std::future::pending().await };
        let renewal =
            self.renewal.get_or_insert_with(|| renew(self.renew_at, subscription.clone()));
        let renewed = tokio::select! {
            renewed = &mut *renewal => Some(renewed),
            () = sleep_until(until) => None,
        };
        self.renewal = None;
        match renewed {
            Some((_, Ok(Hold::Elsewhere))) | None => false,
            Some((asked_at, Ok(hold))) => {
                *self = Self::new(asked_at, hold);
                true
            }
            Some((asked_at, Err(error))) => {
                subscription.log_storage(&error);
                self.renew_at = asked_at + POLL_INTERVAL;
                true
            }
        }
    }

    /// Whether another node might wait for it.
    pub(super) const fn is_limited(&self) -> bool {
        self.until.is_some()
    }
}

fn renew(at: Instant, subscription: Subscription) -> Renewal {
    Box::pin(async move {
        sleep_until(at).await;
        let asked_at = Instant::now();
        (asked_at, subscription.shared.log.hold(&subscription.key).await)
    })
}
