//! Extensions in the hands of the testing module.

use std::fmt::Display;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tinybase_sdk::client::HostErrorKind;
use tinybase_sdk::prelude::*;
use tinybase_sdk::testing::{
    Failure, Harness, before_function_call, before_record_create, before_record_update,
    before_user_register, function_call, function_complete, record_create, record_delete,
    record_update, user_login, user_register,
};
use tinybase_sdk::{FunctionFailure, Identity};

#[derive(Deserialize)]
struct Order {
    email: String,
}

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    message: String,
    by: Option<String>,
}

async fn greet(ctx: Context, input: Greet) -> Result<Greeting> {
    if input.name.is_empty() {
        return Err(Error::invalid("name is required").field("/name", "is empty"));
    }
    let message = format!("Hello {}", input.name);
    Ok(Greeting { message, by: ctx.identity().user_id.clone() })
}

fn failed(error_type: &str, message: &str) -> Failure {
    let (error_type, message) = (error_type.to_owned(), message.to_owned());
    Failure::Failed { error_type, message, retry_after: None }
}

#[tokio::test]
async fn a_function_gets_typed_input_and_its_caller() {
    let harness = Harness::new(Extension::new("hello").function("greet", greet));
    let anna = Identity { user_id: Some("anna".to_owned()), is_admin: false };
    let answer = harness.call_as(&anna, "greet", json!({"name": "Ada"})).await;
    assert_eq!(answer, Ok(json!({"message": "Hello Ada", "by": "anna"})));
    let answer = harness.call("greet", json!({"name": ""})).await;
    assert_eq!(answer, Err(failed("ValidationError", "name is required; /name: is empty")));
    let answer = harness.call("greet", json!({})).await.expect_err("no name");
    assert!(answer.message().starts_with("the input: missing field `name`"), "{answer}");
}

#[tokio::test]
async fn the_types_make_the_schemas() {
    let harness = Harness::new(Extension::new("hello").function("greet", greet));
    let (input, output) = harness.schemas("greet").expect("it is registered");
    assert_eq!(input["properties"]["name"], json!({"type": "string"}));
    assert_eq!(input["required"], json!(["name"]));
    assert_eq!(output["properties"]["message"], json!({"type": "string"}));
}

/// Which hooks ran, and for what.
static DIARY: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(hook: &str, detail: impl Display) -> Ready<Result> {
    DIARY.lock().expect("no panic").push(format!("{hook} {detail}"));
    ready(Ok(()))
}

fn one_of_each_hook() -> Extension {
    Extension::new("all")
        .on_startup(|ctx| note("start", ctx.event()))
        .on_shutdown(|ctx| note("stop", ctx.event()))
        .on_record_create("orders", |_, event: RecordCreate<Order>| {
            note("created", event.data.email)
        })
        .on_record_create(All, |_, event: RecordCreate| note("any", event.collection))
        .on_record_update("orders", |_, event: RecordUpdate<u8>| {
            note("updated", format!("{}>{}", event.old_data, event.new_data))
        })
        .on_record_delete(All, |_, event: RecordDelete| note("deleted", event.data))
        .on_user_register(|_, event| note("registered", event.email))
        .on_user_login(|_, event| note("login", event.email))
        .on_function_call("pay", |_, event: FunctionCall<u8>| note("call", event.payload))
        .on_function_complete(All, |_, event| {
            note("complete", event.failure.map(|failure| failure.to_string()).unwrap_or_default())
        })
}

#[tokio::test]
async fn each_event_reaches_the_hooks_that_want_it_and_no_other() {
    let harness = Harness::new(one_of_each_hook());
    harness.startup().await.expect("startup");
    let events = [
        record_create("orders", json!({"email": "a@b.c"})),
        record_create("posts", json!({})),
        record_update("orders", 1, 2),
        record_delete("files", 3),
        user_register("a@b.c"),
        user_login("a@b.c"),
        function_call("pay", 4),
        function_call("other", 5),
        function_complete("pay", Some(FunctionFailure::new("Declined", "no money"))),
    ];
    for event in events {
        harness.emit(event).await.expect("the hook takes it");
    }
    harness.shutdown().await.expect("shutdown");
    let expected = [
        "start startup",
        "created a@b.c",
        "any orders",
        "any posts",
        "updated 1>2",
        "deleted 3",
        "registered a@b.c",
        "login a@b.c",
        "call 4",
        "complete Declined: no money",
        "stop shutdown",
    ];
    assert_eq!(*DIARY.lock().expect("no panic"), expected);
}

