//! How processes start, and how they fail to.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tinybase_model::{ExtensionState, LifecyclePolicy, LogSource};

use super::run;
use crate::stage::{Stage, exists, hasty, until_gone};

pub(super) fn exits_early() {
    run(async {
        let stage = Stage::open();
        stage.start(stage.spec(&["sh", "-c", "echo no luck >&2; exit 3"])).await;
        let crash = stage.crash().await;
        assert_eq!(crash.reason, "exited with status 3 before it said Hello: no luck");
        assert_eq!(crash.last_lines, ["no luck"]);
        assert_eq!((crash.version.as_str(), crash.in_flight), ("1.0.0", 0));
        let status = stage.until(|status| status.state == ExtensionState::Quarantined).await;
        assert_eq!((status.restarts, status.pid), (5, None));
        stage.close().await;
    });
}

pub(super) fn dies_by_signal() {
    run(async {
        let stage = Stage::open();
        stage.start(stage.spec(&["sh", "-c", "kill -SEGV $$"])).await;
        assert_eq!(stage.crash().await.reason, "killed by SIGSEGV before it said Hello");
        stage.close().await;
    });
}

pub(super) fn never_says_hello() {
    run(async {
        let stage = Stage::open();
        let mut spec = stage.spec(&["sleep", "1000"]);
        spec.policy = LifecyclePolicy { start_timeout: Duration::from_millis(300), ..hasty() };
        stage.start(spec).await;
        let pid = stage.until(|status| status.pid.is_some()).await.pid.expect("a process");
        let reason = stage.crash().await.reason;
        assert!(reason.starts_with("was not ready after 300 ms: "), "{reason}");
        assert!(!exists(pid), "the process must have been reaped");
        stage.close().await;
    });
}

pub(super) fn missing_program() {
    run(async {
        let stage = Stage::open();
        let spec = stage.spec(&["bin/gone"]);
        let folder = spec.folder.display().to_string();
        stage.start(spec).await;
        let reason = stage.crash().await.reason;
        let expected = format!("could not be started: the program bin/gone is not in {folder}");
        assert_eq!(reason, expected);
        stage.close().await;
    });
}

pub(super) fn missing_interpreter() {
    run(async {
        let stage = Stage::open();
        let spec = stage.spec(&["./run"]);
        let script = spec.folder.join("run");
        std::fs::write(&script, "#!/no/such/interpreter\n").expect("a script");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        stage.start(spec).await;
        let reason = stage.crash().await.reason;
        assert!(
            reason.starts_with(
                "exited with status 127 before it said Hello: tinybase: can't run ./run in "
            ),
            "{reason}"
        );
        stage.close().await;
    });
}

pub(super) fn is_prepared() {
    run(async {
        let stage = Stage::open();
        let script = "grep NoNewPrivs /proc/self/status; echo group $(ps -o pgid= -p $$) $$; \
                      env; readlink core.sock; readlink /proc/self/fd/0; ulimit -c; \
                      echo done; exec sleep 1000";
        stage.start(stage.spec(&["sh", "-c", script])).await;
        stage.log(|line| (line.message == "done").then_some(())).await;
        let lines = stage.supervisor.logs(&crate::stage::name(), usize::MAX);
        let said: Vec<&str> = lines
            .iter()
            .filter(|line| line.source == LogSource::Stdout)
            .map(|line| line.message.as_str())
            .collect();
        let pid = stage.until(|status| status.pid.is_some()).await.pid.expect("a process");
        let socket = stage.folder().join("run/core.sock").display().to_string();
        for expected in [
            "NoNewPrivs:\t1".to_owned(),
            format!("group {pid} {pid}"),
            "TINYBASE_EXTENSION=audit".to_owned(),
            format!("TINYBASE_SOCKET={socket}"),
            format!("TINYBASE_EXTENSION_DIR={}", stage.folder().join("extension").display()),
            socket,
            "/dev/null".to_owned(),
            "0".to_owned(),
        ] {
            assert!(said.contains(&expected.as_str()), "{expected} is not in {said:#?}");
        }
        assert!(!said.iter().any(|line| line.starts_with("CARGO_PKG_NAME=")), "a secret is seen");
        stage.close().await;
        until_gone(pid).await;
    });
}
