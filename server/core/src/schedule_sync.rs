//! Schedules of extensions: what manifests declare and processes register, brought into the
//! database, and taken out of it when the extension goes away.

use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tinybase_hooks::OwnSchedules;
use tinybase_model::{ExtensionName, ScheduleBinding, ScheduleId};
use tinybase_store::{
    ScheduleDefinition, ScheduleOwner, ScheduleTimes, StoreError, StoredSchedule, now,
};
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::schedule::timing_json;

/// How often it is compared without a reason: another server may have taken something out.
const PERIOD: Duration = Duration::from_mins(1);

impl Core {
    /// Follows what extensions declare and register, until `stop`.
    pub(crate) async fn follow_schedules(&self, stop: &CancellationToken) {
        let mut versions = self.inner.hooks.versions();
        let mut known = None;
        while !stop.is_cancelled() {
            versions.borrow_and_update();
            if let Err(error) = self.sync_schedules(&mut known).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the schedules of extensions could not be stored; it is tried again"
                );
            }
            // All arms are cancel-safe. The sender lives as long as the hooks; if it is gone, the
            // sleep is what is left.
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = versions.changed() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// Brings the database to what is declared and registered now. `known` are the extensions that
    /// were there at the last time.
    pub(crate) async fn sync_schedules(
        &self,
        known: &mut Option<BTreeSet<ExtensionName>>,
    ) -> Result<(), StoreError> {
        let all = self.inner.hooks.schedules();
        for own in &all {
            self.sync_extension(own).await?;
        }
        let there: BTreeSet<_> = all.iter().map(|own| own.extension.clone()).collect();
        let before = match known.take() {
            Some(before) => before,
            // On a database of its own, this server knows of every extension that there is.
            None if !self.inner.store.is_shared() => {
                self.inner.store.schedule_owners().await?.into_iter().collect()
            }
            None => BTreeSet::new(),
        };
        for gone in before.difference(&there) {
            for schedule in self.inner.store.schedules_of(gone).await? {
                self.inner.store.delete_schedule(schedule.id).await?;
            }
        }
        *known = Some(there);
        self.inner.schedules_changed.notify_one();
        Ok(())
    }

    async fn sync_extension(&self, own: &OwnSchedules) -> Result<(), StoreError> {
        let mut stored = self.inner.store.schedules_of(&own.extension).await?;
        for binding in &own.schedules {
            let id = schedule_id(&own.extension, &binding.name);
            match stored.iter().position(|schedule| schedule.id == id) {
                Some(at) => self.renew(stored.swap_remove(at), binding).await?,
                None => self.add(&own.extension, id, binding).await?,
            }
        }
        if own.is_complete {
            for schedule in stored {
                self.inner.store.delete_schedule(schedule.id).await?;
            }
        }
        Ok(())
    }

    async fn add(
        &self,
        extension: &ExtensionName,
        id: ScheduleId,
        binding: &ScheduleBinding,
    ) -> Result<(), StoreError> {
        let now = now();
        let next = binding.timing.next_after(now, &self.schedule_origin(now));
        let schedule = StoredSchedule {
            id,
            revision: 1,
            definition: definition(binding),
            is_active: next.is_some(),
            owner: ScheduleOwner { extension: Some(extension.clone()), created_by: None },
            times: ScheduleTimes {
                anchor_at: now,
                last_run_at: None,
                next_run_at: next,
                created_at: now,
                updated_at: now,
            },
        };
        self.inner.store.insert_schedule(schedule).await.map(drop)
    }

    /// Changes what is stored if it isn't what is wanted. Whether it is paused stays.
    async fn renew(
        &self,
        mut schedule: StoredSchedule,
        binding: &ScheduleBinding,
    ) -> Result<(), StoreError> {
        let wanted = definition(binding);
        if schedule.definition == wanted {
            return Ok(());
        }
        let now = now();
        if schedule.definition.timing != wanted.timing {
            schedule.times.anchor_at = now;
            let next = binding.timing.next_after(now, &self.schedule_origin(now));
            schedule.is_active &= next.is_some();
            schedule.times.next_run_at = next.filter(|_| schedule.is_active);
        }
        schedule.definition = wanted;
        schedule.times.updated_at = now;
        // If somebody was faster, the next look sees what they made of it.
        self.inner.store.update_schedule(schedule).await.map(drop)
    }
}

/// The id of an extension's schedule: always the same, so that its history outlives a
/// reinstallation.
fn schedule_id(extension: &ExtensionName, name: &str) -> ScheduleId {
    let digest = Sha256::new()
        .chain_update(extension.as_str())
        .chain_update([0])
        .chain_update(name)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
}

fn definition(binding: &ScheduleBinding) -> ScheduleDefinition {
    ScheduleDefinition {
        name: binding.name.clone(),
        function_name: binding.function.clone(),
        timing: timing_json(&binding.timing),
        input: binding.input.clone(),
        policy: binding.policy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extensions_schedule_always_has_the_same_id() {
        let name = |text: &str| text.parse::<ExtensionName>().expect("a name");
        let id = schedule_id(&name("shop"), "nightly");
        assert_eq!(id, schedule_id(&name("shop"), "nightly"));
        for (extension, schedule) in [("shop", "hourly"), ("shopn", "ightly"), ("mail", "nightly")]
        {
            assert_ne!(id, schedule_id(&name(extension), schedule));
        }
    }
}
