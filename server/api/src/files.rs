//! Files: uploading, downloading, listing, deleting, and addresses that work for a while.

use std::time::Duration;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequestParts, Multipart, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tinybase_core::{Core, FileQuery, FileSignature, NewFile, SIGNED_SECONDS, StoredFile, Upload};
use tinybase_model::UserId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params};
use crate::caller::Caller;
use crate::file_download::answer;
use crate::openapi::{Forbidden, NotFound};
use crate::problem::{HttpProblem, Kind};

/// How long a client may pause while it sends a file.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What a form may have beside the file. As much is also read of a file that is too large, so that the
/// client gets to read the answer.
const FORM_BYTES: u64 = 8 << 20;

pub(crate) fn routes(upload_bytes_max: u64) -> OpenApiRouter<App> {
    let limit = usize::try_from(upload_bytes_max.saturating_add(FORM_BYTES)).unwrap_or(usize::MAX);
    let uploads =
        OpenApiRouter::default().routes(routes!(upload)).layer(DefaultBodyLimit::max(limit));
    let mut all = OpenApiRouter::default()
        .routes(routes!(status))
        .routes(routes!(list))
        .routes(routes!(download))
        .routes(routes!(presign))
        .routes(routes!(signed))
        .routes(routes!(delete))
        .merge(uploads);
    // The document has no word for a parameter that takes the rest of a path.
    let paths = &mut all.get_openapi_mut().paths.paths;
    let described = std::mem::take(paths);
    *paths = described.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    all
}

/// The rest of a path, as a file's key. What can be none is never looked for.
struct Key(String);

impl FromRequestParts<App> for Key {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpProblem> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(key)) => Ok(Self(key)),
            Err(rejection) => Err(HttpProblem::new(Kind::NotFound, rejection.body_text())),
        }
    }
}

/// Whether files can be stored.
#[derive(Serialize, ToSchema)]
struct StorageStatusResponse {
    enabled: bool,
}

