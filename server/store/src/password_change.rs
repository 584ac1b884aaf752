//! New passwords: changed by the user, or reset with a token that was mailed.

use jiff::Timestamp;
use tinybase_model::UserId;

use crate::event::NewEvent;
use crate::sql::{Connection, Sql, query};
use crate::time::micros;
use crate::token::{REVOKE_USER, TokenHash};
use crate::user::PasswordHash;
use crate::write::Write;
use crate::{Store, StoreError};

/// A user's own change of the password.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The user.
    pub user_id: UserId,
    /// The password that was checked; if it isn't the user's any more, nothing is written.
    pub old: PasswordHash,
    /// The new one.
    pub new: PasswordHash,
    /// An access token whose login goes on; all others end.
    pub keep: TokenHash,
    /// When.
    pub at: Timestamp,
}

/// What came of a change of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordChanged {
    /// It was made.
    Done {
        /// How many tokens were revoked.
        revoked: u64,
    },
    /// The user is gone or has another password meanwhile.
    Stale,
}

/// A token that lets a user choose a new password, once.
#[derive(Debug, Clone, Copy)]
pub struct NewReset {
    /// The token's hash.
    pub hash: TokenHash,
    /// Whose password.
    pub user_id: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// How many tokens a user may have that were not used: so many mails an hour may somebody else
/// have sent to an address.
const RESETS_MAX: u64 = 3;

/// A new password in exchange for a token.
#[derive(Debug, Clone)]
pub struct PasswordReset {
    /// The token's hash.
    pub hash: TokenHash,
    /// The new password.
    pub password_hash: PasswordHash,
    /// When.
    pub at: Timestamp,
}

pub(crate) const CHANGE_PASSWORD: Sql = Sql::same(
    "
    update users set password_hash = $2, updated_at = $3 where id = $1 and password_hash = $4",
);

pub(crate) const SET_PASSWORD: Sql =
    Sql::same("update users set password_hash = $2, updated_at = $3 where id = $1");

pub(crate) const REVOKE_OTHERS: Sql = Sql::same(
    "
    delete from tokens where user_id = $1
    and family not in (select family from tokens where hash = $2)",
);

pub(crate) const COUNT_RESETS: Sql =
    Sql::same("select count(*) from password_resets where user_id = $1 and expires_at > $2");

pub(crate) const INSERT_RESET: Sql = Sql::same(
    "
    insert into password_resets (hash, user_id, created_at, expires_at) values ($1, $2, $3, $4)",
);

pub(crate) const RESET_BY_HASH: Sql =
    Sql::same("select user_id from password_resets where hash = $1 and expires_at > $2");

pub(crate) const TAKE_RESET: Sql = Sql::same(
    "
    delete from password_resets where hash = $1 and expires_at > $2 returning user_id",
);

pub(crate) const DELETE_RESETS_OF_USER: Sql =
    Sql::same("delete from password_resets where user_id = $1");

pub(crate) const CLEAN_UP_RESETS: Sql = Sql::same(
    "
    delete from password_resets where hash in (
        select hash from password_resets where expires_at <= $1 order by expires_at limit $2)",
);

impl Store {
    /// Changes a user's password and ends the user's other logins.
    pub async fn change_password(
        &self,
        change: PasswordChange,
    ) -> Result<PasswordChanged, StoreError> {
        self.write(change).await
    }

    /// Notes a token for a new password, unless the user has too many of them. Tells whether it did.
    pub async fn create_reset(&self, reset: NewReset) -> Result<bool, StoreError> {
        self.write(reset).await
    }

    /// Whether a token for a new password is there and valid.
    pub async fn has_reset(&self, hash: &TokenHash, now: Timestamp) -> Result<bool, StoreError> {
        let row = query(RESET_BY_HASH)
            .bind(hash.as_slice())
            .bind(micros(now))
            .fetch_optional(self.reader())
            .await;
        row.map(|row| row.is_some()).map_err(StoreError::read("a token"))
    }

    /// Sets a new password and ends all logins of its user, if the token is still there: of many who
    /// use it at once, one does. Tells whose password it was, if it did.
    pub async fn reset_password(&self, reset: PasswordReset) -> Result<Option<UserId>, StoreError> {
        self.write(reset).await
    }

    /// Deletes at most `limit` tokens for new passwords that expired by `now`, and tells how many.
    pub async fn clean_up_resets(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.sweep("tokens", CLEAN_UP_RESETS, [micros(now), limit.into()]).await
    }
}

impl Write for PasswordChange {
    type Output = PasswordChanged;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<PasswordChanged, StoreError> {
        let user = self.user_id.to_string();
        let changed = query(CHANGE_PASSWORD)
            .bind(&user)
            .bind(&self.new.0)
            .bind(micros(self.at))
            .bind(&self.old.0)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a password"))?;
        if changed == 0 {
            return Ok(PasswordChanged::Stale);
        }
        let deleted = query(DELETE_RESETS_OF_USER).bind(&user).execute(&mut *connection).await;
        deleted.map_err(StoreError::write("tokens"))?;
        let revoked = query(REVOKE_OTHERS)
            .bind(&user)
            .bind(self.keep.as_slice())
            .execute(connection)
            .await
            .map_err(StoreError::write("tokens"))?;
        Ok(PasswordChanged::Done { revoked })
    }
}

impl Write for NewReset {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let user = self.user_id.to_string();
        let counted = query(COUNT_RESETS)
            .bind(&user)
            .bind(micros(self.created_at))
            .fetch_one(&mut *connection)
            .await;
        let count = counted.and_then(|row| row.count(0)).map_err(StoreError::read("tokens"))?;
        if count >= RESETS_MAX {
            return Ok(false);
        }
        query(INSERT_RESET)
            .bind(self.hash.as_slice())
            .bind(&user)
            .bind(micros(self.created_at))
            .bind(micros(self.expires_at))
            .execute(connection)
            .await
            .map(|_| true)
            .map_err(StoreError::write("a token"))
    }
}

impl Write for PasswordReset {
    type Output = Option<UserId>;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Option<UserId>, StoreError> {
        let taken = query(TAKE_RESET)
            .bind(self.hash.as_slice())
            .bind(micros(self.at))
            .fetch_optional(&mut *connection)
            .await
            .map_err(StoreError::write("a token"))?;
        let Some(row) = taken else { return Ok(None) };
        let user = row.text(0).map_err(StoreError::read("a token"))?;
        let id = user.parse().map_err(StoreError::corrupt("a user's id"))?;
        query(SET_PASSWORD)
            .bind(user)
            .bind(&self.password_hash.0)
            .bind(micros(self.at))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a password"))?;
        for statement in [REVOKE_USER, DELETE_RESETS_OF_USER] {
            let deleted = query(statement).bind(user).execute(&mut *connection).await;
            deleted.map_err(StoreError::write("tokens"))?;
        }
        Ok(Some(id))
    }
}
