//! What can be an address and a password.

use crate::schema::violation;
use crate::user::UserError;

/// Longer passwords are refused, so that nobody makes the server hash a book.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// Whether a text can be a password.
pub(crate) fn check_password(field: &str, password: &str) -> Result<(), UserError> {
    let wrong = |message| Err(UserError::Invalid(violation(field, message)));
    match password.len() {
        _ if password.chars().count() < 8 => wrong("must have at least 8 characters"),
        length if length > PASSWORD_BYTES_MAX => wrong("must have at most 1024 bytes"),
        _ => Ok(()),
    }
}

/// An address in lower case, so that one person has one account.
pub(crate) fn checked_email(email: &str) -> Result<String, UserError> {
    let email = email.trim().to_lowercase();
    let valid = email.len() <= 254
        && email.split_once('@').is_some_and(|(name, host)| {
            let is_label = |label: &str| !label.is_empty() && !label.starts_with('-');
            !name.is_empty()
                && name.len() <= 64
                && host.contains('.')
                && host.split('.').all(is_label)
                && host.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '.')
                && name.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '@')
        });
    if valid {
        return Ok(email);
    }
    Err(UserError::Invalid(violation("/email", "must be an e-mail address, such as a@example.com")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_lower_case() {
        assert_eq!(checked_email(" A.b+c@Example.COM ").expect("an address"), "a.b+c@example.com");
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in ["", "a", "a@", "@b.c", "a@b", "a b@c.d", "a@b..c", "a@b@c.d", "a@-b.c", &long] {
            assert!(checked_email(bad).is_err(), "{bad}");
        }
    }
}
