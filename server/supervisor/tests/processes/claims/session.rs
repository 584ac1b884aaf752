//! Extensions that speak the protocol.

use std::time::Duration;

use tinybase_model::{
    Body, CallId, EventId, ExtensionState, FunctionEvent, Identity, Invocation, InvocationTarget,
    InvokeError, JsonBytes, Outcome,
};

use super::run;
use crate::extension::{ARGUMENT, LAST_WORD};
use crate::stage::{DEADLINE, Stage, exists, name, this_program, wait_for};

fn call(timeout: Duration) -> Invocation {
    let input = JsonBytes::empty_object();
    let function =
        FunctionEvent::new("echo".to_owned(), CallId::generate(), &Identity::Anonymous, input);
    Invocation {
        target: InvocationTarget::Function("echo".to_owned()),
        timeout,
        attempt: 1,
        event_id: EventId::generate(),
        occurred_at: jiff::Timestamp::now(),
        traceparent: String::new(),
        identity: Identity::Anonymous,
        depth: 1,
        body: Body::Function(function),
    }
}

async fn speaking(how: &str) -> Stage {
    let stage = Stage::open();
    stage.start(stage.spec(&[&this_program(), ARGUMENT, how])).await;
    stage.ready().await;
    stage
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a number");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
}

pub(super) fn takes_work() {
    run(async {
        let stage = speaking("echo").await;
        let status = stage.ready().await;
        assert_eq!(status.hooks, ["record.create orders"]);
        assert_eq!(status.functions, ["echo"]);
        assert_eq!(status.reason, None);
        let outcome = stage.supervisor.invoke(&name(), call(DEADLINE)).await.expect("an outcome");
        let output = Some(JsonBytes::empty_object());
        assert_eq!(outcome, Outcome::Success { output, patch: None });
        stage.close().await;
    });
}

pub(super) fn killed() {
    run(async {
        let stage = speaking("echo").await;
        let first = stage.ready().await.pid.expect("a process");
        kill(first);
        let status = stage
            .until(|status| {
                status.state == ExtensionState::Ready && status.pid.is_some_and(|pid| pid != first)
            })
            .await;
        let crash = status.last_crash.expect("a report");
        assert!(crash.reason.starts_with("killed by SIGKILL"), "{}", crash.reason);
        assert_eq!(status.restarts, 1);
        assert!(!exists(first), "the process must have been reaped");
        stage.supervisor.invoke(&name(), call(DEADLINE)).await.expect("an outcome");
        stage.close().await;
    });
}

pub(super) fn in_flight() {
    run(async {
        let stage = speaking("hang").await;
        let pid = stage.ready().await.pid.expect("a process");
        let supervisor = stage.supervisor.clone();
        let work = async { supervisor.invoke(&name(), call(DEADLINE)).await };
        let strike = async { kill(pid) };
        let (outcome, ()) = tokio::join!(work, strike);
        assert_eq!(outcome, Err(InvokeError::Disconnected));
        assert_eq!(stage.crash().await.in_flight, 1);
        stage.close().await;
    });
}

pub(super) fn drained() {
    run(async {
        let stage = speaking("echo").await;
        stage.supervisor.stop(&name()).await.expect("it was started");
        stage.log(|line| (line.message == LAST_WORD).then_some(())).await;
        let error = stage.supervisor.invoke(&name(), call(DEADLINE)).await.expect_err("stopped");
        assert_eq!(error, InvokeError::NotReady { state: "stopped" });
        stage.start(stage.spec(&[&this_program(), ARGUMENT, "echo"])).await;
        assert_eq!(stage.ready().await.last_crash, None);
        stage.supervisor.restart(&name()).await.expect("it was started");
        assert_eq!(stage.ready().await.last_crash, None);
        stage.close().await;
    });
}

pub(super) fn forgotten() {
    run(async {
        let stage = speaking("echo").await;
        let pid = stage.ready().await.pid.expect("a process");
        let mut watched = stage.supervisor.watch(&name()).expect("it was started");
        stage.supervisor.forget(&name()).await;
        assert!(!exists(pid), "the process must have been reaped");
        assert_eq!(stage.supervisor.statuses(), []);
        assert!(stage.supervisor.stop(&name()).await.is_err());
        wait_for("the end of the status", || watched.has_changed().is_err().then_some(())).await;
        watched.mark_unchanged();
        stage.close().await;
    });
}
