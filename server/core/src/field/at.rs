//! Where in the data a value is.

use std::fmt;

use tinybase_model::FieldViolation;

/// A place, as a JSON pointer that is written only if there is something to say about it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'a> {
    /// A pointer that is known already.
    Pointer(&'a str),
    /// A member of an object.
    Key(&'a At<'a>, &'a str),
    /// An item of a list.
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// What is wrong here.
    pub(crate) fn violation(&self, message: &str) -> FieldViolation {
        FieldViolation { field: self.to_string(), message: message.to_owned() }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => f.write_str(pointer),
            Self::Key(parent, key) => {
                write!(f, "{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}