/// Tells whether files can be stored.
#[utoipa::path(
    get, path = "/api/files/status", operation_id = "get_file_status", tag = "files",
    security(("bearer" = [])),
    responses((status = 200, description = "Whether they can", body = StorageStatusResponse))
)]
async fn status(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<StorageStatusResponse>, HttpProblem> {
    Ok(Json(StorageStatusResponse { enabled: core.files().is_enabled(&caller.identity)? }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// What the file's key begins with: parts of letters, digits, `-`, `_` and `.`, with `/` between.
    #[serde(default)]
    path_prefix: String,
    /// Whether anybody may read the file, also without a login.
    #[serde(default)]
    public: bool,
}

/// A form with one file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes the form for the document")]
struct UploadForm {
    /// The file.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

/// A file that was stored.
#[derive(Serialize, ToSchema)]
struct FileUploadResponse {
    /// Its name in the API.
    key: String,
    /// What it is called.
    filename: String,
    /// Its media type.
    content_type: String,
    /// Its size in bytes.
    size: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    sha256: String,
}

/// Stores a file. It belongs to whoever sends it.
#[utoipa::path(
    post, path = "/api/files/upload", operation_id = "upload_file", tag = "files",
    security(("bearer" = [])), params(UploadQuery),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The file is stored", body = FileUploadResponse),
        Forbidden,
    )
)]
async fn upload(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<UploadQuery>,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Json<FileUploadResponse>, HttpProblem> {
    // Before anything is read: who may not store files doesn't get to send one.
    core.files().is_enabled(&caller.identity)?;
    let mut form = form.map_err(|rejection| {
        HttpProblem::new(Kind::Malformed, format!("The body is no form: {rejection}"))
    })?;
    loop {
        let Some(field) = in_time(form.next_field()).await? else {
            let detail = "The form has no field \"file\"";
            return Err(HttpProblem::new(Kind::Unprocessable, detail));
        };
        if field.name() != Some("file") {
            continue;
        }
        let new = NewFile {
            prefix: query.path_prefix,
            filename: field.file_name().unwrap_or_default().to_owned(),
            is_public: query.public,
        };
        let begun = core.files().begin(&caller.cause(), new).await?;
        return Ok(Json(receive(begun, field).await?.into()));
    }
}

impl From<StoredFile> for FileUploadResponse {
    fn from(file: StoredFile) -> Self {
        Self {
            key: file.key,
            filename: file.filename,
            content_type: file.content_type,
            size: file.size,
            sha256: file.sha256,
        }
    }
}

async fn receive(mut upload: Upload, mut field: Field<'_>) -> Result<StoredFile, HttpProblem> {
    while let Some(chunk) = in_time(field.chunk()).await? {
        if let Err(error) = upload.write(&chunk).await {
            drop(upload);
            while let Ok(Some(_)) = in_time(field.chunk()).await {}
            return Err(error.into());
        }
    }
    Ok(upload.finish().await?)
}

/// Waits for the client, but not for ever.
async fn in_time<T>(
    next: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, HttpProblem> {
    match tokio::time::timeout(PAUSE_MAX, next).await {
        Ok(Ok(next)) => Ok(next),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(HttpProblem::new(Kind::TooLarge, "The form is larger than a file may be"))
        }
        Ok(Err(error)) => {
            let detail = format!("The form can't be read: {}", error.body_text());
            Err(HttpProblem::new(Kind::Malformed, detail))
        }
        Err(_) => Err(HttpProblem::new(Kind::Malformed, "The form came too slowly")),
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListFiles {
    /// Only files whose keys begin so.
    #[serde(default)]
    prefix: String,
    /// Only this user's files; for administrators.
    owner_id: Option<UserId>,
    /// At most so many, 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

/// A stored file.
#[derive(Serialize, ToSchema)]
struct FileInfo {
    /// Its name in the API.
    key: String,
    /// Whose it is.
    owner_id: Option<UserId>,
    /// What it is called.
    filename: String,
    /// Its media type.
    content_type: String,
    /// Its size in bytes.
    size: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    sha256: String,
    /// Whether anybody may read it.
    is_public: bool,
    /// When it was stored.
    created_at: Timestamp,
}

impl From<StoredFile> for FileInfo {
    fn from(file: StoredFile) -> Self {
        Self {
            key: file.key,
            owner_id: file.owner_id,
            filename: file.filename,
            content_type: file.content_type,
            size: file.size,
            sha256: file.sha256,
            is_public: file.is_public,
            created_at: file.created_at,
        }
    }
}

/// A part of the files.
#[derive(Serialize, ToSchema)]
struct FileListResponse {
    files: Vec<FileInfo>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// Lists one's own files, or as administrator all of them; the newest first.
#[utoipa::path(
    get, path = "/api/files", operation_id = "list_files", tag = "files",
    security(("bearer" = [])), params(ListFiles),
    responses((status = 200, description = "The files", body = FileListResponse), Forbidden)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<ListFiles>,
) -> Result<Json<FileListResponse>, HttpProblem> {
    let (limit, offset) = (query.limit.unwrap_or(100), query.offset.unwrap_or(0));
    if !(1..=1_000).contains(&limit) {
        let detail = format!("limit has to be 1 to 1000, not {limit}");
        return Err(HttpProblem::new(Kind::Unprocessable, detail));
    }
    let wanted = FileQuery { owner: query.owner_id, prefix: query.prefix, limit, offset };
    let (files, total) = core.files().list(&caller.identity, wanted).await?;
    let files = files.into_iter().map(Into::into).collect();
    Ok(Json(FileListResponse { files, total, limit, offset }))
}

/// Downloads a file, or the part of it that a `range` header asks for. One's own, one that is
/// public, or any as administrator.
#[utoipa::path(
    get, path = "/api/files/download/{*key}", operation_id = "download_file", tag = "files",
    security((), ("bearer" = [])), params(("key" = String, Path, description = "The file's key")),
    responses(
        (status = 200, description = "The file, with its own media type", content(
            (Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*"),
        )),
        (status = 206, description = "A part of it", content(
            (Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*"),
        )),
        (status = 304, description = "The client has it already"),
        (status = 416, description = "It has no such part"),
        NotFound,
    )
)]
async fn download(
    State(core): State<Core>,
    caller: Caller,
    Key(key): Key,
    headers: HeaderMap,
) -> Result<Response, HttpProblem> {
    let file = core.files().find(&caller.identity, &key).await?;
    answer(&core, &file, &headers).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PresignQuery {
    /// How long the address is to be valid, in seconds.
    #[param(minimum = 60, maximum = 86400, default = 3600)]
    expires_in: Option<u32>,
}

/// An address by which anybody may read the file for a while.
#[derive(Serialize, ToSchema)]
struct PresignedUrlResponse {
    /// The address.
    url: String,
    /// How long it is valid, in seconds.
    expires_in: u32,
}

/// Makes an address by which anybody may read a file for a while.
#[utoipa::path(
    get, path = "/api/files/presigned/{*key}", operation_id = "presign_file", tag = "files",
    security(("bearer" = [])),
    params(("key" = String, Path, description = "The file's key"), PresignQuery),
    responses(
        (status = 200, description = "The address", body = PresignedUrlResponse),
        Forbidden, NotFound,
    )
)]
async fn presign(
    State(core): State<Core>,
    caller: Caller,
    Key(key): Key,
    Params(query): Params<PresignQuery>,
    headers: HeaderMap,
) -> Result<Json<PresignedUrlResponse>, HttpProblem> {
    let expires_in = query.expires_in.unwrap_or(3600);
    if !SIGNED_SECONDS.contains(&expires_in) {
        let detail = format!("expires_in has to be 60 to 86400, not {expires_in}");
        return Err(HttpProblem::new(Kind::Unprocessable, detail));
    }
    let FileSignature { expires, signature } =
        core.files().sign(&caller.identity, &key, expires_in).await?;
    let path = format!("/api/files/signed/{key}?expires={expires}&signature={signature}");
    Ok(Json(PresignedUrlResponse { url: format!("{}{path}", origin(&headers)), expires_in }))
}

/// This server as the client knows it; nothing if the client doesn't say.
fn origin(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<http::uri::Authority>().is_ok());
    let scheme = match headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok()) {
        Some("https") => "https",
        _ => "http",
    };
    host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SignedQuery {
    /// Until when, in seconds since 1970.
    expires: i64,
    /// What makes the address valid.
    signature: String,
}

/// Downloads a file by an address that was signed.
#[utoipa::path(
    get, path = "/api/files/signed/{*key}", operation_id = "download_signed_file", tag = "files",
    params(("key" = String, Path, description = "The file's key"), SignedQuery),
    responses(
        (status = 200, description = "The file, with its own media type", content(
            (Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*"),
        )),
        (status = 206, description = "A part of it", content(
            (Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*"),
        )),
        (status = 304, description = "The client has it already"),
        (status = 416, description = "It has no such part"),
        Forbidden, NotFound,
    )
)]
async fn signed(
    State(core): State<Core>,
    Key(key): Key,
    Params(query): Params<SignedQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpProblem> {
    let signature = FileSignature { expires: query.expires, signature: query.signature };
    let file = core.files().find_signed(&key, &signature).await?;
    answer(&core, &file, &headers).await
}

/// Deletes a file of one's own, or as administrator any.
#[utoipa::path(
    delete, path = "/api/files/{*key}", operation_id = "delete_file", tag = "files",
    security(("bearer" = [])), params(("key" = String, Path, description = "The file's key")),
    responses((status = 204, description = "It is gone"), Forbidden, NotFound)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Key(key): Key,
) -> Result<StatusCode, HttpProblem> {
    core.files().delete(&caller.cause(), &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
