//! What comes up a slot: acknowledgements, chunks, outcomes, and breaches of the protocol.

use tinybase_model::Outcome;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::book::{Settled, SlotId, WorkId};
use crate::convert::spoiled;
use crate::core::{SessionCore, wake};
use crate::desk::{Desk, Ending};
use crate::status::Refusal;
use crate::violation::{VIOLATIONS_MAX, Violation};
use crate::work::ChunkOrFault;

impl SessionCore {
    /// Takes what came up a slot: acknowledgements, then chunks, then outcomes.
    pub(crate) fn take_results(
        &self,
        slot: SlotId,
        received: &[String],
        chunks: Vec<(WorkId, ChunkOrFault)>,
        outcomes: Vec<(WorkId, Outcome)>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut answers = Vec::with_capacity(outcomes.len());
        let mut desk = self.desk();
        desk.heard_at = Instant::now();
        for id in received {
            let known = id.parse().is_ok_and(|id| desk.book.acknowledge(slot, id));
            if !known {
                violations.push(Violation::UnknownAck { id: id.clone() });
            }
        }
        for (id, chunk) in chunks {
            violations.extend(take_chunk(&desk, slot, id, chunk));
        }
        let mut late = 0;
        for (id, outcome) in outcomes {
            match desk.book.settle(slot, id) {
                Settled::InTime(work) => answers.push((work.reply, outcome)),
                Settled::Late(_) => late += 1,
                Settled::Unknown => violations.push(Violation::UnknownOutcome { id }),
                Settled::WrongSlot => violations.push(Violation::WrongSlot { id }),
            }
        }
        desk.late_outcomes += late;
        let waker = desk.waker_for_output(slot);
        let idle = desk.book.held() == 0;
        drop(desk);
        wake(waker);
        if idle {
            self.idle.notify_waiters();
        }
        if late > 0 {
            debug!(extension = %self.extension(), late, "dropped outcomes that came too late");
        }
        for (reply, outcome) in answers {
            // Whoever waited may have left a moment ago; then the outcome is late.
            if reply.send(Ok(outcome)).is_err() {
                self.desk().late_outcomes += 1;
            }
        }
        violations
    }

    /// Counts and logs breaches of the protocol, and ends the session when there were many.
    pub(crate) fn note_violations(&self, violations: Vec<Violation>) {
        for violation in violations {
            let count = {
                let mut desk = self.desk();
                desk.violations = desk.violations.saturating_add(1);
                desk.violations
            };
            warn!(extension = %self.extension(), count, %violation, "protocol violation");
            if count >= VIOLATIONS_MAX {
                self.close(Ending::refused(Refusal::precondition(format!(
                    "closed after {count} protocol violations; the last was: {violation}"
                ))));
                return;
            }
        }
    }
}

/// Hands a chunk to whoever waits for it. One that nobody waits for any more is dropped.
fn take_chunk(desk: &Desk, slot: SlotId, id: WorkId, chunk: ChunkOrFault) -> Option<Violation> {
    let Some(sender) = desk.book.get_sent(slot, id).and_then(|work| work.chunks.as_ref()) else {
        return Some(Violation::UnknownChunk { id: id.to_string() });
    };
    // The last place is for the fault of a stream that ends early.
    let (chunk, violation) = match (sender.capacity(), chunk) {
        (1, Ok(_)) => {
            let problem = "came although no more were granted".to_owned();
            (Err(spoiled(&problem)), Some(Violation::BadChunk { id, problem }))
        }
        (_, chunk) => (chunk, None),
    };
    // It is full or closed only after a fault, which is heard of first.
    drop(sender.try_send(chunk));
    violation
}
