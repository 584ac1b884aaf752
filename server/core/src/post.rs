//! Letters on their way out: a bounded queue, and who works it off beside the requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tinybase_model::Cause;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::mail::{Letter, MailError, Mailer};
use crate::user::UserError;

/// A letter that somebody is to get, before it is known whether there is anybody.
#[derive(Clone)]
pub(crate) enum Errand {
    /// A link for a new password.
    PasswordReset {
        /// The address that was given.
        email: String,
        /// Who gave it.
        cause: Cause,
    },
}

/// The queue of errands.
#[derive(Debug)]
pub(crate) struct Post {
    queue: mpsc::Sender<Errand>,
    /// Until somebody works it off.
    errands: Mutex<Option<mpsc::Receiver<Errand>>>,
}

/// How many errands may wait.
const QUEUE_MAX: usize = 1000;
/// How many letters are sent at a time.
const AT_ONCE_MAX: usize = 4;
/// How often a letter is tried.
const ATTEMPTS_MAX: u32 = 4;
/// The wait after the first attempt; each further one is four times as long.
const RETRY_MIN: Duration = Duration::from_secs(2);

impl Default for Post {
    fn default() -> Self {
        let (queue, errands) = mpsc::channel(QUEUE_MAX);
        Self { queue, errands: Mutex::new(Some(errands)) }
    }
}

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PasswordReset { .. } => f.write_str("PasswordReset(…)"),
        }
    }
}

impl Post {
    /// Puts an errand in.
    pub(crate) fn put(&self, errand: Errand) -> Result<(), UserError> {
        self.queue.try_send(errand).map_err(|_| UserError::MailOverloaded)
    }

    fn take(&self) -> Option<mpsc::Receiver<Errand>> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Core {
    /// Writes and sends letters until `stop`. The server runs it beside everything else, once.
    pub async fn send_mail(&self, mailer: Arc<dyn Mailer>, stop: CancellationToken) {
        let Some(mut errands) = self.inner.post.take() else {
            tracing::error!("mail is being sent already");
            return stop.cancelled().await;
        };
        let mut running = JoinSet::new();
        loop {
            let full = running.len() >= AT_ONCE_MAX;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = running.join_next(), if !running.is_empty() => {}
                Some(errand) = errands.recv(), if !full => {
                    let (core, mailer) = (self.clone(), Arc::clone(&mailer));
                    running.spawn(async move { core.run_errand(errand, &*mailer).await });
                }
            }
        }
        // Whoever asked for a letter can ask again.
        let left = errands.len() + running.len();
        running.shutdown().await;
        if left > 0 {
            tracing::warn!(left, "letters weren't sent because the server stops");
        }
    }

    async fn run_errand(&self, errand: Errand, mailer: &dyn Mailer) {
        let written = match &errand {
            Errand::PasswordReset { email, cause } => {
                self.users().password_reset_letter(cause, email).await
            }
        };
        match written {
            Ok(Some(letter)) => send(&letter, mailer).await,
            Ok(None) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, ?errand, "a letter could not be written");
            }
        }
    }
}

/// Sends a letter, with some attempts if the fault may pass.
async fn send(letter: &Letter, mailer: &dyn Mailer) {
    let mut wait = RETRY_MIN;
    for attempt in 1..=ATTEMPTS_MAX {
        let Err(error) = mailer.send(letter).await else { return };
        if attempt == ATTEMPTS_MAX || !matches!(error, MailError::Temporary(_)) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, attempt, "a letter could not be sent and is given up");
            return;
        }
        note_retry(&error, attempt);
        tokio::time::sleep(wait).await;
        wait *= 4;
    }
}

fn note_retry(error: &MailError, attempt: u32) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, attempt, "a letter could not be sent and is tried again");
}
