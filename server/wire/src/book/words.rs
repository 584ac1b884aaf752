//! The words that the book is spoken to in.

/// Names a slot; never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId(pub(crate) u32);

/// Names an invocation; never used twice in a session.
pub(crate) type WorkId = u64;

/// What a book is held to.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "each is the most of something, as in `Limits`")]
pub(crate) struct BookLimits {
    /// The most credit over all slots.
    pub(crate) credit_max: u32,
    /// The most slots.
    pub(crate) slots_max: u32,
    /// The most works that wait for a slot.
    pub(crate) queue_max: usize,
}

/// Why work is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// Its deadline passed.
    Deadline,
    /// Nobody waits for it any more.
    ClientGone,
    /// The session is about to end.
    Draining,
}

impl CancelReason {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::ClientGone => "client_gone",
            Self::Draining => "draining",
        }
    }
}

/// All slots are held and the queue is full. Gives the work back.
#[derive(Debug)]
pub(crate) struct Full<W>(pub(crate) W);

/// There are as many slots as a session may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManySlots;

/// All credit of the session is granted to other slots.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoCreditLeft;

/// What an outcome meant.
#[derive(Debug)]
pub(crate) enum Settled<W> {
    /// The first outcome of work that is waited for.
    InTime(W),
    /// The first outcome of work that nobody waits for any more; its slot is free again.
    Late(W),
    /// No such work is outstanding on this slot: it never was, or it has ended.
    Unknown,
    /// The work is outstanding on another slot.
    WrongSlot,
}

/// What giving up on work meant.
#[derive(Debug)]
pub(crate) enum Abandoned<W> {
    /// It was never sent, so nothing of it remains.
    Unsent(W),
    /// It was sent: its slot stays held, and this slot has a cancel to send.
    Held(SlotId),
    /// It has ended already.
    Gone,
}
