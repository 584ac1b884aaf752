//! Users, through the core.

use tinybase_proto::v1;

use super::{CallbackError, Context};

/// A user as it is stored; never with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Its id.
    pub id: String,
    /// The address.
    pub email: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
    /// When the user was created, as an RFC 3339 time.
    pub created_at: String,
    /// When the user was last changed, as an RFC 3339 time.
    pub updated_at: String,
}

/// The users, as far as this invocation may see them.
#[derive(Debug)]
pub struct Users<'a> {
    context: &'a Context,
}

impl<'a> Users<'a> {
    pub(super) const fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Reads one user.
    pub async fn get(&self, id: &str) -> Result<User, CallbackError> {
        let request = v1::GetUserRequest { id: id.to_owned() };
        let answer = self.context.callbacks().get_user(request, self.context.scope()).await?;
        let v1::StoredUser { id, email, is_admin, created_at, updated_at } =
            answer.user.unwrap_or_default();
        Ok(User { id, email, is_admin, created_at, updated_at })
    }
}
