//! Reads what an extension sends on its streams.
//!
//! Reading has its own task for each stream, apart from the stream that sends: an extension that
//! is busy writing a large outcome and doesn't read must still get rid of it.

use std::pin::pin;
use std::sync::Arc;

use tinybase_proto::v1;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tonic::Streaming;

use crate::book::SlotId;
use crate::convert::{chunks, outcomes};
use crate::desk::Ending;
use crate::handshake::{Feature, Features, attach, greet, ready, register};
use crate::seat::Seat;
use crate::status::{Refusal, describe_read_failure};
use crate::violation::Violation;
use crate::wire::WireOptions;

/// Reads the session's own stream to its end, which is the end of the session.
pub(crate) async fn read_session(
    seat: Arc<Seat>,
    slot: SlotId,
    mut inbound: Streaming<v1::SessionRequest>,
    options: Arc<WireOptions>,
) {
    let core = Arc::clone(&seat.core);
    let mut reader = SessionReader::new(seat, slot, options);
    let mut heartbeat = heartbeat(&reader);
    let mut closed = pin!(core.closed().cancelled());
    let ending = loop {
        // Both other arms are cancel-safe: a frame half read stays in the stream's buffer.
        tokio::select! {
            biased;
            () = &mut closed => return,
            frame = inbound.message() => match frame {
                Ok(Some(frame)) => {
                    if let Err(refusal) = reader.take(frame) {
                        break Ending::refused(refusal);
                    }
                }
                Ok(None) => break Ending::plain("the extension ended its session"),
                Err(status) => break Ending::plain(describe_read_failure(&status)),
            },
            _ = heartbeat.tick(), if reader.features.has(Feature::Heartbeat) => {
                if let Err(refusal) = reader.beat() {
                    break Ending::refused(refusal);
                }
            }
        }
    };
    core.close(ending);
}

/// Reads the stream of a further slot to its end.
pub(crate) async fn read_dispatch(
    seat: Arc<Seat>,
    slot: SlotId,
    mut inbound: Streaming<v1::DispatchRequest>,
) {
    let core = Arc::clone(&seat.core);
    let mut closed = pin!(core.closed().cancelled());
    let mut attached = false;
    let refusal = loop {
        let frame = tokio::select! {
            biased;
            () = &mut closed => return,
            frame = inbound.message() => frame,
        };
        let Ok(Some(frame)) = frame else { break None };
        let taken = match (attached, frame.attach) {
            (false, Some(message)) => attach(&seat, slot, message),
            (false, None) => Err(Refusal::invalid("the first frame of Dispatch has no Attach")),
            (true, Some(_)) => Err(Refusal::precondition("Attach came twice on one Dispatch")),
            (true, None) => Ok(()),
        };
        if let Err(refusal) = taken {
            break Some(refusal);
        }
        attached = true;
        take_results(&seat, slot, frame.received, (frame.chunks, frame.outcomes));
    };
    core.close_slot(slot, refusal);
}

/// What reading a session has to remember.
struct SessionReader {
    seat: Arc<Seat>,
    slot: SlotId,
    options: Arc<WireOptions>,
    greeted: bool,
    features: Features,
    pings: u64,
    pongs: u64,
    beat_at: Instant,
}

impl SessionReader {
    fn new(seat: Arc<Seat>, slot: SlotId, options: Arc<WireOptions>) -> Self {
        let (features, beat_at) = (Features::default(), Instant::now());
        Self { seat, slot, options, greeted: false, features, pings: 0, pongs: 0, beat_at }
    }

    /// Takes the parts of a frame in the order of their numbers.
    fn take(&mut self, frame: v1::SessionRequest) -> Result<(), Refusal> {
        match (self.greeted, frame.hello) {
            (false, Some(hello)) => {
                self.features = greet(&self.seat, self.slot, &hello, &self.options)?;
                self.greeted = true;
            }
            (false, None) => return Err(Refusal::invalid("the first frame has no Hello")),
            (true, Some(_)) => {
                return Err(Refusal::precondition("Hello came twice in one session"));
            }
            (true, None) => {}
        }
        if let Some(message) = frame.register {
            register(&self.seat, message)?;
        }
        if frame.ready.is_some() {
            ready(&self.seat)?;
        }
        take_results(&self.seat, self.slot, frame.received, (frame.chunks, frame.outcomes));
        if let Some(pong) = frame.pong {
            self.hear(pong);
        }
        Ok(())
    }

    /// Ends the session if it has been silent for too long, else sends a ping.
    fn beat(&mut self) -> Result<(), Refusal> {
        let core = &self.seat.core;
        let timeout = core.limits().heartbeat_timeout;
        let since_beat = std::mem::replace(&mut self.beat_at, Instant::now()).elapsed();
        let away = (core.limits().heartbeat_interval * 3).max(timeout / 2);
        if since_beat >= away {
            // The server itself was stopped or starved: the silence was its own.
            core.hear();
        }
        let silence = core.desk().heard_at.elapsed();
        if silence >= timeout {
            return Err(Refusal::unavailable(format!(
                "unresponsive: nothing was heard from the extension for {:.1} s (the limit is \
                 {:.1} s)",
                silence.as_secs_f32(),
                timeout.as_secs_f32()
            )));
        }
        self.pings += 1;
        core.ping(self.pings);
        Ok(())
    }

    fn hear(&mut self, pong: v1::Pong) {
        match pong.id.parse::<u64>() {
            Ok(id) if id > self.pongs && id <= self.pings => self.pongs = id,
            _ => self.seat.core.note_violations(vec![Violation::UnknownPong { id: pong.id }]),
        }
    }
}

/// Ticks as pings are due; silence is looked at as often.
fn heartbeat(reader: &SessionReader) -> Interval {
    let period = reader.seat.core.limits().heartbeat_interval;
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Takes acknowledgements, chunks and outcomes, the same for every kind of slot.
fn take_results(
    seat: &Seat,
    slot: SlotId,
    received: Vec<String>,
    (parts, ends): (Vec<v1::Chunk>, Vec<v1::Outcome>),
) {
    let core = &seat.core;
    let mut violations = Vec::new();
    let received = if received.is_empty() || core.features().has(Feature::Ack) {
        received
    } else {
        violations.push(Violation::AckNotNegotiated);
        Vec::new()
    };
    let chunks = chunks(parts, core.limits().chunk_bytes_max, &mut violations);
    let outcomes = outcomes(ends, core.limits().body_bytes_max, &mut violations);
    violations.extend(core.take_results(slot, &received, chunks, outcomes));
    core.note_violations(violations);
}