#[tokio::test]
async fn before_hooks_patch_in_their_order_and_the_first_refusal_counts() {
    let extension = Extension::new("rules")
        .hook(
            Hook::before_record_create("orders", |_, order: NewRecord| async move {
                let total = order.data["total"].as_u64().unwrap_or_default();
                Ok(Patch::set("total", total + 1))
            })
            .named("adds one")
            .priority(2),
        )
        .hook(
            Hook::before_record_create(All, |_, order: NewRecord| async move {
                match order.data["total"].as_u64() {
                    Some(total) => Ok(Patch::set("total", total * 10).and_remove("draft")),
                    None => Err(reject(409, "no_total", "an order needs a total")),
                }
            })
            .priority(1),
        )
        .before_record_update("orders", |_, order: RecordUpdate<u64>| async move {
            if order.new_data < order.old_data {
                return Err(Error::invalid("a total never shrinks"));
            }
            Ok(Patch::none())
        })
        .before_user_register(|_, user: NewUser| async move {
            if user.email.ends_with("@spam.example") {
                return Err(reject(403, "spam", "not you"));
            }
            Ok(Patch::none())
        })
        .before_function_call("pay", |_, call: FunctionCall| async move {
            Ok(Patch::set("currency", call.payload.get("currency").unwrap_or(&json!("EUR"))))
        });
    let harness = Harness::new(extension);
    let order = before_record_create("orders", json!({"total": 4, "draft": true}));
    assert_eq!(harness.ask(order).await, Ok(json!({"total": 41})));
    let refusal = harness.ask(before_record_create("orders", json!({}))).await;
    let refusal = refusal.expect_err("no total");
    assert_eq!(refusal.to_string(), "rejected with 409 no_total: an order needs a total");
    let refusal = harness.ask(before_record_update("orders", 2, 1)).await;
    let Err(Failure::Rejected { status: 422, .. }) = refusal else { panic!("{refusal:?}") };
    assert!(harness.ask(before_user_register("x@spam.example")).await.is_err());
    let call = harness.ask(before_function_call("pay", json!({"amount": 3}))).await;
    assert_eq!(call, Ok(json!({"amount": 3, "currency": "EUR"})));
}

#[tokio::test]
async fn call_backs_reach_records_users_functions_and_values() {
    let work = |ctx: Context, owner: String| async move {
        let records = ctx.records();
        let made = records.create("notes", &json!({"n": 5, "text": "new"})).await?;
        let changed: Record = records.update("notes", &made.id, &json!({"n": 6})).await?;
        let large = records
            .list::<Value>("notes")
            .filter("data.n", Comparison::Greater, 1)
            .sort_by_descending("data.n")
            .page_size(1)
            .all()
            .await?;
        let numbers: Vec<_> = large.iter().map(|record| record.data["n"].clone()).collect();
        records.delete("notes", &made.id).await?;
        let gone = records.get::<Value>("notes", &made.id).await.expect_err("it is gone");
        ctx.values().set("seen", &numbers).await?;
        let user = ctx.users().get(&owner).await?;
        let sum: u64 = ctx.functions().call("sum", &numbers).await?;
        Ok(json!([changed.data, numbers, gone.is_not_found(), user.email, sum]))
    };
    let harness = Harness::new(Extension::new("all").function("work", work));
    let host = harness.host();
    for n in [1, 2, 3] {
        host.add_record("notes", &json!({ "n": n }));
    }
    host.add_record("others", &json!({"n": 99}));
    let owner = host.add_user("a@b.c", false);
    host.answer("sum", |input| {
        let numbers = input.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(numbers.iter().filter_map(Value::as_u64).sum::<u64>().into())
    });
    let answer = harness.call("work", owner.into()).await;
    let expected = json!([{"n": 6, "text": "new"}, [6, 3, 2], true, "a@b.c", 11]);
    assert_eq!(answer, Ok(expected));
    assert_eq!(harness.host().value("seen"), Some(json!([6, 3, 2])));
    assert_eq!(harness.host().records("notes").len(), 3);
}

