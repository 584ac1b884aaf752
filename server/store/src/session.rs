//! Ending one login of a user.

use crate::event::NewEvent;
use crate::sql::{Connection, Sql, query};
use crate::token::TokenHash;
use crate::write::Write;
use crate::{Store, StoreError};

pub(crate) const REVOKE_LOGIN: Sql =
    Sql::same("delete from tokens where family in (select family from tokens where hash = $1)");

impl Store {
    /// Revokes all tokens of the login that a token is of, and tells how many.
    pub async fn revoke_login(&self, token: TokenHash) -> Result<u64, StoreError> {
        self.write(RevokeLogin(token)).await
    }
}

struct RevokeLogin(TokenHash);

impl Write for RevokeLogin {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<u64, StoreError> {
        let deleted = query(REVOKE_LOGIN).bind(self.0.as_slice()).execute(connection).await;
        deleted.map_err(StoreError::write("tokens"))
    }
}
