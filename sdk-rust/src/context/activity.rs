//! What an extension notes in the server's activity log.

use std::net::IpAddr;

use serde::Serialize;
use tinybase_proto::v1;

use super::records::json;
use super::{CallbackError, Context};

/// Something that was done, to be noted for administrators as `ext.<name of the extension>.<action>`:
/// `ctx.activity("order.shipped").resource("order", &id).note().await`.
///
/// That it can't be noted is written into the extension's log and is no error: what was done has
/// been done.
#[derive(Debug)]
#[must_use = "nothing is noted before `note`"]
pub struct Activity<'a> {
    context: &'a Context,
    request: v1::WriteActivityRequest,
}

impl<'a> Activity<'a> {
    pub(super) fn new(context: &'a Context, action: String) -> Self {
        let request = v1::WriteActivityRequest { action, ..v1::WriteActivityRequest::default() };
        Self { context, request }
    }

    /// Says what it was done to: the kind of thing, and which one.
    pub fn resource(mut self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.request.resource_type = kind.into();
        self.request.resource_id = id.into();
        self
    }

    /// Says which user did it, if it wasn't whoever caused this invocation.
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.request.user_id = id.into();
        self
    }

    /// Says where it was done from.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.request.ip_address = address.to_string();
        self
    }

    /// Says more about it: something that is a JSON object of at most 8 KiB. What isn't JSON is
    /// left out.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Self {
        self.request.metadata = json("the metadata", metadata).unwrap_or_default();
        self
    }

    /// Notes it.
    pub async fn note(self) {
        let action = self.request.action.clone();
        if let Err(error) = self.try_note().await {
            tracing::error!(action, error = %error, "an activity was not noted");
        }
    }

    /// The same, for those who want to know.
    ///
    /// # Errors
    /// If it wasn't noted: the capability `activity:write` is missing, or it is too large, or one
    /// too many.
    pub async fn try_note(self) -> Result<(), CallbackError> {
        let (request, scope) = (self.request, self.context.scope());
        self.context.callbacks().write_activity(request, scope).await?;
        Ok(())
    }
}
