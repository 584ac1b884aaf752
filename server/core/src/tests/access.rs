//! The whole table of who may do what.

use std::collections::BTreeSet;

use serde_json::json;
use tinybase_model::{
    Application, ApplicationTokenId, CollectionId, CollectionName, FunctionAuth, Identity,
    JsonBytes, Permissions, Record, RecordId, Scope, Scopes, UserId,
};

use super::{extension, function};
use crate::schema::Schema;
use crate::{
    AccessDenied, AccessRules, Actor, Attempt, Capabilities, Granted, Operation, Rule, authorize,
    authorize_admin, authorize_function, authorize_self, authorize_user, authorize_users,
};

/// What is expected: everything, one's own, 401, 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    All,
    Own,
    Login,
    No,
}

fn decide(
    identity: &Identity,
    capabilities: Option<&Capabilities>,
    operation: Operation,
    rule: Rule,
    owner: Option<UserId>,
) -> Expected {
    let collection: CollectionName = "notes".parse().expect("a name");
    let rules = AccessRules::default().with(operation, rule);
    let at = tinybase_store::now();
    let record = Record {
        id: RecordId::generate(),
        collection_id: CollectionId::generate(),
        collection: collection.clone(),
        owner_id: owner,
        data: JsonBytes::empty_object(),
        created_at: at,
        updated_at: at,
        version: 1,
    };
    let about_many = matches!(operation, Operation::List | Operation::Create);
    let record = (!about_many).then_some(&record);
    let attempt = Attempt { operation, collection: &collection, rules: &rules, record };
    match authorize(Actor { identity, capabilities }, attempt) {
        Ok(Granted::Everything) => Expected::All,
        Ok(Granted::OwnedBy(user)) => {
            assert_eq!(Some(user), identity.user_id());
            Expected::Own
        }
        Ok(Granted::Where(filter)) => panic!("no expression here: {filter:?}"),
        Err(AccessDenied::Unauthenticated) => Expected::Login,
        Err(
            AccessDenied::Rule { .. }
            | AccessDenied::AdminOnly
            | AccessDenied::Owner
            | AccessDenied::UsersOnly
            | AccessDenied::Scope { .. }
            | AccessDenied::Capability(_),
        ) => Expected::No,
    }
}

#[test]
fn each_role_may_do_under_each_rule_what_the_table_says() {
    use Expected::{All, Login, No, Own};

    let me = UserId::generate();
    let other = Some(UserId::generate());
    let user = Identity::User { id: me, is_admin: false };
    let admin = Identity::User { id: me, is_admin: true };
    for operation in Operation::ALL {
        for rule in Rule::ALL {
            for owner in [None, Some(me), other] {
                let about_one = !matches!(operation, Operation::List | Operation::Create);
                let for_user = match (rule.clone(), operation) {
                    (Rule::Public | Rule::Auth, _) | (Rule::Owner, Operation::Create) => All,
                    (Rule::Owner, Operation::List) => Own,
                    (Rule::Owner, _) if about_one && owner == Some(me) => All,
                    (Rule::Owner | Rule::Admin | Rule::Where(_), _) => No,
                };
                let reads = matches!(operation, Operation::List | Operation::Read);
                let for_anybody = match rule.clone() {
                    Rule::Public => All,
                    Rule::Auth | Rule::Owner | Rule::Admin | Rule::Where(_) if reads => No,
                    Rule::Auth | Rule::Owner | Rule::Admin | Rule::Where(_) => Login,
                };
                let table = [
                    (&Identity::Anonymous, for_anybody),
                    (&user, for_user),
                    (&admin, All),
                    (&Identity::Operator, All),
                    (&Identity::Extension(extension()), No),
                ];
                for (identity, expected) in table {
                    let found = decide(identity, None, operation, rule.clone(), owner);
                    assert_eq!(found, expected, "{identity:?} {operation:?} {rule:?} {owner:?}");
                }
            }
        }
    }
}

fn listed(capabilities: &[&str]) -> Permissions {
    Permissions::Listed {
        capabilities: capabilities.iter().map(|text| (*text).to_owned()).collect(),
        environment: BTreeSet::new(),
        hooks: None,
    }
}

