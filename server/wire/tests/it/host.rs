//! Call-backs: who they act for, and what they are refused.

use tinybase_model::{ActivityNote, Comparison, Identity, Limits, LogLevel, RecordId, UserId};
use tinybase_proto::v1;
use tinybase_proto::v1::host_service_client::HostServiceClient;
use tinybase_wire::HostError;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::kit::{Client, PATIENCE, TestWire, all_at_once, call, done, name, until};

fn host(client: &Client) -> HostServiceClient<Channel> {
    HostServiceClient::new(client.channel.clone())
}

/// A call-back made while handling an invocation.
fn during<T>(client: &Client, token: &str, message: T) -> Request<T> {
    let mut request = client.request(message);
    request.metadata_mut().insert("tinybase-invocation", token.parse().expect("ASCII"));
    request
}

fn get_user() -> v1::GetUserRequest {
    v1::GetUserRequest { id: UserId::generate().to_string() }
}

#[tokio::test]
async fn outside_an_invocation_a_call_back_acts_as_the_extension() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let message = get_user();
    let user = host(&client).get_user(client.request(message.clone())).await.expect("a user");
    let user = user.into_inner().user.expect("a user");
    assert_eq!((user.id, user.email.as_str()), (message.id, "ada@example.com"));
    let caller = wire.host.last_caller();
    assert_eq!((caller.extension, caller.depth), (name(), 0));
    assert_eq!(caller.identity, Identity::Extension(name()));
}

#[tokio::test]
async fn an_invocations_token_acts_for_its_causer_and_dies_with_the_outcome() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let invocation = talk.invocation().await;
        let request = during(&client, &invocation.token, get_user());
        host(&client).get_user(request).await.expect("a user");
        let caller = wire.host.last_caller();
        assert_eq!((caller.identity, caller.depth), (Identity::Operator, 3));
        assert!(caller.traceparent.starts_with("00-0af7"), "it joins the trace");
        talk.answer(done(&invocation)).await;
        invocation.token
    };
    let (outcome, token) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
    let status =
        host(&client).get_user(during(&client, &token, get_user())).await.expect_err("dead");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("has ended"), "{}", status.message());
}

#[tokio::test]
async fn a_foreign_or_made_up_invocation_token_is_denied() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    let (_other_session, other_client, _other_talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let invocation = talk.invocation().await;
        let theirs = during(&other_client, &invocation.token, get_user());
        let status = host(&other_client).get_user(theirs).await.expect_err("foreign");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("another process"), "{}", status.message());
        let (head, _) = invocation.token.rsplit_once('.').expect("three parts");
        for bad in [format!("{head}.{}", "0".repeat(32)), "nonsense".to_owned()] {
            let status =
                host(&client).get_user(during(&client, &bad, get_user())).await.expect_err("bad");
            assert_eq!(status.code(), Code::PermissionDenied, "{bad}");
        }
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
    assert!(wire.host.callers.lock().expect("not poisoned").is_empty(), "nothing got through");
}

#[tokio::test]
async fn a_call_back_needs_a_session() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let status = host(&client).get_user(client.request(get_user())).await.expect_err("too early");
    assert_eq!(status.code(), Code::FailedPrecondition);
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    talk.hang_up();
    until("the end", || session.close_reason().is_some()).await;
    let status = host(&client).get_user(client.request(get_user())).await.expect_err("too late");
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = host(&client).get_user(get_user()).await.expect_err("no token");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("TINYBASE_TOKEN"), "{}", status.message());
}

#[tokio::test]
async fn errors_of_the_host_have_their_codes() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let why = || "why".to_owned();
    let errors = [
        (HostError::NotFound(why()), Code::NotFound),
        (HostError::PermissionDenied(why()), Code::PermissionDenied),
        (HostError::InvalidArgument(why()), Code::InvalidArgument),
        (HostError::FailedPrecondition(why()), Code::FailedPrecondition),
        (HostError::ResourceExhausted(why()), Code::ResourceExhausted),
        (HostError::Unavailable(why()), Code::Unavailable),
        (HostError::Internal(why()), Code::Internal),
    ];
    for (error, code) in errors {
        *wire.host.refusal.lock().expect("not poisoned") = Some(error);
        let status = host(&client).get_user(client.request(get_user())).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (code, "why"));
    }
}

#[tokio::test]
async fn records_go_both_ways() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let owner_id = UserId::generate().to_string();
    let create = v1::CreateRecordRequest {
        collection: "orders".to_owned(),
        data: r#"{"a":1}"#.into(),
        owner_id: owner_id.clone(),
    };
    let created = host(&client).create_record(client.request(create)).await.expect("created");
    let record = created.into_inner().record.expect("a record");
    assert_eq!((record.collection.as_str(), record.owner_id), ("orders", owner_id));
    assert_eq!(record.data, r#"{"a":1}"#);
    assert_eq!(record.created_at, "1970-01-01T00:00:00Z");

    let bad = v1::CreateRecordRequest { data: "{".into(), ..Default::default() };
    let status = host(&client).create_record(client.request(bad)).await.expect_err("not JSON");
    assert_eq!(status.code(), Code::InvalidArgument);
    let bad = v1::GetRecordRequest { id: "x".to_owned(), ..Default::default() };
    let status = host(&client).get_record(client.request(bad)).await.expect_err("no id");
    assert_eq!(status.code(), Code::InvalidArgument);
    let id = RecordId::generate().to_string();
    let get = v1::GetRecordRequest { id: id.clone(), ..Default::default() };
    let got = host(&client).get_record(client.request(get)).await.expect("a record").into_inner();
    assert_eq!(got.record.expect("a record").id, id);
}

