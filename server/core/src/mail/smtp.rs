//! Letters over SMTP.

use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::stationery::Stationery;
use super::{Letter, MailError, Mailer, SmtpOptions, SmtpSecurity};

/// How long one step of a conversation with the mail server may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long sending one letter may take.
const LETTER_TIMEOUT: Duration = Duration::from_mins(1);

/// Hands letters to a mail server.
#[derive(Debug)]
pub(crate) struct Smtp {
    stationery: Stationery,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    pub(crate) fn new(
        options: SmtpOptions,
        stationery: Stationery,
    ) -> Result<Self, lettre::transport::smtp::Error> {
        type Transport = AsyncSmtpTransport<Tokio1Executor>;

        let builder = match options.security {
            SmtpSecurity::Tls => Transport::relay(&options.host)?,
            SmtpSecurity::StartTls => Transport::starttls_relay(&options.host)?,
            SmtpSecurity::None => Transport::builder_dangerous(&options.host),
        };
        let mut builder = builder.port(options.port).timeout(Some(STEP_TIMEOUT));
        if let Some((user, password)) = options.login {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self { stationery, transport: builder.build() })
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.stationery.write(letter).map_err(|e| MailError::Permanent(e.into()))?;
        let sent = tokio::time::timeout(LETTER_TIMEOUT, self.transport.send(message)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() || error.is_client() => {
                Err(MailError::Permanent(error.into()))
            }
            Ok(Err(error)) => Err(MailError::Temporary(error.into())),
            Err(error) => Err(MailError::Temporary(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::mail::tests::letter;

    /// A mail server for one letter: says what it heard; answers RCPT with a line of the test's.
    async fn converse(listener: TcpListener, rcpt: &str) -> String {
        let (stream, _) = listener.accept().await.expect("a client");
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut heard = String::new();
        let mut in_data = false;
        write.write_all(b"220 test\r\n").await.expect("a client");
        while let Ok(Some(line)) = lines.next_line().await {
            heard.push_str(&line);
            heard.push('\n');
            let answer = match line.get(..4) {
                _ if in_data && line == "." => {
                    in_data = false;
                    "250 taken"
                }
                _ if in_data => continue,
                Some("EHLO") => "250-test\r\n250 AUTH PLAIN LOGIN",
                Some("AUTH") => "235 welcome",
                Some("RCPT") => rcpt,
                Some("DATA") => {
                    in_data = true;
                    "354 go on"
                }
                Some("QUIT") => break,
                _ => "250 ok",
            };
            if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err()
                || !in_data && answer == "250 taken"
            {
                break;
            }
        }
        heard
    }

    async fn send(rcpt: &str) -> (Result<(), MailError>, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let sender = ("tiny@example.com", "Tiny");
        let stationery =
            Stationery::open(folder.path(), sender, "https://tiny.example").expect("templates");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let options = SmtpOptions {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().expect("an address").port(),
            security: SmtpSecurity::None,
            login: Some(("tiny".to_owned(), "secret".to_owned())),
        };
        let smtp = Smtp::new(options, stationery).expect("a transport");
        let letter = letter();
        tokio::join!(smtp.send(&letter), converse(listener, rcpt))
    }

    #[tokio::test]
    async fn a_letter_is_handed_over_with_a_login() {
        let (sent, heard) = send("250 ok").await;
        assert!(sent.is_ok(), "{sent:?}\n{heard}");
        assert!(heard.contains("AUTH PLAIN"), "{heard}");
        assert!(heard.contains("RCPT TO:<ann@example.com>"), "{heard}");
        assert!(heard.replace("=\n", "").contains("/auth/password-reset/abc123"), "{heard}");
    }

    #[tokio::test]
    async fn a_refusal_for_good_is_not_tried_again_and_one_for_now_is() {
        let (sent, _) = send("550 nobody here").await;
        assert!(matches!(sent, Err(MailError::Permanent(_))), "{sent:?}");
        let (sent, _) = send("451 later").await;
        assert!(matches!(sent, Err(MailError::Temporary(_))), "{sent:?}");
    }
}
