//! New passwords: changed by the user, or reset by mail.

use std::time::Duration;

use tinybase_model::{Cause, Identity, UserId};
use tinybase_store::{Deed, NewReset, PasswordChange, PasswordChanged, PasswordReset, now};

use crate::access::authorize_self;
use crate::credentials::{PASSWORD_BYTES_MAX, check_password, checked_email};
use crate::mail::{Letter, PasswordResetLetter};
use crate::post::Errand;
use crate::token;
use crate::user::{UserError, Users};

/// How long a mailed token for a new password is valid.
pub(crate) const RESET_LIFETIME: Duration = Duration::from_hours(1);

impl Users<'_> {
    /// Changes the password of whoever is logged in. The login that the token is of goes on, all
    /// others end; tells how many tokens that revoked.
    pub async fn change_password(
        &self,
        identity: &Identity,
        bearer: &str,
        current: &str,
        new: &str,
    ) -> Result<u64, UserError> {
        let user_id = authorize_self(identity)?;
        check_password("/new_password", new)?;
        let inner = &self.core.inner;
        let user = inner.store.user(user_id).await?.ok_or(UserError::NotFound)?;
        let known = inner.store.user_by_email(&user.email).await?.ok_or(UserError::NotFound)?;
        let old = known.password_hash;
        let current = if current.len() <= PASSWORD_BYTES_MAX { current } else { "" };
        if !inner.passwords.verify(current, Some(old.clone())).await? {
            return Err(UserError::WrongPassword);
        }
        let new = inner.passwords.hash(new).await?;
        let change = PasswordChange { user_id, old, new, keep: token::hash(bearer), at: now() };
        let _revoking = inner.tokens.revoking();
        match inner.store.change_password(change).await? {
            PasswordChanged::Done { revoked } => Ok(revoked),
            PasswordChanged::Stale => Err(UserError::WrongPassword),
        }
    }

    /// Has a link mailed with which to choose a new password, if somebody has the address. It
    /// answers before it is looked for, so that nobody learns whether somebody has.
    ///
    /// # Errors
    /// If it is no address, or too many letters wait.
    pub fn request_password_reset(&self, cause: &Cause, email: &str) -> Result<(), UserError> {
        let (email, cause) = (checked_email(email)?, cause.clone());
        self.core.inner.post.put(Errand::PasswordReset { email, cause })
    }

    /// Sets a new password with a token that was mailed, which thereby is used up. All logins of
    /// the user end.
    pub async fn reset_password(
        &self,
        cause: &Cause,
        token: &str,
        password: &str,
    ) -> Result<(), UserError> {
        check_password("/password", password)?;
        let inner = &self.core.inner;
        let hash = token::hash(token);
        if !inner.store.has_reset(&hash, now()).await? {
            return Err(UserError::InvalidReset);
        }
        let password_hash = inner.passwords.hash(password).await?;
        let _revoking = inner.tokens.revoking();
        let reset = PasswordReset { hash, password_hash, at: now() };
        let user = inner.store.reset_password(reset).await?.ok_or(UserError::InvalidReset)?;
        self.note_reset(cause, "password_reset.confirm", user);
        Ok(())
    }

    /// Nobody is logged in, so it is noted as done by whom it is about.
    fn note_reset(self, cause: &Cause, action: &str, user: UserId) {
        let (id, user_id) = (user.to_string(), Some(user));
        let (resource_type, resource_id) = (Some("user"), Some(id.as_str()));
        let deed = Deed { action, resource_type, resource_id, user_id, metadata: None };
        self.core.note_deed(cause, deed);
    }

    /// Makes the letter with the link for a new password. None if nobody has the address, or has
    /// got enough of them lately.
    pub(crate) async fn password_reset_letter(
        &self,
        cause: &Cause,
        email: &str,
    ) -> Result<Option<Letter>, UserError> {
        let inner = &self.core.inner;
        let Some(known) = inner.store.user_by_email(email).await? else { return Ok(None) };
        let (token, at) = (token::random_token(), now());
        let reset = NewReset {
            hash: token::hash(&token),
            user_id: known.user.id,
            created_at: at,
            expires_at: at + RESET_LIFETIME,
        };
        if !inner.store.create_reset(reset).await? {
            tracing::info!(user_id = %known.user.id, "no further link for a new password is mailed");
            return Ok(None);
        }
        self.note_reset(cause, "password_reset.request", known.user.id);
        Ok(Some(Letter::PasswordReset(PasswordResetLetter {
            to: known.user.email,
            token,
            valid_for: RESET_LIFETIME,
            instance_name: self.core.settings().instance_name.clone(),
        })))
    }
}
