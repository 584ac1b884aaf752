//! Runs a tool in a process group of its own, with a time limit, and keeps its last lines.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::work::Work;

/// How many of a tool's last lines an error shows.
const TAIL_LINES: usize = 20;
/// The longest line that is kept; the rest of it is a line of its own.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// The most standard output that is kept for the caller.
const OUTPUT_BYTES_MAX: usize = 32 << 20;
/// How long output is still read after the tool ended; something that it started may hold the pipe.
const LINGER: Duration = Duration::from_millis(500);

/// A tool that didn't do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It isn't there.
    #[error("the program {program:?} was not found; install it and try again")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// It couldn't be started.
    #[error("{program:?} could not be started")]
    Spawn {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It said no.
    #[error("{program:?} failed ({status}){}", tail_text(.tail))]
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It took too long and was killed.
    #[error("{program:?} took longer than {} s and was stopped{}", .limit.as_secs(), tail_text(.tail))]
    TimedOut {
        /// Its name.
        program: String,
        /// The limit.
        limit: Duration,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// Somebody stopped the whole operation.
    #[error("stopped")]
    Stopped,
}

fn tail_text(tail: &[String]) -> String {
    tail.iter().flat_map(|line| ["\n    ", line]).collect()
}

/// A tool to run.
pub(crate) struct Tool {
    program: OsString,
    command: Command,
    limit: Duration,
}

impl Tool {
    /// A program, with this process's environment less the server's own variables.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program.as_ref());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TINYBASE_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        Self { program: program.as_ref().to_owned(), command, limit: Duration::from_mins(2) }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end and returns its standard output.
    pub(crate) fn run(mut self, work: &Work<'_>) -> Result<String, CommandError> {
        let program = self.program.to_string_lossy().into_owned();
        let spawn_error = |source| CommandError::Spawn { program: program.clone(), source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(spawn_error)?;
        runtime.block_on(async {
            let mut child = self.command.spawn().map_err(|source| {
                if source.kind() == std::io::ErrorKind::NotFound {
                    CommandError::NotFound { program: program.clone() }
                } else {
                    spawn_error(source)
                }
            })?;
            let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            let mut output = Output::default();
            let ended = tokio::select! {
                () = work.stop().cancelled() => Err(CommandError::Stopped),
                ended = tokio::time::timeout(self.limit, output.follow(&mut child, work)) => {
                    ended.map_err(|_| CommandError::TimedOut {
                        program: program.clone(),
                        limit: self.limit,
                        tail: Vec::new(),
                    })
                }
            };
            if ended.is_err() {
                end(group, &mut child).await;
            }
            let status = match ended {
                Ok(status) => status.map_err(spawn_error)?,
                Err(CommandError::TimedOut { program, limit, .. }) => {
                    return Err(CommandError::TimedOut { program, limit, tail: output.tail() });
                }
                Err(other) => return Err(other),
            };
            if status.success() {
                return Ok(String::from_utf8_lossy(&output.kept).into_owned());
            }
            Err(CommandError::Failed { program: program.clone(), status, tail: output.tail() })
        })
    }
}

/// Kills the tool with everything that it started, and reaps it.
async fn end(group: Option<Pid>, child: &mut Child) {
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::debug!(%error, "a tool's process group could not be killed");
    }
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "a tool could not be killed");
    }
}

/// What a tool has written so far.
#[derive(Default)]
struct Output {
    kept: Vec<u8>,
    tail: VecDeque<String>,
}

impl Output {
    fn tail(&mut self) -> Vec<String> {
        self.tail.drain(..).collect()
    }

