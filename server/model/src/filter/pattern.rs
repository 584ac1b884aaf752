//! Patterns of texts: `%` for any characters, `_` for one, `\` before what is meant as it is.

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternPart {
    /// Any characters, or none.
    Many,
    /// One character.
    One,
    /// This character.
    Exactly(char),
}

/// The parts of a pattern.
pub fn pattern_parts(pattern: &str) -> Vec<PatternPart> {
    let mut characters = pattern.chars();
    let mut parts = Vec::new();
    while let Some(character) = characters.next() {
        parts.push(match character {
            '%' => PatternPart::Many,
            '_' => PatternPart::One,
            '\\' => PatternPart::Exactly(characters.next().unwrap_or('\\')),
            other => PatternPart::Exactly(other),
        });
    }
    parts
}

/// Whether a text is like a pattern. Takes at most the product of both lengths.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let parts = pattern_parts(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut part) = (0, 0);
    // Where to go on if what follows the last `%` doesn't fit.
    let mut again = None;
    while at < text.len() {
        let fits = match parts.get(part) {
            Some(PatternPart::Many) => {
                part += 1;
                again = Some((at, part));
                continue;
            }
            Some(PatternPart::One) => true,
            Some(PatternPart::Exactly(character)) => *character == text[at],
            None => false,
        };
        if fits {
            at += 1;
            part += 1;
            continue;
        }
        let Some((from, after)) = again else { return false };
        at = from + 1;
        part = after;
        again = Some((at, part));
    }
    parts[part..].iter().all(|part| matches!(part, PatternPart::Many))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_sql() {
        for (text, pattern, expected) in [
            ("anna", "ann%", true),
            ("Anna", "ann%", false),
            ("anna", "%n%n%", true),
            ("anna", "a__a", true),
            ("anna", "a_a", false),
            ("äß", "_ß", true),
            ("", "", true),
            ("", "%", true),
            ("x", "", false),
            ("50%", "50\\%", true),
            ("50x", "50\\%", false),
            ("a\\", "a\\", true),
            ("aab", "%ab", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
        assert!(!is_like(&"a".repeat(10_000), &format!("{}b", "%a".repeat(50))));
    }
}
