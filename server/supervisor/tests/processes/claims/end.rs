//! How processes end.

use tinybase_model::ExtensionState;

use super::run;
use crate::stage::{Stage, exists, name, runs, until_gone};

pub(super) fn ignores_term() {
    run(async {
        let stage = Stage::open();
        let script = "trap '' TERM; echo armed $$; while :; do sleep 1; done";
        stage.start(stage.spec(&["sh", "-c", script])).await;
        let pid = stage.number("armed ").await;
        stage.supervisor.stop(&name()).await.expect("it was started");
        assert!(!exists(pid), "the process must have been reaped");
        let status = stage.supervisor.status(&name()).expect("it is supervised");
        assert_eq!((status.state, status.last_crash), (ExtensionState::Stopped, None));
        stage.close().await;
    });
}

pub(super) fn grandchild() {
    run(async {
        let stage = Stage::open();
        let script = "sh -c 'trap \"\" TERM; echo child $$; while :; do sleep 1; done' & wait";
        stage.start(stage.spec(&["sh", "-c", script])).await;
        let child = stage.number("child ").await;
        assert!(runs(child));
        stage.supervisor.stop(&name()).await.expect("it was started");
        until_gone(child).await;
        stage.close().await;
    });
}

pub(super) fn orphaned_grandchild() {
    run(async {
        let stage = Stage::open();
        let script = "sleep 1000 & echo child $!; exit 5";
        stage.start(stage.spec(&["sh", "-c", script])).await;
        let child = stage.number("child ").await;
        assert_eq!(stage.crash().await.reason, "exited with status 5 before it said Hello");
        until_gone(child).await;
        stage.close().await;
    });
}

pub(super) fn shutdown() {
    run(async {
        let stage = Stage::open();
        stage.start(stage.spec(&["sh", "-c", "echo alive $$; exec sleep 1000"])).await;
        let pid = stage.number("alive ").await;
        let supervisor = stage.supervisor.clone();
        stage.close().await;
        assert!(!exists(pid), "the process must have been reaped");
        let status = supervisor.status(&name()).expect("it is still shown");
        assert_eq!(status.state, ExtensionState::Stopped);
    });
}
