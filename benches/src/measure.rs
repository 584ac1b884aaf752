//! Times of calls one at a time, and rates with many in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many calls are in flight when a rate is measured.
pub const IN_FLIGHT: usize = 64;
/// Calls before a measurement that aren't counted.
const WARM_UP: Duration = Duration::from_millis(150);
/// How long one measurement takes.
const MEASURED: Duration = Duration::from_millis(600);

/// Times of calls that were made one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of the calls took at most this long.
    pub p50: Duration,
    /// All but a hundredth took at most this long.
    pub p99: Duration,
    /// The time of all calls together over their number: a second way to the same truth.
    pub mean: Duration,
}

/// How fast calls went through, and what they cost. Processor time tells the truth on a machine
/// that does other things too, where the rate doesn't.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Calls a second.
    pub calls: f64,
    /// Processor time of the host for one call.
    pub host_cpu: Duration,
    /// Processor time of the extension for one call.
    pub extension_cpu: Duration,
}

/// Sums up times.
pub fn latency(mut times: Vec<Duration>) -> Latency {
    times.sort_unstable();
    let at = |share: usize| {
        times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default()
    };
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
    Latency { p50: at(50), p99: at(99), mean: times.iter().sum::<Duration>() / count }
}

/// Makes calls one at a time, each when the one before has ended.
///
/// # Errors
/// If a call fails.
pub async fn lone(mut call: impl AsyncFnMut() -> Result<()>) -> Result<Latency> {
    let mut times = Vec::with_capacity(1 << 16);
    let warm = Instant::now() + WARM_UP;
    while Instant::now() < warm {
        call().await?;
    }
    let end = Instant::now() + MEASURED;
    let mut before = Instant::now();
    while before < end {
        call().await?;
        let after = Instant::now();
        times.push(after - before);
        before = after;
    }
    Ok(latency(times))
}

/// The same for calls that block the thread.
///
/// # Errors
/// If a call fails.
pub fn lone_blocking(mut call: impl FnMut() -> Result<()>) -> Result<Latency> {
    let mut times = Vec::with_capacity(1 << 17);
    let warm = Instant::now() + WARM_UP;
    while Instant::now() < warm {
        call()?;
    }
    let end = Instant::now() + MEASURED;
    let mut before = Instant::now();
    while before < end {
        call()?;
        let after = Instant::now();
        times.push(after - before);
        before = after;
    }
    Ok(latency(times))
}

/// Keeps [`IN_FLIGHT`] callers of a process busy.
///
/// # Errors
/// If a call fails.
pub async fn rate<C, F>(process: u32, caller: impl Fn() -> C) -> Result<Rate>
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (mut call, stop, calls) = (caller(), Arc::clone(&stop), Arc::clone(&calls));
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                call().await?;
                calls.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (began, before) = (Instant::now(), calls.load(Ordering::Relaxed));
    let (host, extension) = (cpu_time(std::process::id())?, cpu_time(process)?);
    tokio::time::sleep(MEASURED).await;
    let (took, made) = (began.elapsed(), calls.load(Ordering::Relaxed) - before);
    let host = cpu_time(std::process::id())?.saturating_sub(host);
    let extension = cpu_time(process)?.saturating_sub(extension);
    stop.store(true, Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let made = u32::try_from(made)?.max(1);
    let calls = f64::from(made) / took.as_secs_f64();
    Ok(Rate { calls, host_cpu: host / made, extension_cpu: extension / made })
}

/// The processor time that all threads of a process have used.
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    let mut total = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let used = times.split_ascii_whitespace().next().unwrap_or_default();
        total += used.parse::<u64>().context("schedstat begins with a number")?;
    }
    Ok(Duration::from_nanos(total))
}

/// The middle one.
pub fn median<T: Copy>(
    mut values: Vec<T>,
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Option<T> {
    values.sort_by(compare);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_micros).collect();
        let latency = latency(times);
        assert_eq!(latency.p50, Duration::from_micros(51));
        assert_eq!(latency.p99, Duration::from_micros(100));
        assert_eq!(super::latency(Vec::new()).p50, Duration::ZERO);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![5, 1, 3], Ord::cmp), Some(3));
        assert_eq!(median(Vec::<u8>::new(), Ord::cmp), None);
    }
}
