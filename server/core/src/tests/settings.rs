//! Settings: two servers on one database, and changes at the same time.

use serde_json::json;

use super::{TestCore, caused_by, map, operator, user};
use crate::settings::CurrentSettings;
use crate::{Core, CoreOptions, Kind, Problem, SettingsError};
use tinybase_model::{Identity, UserId};

/// A second server on the same database.
fn beside(test: &TestCore) -> Core {
    let engine = std::sync::Arc::clone(&test.core.inner.hooks);
    Core::new(CoreOptions::default(), test.store.clone(), engine)
}

#[tokio::test]
async fn another_server_sees_a_change_when_it_looks() {
    let test = TestCore::new().await;
    let other = beside(&test);
    other.refresh_settings().await.expect("settings");
    let change = map(json!({"instance_name": "Shop", "storage_secret_key": "s"}));
    let changed = test.core.update_settings(&operator(), &change).await.expect("a change");
    assert_eq!(other.settings().instance_name, "TinyBase");
    other.refresh_settings().await.expect("settings");
    assert_eq!(other.settings(), changed);
    assert_eq!(test.core.settings(), changed);
    let back = map(json!({"instance_name": null}));
    let changed = other.update_settings(&operator(), &back).await.expect("a change");
    assert_eq!(changed.instance_name, "TinyBase");
    assert!(changed.revision.version > test.core.settings().revision.version);
}

#[tokio::test]
async fn changes_at_the_same_time_are_checked_together() {
    let test = TestCore::new().await;
    let other = beside(&test);
    let urls = map(json!({
        "auth_portal_login_redirect_url": "https://example.com/a",
        "auth_portal_register_redirect_url": "https://example.com/b",
    }));
    test.core.update_settings(&operator(), &urls).await.expect("a change");
    let (enable, clear) = (
        map(json!({"auth_portal_enabled": true})),
        map(json!({"auth_portal_login_redirect_url": null})),
    );
    let acting = operator();
    let (enabled, cleared) = tokio::join!(
        test.core.update_settings(&acting, &enable),
        other.update_settings(&acting, &clear),
    );
    let refused = [enabled.is_err(), cleared.is_err()];
    assert!(refused == [true, false] || refused == [false, true], "{enabled:?} {cleared:?}");
}

#[tokio::test]
async fn only_administrators_change_settings_and_only_those_that_there_are() {
    let test = TestCore::new().await;
    let change = map(json!({"instance_name": "Mine"}));
    for (identity, kind) in
        [(Identity::Anonymous, Kind::Unauthenticated), (user(UserId::generate()), Kind::Forbidden)]
    {
        let refused = test.core.update_settings(&caused_by(identity), &change).await;
        assert_eq!(refused.expect_err("refused").kind(), kind);
    }
    let unknown = map(json!({"instance": "Mine"}));
    let refused = test.core.update_settings(&operator(), &unknown).await;
    assert!(matches!(refused, Err(SettingsError::Invalid(_))), "{refused:?}");
}

#[test]
fn an_older_snapshot_never_replaces_a_newer_one() {
    let current = CurrentSettings::new(&CoreOptions::default());
    let mut newer = current.defaults().clone();
    newer.revision.version = 2;
    newer.instance_name = "newer".to_owned();
    let mut older = current.defaults().clone();
    older.revision.version = 1;
    current.replace(newer.clone());
    current.replace(older);
    assert_eq!(*current.get(), newer);
}
