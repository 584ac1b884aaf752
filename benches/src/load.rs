//! Keeps connections to an HTTP server busy with requests that were written beforehand.
//!
//! Client and server share the processors, so the client does as little as it can: a request is bytes,
//! and of an answer only the status and the length are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::measure::{cpu_time, latency};

/// Requests before a measurement that aren't counted.
const WARM_UP: Duration = Duration::from_millis(400);
/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What is sent, again and again.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where to.
    pub address: String,
    /// The requests, in turn; each connection begins at another one.
    pub requests: Arc<[Bytes]>,
    /// The status that each answer has to have.
    pub status: u16,
    /// How many connections.
    pub connections: usize,
    /// How long.
    pub measured: Duration,
    /// The server's process.
    pub process: u32,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Answers a second.
    pub rate: f64,
    /// Half of the answers took at most this long.
    pub p50: Duration,
    /// All but a hundredth took at most this long.
    pub p99: Duration,
    /// Processor time of the server for one answer.
    pub cpu: Duration,
}

impl Load {
    /// Sends until the time is over.
    ///
    /// # Errors
    /// If an answer is missing or has another status.
    pub async fn run(&self) -> Result<Sample> {
        let stop = Arc::new(AtomicBool::new(false));
        let counting = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..self.connections {
            let mut connection = RawConnection::open(&self.address).await?;
            let (load, stop, counting) = (self.clone(), Arc::clone(&stop), Arc::clone(&counting));
            clients.spawn(async move {
                let mut times = Vec::with_capacity(1 << 14);
                let first = number * load.requests.len() / load.connections;
                for request in load.requests.iter().cycle().skip(first) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let began = Instant::now();
                    let answer = connection.send(request).await?;
                    if answer.status != load.status {
                        let text = String::from_utf8_lossy(&answer.body);
                        bail!("{} instead of {}: {text}", answer.status, load.status);
                    }
                    if counting.load(Ordering::Relaxed) {
                        times.push(began.elapsed());
                    }
                }
                anyhow::Ok(times)
            });
        }
        tokio::time::sleep(WARM_UP).await;
        counting.store(true, Ordering::Relaxed);
        let (began, cpu) = (Instant::now(), cpu_time(self.process)?);
        tokio::time::sleep(self.measured).await;
        let (took, cpu) = (began.elapsed(), cpu_time(self.process)?.saturating_sub(cpu));
        stop.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        while let Some(client) = clients.join_next().await {
            times.append(&mut client??);
        }
        let count = u32::try_from(times.len())?.max(1);
        let latency = latency(times);
        let rate = f64::from(count) / took.as_secs_f64();
        Ok(Sample { rate, p50: latency.p50, p99: latency.p99, cpu: cpu / count })
    }
}

/// An answer, as far as a benchmark reads it.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body; with its chunks' frames if it came in chunks.
    pub body: Vec<u8>,
}

/// A connection that sends bytes and reads answers.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("failed to connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    /// If the connection breaks, or the answer isn't one of HTTP/1.1.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.buffer.len() < HEAD_BYTES_MAX, "the head of an answer is too long");
            self.read().await?;
        };
        let (status, length) = read_head(self.buffer.get(..head).unwrap_or_default())?;
        match length {
            Length::Bytes(length) => {
                while self.buffer.len() < head + length {
                    self.read().await?;
                }
            }
            Length::Chunks => {
                while !self.buffer.ends_with(b"0\r\n\r\n") {
                    self.read().await?;
                }
            }
        }
        let body = self.buffer.get(head..).unwrap_or_default().to_vec();
        Ok(Answer { status, body })
    }

    async fn read(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}

/// How far a body goes.
enum Length {
    Bytes(usize),
    Chunks,
}

fn read_head(head: &[u8]) -> Result<(u16, Length)> {
    let head = std::str::from_utf8(head).context("the head of an answer isn't text")?;
    let status = head.get(9..12).context("no status")?.parse().context("no status")?;
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    };
    if let Some(length) = field("content-length") {
        return Ok((status, Length::Bytes(length.parse()?)));
    }
    match field("transfer-encoding") {
        Some(_) => Ok((status, Length::Chunks)),
        None => Ok((status, Length::Bytes(0))),
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A request as bytes.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Bytes {
    let token =
        token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let kind = body.map_or_else(String::new, |body| {
        format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
    });
    let body = body.unwrap_or_default();
    let text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{token}{kind}\r\n{body}");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_tell_status_and_length() {
        let (status, length) =
            read_head(b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n").expect("a head");
        assert!(status == 201 && matches!(length, Length::Bytes(12)));
        let (_, length) =
            read_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a head");
        assert!(matches!(length, Length::Chunks));
        let (status, length) = read_head(b"HTTP/1.1 204 No Content\r\n\r\n").expect("a head");
        assert!(status == 204 && matches!(length, Length::Bytes(0)));
    }
}
