//! What processes say.

use tinybase_model::LogSource;

use super::run;
use crate::stage::{Stage, name, runs, until_gone, wait_for};

const FLOOD: &str = "import os
block = b'x' * 65536
for _ in range(1024):
    os.write(1, block)
os._exit(7)
";

pub(super) fn flood() {
    run(async {
        let stage = Stage::open();
        stage.start(stage.spec(&["python3", "-c", FLOOD])).await;
        let reason = stage.crash().await.reason;
        assert_eq!(reason, "exited with status 7 before it said Hello");
        let lines = stage.supervisor.logs(&name(), usize::MAX);
        let said = lines.iter().filter(|line| line.source == LogSource::Stdout);
        assert!(said.clone().all(|line| line.message.len() <= 64 << 10));
        assert!(said.map(|line| line.message.len()).sum::<usize>() <= 1 << 20);
        stage.log(|line| line.message.starts_with("dropped ").then_some(())).await;
        stage.close().await;
    });
}

pub(super) fn log_file() {
    run(async {
        let stage = Stage::open();
        let script = "printf three >&2; printf 'one\\ntw\\033o\\n'; exec sleep 1000";
        stage.start(stage.spec(&["sh", "-c", script])).await;
        stage.log(|line| line.message.starts_with("tw").then_some(())).await;
        let folder = stage.folder().join("logs/audit.log");
        stage.supervisor.stop(&name()).await.expect("it was started");
        let read = || {
            let text = std::fs::read_to_string(&folder).ok()?;
            text.contains("stopped").then_some(text)
        };
        let text = wait_for("the log file", read).await;
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let said = |source: &str| -> Vec<&str> {
            lines
                .iter()
                .filter(|line| line["source"] == source)
                .filter_map(|line| line["message"].as_str())
                .collect()
        };
        assert_eq!(said("stdout"), ["one", "tw\\u{1b}o"]);
        assert_eq!(said("stderr"), ["three"]);
        assert_eq!(said("supervisor").last(), Some(&"stopped"));
        stage.close().await;
    });
}

pub(super) fn held_pipes() {
    run(async {
        let stage = Stage::open();
        let script = "rm -f up; setsid sh -c 'echo escaped $$; touch up; exec sleep 1000' & \
                      until [ -e up ]; do sleep 0.01; done; exit 4";
        stage.start(stage.spec(&["sh", "-c", script])).await;
        let reason = stage.crash().await.reason;
        assert_eq!(reason, "exited with status 4 before it said Hello");
        stage.supervisor.stop(&name()).await.expect("it was started");
        // A grandchild that made a session of its own is beyond a process group's reach.
        let escaped: Vec<u32> = stage
            .supervisor
            .logs(&name(), usize::MAX)
            .iter()
            .filter_map(|line| line.message.strip_prefix("escaped ")?.parse().ok())
            .collect();
        assert!(!escaped.is_empty());
        for pid in escaped.into_iter().filter(|pid| runs(*pid)) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a number");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
            until_gone(pid.as_raw_nonzero().get().cast_unsigned()).await;
        }
        stage.close().await;
    });
}
