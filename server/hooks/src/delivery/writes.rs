//! What a subscription has to store, in the order that keeps every event safe.

use tinybase_model::Position;

use crate::event_log::{EventLog, LogError, ParkedDelivery, SubscriptionKey};

/// What is to be stored next.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Deliveries to park, or to park with new values.
    pub(super) park: Vec<ParkedDelivery>,
    /// Deliveries that ended.
    pub(super) end: Vec<End>,
    /// The cursor.
    pub(super) advance: Option<Position>,
}

/// How a delivery ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was parked and succeeded.
    Unpark(Position),
    /// It goes to the dead letters.
    Bury { position: Position, attempt: u32, error: String },
}

impl Writes {
    pub(super) fn is_empty(&self) -> bool {
        self.park.is_empty() && self.end.is_empty() && self.advance.is_none()
    }

    /// Stores all of it. Parked before ended, and both before the cursor that passes over them.
    pub(super) async fn store(
        &self,
        log: &dyn EventLog,
        subscription: &SubscriptionKey,
    ) -> Result<(), LogError> {
        if !self.park.is_empty() {
            log.park(subscription, &self.park).await?;
        }
        for end in &self.end {
            match end {
                End::Unpark(position) => log.unpark(subscription, *position).await?,
                End::Bury { position, attempt, error } => {
                    log.bury(subscription, *position, *attempt, error).await?;
                }
            }
        }
        match self.advance {
            Some(cursor) => log.advance(subscription, cursor).await,
            None => Ok(()),
        }
    }

    /// Parks a delivery; what was to be stored of it before no longer matters.
    pub(super) fn park(&mut self, delivery: ParkedDelivery) {
        self.park.retain(|earlier| earlier.position != delivery.position);
        self.park.push(delivery);
    }

    /// Puts these before later ones, to be tried again.
    pub(super) fn followed_by(mut self, later: Self) -> Self {
        later.park.into_iter().for_each(|delivery| self.park(delivery));
        self.end.extend(later.end);
        self.advance = self.advance.max(later.advance);
        self
    }
}
