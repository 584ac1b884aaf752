//! Logging in and out, and whose a token is.

use std::fmt;

use jiff::Timestamp;
use tinybase_model::{Application, Cause, Event, Identity, User};
use tinybase_store::{NewEvent, NewLogin, Rotation, TokenHash, now};

use crate::Committed;
use crate::access::authorize_self;
use crate::credentials::{PASSWORD_BYTES_MAX, checked_email};
use crate::token::{self, MintedPair, Owner, TokenForm};
use crate::user::{UserError, Users, event_of};

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

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user.id).finish_non_exhaustive()
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

/// How exactly a program's last use is known.
const USE_NOTED_EVERY: std::time::Duration = std::time::Duration::from_mins(1);

impl Users<'_> {
    /// Logs in. It does the same work for an unknown address as for a wrong password.
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
        let minted = MintedPair::mint(inner.options.token_lifetimes);
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
        match token::form(refresh_token) {
            Some(TokenForm::Login) => {}
            Some(TokenForm::Application) => return Err(UserError::NotARefreshToken),
            None => return Err(UserError::InvalidToken),
        }
        let inner = &self.core.inner;
        let minted = MintedPair::mint(inner.options.token_lifetimes);
        let _revoking = inner.tokens.revoking();
        match inner.store.rotate_token(token::hash(refresh_token), minted.stored).await? {
            Rotation::Rotated(user) => Ok(Login::new(user, minted)),
            Rotation::WrongKind => Err(UserError::NotARefreshToken),
            Rotation::Unknown => Err(UserError::InvalidToken),
            Rotation::Reused { revoked } => {
                tracing::warn!(revoked, "a refresh token was used twice; its login was ended");
                Err(UserError::InvalidToken)
            }
        }
    }

    /// Ends all logins of the user and tells how many tokens that revoked.
    pub async fn logout(&self, identity: &Identity) -> Result<u64, UserError> {
        let user = authorize_self(identity)?;
        let _revoking = self.core.inner.tokens.revoking();
        Ok(self.core.inner.store.revoke_tokens(user).await?)
    }

    /// Ends the login that an access token is of, and tells how many tokens that revoked.
    pub async fn logout_here(&self, identity: &Identity, bearer: &str) -> Result<u64, UserError> {
        authorize_self(identity)?;
        let _revoking = self.core.inner.tokens.revoking();
        Ok(self.core.inner.store.revoke_login(token::hash(bearer)).await?)
    }

    /// Who a bearer token belongs to.
    pub async fn identify(&self, bearer: &str) -> Result<Identity, UserError> {
        let form = token::form(bearer).ok_or(UserError::InvalidToken)?;
        let inner = &self.core.inner;
        let (hash, at) = (token::hash(bearer), now());
        let epoch = match inner.tokens.get(&hash, at) {
            Ok(identity) => return Ok(identity),
            Err(epoch) => epoch,
        };
        let owner = match form {
            TokenForm::Login => self.user_of(&hash, at).await?,
            TokenForm::Application => self.application_of(&hash, at).await?,
        };
        Ok(inner.tokens.put(hash, owner, epoch))
    }

    async fn user_of(&self, hash: &TokenHash, at: Timestamp) -> Result<Owner, UserError> {
        let owner = self.core.inner.store.access_token(hash, at).await?;
        let owner = owner.ok_or(UserError::InvalidToken)?;
        let identity = Identity::User { id: owner.user_id, is_admin: owner.is_admin };
        Ok(Owner { identity, expires_at: Some(owner.expires_at) })
    }

    async fn application_of(&self, hash: &TokenHash, at: Timestamp) -> Result<Owner, UserError> {
        let store = &self.core.inner.store;
        let found = store.application_token_by_hash(hash).await?;
        let token = found.filter(|token| token.is_valid(at)).ok_or(UserError::InvalidToken)?;
        if token.last_used_at.is_none_or(|used_at| used_at + USE_NOTED_EVERY <= at)
            && let Err(error) = store.use_application_token(token.id, at)
        {
            tracing::debug!(%error, "the use of an application token wasn't noted");
        }
        let application = Application { id: token.id, scopes: token.scopes };
        Ok(Owner { identity: Identity::Application(application), expires_at: token.expires_at })
    }
}
