//! Users.

use std::fmt;

use tinybase_model::{User, UserId};

use crate::event::NewEvent;
use crate::record::id_array;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// The hash of a password, as a PHC string. `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A user to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// The password's hash.
    pub password_hash: PasswordHash,
    /// The event that says so; an administrator made by the operator has none.
    pub event: Option<NewEvent>,
}

/// Whether a user was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserCreated {
    /// It was.
    Done,
    /// Somebody has the address, and nothing was written.
    EmailTaken,
}

/// A user and what a login needs.
#[derive(Debug, Clone)]
pub struct UserWithPassword {
    /// The user.
    pub user: User,
    /// The password's hash.
    pub password_hash: PasswordHash,
}

pub(crate) const INSERT_USER: Sql = Sql::same(
    "
    insert into users (id, email, password_hash, is_admin, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6) on conflict (email) do nothing",
);

pub(crate) const USER_BY_ID: Sql = Sql::same(
    "
    select id, email, is_admin, created_at, updated_at from users where id = $1",
);

pub(crate) const USER_BY_EMAIL: Sql = Sql::same(
    "
    select id, email, is_admin, created_at, updated_at, password_hash from users where email = $1",
);

pub(crate) const USERS_BY_ID: Sql = Sql::each(
    "
    select id, email, is_admin, created_at, updated_at from users
    where id in (select value from json_each($1))",
    "
    select id, email, is_admin, created_at, updated_at from users
    where id in (select jsonb_array_elements_text($1::jsonb))",
);

impl Store {
    /// Creates a user unless somebody has the address.
    pub async fn create_user(&self, new: NewUser) -> Result<UserCreated, StoreError> {
        self.write(new).await
    }

    /// A user by id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = query(USER_BY_ID)
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("a user"))?;
        row.as_ref().map(decode).transpose()
    }

    /// Those of some users that are there.
    pub async fn users_by_id(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = query(USERS_BY_ID)
            .bind(id_array(ids))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read("users"))?;
        rows.iter().map(decode).collect()
    }

    /// A user by address, for a login.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserWithPassword>, StoreError> {
        let row = query(USER_BY_EMAIL)
            .bind(email)
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("a user"))?;
        let Some(row) = row else { return Ok(None) };
        let password_hash = row.text(5).map_err(StoreError::read("a user"))?;
        let password_hash = PasswordHash(password_hash.to_owned());
        Ok(Some(UserWithPassword { user: decode(&row)?, password_hash }))
    }
}

impl Write for NewUser {
    type Output = UserCreated;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<UserCreated, StoreError> {
        let inserted = query(INSERT_USER)
            .bind(self.user.id.to_string())
            .bind(&self.user.email)
            .bind(&self.password_hash.0)
            .bind(self.user.is_admin)
            .bind(micros(self.user.created_at))
            .bind(micros(self.user.updated_at))
            .execute(connection)
            .await
            .map_err(StoreError::write("a user"))?;
        if inserted == 0 {
            return Ok(UserCreated::EmailTaken);
        }
        events.extend(self.event.clone());
        Ok(UserCreated::Done)
    }
}

/// Reads the first five columns of a user.
pub(crate) fn decode(row: &Row) -> Result<User, StoreError> {
    let what = "a user";
    let text = |index: usize| row.text(index).map_err(StoreError::read(what));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(what));
    Ok(User {
        id: text(0)?.parse().map_err(StoreError::corrupt("a user's id"))?,
        email: text(1)?.to_owned(),
        is_admin: row.boolean(2).map_err(StoreError::read(what))?,
        created_at: timestamp(number(3)?)?,
        updated_at: timestamp(number(4)?)?,
    })
}