#[tokio::test]
async fn a_failing_call_back_or_function_is_a_fault_of_its_kind() {
    let asks = |ctx: Context, (): ()| async move {
        Ok(ctx.functions().call::<Value>("other", &json!({})).await?)
    };
    let harness = Harness::new(Extension::new("asks").function("asks", asks));
    let answer = harness.call("asks", Value::Null).await;
    assert_eq!(answer, Err(failed("NotFound", "there is no function \"other\"")));
    harness.host().answer("other", |_| Err(FunctionFailure::new("Declined", "no money")));
    let answer = harness.call("asks", Value::Null).await;
    assert_eq!(answer, Err(failed("FunctionFailed", "the function \"other\" failed")));
    harness.host().fail_next(HostErrorKind::Unavailable, "the server is stopping");
    let answer = harness.call("asks", Value::Null).await;
    assert_eq!(answer, Err(failed("Unavailable", "the server is stopping")));
}

#[tokio::test]
async fn an_event_knows_its_attempt_and_may_ask_for_a_pause() {
    let extension =
        Extension::new("retry").on_record_create(All, |ctx, _: RecordCreate| async move {
            if ctx.attempt() == 1 {
                return Err(Error::other("busy").retry_after(Duration::from_secs(7)));
            }
            assert_eq!(ctx.event_id(), "the same");
            Ok(())
        });
    let harness = Harness::new(extension);
    let event = record_create("orders", json!({})).event_id("the same");
    let failure = harness.emit(event.clone()).await.expect_err("the first attempt fails");
    let Failure::Failed { retry_after, .. } = failure else { panic!("{failure}") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    harness.emit(event.attempt(2)).await.expect("the second attempt works");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ignores_its_cancellation_is_dropped_a_second_later() {
    struct Bell(Arc<AtomicU32>);
    impl Drop for Bell {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let rings = Arc::new(AtomicU32::new(0));
    let handler_rings = Arc::clone(&rings);
    let ignores = move |_, (): ()| {
        let bell = Bell(Arc::clone(&handler_rings));
        async move {
            std::future::pending::<()>().await;
            drop(bell);
            Ok(())
        }
    };
    let harness = Harness::new(Extension::new("stuck").function("ignores", ignores));
    let running = harness.begin("ignores", &Value::Null, &Identity::default());
    let since = tokio::time::Instant::now();
    running.cancel("deadline");
    let failure = running.output().await.expect_err("it was cancelled");
    let words = "the handler was dropped 1s after its cancellation (deadline)";
    assert_eq!(failure, failed("Cancelled", words));
    assert_eq!(since.elapsed().as_secs(), 1);
    assert_eq!(rings.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_configuration_has_the_authors_type() {
    #[derive(Deserialize)]
    struct Config {
        greeting: String,
    }
    let says = |ctx: Context, (): ()| async move { Ok(ctx.config::<Config>()?.greeting) };
    let extension = || Extension::new("says").function("says", says);
    let harness = Harness::with_config(extension(), &json!({"greeting": "Ahoy"}));
    assert_eq!(harness.call("says", Value::Null).await, Ok(json!("Ahoy")));
    let failure = Harness::new(extension()).call("says", Value::Null).await;
    let words = "the extension's configuration is not what was expected";
    assert_eq!(failure, Err(failed("DecodeError", words)));
}

#[tokio::test]
async fn an_activity_is_noted_and_one_that_is_refused_fails_nothing() {
    let ship = |ctx: Context, order: String| async move {
        let noted = ctx.activity("order.shipped").resource("order", &order);
        noted.metadata(&json!({"weight": 2})).note().await;
        Ok("shipped")
    };
    let harness = Harness::new(Extension::new("shop").function("ship", ship));
    assert_eq!(harness.call("ship", json!("o1")).await, Ok(json!("shipped")));
    harness.host().fail_next(HostErrorKind::PermissionDenied, "no");
    assert_eq!(harness.call("ship", json!("o2")).await, Ok(json!("shipped")));
    let noted = [("order.shipped".to_owned(), json!({"weight": 2}))];
    assert_eq!(harness.host().activities(), noted);
}
