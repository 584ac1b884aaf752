//! How a process ended and why one failed, in words that a person can act on.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It exited by itself.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It is gone, and how is not known.
    Unknown,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(9) => f.write_str("killed by SIGKILL, perhaps for want of memory"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
            Self::Unknown => f.write_str("ended in a way that could not be read"),
        }
    }
}

/// The name of a signal that ends processes.
fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 16] = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (10, "SIGUSR1"),
        (11, "SIGSEGV"),
        (12, "SIGUSR2"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
        (31, "SIGSYS"),
    ];
    NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Why a handshake came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandshakeFault {
    /// The server refused the process, with this sentence.
    Refused(String),
    /// The process left, as this sentence says.
    Left(String),
    /// It took too long; this is how far it had come.
    TimedOut(String),
}

/// Why a process has to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no process: it could not be started.
    NotStarted(String),
    /// It ended before it had said Hello.
    EndedBeforeHello(Exit),
    /// The server refused it in the handshake.
    Refused {
        /// The sentence that it was sent.
        message: String,
        /// How it ended, if it did so by itself.
        exit: Option<Exit>,
    },
    /// It left during the handshake.
    Left {
        /// What was seen of that.
        message: String,
        /// How it ended, if it did so by itself.
        exit: Option<Exit>,
    },
    /// It was not ready in time.
    NotReadyAfter {
        /// How long it had.
        limit: Duration,
        /// How far it had come, in words.
        stage: Option<String>,
    },
    /// It ended while it was in service.
    Ended(Exit),
    /// Its session is over, and it kept running.
    SessionLost(Option<String>),
    /// It was silent for too long.
    Unresponsive(Duration),
    /// All of its slots have been held past their deadlines for too long.
    Hung(Duration),
}

impl Failure {
    /// The failure, once it is known that the process ended by itself.
    pub(crate) fn with_exit(self, ended: Exit) -> Self {
        match self {
            Self::SessionLost(_) => Self::Ended(ended),
            Self::Refused { message, exit: _ } => Self::Refused { message, exit: Some(ended) },
            Self::Left { message, exit: _ } => Self::Left { message, exit: Some(ended) },
            Self::NotStarted(_)
            | Self::EndedBeforeHello(_)
            | Self::NotReadyAfter { .. }
            | Self::Ended(_)
            | Self::Unresponsive(_)
            | Self::Hung(_) => self,
        }
    }

    /// Whether the last words on standard error are likely to say why.
    pub(crate) fn is_explained_by_stderr(&self) -> bool {
        match self {
            Self::EndedBeforeHello(_) | Self::Left { exit: Some(_), .. } | Self::Ended(_) => true,
            Self::NotStarted(_)
            | Self::Refused { .. }
            | Self::Left { exit: None, .. }
            | Self::NotReadyAfter { .. }
            | Self::SessionLost(_)
            | Self::Unresponsive(_)
            | Self::Hung(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::EndedBeforeHello(exit) => write!(f, "{exit} before it said Hello"),
            Self::Refused { message, exit: None } => write!(f, "was refused: {message}"),
            Self::Refused { message, exit: Some(exit) } => {
                write!(f, "was refused: {message} (then {exit})")
            }
            Self::Left { message, exit: None } => write!(f, "{message}, but kept running"),
            Self::Left { message: _, exit: Some(exit) } => write!(f, "{exit} before it was ready"),
            Self::NotReadyAfter { limit, stage: None } => {
                write!(f, "was not ready after {}", Span(*limit))
            }
            Self::NotReadyAfter { limit, stage: Some(stage) } => {
                write!(f, "was not ready after {}: {stage}", Span(*limit))
            }
            Self::Ended(exit) => write!(f, "{exit}"),
            Self::SessionLost(None) => f.write_str("ended its session but kept running"),
            Self::SessionLost(Some(why)) => {
                write!(f, "lost its session but kept running: {why}")
            }
            Self::Unresponsive(silence) => {
                write!(f, "did not answer heartbeats for {}", Span(*silence))
            }
            Self::Hung(held) => write!(
                f,
                "held all of its slots past their deadlines for {}; \
                 a handler seems to hang, or the extension needs more slots",
                Span(*held)
            ),
        }
    }
}

/// A length of time for people: whole seconds where it has any, milliseconds below.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        match (seconds, millis) {
            (0, millis) => write!(f, "{millis} ms"),
            (seconds, 0) if seconds % 60 == 0 => write!(f, "{} min", seconds / 60),
            (seconds, millis) if seconds >= 10 || millis < 100 => write!(f, "{seconds} s"),
            (seconds, millis) => write!(f, "{seconds}.{} s", millis / 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_reads_as_a_sentence() {
        assert_eq!(Exit::Code(3).to_string(), "exited with status 3");
        assert_eq!(Exit::Signal(11).to_string(), "killed by SIGSEGV");
        assert_eq!(Exit::Signal(40).to_string(), "killed by signal 40");
        assert_eq!(
            Failure::EndedBeforeHello(Exit::Code(3)).to_string(),
            "exited with status 3 before it said Hello"
        );
    }

    #[test]
    fn a_lost_session_is_explained_by_the_exit_that_follows() {
        let lost = Failure::SessionLost(Some("end of stream".to_owned()));
        assert_eq!(lost.with_exit(Exit::Signal(6)), Failure::Ended(Exit::Signal(6)));
    }

    #[test]
    fn spans_are_short() {
        for (millis, text) in [
            (80, "80 ms"),
            (1_500, "1.5 s"),
            (30_000, "30 s"),
            (31_400, "31 s"),
            (120_000, "2 min"),
        ] {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
