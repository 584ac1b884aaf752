//! Tokens: 256 random bits, of which the database only sees the hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tinybase_model::Identity;
use tinybase_store::{TokenHash, TokenPair, now};
use tokio::time::Instant;

/// How long the two tokens of a login are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetimes {
    /// The access token.
    pub access: Duration,
    /// The refresh token.
    pub refresh: Duration,
}

impl Default for TokenLifetimes {
    fn default() -> Self {
        Self { access: Duration::from_hours(1), refresh: Duration::from_hours(30 * 24) }
    }
}

/// A new pair of tokens, with what is stored of it.
pub(crate) struct MintedPair {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) stored: TokenPair,
}

impl MintedPair {
    /// Makes a pair that is valid from now on.
    pub(crate) fn mint(lifetimes: TokenLifetimes) -> Self {
        let (access, refresh) = (random_token(), random_token());
        let created_at = now();
        let stored = TokenPair {
            access: hash(&access),
            access_expires_at: created_at + lifetimes.access,
            refresh: hash(&refresh),
            refresh_expires_at: created_at + lifetimes.refresh,
            created_at,
        };
        Self { access, refresh, stored }
    }
}

/// 256 random bits as 64 digits.
pub(crate) fn random_token() -> String {
    use std::fmt::Write;

    let bytes: [u8; 32] = rand::random();
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_else(|_| unreachable!("a String takes any text"));
        text
    })
}

/// A new application token. The prefix lets people and scanners of secrets see what it is.
pub(crate) fn random_application_token() -> String {
    format!("{APPLICATION_PREFIX}{}", random_token())
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Which kind of token a text can be, going by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenForm {
    /// One of a login's, or one for a new password.
    Login,
    /// An application token.
    Application,
}

const APPLICATION_PREFIX: &str = "tba_";

/// Which kind of token a text can be; none if it can't be any.
pub(crate) fn form(text: &str) -> Option<TokenForm> {
    let (form, digits) = match text.strip_prefix(APPLICATION_PREFIX) {
        Some(digits) => (TokenForm::Application, digits),
        None => (TokenForm::Login, text),
    };
    let fits = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then_some(form)
}

/// Whose a token is, and how long.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) identity: Identity,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Owners of tokens that were seen lately, so that a request doesn't ask the database.
/// A revocation on this server empties it.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<TokenHash, (Owner, Instant)>,
    /// Grows with each revocation, so that what was read before one isn't kept.
    epoch: u64,
}

/// How many tokens are kept.
const ENTRIES_MAX: usize = 10_000;
/// How long a token is kept: so soon a revocation by another process holds here.
const KEPT: Duration = Duration::from_secs(4);

/// When a look into the database began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch(u64);

/// Tokens are being revoked; the cache forgets all when it ends, whichever way that is.
#[derive(Debug)]
pub(crate) struct Revoking<'a>(&'a TokenCache);

impl Drop for Revoking<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl TokenCache {
    /// The owner of a token, or when the look into the database begins.
    pub(crate) fn get(&self, hash: &TokenHash, at: Timestamp) -> Result<Identity, Epoch> {
        let mut state = self.lock();
        let Some((owner, kept_until)) = state.entries.get(hash) else {
            return Err(Epoch(state.epoch));
        };
        let expired = owner.expires_at.is_some_and(|expires_at| expires_at <= at);
        if expired || *kept_until <= Instant::now() {
            state.entries.remove(hash);
            return Err(Epoch(state.epoch));
        }
        Ok(owner.identity.clone())
    }

    /// Keeps an owner unless tokens were revoked since.
    pub(crate) fn put(&self, hash: TokenHash, owner: Owner, since: Epoch) -> Identity {
        let identity = owner.identity.clone();
        let mut state = self.lock();
        if state.epoch == since.0 {
            if state.entries.len() >= ENTRIES_MAX {
                state.entries.clear();
            }
            state.entries.insert(hash, (owner, Instant::now() + KEPT));
        }
        identity
    }

    /// To be held while tokens are revoked.
    pub(crate) const fn revoking(&self) -> Revoking<'_> {
        Revoking(self)
    }

    fn clear(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.entries.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tinybase_model::UserId;

    use super::*;

    #[test]
    fn tokens_differ_and_only_their_hash_is_stored() {
        let mint = || MintedPair::mint(TokenLifetimes::default());
        let (one, two) = (mint(), mint());
        let all = [&one.access, &one.refresh, &two.access, &two.refresh];
        for (index, token) in all.iter().enumerate() {
            assert_eq!(form(token), Some(TokenForm::Login), "{token}");
            assert!(!all[..index].contains(token));
        }
        assert_eq!(one.stored.access, hash(&one.access));
        assert_eq!(form("Bearer"), None);
    }

    #[test]
    fn an_application_token_is_known_by_its_form_and_nothing_else_is_a_token() {
        let token = random_application_token();
        assert_eq!(form(&token), Some(TokenForm::Application));
        let digits = "a".repeat(64);
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.";
        let none = [
            "",
            jwt,
            "tba_",
            &format!("tbx_{digits}"),
            &format!("tba_{digits}0"),
            &format!("{digits}0"),
            &format!("7.12c.{}", &digits[..32]),
            &"é".repeat(32),
        ];
        for text in none {
            assert_eq!(form(text), None, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_is_kept_for_a_while_and_never_past_a_revocation() {
        let cache = TokenCache::default();
        let at = now();
        let identity = Identity::User { id: UserId::generate(), is_admin: false };
        let expires_at = Some(at + Duration::from_mins(1));
        let owner = Owner { identity: identity.clone(), expires_at };
        let epoch = cache.get(&[0; 32], at).expect_err("nothing yet");
        cache.put([0; 32], owner.clone(), epoch);
        assert_eq!(cache.get(&[0; 32], at).ok(), Some(identity));
        assert!(cache.get(&[0; 32], at + Duration::from_mins(1)).is_err(), "it has expired");
        cache.put([0; 32], owner.clone(), epoch);
        tokio::time::advance(KEPT).await;
        assert!(cache.get(&[0; 32], at).is_err(), "it was kept long enough");
        drop(cache.revoking());
        cache.put([0; 32], owner, epoch);
        assert!(cache.get(&[0; 32], at).is_err(), "it was read before the revocation");
    }
}
