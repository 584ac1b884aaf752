//! How hooks and the supervisor meet: it runs their invocations, they judge its registrations.

use async_trait::async_trait;
use tinybase_model::{ExtensionName, Invocation, InvokeError, Outcome, Registration};
use tinybase_supervisor::{ChunkSink, RegisterRefusal, Registrar, Supervisor};
use tokio::sync::watch;

use crate::invoker::Invoker;
use crate::registry::Registry;

#[async_trait]
impl Invoker for Supervisor {
    async fn invoke(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
    ) -> Result<Outcome, InvokeError> {
        Self::invoke(self, extension, invocation).await
    }

    async fn invoke_streaming(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
        sink: &dyn ChunkSink,
    ) -> Result<Outcome, InvokeError> {
        Self::invoke_streaming(self, extension, invocation, sink).await
    }

    fn is_ready(&self, extension: &ExtensionName) -> bool {
        Self::is_ready(self, extension)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Self::changes(self)
    }
}

impl Registrar for Registry {
    fn register(
        &self,
        extension: &ExtensionName,
        registration: &Registration,
    ) -> Result<(), RegisterRefusal> {
        let taken = Self::register(self, extension, registration);
        taken.map_err(|refused| RegisterRefusal { message: refused.to_string() })
    }
}
