//! Application tokens: for programs, with scopes, and without a user.

use std::fmt;

use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{ApplicationTokenId, FieldViolation, Identity, Scope, Scopes, Target};
use tinybase_store::{
    ApplicationToken, ApplicationTokenChange, NewApplicationToken, StoreError, now,
};

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::problem::{Kind, Problem};
use crate::schema::violation;
use crate::token;

/// Why something about application tokens wasn't done.
#[derive(Debug, Clone, Error)]
pub enum ApplicationTokenError {
    /// A part of it can't be used.
    #[error("{} {}", .0.field.trim_start_matches('/'), .0.message)]
    Invalid(FieldViolation),
    /// There is no such token.
    #[error("Application token not found")]
    NotFound,
    /// There are too many.
    #[error("there are too many application tokens; delete some that nobody uses")]
    TooMany,
    /// Programs don't manage programs' tokens.
    #[error("Application tokens are managed by administrators, not with an application token")]
    ForPeople,
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for ApplicationTokenError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Unprocessable,
            Self::NotFound => Kind::NotFound,
            Self::TooMany => Kind::Conflict,
            Self::ForPeople => Kind::Forbidden,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violation) => std::slice::from_ref(violation),
            Self::NotFound | Self::TooMany | Self::ForPeople | Self::Denied(_) | Self::Store(_) => {
                &[]
            }
        }
    }
}

/// An application token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewApplication {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// After how many days it ends; none means never.
    pub expires_days: Option<u32>,
    /// What it may do; none means all records and functions, and no administration.
    pub scopes: Option<Vec<String>>,
}

/// What is changed of an application token.
#[derive(Debug, Clone, Default)]
pub struct ApplicationChange {
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// Other scopes.
    pub scopes: Option<Vec<String>>,
    /// Whether it is to be switched on.
    pub is_active: Option<bool>,
}

/// A token that was just made, with its secret, which nobody can be shown again.
#[derive(Clone)]
pub struct CreatedApplication {
    /// The token.
    pub token: ApplicationToken,
    /// The secret.
    pub secret: String,
}

impl fmt::Debug for CreatedApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedApplication").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Application tokens.
#[derive(Debug, Clone, Copy)]
pub struct ApplicationTokens<'a> {
    core: &'a Core,
}

/// The longest name and description, in characters.
const NAME_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 500;
/// A hundred years.
const EXPIRES_DAYS_MAX: u32 = 36_500;
/// The most scopes of a token.
const SCOPES_MAX: usize = 100;

impl Core {
    /// Application tokens.
    pub const fn application_tokens(&self) -> ApplicationTokens<'_> {
        ApplicationTokens { core: self }
    }
}

impl ApplicationTokens<'_> {
    /// All of them, the oldest first.
    pub async fn list(
        &self,
        identity: &Identity,
    ) -> Result<Vec<ApplicationToken>, ApplicationTokenError> {
        authorize(identity)?;
        Ok(self.core.inner.store.application_tokens().await?)
    }

    /// One of them.
    pub async fn get(
        &self,
        identity: &Identity,
        id: ApplicationTokenId,
    ) -> Result<ApplicationToken, ApplicationTokenError> {
        authorize(identity)?;
        let found = self.core.inner.store.application_token(id).await?;
        found.ok_or(ApplicationTokenError::NotFound)
    }

    /// Makes one.
    pub async fn create(
        &self,
        identity: &Identity,
        new: NewApplication,
    ) -> Result<CreatedApplication, ApplicationTokenError> {
        authorize(identity)?;
        let created_at = now();
        let token = ApplicationToken {
            id: ApplicationTokenId::generate(),
            name: checked_name(new.name)?,
            description: new.description.map(checked_description).transpose()?,
            scopes: new.scopes.as_deref().map_or_else(|| Ok(usual_scopes()), checked_scopes)?,
            is_active: true,
            created_by: identity.user_id(),
            created_at,
            expires_at: new.expires_days.map(|days| expiry(created_at, days)).transpose()?,
            last_used_at: None,
        };
        let secret = token::random_application_token();
        let new = NewApplicationToken { token: token.clone(), hash: token::hash(&secret) };
        if !self.core.inner.store.create_application_token(new).await? {
            return Err(ApplicationTokenError::TooMany);
        }
        Ok(CreatedApplication { token, secret })
    }

    /// Changes one; it holds at once.
    pub async fn change(
        &self,
        identity: &Identity,
        id: ApplicationTokenId,
        change: ApplicationChange,
    ) -> Result<ApplicationToken, ApplicationTokenError> {
        authorize(identity)?;
        let change = ApplicationTokenChange {
            id,
            name: change.name.map(checked_name).transpose()?,
            description: change.description.map(checked_description).transpose()?,
            scopes: change.scopes.as_deref().map(checked_scopes).transpose()?,
            is_active: change.is_active,
        };
        let _revoking = self.core.inner.tokens.revoking();
        let changed = self.core.inner.store.change_application_token(change).await?;
        changed.ok_or(ApplicationTokenError::NotFound)
    }

    /// Deletes one; it is refused at once.
    pub async fn delete(
        &self,
        identity: &Identity,
        id: ApplicationTokenId,
    ) -> Result<(), ApplicationTokenError> {
        authorize(identity)?;
        let _revoking = self.core.inner.tokens.revoking();
        let deleted = self.core.inner.store.delete_application_token(id).await?;
        if deleted { Ok(()) } else { Err(ApplicationTokenError::NotFound) }
    }
}

/// Administrators and the operator may. A token that leaked can't make itself a successor.
fn authorize(identity: &Identity) -> Result<(), ApplicationTokenError> {
    if matches!(identity, Identity::Application(_)) {
        return Err(ApplicationTokenError::ForPeople);
    }
    Ok(authorize_admin(identity)?)
}

fn invalid(field: &str, message: &str) -> ApplicationTokenError {
    ApplicationTokenError::Invalid(violation(field, message))
}

fn checked_name(name: String) -> Result<String, ApplicationTokenError> {
    match name.chars().count() {
        0 => Err(invalid("/name", "must not be empty")),
        1..=NAME_MAX => Ok(name),
        _ => Err(invalid("/name", "must have at most 200 characters")),
    }
}

fn checked_description(description: String) -> Result<String, ApplicationTokenError> {
    if description.chars().count() <= DESCRIPTION_MAX {
        return Ok(description);
    }
    Err(invalid("/description", "must have at most 500 characters"))
}

fn usual_scopes() -> Scopes {
    Scopes::new([
        Scope::RecordsRead(Target::All),
        Scope::RecordsWrite(Target::All),
        Scope::FunctionsCall(Target::All),
    ])
}

fn checked_scopes(texts: &[String]) -> Result<Scopes, ApplicationTokenError> {
    if texts.is_empty() || texts.len() > SCOPES_MAX {
        return Err(invalid("/scopes", "must have 1 to 100 scopes"));
    }
    let mut scopes = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let scope = text.parse::<Scope>();
        let field = format!("/scopes/{index}");
        scopes.push(scope.map_err(|error| invalid(&field, &error.to_string()))?);
    }
    Ok(Scopes::new(scopes))
}

fn expiry(created_at: Timestamp, days: u32) -> Result<Timestamp, ApplicationTokenError> {
    if !(1..=EXPIRES_DAYS_MAX).contains(&days) {
        return Err(invalid("/expires_days", "must be 1 to 36500"));
    }
    Ok(created_at + jiff::SignedDuration::from_hours(i64::from(days) * 24))
}
