//! The name of an extension.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// An extension's name: lower-case letters, digits and `-`, first a letter, at most 64.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, max_length = 64, pattern = "^[a-z][a-z0-9-]*$")]
pub struct ExtensionName(std::sync::Arc<str>);

/// A text that can't be an extension's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not an extension name: use lower-case letters, digits and '-', \
     starting with a letter, at most 64"
)]
pub struct InvalidName {
    text: String,
}

impl ExtensionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExtensionName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if valid { Ok(Self(text.into())) } else { Err(InvalidName { text: text.to_owned() }) }
    }
}

impl TryFrom<String> for ExtensionName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ExtensionName> for String {
    fn from(name: ExtensionName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for ExtensionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ExtensionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_and_starts_with_a_letter() {
        for good in ["a", "my-extension", "x1"] {
            assert!(good.parse::<ExtensionName>().is_ok(), "{good}");
        }
        for bad in ["", "1x", "-x", "My", "a_b", "a/b", "..", &"x".repeat(65)] {
            assert!(bad.parse::<ExtensionName>().is_err(), "{bad}");
        }
    }
}