#[tokio::test]
async fn conditions_are_read_and_an_unknown_comparison_is_refused() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let condition = |comparison| v1::Condition {
        field: "data.total".to_owned(),
        comparison,
        value: "5".into(),
    };
    let list = |comparison| v1::ListRecordsRequest {
        conditions: vec![condition(comparison)],
        page_size: 1,
        ..Default::default()
    };
    let known = list(v1::Comparison::Less.into());
    let page = host(&client).list_records(client.request(known)).await.expect("a page");
    assert_eq!(page.into_inner().next_page_token, "more");
    let lists = wire.host.lists.lock().expect("not poisoned").clone();
    assert_eq!(lists[0].conditions[0].comparison, Comparison::Less);
    let status = host(&client).list_records(client.request(list(99))).await.expect_err("unknown");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_page_over_the_message_limit_says_to_ask_for_less() {
    let wire = TestWire::start_with(Limits { message_bytes_max: 50_000, ..Limits::default() });
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let list = v1::ListRecordsRequest { page_size: 100, ..Default::default() };
    let status = host(&client).list_records(client.request(list)).await.expect_err("too much");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("page_size"), "{}", status.message());
}

#[tokio::test]
async fn values_are_kept_and_bounded() {
    let wire = TestWire::start_with(Limits { body_bytes_max: 10, ..Limits::default() });
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let set = |key: &str, value: &'static str| v1::SetValueRequest {
        key: key.to_owned(),
        value: value.into(),
    };
    host(&client).set_value(client.request(set("k", "v"))).await.expect("set");
    let get = v1::GetValueRequest { key: "k".to_owned() };
    let got = host(&client).get_value(client.request(get.clone())).await.expect("got").into_inner();
    assert_eq!((got.found, &got.value[..]), (true, b"v".as_slice()));
    let delete = v1::DeleteValueRequest { key: "k".to_owned() };
    host(&client).delete_value(client.request(delete)).await.expect("deleted");
    let got = host(&client).get_value(client.request(get)).await.expect("got").into_inner();
    assert!(!got.found);
    let too_large = set("k", "01234567890");
    let status = host(&client).set_value(client.request(too_large)).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    for key in [String::new(), "k".repeat(513)] {
        let status =
            host(&client).set_value(client.request(set(&key, "v"))).await.expect_err("a bad key");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn functions_and_logs_reach_the_host() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let message = v1::CallFunctionRequest { name: "f".to_owned(), ..Default::default() };
    let called = host(&client).call_function(client.request(message)).await.expect("called");
    let called = called.into_inner();
    assert_eq!((called.status.as_str(), &called.output[..]), ("succeeded", b"{}".as_slice()));
    let entry = |level| v1::LogEntry {
        level,
        message: "hm".to_owned(),
        fields: r#"{"a":1}"#.into(),
        time: "yesterday".to_owned(),
        ..Default::default()
    };
    let entries = vec![entry(v1::LogLevel::Error.into()), entry(99)];
    let request = client.request(v1::WriteLogRequest { entries });
    let written = host(&client).write_log(request).await.expect("written").into_inner();
    assert_eq!(written.dropped, 2);
    let lines = wire.host.lines.lock().expect("not poisoned").clone();
    assert_eq!((lines[0].level, lines[1].level), (LogLevel::Error, LogLevel::Info));
    assert_eq!(lines[0].message, r#"hm {"a":1}"#);
}

#[tokio::test]
async fn an_activity_goes_through_with_what_is_known_of_it() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let user_id = UserId::generate();
    let whole = v1::WriteActivityRequest {
        action: "shipped".to_owned(),
        resource_type: "order".to_owned(),
        resource_id: "o1".to_owned(),
        user_id: user_id.to_string(),
        metadata: r#"{"weight":2}"#.into(),
        ip_address: "192.0.2.7".to_owned(),
    };
    let bare = v1::WriteActivityRequest { action: "packed".to_owned(), ..Default::default() };
    for request in [whole.clone(), bare] {
        host(&client).write_activity(client.request(request)).await.expect("noted");
    }
    {
        let noted = wire.host.activities.lock().expect("not poisoned");
        assert_eq!(
            (noted[0].user_id, noted[0].resource_id.as_deref()),
            (Some(user_id), Some("o1"))
        );
        assert_eq!(noted[0].address, "192.0.2.7".parse().ok());
        let action = "packed".to_owned();
        assert_eq!(noted[1], ActivityNote { action, ..ActivityNote::default() });
    }
    for bad in [
        v1::WriteActivityRequest { ip_address: "here".to_owned(), ..whole.clone() },
        v1::WriteActivityRequest { user_id: "me".to_owned(), ..whole.clone() },
        v1::WriteActivityRequest { metadata: "{".into(), ..whole },
    ] {
        let status = host(&client).write_activity(client.request(bad)).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
}