fn granted(permissions: &Permissions) -> Capabilities {
    Capabilities::of(extension(), permissions)
}

#[test]
fn an_extension_does_what_it_was_granted_within_the_rules_for_whom_it_acts() {
    use Expected::{All, Login, No};

    let itself = Identity::Extension(extension());
    let anybody = Identity::Anonymous;
    let cases = [
        (Permissions::Broad, &itself, Operation::Read, Rule::Admin, All),
        (Permissions::Broad, &itself, Operation::Create, Rule::Public, No),
        (Permissions::Broad, &anybody, Operation::Read, Rule::Public, All),
        (Permissions::Broad, &anybody, Operation::Read, Rule::Auth, No),
        (listed(&[]), &itself, Operation::Read, Rule::Public, No),
        (listed(&["records:read:notes"]), &itself, Operation::List, Rule::Admin, All),
        (listed(&["records:read:other"]), &itself, Operation::List, Rule::Public, No),
        (listed(&["records:read:*"]), &itself, Operation::Delete, Rule::Public, No),
        (listed(&["records:write:*"]), &itself, Operation::Delete, Rule::Admin, All),
        (listed(&["records:write:notes"]), &itself, Operation::Read, Rule::Public, No),
        (listed(&["records:write:notes"]), &anybody, Operation::Create, Rule::Public, All),
        (listed(&["records:write:notes"]), &anybody, Operation::Create, Rule::Auth, Login),
        (listed(&["records:read:*"]), &Identity::Operator, Operation::Create, Rule::Public, No),
    ];
    for (permissions, identity, operation, rule, expected) in cases {
        let found = decide(identity, Some(&granted(&permissions)), operation, rule.clone(), None);
        assert_eq!(found, expected, "{permissions:?} {identity:?} {operation:?} {rule:?}");
    }
}

#[test]
fn a_missing_capability_says_which_one_and_where_to_write_it() {
    let capabilities = granted(&Permissions::Broad);
    let collection: CollectionName = "notes".parse().expect("a name");
    let missing = capabilities.records(true, &collection).expect_err("broad is not write");
    let text = missing.to_string();
    assert!(text.contains("'one'") && text.contains("records:write:notes"), "{text}");
    assert!(text.contains("[extension.permissions]"), "{text}");
}

#[test]
fn functions_and_users_are_for_whom_they_are() {
    let me = UserId::generate();
    let user = Identity::User { id: me, is_admin: false };
    let admin = Identity::User { id: me, is_admin: true };
    let itself = Identity::Extension(extension());
    let call = |identity: &Identity, capabilities: Option<&Capabilities>, auth| {
        authorize_function(Actor { identity, capabilities }, &function("f", auth))
    };
    for (identity, public, auth, administrators) in [
        (&Identity::Anonymous, true, false, false),
        (&user, true, true, false),
        (&admin, true, true, true),
        (&Identity::Operator, true, true, true),
        (&itself, true, false, false),
    ] {
        assert_eq!(call(identity, None, FunctionAuth::Public).is_ok(), public, "{identity:?}");
        assert_eq!(call(identity, None, FunctionAuth::Auth).is_ok(), auth, "{identity:?}");
        assert_eq!(call(identity, None, FunctionAuth::Admin).is_ok(), administrators);
    }
    assert_eq!(
        call(&Identity::Anonymous, None, FunctionAuth::Admin),
        Err(AccessDenied::Unauthenticated)
    );
    let (broad, none) = (granted(&Permissions::Broad), granted(&listed(&[])));
    let exact = granted(&listed(&["functions:call:f", "users:read"]));
    for (capabilities, allowed) in [(&broad, true), (&none, false), (&exact, true)] {
        assert_eq!(call(&itself, Some(capabilities), FunctionAuth::Admin).is_ok(), allowed);
        assert_eq!(call(&user, Some(capabilities), FunctionAuth::Auth).is_ok(), allowed);
        assert!(call(&user, Some(capabilities), FunctionAuth::Admin).is_err());
        let read = |identity, id| {
            authorize_user(Actor { identity, capabilities: Some(capabilities) }, id).is_ok()
        };
        assert_eq!(read(&itself, UserId::generate()), allowed);
        assert_eq!(read(&user, me), allowed);
        assert!(!read(&user, UserId::generate()));
    }
}

