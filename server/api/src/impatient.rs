//! A connection that ends when its other side takes too little for too long.
//!
//! Whoever doesn't read an answer would hold the connection, and what the answer needs, for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// A connection that ends when its other side takes too little for too long.
#[derive(Debug)]
pub(crate) struct Impatient<S> {
    stream: S,
    patience: Patience,
}

impl<S> Impatient<S> {
    pub(crate) const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, patience: Patience::new(limit) }
    }

    /// What became of a write; an error if it has waited too long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = written {
            self.patience.moved(written.as_ref().map_or(0, bytes));
            return Poll::Ready(written);
        }
        ready!(self.patience.poll_up(context));
        let message = "the other side reads too slowly";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(context, written, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, ended, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_next_to_nothing_is_given_up_and_a_slow_one_is_not() {
        let limit = Duration::from_mins(1);
        for (bytes, pause, is_served) in [(4096, 4, true), (4096, 59, false), (1, 4, false)] {
            let (ours, mut theirs) = duplex(4096);
            let mut ours = Impatient::new(ours, limit);
            let reading = async {
                let mut buffer = vec![0; bytes];
                while theirs.read_exact(&mut buffer).await.is_ok() {
                    sleep(Duration::from_secs(pause)).await;
                }
            };
            let writing = async {
                let written = ours.write_all(&vec![0; 1 << 17]).await;
                drop(ours);
                written.map_err(|error| error.kind())
            };
            let (written, ()) = tokio::join!(writing, reading);
            let expected = if is_served { Ok(()) } else { Err(io::ErrorKind::TimedOut) };
            assert_eq!(written, expected, "{bytes} bytes each {pause} s");
        }
    }
}
