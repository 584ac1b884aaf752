//! Requests that may be sent again: what was done stays done once, and the answer comes again.
//!
//! A key belongs to whoever sent it and stands for one request. It is used up in the transaction that
//! does what the request asks for, so that a crash in between leaves both or neither. What a refused
//! request did is nothing, so its key stays unused.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tinybase_model::{CallId, Identity};
use tinybase_store::{KeptAnswer, RequestKey, StoreError, UsedKey, now};

use crate::Core;
use crate::problem::{Kind, Problem};

/// How long a key stands for its request.
const RETENTION: Duration = Duration::from_hours(24);
/// The most keys of one user or program in that time.
const KEYS_MAX: u32 = 10_000;
/// How many bytes of answers are kept; the oldest go first.
pub(crate) const KEYS_BYTES_MAX: u64 = 256 << 20;
/// The longest key, in characters.
const KEY_LENGTH_MAX: usize = 255;

/// Why a request with a key isn't served.
#[derive(Debug, Clone, Error)]
pub enum KeyError {
    /// It can't be a key.
    #[error("idempotency-key has to be 1 to {KEY_LENGTH_MAX} printable ASCII characters")]
    Malformed,
    /// Nobody is logged in, to whom the key could belong.
    #[error("a request with an idempotency-key needs a login, because a key belongs to somebody")]
    Anonymous,
    /// The request with this key is still being served, here or elsewhere.
    #[error("a request with this idempotency-key is still being served; try again later")]
    InUse,
    /// The key stands for another request.
    #[error("this idempotency-key was used for another request; take a new key for each request")]
    Reused,
    /// There are too many keys of this user or program.
    #[error(
        "{KEYS_MAX} idempotency-keys were used in the last 24 hours, which is the limit; try again \
         later, or without one"
    )]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for KeyError {
    fn kind(&self) -> Kind {
        match self {
            Self::Malformed | Self::Anonymous => Kind::Invalid,
            Self::InUse => Kind::KeyInUse,
            Self::Reused => Kind::KeyReused,
            Self::TooMany => Kind::TooManyRequests,
            Self::Store(error) => error.kind(),
        }
    }
}

/// The keys whose requests are being served here.
#[derive(Debug, Default)]
pub(crate) struct KeysInUse(Mutex<HashSet<(String, String)>>);

/// A key that a request was sent with, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentKey {
    key: String,
    fingerprint: [u8; 32],
}

impl SentKey {
    /// Reads a key, with or without the quotes of a structured field. The parts are everything of
    /// the request that has to be the same when it is sent again.
    ///
    /// # Errors
    /// If it can't be one.
    pub fn read(text: &str, parts: &[&[u8]]) -> Result<Self, KeyError> {
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let key = inner.unwrap_or(text);
        let fits = (1..=KEY_LENGTH_MAX).contains(&key.len());
        if !fits || !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(KeyError::Malformed);
        }
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(Self { key: key.to_owned(), fingerprint: digest.finalize().into() })
    }
}

/// What becomes of a request with a key.
#[derive(Debug)]
pub enum Claimed {
    /// It is to be served.
    New(Claim),
    /// It was, and this was the answer.
    Answered(String),
    /// It was, and made this call.
    Called(CallId),
}

/// A key while its request is being served. Nobody else's request with it is until this is dropped.
#[derive(Debug)]
pub struct Claim {
    core: Core,
    key: RequestKey,
}

impl Claim {
    /// The key, used up with what says how its request went.
    pub(crate) fn used(&self, answer: KeptAnswer) -> UsedKey {
        let created_at = now();
        let expires_at = created_at + RETENTION;
        UsedKey { key: self.key.clone(), answer, created_at, expires_at }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let keys = &self.core.inner.keys_in_use.0;
        let entry = (self.key.owner.clone(), self.key.key.clone());
        keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&entry);
    }
}

impl Core {
    /// Claims a key for the request that it was sent with, or finds how that went before.
    ///
    /// # Errors
    /// If the key can't be used now, or not for this request.
    pub async fn claim(&self, identity: &Identity, sent: SentKey) -> Result<Claimed, KeyError> {
        let owner = owner(identity).ok_or(KeyError::Anonymous)?;
        let SentKey { key, fingerprint } = sent;
        let entry = (owner.clone(), key.clone());
        let keys = &self.inner.keys_in_use.0;
        if !keys.lock().unwrap_or_else(PoisonError::into_inner).insert(entry) {
            return Err(KeyError::InUse);
        }
        let claim = Claim { core: self.clone(), key: RequestKey { owner, key, fingerprint } };
        let store = &self.inner.store;
        let Some(found) = store.used_key(&claim.key, now()).await? else {
            if store.count_keys(&claim.key.owner, KEYS_MAX).await? >= KEYS_MAX.into() {
                return Err(KeyError::TooMany);
            }
            return Ok(Claimed::New(claim));
        };
        if found.fingerprint != claim.key.fingerprint {
            return Err(KeyError::Reused);
        }
        Ok(match found.answer {
            KeptAnswer::Text(text) => Claimed::Answered(text),
            KeptAnswer::Call(call) => Claimed::Called(call),
        })
    }
}

/// To whom keys belong; none for nobody.
fn owner(identity: &Identity) -> Option<String> {
    match identity {
        Identity::Anonymous => None,
        Identity::User { id, .. } => Some(format!("user:{id}")),
        Identity::Application(application) => Some(format!("application:{}", application.id)),
        Identity::Extension(name) => Some(format!("extension:{name}")),
        Identity::Operator => Some("operator".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_and_not_endless_and_stands_for_all_parts() {
        let read = |text: &str, parts: &[&[u8]]| SentKey::read(text, parts).ok();
        let key = read("\"a b\"", &[b"x"]).expect("a key");
        assert_eq!(key.key, "a b");
        assert_eq!(read("a b", &[b"x"]), Some(key.clone()));
        for (others, why) in
            [(vec![b"xy".as_slice()], "other"), (vec![b"x", b""], "more"), (vec![], "less")]
        {
            assert_ne!(read("a b", &others), Some(key.clone()), "{why}");
        }
        assert_ne!(read("k", &[b"ab", b"c"]), read("k", &[b"a", b"bc"]));
        let long = "k".repeat(KEY_LENGTH_MAX + 1);
        for wrong in ["", "\"\"", "ä", "a\tb", &long] {
            assert_eq!(read(wrong, &[]), None, "{wrong:?}");
        }
        assert!(read(&long[1..], &[]).is_some());
    }
}
