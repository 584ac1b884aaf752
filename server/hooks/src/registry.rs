//! Who listens to what: permissions, registrations, and the snapshot that requests read.

mod check;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use tinybase_model::{ExtensionName, Offer, Permissions, Position, Registration};
use tokio::sync::watch;

pub(crate) use check::Refused;
pub(crate) use snapshot::{ChainHook, DurableHook, Kept, Snapshot};
pub use snapshot::{EffectiveHook, FailurePolicy, OwnSchedules, RegisteredFunction};

/// What is known of one extension.
#[derive(Debug)]
pub(crate) struct Member {
    permissions: Permissions,
    /// What its manifest says about what it offers.
    offer: Offer,
    registration: Option<Arc<Registration>>,
    /// Whether the registration was made under these permissions. While it wasn't, before-hooks
    /// that the manifest declares hold without one.
    confirmed: bool,
    /// The version of the registry at which it registered.
    registered_at: u64,
    /// When that was.
    loaded_at: Timestamp,
    /// Where the log stood then, if that was known.
    since: Option<Position>,
}

/// Registrations of all extensions. Readers never lock.
#[derive(Debug)]
pub(crate) struct Registry {
    members: Mutex<BTreeMap<ExtensionName, Member>>,
    snapshot: ArcSwap<Snapshot>,
    version: watch::Sender<u64>,
    head: watch::Sender<Option<Position>>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            members: Mutex::default(),
            snapshot: ArcSwap::default(),
            version: watch::Sender::new(0),
            head: watch::Sender::new(None),
        }
    }

    /// Notes what an extension may do. To be called before its process is started.
    pub(crate) fn permit(&self, extension: &ExtensionName, permissions: &Permissions) {
        let mut members = self.lock();
        match members.get_mut(extension) {
            Some(member) if member.permissions == *permissions => return,
            Some(member) => {
                member.permissions = permissions.clone();
                member.confirmed = false;
            }
            None => {
                let member = Member {
                    permissions: permissions.clone(),
                    offer: Offer::default(),
                    registration: None,
                    confirmed: false,
                    registered_at: 0,
                    loaded_at: Timestamp::UNIX_EPOCH,
                    since: None,
                };
                members.insert(extension.clone(), member);
            }
        }
        self.publish(&members);
    }

    /// Notes what a permitted extension's manifest says about what it offers.
    pub(crate) fn declare(&self, extension: &ExtensionName, offer: &Offer) {
        let mut members = self.lock();
        let Some(member) = members.get_mut(extension) else { return };
        if member.offer != *offer {
            member.offer = offer.clone();
            self.publish(&members);
        }
    }

    /// Takes a registration in place of the extension's former one.
    pub(crate) fn register(
        &self,
        extension: &ExtensionName,
        registration: &Registration,
    ) -> Result<(), Refused> {
        let mut members = self.lock();
        check::registration(&members, extension, registration)?;
        let Some(member) = members.get_mut(extension) else {
            unreachable!("the check refuses an extension without permissions")
        };
        member.since = *self.head.borrow();
        member.loaded_at = Timestamp::now();
        member.registration = Some(Arc::new(registration.clone()));
        member.confirmed = true;
        member.registered_at = *self.version.borrow() + 1;
        self.publish(&members);
        Ok(())
    }

    /// Drops everything of an extension. The answer is the version from which that holds.
    pub(crate) fn forget(&self, extension: &ExtensionName) -> u64 {
        let mut members = self.lock();
        members.remove(extension);
        self.publish(&members)
    }

    /// What is in force now, for a look that ends before the next `await`.
    pub(crate) fn glance(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// What is in force now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Changes with every registration.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Where the log stands, as far as deliveries know.
    pub(crate) fn head(&self) -> &watch::Sender<Option<Position>> {
        &self.head
    }

    fn publish(&self, members: &BTreeMap<ExtensionName, Member>) -> u64 {
        let version = *self.version.borrow() + 1;
        self.snapshot.store(Arc::new(Snapshot::of(members, version)));
        self.version.send_replace(version);
        version
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExtensionName, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod visibility;
