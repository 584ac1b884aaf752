//! Tokens: 256 random bits, of which the database only sees the hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tinybase_model::Identity;
use tinybase_store::{TokenHash, TokenOwner, TokenPair, now};
use tokio::time::Instant;

/// How long an access token is valid.
const ACCESS_LIFETIME: Duration = Duration::from_hours(24);
/// How long a refresh token is valid.
const REFRESH_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// A new pair of tokens, with what is stored of it.
pub(crate) struct MintedPair {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) stored: TokenPair,
}

impl MintedPair {
    /// Makes a pair that is valid from now on.
    pub(crate) fn mint() -> Self {
        let (access, refresh) = (random_token(), random_token());
        let created_at = now();
        let stored = TokenPair {
            access: hash(&access),
            access_expires_at: created_at + ACCESS_LIFETIME,
            refresh: hash(&refresh),
            refresh_expires_at: created_at + REFRESH_LIFETIME,
            created_at,
        };
        Self { access, refresh, stored }
    }
}

fn random_token() -> String {
    use std::fmt::Write;

    let bytes: [u8; 32] = rand::random();
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_else(|_| unreachable!("a String takes any text"));
        text
    })
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a text can be a token at all.
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Owners of access tokens that were seen lately, so that a request doesn't ask the database.
/// A revocation on this server empties it.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<TokenHash, (TokenOwner, Instant)>,
    /// Grows with each revocation, so that what was read before one isn't kept.
    epoch: u64,
}

/// How many tokens are kept.
const ENTRIES_MAX: usize = 10_000;
/// How long a token is kept, so that a change made by another process shows in the end.
const KEPT: Duration = Duration::from_secs(30);

/// When a look into the database began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch(u64);

impl TokenCache {
    /// The owner of a token, or when the look into the database begins.
    pub(crate) fn get(&self, hash: &TokenHash, at: Timestamp) -> Result<Identity, Epoch> {
        let mut state = self.lock();
        let Some((owner, kept_until)) = state.entries.get(hash).copied() else {
            return Err(Epoch(state.epoch));
        };
        if owner.expires_at <= at || kept_until <= Instant::now() {
            state.entries.remove(hash);
            return Err(Epoch(state.epoch));
        }
        Ok(identity(&owner))
    }

    /// Keeps an owner unless tokens were revoked since.
    pub(crate) fn put(&self, hash: TokenHash, owner: TokenOwner, since: Epoch) -> Identity {
        let mut state = self.lock();
        if state.epoch == since.0 {
            if state.entries.len() >= ENTRIES_MAX {
                state.entries.clear();
            }
            state.entries.insert(hash, (owner, Instant::now() + KEPT));
        }
        identity(&owner)
    }

    /// Forgets all, because tokens were revoked.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.entries.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn identity(owner: &TokenOwner) -> Identity {
    Identity::User { id: owner.user_id, is_admin: owner.is_admin }
}

#[cfg(test)]
mod tests {
    use tinybase_model::UserId;

    use super::*;

    #[test]
    fn tokens_differ_and_only_their_hash_is_stored() {
        let (one, two) = (MintedPair::mint(), MintedPair::mint());
        let all = [&one.access, &one.refresh, &two.access, &two.refresh];
        for (index, token) in all.iter().enumerate() {
            assert!(is_token(token), "{token}");
            assert!(!all[..index].contains(token));
        }
        assert_eq!(one.stored.access, hash(&one.access));
        assert!(!is_token("Bearer"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_is_kept_for_a_while_and_never_past_a_revocation() {
        let cache = TokenCache::default();
        let at = now();
        let id = UserId::generate();
        let owner =
            TokenOwner { user_id: id, is_admin: false, expires_at: at + Duration::from_mins(1) };
        let epoch = cache.get(&[0; 32], at).expect_err("nothing yet");
        cache.put([0; 32], owner, epoch);
        assert_eq!(cache.get(&[0; 32], at).ok(), Some(Identity::User { id, is_admin: false }));
        assert!(cache.get(&[0; 32], at + Duration::from_mins(1)).is_err(), "it has expired");
        cache.put([0; 32], owner, epoch);
        tokio::time::advance(KEPT).await;
        assert!(cache.get(&[0; 32], at).is_err(), "it was kept long enough");
        cache.clear();
        cache.put([0; 32], owner, epoch);
        assert!(cache.get(&[0; 32], at).is_err(), "it was read before the revocation");
    }
}
