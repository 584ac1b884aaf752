//! The heads of requests as they come, looked at before hyper reads them: it mends what two readers
//! may take differently, and then nobody sees any more that it was there.
//!
//! Behind a proxy such a request can hide another one. hyper takes the chunks if there is a length
//! as well, and closes the connection; here it is refused. What hyper refuses itself is left to it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much of a line as is looked at; only names and short values matter.
const LINE_MAX: usize = 128;

/// Why a request isn't taken although it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Its body has two ends.
    TwoLengths = 1,
    /// Its body is encoded otherwise than in chunks, or more than once.
    Encoding = 2,
    /// A line ends in another way than lines do.
    LineEnd = 3,
}

impl Doubt {
    /// What the client is told.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::TwoLengths => "The request has both content-length and transfer-encoding",
            Self::Encoding => "transfer-encoding has to be \"chunked\", once, or absent",
            Self::LineEnd => "A line of the request's header doesn't end in CR LF",
        }
    }

    const fn of(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::TwoLengths),
            2 => Some(Self::Encoding),
            3 => Some(Self::LineEnd),
            _ => None,
        }
    }
}

/// What is told to those who answer: which request of a connection is the first doubtful one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The number of the request, from 0, times four, plus why; nothing yet if that is 0.
    first: AtomicU64,
    answered: AtomicU64,
}

impl Doubts {
    /// To be asked once for each request of a connection, in their order.
    pub(crate) fn about_next(&self) -> Option<Doubt> {
        let number = self.0.answered.fetch_add(1, Ordering::Relaxed);
        let first = self.0.first.load(Ordering::Relaxed);
        (first >> 2 == number).then(|| Doubt::of(first & 3)).flatten()
    }

    fn raise(&self, number: u64, doubt: Doubt) {
        // Nothing is read after the first one, so there is no second.
        let first = number << 2 | doubt as u64;
        self.0.first.store(first, Ordering::Relaxed);
    }
}

/// A connection whose requests are looked at.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    heads: Heads,
    doubts: Doubts,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, doubts: Doubts) -> Self {
        Self { stream, heads: Heads::default(), doubts }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let Self { heads, doubts, .. } = &mut *self;
        heads.read(&buffer.filled()[before..], doubts);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Where in a connection's bytes the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a line of a head.
    Head,
    /// In a body, or a chunk with its line end, with so many bytes to go.
    Bytes { left: u64, then: Next },
    /// In the line before a chunk.
    Chunk,
    /// In a line after the last chunk.
    Trailer,
    /// Somewhere after what hyper refuses, and after the first doubt.
    Lost,
}

/// What comes after a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Head,
    Chunk,
}

/// A head as far as it was read.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    lines: u32,
    /// The body's length; it may be one that can't be read.
    length: Option<Result<u64, ()>>,
    is_chunked: bool,
    doubt: Option<Doubt>,
}

/// Follows a connection's bytes from head to head.
#[derive(Debug)]
struct Heads {
    place: Place,
    head: Head,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    /// The byte before what is read.
    last: u8,
    /// How many heads were read.
    count: u64,
}

impl Default for Heads {
    fn default() -> Self {
        let (place, head) = (Place::Head, Head::default());
        Self { place, head, line: Vec::new(), last: 0, count: 0 }
    }
}

