//! Passwords: what work is done for whom, letters, and who sees new users.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tinybase_model::{EventKind, Identity};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{TestCore, caused_by, operator, rejected};
use crate::{
    ActivityQuery, Kind, Letter, MailError, Mailer, NewAccount, PasswordResetLetter, Problem,
};

/// How many passwords are hashed by something.
async fn work(test: &TestCore, attempt: impl Future) -> u64 {
    let before = test.core.inner.passwords.hashed();
    attempt.await;
    test.core.inner.passwords.hashed() - before
}

#[tokio::test]
async fn the_same_work_is_done_whether_or_not_somebody_has_an_address() {
    let test = TestCore::new().await;
    test.user("ann@example.com").await;
    let users = test.core.users();
    let nobody = caused_by(Identity::Anonymous);
    for (email, password) in [
        ("ann@example.com", "wrong password"),
        ("bob@example.com", "wrong password"),
        ("no address", "wrong password"),
        ("ann@example.com", ""),
    ] {
        assert_eq!(work(&test, users.login(&nobody, email, password)).await, 1, "{email}");
    }
    for email in ["ann@example.com", "new@example.com"] {
        let registered = users.register(&nobody, email, "long enough");
        assert_eq!(work(&test, registered).await, 1, "{email}");
    }
    for email in ["ann@example.com", "bob@example.com"] {
        let asked = async { users.request_password_reset(&nobody, email).expect("it is noted") };
        assert_eq!(work(&test, asked).await, 0, "{email}: nothing is looked up before the answer");
    }
}

/// Keeps letters, and fails so many times first.
#[derive(Default)]
struct Postman {
    letters: Mutex<Vec<Letter>>,
    failures: Mutex<Vec<MailError>>,
    done: Notify,
}

#[async_trait]
impl Mailer for Postman {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let failure = self.failures.lock().expect("a lock").pop();
        if let Some(failure) = failure {
            if matches!(failure, MailError::Permanent(_)) {
                self.done.notify_one();
            }
            return Err(failure);
        }
        self.letters.lock().expect("a lock").push(letter.clone());
        self.done.notify_one();
        Ok(())
    }
}

async fn one_letter(test: &TestCore, failures: Vec<MailError>) -> Vec<Letter> {
    let postman = Arc::new(Postman { failures: Mutex::new(failures), ..Postman::default() });
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let (core, carrier, until) = (test.core.clone(), Arc::clone(&postman), stop.clone());
    tasks.spawn(async move { core.send_mail(carrier, until).await });
    let nobody = caused_by(Identity::Anonymous);
    test.core.users().request_password_reset(&nobody, "nobody@example.com").expect("it is noted");
    test.core.users().request_password_reset(&nobody, "ann@example.com").expect("it is noted");
    postman.done.notified().await;
    stop.cancel();
    tasks.join_all().await;
    std::mem::take(&mut *postman.letters.lock().expect("a lock"))
}

#[tokio::test]
async fn a_letter_goes_out_after_some_attempts_and_its_token_works_once() {
    let test = TestCore::new().await;
    let user = test.user("ann@example.com").await;
    let letters = one_letter(&test, vec![MailError::Temporary("busy".into())]).await;
    let [Letter::PasswordReset(PasswordResetLetter { to, token, .. })] = letters.as_slice() else {
        panic!("{letters:?}");
    };
    assert_eq!(*to, user.email);
    let users = test.core.users();
    let nobody = caused_by(Identity::Anonymous);
    assert!(test.core.identify(token).await.is_err(), "it is no access token");
    assert!(users.refresh(token).await.is_err(), "and no refresh token");
    let short = users.reset_password(&nobody, token, "short").await.expect_err("too short");
    assert_eq!(short.kind(), Kind::Unprocessable);
    users.reset_password(&nobody, token, "a new password").await.expect("a new password");
    let again =
        users.reset_password(&nobody, token, "another password").await.expect_err("used up");
    assert_eq!(again.kind(), Kind::Invalid);
    assert!(users.login(&nobody, "ann@example.com", "a new password").await.is_ok());
    let query = ActivityQuery { limit: 10, ..ActivityQuery::default() };
    let page = test.core.activities(&Identity::Operator, &query).await.expect("a page");
    for action in ["password_reset.request", "password_reset.confirm"] {
        let noted: Vec<_> = page.activities.iter().filter(|one| one.action == action).collect();
        assert_eq!(noted.len(), 1, "{action}");
        assert_eq!(noted[0].user_id, Some(user.id.to_string()));
        assert_eq!(noted[0].resource_id, noted[0].user_id);
    }
}

#[tokio::test]
async fn a_letter_that_never_arrives_is_given_up() {
    let test = TestCore::new().await;
    test.user("ann@example.com").await;
    let letters = one_letter(&test, vec![MailError::Permanent("no such box".into())]).await;
    assert!(letters.is_empty());
}

#[tokio::test]
async fn after_hooks_see_a_user_whom_an_administrator_made_and_before_hooks_are_not_asked() {
    let test = TestCore::new().await;
    test.before(|_| Err(rejected("Not today")));
    let account = NewAccount {
        email: "ann@example.com".to_owned(),
        password: "long enough".to_owned(),
        is_admin: true,
    };
    let users = test.core.users();
    let made = users.create(&operator(), account.clone()).await.expect("a user");
    assert!(made.is_admin);
    assert_eq!(test.kinds().await, [EventKind::UserRegister]);
    let refused = users.create(&caused_by(Identity::Anonymous), account).await;
    assert_eq!(refused.expect_err("nobody").kind(), Kind::Unauthenticated);
}
