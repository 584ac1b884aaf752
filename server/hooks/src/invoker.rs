//! What hooks need of the supervisor.

use async_trait::async_trait;
use tinybase_model::{ExtensionName, Invocation, InvokeError, Outcome};
use tinybase_supervisor::ChunkSink;
use tokio::sync::watch;

/// Runs invocations in extensions. The supervisor is one; tests have others.
#[async_trait]
pub trait Invoker: Send + Sync {
    /// Runs one invocation. It ends within the invocation's timeout; dropping it cancels the work.
    async fn invoke(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
    ) -> Result<Outcome, InvokeError>;

    /// The same for a function whose result comes in chunks, which go to the sink one by one.
    async fn invoke_streaming(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
        sink: &dyn ChunkSink,
    ) -> Result<Outcome, InvokeError>;

    /// Whether the extension takes work.
    fn is_ready(&self, extension: &ExtensionName) -> bool;

    /// Changes whenever any extension's state does.
    fn changes(&self) -> watch::Receiver<u64>;
}
