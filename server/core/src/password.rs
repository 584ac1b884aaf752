//! Hashing passwords, off the runtime's threads and only so many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use thiserror::Error;
use tinybase_store::PasswordHash;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Argon2id needs 19 MiB and tens of milliseconds of a core: that is what it is for.
#[derive(Debug)]
pub(crate) struct Passwords {
    /// How many are hashed at a time.
    running: Semaphore,
    /// How many are hashed or wait.
    admitted: Semaphore,
    /// How many were hashed: the work that tells an attentive client what was found.
    hashed: AtomicU64,
}

/// Why a password wasn't hashed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum PasswordError {
    /// Too many wait.
    #[error("too many passwords are waiting to be checked")]
    Overloaded,
    /// The hash function failed, or was given a broken hash.
    #[error("the password could not be processed")]
    Failed,
}

/// How many may wait for one that is hashed.
const WAITING_MAX: usize = 64;

/// The hash of no password, made with the parameters in force: checking against it takes as long as
/// checking a user's.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            running: Semaphore::new(cores),
            admitted: Semaphore::new(cores + WAITING_MAX),
            hashed: AtomicU64::new(0),
        }
    }
}

impl Passwords {
    /// Hashes a password with a salt of its own.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash, PasswordError> {
        let password: Arc<str> = password.into();
        self.run(move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| PasswordHash(hash.to_string())).map_err(|_| PasswordError::Failed)
        })
        .await
    }

    /// Whether a password has a hash. Without a hash it takes as long and is false.
    pub(crate) async fn verify(
        &self,
        password: &str,
        hash: Option<PasswordHash>,
    ) -> Result<bool, PasswordError> {
        let password: Arc<str> = password.into();
        self.run(move || {
            let text = hash.as_ref().map_or(NOBODYS_HASH, |hash| hash.0.as_str());
            let parsed = Phc::new(text).map_err(|_| PasswordError::Failed)?;
            let right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(right && hash.is_some())
        })
        .await
    }

    /// How many passwords were hashed or checked so far.
    #[cfg(test)]
    pub(crate) fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    async fn run<T, F>(&self, work: F) -> Result<T, PasswordError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, PasswordError> + Send + 'static,
    {
        let _admitted = self.admitted.try_acquire().map_err(|_| PasswordError::Overloaded)?;
        let _running: SemaphorePermit<'_> =
            self.running.acquire().await.map_err(|_| PasswordError::Failed)?;
        self.hashed.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(PasswordError::Failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse").await.expect("a hash");
        assert_eq!(passwords.verify("correct horse", Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify("Correct horse", Some(hash)).await, Ok(false));
        assert_eq!(passwords.verify("", None).await, Ok(false));
    }

    #[tokio::test]
    async fn nobodys_hash_costs_what_a_users_hash_costs() {
        let real = Passwords::default().hash("correct horse").await.expect("a hash");
        let (real, nobodys) =
            (Phc::new(&real.0).expect("a hash"), Phc::new(NOBODYS_HASH).expect("a hash"));
        assert_eq!(real.algorithm, nobodys.algorithm);
        assert_eq!(real.version, nobodys.version);
        assert_eq!(real.params, nobodys.params);
        assert_eq!(real.hash.map(|h| h.len()), nobodys.hash.map(|h| h.len()));
        assert_eq!(real.salt.map(|s| s.len()), nobodys.salt.map(|s| s.len()));
    }

    #[tokio::test]
    async fn too_many_at_once_are_refused() {
        let passwords = Passwords { admitted: Semaphore::new(0), ..Passwords::default() };
        let refused = passwords.hash("correct horse").await;
        assert_eq!(refused.err(), Some(PasswordError::Overloaded));
    }
}
