//! The section `[functions]`: results of calls, how long and how many of them are kept.

use std::time::Duration;

use tinybase_core::CallOptions;
use tinybase_model::Limits;

use super::ConfigError;
use super::setting::Settings;

/// The longest time that anything is kept.
const KEPT_FOR_MAX: Duration = Duration::from_hours(24 * 3660);
/// 1 TiB.
const BYTES_MAX: i64 = 1 << 40;

pub(super) fn call_options(functions: &Settings<'_>) -> Result<CallOptions, ConfigError> {
    let usual = CallOptions::default();
    // What one message carries from an extension.
    let body = i64::try_from(Limits::default().body_bytes_max).unwrap_or(i64::MAX);
    let kept = |key, usual: Duration| {
        let time = functions.duration(key, Duration::from_secs(1)..=KEPT_FOR_MAX)?;
        Ok::<_, ConfigError>(time.unwrap_or(usual))
    };
    let bytes = |key, usual: u64| {
        Ok::<_, ConfigError>(functions.number(key, 1 << 10..=BYTES_MAX)?.unwrap_or(usual))
    };
    Ok(CallOptions {
        result_bytes_max: functions
            .number("result_bytes_max", 1 << 10..=body)?
            .unwrap_or(usual.result_bytes_max),
        stream_bytes_max: bytes("stream_bytes_max", usual.stream_bytes_max)?,
        stream_chunks_max: functions
            .number("stream_chunks_max", 1..=i64::from(u32::MAX))?
            .unwrap_or(usual.stream_chunks_max),
        async_max: functions.number("async_calls_max", 1..=100_000)?.unwrap_or(usual.async_max),
        result_retention: kept("result_retention", usual.result_retention)?,
        results_bytes_max: bytes("results_bytes_max", usual.results_bytes_max)?,
        record_retention: kept("call_retention", usual.record_retention)?,
        records_max: functions
            .number("calls_max", 1..=i64::from(u32::MAX))?
            .unwrap_or(usual.records_max),
    })
}
