//! `[email]`: how letters leave the server.

use std::path::Path;

use tinybase_core::{Delivery, MailOptions, SmtpOptions, SmtpSecurity};

use super::setting::Settings;
use super::{ConfigError, choice};

/// How letters leave the server.
#[derive(Debug, Clone)]
pub(crate) struct MailConfig {
    delivery: Delivery,
    from_address: String,
    from_name: String,
}

impl MailConfig {
    /// With what is known once the server listens.
    pub(crate) fn options(&self, data: &Path, public_url: &str) -> MailOptions {
        MailOptions {
            delivery: self.delivery.clone(),
            from_address: self.from_address.clone(),
            from_name: self.from_name.clone(),
            public_url: public_url.to_owned(),
            templates: data.join("templates/emails"),
        }
    }

    pub(super) fn read(email: &Settings<'_>, data: &Path) -> Result<Self, ConfigError> {
        let delivery = email.parsed("delivery", |text| match text {
            "smtp" | "folder" | "none" => Ok(text.to_owned()),
            other => Err(choice(other, &["smtp", "folder", "none"])),
        })?;
        // The original's switch; with it alone, `true` means a mail server.
        let enabled = email.truth("enabled")?.unwrap_or(false);
        email.default_is("enabled", "false");
        let smtp = smtp_options(email)?;
        let delivery = match delivery.as_deref() {
            Some("none") => Delivery::None,
            Some("smtp") => Delivery::Smtp(needed(email, smtp)?),
            None if enabled => Delivery::Smtp(needed(email, smtp)?),
            Some(_) | None => Delivery::Folder(data.join("mail")),
        };
        let from_address = email.parsed("from_address", |text| Ok(text.to_owned()))?;
        let from_name = email.parsed("from_name", |text| Ok(text.to_owned()))?;
        Ok(Self {
            delivery,
            from_address: from_address.unwrap_or_else(|| "tinybase@localhost".to_owned()),
            from_name: from_name.unwrap_or_else(|| "TinyBase".to_owned()),
        })
    }
}

fn needed(email: &Settings<'_>, smtp: Option<SmtpOptions>) -> Result<SmtpOptions, ConfigError> {
    smtp.ok_or_else(|| email.wrong("smtp_host", "is needed to send mail; name the mail server"))
}

/// The mail server, if one is named.
fn smtp_options(email: &Settings<'_>) -> Result<Option<SmtpOptions>, ConfigError> {
    let host = email.parsed("smtp_host", |text| Ok(text.to_owned()))?;
    let port = email.number::<u16>("smtp_port", 1..=65_535)?.unwrap_or(587);
    let security = email.parsed("smtp_security", |text| match text {
        "tls" => Ok(SmtpSecurity::Tls),
        "starttls" => Ok(SmtpSecurity::StartTls),
        "none" => Ok(SmtpSecurity::None),
        other => Err(choice(other, &["tls", "starttls", "none"])),
    })?;
    let usual = if port == 465 { SmtpSecurity::Tls } else { SmtpSecurity::StartTls };
    let words = if port == 465 { "\"tls\"" } else { "\"starttls\"" };
    email.default_is("smtp_security", words);
    let user = email.parsed("smtp_user", |text| Ok(text.to_owned()))?;
    let password = email.parsed("smtp_password", |text| Ok(text.to_owned()))?;
    let login = user.map(|user| (user, password.unwrap_or_default()));
    let security = security.unwrap_or(usual);
    Ok(host.map(|host| SmtpOptions { host, port, security, login }))
}
