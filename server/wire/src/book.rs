//! Who holds which slot: the pure bookkeeping of a session's credit, queue and outstanding work.
//!
//! A session's own stream and each `Dispatch` stream are slots alike; one stream of credit N and
//! N streams of credit 1 take the same steps. Nothing here waits, sends or reads a clock.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

#[cfg(test)]
mod tests;
mod words;

pub(crate) use words::{
    Abandoned, BookLimits, CancelReason, Full, NoCreditLeft, Settled, SlotId, TooManySlots, WorkId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the queue of the session.
    Queued,
    /// On a slot, not yet sent.
    Assigned(SlotId),
    /// On a slot, sent.
    Sent { slot: SlotId, acknowledged: bool },
}

/// Whether an outcome is still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// It is.
    Wanted,
    /// It is, and the extension was told to stop all the same.
    Hurried,
    /// It isn't, and the extension was told so.
    Abandoned { past_deadline: bool },
}

#[derive(Debug)]
struct Entry<W> {
    work: W,
    place: Place,
    demand: Demand,
}

#[derive(Debug)]
struct Slot {
    id: SlotId,
    credit: u32,
    held: u32,
    outbox: VecDeque<WorkId>,
    cancels: Vec<(WorkId, CancelReason)>,
    /// How many further chunks are granted, at most one entry for each work that it holds.
    grants: Vec<(WorkId, u32)>,
}

/// Hashes ids that this book counted up itself, so nobody can choose them to collide.
#[derive(Debug, Clone, Copy, Default)]
struct Counted;

struct CountedHasher(u64);

impl BuildHasher for Counted {
    type Hasher = CountedHasher;

    fn build_hasher(&self) -> CountedHasher {
        CountedHasher(0)
    }
}

impl Hasher for CountedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    /// Spreads neighbours over all bits, as the table looks at the highest and the lowest.
    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

/// The books of one session.
#[derive(Debug)]
pub(crate) struct SlotBook<W> {
    limits: BookLimits,
    slots: Vec<Slot>,
    entries: HashMap<WorkId, Entry<W>, Counted>,
    queue: VecDeque<WorkId>,
    next_work: WorkId,
    next_slot: u32,
    past_deadline: u32,
}

