//! Ctrl-C and SIGTERM: the first asks for a stop, the second ends at once. SIGHUP: read certificates
//! again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a server.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

/// SIGHUP: read again what can change while running.
#[derive(Debug)]
pub(crate) struct ReloadSignal(Signal);

impl ReloadSignal {
    /// From here on the signal doesn't end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Resolves at the next one.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // There won't be another; the caller waits for other things as well.
            std::future::pending::<()>().await;
        }
    }
}

impl StopSignals {
    /// From here on the signals don't end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next signal's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
