//! The log files: JSON lines, bounded in size, written by one thread that may be slow.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tinybase_model::{ExtensionName, LogLine};
use tokio::sync::oneshot;

/// How large a file gets before it becomes `<name>.log.1`.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// How much may wait to be written, over all extensions.
const QUEUE_BYTES_MAX: usize = 4 << 20;
const QUEUE_LINES_MAX: usize = 8 << 10;
/// How much of a file is read back when a log is opened.
const READ_BACK_BYTES: u64 = 256 << 10;

/// The folder with the log files, and the way to the thread that writes them. The thread ends
/// with the last log.
#[derive(Debug)]
pub(crate) struct LogFiles {
    folder: PathBuf,
    queue: SyncSender<Message>,
    queued_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Message {
    Append { path: Arc<Path>, line: Vec<u8>, lost: Arc<AtomicU64> },
    Flush(oneshot::Sender<()>),
}

/// One extension's file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: Arc<Path>,
    queue: SyncSender<Message>,
    queued_bytes: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
}

impl LogFiles {
    /// Makes the folder and starts the thread.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (queue, messages) = sync_channel(QUEUE_LINES_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Writer { files: HashMap::new(), queued_bytes: Arc::clone(&queued_bytes) };
        std::thread::Builder::new()
            .name("tinybase-logs".to_owned())
            .spawn(move || writer.run(&messages))?;
        Ok(Self { folder: folder.to_owned(), queue, queued_bytes })
    }

    /// The file of an extension.
    pub(crate) fn file(&self, extension: &ExtensionName) -> LogFile {
        LogFile {
            path: self.folder.join(format!("{extension}.log")).into(),
            queue: self.queue.clone(),
            queued_bytes: Arc::clone(&self.queued_bytes),
            lost: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Resolves once everything that was appended before is written, or can't be.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        // A full queue is worth a line less at the end, not a wait.
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            drop(flushed.await);
        }
    }
}

impl LogFile {
    /// Queues a line. If the queue is full the line is counted and not written.
    pub(crate) fn append(&self, line: &LogLine) {
        let Ok(mut bytes) = serde_json::to_vec(line) else { return };
        bytes.push(b'\n');
        let length = bytes.len();
        if self.queued_bytes.fetch_add(length, Ordering::Relaxed) + length > QUEUE_BYTES_MAX {
            self.give_up(length);
            return;
        }
        let (path, lost) = (Arc::clone(&self.path), Arc::clone(&self.lost));
        match self.queue.try_send(Message::Append { path, line: bytes, lost }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.give_up(length),
        }
    }

    /// The lines that the file ends with. A file that can't be read has none.
    pub(crate) fn read_end(&self) -> Vec<LogLine> {
        read_end(&self.path).unwrap_or_default()
    }

    fn give_up(&self, length: usize) {
        self.queued_bytes.fetch_sub(length, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

fn read_end(path: &Path) -> io::Result<Vec<LogLine>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ_BACK_BYTES)))?;
    let reader = BufReader::new(file.take(READ_BACK_BYTES));
    // The first line may be half a line, and a line may have been cut by a full disk.
    Ok(reader
        .split(b'\n')
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_slice(&line).ok())
        .collect())
}

/// The thread's own state.
struct Writer {
    files: HashMap<Arc<Path>, Open>,
    queued_bytes: Arc<AtomicUsize>,
}

struct Open {
    file: BufWriter<File>,
    size: u64,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            self.take(first);
            while let Ok(next) = messages.try_recv() {
                self.take(next);
            }
            self.flush();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Append { path, line, lost } => {
                self.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                if let Err(error) = self.append(&path, &line, &lost) {
                    // Told once for each time that writing fails anew.
                    if lost.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::warn!(path = %path.display(), %error, "a log can't be written");
                    }
                    self.files.remove(&path);
                }
            }
            Message::Flush(done) => {
                self.flush();
                // An error means that nobody waits any more.
                let _ = done.send(());
            }
        }
    }

    fn append(&mut self, path: &Arc<Path>, line: &[u8], lost: &AtomicU64) -> io::Result<()> {
        if self.files.get(path).is_some_and(|open| open.size > FILE_BYTES_MAX)
            && let Some(mut full) = self.files.remove(path)
        {
            full.file.flush()?;
            let mut old = path.as_os_str().to_owned();
            old.push(".1");
            std::fs::rename(path, old)?;
        }
        let open = match self.files.get_mut(path) {
            Some(open) => open,
            None => self.files.entry(Arc::clone(path)).or_insert(Open::new(path)?),
        };
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let at = jiff::Timestamp::now();
            let gap = serde_json::json!({
                "at": at, "level": "warning", "source": "supervisor",
                "message": format!("{missing} lines are missing here: the log could not be written"),
            });
            open.write(format!("{gap}\n").as_bytes())?;
        }
        open.write(line)
    }

    fn flush(&mut self) {
        self.files.retain(|path, open| match open.file.flush() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a log can't be written");
                false
            }
        });
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file: BufWriter::new(file), size })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tinybase_model::{LogLevel, LogSource};

    use super::*;

    fn line(message: &str) -> LogLine {
        LogLine {
            at: Timestamp::UNIX_EPOCH,
            level: LogLevel::Info,
            source: LogSource::Stdout,
            logger: None,
            invocation_id: None,
            message: message.to_owned(),
        }
    }

    fn opened() -> (tempfile::TempDir, LogFiles, LogFile) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = LogFiles::open(&folder.path().join("logs")).expect("a log folder");
        let file = files.file(&"audit".parse().expect("a name"));
        (folder, files, file)
    }

    #[tokio::test]
    async fn a_full_file_is_set_aside_once() {
        let (folder, files, file) = opened();
        let long = line(&"x".repeat(60_000));
        for _ in 0..400 {
            file.append(&long);
            files.flush().await;
        }
        let size = |name: &str| {
            let path = folder.path().join("logs").join(name);
            path.metadata().expect("a file").len()
        };
        assert!(size("audit.log.1") > FILE_BYTES_MAX);
        assert!(size("audit.log") <= FILE_BYTES_MAX + 61_000);
        let found = std::fs::read_dir(folder.path().join("logs")).expect("a folder").count();
        assert_eq!(found, 2);
    }

    #[tokio::test]
    async fn what_a_full_queue_loses_is_counted_in_the_file() {
        let (_folder, files, file) = opened();
        files.queued_bytes.store(QUEUE_BYTES_MAX, Ordering::Relaxed);
        file.append(&line("lost"));
        file.append(&line("lost too"));
        files.queued_bytes.store(0, Ordering::Relaxed);
        file.append(&line("kept"));
        files.flush().await;
        let messages: Vec<String> = file.read_end().into_iter().map(|line| line.message).collect();
        let gap = "2 lines are missing here: the log could not be written";
        assert_eq!(messages, [gap, "kept"]);
    }

    #[tokio::test]
    async fn a_log_that_is_opened_again_goes_on_where_it_was() {
        let (_folder, files, file) = opened();
        file.append(&line("before"));
        files.flush().await;
        let again = files.file(&"audit".parse().expect("a name"));
        again.append(&line("after"));
        files.flush().await;
        assert_eq!(again.read_end(), [line("before"), line("after")]);
    }
}
