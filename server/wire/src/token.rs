//! Random tokens that are compared in constant time: of sessions, and of invocations.

use std::fmt;
use std::fmt::Write as _;

use subtle::ConstantTimeEq as _;

/// What a process shows to prove that the server started it.
///
/// The first 16 digits say which process it is meant to be; the other 64 are the secret.
pub(crate) struct SessionToken {
    lookup_key: u64,
    text: String,
}

/// Length of the part that may be looked up.
const LOOKUP_DIGITS: usize = 16;

impl SessionToken {
    pub(crate) fn random() -> Self {
        let (lookup_key, high, low) = rand::random::<(u64, u128, u128)>();
        Self { lookup_key, text: format!("{lookup_key:016x}{high:032x}{low:032x}") }
    }

    /// The number to keep it under.
    pub(crate) const fn lookup_key(&self) -> u64 {
        self.lookup_key
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The part to look up by.
    pub(crate) fn lookup(text: &str) -> Option<u64> {
        u64::from_str_radix(text.get(..LOOKUP_DIGITS)?, 16).ok()
    }

    /// Whether the text is this token, in a time that doesn't tell how much of it is right.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.text.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// What a call-back shows to prove that it was made while handling an invocation:
/// `<session>.<invocation>.<secret>`.
#[derive(Clone, Copy)]
pub(crate) struct InvocationSecret(u128);

/// The parts of an invocation's token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvocationToken<'a> {
    pub(crate) session: u64,
    pub(crate) invocation: u64,
    secret: &'a str,
}

impl InvocationSecret {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The token as it goes over the wire.
    pub(crate) fn token(self, session: u64, invocation: u64) -> String {
        let mut token = String::with_capacity(56);
        let written = write!(token, "{session:x}.{invocation:x}.{:032x}", self.0);
        debug_assert!(written.is_ok(), "a string takes any text");
        token
    }

    /// Whether a token has this secret.
    pub(crate) fn matches(self, token: &InvocationToken<'_>) -> bool {
        format!("{:032x}", self.0).as_bytes().ct_eq(token.secret.as_bytes()).into()
    }
}

impl fmt::Debug for InvocationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvocationSecret(…)")
    }
}

impl<'a> InvocationToken<'a> {
    /// Takes a token apart; none if it has another form.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let session = u64::from_str_radix(parts.next()?, 16).ok()?;
        let invocation = u64::from_str_radix(parts.next()?, 16).ok()?;
        Some(Self { session, invocation, secret: parts.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_token_is_found_by_its_head_and_matched_as_a_whole() {
        let token = SessionToken::random();
        assert_eq!(token.text().len(), 80);
        assert!(SessionToken::lookup(token.text()).is_some());
        assert!(token.matches(token.text()));
        let mut other = token.text().to_owned();
        other.replace_range(79.., if other.ends_with('0') { "1" } else { "0" });
        assert!(!token.matches(&other));
        assert!(!token.matches(""));
        assert_eq!(SessionToken::lookup("short"), None);
        assert_eq!(SessionToken::lookup("ééééééééééééé"), None);
    }

    #[test]
    fn an_invocation_token_reads_back() {
        let secret = InvocationSecret::random();
        let text = secret.token(7, 300);
        let token = InvocationToken::parse(&text).expect("well formed");
        assert_eq!((token.session, token.invocation), (7, 300));
        assert!(secret.matches(&token));
        assert!(!InvocationSecret::random().matches(&token));
        for bad in ["", "7", "7.1", "x.y.z", "-1.2.3"] {
            assert_eq!(InvocationToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn debug_output_has_no_secret() {
        let token = SessionToken::random();
        assert!(!format!("{token:?}").contains(token.text()));
    }
}
