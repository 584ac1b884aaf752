//! Keys, names and types of files: what of a client's words is taken over, and what is made safe.

use uuid::Uuid;

const PREFIX_BYTES_MAX: usize = 255;
const SEGMENTS_MAX: usize = 8;
const SEGMENT_BYTES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 200;
const EXTENSION_BYTES_MAX: usize = 10;

/// First segments that are routes of the API.
const RESERVED: [&str; 5] = ["download", "presigned", "signed", "status", "upload"];

/// A key for a new file: the prefix, an id that is nobody else's, and the name's extension.
///
/// # Errors
/// What is wrong with the prefix.
pub(crate) fn new_key(prefix: &str, filename: &str) -> Result<String, String> {
    let id = Uuid::now_v7().simple();
    let file = match extension(filename) {
        Some(extension) => format!("{id}.{extension}"),
        None => id.to_string(),
    };
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return Ok(file);
    }
    check_prefix(prefix)?;
    Ok(format!("{prefix}/{file}"))
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > PREFIX_BYTES_MAX || prefix.split('/').count() > SEGMENTS_MAX {
        return Err(format!(
            "must have at most {SEGMENTS_MAX} parts and {PREFIX_BYTES_MAX} characters"
        ));
    }
    if let Some(wrong) = prefix.split('/').find(|segment| !is_segment(segment)) {
        return Err(format!(
            "must be parts of letters, digits, '-', '_' and '.', with '/' in between, none of \
             which begins with '.'; {wrong:?} is no such part"
        ));
    }
    match prefix.split('/').next() {
        Some(first) if RESERVED.contains(&first) => {
            Err(format!("must not begin with one of {}", RESERVED.join(", ")))
        }
        _ => Ok(()),
    }
}

fn is_segment(segment: &str) -> bool {
    (1..=SEGMENT_BYTES_MAX).contains(&segment.len())
        && !segment.starts_with('.')
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether a text can be a key at all; what can't is never looked for.
pub(crate) fn is_key(text: &str) -> bool {
    text.len() <= PREFIX_BYTES_MAX + SEGMENT_BYTES_MAX && text.split('/').all(is_segment)
}

/// The last part of a path of any system, without what can't be shown.
pub(crate) fn clean_name(raw: &str) -> String {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = last.chars().filter(|c| !c.is_control() && !is_format(*c));
    let name: String = shown.take(NAME_CHARS_MAX).collect();
    match name.trim() {
        "" | "." | ".." => "file".to_owned(),
        name => name.to_owned(),
    }
}

/// Characters that change how others are shown, such as the direction of writing.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn extension(filename: &str) -> Option<String> {
    let (_, extension) = filename.rsplit_once('.')?;
    let fits = (1..=EXTENSION_BYTES_MAX).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| extension.to_ascii_lowercase())
}

/// The media type that a name promises. What the client says of it isn't asked: it would decide
/// what a browser does with the bytes.
pub(crate) fn content_type(filename: &str) -> String {
    mime_guess::from_path(filename).first_or_octet_stream().essence_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{clean_name, content_type, is_key, new_key};

    #[test]
    fn a_key_is_made_of_the_prefix_an_id_and_the_extension() {
        let key = new_key("avatars/2026/", "Me.PNG").expect("a key");
        assert!(key.starts_with("avatars/2026/"), "{key}");
        assert_eq!(key.rsplit_once('.').map(|(_, extension)| extension), Some("png"));
        assert!(is_key(&key));
        let plain = new_key("", "no extension").expect("a key");
        assert!(is_key(&plain) && plain.len() == 32, "{plain}");
        assert_ne!(new_key("", "a.b").expect("a key"), new_key("", "a.b").expect("a key"));
    }

    #[test]
    fn a_prefix_never_leads_anywhere_else() {
        for prefix in [
            "..",
            "a/../b",
            "/etc",
            "a//b",
            ".hidden",
            "a/.b",
            "a\\b",
            "a b",
            "a\0",
            "a\r\nb: c",
            "ä",
            "%2e%2e",
            "download",
            "upload/x",
            "a/b/c/d/e/f/g/h/i",
        ] {
            assert!(new_key(prefix, "x.txt").is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn a_text_that_can_be_no_key_is_none() {
        for text in ["", "..", "a/../b", "/a", "a/", ".uploads/x", "a\nb", "a%2fb", "C:\\x"] {
            assert!(!is_key(text), "{text:?}");
        }
    }

    #[test]
    fn a_name_keeps_its_letters_and_loses_its_tricks() {
        assert_eq!(clean_name("Größe 1.txt"), "Größe 1.txt");
        assert_eq!(clean_name("C:\\Users\\me\\a.txt"), "a.txt");
        assert_eq!(clean_name("../../etc/passwd"), "passwd");
        assert_eq!(clean_name("a\r\nset-cookie: x.txt"), "aset-cookie: x.txt");
        assert_eq!(clean_name("gpj\u{202e}exe.jpg"), "gpjexe.jpg");
        assert_eq!(clean_name(".."), "file");
        assert_eq!(clean_name(&"x".repeat(300)).len(), 200);
    }

    #[test]
    fn the_type_follows_from_the_name() {
        assert_eq!(content_type("a.png"), "image/png");
        assert_eq!(content_type("a.txt"), "text/plain");
        assert_eq!(content_type("a.unheard-of"), "application/octet-stream");
    }
}
