//! Users as administrators see, change and delete them.

use jiff::Timestamp;
use tinybase_model::{User, UserId};

use crate::cascade::Cascade;
use crate::event::NewEvent;
use crate::password_change::DELETE_RESETS_OF_USER;
use crate::sql::{Connection, Sql, query};
use crate::time::micros;
use crate::token::REVOKE_USER;
use crate::user::{PasswordHash, decode};
use crate::write::Write;
use crate::{Store, StoreError};

/// A page of users, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// How many there are in all.
    pub total: u64,
}

/// What is to be changed of a user.
#[derive(Debug, Clone)]
pub struct UserChange {
    /// The user.
    pub id: UserId,
    /// A new address.
    pub email: Option<String>,
    /// A new password; it ends the user's logins.
    pub password_hash: Option<PasswordHash>,
    /// Whether it is to be an administrator.
    pub is_admin: Option<bool>,
    /// When.
    pub at: Timestamp,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChanged {
    /// It was made.
    Done(User),
    /// There is no such user.
    NotFound,
    /// Somebody else has the address.
    EmailTaken,
    /// There would be no administrator left.
    LastAdmin,
}

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserDeleted {
    /// Collections that refer to users have changed since they were read.
    Stale,
    /// The user is gone, the records that belonged to it belong to nobody.
    Done,
    /// There is no such user.
    NotFound,
    /// There would be no administrator left.
    LastAdmin,
}

pub(crate) const USERS: Sql = Sql::same(
    "
    select id, email, is_admin, created_at, updated_at from users
    order by created_at, id limit $1 offset $2",
);

pub(crate) const COUNT_USERS: Sql = Sql::same("select count(*) from users");

pub(crate) const ANY_USER: Sql = Sql::same("select 1 from users limit 1");

/// The administrators, who stay as they are until the transaction ends.
pub(crate) const ADMINS: Sql = Sql::each(
    "select id from users where is_admin = 1 limit 2",
    "select id from users where is_admin = 1 order by id for update",
);

pub(crate) const UPDATE_USER: Sql = Sql::same(
    "
    update users set email = coalesce($2, email), password_hash = coalesce($3, password_hash),
        is_admin = coalesce($4, is_admin), updated_at = $5
    where id = $1 returning id, email, is_admin, created_at, updated_at",
);

pub(crate) const DELETE_USER: Sql = Sql::same("delete from users where id = $1");

impl Store {
    /// A page of all users.
    pub async fn users(&self, limit: u32, offset: u32) -> Result<UserPage, StoreError> {
        let rows = query(USERS).bind(limit).bind(offset).fetch_all(self.reader()).await;
        let rows = rows.map_err(StoreError::read("users"))?;
        let counted = query(COUNT_USERS).fetch_one(self.reader()).await;
        let total = counted.and_then(|row| row.count(0)).map_err(StoreError::read("users"))?;
        Ok(UserPage { users: rows.iter().map(decode).collect::<Result<_, _>>()?, total })
    }

    /// Whether there is any user.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        let row = query(ANY_USER).fetch_optional(self.reader()).await;
        row.map(|row| row.is_some()).map_err(StoreError::read("users"))
    }

    /// Changes a user, unless that would leave no administrator.
    pub async fn change_user(&self, change: UserChange) -> Result<UserChanged, StoreError> {
        match self.write(change).await {
            Err(error) if error.is_duplicate() => Ok(UserChanged::EmailTaken),
            changed => changed,
        }
    }

    /// Deletes a user, unless that would leave no administrator. Its tokens go with it, and records
    /// that refer to it are treated as their fields say.
    pub async fn delete_user(
        &self,
        id: UserId,
        cascade: Option<Cascade>,
    ) -> Result<UserDeleted, StoreError> {
        self.write(Deletion { id, cascade }).await
    }
}

/// Whether a user is the only administrator. Nobody else becomes or ceases to be one until the
/// transaction ends.
async fn is_last_admin(connection: &mut Connection, id: UserId) -> Result<bool, StoreError> {
    let rows = query(ADMINS).fetch_all(connection).await;
    let rows = rows.map_err(StoreError::read("administrators"))?;
    let [only] = rows.as_slice() else { return Ok(false) };
    let only = only.text(0).map_err(StoreError::read("administrators"))?;
    Ok(only == id.to_string())
}

impl Write for UserChange {
    type Output = UserChanged;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<UserChanged, StoreError> {
        if self.is_admin == Some(false) && is_last_admin(connection, self.id).await? {
            return Ok(UserChanged::LastAdmin);
        }
        let id = self.id.to_string();
        let updated = query(UPDATE_USER)
            .bind(&id)
            .bind(self.email.as_deref())
            .bind(self.password_hash.as_ref().map(|hash| hash.0.as_str()))
            .bind(self.is_admin)
            .bind(micros(self.at))
            .fetch_optional(&mut *connection)
            .await
            .map_err(StoreError::write("a user"))?;
        let Some(row) = updated else { return Ok(UserChanged::NotFound) };
        let user = decode(&row)?;
        if self.password_hash.is_some() {
            for statement in [REVOKE_USER, DELETE_RESETS_OF_USER] {
                let deleted = query(statement).bind(&id).execute(&mut *connection).await;
                deleted.map_err(StoreError::write("tokens"))?;
            }
        }
        Ok(UserChanged::Done(user))
    }
}

struct Deletion {
    id: UserId,
    cascade: Option<Cascade>,
}

impl Write for Deletion {
    type Output = UserDeleted;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<UserDeleted, StoreError> {
        if is_last_admin(connection, self.id).await? {
            return Ok(UserDeleted::LastAdmin);
        }
        if let Some(cascade) = &self.cascade
            && !cascade.is_current(connection).await?
        {
            return Ok(UserDeleted::Stale);
        }
        let id = self.id.to_string();
        let deleted = query(DELETE_USER).bind(&id).execute(&mut *connection).await;
        if deleted.map_err(StoreError::write("a user"))? == 0 {
            return Ok(UserDeleted::NotFound);
        }
        if let Some(cascade) = &self.cascade {
            cascade.follow(connection, events, id).await?;
        }
        Ok(UserDeleted::Done)
    }
}
