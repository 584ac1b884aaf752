//! The numbers of the instance: how many records, and how functions have gone.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;
use tinybase_model::Identity;
use tinybase_store::{CallCounts, CollectionSize, StoreError, now};
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::problem::{Kind, Problem};

/// How far back calls are counted.
const LOOK_BACK: Duration = Duration::from_hours(24);
/// For how long numbers are given out again at least.
const AGE_MIN: Duration = Duration::from_secs(1);
/// How often longer than their collection they are given out again: whoever keeps asking costs the
/// database one part in this many.
const COST_SHARE: u32 = 20;
/// A tick of the settings' intervals.
const TICK: Duration = Duration::from_secs(5);

/// The numbers of the instance at one time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MetricsSummary {
    /// How many records each collection has, by name.
    pub collection_sizes: Vec<CollectionRecords>,
    /// How each function went in the last 24 hours, by name.
    pub function_stats: Vec<FunctionStats>,
    /// When this was counted.
    pub collected_at: Timestamp,
}

/// How many records a collection has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CollectionRecords {
    /// The collection.
    pub collection_name: String,
    /// How many.
    pub record_count: u64,
}

/// How a function went.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FunctionStats {
    /// The function.
    pub function_name: String,
    /// How long its calls took.
    pub avg_runtime_ms: Option<f64>,
    /// How many of its calls that ended failed, in percent.
    pub error_rate: f64,
    /// How many calls there were.
    pub total_calls: u64,
}

/// Why there are no numbers.
#[derive(Debug, Clone, Error)]
pub enum MetricsError {
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for MetricsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// The last numbers. Whoever finds them too old counts anew, and the others wait for that.
#[derive(Debug, Default)]
pub(crate) struct LastMetrics(Mutex<Option<Counted>>);

#[derive(Debug, Clone)]
struct Counted {
    summary: MetricsSummary,
    fresh_until: Instant,
}

impl Core {
    /// The numbers of the instance; administrators only. They are counted anew if they are old:
    /// the longer that takes, the longer the last ones do.
    ///
    /// # Errors
    /// If it isn't one, or the database can't be read.
    pub async fn metrics(&self, identity: &Identity) -> Result<MetricsSummary, MetricsError> {
        authorize_admin(identity)?;
        let mut last = self.inner.metrics.0.lock().await;
        if let Some(counted) = last.as_ref().filter(|last| Instant::now() < last.fresh_until) {
            return Ok(counted.summary.clone());
        }
        let begun = Instant::now();
        let store = &self.inner.store;
        let sizes = store.collection_sizes().await?;
        let calls = store.call_counts(now() - LOOK_BACK).await?;
        let summary = MetricsSummary {
            collection_sizes: sizes.into_iter().map(Into::into).collect(),
            function_stats: calls.into_iter().map(Into::into).collect(),
            collected_at: now(),
        };
        let interval = TICK * self.settings().jobs.metrics_collection_interval;
        let age = (begun.elapsed() * COST_SHARE).clamp(AGE_MIN, interval.max(AGE_MIN));
        let counted = Counted { summary: summary.clone(), fresh_until: Instant::now() + age };
        *last = Some(counted);
        Ok(summary)
    }
}

impl From<CollectionSize> for CollectionRecords {
    fn from(size: CollectionSize) -> Self {
        Self { collection_name: size.name, record_count: size.records }
    }
}

impl From<CallCounts> for FunctionStats {
    fn from(counts: CallCounts) -> Self {
        let ended = counts.succeeded + counts.failed;
        #[expect(clippy::cast_precision_loss, reason = "a percentage of less than 2^53 calls")]
        let error_rate = if ended == 0 { 0.0 } else { counts.failed as f64 * 100.0 / ended as f64 };
        Self {
            function_name: counts.function_name,
            avg_runtime_ms: counts.avg_duration_ms,
            error_rate,
            total_calls: counts.total,
        }
    }
}
