//! The bucket of an S3-compatible service: how to reach it, and what went wrong if it can't be used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::HttpClient;
use object_store::{BackoffConfig, RetryConfig};
use thiserror::Error;

use crate::bucket_client::{Connector, client};
use crate::settings::{Secret, StorageSettings};

/// How often a request is tried again, and for how long. A client waits meanwhile.
const RETRIES_MAX: usize = 2;
const RETRY_TIME_MAX: Duration = Duration::from_secs(30);
const BACKOFF: BackoffConfig = BackoffConfig {
    init_backoff: Duration::from_millis(100),
    max_backoff: Duration::from_secs(2),
    base: 2.0,
};

/// How much of a fault's description is logged, in characters.
const FAULT_MAX: usize = 1000;

/// Why a bucket couldn't be used. The sentences are for users: they tell neither addresses nor keys,
/// which the log has, and hasn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BucketError {
    /// The settings don't say which service it is at.
    #[error(
        "the file is in a bucket that the settings don't describe any more; an administrator should \
         set storage_bucket and the other settings of the storage again"
    )]
    Undescribed,
    /// The settings make no sense together.
    #[error(
        "the bucket of files can't be used; an administrator should check the settings whose names \
         begin with storage_"
    )]
    Settings,
    /// The service doesn't answer.
    #[error(
        "the bucket of files can't be reached; try again later. If it stays so, an administrator \
         should check storage_url and the server's network"
    )]
    Unreachable,
    /// The service doesn't let the server in.
    #[error(
        "the bucket of files refuses this server; an administrator should check storage_access_key, \
         storage_secret_key, storage_region and what the bucket's policy allows"
    )]
    Refused,
    /// There is no such bucket.
    #[error(
        "the bucket of files doesn't exist; an administrator should check storage_bucket, \
         storage_url and storage_region"
    )]
    NoBucket,
    /// There is no such object.
    #[error("the bucket doesn't have the file")]
    NoObject,
    /// The service has something else than what was sent.
    #[error("what arrived in the bucket isn't what was sent; send the file again")]
    Damaged,
    /// The service failed.
    #[error("the bucket of files failed; try again later. The server's log has the cause")]
    Failed,
}

impl BucketError {
    /// What is not there is gone already.
    pub(crate) fn unless_gone(self) -> Result<(), Self> {
        if self == Self::NoObject { Ok(()) } else { Err(self) }
    }
}

/// A bucket, and how to reach it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) objects: Arc<AmazonS3>,
    hidden: Arc<[Secret]>,
}

impl Bucket {
    /// What an error means, for whoever asked for something; the log gets all of it but the keys.
    pub(crate) fn fault(&self, error: &object_store::Error) -> BucketError {
        let text = chain(error);
        let fault = classify(error, &text);
        if fault != BucketError::NoObject {
            self.note(&text);
        }
        fault
    }

    /// The same for whoever sends something: what isn't there then is the bucket, whatever it is that
    /// answers.
    pub(crate) fn upload_fault(&self, error: &object_store::Error) -> BucketError {
        let text = chain(error);
        self.note(&text);
        let fault = classify(error, &text);
        if fault == BucketError::NoObject { BucketError::NoBucket } else { fault }
    }

    fn note(&self, text: &str) {
        let mut shown: String = text.chars().take(FAULT_MAX).collect();
        for secret in self.hidden.iter().map(Secret::expose).filter(|text| !text.is_empty()) {
            shown = shown.replace(secret, "(hidden)");
        }
        tracing::warn!(bucket = self.name, fault = shown, "the bucket of files failed");
    }
}

/// The buckets of the current settings. One is made when it's needed, and kept while they stay.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    client: Option<HttpClient>,
    settings: StorageSettings,
    /// One for the current settings, and one for each that a file from earlier is in.
    buckets: Vec<Bucket>,
}

