//! What an application token may do: a list of scopes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::{ApplicationTokenId, CollectionName};

/// A program that came with an application token. It is nobody's user: it does what its scopes say
/// and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The token.
    pub id: ApplicationTokenId,
    /// What it may do.
    pub scopes: Scopes,
}

/// One thing that an application token may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything that an administrator may do: `admin`.
    Admin,
    /// Reading users: `users:read`.
    UsersRead,
    /// Reading records: `records:read:NAME`.
    RecordsRead(Target),
    /// Creating, changing and deleting records: `records:write:NAME`.
    RecordsWrite(Target),
    /// Calling functions: `functions:call:NAME`.
    FunctionsCall(Target),
}

/// What a scope is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// All of the kind: `*`.
    All,
    /// The one of this name.
    One(String),
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no scope; use records:read:NAME, records:write:NAME, functions:call:NAME \
     (NAME may be *), users:read or admin"
)]
pub struct InvalidScope {
    text: String,
}

/// The scopes of a token, each once and in order.
#[derive(Clone, PartialEq, Eq)]
pub struct Scopes(Arc<[Scope]>);

impl Scopes {
    /// These scopes.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        Self(scopes.into())
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Scope] {
        &self.0
    }

    /// Whether they have everything that an administrator may do.
    pub fn admin(&self) -> bool {
        self.0.contains(&Scope::Admin)
    }

    /// Whether something is granted, by itself, by its `*` or by `admin`.
    pub fn grant(&self, needed: &Scope) -> bool {
        self.0.iter().any(|scope| scope.grants(needed))
    }
}

impl Scope {
    fn grants(&self, needed: &Self) -> bool {
        let covers = |mine: &Target, theirs: &Target| *mine == Target::All || mine == theirs;
        match (self, needed) {
            (Self::Admin, _) | (Self::UsersRead, Self::UsersRead) => true,
            (Self::RecordsRead(mine), Self::RecordsRead(theirs))
            | (Self::RecordsWrite(mine), Self::RecordsWrite(theirs))
            | (Self::FunctionsCall(mine), Self::FunctionsCall(theirs)) => covers(mine, theirs),
            (
                Self::UsersRead
                | Self::RecordsRead(_)
                | Self::RecordsWrite(_)
                | Self::FunctionsCall(_),
                _,
            ) => false,
        }
    }
}

/// The longest name of a function in a scope.
const NAME_MAX: usize = 200;

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidScope { text: text.to_owned() };
        let target = |name: &str, valid: bool| match name {
            "*" => Ok(Target::All),
            name if valid => Ok(Target::One(name.to_owned())),
            _ => Err(invalid()),
        };
        let is_collection = |name: &str| name.parse::<CollectionName>().is_ok();
        if let Some(name) = text.strip_prefix("records:read:") {
            return target(name, is_collection(name)).map(Self::RecordsRead);
        }
        if let Some(name) = text.strip_prefix("records:write:") {
            return target(name, is_collection(name)).map(Self::RecordsWrite);
        }
        if let Some(name) = text.strip_prefix("functions:call:") {
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            let valid = (1..=NAME_MAX).contains(&name.len()) && name.chars().all(is_name);
            return target(name, valid).map(Self::FunctionsCall);
        }
        match text {
            "admin" => Ok(Self::Admin),
            "users:read" => Ok(Self::UsersRead),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::UsersRead => f.write_str("users:read"),
            Self::RecordsRead(target) => write!(f, "records:read:{target}"),
            Self::RecordsWrite(target) => write!(f, "records:write:{target}"),
            Self::FunctionsCall(target) => write!(f, "functions:call:{target}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(name) => f.write_str(name),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_slice())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(ToString::to_string)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect("a scope")
    }

    #[test]
    fn a_scope_reads_back_and_anything_else_is_refused() {
        let all = [
            "admin",
            "users:read",
            "records:read:orders",
            "records:write:*",
            "functions:call:sync-all",
            "functions:call:*",
        ];
        for text in all {
            assert_eq!(scope(text).to_string(), text);
        }
        let long = format!("functions:call:{}", "a".repeat(NAME_MAX + 1));
        let bad = [
            "",
            "*",
            "Admin",
            "admin:*",
            "users",
            "users:write",
            "records:read",
            "records:read:",
            "records:read:Orders",
            "records:delete:orders",
            "records:read:a:b",
            "functions:call:",
            "functions:call:a b",
            &long,
        ];
        for text in bad {
            let refused = text.parse::<Scope>().expect_err(text);
            assert!(refused.to_string().contains("is no scope"), "{refused}");
        }
    }

    #[test]
    fn scopes_grant_themselves_and_what_their_star_covers() {
        let cases = [
            ("records:read:orders", "records:read:orders", true),
            ("records:read:orders", "records:read:other", false),
            ("records:read:orders", "records:write:orders", false),
            ("records:read:orders", "records:read:*", false),
            ("records:read:*", "records:read:orders", true),
            ("records:read:*", "records:write:orders", false),
            ("functions:call:*", "functions:call:greet", true),
            ("functions:call:*", "records:read:greet", false),
            ("users:read", "users:read", true),
            ("users:read", "admin", false),
            ("records:write:*", "admin", false),
            ("admin", "records:write:orders", true),
            ("admin", "users:read", true),
        ];
        for (has, needed, granted) in cases {
            let scopes = Scopes::new([scope(has)]);
            assert_eq!(scopes.grant(&scope(needed)), granted, "{has} for {needed}");
        }
        assert!(!Scopes::new([]).grant(&scope("users:read")));
    }

    #[test]
    fn scopes_are_kept_once_and_in_order() {
        let texts = ["users:read", "admin", "users:read"];
        let scopes = Scopes::new(texts.map(scope));
        assert_eq!(serde_json::to_string(&scopes).expect("JSON"), r#"["admin","users:read"]"#);
        assert!(scopes.admin());
    }
}
