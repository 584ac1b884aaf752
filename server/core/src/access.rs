//! Who may do what with records: the only place that decides.

use serde_json::Value;
use thiserror::Error;
use tinybase_model::{
    CollectionName, FieldViolation, Filter, FunctionAuth, FunctionBinding, Identity, Record,
    RecordFacts, Scope, Scopes, Target, UserId,
};

use tinybase_store::now;

use crate::capability::{Capabilities, MissingCapability};
use crate::problem::{Kind, Problem};
use crate::rule::{Demand, Expression};
use crate::schema::{Schema, violation};

/// What is done with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading many.
    List,
    /// Reading one.
    Read,
    /// Creating one.
    Create,
    /// Changing one.
    Update,
    /// Deleting one.
    Delete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::List, Self::Read, Self::Create, Self::Update, Self::Delete];

    /// The word for it in a collection's options.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    const fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

/// Who is let through.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Anybody.
    Public,
    /// Any user who is logged in.
    Auth,
    /// The record's owner. A record without an owner is for administrators only.
    Owner,
    /// Administrators.
    Admin,
    /// Whoever fulfils an expression with the record, and administrators.
    Where(Expression),
}

impl Rule {
    /// Those that are a word.
    pub const ALL: [Self; 4] = [Self::Public, Self::Auth, Self::Owner, Self::Admin];
    /// Their words in a collection's options.
    pub const WORDS: [&str; 4] = ["public", "auth", "owner", "admin"];

    /// Whether it speaks of a field of the data.
    pub(crate) fn names(&self, field: &str) -> bool {
        match self {
            Self::Where(expression) => expression.names(field),
            Self::Public | Self::Auth | Self::Owner | Self::Admin => false,
        }
    }

    /// Reads a word or an expression over the fields of a schema.
    fn parse(text: &str, schema: &Schema) -> Result<Self, String> {
        let words = Self::WORDS.into_iter().zip(Self::ALL);
        if let Some((_, rule)) = words.into_iter().find(|(word, _)| *word == text) {
            return Ok(rule);
        }
        let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_word && text != "true" && text != "false" {
            let known = Self::WORDS.join(", ");
            return Err(format!(
                "is no rule; use {known} or an expression such as \"record.owner_id == user.id\""
            ));
        }
        let expression = Expression::parse(text, schema);
        expression.map(Self::Where).map_err(|error| format!("is no rule: {error}"))
    }
}

/// A collection's rules, one for each operation.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRules {
    rules: [Rule; 5],
}

impl Default for AccessRules {
    /// Anybody reads, users create, owners change and delete.
    fn default() -> Self {
        Self { rules: [Rule::Public, Rule::Public, Rule::Auth, Rule::Owner, Rule::Owner] }
    }
}

impl AccessRules {
    /// The rule for an operation.
    pub const fn rule(&self, operation: Operation) -> &Rule {
        &self.rules[operation as usize]
    }

    /// These rules with another one for an operation.
    #[must_use]
    pub fn with(mut self, operation: Operation, rule: Rule) -> Self {
        self.rules[operation as usize] = rule;
        self
    }

    /// Reads `access` of a collection's options; what isn't there has its default.
    ///
    /// # Errors
    /// For each operation that doesn't exist and each rule that can't be read, one violation.
    pub(crate) fn from_options(
        options: &Value,
        schema: &Schema,
    ) -> Result<Self, Vec<FieldViolation>> {
        let access = match options.get("access") {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(access)) => access,
            Some(_) => return Err(vec![violation("/options/access", "must be an object")]),
        };
        let mut rules = Self::default();
        let mut violations = Vec::new();
        for (key, value) in access {
            let field = format!("/options/access/{key}");
            let Some(operation) = Operation::ALL.into_iter().find(|o| o.as_str() == key) else {
                let known = Operation::ALL.map(Operation::as_str).join(", ");
                violations.push(violation(&field, &format!("is no operation; use {known}")));
                continue;
            };
            let read = value.as_str().ok_or_else(|| "must be a text".to_owned());
            match read.and_then(|text| Rule::parse(text, schema)) {
                Ok(rule) => rules = rules.with(operation, rule),
                Err(message) => violations.push(violation(&field, &message)),
            }
        }
        if violations.is_empty() { Ok(rules) } else { Err(violations) }
    }
}

/// Who acts, and for an extension's call-back also what the extension was granted.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// On whose behalf.
    pub identity: &'a Identity,
    /// What the extension that asks may do; none for a client's own request.
    pub capabilities: Option<&'a Capabilities>,
}

