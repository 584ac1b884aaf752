//! The activity log: who did what, for administrators to read.

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{Cause, Identity};
use tinybase_store::{Activity, ActivityQuery, Deed, NewActivity, StoreError, now};

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::problem::{Kind, Problem};

/// How long activities are kept.
const KEPT_FOR: Duration = Duration::from_hours(90 * 24);
/// How many activities are kept.
const KEPT: u32 = 100_000;

/// A part of the activity log.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityPage {
    /// The activities, the newest first.
    pub activities: Vec<Activity>,
    /// How many there are without limit and offset.
    pub total: u64,
}

/// Why the activity log wasn't read.
#[derive(Debug, Clone, Error)]
pub enum ActivityError {
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for ActivityError {
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

impl Core {
    /// Notes in the activity log that something was done. It costs the caller nothing, and never
    /// fails: what was done has been done.
    ///
    /// What is an event (`user.login`, `record.create`, …) is noted by the event itself.
    pub fn note(&self, cause: &Cause, action: &str, resource_type: &str, resource_id: &str) {
        let deed = Deed {
            action,
            resource_type: Some(resource_type),
            resource_id: Some(resource_id),
            ..Deed::default()
        };
        self.note_deed(cause, deed);
    }

    /// The same, with more about it.
    pub fn note_with(
        &self,
        cause: &Cause,
        action: &str,
        resource: (&str, &str),
        metadata: &Map<String, Value>,
    ) {
        let deed = Deed {
            action,
            resource_type: Some(resource.0),
            resource_id: Some(resource.1),
            user_id: None,
            metadata: Some(metadata),
        };
        self.note_deed(cause, deed);
    }

    /// Notes something in every detail.
    pub(crate) fn note_deed(&self, cause: &Cause, deed: Deed<'_>) {
        let activity = NewActivity::new(deed, cause, now());
        if let Err(error) = self.inner.store.note_activity(activity) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, action = deed.action, "an activity could not be noted");
        }
    }

    /// A part of the activity log, the newest first; administrators only.
    ///
    /// # Errors
    /// If it isn't one, or the database can't be read.
    pub async fn activities(
        &self,
        identity: &Identity,
        query: &ActivityQuery,
    ) -> Result<ActivityPage, ActivityError> {
        authorize_admin(identity)?;
        let (activities, total) = self.inner.store.activities(query).await?;
        Ok(ActivityPage { activities, total })
    }

    /// Deletes activities that are too old or too many.
    pub(crate) async fn clean_up_activities(&self, limit: u32) -> Result<(), StoreError> {
        let before = now() - KEPT_FOR;
        let store = &self.inner.store;
        while store.clean_up_activities(before, KEPT, limit).await? == u64::from(limit) {}
        Ok(())
    }
}
