//! Letters that the server sends, and who carries them.

mod folder;
mod smtp;
mod stationery;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use folder::Folder;
use smtp::Smtp;
use stationery::Stationery;

pub use stationery::{MAIL_TEMPLATES, StationeryError};

/// A letter to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// A link for a new password.
    PasswordReset(PasswordResetLetter),
}

/// The letter with the link for a new password. `Debug` shows neither the address nor the token.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordResetLetter {
    /// The address.
    pub to: String,
    /// The token, which is part of the link.
    pub token: String,
    /// How long it is valid.
    pub valid_for: Duration,
    /// What the instance calls itself.
    pub instance_name: String,
}

impl fmt::Debug for PasswordResetLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordResetLetter").finish_non_exhaustive()
    }
}

/// Why a letter wasn't sent.
#[derive(Debug, Error)]
pub enum MailError {
    /// It may work later.
    #[error("the letter could not be sent now")]
    Temporary(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It won't work.
    #[error("the letter can't be sent")]
    Permanent(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Carries letters. Each call has a bound of its own.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one letter, once.
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}

/// How letters are sent, and what stands in them.
#[derive(Debug, Clone)]
pub struct MailOptions {
    /// By what way.
    pub delivery: Delivery,
    /// The sender's address.
    pub from_address: String,
    /// The sender's name.
    pub from_name: String,
    /// Where users reach the server: what links begin with.
    pub public_url: String,
    /// The operator's own templates.
    pub templates: PathBuf,
}

/// The way of letters.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// To a mail server.
    Smtp(SmtpOptions),
    /// Into files of a folder.
    Folder(PathBuf),
    /// Nowhere.
    None,
}

/// A mail server. `Debug` doesn't show the login.
#[derive(Clone)]
pub struct SmtpOptions {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// User and password.
    pub login: Option<(String, String)>,
}

impl fmt::Debug for SmtpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte, as on port 465.
    Tls,
    /// TLS after a first exchange, as on port 587; without it nothing is sent.
    StartTls,
    /// Not at all; for a mail server on the same machine.
    None,
}

/// Why mail can't be set up.
#[derive(Debug, Error)]
pub enum MailSetupError {
    /// Letters can't be written.
    #[error(transparent)]
    Stationery(#[from] StationeryError),
    /// The mail server's name can't be used.
    #[error("failed to set up the connection to the mail server {host}")]
    Smtp {
        /// Its name.
        host: String,
        /// Why.
        #[source]
        source: lettre::transport::smtp::Error,
    },
}

/// Sets up the way of letters. Nothing is sent yet.
pub fn mailer(options: MailOptions) -> Result<Arc<dyn Mailer>, MailSetupError> {
    let MailOptions { delivery, from_address, from_name, public_url, templates } = options;
    let stationery = Stationery::open(&templates, (&from_address, &from_name), &public_url)?;
    Ok(match delivery {
        Delivery::Folder(path) => Arc::new(Folder { stationery, path: path.into() }),
        Delivery::None => Arc::new(Nowhere),
        Delivery::Smtp(options) => {
            let host = options.host.clone();
            let smtp = Smtp::new(options, stationery);
            Arc::new(smtp.map_err(|source| MailSetupError::Smtp { host, source })?)
        }
    })
}

/// Mail is switched off.
struct Nowhere;

#[async_trait]
impl Mailer for Nowhere {
    async fn send(&self, _: &Letter) -> Result<(), MailError> {
        tracing::warn!("a letter isn't sent because mail is switched off; see [email] delivery");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn letter() -> Letter {
        Letter::PasswordReset(PasswordResetLetter {
            to: "ann@example.com".to_owned(),
            token: "abc123".to_owned(),
            valid_for: Duration::from_hours(1),
            instance_name: "TinyBase".to_owned(),
        })
    }

    #[test]
    fn debug_output_has_no_secret() {
        let text = format!("{:?}", letter());
        assert!(!text.contains("abc123") && !text.contains("ann@"), "{text}");
        let options = SmtpOptions {
            host: "mail.example.com".to_owned(),
            port: 587,
            security: SmtpSecurity::StartTls,
            login: Some(("tiny".to_owned(), "hunter2".to_owned())),
        };
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn a_sender_that_is_no_address_is_refused_at_the_start() {
        let options = MailOptions {
            delivery: Delivery::None,
            from_address: "nobody".to_owned(),
            from_name: "Tiny".to_owned(),
            public_url: "http://localhost".to_owned(),
            templates: PathBuf::from("nowhere"),
        };
        assert!(mailer(options).is_err_and(|error| error.to_string().contains("nobody")));
    }
}
