//! The book under random steps.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Abandoned, BookLimits, CancelReason, Demand, Full, Settled, SlotBook, SlotId, WorkId};

const LIMITS: BookLimits = BookLimits { credit_max: 6, slots_max: 3, queue_max: 4 };

#[derive(Debug, Clone)]
enum Step {
    OpenSlot { credit: u32 },
    CloseSlot { slot: usize },
    Submit,
    Send { slot: usize },
    Outcome { slot: usize, id: WorkId },
    Acknowledge { slot: usize, id: WorkId },
    Abandon { id: WorkId, deadline: bool },
    GrantChunks { id: WorkId },
    TakeGrants { slot: usize },
    CancelAll,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0_usize..3;
    let id = 1_u64..24;
    prop_oneof![
        1 => (0_u32..4).prop_map(|credit| Step::OpenSlot { credit }),
        1 => slot.clone().prop_map(|slot| Step::CloseSlot { slot }),
        6 => Just(Step::Submit),
        6 => slot.clone().prop_map(|slot| Step::Send { slot }),
        6 => (slot.clone(), id.clone()).prop_map(|(slot, id)| Step::Outcome { slot, id }),
        2 => (slot.clone(), id.clone()).prop_map(|(slot, id)| Step::Acknowledge { slot, id }),
        2 => slot.prop_map(|slot| Step::TakeGrants { slot }),
        4 => id.clone().prop_map(|id| Step::GrantChunks { id }),
        3 => (id, any::<bool>()).prop_map(|(id, deadline)| Step::Abandon { id, deadline }),
        1 => Just(Step::CancelAll),
    ]
}

/// Drives a book, and counts what became of each work.
struct Run {
    book: SlotBook<u64>,
    slots: Vec<SlotId>,
    sent: HashMap<SlotId, Vec<WorkId>>,
    submitted: u64,
    ended: Vec<u64>,
}

impl Run {
    fn new() -> Self {
        let book = SlotBook::new(LIMITS);
        Self { book, slots: Vec::new(), sent: HashMap::new(), submitted: 0, ended: Vec::new() }
    }

