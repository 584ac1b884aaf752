//! What a round trip to an extension costs, against the least that it could.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

use crate::host::Host;
use crate::measure::{Latency, median};
use crate::process::Process;
use crate::python::{self, SdkPython};
use crate::raw::Raw;
use crate::report::{Goal, Report};
use crate::unary::Unary;
use crate::{rust_extension, start};

/// How often everything is measured, in turn. The middle one counts.
const ROUNDS: usize = 5;
/// The base of times.
const BARE: &str = "bare ping-pong";

/// Everything that is measured; each has processes of its own.
struct Subjects {
    raw: Raw,
    unary: Unary,
    rust: Host,
    rust_threads: Host,
    python: Result<PythonSubjects>,
    grpcio: Result<Unary>,
}

struct PythonSubjects {
    sdk: SdkPython,
    host: Host,
    host_threads: Host,
}

/// What came out, one of each for each round.
#[derive(Default)]
struct Results {
    raw: Vec<Latency>,
    unary: Numbers,
    rust: Numbers,
    rust_threads: Numbers,
    python: Numbers,
    python_threads: Numbers,
    grpcio: Numbers,
}

#[derive(Default)]
struct Numbers {
    lone: Vec<Latency>,
    rate: Vec<f64>,
}

impl Numbers {
    fn unary(&mut self, unary: &Unary) -> Result<()> {
        self.lone.push(unary.lone()?);
        self.rate.push(unary.rate()?);
        Ok(())
    }

    fn host(&mut self, host: &Host) -> Result<()> {
        self.lone.push(host.lone()?);
        self.rate.push(host.rate()?);
        Ok(())
    }

    fn latency(&self) -> Result<Latency> {
        middle(&self.lone)
    }

    fn rate(&self) -> Result<f64> {
        median(self.rate.clone(), f64::total_cmp).context("nothing was measured")
    }
}

/// Measures everything and reports it.
///
/// # Errors
/// If something fails that isn't merely absent.
pub fn run(folder: &Path) -> Result<Report> {
    let mut subjects = Subjects::start(folder)?;
    let mut results = Results::default();
    for _ in 0..ROUNDS {
        subjects.measure(&mut results)?;
    }
    let mut report = Report::default();
    results.report_rust(&mut report)?;
    let base = middle(&results.raw)?.p50;
    match &subjects.python {
        Ok(python) => {
            results.report_python(base, &mut report)?;
            let (nothing, ready) = start::python(&python.sdk, folder)?;
            report.time(
                "Python extension, from spawn to ready",
                (ready, None),
                ("python3 -c pass", nothing),
                Goal::AtMost(3.0),
            );
        }
        Err(error) => report.leave_out("the Python extension", error),
    }
    match (&subjects.python, &subjects.grpcio) {
        (_, Err(error)) => report.leave_out("grpcio", error),
        (python, Ok(_)) => results.report_grpcio(base, python.is_ok(), &mut report)?,
    }
    Ok(report)
}

impl Subjects {
    fn start(folder: &Path) -> Result<Self> {
        let raw = one_thread()?.block_on(Raw::start(folder))?;
        let unary = Unary::rust(folder)?;
        let extension = || Process::role(rust_extension::ROLE);
        let rust = Host::start(one_thread()?, &folder.join("rust.sock"), &mut extension()?)?;
        let rust_threads =
            Host::start(two_threads()?, &folder.join("rust2.sock"), &mut extension()?)?;
        let python = SdkPython::find(folder).and_then(|sdk| PythonSubjects::start(sdk, folder));
        let grpcio = python::with_grpcio().and_then(|python| Unary::python(&python, folder));
        Ok(Self { raw, unary, rust, rust_threads, python, grpcio })
    }

    fn measure(&mut self, results: &mut Results) -> Result<()> {
        results.raw.push(self.raw.lone()?);
        results.unary.unary(&self.unary)?;
        results.rust.host(&self.rust)?;
        results.rust_threads.host(&self.rust_threads)?;
        if let Ok(python) = &self.python {
            results.python.host(&python.host)?;
            results.python_threads.host(&python.host_threads)?;
        }
        if let Ok(grpcio) = &self.grpcio {
            results.grpcio.unary(grpcio)?;
        }
        Ok(())
    }
}

impl PythonSubjects {
    fn start(sdk: SdkPython, folder: &Path) -> Result<Self> {
        let host = Host::start(one_thread()?, &folder.join("py.sock"), &mut sdk.extension())?;
        let host_threads =
            Host::start(two_threads()?, &folder.join("py2.sock"), &mut sdk.extension())?;
        Ok(Self { sdk, host, host_threads })
    }
}

impl Results {
    fn report_rust(&self, report: &mut Report) -> Result<()> {
        let raw = middle(&self.raw)?;
        let base = (BARE, raw.p50);
        report.time("bare blocking Unix socket, 64 bytes", both(raw), base, Goal::None);
        let unary = self.unary.latency()?;
        report.time("unary tonic call, alone", both(unary), base, Goal::None);
        let rust = self.rust.latency()?;
        report.time("Rust hook, alone, host on one thread", both(rust), base, Goal::AtMost(4.0));
        let threads = self.rust_threads.latency()?;
        report.time("Rust hook, alone, host on two threads", both(threads), base, Goal::None);
        let base = ("unary tonic", self.unary.rate()?);
        report.rate("unary tonic calls, 64 in flight", self.unary.rate()?, base, Goal::None);
        let rate = self.rust.rate()?;
        report.rate("Rust hooks, 64 in flight, one thread", rate, base, Goal::AtLeast(12.0));
        let rate = self.rust_threads.rate()?;
        report.rate("Rust hooks, 64 in flight, two threads", rate, base, Goal::None);
        Ok(())
    }

    fn report_python(&self, base: Duration, report: &mut Report) -> Result<()> {
        let base = (BARE, base);
        let lone = both(self.python.latency()?);
        report.time("Python hook, alone, host on one thread", lone, base, Goal::AtMost(6.0));
        let lone = both(self.python_threads.latency()?);
        report.time("Python hook, alone, host on two threads", lone, base, Goal::None);
        Ok(())
    }

    fn report_grpcio(&self, base: Duration, python: bool, report: &mut Report) -> Result<()> {
        let lone = both(self.grpcio.latency()?);
        report.time("unary grpcio call, alone", lone, (BARE, base), Goal::None);
        let base = ("unary grpcio", self.grpcio.rate()?);
        report.rate("unary grpcio calls, 64 in flight", self.grpcio.rate()?, base, Goal::None);
        if python {
            let rate = self.python.rate()?;
            report.rate("Python hooks, 64 in flight, one thread", rate, base, Goal::AtLeast(60.0));
            let rate = self.python_threads.rate()?;
            report.rate("Python hooks, 64 in flight, two threads", rate, base, Goal::None);
        }
        Ok(())
    }
}

fn both(latency: Latency) -> (Duration, Option<Duration>) {
    (latency.p50, Some(latency.p99))
}

fn middle(latencies: &[Latency]) -> Result<Latency> {
    let by_p50 = |a: &Latency, b: &Latency| a.p50.cmp(&b.p50);
    median(latencies.to_vec(), by_p50).context("nothing was measured")
}

fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn two_threads() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
