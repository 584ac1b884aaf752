//! The misdeeds.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, ExitCode};

use tinybase_proto::v1::invocation::Body;
use tinybase_proto::v1::outcome::Result as Ended;
use tinybase_proto::v1::{
    Fault, FunctionAuth, FunctionBinding, Hello, HookBinding, Invocation, Outcome, Phase, Ready,
    Register, Reject, SessionRequest, Success,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::link;

pub(crate) async fn run(mode: &str) -> anyhow::Result<ExitCode> {
    let token = env::var("TINYBASE_TOKEN")?;
    match mode {
        "exit-before-hello" => {
            say_on_stderr("about to give up")?;
            return Ok(ExitCode::from(3));
        }
        "never-hello" => std::future::pending().await,
        "print-before-hello" => write_flood(1 << 20)?,
        "ignore-term" => {
            // Taking the signal is enough: nobody acts on it. It doesn't leave by itself either.
            let _taken = signal(SignalKind::terminate())?;
            serve(first_frame()?, &token).await?;
            std::future::pending::<()>().await;
        }
        "fork-grandchild" => drop(Command::new("sleep").arg("600").spawn()?),
        "wrong-token" => {
            let refused = link::open(first_frame()?, "not-the-token").await.err();
            anyhow::bail!("{refused:?}");
        }
        _ => {}
    }
    serve(frame_of(mode)?, &token).await?;
    Ok(ExitCode::SUCCESS)
}

/// The first frame, with the mode's mistake in it.
fn frame_of(mode: &str) -> anyhow::Result<SessionRequest> {
    let mut frame = first_frame()?;
    let hello = frame.hello.get_or_insert_default();
    let register = frame.register.get_or_insert_default();
    match mode {
        "future-protocol" => {
            hello.protocol_min = 99;
            hello.protocol_max = 99;
        }
        "wrong-name" => "somebody-else".clone_into(&mut hello.extension),
        "unknown-hook" => "record.creat".clone_into(&mut register.hooks[0].event),
        "undeclared-before-hook" => register.hooks[0].phase = Phase::Before.into(),
        "takes-a-name" => "shared_name".clone_into(&mut register.functions[0].name),
        "gate" => {
            register.hooks[0].phase = Phase::Before.into();
            "gate".clone_into(&mut register.hooks[0].handler);
        }
        "broken-schema" => register.functions[0].input_schema = "[1, 2".into(),
        _ => {}
    }
    Ok(frame)
}

fn first_frame() -> anyhow::Result<SessionRequest> {
    let extension = link::extension()?;
    let prefix = extension.replace('-', "_");
    let orders = HookBinding {
        event: "record.create".to_owned(),
        phase: Phase::After.into(),
        collection: "orders".to_owned(),
        ..HookBinding::default()
    };
    let functions =
        ["echo", "die", "sleep", "tell", "flood", "huge", "fault", "reject"].map(|name| {
            FunctionBinding {
                name: format!("{prefix}_{name}"),
                auth: FunctionAuth::Public.into(),
                input_schema: r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#.into(),
                ..FunctionBinding::default()
            }
        });
    Ok(SessionRequest {
        hello: Some(Hello { extension, credit: Some(16), ..Hello::default() }),
        register: Some(Register {
            hooks: vec![orders],
            functions: functions.into(),
            ..Register::default()
        }),
        ready: Some(Ready {}),
        ..SessionRequest::default()
    })
}

async fn serve(first: SessionRequest, token: &str) -> anyhow::Result<()> {
    let mut link = link::open(first, token).await?;
    let mut running = tokio::task::JoinSet::new();
    while let Some(frame) = link.down.message().await? {
        for invocation in frame.invocations {
            let up = link.up.clone();
            running.spawn(async move {
                let outcome = handle(invocation).await?;
                up.send(SessionRequest { outcomes: vec![outcome], ..Default::default() }).await?;
                anyhow::Ok(())
            });
        }
    }
    drop(link);
    Ok(())
}

async fn handle(invocation: Invocation) -> anyhow::Result<Outcome> {
    let ended = match (&invocation.body, invocation.handler.rsplit('_').next()) {
        (Some(Body::Record(_)), Some("gate")) => gate(&invocation),
        (Some(Body::Record(_)), _) => {
            note(&invocation)?;
            None
        }
        (Some(Body::Function(call)), Some("echo")) => Some(success(call.input.clone().into())),
        (Some(Body::Function(_)), Some("die")) => {
            say_on_stderr("dying with a call in hand")?;
            std::process::abort()
        }
        (Some(Body::Function(_)), Some("sleep")) => std::future::pending().await,
        (Some(Body::Function(_)), Some("tell")) => {
            tell(&invocation)?;
            std::future::pending().await
        }
        (Some(Body::Function(_)), Some("flood")) => {
            write_flood(8 << 20)?;
            Some(success(b"null".to_vec()))
        }
        (Some(Body::Function(_)), Some("huge")) => {
            Some(success(format!("\"{}\"", "x".repeat(3 << 20)).into_bytes()))
        }
        (Some(Body::Function(_)), Some("reject")) => Some(Ended::Reject(Reject {
            status: 409,
            code: "sold_out".to_owned(),
            message: "there are none left".to_owned(),
            violations: Vec::new(),
        })),
        _ => Some(Ended::Fault(Fault {
            r#type: "ZooError".to_owned(),
            message: "as asked".to_owned(),
            ..Fault::default()
        })),
    };
    Ok(Outcome { invocation_id: invocation.id, result: ended })
}

/// Refuses records whose e-mail is `bad`, lower-cases all others.
fn gate(invocation: &Invocation) -> Option<Ended> {
    let Some(Body::Record(record)) = &invocation.body else { return None };
    let data: serde_json::Value = serde_json::from_slice(&record.data).ok()?;
    let email = data["email"].as_str()?;
    Some(if email == "bad" {
        Ended::Reject(Reject {
            status: 422,
            code: "bad_email".to_owned(),
            message: "this address is not welcome".to_owned(),
            violations: Vec::new(),
        })
    } else {
        let patch = serde_json::json!({ "email": email.to_lowercase() }).to_string();
        Ended::Success(Success { patch: patch.into(), ..Success::default() })
    })
}

fn success(output: Vec<u8>) -> Ended {
    Ended::Success(Success { output: output.into(), ..Success::default() })
}

/// Appends `<event id> <record id> <attempt>` to the file named in `ZOO_OUT`, on the disk at once.
fn note(invocation: &Invocation) -> anyhow::Result<()> {
    let Some(Body::Record(record)) = &invocation.body else { return Ok(()) };
    let mut file = OpenOptions::new().create(true).append(true).open(env::var("ZOO_OUT")?)?;
    let line = format!("{} {} {}\n", invocation.event_id, record.record_id, invocation.attempt);
    file.write_all(line.as_bytes())?;
    Ok(())
}

/// Gives its secrets away: the token of the process and that of the invocation, in the file named in
/// `ZOO_OUT`.
fn tell(invocation: &Invocation) -> anyhow::Result<()> {
    let (path, token) = (env::var("ZOO_OUT")?, env::var("TINYBASE_TOKEN")?);
    Ok(std::fs::write(path, format!("{token}\n{}\n", invocation.token))?)
}

fn say_on_stderr(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

/// Writes that many bytes without a single line end, then one.
fn write_flood(bytes: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for _ in 0..bytes / 1024 {
        out.write_all(&[b'#'; 1024])?;
    }
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