    fn slot(&self, index: usize) -> Option<SlotId> {
        self.slots.get(index).copied()
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::OpenSlot { credit } => self.open_slot(credit),
            Step::CloseSlot { slot } if slot < self.slots.len() => {
                let slot = self.slots.remove(slot);
                self.ended.extend(self.book.close_slot(slot));
            }
            Step::Submit => match self.book.submit(self.submitted) {
                Ok(_) => self.submitted += 1,
                Err(Full(_)) => assert_eq!(self.book.queued(), LIMITS.queue_max),
            },
            Step::Send { slot } => {
                let Some(slot) = self.slot(slot) else { return };
                if let Some((id, _)) = self.book.next_to_send(slot) {
                    self.sent.entry(slot).or_default().push(id);
                }
            }
            Step::Outcome { slot, id } => {
                let Some(slot) = self.slot(slot) else { return };
                match self.book.settle(slot, id) {
                    Settled::InTime(work) | Settled::Late(work) => self.ended.push(work),
                    Settled::Unknown | Settled::WrongSlot => {}
                }
            }
            Step::Acknowledge { slot, id } => {
                let Some(slot) = self.slot(slot) else { return };
                if self.book.acknowledge(slot, id) {
                    assert!(!self.book.acknowledge(slot, id), "acknowledged twice");
                }
            }
            Step::Abandon { id, deadline } => {
                let reason =
                    if deadline { CancelReason::Deadline } else { CancelReason::ClientGone };
                self.abandon(id, reason);
            }
            Step::GrantChunks { id } => {
                if let Some(slot) = self.book.grant_chunks(id, 2) {
                    assert!(self.book.has_output(slot) && self.book.get_sent(slot, id).is_some());
                }
            }
            Step::TakeGrants { slot } => {
                let Some(slot) = self.slot(slot) else { return };
                for (id, chunks) in self.book.take_grants(slot) {
                    assert!(chunks > 0 && self.book.get_sent(slot, id).is_some());
                    assert!(!matches!(self.book.entries[&id].demand, Demand::Abandoned { .. }));
                }
            }
            Step::CancelAll => self.book.cancel_all(CancelReason::Draining),
            Step::CloseSlot { .. } => {}
        }
    }

    fn open_slot(&mut self, credit: u32) {
        match self.book.open_slot() {
            Ok(slot) => {
                self.slots.push(slot);
                let before = self.book.credit();
                if let Ok(granted) = self.book.grant(slot, credit) {
                    assert_eq!(granted, credit.min(LIMITS.credit_max - before));
                }
            }
            Err(_) => assert_eq!(self.slots.len(), LIMITS.slots_max as usize),
        }
    }

    /// A caller gives up once at most, as the guard that does it is used up.
    fn abandon(&mut self, id: WorkId, reason: CancelReason) {
        if self
            .book
            .entries
            .get(&id)
            .is_some_and(|entry| matches!(entry.demand, Demand::Abandoned { .. }))
        {
            return;
        }
        match self.book.abandon(id, reason) {
            Abandoned::Unsent(work) => self.ended.push(work),
            Abandoned::Held(slot) => assert!(self.slots.contains(&slot)),
            Abandoned::Gone => {}
        }
    }

    fn check(&self) {
        let book = &self.book;
        assert!(book.credit() <= LIMITS.credit_max);
        assert!(book.slots.len() <= LIMITS.slots_max as usize);
        assert!(book.queued() <= LIMITS.queue_max);
        for slot in &book.slots {
            assert!(slot.held <= slot.credit, "{slot:?}");
            assert!(slot.outbox.len() <= slot.held as usize, "{slot:?}");
            assert!(slot.cancels.len() <= slot.held as usize, "{slot:?}");
            assert!(slot.grants.len() <= slot.held as usize, "{slot:?}");
        }
        let free = book.slots.iter().any(|slot| slot.held < slot.credit);
        assert!(!(free && book.queued() > 0), "work waits although a slot is free");
        let outstanding = book.held() as usize + book.queued();
        assert_eq!(outstanding, book.entries.len());
        assert_eq!(self.ended.len() + outstanding, usize::try_from(self.submitted).expect("small"));
        assert!(book.held_past_deadline() <= book.held());
        for sent in self.sent.values() {
            assert!(sent.is_sorted(), "sent out of order: {sent:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_step_breaks_the_books(steps in vec(step(), 0..200)) {
        let mut run = Run::new();
        for step in &steps {
            run.take(step);
            run.check();
        }
        run.ended.extend(run.book.clear());
        run.ended.sort_unstable();
        let all: Vec<u64> = (0..run.submitted).collect();
        prop_assert_eq!(run.ended, all, "each work ends exactly once");
    }

    #[test]
    fn n_slots_of_credit_1_and_one_of_credit_n_carry_as_much(
        n in 1_u32..6,
        load in 0_u64..10,
    ) {
        let limits = BookLimits { credit_max: 8, slots_max: 8, queue_max: 4 };
        let (mut wide, mut deep) = (SlotBook::new(limits), SlotBook::new(limits));
        let wide_slots: Vec<_> = (0..n).map(|_| wide.open_slot().expect("there is room")).collect();
        for slot in &wide_slots {
            wide.grant(*slot, 1).expect("there is credit");
        }
        let deep_slot = deep.open_slot().expect("there is room");
        deep.grant(deep_slot, n).expect("there is credit");
        for work in 0..load {
            prop_assert_eq!(wide.submit(work).is_ok(), deep.submit(work).is_ok());
        }
        let ids = |book: &mut SlotBook<u64>, slot| {
            std::iter::from_fn(|| book.next_to_send(slot).map(|(id, _)| id)).collect::<Vec<_>>()
        };
        let mut sent: Vec<_> = wide_slots.iter().flat_map(|slot| ids(&mut wide, *slot)).collect();
        sent.sort_unstable();
        prop_assert_eq!(sent, ids(&mut deep, deep_slot));
        prop_assert_eq!((wide.held(), wide.queued()), (deep.held(), deep.queued()));
    }
}

fn book_with_slot(credit: u32) -> (SlotBook<u64>, SlotId) {
    let mut book = SlotBook::new(LIMITS);
    let slot = book.open_slot().expect("there is room");
    book.grant(slot, credit).expect("there is credit");
    (book, slot)
}

#[test]
fn a_slot_stays_held_past_the_deadline_until_the_late_outcome() {
    let (mut book, slot) = book_with_slot(1);
    let (id, _) = book.submit(7).expect("there is room");
    book.next_to_send(slot).expect("it is assigned");
    assert!(matches!(book.abandon(id, CancelReason::Deadline), Abandoned::Held(on) if on == slot));
    assert_eq!((book.held(), book.held_past_deadline()), (1, 1));
    assert_eq!(book.take_cancels(slot), [(id, CancelReason::Deadline)]);
    let (second, assigned) = book.submit(8).expect("there is room");
    assert_eq!(assigned, None, "the slot is held");
    assert!(matches!(book.settle(slot, id), Settled::Late(7)));
    assert_eq!((book.held(), book.held_past_deadline()), (1, 0));
    assert_eq!(book.next_to_send(slot).map(|(id, _)| id), Some(second));
    assert!(matches!(book.settle(slot, id), Settled::Unknown), "one outcome is all");
}

#[test]
fn work_that_was_not_sent_leaves_nothing_behind() {
    let (mut book, slot) = book_with_slot(1);
    let (assigned, _) = book.submit(1).expect("there is room");
    let (queued, _) = book.submit(2).expect("there is room");
    assert!(matches!(book.abandon(queued, CancelReason::Deadline), Abandoned::Unsent(2)));
    assert!(matches!(book.abandon(assigned, CancelReason::ClientGone), Abandoned::Unsent(1)));
    assert!(!book.has_output(slot));
    assert_eq!((book.held(), book.queued(), book.held_past_deadline()), (0, 0, 0));
}

#[test]
fn an_outcome_on_another_slot_is_told_apart_from_an_unknown_one() {
    let (mut book, slot) = book_with_slot(1);
    let other = book.open_slot().expect("there is room");
    let (id, _) = book.submit(1).expect("there is room");
    assert!(matches!(book.settle(slot, id), Settled::Unknown), "it was not sent yet");
    book.next_to_send(slot).expect("it is assigned");
    assert!(matches!(book.settle(other, id), Settled::WrongSlot));
    assert!(matches!(book.settle(slot, id), Settled::InTime(1)));
}

#[test]
fn running_work_is_told_to_stop_once() {
    let (mut book, slot) = book_with_slot(1);
    let (id, _) = book.submit(1).expect("there is room");
    book.next_to_send(slot).expect("it is assigned");
    book.cancel_all(CancelReason::Draining);
    book.cancel_all(CancelReason::Draining);
    assert!(matches!(book.abandon(id, CancelReason::Deadline), Abandoned::Held(_)));
    assert_eq!(book.take_cancels(slot), [(id, CancelReason::Draining)]);
}

#[test]
fn the_freest_slot_is_chosen() {
    let (mut book, busy) = book_with_slot(2);
    let idle = book.open_slot().expect("there is room");
    book.grant(idle, 2).expect("there is credit");
    let (_, first) = book.submit(1).expect("there is room");
    let (_, second) = book.submit(2).expect("there is room");
    assert_ne!(first, second);
    assert!(first == Some(busy) || first == Some(idle));
}
