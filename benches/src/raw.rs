//! The least that two processes can do: 64 bytes over a blocking Unix socket, and back.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::measure::{Latency, lone_blocking};
use crate::process::Process;

/// What goes over the socket.
const PAYLOAD: [u8; 64] = [b'x'; 64];

/// The role of the echoing process.
pub const ROLE: &str = "echo";

/// Echoes for each connection in turn.
///
/// # Errors
/// If the socket can't be bound.
pub fn serve(socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket).context("failed to bind the echo's socket")?;
    let mut payload = PAYLOAD;
    loop {
        let (mut stream, _) = listener.accept()?;
        while stream.read_exact(&mut payload).is_ok() {
            if stream.write_all(&payload).is_err() {
                break;
            }
        }
    }
}

/// A connection to an echoing process.
#[derive(Debug)]
pub struct Raw {
    stream: UnixStream,
    _process: Process,
}

impl Raw {
    /// Starts the process and connects.
    ///
    /// # Errors
    /// If either fails.
    pub async fn start(folder: &Path) -> Result<Self> {
        let socket = folder.join("echo.sock");
        let mut process = Process::start(Process::role(ROLE)?.arg(&socket))?;
        process.listens(&socket).await?;
        Ok(Self { stream: UnixStream::connect(&socket)?, _process: process })
    }

    /// Measures round trips.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn lone(&mut self) -> Result<Latency> {
        let mut answer = PAYLOAD;
        lone_blocking(|| {
            self.stream.write_all(&PAYLOAD)?;
            Ok(self.stream.read_exact(&mut answer)?)
        })
    }
}
