//! Log lines from `tracing` to the server, with their level, target, fields and invocation.
//!
//! [`crate::Extension::run`] installs [`layer`] unless the program has a subscriber of its own,
//! which can then take the layer in. Nothing here ever blocks a handler: lines wait in a bounded
//! queue, leave in lists, and go to standard error, which the server reads too, while there is
//! no session.

mod layer;
mod queue;

use std::io::Write;
use std::time::Duration;

use tinybase_proto::v1;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::client::Host;
use queue::Queue;

pub use layer::LogLayer;

/// How long the last lines may take to leave before the shutdown hook's outcome.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// `tracing` is one for the process, and so is this.
static QUEUE: Queue = Queue::new();

/// The layer, for a program that has a subscriber of its own.
pub fn layer() -> LogLayer {
    LogLayer::new(&QUEUE)
}

/// Makes the layer the program's subscriber unless it has one.
pub(crate) fn install() {
    drop(tracing::subscriber::set_global_default(registry().with(layer())));
}

/// Sends lines to the server from now on, from a level that it names.
pub(crate) fn attach(level: &str) {
    QUEUE.attach(level);
}

/// Sends lines to standard error from now on, those that wait included.
pub(crate) fn detach() {
    for entry in QUEUE.detach() {
        print(&entry);
    }
}

/// Waits for the lines written so far to be sent, but not for long.
pub(crate) async fn flush() {
    // Lines that are still there are printed by `detach`.
    drop(tokio::time::timeout(FLUSH_TIMEOUT, QUEUE.idle()).await);
}

/// Carries lines to the server until it is dropped.
pub(crate) async fn pump(host: Host) {
    loop {
        let entries = QUEUE.next().await;
        let request = v1::WriteLogRequest { entries: entries.clone() };
        if host.write_log(request, None).await.is_err() {
            entries.iter().for_each(print);
        }
    }
}

fn print(entry: &v1::LogEntry) {
    let level = match entry.level() {
        v1::LogLevel::Debug => "DEBUG",
        v1::LogLevel::Info | v1::LogLevel::Unspecified => "INFO",
        v1::LogLevel::Warning => "WARN",
        v1::LogLevel::Error => "ERROR",
    };
    let fields = String::from_utf8_lossy(&entry.fields);
    let line = format!("{level} {}: {} {fields}", entry.logger, entry.message);
    // There is nobody left to tell if this fails.
    drop(writeln!(std::io::stderr(), "{}", line.trim_end()));
}
