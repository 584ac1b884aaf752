//! Registering, logging in and out.

use futures_util::future::join_all;
use tinybase_model::{Event, EventKind, Identity, UserEvent, UserId};

use super::{TestCore, caused_by, rejected};
use crate::{CoreOptions, Ensured, Kind, Login, Problem, UserError};

async fn login(test: &TestCore, email: &str, password: &str) -> Result<Login, UserError> {
    let cause = caused_by(Identity::Anonymous);
    test.core.users().login(&cause, email, password).await.map(|login| login.value)
}

async fn register(test: &TestCore, email: &str, password: &str) -> Result<(), UserError> {
    let cause = caused_by(Identity::Anonymous);
    test.core.users().register(&cause, email, password).await.map(drop)
}

#[tokio::test]
async fn a_user_registers_logs_in_and_out() {
    let test = TestCore::new().await;
    let user = test.user("Ann@Example.com").await;
    assert_eq!((user.email.as_str(), user.is_admin), ("ann@example.com", false));
    let pair = login(&test, "ANN@example.COM", "password").await.expect("a login");
    assert_eq!(pair.user, user);
    let identity = test.core.identify(&pair.access_token).await.expect("an identity");
    assert_eq!(identity, Identity::User { id: user.id, is_admin: false });
    assert_eq!(test.core.users().me(&identity).await.expect("a user"), user);
    let refused = test.core.identify(&pair.refresh_token).await.expect_err("a refresh token");
    assert_eq!(refused.kind(), Kind::Unauthenticated);
    assert_eq!(test.core.users().logout(&identity).await.expect("a logout"), 2);
    assert!(matches!(test.core.identify(&pair.access_token).await, Err(UserError::InvalidToken)));
    let kinds = [EventKind::UserRegister, EventKind::UserLogin];
    assert_eq!(test.kinds().await, kinds);
    let Event::UserLogin(event) = &test.events().await[1] else { panic!("it was a login") };
    assert_eq!(event.user_id, Some(user.id));
}

