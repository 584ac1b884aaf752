//! The environment of an extension's process: what it needs, what it may see, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use tinybase_model::{ExtensionSpec, Permissions};

/// Passed on to everybody if the server has them.
const BASIC: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];
/// What the server tells a process itself. Never passed on from its own environment.
const OWN_PREFIX: &str = "TINYBASE_";

/// What a process is told.
pub(crate) struct Introduction<'a> {
    /// The absolute path of the socket.
    pub(crate) socket: &'a Path,
    /// The one-time token.
    pub(crate) token: &'a str,
}

/// Puts the environment together. Later rules win: basics, what permissions let through, what the
/// specification sets, what the server tells.
pub(crate) fn compose(
    server: impl Iterator<Item = (OsString, OsString)>,
    server_secrets: &BTreeSet<String>,
    spec: &ExtensionSpec,
    introduction: &Introduction<'_>,
) -> BTreeMap<OsString, OsString> {
    let may_see = |name: &OsString| {
        let Some(name) = name.to_str() else { return false };
        if name.starts_with(OWN_PREFIX) || server_secrets.contains(name) {
            return false;
        }
        match &spec.permissions {
            Permissions::Broad => true,
            Permissions::Listed { environment, .. } => {
                BASIC.contains(&name) || environment.contains(name)
            }
        }
    };
    let mut environment: BTreeMap<OsString, OsString> =
        server.filter(|(name, _)| may_see(name)).collect();
    for (name, value) in &spec.environment {
        if !name.starts_with(OWN_PREFIX) {
            environment.insert(name.into(), value.into());
        }
    }
    environment.insert("TINYBASE_SOCKET".into(), introduction.socket.into());
    environment.insert("TINYBASE_EXTENSION".into(), spec.name.as_str().into());
    environment.insert("TINYBASE_TOKEN".into(), introduction.token.into());
    environment.insert("TINYBASE_EXTENSION_DIR".into(), spec.folder.clone().into());
    environment
}

#[cfg(test)]
mod tests {
    use tinybase_model::{JsonBytes, LifecyclePolicy};

    use super::*;

    fn composed(permissions: Permissions) -> BTreeMap<String, String> {
        let spec = ExtensionSpec {
            name: "audit".parse().expect("a name"),
            version: "1.0.0".to_owned(),
            folder: "/ext/audit".into(),
            command: vec!["true".to_owned()],
            environment: BTreeMap::from([
                ("LANG".to_owned(), "C".to_owned()),
                ("TINYBASE_TOKEN".to_owned(), "forged".to_owned()),
            ]),
            permissions,
            policy: LifecyclePolicy::default(),
            config: JsonBytes::empty_object(),
        };
        let server = [
            ("PATH", "/bin"),
            ("LANG", "de_DE.UTF-8"),
            ("MY_API_KEY", "key"),
            ("OTHER", "x"),
            ("SIGNING_KEY", "secret"),
            ("TINYBASE_JWT_SECRET", "secret"),
        ];
        let secrets = BTreeSet::from(["SIGNING_KEY".to_owned()]);
        let introduction = Introduction { socket: Path::new("/run/core.sock"), token: "t0ken" };
        compose(
            server.map(|(k, v)| (k.into(), v.into())).into_iter(),
            &secrets,
            &spec,
            &introduction,
        )
        .into_iter()
        .map(|(k, v)| (k.into_string().expect("text"), v.into_string().expect("text")))
        .collect()
    }

    const TOLD: [(&str, &str); 4] = [
        ("TINYBASE_EXTENSION", "audit"),
        ("TINYBASE_EXTENSION_DIR", "/ext/audit"),
        ("TINYBASE_SOCKET", "/run/core.sock"),
        ("TINYBASE_TOKEN", "t0ken"),
    ];

    fn expected(seen: &[(&str, &str)]) -> BTreeMap<String, String> {
        seen.iter().chain(&TOLD).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn broad_permissions_see_all_but_the_servers_own() {
        let seen = [("LANG", "C"), ("MY_API_KEY", "key"), ("OTHER", "x"), ("PATH", "/bin")];
        assert_eq!(composed(Permissions::Broad), expected(&seen));
    }

    #[test]
    fn listed_permissions_see_what_is_listed_but_never_secrets() {
        let environment =
            ["MY_API_KEY", "SIGNING_KEY", "TINYBASE_JWT_SECRET"].map(str::to_owned).into();
        let listed =
            Permissions::Listed { capabilities: BTreeSet::new(), environment, hooks: None };
        let seen = [("LANG", "C"), ("MY_API_KEY", "key"), ("PATH", "/bin")];
        assert_eq!(composed(listed), expected(&seen));
    }
}