impl<W> SlotBook<W> {
    pub(crate) fn new(limits: BookLimits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            entries: HashMap::default(),
            queue: VecDeque::new(),
            next_work: 1,
            next_slot: 0,
            past_deadline: 0,
        }
    }

    /// Opens a slot that has no credit yet.
    pub(crate) fn open_slot(&mut self) -> Result<SlotId, TooManySlots> {
        if self.slots.len() >= self.limits.slots_max as usize {
            return Err(TooManySlots);
        }
        let id = SlotId(self.next_slot);
        self.next_slot += 1;
        let (outbox, cancels, grants) = (VecDeque::new(), Vec::new(), Vec::new());
        self.slots.push(Slot { id, credit: 0, held: 0, outbox, cancels, grants });
        Ok(id)
    }

    /// Gives a slot its credit, or what is left of the session's, and work from the queue.
    pub(crate) fn grant(&mut self, slot: SlotId, credit: u32) -> Result<u32, NoCreditLeft> {
        let left = self.limits.credit_max.saturating_sub(self.credit());
        if credit > 0 && left == 0 {
            return Err(NoCreditLeft);
        }
        let granted = credit.min(left);
        if let Some(index) = self.index(slot) {
            self.slots[index].credit += granted;
            self.fill(index);
        }
        Ok(granted)
    }

    /// Ends a slot. What was on it is lost, and is given back.
    pub(crate) fn close_slot(&mut self, slot: SlotId) -> Vec<W> {
        let Some(index) = self.index(slot) else { return Vec::new() };
        self.slots.remove(index);
        let on_slot = |place| match place {
            Place::Assigned(on) | Place::Sent { slot: on, .. } => on == slot,
            Place::Queued => false,
        };
        let lost: Vec<WorkId> = self
            .entries
            .iter()
            .filter(|(_, entry)| on_slot(entry.place))
            .map(|(id, _)| *id)
            .collect();
        lost.into_iter().filter_map(|id| self.remove(id)).map(|entry| entry.work).collect()
    }

    /// Ends everything. All work is given back.
    pub(crate) fn clear(&mut self) -> Vec<W> {
        self.slots.clear();
        self.queue.clear();
        self.past_deadline = 0;
        self.entries.drain().map(|(_, entry)| entry.work).collect()
    }

    /// Takes what waits for a slot out of the queue.
    pub(crate) fn clear_queue(&mut self) -> Vec<W> {
        let queued = std::mem::take(&mut self.queue);
        queued.into_iter().filter_map(|id| self.remove(id)).map(|entry| entry.work).collect()
    }

    /// Takes work on. The slot that has it to send, if one is free.
    pub(crate) fn submit(&mut self, work: W) -> Result<(WorkId, Option<SlotId>), Full<W>> {
        let free = self.freest();
        if free.is_none() && self.queue.len() >= self.limits.queue_max {
            return Err(Full(work));
        }
        let id = self.next_work;
        self.next_work += 1;
        let place = if let Some(index) = free {
            let slot = &mut self.slots[index];
            slot.held += 1;
            slot.outbox.push_back(id);
            Place::Assigned(slot.id)
        } else {
            self.queue.push_back(id);
            Place::Queued
        };
        self.entries.insert(id, Entry { work, place, demand: Demand::Wanted });
        let slot = free.map(|index| self.slots[index].id);
        Ok((id, slot))
    }

    /// The next work that a slot is to send, which stays unsent.
    pub(crate) fn peek_to_send(&self, slot: SlotId) -> Option<&W> {
        let id = self.slots[self.index(slot)?].outbox.front()?;
        self.get(*id)
    }

    /// The next work that a slot is to send; it counts as sent from now on.
    pub(crate) fn next_to_send(&mut self, slot: SlotId) -> Option<(WorkId, &mut W)> {
        let index = self.index(slot)?;
        let id = self.slots[index].outbox.pop_front()?;
        let entry = self.entries.get_mut(&id)?;
        entry.place = Place::Sent { slot, acknowledged: false };
        Some((id, &mut entry.work))
    }

    /// The cancels that a slot is to send.
    pub(crate) fn take_cancels(&mut self, slot: SlotId) -> Vec<(WorkId, CancelReason)> {
        self.index(slot)
            .map(|index| std::mem::take(&mut self.slots[index].cancels))
            .unwrap_or_default()
    }

    /// Grants further chunks to work whose outcome is still waited for. The slot that has it to
    /// send.
    pub(crate) fn grant_chunks(&mut self, id: WorkId, chunks: u32) -> Option<SlotId> {
        let entry = self.entries.get(&id)?;
        let (Place::Sent { slot, .. }, Demand::Wanted | Demand::Hurried) =
            (entry.place, entry.demand)
        else {
            return None;
        };
        let index = self.index(slot)?;
        let grants = &mut self.slots[index].grants;
        match grants.iter_mut().find(|(granted, _)| *granted == id) {
            Some((_, count)) => *count = count.saturating_add(chunks),
            None => grants.push((id, chunks)),
        }
        Some(slot)
    }

    /// The grants that a slot is to send.
    pub(crate) fn take_grants(&mut self, slot: SlotId) -> Vec<(WorkId, u32)> {
        self.index(slot)
            .map(|index| std::mem::take(&mut self.slots[index].grants))
            .unwrap_or_default()
    }

    /// Work that was sent on this slot and has not ended.
    pub(crate) fn get_sent(&self, slot: SlotId, id: WorkId) -> Option<&W> {
        let entry = self.entries.get(&id)?;
        let is_there = matches!(entry.place, Place::Sent { slot: on, .. } if on == slot);
        is_there.then_some(&entry.work)
    }

    /// Whether a slot has anything to send.
    pub(crate) fn has_output(&self, slot: SlotId) -> bool {
        self.index(slot).is_some_and(|index| {
            let slot = &self.slots[index];
            !slot.outbox.is_empty() || !slot.cancels.is_empty() || !slot.grants.is_empty()
        })
    }

    /// Notes that work was received. Whether it is outstanding on the slot and wasn't noted before.
    pub(crate) fn acknowledge(&mut self, slot: SlotId, id: WorkId) -> bool {
        match self.entries.get_mut(&id).map(|entry| &mut entry.place) {
            Some(Place::Sent { slot: on, acknowledged }) if *on == slot => {
                !std::mem::replace(acknowledged, true)
            }
            _ => false,
        }
    }

    /// Takes an outcome that came up a slot. The slot goes on with the queue.
    pub(crate) fn settle(&mut self, slot: SlotId, id: WorkId) -> Settled<W> {
        match self.entries.get(&id).map(|entry| entry.place) {
            Some(Place::Sent { slot: on, .. }) if on == slot => {}
            Some(Place::Sent { .. }) => return Settled::WrongSlot,
            Some(Place::Queued | Place::Assigned(_)) | None => return Settled::Unknown,
        }
        let Some(entry) = self.remove(id) else { return Settled::Unknown };
        if let Some(index) = self.index(slot) {
            self.slots[index].held -= 1;
            self.slots[index].cancels.retain(|(cancelled, _)| *cancelled != id);
            self.slots[index].grants.retain(|(granted, _)| *granted != id);
            self.fill(index);
        }
        match entry.demand {
            Demand::Wanted | Demand::Hurried => Settled::InTime(entry.work),
            Demand::Abandoned { .. } => Settled::Late(entry.work),
        }
    }

    /// Gives up on work. If it was sent, its slot stays held until its outcome comes.
    pub(crate) fn abandon(&mut self, id: WorkId, reason: CancelReason) -> Abandoned<W> {
        let Some(entry) = self.entries.get_mut(&id) else { return Abandoned::Gone };
        match entry.place {
            Place::Sent { slot, .. } => {
                let past_deadline = reason == CancelReason::Deadline;
                let before =
                    std::mem::replace(&mut entry.demand, Demand::Abandoned { past_deadline });
                self.past_deadline += u32::from(past_deadline);
                if before == Demand::Wanted {
                    self.push_cancel(slot, id, reason);
                }
                if let Some(index) = self.index(slot) {
                    self.slots[index].grants.retain(|(granted, _)| *granted != id);
                }
                return Abandoned::Held(slot);
            }
            Place::Assigned(slot) => {
                if let Some(index) = self.index(slot) {
                    self.slots[index].outbox.retain(|waiting| *waiting != id);
                    self.slots[index].held -= 1;
                    self.fill(index);
                }
            }
            // Ids grow, so the queue is sorted.
            Place::Queued => {
                if let Ok(at) = self.queue.binary_search(&id) {
                    self.queue.remove(at);
                }
            }
        }
        self.remove(id).map_or(Abandoned::Gone, |entry| Abandoned::Unsent(entry.work))
    }

    /// Tells all running work to stop; its outcomes are still waited for.
    pub(crate) fn cancel_all(&mut self, reason: CancelReason) {
        let mut cancels = Vec::new();
        for (id, entry) in &mut self.entries {
            if let (Place::Sent { slot, .. }, Demand::Wanted) = (entry.place, entry.demand) {
                entry.demand = Demand::Hurried;
                cancels.push((slot, *id));
            }
        }
        for (slot, id) in cancels {
            self.push_cancel(slot, id, reason);
        }
    }

    /// Outstanding work by its id.
    pub(crate) fn get(&self, id: WorkId) -> Option<&W> {
        self.entries.get(&id).map(|entry| &entry.work)
    }

    /// The credit over all slots.
    pub(crate) fn credit(&self) -> u32 {
        self.slots.iter().map(|slot| slot.credit).sum()
    }

    /// How much of the credit is held, by work that nobody waits for too.
    pub(crate) fn held(&self) -> u32 {
        self.slots.iter().map(|slot| slot.held).sum()
    }

    /// How much of the credit is held by work past its deadline.
    pub(crate) const fn held_past_deadline(&self) -> u32 {
        self.past_deadline
    }

    /// How much work waits for a slot.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How much work was sent and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        let waits =
            |entry: &&Entry<W>| matches!(entry.place, Place::Sent { acknowledged: false, .. });
        self.entries.values().filter(waits).count()
    }

    fn index(&self, slot: SlotId) -> Option<usize> {
        self.slots.iter().position(|candidate| candidate.id == slot)
    }

    /// The slot with the most free credit.
    fn freest(&self) -> Option<usize> {
        let free = |slot: &Slot| slot.credit.saturating_sub(slot.held);
        let (index, slot) = self.slots.iter().enumerate().max_by_key(|(_, slot)| free(slot))?;
        (free(slot) > 0).then_some(index)
    }

    /// Moves work from the queue to a slot while it has credit.
    fn fill(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        while slot.held < slot.credit {
            let Some(id) = self.queue.pop_front() else { break };
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.place = Place::Assigned(slot.id);
                slot.held += 1;
                slot.outbox.push_back(id);
            }
        }
    }

    fn push_cancel(&mut self, slot: SlotId, id: WorkId, reason: CancelReason) {
        if let Some(index) = self.index(slot) {
            self.slots[index].cancels.push((id, reason));
        }
    }

    fn remove(&mut self, id: WorkId) -> Option<Entry<W>> {
        let entry = self.entries.remove(&id)?;
        if entry.demand == (Demand::Abandoned { past_deadline: true }) {
            self.past_deadline -= 1;
        }
        Some(entry)
    }
}