    /// Reads until the process has ended; what then is still in the pipes is read for a moment.
    async fn follow(&mut self, child: &mut Child, work: &Work<'_>) -> std::io::Result<ExitStatus> {
        let (mut stdout, mut stderr) =
            (Lines::new(child.stdout.take()), Lines::new(child.stderr.take()));
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                line = stdout.next(), if !stdout.ended => self.take(line, true, work),
                line = stderr.next(), if !stderr.ended => self.take(line, false, work),
            }
        };
        let rest = async {
            while !(stdout.ended && stderr.ended) {
                tokio::select! {
                    line = stdout.next(), if !stdout.ended => self.take(line, true, work),
                    line = stderr.next(), if !stderr.ended => self.take(line, false, work),
                }
            }
        };
        drop(tokio::time::timeout(LINGER, rest).await);
        Ok(status)
    }

    fn take(&mut self, line: Option<Vec<u8>>, keep: bool, work: &Work<'_>) {
        let Some(line) = line else { return };
        if keep && self.kept.len() + line.len() <= OUTPUT_BYTES_MAX {
            self.kept.extend_from_slice(&line);
        }
        let text = String::from_utf8_lossy(&line);
        // Progress bars rewrite their line; only what stands last is worth showing. JSON is for
        // programs, not for people.
        let text = text.trim_end().rsplit('\r').next().unwrap_or_default();
        if text.trim().is_empty() || text.starts_with("{\"") {
            return;
        }
        work.report(text);
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(text.chars().take(400).collect());
    }
}

/// The lines of a pipe. Dropping [`Lines::next`] loses nothing: the line so far stays here.
struct Lines<R> {
    reader: Option<BufReader<R>>,
    line: Vec<u8>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(pipe: Option<R>) -> Self {
        Self { ended: pipe.is_none(), reader: pipe.map(BufReader::new), line: Vec::new() }
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        let reader = self.reader.as_mut()?;
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len() as u64);
        match reader.take(room).read_until(b'\n', &mut self.line).await {
            Ok(0) | Err(_) if room > 0 => self.ended = true,
            Ok(_) | Err(_) => {}
        }
        let line = std::mem::take(&mut self.line);
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    fn shell(script: &str) -> Tool {
        Tool::new("sh").arg("-c").arg(script)
    }

    #[test]
    fn the_output_is_returned_and_the_last_lines_are_in_the_error() {
        let work = Work::new(&|_| {}, CancellationToken::new());
        assert_eq!(shell("echo out; echo err >&2").run(&work).expect("it ran"), "out\n");
        let error = shell("echo first; echo 'no such thing' >&2; exit 3").run(&work);
        let text = error.expect_err("it failed").to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("\n    no such thing"), "{text}");
    }

    #[test]
    fn a_tool_that_takes_too_long_is_killed_with_what_it_started() {
        let pid = std::sync::Mutex::new(String::new());
        let report = |line: &str| pid.lock().expect("one thread").push_str(line);
        let work = Work::new(&report, CancellationToken::new());
        let tool = shell("sleep 600 & echo $!; wait").limit(Duration::from_millis(500));
        let text = tool.run(&work).expect_err("too long").to_string();
        let pid = pid.lock().expect("one thread").clone();
        assert!(text.contains("took longer") && text.contains(&pid), "{text}");
        // Nobody may reap it here, and then it stays as a zombie.
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !(state().is_empty() || state().contains(") Z ")) {
            assert!(tokio::time::Instant::now() < deadline, "{}", state());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_delays_nobody() {
        let work = Work::new(&|_| {}, CancellationToken::new());
        let output = shell("echo done; sleep 5 & exit 0").limit(Duration::from_mins(1));
        assert_eq!(output.run(&work).expect("it ran"), "done\n");
    }

    #[test]
    fn a_missing_tool_is_named() {
        let work = Work::new(&|_| {}, CancellationToken::new());
        let error = Tool::new("no-such-tool-here").run(&work).expect_err("missing");
        assert_eq!(
            error.to_string(),
            r#"the program "no-such-tool-here" was not found; install it and try again"#
        );
    }

    #[test]
    fn a_stopped_operation_ends_the_tool() {
        let stop = CancellationToken::new();
        stop.cancel();
        let error = shell("sleep 600").run(&Work::new(&|_| {}, stop)).expect_err("stopped");
        assert!(matches!(error, CommandError::Stopped));
    }
}
