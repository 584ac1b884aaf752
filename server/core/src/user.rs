//! Users and logins.

use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{Cause, FieldViolation, Identity, User};
use tinybase_store::StoreError;

use crate::access::AccessDenied;
use crate::hook_engine::HookRefusal;
use crate::problem::{Kind, Problem};
use crate::{Committed, Core};

/// Why something about users wasn't done.
#[derive(Debug, Clone, Error)]
pub enum UserError {
    /// The address or the password can't be used.
    #[error("{}", .0.message)]
    Invalid(FieldViolation),
    /// Somebody else has the address.
    #[error("Email already registered")]
    EmailTaken,
    /// Registration is switched off.
    #[error("Public registration is disabled")]
    RegistrationDisabled,
    /// The address or the password is wrong; which one isn't said.
    #[error("Invalid email or password")]
    WrongCredentials,
    /// The token is unknown, has expired or was revoked, or is of the other kind.
    #[error("Invalid or expired token")]
    InvalidToken,
    /// An access token where a refresh token is needed.
    #[error("Not a refresh token")]
    NotARefreshToken,
    /// There is no such user.
    #[error("User not found")]
    NotFound,
    /// Too many passwords are being checked.
    #[error("too many logins at once; try again later")]
    Overloaded,
    /// The password could not be hashed or checked.
    #[error("the password could not be processed")]
    Hashing,
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// An extension refused.
    #[error(transparent)]
    Refused(#[from] HookRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for UserError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            // The documented status of these two is 400.
            Self::EmailTaken | Self::NotARefreshToken => Kind::Invalid,
            Self::RegistrationDisabled => Kind::Forbidden,
            Self::WrongCredentials | Self::InvalidToken => Kind::Unauthenticated,
            Self::NotFound => Kind::NotFound,
            Self::Overloaded => Kind::Overloaded,
            Self::Hashing => Kind::Internal,
            Self::Denied(denied) => denied.kind(),
            Self::Refused(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// A login: two tokens for a user. The tokens are secrets; `Debug` doesn't show them.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub user: User,
    /// For requests.
    pub access_token: String,
    /// Until when it is valid.
    pub access_expires_at: Timestamp,
    /// For a new pair of tokens; once.
    pub refresh_token: String,
    /// Until when it is valid.
    pub refresh_expires_at: Timestamp,
}

/// What [`Users::ensure_admin`] found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// There was no such user, and now there is.
    Created(User),
    /// There already is an administrator with that address; the password was left alone.
    Present(User),
}

/// Users and logins.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a> {
    pub(crate) core: &'a Core,
}

impl Users<'_> {
    /// Registers a user who is no administrator.
    pub async fn register(
        &self,
        cause: &Cause,
        email: &str,
        password: &str,
    ) -> Result<Committed<User>, UserError> {
        todo!()
    }

    /// Logs in. It takes the same time for an unknown address as for a wrong password.
    pub async fn login(
        &self,
        cause: &Cause,
        email: &str,
        password: &str,
    ) -> Result<Committed<Login>, UserError> {
        todo!()
    }

    /// Gives a new pair of tokens for a refresh token, which is thereby used up. One that was used
    /// before revokes all that came from the same login.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Login, UserError> {
        todo!()
    }

    /// Revokes all tokens of the user and tells how many.
    pub async fn logout(&self, identity: &Identity) -> Result<u64, UserError> {
        todo!()
    }

    /// The user who is logged in.
    pub async fn me(&self, identity: &Identity) -> Result<User, UserError> {
        todo!()
    }

    /// Who a bearer token belongs to.
    pub async fn identify(&self, bearer: &str) -> Result<Identity, UserError> {
        todo!()
    }

    /// Creates an administrator; for the operator of the machine only. No hook sees it.
    pub async fn create_admin(&self, email: &str, password: &str) -> Result<User, UserError> {
        todo!()
    }

    /// Creates an administrator unless there is one with that address.
    pub async fn ensure_admin(&self, email: &str, password: &str) -> Result<Ensured, UserError> {
        todo!()
    }
}
