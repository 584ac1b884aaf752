//! Tokens and recorded calls.

use std::time::Duration;

use jiff::Timestamp;
use tinybase_model::{CallId, CompletionEvent, Event, UserId};

use super::{TestStore, cause, new_user};
use crate::{
    CallQuery, CallStatus, FinishedCall, NewEvent, NewLogin, NodeId, Rotation, StartedCall,
    TokenPair, Trigger, now,
};

fn pair(tag: u8, created_at: Timestamp) -> TokenPair {
    TokenPair {
        access: [tag; 32],
        access_expires_at: created_at + Duration::from_secs(10),
        refresh: [tag + 1; 32],
        refresh_expires_at: created_at + Duration::from_secs(100),
        created_at,
    }
}

async fn login(test: &TestStore, user_id: UserId, tag: u8, at: Timestamp) {
    let event = new_user("x@example.com").event.expect("an event");
    let login = NewLogin { user_id, tokens: pair(tag, at), event };
    test.store.create_login(login).await.expect("a write");
}

#[tokio::test]
async fn a_refresh_token_works_once_and_a_second_use_ends_its_login_only() {
    let test = TestStore::open().await;
    let user = test.user("a@example.com").await;
    let at = now();
    login(&test, user.id, 1, at).await;
    login(&test, user.id, 11, at).await;
    let rotate = |hash: u8, tokens| test.store.rotate_token([hash; 32], tokens);
    assert_eq!(rotate(99, pair(21, at)).await.expect("a write"), Rotation::Unknown);
    assert_eq!(rotate(1, pair(21, at)).await.expect("a write"), Rotation::WrongKind);
    let rotated = rotate(2, pair(21, at)).await.expect("a write");
    assert_eq!(rotated, Rotation::Rotated(user.clone()));
    let found = test.store.access_token(&[21; 32], at).await.expect("a read").expect("an owner");
    assert_eq!((found.user_id, found.is_admin), (user.id, false));
    assert!(test.store.access_token(&[22; 32], at).await.expect("a read").is_none(), "refresh");
    assert_eq!(rotate(2, pair(31, at)).await.expect("a write"), Rotation::Reused { revoked: 4 });
    assert_eq!(rotate(22, pair(31, at)).await.expect("a write"), Rotation::Unknown);
    for (hash, alive) in [(1, false), (21, false), (31, false), (11, true)] {
        let hash = [hash; 32];
        let found = test.store.access_token(&hash, at).await.expect("a read");
        assert_eq!(found.is_some(), alive, "{hash:?}");
    }
}

#[tokio::test]
async fn of_two_who_use_a_refresh_token_at_once_one_is_a_thief() {
    let test = TestStore::open().await;
    let user = test.user("a@example.com").await;
    let at = now();
    login(&test, user.id, 1, at).await;
    let (one, two) = tokio::join!(
        test.store.rotate_token([2; 32], pair(21, at)),
        test.store.rotate_token([2; 32], pair(31, at)),
    );
    assert_eq!(one.expect("a write"), Rotation::Rotated(user));
    assert_eq!(two.expect("a write"), Rotation::Reused { revoked: 4 });
}

#[tokio::test]
async fn tokens_end_with_time_and_with_a_logout() {
    let test = TestStore::open().await;
    let user = test.user("a@example.com").await;
    let at = now();
    login(&test, user.id, 1, at).await;
    let later = at + Duration::from_secs(10);
    assert!(test.store.access_token(&[1; 32], at).await.expect("a read").is_some());
    assert!(test.store.access_token(&[1; 32], later).await.expect("a read").is_none());
    let late = pair(21, at + Duration::from_secs(100));
    assert_eq!(test.store.rotate_token([2; 32], late).await.expect("a write"), Rotation::Unknown);
    assert_eq!(test.store.clean_up_tokens(later, 10).await.expect("a write"), 1);
    assert_eq!(test.store.revoke_tokens(user.id).await.expect("a write"), 1);
    assert_eq!(test.store.revoke_tokens(user.id).await.expect("a write"), 0);
}

fn started(name: &str) -> StartedCall {
    StartedCall {
        id: CallId::generate(),
        function_name: name.to_owned(),
        extension: Some("one".parse().expect("a name")),
        version: "1.0.0".to_owned(),
        trigger_id: None,
        user_id: None,
        started_at: now(),
        is_async: false,
        node: NodeId::from("here"),
    }
}

fn finished(started: StartedCall, error: Option<&str>) -> FinishedCall {
    let completion = CompletionEvent {
        name: started.function_name.clone(),
        call_id: started.id,
        user_id: None,
        succeeded: error.is_none(),
        duration_ms: 10,
        error_message: error.map(str::to_owned),
        error_type: error.map(|_| "KeyError".to_owned()),
    };
    let event = NewEvent::new(&Event::FunctionComplete(completion.clone()), &cause(), now());
    FinishedCall { started, finished_at: now(), completion, event, result: None }
}

#[tokio::test]
async fn a_call_is_recorded_from_its_start_to_its_end() {
    let test = TestStore::open().await;
    let (a, b, unseen) = (started("f"), started("f"), started("g"));
    test.store.start_call(a.clone()).expect("room in the queue");
    test.store.start_call(b.clone()).expect("room in the queue");
    test.store.finish_call(finished(a.clone(), None)).await.expect("a write");
    test.store.finish_call(finished(unseen.clone(), Some("no"))).await.expect("a write");
    let call = test.store.call(a.id).await.expect("a read").expect("a call");
    assert_eq!((call.status, call.duration_ms), (CallStatus::Succeeded, Some(10)));
    let call = test.store.call(unseen.id).await.expect("a read").expect("a call");
    assert_eq!(call.status, CallStatus::Failed);
    assert_eq!(call.error_type.as_deref(), Some("KeyError"));
    let again = test.store.finish_call(finished(a.clone(), Some("no"))).await.expect("a write");
    assert!(!again, "a call ends once");
    let other = NodeId::from("there");
    let abandoned = test.store.abandoned_calls(&other, 10).await.expect("a read");
    assert_eq!(abandoned.iter().map(|call| call.id).collect::<Vec<_>>(), [b.id]);
    let own = test.store.abandoned_calls(&NodeId::from("here"), 10).await.expect("a read");
    assert!(own.is_empty());
    test.store.note_node(NodeId::from("here"), "home", Duration::ZERO).await.expect("a write");
    assert!(test.store.abandoned_calls(&other, 10).await.expect("a read").is_empty());
    let query = CallQuery {
        function_name: Some("f".to_owned()),
        status: Some(CallStatus::Running),
        trigger_type: Some(Trigger::Manual),
        ..CallQuery::default()
    };
    let page = test.store.calls(&query).await.expect("a read");
    assert_eq!((page.total, page.calls.len()), (1, 1));
    let query = CallQuery { limit: 1, ..CallQuery::default() };
    let page = test.store.calls(&query).await.expect("a read");
    assert_eq!((page.total, page.calls[0].id), (3, unseen.id), "the newest first");
    let counts = test.store.call_counts(Timestamp::UNIX_EPOCH).await.expect("a read");
    let counts: Vec<_> = counts.iter().map(|c| (c.total, c.succeeded, c.failed)).collect();
    assert_eq!(counts, [(2, 1, 0), (1, 0, 1)], "a call that still runs is neither");
    assert_eq!(test.events().await.len(), 2);
}
