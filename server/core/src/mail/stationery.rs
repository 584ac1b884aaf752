//! What letters look like: templates, which the operator may replace.

use std::path::{Path, PathBuf};

use lettre::Message;
use lettre::message::{Mailbox, MultiPart};
use minijinja::{AutoEscape, Environment, context};
use thiserror::Error;

use super::{Letter, PasswordResetLetter};

/// The templates by name, as they come with the server.
pub const MAIL_TEMPLATES: [(&str, &str); 3] = [
    (RESET_SUBJECT, include_str!("templates/password-reset-request.subject.j2")),
    (RESET_TEXT, include_str!("templates/password-reset-request.txt.j2")),
    (RESET_HTML, include_str!("templates/password-reset-request.html.j2")),
];

const RESET_SUBJECT: &str = "password-reset-request.subject.j2";
const RESET_TEXT: &str = "password-reset-request.txt.j2";
const RESET_HTML: &str = "password-reset-request.html.j2";

/// The largest template that is read.
const TEMPLATE_BYTES_MAX: u64 = 256 << 10;

/// Writes letters.
#[derive(Debug)]
pub(crate) struct Stationery {
    templates: Environment<'static>,
    from: Mailbox,
    public_url: String,
}

/// Why letters can't be written.
#[derive(Debug, Error)]
pub enum StationeryError {
    /// The sender is no address.
    #[error("{address:?} can't be a sender's address")]
    Sender {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: lettre::address::AddressError,
    },
    /// A template can't be read.
    #[error("failed to read the template {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A template is larger than any template is.
    #[error("the template {path} has more than {TEMPLATE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A template makes no sense.
    #[error("the template {name} can't be used")]
    Template {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
}

/// Why one letter wasn't written.
#[derive(Debug, Error)]
pub(crate) enum WritingError {
    #[error("a template failed")]
    Template(#[from] minijinja::Error),
    #[error("the address can't be written to")]
    Address(#[from] lettre::address::AddressError),
    #[error("the letter can't be put together")]
    Message(#[from] lettre::error::Error),
}

impl Stationery {
    /// Reads the templates of a folder; those that aren't there are the server's own.
    pub(crate) fn open(
        folder: &Path,
        (address, name): (&str, &str),
        public_url: &str,
    ) -> Result<Self, StationeryError> {
        let sender = |source| StationeryError::Sender { address: address.to_owned(), source };
        let from = Mailbox::new(Some(name.to_owned()), address.parse().map_err(sender)?);
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|name| {
            if name.ends_with(".html.j2") { AutoEscape::Html } else { AutoEscape::None }
        });
        for (name, usual) in MAIL_TEMPLATES {
            let text = replaced(&folder.join(name))?.unwrap_or_else(|| usual.to_owned());
            templates
                .add_template_owned(name, text)
                .map_err(|source| StationeryError::Template { name, source })?;
        }
        Ok(Self { templates, from, public_url: public_url.trim_end_matches('/').to_owned() })
    }

    /// Writes a letter.
    pub(crate) fn write(&self, letter: &Letter) -> Result<Message, WritingError> {
        let Letter::PasswordReset(reset) = letter;
        let PasswordResetLetter { to, token, valid_for, instance_name } = reset;
        let words = context! {
            instance_name => instance_name,
            // Checked configuration and hexadecimal digits: nothing in it needs escaping.
            reset_url => format!("{}/auth/password-reset/{token}", self.public_url),
            valid_minutes => valid_for.as_secs() / 60,
        };
        let render = |name| self.templates.get_template(name)?.render(&words);
        let subject = render(RESET_SUBJECT)?;
        let subject: String = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        let body = MultiPart::alternative_plain_html(render(RESET_TEXT)?, render(RESET_HTML)?);
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.parse()?))
            .message_id(None)
            .subject(subject)
            .multipart(body)?;
        Ok(message)
    }
}

/// A template that the operator put there.
fn replaced(path: &Path) -> Result<Option<String>, StationeryError> {
    let read = |source| StationeryError::Read { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(error)),
        Ok(found) if found.len() > TEMPLATE_BYTES_MAX => {
            return Err(StationeryError::TooLarge { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    std::fs::read_to_string(path).map(Some).map_err(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::tests::letter;

    fn open(folder: &Path) -> Result<Stationery, StationeryError> {
        Stationery::open(folder, ("tiny@example.com", "Tiny"), "https://tiny.example/")
    }

    fn text(message: &Message) -> String {
        String::from_utf8(message.formatted()).expect("ASCII")
    }

    #[test]
    fn a_letter_has_the_link_under_the_configured_address_as_text_and_html() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = open(folder.path()).expect("templates").write(&letter()).expect("a letter");
        let text = text(&written);
        assert!(text.contains("To: ann@example.com"), "{text}");
        assert!(
            text.contains("From: \"Tiny\" <tiny@example.com>") || text.contains("From: Tiny <")
        );
        assert!(text.contains("multipart/alternative"), "{text}");
        let joined = text.replace("=\r\n", "");
        assert_eq!(joined.matches("https://tiny.example/auth/password-reset/abc123").count(), 3);
        assert!(joined.contains("60 minutes"), "{joined}");
    }

    #[test]
    fn a_template_of_the_operator_replaces_ours_and_html_is_escaped() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        put(RESET_SUBJECT, "New password\nfor {{ instance_name }}");
        put(RESET_HTML, "<p>{{ instance_name }}</p>");
        let mut letter = letter();
        let Letter::PasswordReset(reset) = &mut letter;
        reset.instance_name = "A <b> & C".to_owned();
        let written = open(folder.path()).expect("templates").write(&letter).expect("a letter");
        let text = text(&written);
        assert!(text.contains("Subject: New password for A <b> & C"), "{text}");
        assert!(text.contains("<p>A &lt;b&gt; &amp; C</p>"), "{text}");
        put(RESET_TEXT, "{{ nobody closes this");
        assert!(matches!(open(folder.path()), Err(StationeryError::Template { .. })));
    }
}