impl Buckets {
    /// A bucket by its name, at the service of these settings.
    pub(crate) fn find(
        &self,
        settings: &StorageSettings,
        name: &str,
    ) -> Result<Bucket, BucketError> {
        if settings.bucket.is_none() {
            return Err(BucketError::Undescribed);
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.settings != *settings {
            made.settings = settings.clone();
            made.buckets.clear();
        }
        if let Some(bucket) = made.buckets.iter().find(|bucket| bucket.name == name) {
            return Ok(bucket.clone());
        }
        let client = made.client.clone().map_or_else(client, Ok)?;
        made.client = Some(client.clone());
        let bucket = make(settings, name, client)?;
        made.buckets.push(bucket.clone());
        Ok(bucket)
    }
}

fn make(settings: &StorageSettings, name: &str, client: HttpClient) -> Result<Bucket, BucketError> {
    let (access, secret) = (settings.access_key.as_ref(), settings.secret_key.as_ref());
    let mut builder = match (access, secret) {
        (Some(access), Some(secret)) => AmazonS3Builder::new()
            .with_access_key_id(access.expose())
            .with_secret_access_key(secret.expose()),
        // The variables that all programs for S3 know, or the role of the machine.
        (None, None) => AmazonS3Builder::from_env(),
        (Some(_), None) | (None, Some(_)) => return Err(BucketError::Settings),
    };
    builder = builder.with_bucket_name(name).with_http_connector(Connector(client)).with_retry(
        RetryConfig { backoff: BACKOFF, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIME_MAX },
    );
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(url) = &settings.url {
        builder = builder.with_endpoint(url).with_virtual_hosted_style_request(false);
    }
    let objects = builder.build().map_err(|error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the settings of the storage can't be used"
        );
        BucketError::Settings
    })?;
    let hidden = access.into_iter().chain(secret).cloned().collect();
    Ok(Bucket { name: name.to_owned(), objects: Arc::new(objects), hidden })
}

/// An error with its causes. A cause that the sentence before it tells already isn't told again.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// How services say that a key is unknown or that a region is another's, if not by a status; the last
/// is the crate's, for a redirection to the right region.
const REFUSALS: [&str; 4] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "Received redirect",
];

/// The crate tells the statuses apart, but neither a bucket from an object that isn't there nor
/// silence from a refusal; its text does, as it has the service's own answer.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another crate's, and open")]
fn classify(error: &object_store::Error, text: &str) -> BucketError {
    use object_store::Error;

    match error {
        _ if text.contains("NoSuchBucket") => BucketError::NoBucket,
        Error::NotFound { .. } => BucketError::NoObject,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => BucketError::Refused,
        _ if REFUSALS.iter().any(|words| text.contains(words)) => BucketError::Refused,
        _ if text.contains("Server returned") => BucketError::Failed,
        Error::Generic { .. } => BucketError::Unreachable,
        _ => BucketError::Failed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BucketError, Buckets, classify};
    use crate::settings::StorageSettings;

    fn settings(bucket: Option<&str>, secret: Option<&str>) -> StorageSettings {
        let settings = json!({
            "storage_enabled": true,
            "storage_bucket": bucket,
            "storage_access_key": "AKIDEXAMPLE",
            "storage_secret_key": secret,
        });
        serde_json::from_value(settings).expect("settings")
    }

    #[test]
    fn a_bucket_is_made_once_and_again_for_other_settings() {
        let buckets = Buckets::default();
        let first = settings(Some("a"), Some("s"));
        let made = buckets.find(&first, "a").expect("a bucket").objects;
        let again = buckets.find(&first, "a").expect("a bucket").objects;
        assert!(std::sync::Arc::ptr_eq(&made, &again));
        let other = buckets.find(&settings(Some("a"), Some("t")), "a").expect("a bucket").objects;
        assert!(!std::sync::Arc::ptr_eq(&made, &other));
        let undescribed = buckets.find(&settings(None, Some("s")), "a");
        assert_eq!(undescribed.err(), Some(BucketError::Undescribed));
        assert_eq!(
            buckets.find(&settings(Some("a"), None), "a").err(),
            Some(BucketError::Settings)
        );
    }

    #[test]
    fn nobody_is_shown_a_key() {
        let bucket = Buckets::default().find(&settings(Some("a"), Some("hunter2")), "a");
        let text = format!("{:?}", bucket.expect("a bucket"));
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn faults_are_told_apart() {
        let source = |text: &str| Box::<dyn std::error::Error + Send + Sync>::from(text);
        let generic =
            |text: &str| object_store::Error::Generic { store: "S3", source: source(text) };
        let not_found = object_store::Error::NotFound { path: "k".to_owned(), source: source("") };
        for (error, text, expected) in [
            (&not_found, "404: <Code>NoSuchBucket</Code>", BucketError::NoBucket),
            (&not_found, "404: <Code>NoSuchKey</Code>", BucketError::NoObject),
            (&generic(""), "HTTP error: connection refused", BucketError::Unreachable),
            (&generic(""), "Server returned non-2xx status code: 500", BucketError::Failed),
            (&generic(""), "400: AuthorizationHeaderMalformed", BucketError::Refused),
            (&generic(""), "Received redirect without LOCATION", BucketError::Refused),
        ] {
            assert_eq!(classify(error, text), expected, "{text}");
        }
    }
}
