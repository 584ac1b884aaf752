//! Functions, through the core.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tinybase_proto::v1;

use super::records::json;
use super::{CallbackError, Context};
use crate::event::FunctionFailure;

/// The functions that this invocation may call.
#[derive(Debug)]
pub struct Functions<'a> {
    context: &'a Context,
}

impl<'a> Functions<'a> {
    pub(super) const fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Calls a function and waits for its result.
    ///
    /// # Errors
    /// [`CallbackError::Function`] if it ran and failed.
    pub async fn call<O: DeserializeOwned>(
        &self,
        name: &str,
        input: &impl Serialize,
    ) -> Result<O, CallbackError> {
        let request = v1::CallFunctionRequest {
            name: name.to_owned(),
            input: json("the function's input", input)?,
        };
        let answer = self.context.callbacks().call_function(request, self.context.scope()).await?;
        if answer.status != "succeeded" {
            let source = FunctionFailure::new(answer.error_type, answer.error_message);
            return Err(CallbackError::Function { name: name.to_owned(), source });
        }
        let output: &[u8] = if answer.output.is_empty() { b"null" } else { &answer.output };
        serde_json::from_slice(output)
            .map_err(|error| CallbackError::decode("the function's result", error))
    }
}
