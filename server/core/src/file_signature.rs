//! Signed addresses of files: whoever has one may read the file until it expires.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// What makes an address of a file valid for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSignature {
    /// Until when, in seconds since 1970.
    pub expires: i64,
    /// The signature, in hexadecimal digits.
    pub signature: String,
}

/// Signs the address of a file.
pub(crate) fn sign(secret: &str, key: &str, expires: i64) -> FileSignature {
    let signature = hex(&mac(secret, key, expires).finalize().into_bytes());
    FileSignature { expires, signature }
}

/// Whether a signature is right and has not expired. The comparison takes the same time whatever
/// is wrong.
pub(crate) fn is_valid(secret: &str, key: &str, given: &FileSignature, at: Timestamp) -> bool {
    let Some(bytes) = unhex(&given.signature) else { return false };
    mac(secret, key, given.expires).verify_slice(&bytes).is_ok() && given.expires > at.as_second()
}

fn mac(secret: &str, key: &str, expires: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes secrets of any length"));
    // A key has no line break, so that no two pairs make the same text.
    mac.update(format!("tinybase file 1\n{key}\n{expires}").as_bytes());
    mac
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{FileSignature, is_valid, sign};

    #[test]
    fn only_the_whole_address_is_valid_and_only_for_a_while() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let signed = sign("secret", "a/b.txt", 100);
        assert!(is_valid("secret", "a/b.txt", &signed, at(99)));
        assert!(!is_valid("secret", "a/b.txt", &signed, at(100)));
        assert!(!is_valid("secret", "a/c.txt", &signed, at(99)));
        assert!(!is_valid("other", "a/b.txt", &signed, at(99)));
        let later = FileSignature { expires: 101, ..signed.clone() };
        assert!(!is_valid("secret", "a/b.txt", &later, at(99)));
        for signature in ["", "zz", &signed.signature[1..], &"g".repeat(64)] {
            let wrong = FileSignature { signature: signature.to_owned(), ..signed.clone() };
            assert!(!is_valid("secret", "a/b.txt", &wrong, at(99)), "{signature}");
        }
    }
}