impl<'a> Actor<'a> {
    /// A client, without an extension in between.
    pub const fn client(identity: &'a Identity) -> Self {
        Self { identity, capabilities: None }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The operation.
    pub operation: Operation,
    /// The collection's name.
    pub collection: &'a CollectionName,
    /// The collection's rules.
    pub rules: &'a AccessRules,
    /// The record; none if it isn't known yet, or if it is about many.
    pub record: Option<&'a Record>,
}

/// How much of what was asked for is granted.
#[derive(Debug, Clone, PartialEq)]
pub enum Granted {
    /// Everything. With a record it is always that.
    Everything,
    /// Only records of this user.
    OwnedBy(UserId),
    /// Only records that fulfil this.
    Where(Filter),
}

/// Why somebody may not do something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessDenied {
    /// Nobody is logged in.
    #[error("Authentication required")]
    Unauthenticated,
    /// The rule is for others.
    #[error("You don't have permission to {operation} records of '{collection}'")]
    Rule {
        /// What was to be done.
        operation: &'static str,
        /// With which collection.
        collection: CollectionName,
    },
    /// Only administrators may do it.
    #[error("Admin access required")]
    AdminOnly,
    /// Only administrators decide to whom records belong.
    #[error("Only administrators decide to whom a record belongs; leave owner_id out")]
    Owner,
    /// It is about the user who is logged in, and whoever asks is none.
    #[error("This is for users; log in as one")]
    UsersOnly,
    /// The application token wasn't given it.
    #[error(
        "the application token lacks the scope {needed}; an administrator can make a token that has it"
    )]
    Scope {
        /// What it would need, such as `records:write:orders`.
        needed: Scope,
    },
    /// The extension wasn't granted it.
    #[error(transparent)]
    Capability(#[from] MissingCapability),
}

impl Problem for AccessDenied {
    fn kind(&self) -> Kind {
        match self {
            Self::Unauthenticated => Kind::Unauthenticated,
            Self::Rule { .. }
            | Self::AdminOnly
            | Self::Owner
            | Self::UsersOnly
            | Self::Scope { .. }
            | Self::Capability(_) => Kind::Forbidden,
        }
    }
}

/// Decides whether an actor may do something with records.
///
/// An extension needs the capability whoever it acts for; within an invocation the rules for that
/// identity hold as well. On its own behalf the capability alone decides. So do the scopes of an
/// application token, with which an extension's capabilities are intersected too.
///
/// # Errors
/// Why not.
pub fn authorize(actor: Actor<'_>, attempt: Attempt<'_>) -> Result<Granted, AccessDenied> {
    if let Some(capabilities) = actor.capabilities {
        capabilities.records(attempt.operation.is_write(), attempt.collection)?;
    }
    let denied = || AccessDenied::Rule {
        operation: attempt.operation.as_str(),
        collection: attempt.collection.clone(),
    };
    let user = match actor.identity {
        Identity::Operator | Identity::User { is_admin: true, .. } => {
            return Ok(Granted::Everything);
        }
        Identity::Application(application) => {
            let target = Target::One(attempt.collection.to_string());
            let needed = if attempt.operation.is_write() {
                Scope::RecordsWrite(target)
            } else {
                Scope::RecordsRead(target)
            };
            return has_scope(&application.scopes, needed).map(|()| Granted::Everything);
        }
        Identity::Extension(_) if actor.capabilities.is_some() => return Ok(Granted::Everything),
        Identity::Extension(_) => return Err(denied()),
        Identity::User { id, is_admin: false } => Some(*id),
        Identity::Anonymous => None,
    };
    let granted = match (attempt.rules.rule(attempt.operation), user) {
        (Rule::Public, _) | (Rule::Auth, Some(_)) => Some(Granted::Everything),
        (Rule::Owner, Some(_)) if attempt.operation == Operation::Create => {
            Some(Granted::Everything)
        }
        (Rule::Owner, Some(user)) => Some(Granted::OwnedBy(user)),
        (Rule::Where(expression), _) => match expression.demand(actor.identity, now()) {
            Demand::Constant(true) => Some(Granted::Everything),
            Demand::Constant(false) => None,
            Demand::Filter(filter) => Some(Granted::Where(filter)),
        },
        (Rule::Auth | Rule::Owner, None) | (Rule::Admin, _) => None,
    };
    let granted = match (granted, attempt.record) {
        (Some(granted), Some(record)) => granted.includes(record).then_some(Granted::Everything),
        (granted, _) => granted,
    };
    match (granted, user) {
        (Some(granted), _) => Ok(granted),
        // Clients rely on it: reading is denied, writing asks for a login.
        (None, None) if attempt.operation.is_write() => Err(AccessDenied::Unauthenticated),
        (None, _) => Err(denied()),
    }
}

