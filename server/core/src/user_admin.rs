//! Users as administrators manage them.

use tinybase_model::{Cause, Event, Identity, ReferenceTarget, User, UserId};
use tinybase_store::{NewEvent, UserChange, UserChanged, UserDeleted, UserPage, now};

use crate::access::{authorize_admin, authorize_users};
use crate::collection::TRIES_MAX;
use crate::credentials::{check_password, checked_email};
use crate::relations::Relations;
use crate::user::{UserError, Users, event_of, new_user};

/// The most users of a page.
const LIMIT_MAX: u32 = 1000;

/// A user whom an administrator makes.
#[derive(Clone)]
pub struct NewAccount {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
    /// Whether it is an administrator.
    pub is_admin: bool,
}

/// What an administrator changes of a user.
#[derive(Clone, Default)]
pub struct AccountChange {
    /// A new address.
    pub email: Option<String>,
    /// A new password; all logins of the user end.
    pub password: Option<String>,
    /// Whether it is to be an administrator.
    pub is_admin: Option<bool>,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount").field("is_admin", &self.is_admin).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AccountChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountChange").field("is_admin", &self.is_admin).finish_non_exhaustive()
    }
}

impl Users<'_> {
    /// A page of all users, the oldest first.
    pub async fn list(
        &self,
        identity: &Identity,
        limit: u32,
        offset: u32,
    ) -> Result<UserPage, UserError> {
        authorize_users(identity)?;
        Ok(self.core.inner.store.users(limit.min(LIMIT_MAX), offset).await?)
    }

    /// One user.
    pub async fn get(&self, identity: &Identity, id: UserId) -> Result<User, UserError> {
        authorize_users(identity)?;
        self.core.inner.store.user(id).await?.ok_or(UserError::NotFound)
    }

    /// Creates a user. No before-hook is asked; after-hooks see it, as they see every new user.
    pub async fn create(&self, cause: &Cause, account: NewAccount) -> Result<User, UserError> {
        authorize_admin(&cause.identity)?;
        let email = checked_email(&account.email)?;
        check_password("/password", &account.password)?;
        let user = new_user(email, account.is_admin);
        let event = Event::UserRegister(event_of(&user));
        let event = NewEvent::new(&event, cause, user.created_at);
        self.insert(user, &account.password, Some(event)).await
    }

    /// Changes a user. The last administrator stays one.
    pub async fn change(
        &self,
        identity: &Identity,
        id: UserId,
        change: AccountChange,
    ) -> Result<User, UserError> {
        authorize_admin(identity)?;
        let email = change.email.as_deref().map(checked_email).transpose()?;
        let inner = &self.core.inner;
        let password_hash = match change.password {
            Some(password) => {
                check_password("/password", &password)?;
                Some(inner.passwords.hash(&password).await?)
            }
            None => None,
        };
        let is_admin = change.is_admin;
        let change = UserChange { id, email, password_hash, is_admin, at: now() };
        let _revoking = inner.tokens.revoking();
        match inner.store.change_user(change).await? {
            UserChanged::Done(user) => Ok(user),
            UserChanged::NotFound => Err(UserError::NotFound),
            UserChanged::EmailTaken => Err(UserError::EmailTaken),
            UserChanged::LastAdmin => Err(UserError::LastAdmin { verb: "demote" }),
        }
    }

    /// Deletes a user: nobody's own account, and never the last administrator. Its records stay and
    /// belong to nobody; those that refer to it are treated as their fields say.
    pub async fn delete(&self, identity: &Identity, id: UserId) -> Result<(), UserError> {
        authorize_admin(identity)?;
        if identity.user_id() == Some(id) {
            return Err(UserError::OwnAccount);
        }
        let inner = &self.core.inner;
        let _revoking = inner.tokens.revoking();
        let cause = Cause::request(identity.clone(), String::new());
        for _ in 0..TRIES_MAX {
            let relations = Relations::read(&inner.store).await?;
            let cascade = relations.cascade(ReferenceTarget::User, &cause);
            match inner.store.delete_user(id, cascade).await? {
                UserDeleted::Done => {
                    self.core.events_committed();
                    return Ok(());
                }
                UserDeleted::NotFound => return Err(UserError::NotFound),
                UserDeleted::LastAdmin => return Err(UserError::LastAdmin { verb: "delete" }),
                UserDeleted::Stale => {}
            }
        }
        Err(UserError::Overloaded)
    }

    /// Whether there is nobody yet, so that the operator has to make an administrator.
    pub async fn needs_setup(&self) -> Result<bool, UserError> {
        Ok(!self.core.inner.store.has_users().await?)
    }
}