#[tokio::test]
async fn the_first_login_makes_nobody_an_administrator() {
    let test = TestCore::new().await;
    for _ in 0..2 {
        let refused = login(&test, "admin@example.com", "x").await.expect_err("nobody is there");
        assert!(matches!(refused, UserError::WrongCredentials), "{refused}");
    }
    assert!(test.events().await.is_empty());
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    let test = TestCore::new().await;
    test.user("ann@example.com").await;
    let long = "x".repeat(10_000);
    let attempts = [
        ("ann@example.com", "passwort"),
        ("ann@example.com", long.as_str()),
        ("ann@example.com", ""),
        ("bob@example.com", "password"),
        ("not an address", "password"),
    ];
    for (email, password) in attempts {
        let refused = login(&test, email, password).await.expect_err("refused");
        assert_eq!(refused.to_string(), "Invalid email or password", "{email}");
        assert_eq!(refused.kind(), Kind::Unauthenticated);
    }
    assert_eq!(test.kinds().await, [EventKind::UserRegister]);
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_with_the_field() {
    let test = TestCore::new().await;
    let long = "x".repeat(1025);
    let cases = [
        ("ann", "password", "/email"),
        ("ann@example.com", "passwor", "/password"),
        ("ann@example.com", long.as_str(), "/password"),
    ];
    for (email, password, field) in cases {
        let refused = register(&test, email, password).await.expect_err("refused");
        assert_eq!(refused.kind(), Kind::Unprocessable);
        assert_eq!(refused.violations()[0].field, field);
    }
    register(&test, "ann@example.com", "ünïcödé!").await.expect("eight characters");
    let taken = register(&test, "ANN@example.com", "password").await.expect_err("taken");
    assert_eq!(taken.to_string(), "Email already registered");
    let closed =
        TestCore::with(CoreOptions { public_registration: false, ..CoreOptions::default() }).await;
    let refused = register(&closed, "ann@example.com", "password").await.expect_err("closed");
    assert_eq!(refused.kind(), Kind::Forbidden);
}

#[tokio::test]
async fn of_many_who_register_an_address_one_gets_it() {
    let test = TestCore::new().await;
    let attempts = join_all((0..4).map(|_| register(&test, "ann@example.com", "password"))).await;
    assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
    assert_eq!(test.kinds().await, [EventKind::UserRegister]);
}

#[tokio::test]
async fn a_refresh_token_gives_one_new_pair_and_reuse_ends_the_login() {
    let test = TestCore::new().await;
    test.user("ann@example.com").await;
    let first = login(&test, "ann@example.com", "password").await.expect("a login");
    let wrong = test.core.users().refresh(&first.access_token).await.expect_err("an access token");
    assert_eq!(wrong.to_string(), "Not a refresh token");
    let second = test.core.users().refresh(&first.refresh_token).await.expect("a new pair");
    assert!(test.core.identify(&second.access_token).await.is_ok());
    let reused = test.core.users().refresh(&first.refresh_token).await;
    assert!(matches!(reused, Err(UserError::InvalidToken)), "{reused:?}");
    for token in [&first.access_token, &second.access_token] {
        assert!(test.core.identify(token).await.is_err(), "its login was ended");
    }
    assert!(test.core.users().refresh(&second.refresh_token).await.is_err());
    assert!(test.core.users().refresh("nonsense").await.is_err());
}

#[tokio::test]
async fn hooks_may_refuse_users_but_never_an_administrator() {
    let test = TestCore::new().await;
    test.user("ann@example.com").await;
    test.core.users().create_admin("root@example.com", "password").await.expect("an admin");
    test.before(|_| Err(rejected("Not today")));
    let refused = login(&test, "ann@example.com", "password").await.expect_err("refused");
    assert_eq!((refused.to_string().as_str(), refused.kind()), ("Not today", Kind::Rejected(422)));
    assert_eq!(refused.code(), Some("no"));
    let wrong = login(&test, "ann@example.com", "passwort").await.expect_err("refused");
    assert!(matches!(wrong, UserError::WrongCredentials), "hooks don't tell who exists");
    assert!(register(&test, "bob@example.com", "password").await.is_err());
    let admin = login(&test, "root@example.com", "password").await.expect("a login");
    let identity = test.core.identify(&admin.access_token).await.expect("an identity");
    assert!(identity.is_admin());
    let kinds = [EventKind::UserRegister, EventKind::UserLogin];
    assert_eq!(test.kinds().await, kinds, "the first user's and the administrator's");
}

#[tokio::test]
async fn an_address_that_a_hook_changed_is_checked_again() {
    let test = TestCore::new().await;
    let patch = |email: &'static str| {
        move |_| {
            let is_admin = true;
            let patched = UserEvent { user_id: None, email: email.to_owned(), is_admin };
            Ok(Event::UserRegister(patched))
        }
    };
    test.before(patch("nonsense"));
    let refused = register(&test, "ann@example.com", "password").await.expect_err("no address");
    assert_eq!(refused.kind(), Kind::Unprocessable);
    test.before(patch("Bob@Example.com"));
    let user = test.user("ann@example.com").await;
    assert_eq!(user.email, "bob@example.com");
    assert!(!user.is_admin, "a hook makes no administrators");
}

#[tokio::test]
async fn an_administrator_is_created_once() {
    let test = TestCore::new().await;
    let users = test.core.users();
    let created = users.ensure_admin("Root@example.com", "password").await.expect("an admin");
    let Ensured::Created(admin) = created else { panic!("{created:?}") };
    assert!(admin.is_admin);
    let again = users.ensure_admin("root@example.com", "another password").await;
    assert_eq!(again.expect("an admin"), Ensured::Present(admin));
    assert!(login(&test, "root@example.com", "password").await.is_ok());
    test.user("ann@example.com").await;
    let refused = users.ensure_admin("ann@example.com", "password").await;
    assert!(matches!(refused, Err(UserError::EmailTaken)), "{refused:?}");
    let me = users.me(&Identity::User { id: UserId::generate(), is_admin: true }).await;
    assert!(matches!(me, Err(UserError::NotFound)), "{me:?}");
}
