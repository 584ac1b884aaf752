//! A filter as it was written: the tree, and how it is written again.

use std::fmt;

use serde_json::Value;

/// A filter as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    /// All of them, two at least.
    And(Vec<Self>),
    /// Any of them, two at least.
    Or(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
}

/// A comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Test {
    pub(crate) field: Path,
    pub(crate) operator: Operator,
    pub(crate) operand: Operand,
}

/// A field, with the character at which it stands.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) keys: Vec<String>,
    pub(crate) at: usize,
}

/// Where it stands doesn't make it another field.
impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Value(Value),
    List(Vec<Value>),
    Field(Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
    Contains,
    In,
    NotIn,
}

impl Operator {
    pub(crate) const ALL: [Self; 11] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Like,
        Self::NotLike,
        Self::Contains,
        Self::In,
        Self::NotIn,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "~",
            Self::NotLike => "!~",
            Self::Contains => "contains",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(all) => join(f, all, " && "),
            Self::Or(any) => join(f, any, " || "),
            Self::Not(inner) => {
                f.write_str("!")?;
                inner.fmt_within(f)
            }
            Self::Test(test) => write!(f, "{test}"),
        }
    }
}

impl Expression {
    /// As a part of something else: in parentheses, so that nobody has to know what binds tighter.
    fn fmt_within(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({self})")
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expression], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        match part {
            Expression::And(_) | Expression::Or(_) => part.fmt_within(f)?,
            Expression::Not(_) | Expression::Test(_) => write!(f, "{part}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.field, self.operator.as_str())?;
        match &self.operand {
            Operand::Value(value) => write!(f, "{value}"),
            Operand::Field(path) => write!(f, "{path}"),
            Operand::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keys.join("."))
    }
}
