//! On whose behalf something happens.

use crate::{Application, ExtensionName, UserId};

/// Who is acting. Every decision about access takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody is logged in.
    Anonymous,
    /// A user.
    User {
        /// Which one.
        id: UserId,
        /// Whether the user is an administrator.
        is_admin: bool,
    },
    /// A program with an application token, which is no user.
    Application(Application),
    /// An extension on its own behalf, outside any invocation.
    Extension(ExtensionName),
    /// The operator of this machine: the command line and the server itself.
    Operator,
}

impl Identity {
    /// The user, if there is one.
    pub const fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Anonymous | Self::Application(_) | Self::Extension(_) | Self::Operator => None,
        }
    }

    /// Whether all rules are passed over.
    pub fn is_admin(&self) -> bool {
        match self {
            Self::User { is_admin, .. } => *is_admin,
            Self::Application(application) => application.scopes.admin(),
            Self::Operator => true,
            Self::Anonymous | Self::Extension(_) => false,
        }
    }
}
