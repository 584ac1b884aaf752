//! Users: who they are, and how they come to be.

use thiserror::Error;
use tinybase_model::{Cause, Event, FieldViolation, Identity, User, UserEvent, UserId};
use tinybase_store::{NewEvent, NewUser, StoreError, UserCreated, now};

use crate::access::{AccessDenied, authorize_self};
use crate::credentials::{check_password, checked_email};
use crate::hook_engine::{Approved, HookRefusal};
use crate::password::PasswordError;
use crate::problem::{Kind, Problem};
use crate::user_admin::AccountChange;
use crate::{Committed, Core};

/// Why something about users wasn't done.
#[derive(Debug, Clone, Error)]
pub enum UserError {
    /// The address or the password can't be used.
    #[error("{} {}", .0.field.trim_start_matches('/'), .0.message)]
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
    /// The password that has to be given to change it is wrong.
    #[error("The current password is wrong")]
    WrongPassword,
    /// The token for a new password is unknown, has expired or was used.
    #[error("Invalid or expired password reset token")]
    InvalidReset,
    /// There would be no administrator left.
    #[error("Cannot {verb} the last admin user")]
    LastAdmin {
        /// What was to be done.
        verb: &'static str,
    },
    /// Nobody deletes the own account.
    #[error("Cannot delete your own account")]
    OwnAccount,
    /// Too many letters wait to be sent.
    #[error("too many letters are waiting to be sent; try again later")]
    MailOverloaded,
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
            Self::Invalid(_) => Kind::Unprocessable,
            // The documented status of these is 400.
            Self::EmailTaken
            | Self::NotARefreshToken
            | Self::WrongPassword
            | Self::InvalidReset
            | Self::LastAdmin { .. }
            | Self::OwnAccount => Kind::Invalid,
            Self::RegistrationDisabled => Kind::Forbidden,
            Self::WrongCredentials | Self::InvalidToken => Kind::Unauthenticated,
            Self::NotFound => Kind::NotFound,
            Self::Overloaded | Self::MailOverloaded => Kind::Overloaded,
            Self::Hashing => Kind::Internal,
            Self::Denied(denied) => denied.kind(),
            Self::Refused(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violation) => std::slice::from_ref(violation),
            Self::Refused(refusal) => refusal.violations(),
            Self::EmailTaken
            | Self::RegistrationDisabled
            | Self::WrongCredentials
            | Self::InvalidToken
            | Self::NotARefreshToken
            | Self::NotFound
            | Self::WrongPassword
            | Self::InvalidReset
            | Self::LastAdmin { .. }
            | Self::OwnAccount
            | Self::MailOverloaded
            | Self::Overloaded
            | Self::Hashing
            | Self::Denied(_)
            | Self::Store(_) => &[],
        }
    }

    fn refusal(&self) -> Option<&HookRefusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }
}

impl From<PasswordError> for UserError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::Overloaded,
            PasswordError::Failed => Self::Hashing,
        }
    }
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
        let inner = &self.core.inner;
        if !self.core.settings().allow_public_registration {
            return Err(UserError::RegistrationDisabled);
        }
        let email = checked_email(email)?;
        check_password("/password", password)?;
        // Said before the hooks are asked; the write checks again. The password is hashed all the
        // same, so that the answer takes no less work than one that registers somebody.
        if inner.store.user_by_email(&email).await?.is_some() {
            inner.passwords.hash(password).await?;
            return Err(UserError::EmailTaken);
        }
        let draft = Event::UserRegister(UserEvent { user_id: None, email, is_admin: false });
        let Approved { event, failed_open } = inner.hooks.before(draft, cause).await?;
        let email = checked_email(&user_event(event).email)?;
        let user = new_user(email, false);
        let event = Event::UserRegister(event_of(&user));
        let event = NewEvent::new(&event, cause, user.created_at);
        self.insert(user, password, Some(event)).await.map(|value| Committed { value, failed_open })
    }

    /// The user who is logged in.
    pub async fn me(&self, identity: &Identity) -> Result<User, UserError> {
        let user = authorize_self(identity)?;
        self.core.inner.store.user(user).await?.ok_or(UserError::NotFound)
    }

    /// Creates an administrator; for the operator of the machine only. No hook sees it.
    pub async fn create_admin(&self, email: &str, password: &str) -> Result<User, UserError> {
        let email = checked_email(email)?;
        check_password("/password", password)?;
        self.insert(new_user(email, true), password, None).await
    }

    /// Creates an administrator, or makes a user one and sets the password; for the operator of the
    /// machine only.
    pub async fn make_admin(&self, email: &str, password: &str) -> Result<User, UserError> {
        match self.create_admin(email, password).await {
            Err(UserError::EmailTaken) => {
                let known = self.core.inner.store.user_by_email(&checked_email(email)?).await?;
                let known = known.ok_or(UserError::NotFound)?;
                let change = AccountChange {
                    email: None,
                    password: Some(password.to_owned()),
                    is_admin: Some(true),
                };
                self.change(&Identity::Operator, known.user.id, change).await
            }
            made => made,
        }
    }

    /// Creates an administrator unless there is one with that address.
    pub async fn ensure_admin(&self, email: &str, password: &str) -> Result<Ensured, UserError> {
        match self.create_admin(email, password).await {
            Ok(user) => Ok(Ensured::Created(user)),
            Err(UserError::EmailTaken) => {
                let known = self.core.inner.store.user_by_email(&checked_email(email)?).await?;
                match known.map(|known| known.user).filter(|user| user.is_admin) {
                    Some(user) => Ok(Ensured::Present(user)),
                    None => Err(UserError::EmailTaken),
                }
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn insert(
        &self,
        user: User,
        password: &str,
        event: Option<NewEvent>,
    ) -> Result<User, UserError> {
        let inner = &self.core.inner;
        let password_hash = inner.passwords.hash(password).await?;
        let is_event = event.is_some();
        let new = NewUser { user: user.clone(), password_hash, event };
        match inner.store.create_user(new).await? {
            UserCreated::EmailTaken => Err(UserError::EmailTaken),
            UserCreated::Done => {
                if is_event {
                    inner.hooks.events_committed();
                }
                Ok(user)
            }
        }
    }
}

pub(crate) fn new_user(email: String, is_admin: bool) -> User {
    let at = now();
    User { id: UserId::generate(), email, is_admin, created_at: at, updated_at: at }
}

pub(crate) fn event_of(user: &User) -> UserEvent {
    UserEvent { user_id: Some(user.id), email: user.email.clone(), is_admin: user.is_admin }
}

/// The user in an event about one.
fn user_event(event: Event) -> UserEvent {
    match event {
        Event::UserRegister(user) | Event::UserLogin(user) => user,
        Event::RecordCreate(_)
        | Event::RecordUpdate(_)
        | Event::RecordDelete(_)
        | Event::FunctionCall(_)
        | Event::FunctionComplete(_) => unreachable!("hooks keep an event's kind"),
    }
}