#[test]
fn rules_are_read_from_options_and_mistakes_are_named() {
    let schema = Schema::parse(&json!({"fields": []})).expect("a schema");
    let rules =
        AccessRules::from_options(&json!({"access": {"list": "admin"}, "color": "red"}), &schema);
    let rules = rules.expect("rules");
    assert_eq!(rules, AccessRules::default().with(Operation::List, Rule::Admin));
    assert_eq!(rules.rule(Operation::Read), &Rule::Public);
    assert_eq!(rules.rule(Operation::Create), &Rule::Auth);
    assert_eq!(rules.rule(Operation::Update), &Rule::Owner);
    assert_eq!(rules.rule(Operation::Delete), &Rule::Owner);
    let wrong = json!({"access": {"list": "everybody", "write": "auth", "read": 1}});
    let violations = AccessRules::from_options(&wrong, &schema).expect_err("mistakes");
    let fields: BTreeSet<_> = violations.iter().map(|v| v.field.as_str()).collect();
    let expected = ["/options/access/list", "/options/access/read", "/options/access/write"];
    assert_eq!(fields, BTreeSet::from(expected));
    assert!(AccessRules::from_options(&json!({"access": []}), &schema).is_err());
}

/// A program with an application token of these scopes.
fn application(scopes: &[&str]) -> Identity {
    let scopes = scopes.iter().map(|text| text.parse::<Scope>().expect("a scope"));
    let scopes = Scopes::new(scopes);
    Identity::Application(Application { id: ApplicationTokenId::generate(), scopes })
}

#[test]
fn an_application_does_what_its_scopes_say_whatever_the_rules_are() {
    use Expected::{All, No};

    let broad = granted(&Permissions::Broad);
    let cases = [
        (&["records:read:notes"][..], None, Operation::Read, All),
        (&["records:read:notes"], None, Operation::List, All),
        (&["records:read:notes"], None, Operation::Update, No),
        (&["records:read:other"], None, Operation::Read, No),
        (&["records:write:*"], None, Operation::Delete, All),
        (&["records:write:*"], None, Operation::Read, No),
        (&["functions:call:*", "users:read"], None, Operation::Read, No),
        (&["admin"], None, Operation::Delete, All),
        (&[], None, Operation::Read, No),
        // An extension that acts for it has what both have.
        (&["records:read:*"], Some(&broad), Operation::Read, All),
        (&["records:write:*"], Some(&broad), Operation::Delete, No),
        (&[], Some(&broad), Operation::Read, No),
    ];
    for (scopes, capabilities, operation, expected) in cases {
        let identity = application(scopes);
        for rule in Rule::ALL {
            let found = decide(&identity, capabilities, operation, rule.clone(), None);
            assert_eq!(found, expected, "{scopes:?} {operation:?} {rule:?}");
        }
    }
}

#[test]
fn an_application_calls_reads_users_and_administers_within_its_scopes_and_is_no_user() {
    let cases = [
        (&["functions:call:f"][..], [true, false, false]),
        (&["functions:call:*"], [true, false, false]),
        (&["functions:call:g"], [false, false, false]),
        (&["users:read"], [false, true, false]),
        (&["admin"], [true, true, true]),
        (&[], [false, false, false]),
    ];
    for (scopes, [calls, reads_users, administers]) in cases {
        let identity = application(scopes);
        for auth in [FunctionAuth::Public, FunctionAuth::Auth, FunctionAuth::Admin] {
            let called = authorize_function(Actor::client(&identity), &function("f", auth));
            assert_eq!(called.is_ok(), calls, "{scopes:?} {auth:?}");
        }
        assert_eq!(authorize_users(&identity).is_ok(), reads_users, "{scopes:?}");
        let one = authorize_user(Actor::client(&identity), UserId::generate());
        assert_eq!(one.is_ok(), reads_users, "{scopes:?}");
        assert_eq!(authorize_admin(&identity).is_ok(), administers, "{scopes:?}");
        assert_eq!(authorize_self(&identity), Err(AccessDenied::UsersOnly));
    }
}
