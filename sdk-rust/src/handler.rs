//! From an author's typed handlers to one shape, and from an invocation to its outcome.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tinybase_proto::v1;
use tinybase_proto::v1::invocation::Body;

use crate::client::Outcomes;
use crate::context::{Identity, Surroundings};
use crate::event::FromBody;
use crate::{Chunks, Context, Error, Patch, Result};

type Reply = Pin<Box<dyn Future<Output = Result<v1::Success>> + Send>>;

/// A handler whose types are forgotten. Cheap to clone.
pub(crate) type Handler = Arc<dyn Fn(Context, Option<Body>) -> Reply + Send + Sync>;

tokio::task_local! {
    /// The invocation that the running code belongs to, for log lines.
    pub(crate) static CURRENT: Context;
}

/// A handler that is told of something.
pub(crate) fn after<E, H, F>(handler: H) -> Handler
where
    E: FromBody + Send + 'static,
    H: Fn(Context, E) -> F + Send + Sync + 'static,
    F: Future<Output = Result> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |context, body| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            handler(context, E::from_body(body)?).await?;
            Ok(v1::Success::default())
        })
    })
}

/// A handler that is asked before something happens.
pub(crate) fn before<E, H, F>(handler: H) -> Handler
where
    E: FromBody + Send + 'static,
    H: Fn(Context, E) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Patch>> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |context, body| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let patch = handler(context, E::from_body(body)?).await?;
            Ok(v1::Success { patch: patch.into_bytes()?, ..v1::Success::default() })
        })
    })
}

/// A handler that makes a result.
pub(crate) fn function<I, O, H, F>(handler: H) -> Handler
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize,
    H: Fn(Context, I) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O>> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |context, body| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let output = handler(context, input(body)?).await?;
            let output = serde_json::to_vec(&output)
                .map_err(|error| Error::fault("EncodeError", format!("the result: {error}")))?;
            Ok(v1::Success { output: output.into(), ..v1::Success::default() })
        })
    })
}

/// A handler that makes a result in chunks.
pub(crate) fn streaming<I, C, H, F>(handler: H) -> Handler
where
    I: DeserializeOwned + Send + 'static,
    C: Serialize + 'static,
    H: Fn(Context, I, Chunks<C>) -> F + Send + Sync + 'static,
    F: Future<Output = Result> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |context, body| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let (chunks, gathered) = Chunks::of(&context);
            handler(context, input(body)?, chunks).await?;
            Ok(v1::Success { output: gathered.into_output(), ..v1::Success::default() })
        })
    })
}

fn input<I: DeserializeOwned>(body: Option<Body>) -> Result<I> {
    let Some(Body::Function(call)) = body else {
        return Err(Error::fault("ProtocolError", "the invocation has no function's input"));
    };
    let json: &[u8] = if call.input.is_empty() { b"{}" } else { &call.input };
    serde_json::from_slice(json).map_err(|error| Error::invalid(format!("the input: {error}")))
}

/// An extension's handlers by the names under which the core calls them.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) hooks: HashMap<String, Handler>,
    pub(crate) functions: HashMap<String, Handler>,
}

/// Which of its errors an outcome can carry.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Function,
    Before,
    After,
}

impl Handlers {
    /// Makes a job of an invocation. Nothing of the handler has run yet.
    pub(crate) fn job(
        &self,
        mut invocation: v1::Invocation,
        surroundings: &Arc<Surroundings>,
        outcomes: &Outcomes,
    ) -> Job {
        let (kind, handlers) = match invocation.event.as_str() {
            "function.invoke" => (Kind::Function, &self.functions),
            _ if invocation.phase() == v1::Phase::Before => (Kind::Before, &self.hooks),
            _ => (Kind::After, &self.hooks),
        };
        let handler = handlers.get(&invocation.handler).cloned();
        let body = invocation.body.take();
        let identity = Identity::of(body.as_ref());
        let chunks = outcomes.chunks(&invocation.id);
        let context = Context::new(invocation, identity, chunks, Arc::clone(surroundings));
        let reply = match handler {
            Some(handler) => handler(context.clone(), body),
            None => unknown(&context),
        };
        Job { kind, context, reply }
    }
}

fn unknown(context: &Context) -> Reply {
    let message = format!("this extension has no handler for {context:?}");
    Box::pin(std::future::ready(Err(Error::fault("UnknownHandler", message))))
}

/// One invocation in the hands of its handler: a future of its outcome that never panics.
pub(crate) struct Job {
    kind: Kind,
    context: Context,
    reply: Reply,
}

impl Job {
    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// Gives up on the handler.
    pub(crate) fn abandon(self, message: &str) -> v1::Outcome {
        let Self { kind, context, reply } = self;
        let result = match catch_unwind(AssertUnwindSafe(|| drop(reply))) {
            Ok(()) => Err(Error::fault("Cancelled", message)),
            Err(panic) => Err(panicked(panic.as_ref())),
        };
        outcome(kind, &context, result)
    }
}

impl Future for Job {
    type Output = v1::Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Self { kind, context, reply } = &mut *self;
        let polled = CURRENT.sync_scope(context.clone(), || {
            catch_unwind(AssertUnwindSafe(|| reply.as_mut().poll(cx)))
        });
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(outcome(*kind, context, result)),
            Err(panic) => Poll::Ready(outcome(*kind, context, Err(panicked(panic.as_ref())))),
        }
    }
}

fn outcome(kind: Kind, context: &Context, result: Result<v1::Success>) -> v1::Outcome {
    let result = match (result, kind) {
        (Ok(success), _) => v1::outcome::Result::Success(success),
        (Err(error), Kind::Function) => error.into_function_result(),
        (Err(error), Kind::Before) => error.into_before_result(),
        (Err(error), Kind::After) => error.into_after_result(),
    };
    v1::Outcome { invocation_id: context.invocation_id().to_owned(), result: Some(result) }
}

/// The panic's place was printed to standard error by the panic hook, with the same words.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the handler panicked".to_owned());
    Error::fault("panic", message)
}