impl Heads {
    fn read(&mut self, mut bytes: &[u8], doubts: &Doubts) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Lost => return,
                Place::Bytes { left, then } => {
                    let taken = usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    self.place = match (left - taken as u64, then) {
                        (0, Next::Head) => Place::Head,
                        (0, Next::Chunk) => Place::Chunk,
                        (left, then) => Place::Bytes { left, then },
                    };
                    &bytes[taken..]
                }
                Place::Head | Place::Chunk | Place::Trailer => self.read_line(bytes, doubts),
            };
        }
    }

    /// Reads up to the end of a line, and gives what is left.
    fn read_line<'a>(&mut self, bytes: &'a [u8], doubts: &Doubts) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let kept = part.len().min(LINE_MAX.saturating_sub(self.line.len()));
        self.line.extend_from_slice(&part[..kept]);
        let before = std::mem::replace(&mut self.last, part.last().copied().unwrap_or_default());
        if end.is_none() {
            return rest;
        }
        let has_return = match part {
            [.., b'\r', b'\n'] => true,
            [b'\n'] => before == b'\r',
            _ => false,
        };
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        self.place = match self.place {
            Place::Head => self.head_line(text, has_return, doubts),
            Place::Chunk => match size(text) {
                Some(0) => Place::Trailer,
                // With the line end behind it.
                Some(size) => Place::Bytes { left: size.saturating_add(2), then: Next::Chunk },
                None => Place::Lost,
            },
            Place::Trailer if text.is_empty() => Place::Head,
            same @ (Place::Trailer | Place::Bytes { .. } | Place::Lost) => same,
        };
        self.line = line;
        self.line.clear();
        rest
    }

    fn head_line(&mut self, text: &[u8], has_return: bool, doubts: &Doubts) -> Place {
        if text.is_empty() && self.head.lines == 0 {
            // Empty lines before a request are passed over.
            return Place::Head;
        }
        if !has_return {
            self.head.doubt.get_or_insert(Doubt::LineEnd);
        }
        if !text.is_empty() {
            self.head.take(text);
            return Place::Head;
        }
        let head = std::mem::take(&mut self.head);
        let number = self.count;
        self.count += 1;
        let doubt = if head.is_chunked && head.length.is_some() {
            Some(Doubt::TwoLengths)
        } else {
            head.doubt
        };
        match (doubt, head.is_chunked, head.length) {
            (Some(doubt), _, _) => {
                doubts.raise(number, doubt);
                Place::Lost
            }
            (None, true, _) => Place::Chunk,
            (None, false, None | Some(Ok(0))) => Place::Head,
            (None, false, Some(Ok(left))) => Place::Bytes { left, then: Next::Head },
            (None, false, Some(Err(()))) => Place::Lost,
        }
    }
}

impl Head {
    /// Takes a line that isn't empty.
    fn take(&mut self, line: &[u8]) {
        self.lines = self.lines.saturating_add(1);
        let Some(colon) = line.iter().position(|byte| *byte == b':').filter(|_| self.lines > 1)
        else {
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.length = Some(length.ok_or(()));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                self.doubt = Some(Doubt::Encoding);
            }
            self.is_chunked = true;
        }
    }
}

/// The size of a chunk; what comes after it in its line means nothing here.
fn size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    u64::from_str_radix(std::str::from_utf8(&line[..end]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is thought of each of so many requests, read in parts of a size.
    fn thoughts(bytes: &str, part: usize, count: usize) -> Vec<Option<Doubt>> {
        let (mut heads, doubts) = (Heads::default(), Doubts::default());
        for part in bytes.as_bytes().chunks(part) {
            heads.read(part, &doubts);
        }
        (0..count).map(|_| doubts.about_next()).collect()
    }

    #[test]
    fn a_doubtful_head_is_found_wherever_it_stands() {
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let posted = "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\na\r\n\r\n";
        // What looks like a head in a body is none.
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       2C;x=y\r\ncontent-length: 1\r\ntransfer-encoding: gzip\r\n\r\n\
                       0\r\na: b\r\n\r\n";
        let doubtful = [
            ("content-length: 4\r\ntransfer-encoding: chunked", Doubt::TwoLengths),
            ("transfer-encoding: chunked\r\nCONTENT-LENGTH: x", Doubt::TwoLengths),
            ("transfer-encoding: xchunked", Doubt::Encoding),
            ("transfer-encoding: gzip, chunked", Doubt::Encoding),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Doubt::Encoding),
            ("host: x\ncontent-length: 4", Doubt::LineEnd),
        ];
        for before in [vec![], vec![get], vec![posted, get], vec![chunked], vec![chunked, posted]] {
            for (lines, doubt) in doubtful {
                let long = "x".repeat(3 * LINE_MAX);
                let text = format!(
                    "{}POST / HTTP/1.1\r\nx-long: {long}\r\n{lines}\r\n\r\n{get}",
                    before.concat()
                );
                for part in [1, 2, 3, 7, LINE_MAX, 4096] {
                    let mut expected = vec![None; before.len()];
                    expected.extend([Some(doubt), None]);
                    assert_eq!(
                        thoughts(&text, part, expected.len()),
                        expected,
                        "{lines:?} after {before:?} by {part}"
                    );
                }
            }
        }
    }

    #[test]
    fn sound_requests_raise_no_doubt() {
        let long = "x".repeat(LINE_MAX - "x-long: ".len() - 1);
        let text = format!(
            "\r\nGET / HTTP/1.1\r\nx-long: {long}\r\n\r\n\
             POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n\
             POST / HTTP/1.1\r\nX-Content-Length: 4\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n\
             GET / HTTP/1.1\r\n\r\n"
        );
        for part in [1, 5, 4096] {
            assert_eq!(thoughts(&text, part, 5), vec![None; 5], "by {part}");
        }
    }
}