impl Granted {
    /// Whether a record is part of what is granted.
    pub fn includes(&self, record: &Record) -> bool {
        match self {
            Self::Everything => true,
            Self::OwnedBy(user) => record.owner_id == Some(*user),
            Self::Where(filter) => fulfils(filter, record),
        }
    }
}

/// Whether a record fulfils a filter.
pub(crate) fn fulfils(filter: &Filter, record: &Record) -> bool {
    // Data is an object.
    let data: Value = record.data.parse().unwrap_or_default();
    filter.matches(&RecordFacts {
        id: Some(record.id),
        collection_id: record.collection_id,
        owner_id: record.owner_id,
        created_at: Some(record.created_at),
        updated_at: Some(record.updated_at),
        data: &data,
    })
}

/// Decides whether an actor may call a function. An extension needs the capability; on its own
/// behalf that is enough, within an invocation the function's rule holds for whoever it acts for.
///
/// # Errors
/// Why not.
pub fn authorize_function(
    actor: Actor<'_>,
    function: &FunctionBinding,
) -> Result<(), AccessDenied> {
    if let Some(capabilities) = actor.capabilities {
        capabilities.function(&function.name)?;
        if matches!(actor.identity, Identity::Extension(_)) {
            return Ok(());
        }
    }
    if let Identity::Application(application) = actor.identity {
        let needed = Scope::FunctionsCall(Target::One(function.name.clone()));
        return has_scope(&application.scopes, needed);
    }
    match (function.auth, actor.identity) {
        (FunctionAuth::Public, _) | (FunctionAuth::Auth, Identity::User { .. }) => Ok(()),
        (_, identity) if identity.is_admin() => Ok(()),
        (FunctionAuth::Auth | FunctionAuth::Admin, Identity::Anonymous) => {
            Err(AccessDenied::Unauthenticated)
        }
        (FunctionAuth::Auth | FunctionAuth::Admin, _) => Err(AccessDenied::AdminOnly),
    }
}

/// Decides whether an actor may read a user: administrators may, and users themselves. An extension
/// needs the capability; on its own behalf that is enough.
///
/// # Errors
/// Why not.
pub fn authorize_user(actor: Actor<'_>, user: UserId) -> Result<(), AccessDenied> {
    if let Some(capabilities) = actor.capabilities {
        capabilities.users()?;
        if matches!(actor.identity, Identity::Extension(_)) {
            return Ok(());
        }
    }
    if actor.identity.user_id() == Some(user) {
        return Ok(());
    }
    authorize_users(actor.identity)
}

/// Decides whether somebody may read all users.
///
/// # Errors
/// Why not.
pub fn authorize_users(identity: &Identity) -> Result<(), AccessDenied> {
    if let Identity::Application(application) = identity {
        return has_scope(&application.scopes, Scope::UsersRead);
    }
    authorize_admin(identity)
}

/// The user who is logged in, for what is about that one.
///
/// # Errors
/// If nobody is, or somebody who is no user.
pub fn authorize_self(identity: &Identity) -> Result<UserId, AccessDenied> {
    match identity {
        Identity::User { id, .. } => Ok(*id),
        Identity::Anonymous => Err(AccessDenied::Unauthenticated),
        Identity::Application(_) | Identity::Extension(_) | Identity::Operator => {
            Err(AccessDenied::UsersOnly)
        }
    }
}

/// Lets administrators through.
///
/// # Errors
/// If it isn't one.
pub fn authorize_admin(identity: &Identity) -> Result<(), AccessDenied> {
    match identity {
        identity if identity.is_admin() => Ok(()),
        Identity::Anonymous => Err(AccessDenied::Unauthenticated),
        Identity::User { .. }
        | Identity::Application(_)
        | Identity::Extension(_)
        | Identity::Operator => Err(AccessDenied::AdminOnly),
    }
}

/// An application token does what its scopes say, whatever the rules are for others.
fn has_scope(scopes: &Scopes, needed: Scope) -> Result<(), AccessDenied> {
    if scopes.grant(&needed) { Ok(()) } else { Err(AccessDenied::Scope { needed }) }
}
