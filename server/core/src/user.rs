//! Users and logins.

use std::fmt;

use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{Cause, Event, FieldViolation, Identity, User, UserEvent, UserId};
use tinybase_store::{NewEvent, NewLogin, NewUser, Rotation, StoreError, UserCreated, now};

use crate::access::{AccessDenied, authorize_self};
use crate::credentials::{PASSWORD_BYTES_MAX, check_password, checked_email};
use crate::hook_engine::{Approved, HookRefusal};
use crate::password::PasswordError;
use crate::problem::{Kind, Problem};
use crate::token::{self, MintedPair};
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
            // The documented status of the last two is 400.
            Self::Invalid(_) | Self::EmailTaken | Self::NotARefreshToken => Kind::Invalid,
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

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user.id).finish_non_exhaustive()
    }
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
        check_password(password)?;
        // Said before the hooks are asked and the password is hashed; the write checks again.
        if inner.store.user_by_email(&email).await?.is_some() {
            return Err(UserError::EmailTaken);
        }
        let draft = Event::UserRegister(UserEvent { user_id: None, email, is_admin: false });
        let Approved { event, failed_open } = inner.hooks.before(draft, cause).await?;
        let email = checked_email(&user_event(event).email)?;
        let user = new_user(email, false);
        let event = Event::UserRegister(event_of(&user));
        let event = NewEvent::new(&event, cause, user.created_at);
        self.create(user, password, Some(event)).await.map(|value| Committed { value, failed_open })
    }

    /// Logs in. It takes the same time for an unknown address as for a wrong password.
    ///
    /// The before-hooks are asked once the password is known to be right, and never about an
    /// administrator: no extension can keep the operator out.
    pub async fn login(
        &self,
        cause: &Cause,
        email: &str,
        password: &str,
    ) -> Result<Committed<Login>, UserError> {
        let inner = &self.core.inner;
        let known = match checked_email(email) {
            Ok(email) => inner.store.user_by_email(&email).await?,
            Err(_) => None,
        };
        let (user, hash) = known.map(|known| (known.user, known.password_hash)).unzip();
        // A longer password is nobody's, and isn't worth hashing.
        let password = if password.len() <= PASSWORD_BYTES_MAX { password } else { "" };
        let right = inner.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| right) else { return Err(UserError::WrongCredentials) };
        let mut failed_open = Vec::new();
        if !user.is_admin {
            let event = Event::UserLogin(event_of(&user));
            failed_open = inner.hooks.before(event, cause).await?.failed_open;
        }
        let minted = MintedPair::mint();
        let event = Event::UserLogin(event_of(&user));
        let event = NewEvent::new(&event, cause, minted.stored.created_at);
        let login = NewLogin { user_id: user.id, tokens: minted.stored, event };
        inner.store.create_login(login).await?;
        inner.hooks.events_committed();
        Ok(Committed { value: Login::new(user, minted), failed_open })
    }

    /// Gives a new pair of tokens for a refresh token, which is thereby used up. One that was used
    /// before revokes all that came from the same login.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Login, UserError> {
        if !token::is_token(refresh_token) {
            return Err(UserError::InvalidToken);
        }
        let inner = &self.core.inner;
        let minted = MintedPair::mint();
        match inner.store.rotate_token(token::hash(refresh_token), minted.stored).await? {
            Rotation::Rotated(user) => Ok(Login::new(user, minted)),
            Rotation::WrongKind => Err(UserError::NotARefreshToken),
            Rotation::Unknown => Err(UserError::InvalidToken),
            Rotation::Reused { revoked } => {
                inner.tokens.clear();
                tracing::warn!(revoked, "a refresh token was used twice; its login was ended");
                Err(UserError::InvalidToken)
            }
        }
    }

    /// Revokes all tokens of the user and tells how many.
    pub async fn logout(&self, identity: &Identity) -> Result<u64, UserError> {
        let user = authorize_self(identity)?;
        let revoked = self.core.inner.store.revoke_tokens(user).await;
        self.core.inner.tokens.clear();
        Ok(revoked?)
    }

    /// The user who is logged in.
    pub async fn me(&self, identity: &Identity) -> Result<User, UserError> {
        let user = authorize_self(identity)?;
        self.core.inner.store.user(user).await?.ok_or(UserError::NotFound)
    }

    /// Who a bearer token belongs to.
    pub async fn identify(&self, bearer: &str) -> Result<Identity, UserError> {
        if !token::is_token(bearer) {
            return Err(UserError::InvalidToken);
        }
        let inner = &self.core.inner;
        let (hash, at) = (token::hash(bearer), now());
        let epoch = match inner.tokens.get(&hash, at) {
            Ok(identity) => return Ok(identity),
            Err(epoch) => epoch,
        };
        let owner = inner.store.access_token(&hash, at).await?;
        let owner = owner.ok_or(UserError::InvalidToken)?;
        Ok(inner.tokens.put(hash, owner, epoch))
    }

    /// Creates an administrator; for the operator of the machine only. No hook sees it.
    pub async fn create_admin(&self, email: &str, password: &str) -> Result<User, UserError> {
        let email = checked_email(email)?;
        check_password(password)?;
        self.create(new_user(email, true), password, None).await
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

    async fn create(
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

impl Login {
    fn new(user: User, minted: MintedPair) -> Self {
        Self {
            user,
            access_token: minted.access,
            access_expires_at: minted.stored.access_expires_at,
            refresh_token: minted.refresh,
            refresh_expires_at: minted.stored.refresh_expires_at,
        }
    }
}

fn new_user(email: String, is_admin: bool) -> User {
    let at = now();
    User { id: UserId::generate(), email, is_admin, created_at: at, updated_at: at }
}

fn event_of(user: &User) -> UserEvent {
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
