//! The `tracing` layer that makes log entries of events.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tinybase_proto::v1;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::print;
use super::queue::Queue;
use crate::handler::CURRENT;

/// The longest message; the server splits longer ones.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// What carries the lines. Its own chatter would make more of it.
const CARRIERS: [&str; 5] = ["h2", "hyper", "hyper_util", "tonic", "tower"];

/// Sends events to the server's log of this extension.
#[derive(Debug)]
pub struct LogLayer {
    queue: &'static Queue,
}

impl LogLayer {
    pub(super) const fn new(queue: &'static Queue) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    /// The level is known only once there is a session, so it is asked for each event.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_chatter(metadata) { Interest::never() } else { Interest::sometimes() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !is_chatter(metadata) && self.queue.wants(*metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(entry) = self.queue.push(entry(event)) {
            print(&entry);
        }
    }
}

fn is_chatter(metadata: &Metadata<'_>) -> bool {
    let of_carrier = || {
        let target = metadata.target();
        CARRIERS.contains(&target.split_once("::").map_or(target, |(first, _)| first))
    };
    *metadata.level() > Level::WARN && of_carrier()
}

fn entry(event: &Event<'_>) -> v1::LogEntry {
    let mut line = Line::default();
    event.record(&mut line);
    line.message.truncate(line.message.floor_char_boundary(MESSAGE_BYTES_MAX));
    let level = match *event.metadata().level() {
        Level::TRACE | Level::DEBUG => v1::LogLevel::Debug,
        Level::INFO => v1::LogLevel::Info,
        Level::WARN => v1::LogLevel::Warning,
        Level::ERROR => v1::LogLevel::Error,
    };
    let invocation_id = CURRENT.try_with(|context| context.invocation_id().to_owned());
    v1::LogEntry {
        level: level.into(),
        message: line.message,
        logger: event.metadata().target().to_owned(),
        invocation_id: invocation_id.unwrap_or_default(),
        time: Timestamp::now().to_string(),
        fields: if line.fields.is_empty() {
            bytes::Bytes::new()
        } else {
            Value::Object(line.fields).to_string().into()
        },
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.put(field, text) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}
