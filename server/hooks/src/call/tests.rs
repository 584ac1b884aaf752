use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tinybase_model::{
    CallId, Cause, Event, EventKind, Fault, FunctionAuth, FunctionBinding, FunctionEvent,
    HookBinding, HookFilter, Identity, InvokeError, JsonBytes, Outcome, Permissions, Phase,
    Registration,
};
use tokio::time::Instant;

use crate::fakes::{Answer, Call, FakeInvoker, done, fault, hook, hooks, json, name};
use crate::{CallError, CallTerms, ChunkSink, Hooks};

fn stage(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> (Hooks, Arc<FakeInvoker>) {
    let invoker = FakeInvoker::new(script);
    let hooks = hooks(&invoker, &Arc::default());
    let timeout = Some(Duration::from_secs(5));
    for (extension, timeout) in [("shop", None), ("mail", timeout)] {
        hooks.permit(&name(extension), &Permissions::Broad);
        let function = FunctionBinding {
            name: format!("{extension}.run"),
            description: String::new(),
            auth: FunctionAuth::Auth,
            input_schema: None,
            output_schema: None,
            tags: Vec::new(),
            timeout,
            concurrency: None,
            streams: false,
        };
        let looks_on = hook(EventKind::FunctionCall, Phase::After, "all");
        let filter = HookFilter::Named("shop.run".to_owned());
        let named = HookBinding { filter, handler: "named".to_owned(), ..looks_on.clone() };
        let registration = Registration::new(vec![looks_on, named], vec![function]);
        let registration = registration.expect("distinct names");
        let taken = hooks.inner.registry.register(&name(extension), &registration);
        taken.expect("it is taken");
        invoker.set_ready(extension, true);
    }
    (hooks, invoker)
}

fn call(function: &str) -> FunctionEvent {
    let input = json(r#"{"n":1}"#);
    FunctionEvent::new(function.to_owned(), CallId::generate(), &Identity::Anonymous, input)
}

fn client() -> Cause {
    Cause::request(Identity::Anonymous, String::new())
}

#[tokio::test]
async fn a_call_goes_to_the_extension_that_has_the_function() {
    let output = Ok(Outcome::Success { output: Some(json("7")), patch: None });
    let expected = output.clone();
    let (hooks, invoker) = stage(move |_| output.clone().into());
    let outcome = hooks.call_function(call("mail.run"), &client(), CallTerms::default()).await;
    assert_eq!(outcome, Ok(expected.expect("an outcome")));
    let calls = invoker.calls();
    assert_eq!(calls[0].extension, name("mail"));
    assert_eq!(calls[0].timeout, Duration::from_secs(5));
    hooks
        .call_function(call("shop.run"), &client(), CallTerms::default())
        .await
        .expect("an outcome");
    assert_eq!(invoker.calls()[1].timeout, Duration::from_secs(30));
}

#[tokio::test]
async fn a_call_without_an_outcome_names_the_extension() {
    let (hooks, invoker) = stage(|_| Err(InvokeError::Disconnected).into());
    let unknown =
        hooks.call_function(call("x"), &client(), CallTerms::default()).await.expect_err("unknown");
    assert_eq!(unknown, CallError::UnknownFunction { name: "x".to_owned() });
    let died = hooks
        .call_function(call("shop.run"), &client(), CallTerms::default())
        .await
        .expect_err("it died");
    let error = InvokeError::Disconnected;
    assert_eq!(died, CallError::Invoke { extension: name("shop"), error });
    invoker.set_ready("shop", false);
    let absent = hooks
        .call_function(call("shop.run"), &client(), CallTerms::default())
        .await
        .expect_err("absent");
    let error = InvokeError::NotReady { state: "stopped" };
    assert_eq!(absent, CallError::Invoke { extension: name("shop"), error });
    assert!(hooks.function("shop.run").is_some(), "it stays while its extension is restarted");
}

#[tokio::test]
async fn functions_that_call_each_other_in_a_circle_end() {
    let (hooks, _) = stage(|_| done());
    let cause = |depth| Cause { depth, origin: Some(name("shop")), ..client() };
    assert!(hooks.call_function(call("shop.run"), &cause(7), CallTerms::default()).await.is_ok());
    let refused = hooks
        .call_function(call("shop.run"), &cause(8), CallTerms::default())
        .await
        .expect_err("too deep");
    assert_eq!(refused, CallError::TooDeep { name: "shop.run".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn those_who_look_on_are_told_all_at_once_and_their_failures_are_ignored() {
    let (hooks, invoker) = stage(|call| match call.handler.as_str() {
        "all" => done().after(Duration::from_mins(1)),
        _ => fault("no"),
    });
    let start = Instant::now();
    hooks.observe_call(Event::FunctionCall(call("shop.run")), &client()).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(invoker.calls().len(), 4);
    hooks.observe_call(Event::FunctionCall(call("mail.run")), &client()).await;
    assert_eq!(invoker.calls().len(), 6, "the named ones look on at the other function only");
}

#[tokio::test]
async fn a_forgotten_extension_has_no_functions() {
    let (hooks, _) = stage(|_| done());
    hooks.forget(&name("shop")).await.expect("the log works");
    let names: Vec<_> = hooks.functions().iter().map(|f| f.binding.name.clone()).collect();
    assert_eq!(names, ["mail.run"]);
    assert!(hooks.chain().iter().all(|hook| hook.extension == name("mail")));
}

#[derive(Debug, Default)]
struct Taken {
    chunks: Mutex<Vec<String>>,
    limit: usize,
}

#[async_trait]
impl ChunkSink for Taken {
    async fn put(&self, chunk: JsonBytes) -> Result<(), Fault> {
        let mut chunks = self.chunks.lock().expect("lock");
        if chunks.len() == self.limit {
            let (kind, message) = ("Enough".to_owned(), String::new());
            return Err(Fault { kind, message, stack: String::new(), retry_after: None });
        }
        chunks.push(chunk.text().to_owned());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_go_to_whoever_asked_for_them_until_they_have_enough() {
    let (hooks, _) = stage(|_| done().with_chunks(&["1", "2", "3"]));
    for (limit, expected) in [(3, Ok(())), (2, Err("Enough"))] {
        let sink = Arc::new(Taken { limit, ..Taken::default() });
        let chunks: Arc<dyn ChunkSink> = Arc::<Taken>::clone(&sink);
        let terms = CallTerms { chunks: Some(chunks), ..CallTerms::default() };
        let outcome = hooks.call_function(call("shop.run"), &client(), terms).await;
        let ended = match outcome.expect("an outcome") {
            Outcome::Success { .. } => Ok(()),
            Outcome::Fault(fault) if fault.kind == "Enough" => Err("Enough"),
            other @ (Outcome::Reject(_) | Outcome::Fault(_)) => panic!("{other:?}"),
        };
        assert_eq!(ended, expected);
        assert_eq!(*sink.chunks.lock().expect("lock"), ["1", "2", "3"][..limit]);
    }
}
