//! Real processes and real sessions: announce, prepare, start, shake hands.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tinybase_model::{
    ExtensionName, ExtensionSpec, HookBinding, HookFilter, LogLevel, Phase, Registration,
};
use tinybase_wire::{Expected, HandshakeError, RegisterRefusal, Registrar, Session, Ticket, Wire};
use tokio::time::Instant;

use crate::environment::{self, Introduction};
use crate::failure::HandshakeFault;
use crate::lifecycle::Health;
use crate::log::Log;
use crate::process::ChildProcess;
use crate::program;
use crate::shim;
use crate::spawner::{Spawner, shim_command};
use crate::world::{Bindings, Launched, Link, Process, World};

/// The name under which the socket is in each extension's folder, for clients that can dial only
/// a relative path.
const SOCKET_LINK: &str = "core.sock";

/// This machine.
pub(crate) struct Machine {
    /// Where processes connect.
    pub(crate) wire: Wire,
    /// Its socket, an absolute path.
    pub(crate) socket: PathBuf,
    /// The program of the shim, an absolute path.
    pub(crate) shim: PathBuf,
    /// Starts processes.
    pub(crate) spawner: Spawner,
    /// Never passed on.
    pub(crate) server_secrets: BTreeSet<String>,
    /// Judges registrations.
    pub(crate) registrar: RwLock<Arc<dyn Registrar>>,
}

/// Takes every registration, for as long as nobody else judges them.
pub(crate) struct TakeAll;

impl Registrar for TakeAll {
    fn register(&self, _: &ExtensionName, _: &Registration) -> Result<(), RegisterRefusal> {
        Ok(())
    }
}

impl World for Machine {
    type Process = ChildProcess;
    type Session = Session;

    async fn launch(
        &self,
        spec: &Arc<ExtensionSpec>,
        log: &Arc<Log>,
    ) -> Result<Launched<ChildProcess, Session>, String> {
        let expected = self.wire.expect(self.ticket(spec));
        let command = self.prepare(spec, &expected, log).await?;
        let child = self
            .spawner
            .spawn(command, Some(spec.name.clone()))
            .await
            .map_err(|error| format!("{} can't be run: {error}", self.shim.display()))?;
        let process = ChildProcess::adopt(child, log, &self.spawner)
            .map_err(|error| format!("its process can't be watched: {error}"))?;
        expected.allow_process(process.pid());
        let handshake = Box::pin(async { expected.session().await.map_err(HandshakeFault::from) });
        Ok(Launched { process, handshake })
    }
}

impl Machine {
    fn ticket(&self, spec: &ExtensionSpec) -> Ticket {
        Ticket {
            extension: spec.name.clone(),
            config: spec.config.clone(),
            registrar: Arc::clone(&self.registrar.read().unwrap_or_else(PoisonError::into_inner)),
            startup_timeout: spec.policy.start_timeout,
        }
    }

    /// Looks at files, so it runs where it may block.
    async fn prepare(
        &self,
        spec: &Arc<ExtensionSpec>,
        expected: &Expected,
        log: &Arc<Log>,
    ) -> Result<Command, String> {
        let introduction = Introduction { socket: &self.socket, token: expected.token() };
        let environment =
            environment::compose(std::env::vars_os(), &self.server_secrets, spec, &introduction);
        let mut command = shim_command(&self.shim, shim::RUN);
        command
            .args(&spec.command)
            .current_dir(&spec.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .envs(&environment);
        let (spec, log, socket) = (Arc::clone(spec), Arc::clone(log), self.socket.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let path = environment.get(OsStr::new("PATH"));
            program::find(&spec.command, &spec.folder, path.map(OsString::as_os_str))
                .map_err(|error| error.to_string())?;
            if let Err(error) = link_socket(&spec.folder, &socket) {
                let text = format!("{SOCKET_LINK} can't be put into its folder: {error}");
                log.note(LogLevel::Warning, text);
            }
            Ok(())
        });
        match checked.await {
            Ok(Ok(())) => Ok(command),
            Ok(Err(why)) => Err(why),
            Err(error) => Err(format!("its files can't be looked at: {error}")),
        }
    }
}

/// Puts a link to the socket into the folder, in one step and in place of any other.
fn link_socket(folder: &Path, socket: &Path) -> io::Result<()> {
    let link = folder.join(SOCKET_LINK);
    if std::fs::read_link(&link).is_ok_and(|target| target == socket) {
        return Ok(());
    }
    let draft = folder.join(format!(".{SOCKET_LINK}.{}", std::process::id()));
    // A server that died may have left it.
    let _ = std::fs::remove_file(&draft);
    symlink(socket, &draft)?;
    std::fs::rename(&draft, &link).inspect_err(|_| drop(std::fs::remove_file(&draft)))
}

impl From<HandshakeError> for HandshakeFault {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Refused(message) => Self::Refused(message),
            HandshakeError::Left(_) => Self::Left(error.to_string()),
            HandshakeError::TimedOut { after: _, stage } => Self::TimedOut(stage.to_owned()),
        }
    }
}

impl Link for Session {
    fn bindings(&self) -> Bindings {
        let registration = self.registration();
        Bindings {
            hooks: registration.hooks().iter().map(describe).collect(),
            functions: registration.functions().iter().map(|f| f.name.clone()).collect(),
        }
    }

    fn health(&self) -> Health {
        let health = Self::health(self);
        let silent_for = Instant::now().saturating_duration_since(health.last_heard);
        Health {
            silence: health.heartbeat.then_some(silent_for),
            all_held: health.credit > 0 && health.held_past_deadline >= health.credit,
        }
    }

    fn drain(&self, grace: Duration) -> impl Future<Output = ()> + Send + 'static {
        let session = self.clone();
        async move { Self::drain(&session, grace, "the server is stopping this process").await }
    }

    fn closed(&self) -> impl Future<Output = Option<String>> + Send + 'static {
        let session = self.clone();
        async move {
            Self::closed(&session).await;
            session.close_reason()
        }
    }
}

/// As in "record.create orders" or "before record.create".
fn describe(hook: &HookBinding) -> String {
    let phase = match hook.phase {
        Phase::Before => "before ",
        Phase::After => "",
    };
    match &hook.filter {
        HookFilter::All => format!("{phase}{}", hook.event),
        HookFilter::Named(name) => format!("{phase}{} {name}", hook.event),
    }
}
