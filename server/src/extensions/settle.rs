//! Waits until an extension that was started is ready, or has failed for the first time.

use std::time::Duration;

use tinybase_catalog::{Condition, Installed};
use tinybase_model::ExtensionState;

use super::Shared;

/// What is granted over the extension's own start timeout, for a busy machine.
const LEEWAY: Duration = Duration::from_secs(5);

impl Shared {
    /// Returns as soon as the state says how the start went, and in any case after the extension's
    /// start timeout.
    pub(super) async fn settle(&self, extension: &Installed) {
        let Condition::Sound(spec) = &extension.condition else { return };
        let Some(mut status) = self.supervisor.watch(&extension.name) else { return };
        let settled = status.wait_for(|status| is_settled(status.state));
        let limit = spec.policy.start_timeout + LEEWAY;
        tokio::select! {
            () = self.stop.cancelled() => {}
            ended = tokio::time::timeout(limit, settled) => {
                if ended.is_err() {
                    tracing::warn!(extension = %extension.name, "the start takes unusually long");
                }
            }
        }
    }
}

fn is_settled(state: ExtensionState) -> bool {
    match state {
        ExtensionState::Ready
        | ExtensionState::Degraded
        | ExtensionState::Disabled
        | ExtensionState::Broken
        | ExtensionState::Stopped
        | ExtensionState::BackingOff
        | ExtensionState::Quarantined => true,
        ExtensionState::Installed | ExtensionState::Starting | ExtensionState::Draining => false,
    }
}
