//! Call-backs from Python: see `Host` in `_host.py`.

use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use tinybase_sdk::client::{CallScope, HostError, v1};

use crate::invocation::Invocation;
use crate::wire::Wire;

type RecordRow = (String, String, String, String, String, String, String, i64);
type CollectionRow = (String, String, String, String, String, String, String);
type UserRow = (String, String, bool, String, String);
type CallRow = (String, String, String, String, String, u64);
/// Action, kind and id of the thing, user, metadata as JSON, address; see `ActivityRow` in `_host.py`.
type ActivityRow = (String, String, String, String, String, String);
type Query = (String, Vec<(String, String, String)>, Vec<(String, bool)>);
type Scope<'a, 'py> = Option<&'a Bound<'py, Invocation>>;

/// The way to the server. The calls block, without the GIL.
#[pyclass(frozen, module = "tinybase._native")]
#[derive(Debug)]
pub(crate) struct Host {
    wire: Arc<Wire>,
}

impl Host {
    pub(crate) fn new(wire: Arc<Wire>) -> Self {
        Self { wire }
    }
}

/// Makes a request and waits for its answer.
macro_rules! ask {
    ($slf:ident, $scope:ident, $method:ident, $request:expr) => {{
        let request = $request;
        let wire = &$slf.get().wire;
        let scope = $scope.map(Bound::get).map(scope_of).unwrap_or_default();
        wait($slf.py(), wire, wire.host.$method(request, scope))
    }};
}

#[pymethods]
impl Host {
    #[getter]
    fn config(&self) -> &str {
        &self.wire.config
    }

    #[expect(clippy::unused_self, reason = "a test's host has a clock of its own")]
    fn now(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    fn get_record(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        collection: String,
        id: String,
    ) -> PyResult<RecordRow> {
        let response = ask!(slf, scope, get_record, v1::GetRecordRequest { collection, id })?;
        Ok(record(response.record))
    }

    fn list_records(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        query: Query,
        page: (u32, String),
    ) -> PyResult<(Vec<RecordRow>, String)> {
        let (collection, conditions, sort) = query;
        let request = v1::ListRecordsRequest {
            collection,
            conditions: conditions.into_iter().map(condition).collect(),
            sort: sort
                .into_iter()
                .map(|(field, descending)| v1::SortKey { field, descending })
                .collect(),
            page_size: page.0,
            page_token: page.1,
        };
        let response = ask!(slf, scope, list_records, request)?;
        let rows = response.records.into_iter().map(|it| record(Some(it))).collect();
        Ok((rows, response.next_page_token))
    }

    fn create_record(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        collection: String,
        data: String,
        owner_id: String,
    ) -> PyResult<RecordRow> {
        let request = v1::CreateRecordRequest { collection, data: data.into(), owner_id };
        Ok(record(ask!(slf, scope, create_record, request)?.record))
    }

    fn update_record(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        collection: String,
        id: String,
        data: String,
    ) -> PyResult<RecordRow> {
        let request = v1::UpdateRecordRequest { collection, id, data: data.into() };
        Ok(record(ask!(slf, scope, update_record, request)?.record))
    }

    fn delete_record(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        collection: String,
        id: String,
    ) -> PyResult<()> {
        ask!(slf, scope, delete_record, v1::DeleteRecordRequest { collection, id })?;
        Ok(())
    }

    fn list_collections(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
    ) -> PyResult<Vec<CollectionRow>> {
        let response = ask!(slf, scope, list_collections, v1::ListCollectionsRequest {})?;
        Ok(response.collections.into_iter().map(collection).collect())
    }

    fn get_user(slf: &Bound<'_, Self>, scope: Scope<'_, '_>, id: String) -> PyResult<UserRow> {
        let response = ask!(slf, scope, get_user, v1::GetUserRequest { id })?;
        let it = response.user.unwrap_or_default();
        Ok((it.id, it.email, it.is_admin, it.created_at, it.updated_at))
    }

    fn call_function(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        name: String,
        input: String,
    ) -> PyResult<CallRow> {
        let request = v1::CallFunctionRequest { name, input: input.into() };
        let it = ask!(slf, scope, call_function, request)?;
        let output = text(&it.output);
        Ok((it.call_id, it.status, output, it.error_message, it.error_type, it.duration_ms))
    }

    fn get_value(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        key: String,
    ) -> PyResult<Option<Vec<u8>>> {
        let response = ask!(slf, scope, get_value, v1::GetValueRequest { key })?;
        Ok(response.found.then(|| response.value.to_vec()))
    }

    fn set_value(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        key: String,
        value: Vec<u8>,
    ) -> PyResult<()> {
        ask!(slf, scope, set_value, v1::SetValueRequest { key, value: value.into() })?;
        Ok(())
    }

    fn write_activity(
        slf: &Bound<'_, Self>,
        scope: Scope<'_, '_>,
        activity: ActivityRow,
    ) -> PyResult<()> {
        let (action, resource_type, resource_id, user_id, metadata, ip_address) = activity;
        let metadata = metadata.into();
        let request = v1::WriteActivityRequest {
            action,
            resource_type,
            resource_id,
            user_id,
            metadata,
            ip_address,
        };
        ask!(slf, scope, write_activity, request)?;
        Ok(())
    }

    fn delete_value(slf: &Bound<'_, Self>, scope: Scope<'_, '_>, key: String) -> PyResult<()> {
        ask!(slf, scope, delete_value, v1::DeleteValueRequest { key })?;
        Ok(())
    }
}

fn wait<T: Send>(
    py: Python<'_>,
    wire: &Wire,
    call: impl Future<Output = Result<T, HostError>> + Send,
) -> PyResult<T> {
    py.detach(|| wire.runtime.block_on(call)).map_err(|error| raised(py, &error))
}

/// The exception of `tinybase.errors` for a call-back's failure.
fn raised(py: Python<'_>, error: &HostError) -> PyErr {
    let made = py.import("tinybase.errors").and_then(|errors| {
        errors.call_method1("host_error", (error.kind().as_str(), error.message()))
    });
    made.map_or_else(|error| error, PyErr::from_value)
}

fn scope_of(invocation: &Invocation) -> CallScope<'_> {
    CallScope {
        token: Some(invocation.token()),
        deadline: Some(invocation.deadline()),
        traceparent: invocation.traceparent(),
    }
}

fn condition((field, comparison, value): (String, String, String)) -> v1::Condition {
    let comparison = match comparison.as_str() {
        "!=" => v1::Comparison::NotEqual,
        "<" => v1::Comparison::Less,
        "<=" => v1::Comparison::LessOrEqual,
        ">" => v1::Comparison::Greater,
        ">=" => v1::Comparison::GreaterOrEqual,
        "in" => v1::Comparison::In,
        _ => v1::Comparison::Equal,
    };
    v1::Condition { field, comparison: comparison as i32, value: value.into() }
}

fn record(it: Option<v1::StoredRecord>) -> RecordRow {
    let it = it.unwrap_or_default();
    let data = text(&it.data);
    let (created_at, updated_at) = (it.created_at, it.updated_at);
    (it.id, it.collection, it.collection_id, it.owner_id, data, created_at, updated_at, it.version)
}

fn collection(it: v1::StoredCollection) -> CollectionRow {
    let (schema, options) = (text(&it.schema), text(&it.options));
    (it.id, it.name, it.label, schema, options, it.created_at, it.updated_at)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
