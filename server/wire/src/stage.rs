//! How far a session has come.

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// No process has connected.
    Expected,
    /// A process has connected.
    Connected,
    /// It has said `Hello`.
    Greeted,
    /// It has registered.
    Registered,
    /// It can take startup hooks.
    Ready,
    /// It takes all work.
    Open,
    /// It takes no new work.
    Draining,
    /// It is over.
    Closed,
}

impl Stage {
    /// What is missing, for people.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Expected => "it has not connected to the socket",
            Self::Connected => "it has connected and not said Hello",
            Self::Greeted => "it has said Hello and not registered",
            Self::Registered => "it has registered and not said Ready",
            Self::Ready => "its startup hooks have not ended",
            Self::Open => "it is ready",
            Self::Draining => "it is draining",
            Self::Closed => "its session is over",
        }
    }

    /// The word for why it takes no work.
    pub(crate) const fn not_ready(self) -> &'static str {
        match self {
            Self::Expected | Self::Connected | Self::Greeted | Self::Registered | Self::Ready => {
                "starting"
            }
            Self::Open => "ready",
            Self::Draining => "draining",
            Self::Closed => "stopped",
        }
    }
}
