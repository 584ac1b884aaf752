//! Reads a process's standard output and standard error for as long as it lives, and not longer.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tinybase_model::LogSource;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Log;
use super::lines::LineSplitter;
use super::rate::REPORT_INTERVAL;

const CHUNK_BYTES: usize = 16 << 10;

/// The two pipes of a process, being read.
#[derive(Debug)]
pub(crate) struct Pipes {
    readers: JoinSet<()>,
    stop: CancellationToken,
}

impl Pipes {
    /// Begins to read. A pipe that can't be read is reported in the log.
    pub(crate) fn read(outputs: [(LogSource, Option<OwnedFd>); 2], log: &Arc<Log>) -> Self {
        let mut pipes = Self { readers: JoinSet::new(), stop: CancellationToken::new() };
        for (source, fd) in outputs {
            let Some(fd) = fd else { continue };
            match Receiver::from_owned_fd(fd) {
                Ok(receiver) => {
                    let (log, stop) = (Arc::clone(log), pipes.stop.clone());
                    pipes.readers.spawn(read(receiver, source, log, stop));
                }
                Err(error) => log.note(
                    tinybase_model::LogLevel::Error,
                    format!("what it writes can't be read: {error}"),
                ),
            }
        }
        pipes
    }

    /// Reads what is left, for a short while: a grandchild may hold the other end for ever.
    pub(crate) async fn finish(mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while let Ok(Some(_)) = timeout_at(deadline, self.readers.join_next()).await {}
        self.stop.cancel();
        while self.readers.join_next().await.is_some() {}
    }
}

async fn read(mut pipe: Receiver, source: LogSource, log: Arc<Log>, stop: CancellationToken) {
    let mut splitter = LineSplitter::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        // Both arms are cancel-safe: a read that isn't ready has taken nothing.
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            read = timeout(REPORT_INTERVAL, pipe.read(&mut chunk)) => read,
        };
        match read {
            // Nothing new: the moment to tell what was dropped before.
            Err(_) => log.report_dropped(),
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(length)) => {
                splitter.push(&chunk[..length], |line| log.take_output(source, line));
            }
        }
    }
    splitter.finish(|line| log.take_output(source, line));
    log.report_dropped();
}
