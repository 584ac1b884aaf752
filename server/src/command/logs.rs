//! `tinybase extensions logs`: what an extension wrote, from its file, so that it works whether or
//! not a server runs.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tinybase_model::{LogLine, LogSource};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::data_folder::DataFolder;
use crate::signals::StopSignals;
use crate::terminal;

/// How often a followed file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// The most that is read of a file's end.
const READ_BYTES_MAX: u64 = 16 << 20;

pub(super) struct Wanted {
    pub(super) lines: usize,
    pub(super) follow: bool,
    pub(super) style: Style,
}

/// How a line is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// For a person.
    Text,
    /// As it is in the file.
    Json,
}

/// Prints the end of a log that is known to be an extension's.
pub(super) async fn print(
    data: &DataFolder,
    name: &str,
    wanted: Wanted,
) -> anyhow::Result<ExitCode> {
    let path = data.logs().join(format!("{name}.log"));
    let mut tail = Tail::new(path.clone());
    let mut lines = Vec::new();
    // The file before this one has what a rotation took away.
    if let Some(text) = read_end(&path.with_extension("log.1")).await? {
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.extend(tail.read().await?);
    for line in lines.iter().skip(lines.len().saturating_sub(wanted.lines)) {
        terminal::say(&shown(line, wanted.style))?;
    }
    if !wanted.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let mut signals = StopSignals::listen().context("failed to listen for signals")?;
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
            _ = look.tick() => {
                for line in tail.read().await? {
                    terminal::say(&shown(&line, wanted.style))?;
                }
            }
        }
    }
}

async fn read_end(path: &Path) -> anyhow::Result<Option<String>> {
    let context = || format!("failed to read {}", path.display());
    let mut file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    let length = file.metadata().await.with_context(context)?.len();
    let start = length.saturating_sub(READ_BYTES_MAX);
    file.seek(SeekFrom::Start(start)).await.with_context(context)?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes).await.with_context(context)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A file that is written at its end and now and then begun anew.
struct Tail {
    path: PathBuf,
    offset: u64,
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, rest: Vec::new() }
    }

    /// The whole lines that were added since the last look.
    async fn read(&mut self) -> anyhow::Result<Vec<String>> {
        let context = || format!("failed to read {}", self.path.display());
        let mut file = match File::open(&self.path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(context),
        };
        let length = file.metadata().await.with_context(context)?.len();
        if length < self.offset {
            self.offset = 0;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.offset)).await.with_context(context)?;
        let read = file.take(READ_BYTES_MAX).read_to_end(&mut self.rest).await;
        self.offset += read.with_context(context)? as u64;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        Ok(String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect())
    }
}

/// A line for a person; what isn't a log line is shown as it is.
fn shown(line: &str, style: Style) -> String {
    if style == Style::Json {
        return line.to_owned();
    }
    let Ok(line) = serde_json::from_str::<LogLine>(line) else { return line.to_owned() };
    let source = match line.source {
        LogSource::Stdout => "stdout",
        LogSource::Stderr => "stderr",
        LogSource::Log => line.logger.as_deref().unwrap_or("log"),
        LogSource::Supervisor => "supervisor",
    };
    let level = line.level.as_str().to_ascii_uppercase();
    format!("{} {level:<7} {source}: {}", line.at, line.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tail_gives_whole_lines_once_and_survives_a_rotation() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let mut tail = Tail::new(path.clone());
        assert!(tail.read().await.expect("no file yet").is_empty());
        std::fs::write(&path, "one\ntwo\nthr").expect("written");
        assert_eq!(tail.read().await.expect("readable"), ["one", "two"]);
        std::fs::write(&path, "one\ntwo\nthree\n").expect("written");
        assert_eq!(tail.read().await.expect("readable"), ["three"]);
        std::fs::write(&path, "new\n").expect("written");
        assert_eq!(tail.read().await.expect("readable"), ["new"]);
    }

    #[test]
    fn a_log_line_is_shown_with_level_and_source() {
        let line = r#"{"at":"2024-01-01T00:00:00Z","level":"info","source":"log","logger":"my.ext","message":"hello"}"#;
        assert_eq!(shown(line, Style::Text), "2024-01-01T00:00:00Z INFO    my.ext: hello");
        assert_eq!(shown(line, Style::Json), line);
        assert_eq!(shown("no json", Style::Text), "no json");
    }
}
