//! What a round trip to an extension costs, against the least that it could.

use std::path::Path;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

use crate::host::Host;
use crate::measure::{Latency, Rate};
use crate::process::Process;
use crate::python::{self, SdkPython};
use crate::raw::Raw;
use crate::report::{Goal, Measured, Report};
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
    rate: Vec<Rate>,
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

    const fn alone(&self) -> Measured<'_> {
        Measured::Alone(self.lone.as_slice())
    }

    const fn together(&self) -> Measured<'_> {
        Measured::Together(self.rate.as_slice())
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
    let mut report = Report::new();
    results.report_rust(&mut report);
    match &subjects.python {
        Ok(python) => {
            results.report_python(&mut report);
            let (nothing, ready) = start::python(&python.sdk, folder)?;
            let base = ("python3 -c pass", Measured::Once(nothing).value());
            let ready = Measured::Once(ready);
            report.add("Python extension, spawn to ready", &ready, base, Goal::AtMost(3.0));
        }
        Err(error) => report.leave_out("the Python extension", error),
    }
    match (&subjects.python, &subjects.grpcio) {
        (_, Err(error)) => report.leave_out("grpcio", error),
        (python, Ok(_)) => results.report_grpcio(python.is_ok(), &mut report),
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
    fn bare(&self) -> (&'static str, f64) {
        (BARE, Measured::Alone(&self.raw).value())
    }

    fn report_rust(&self, report: &mut Report) {
        let bare = self.bare();
        report.add("bare Unix socket, 64 bytes", &Measured::Alone(&self.raw), bare, Goal::None);
        report.add("unary tonic, alone", &self.unary.alone(), bare, Goal::None);
        let goal = Goal::AtMost(4.0);
        report.add("Rust hook, alone, one host thread", &self.rust.alone(), bare, goal);
        let threads = &self.rust_threads;
        report.add("Rust hook, alone, two host threads", &threads.alone(), bare, Goal::None);
        let unary = ("unary tonic", self.unary.together().value());
        report.add("unary tonic, 64 in flight", &self.unary.together(), unary, Goal::None);
        let goal = Goal::AtLeast(12.0);
        report.add("Rust hooks, 64 in flight, one thread", &self.rust.together(), unary, goal);
        report.add("Rust hooks, 64 in flight, two threads", &threads.together(), unary, Goal::None);
    }

    fn report_python(&self, report: &mut Report) {
        let (bare, goal) = (self.bare(), Goal::AtMost(6.0));
        report.add("Python hook, alone, one host thread", &self.python.alone(), bare, goal);
        let threads = &self.python_threads;
        report.add("Python hook, alone, two host threads", &threads.alone(), bare, Goal::None);
    }

    fn report_grpcio(&self, python: bool, report: &mut Report) {
        report.add("unary grpcio, alone", &self.grpcio.alone(), self.bare(), Goal::None);
        let base = ("unary grpcio", self.grpcio.together().value());
        report.add("unary grpcio, 64 in flight", &self.grpcio.together(), base, Goal::None);
        if python {
            let (one, two) = (self.python.together(), self.python_threads.together());
            let goal = Goal::AtLeast(60.0);
            report.add("Python hooks, 64 in flight, one thread", &one, base, goal);
            report.add("Python hooks, 64 in flight, two threads", &two, base, Goal::None);
        }
    }
}

fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn two_threads() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
