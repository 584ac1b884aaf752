//! How many calls run at a time: of one user, and of one function. Counted on each server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinybase_model::UserId;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    User(UserId),
    Function(String),
}

/// Running calls by what is counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallLimits {
    running: Arc<Mutex<HashMap<Counted, u32>>>,
}

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitMet {
    /// The user has so many calls running.
    User(u32),
    /// The function has so many calls running.
    Function(u32),
}

/// The places of one call. Dropping them makes room.
#[derive(Debug, Default)]
pub(crate) struct Places {
    limits: CallLimits,
    taken: Vec<Counted>,
}

impl CallLimits {
    /// Takes a place for each limit that there is, or none at all.
    pub(crate) fn enter(
        &self,
        user: Option<(UserId, u32)>,
        function: Option<(&str, u32)>,
    ) -> Result<Places, LimitMet> {
        let mut places = Places { limits: self.clone(), taken: Vec::new() };
        if user.is_none() && function.is_none() {
            return Ok(places);
        }
        let mut running = self.lock();
        let has = |running: &HashMap<Counted, u32>, counted: &Counted, limit: u32| {
            running.get(counted).is_some_and(|count| *count >= limit) || limit == 0
        };
        if let Some((user, limit)) = user {
            let counted = Counted::User(user);
            if has(&running, &counted, limit) {
                return Err(LimitMet::User(limit));
            }
            places.taken.push(counted);
        }
        if let Some((name, limit)) = function {
            let counted = Counted::Function(name.to_owned());
            if has(&running, &counted, limit) {
                places.taken.clear();
                return Err(LimitMet::Function(limit));
            }
            places.taken.push(counted);
        }
        for counted in &places.taken {
            *running.entry(counted.clone()).or_default() += 1;
        }
        drop(running);
        Ok(places)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Counted, u32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let mut running = self.limits.lock();
        for counted in self.taken.drain(..) {
            if let Some(count) = running.get_mut(&counted) {
                *count -= 1;
                if *count == 0 {
                    running.remove(&counted);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_call_has_ended() {
        let limits = CallLimits::default();
        let (ann, bob) = (UserId::generate(), UserId::generate());
        let first = limits.enter(Some((ann, 2)), None).expect("a place");
        let second = limits.enter(Some((ann, 2)), None).expect("a place");
        assert_eq!(limits.enter(Some((ann, 2)), None).err(), Some(LimitMet::User(2)));
        assert!(limits.enter(Some((bob, 2)), None).is_ok(), "each user for themselves");
        drop(first);
        assert!(limits.enter(Some((ann, 2)), None).is_ok());
        drop(second);
        assert!(limits.lock().is_empty(), "nothing is kept of those who are gone");
    }

    #[test]
    fn whoever_is_refused_by_one_limit_takes_no_place_of_the_other() {
        let limits = CallLimits::default();
        let ann = UserId::generate();
        let held = limits.enter(None, Some(("f", 1))).expect("a place");
        let refused = limits.enter(Some((ann, 1)), Some(("f", 1)));
        assert_eq!(refused.err(), Some(LimitMet::Function(1)));
        assert!(limits.enter(Some((ann, 1)), Some(("g", 1))).is_ok());
        drop(held);
        assert!(limits.enter(Some((ann, 1)), Some(("f", 1))).is_ok());
    }
}
