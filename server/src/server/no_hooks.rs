//! A server without extensions, for commands that only need the database.

use std::sync::Arc;

use async_trait::async_trait;
use tinybase_core::{Approved, CallFailure, HookEngine, HookRefusal};
use tinybase_hooks::{CallTerms, OwnSchedules, RegisteredFunction};
use tinybase_model::{Cause, Event, ExtensionName, FunctionEvent, Outcome};
use tokio::sync::watch;

/// Asks nobody and offers nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoHooks;

#[async_trait]
impl HookEngine for NoHooks {
    async fn before(&self, event: Event, _: &Cause) -> Result<Approved, HookRefusal> {
        Ok(Approved { event, failed_open: Vec::new() })
    }

    async fn observe_call(&self, _: Event, _: &Cause) {}

    async fn call_function(
        &self,
        _: FunctionEvent,
        _: &Cause,
        _: CallTerms,
    ) -> Result<Outcome, CallFailure> {
        Err(CallFailure::Unknown)
    }

    fn function(&self, _: &str) -> Option<Arc<RegisteredFunction>> {
        None
    }

    fn schedules(&self) -> Vec<Arc<OwnSchedules>> {
        Vec::new()
    }

    fn versions(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    fn is_ready(&self, _: &ExtensionName) -> bool {
        false
    }

    fn functions(&self) -> Vec<Arc<RegisteredFunction>> {
        Vec::new()
    }

    fn events_committed(&self) {}
}
