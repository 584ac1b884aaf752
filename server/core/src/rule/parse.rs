//! Reading a rule: the grammar, and which types can be compared.
//!
//! ```text
//! or      = and { "||" and }
//! and     = not { "&&" not }
//! not     = "!" not | "(" or ")" | test
//! test    = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand | "in" (list | operand) ]
//! operand = literal | "record" { "." name } | "user" "." name | "now"
//! ```

use serde_json::Value;
use tinybase_model::Comparison;

use super::token::{Kind, Token, tokens};
use super::{Asker, Node, RuleError, Term};
use crate::field::{Field, FieldType};
use crate::field_type::Scalar;
use crate::schema::Schema;

/// How deep parentheses and negations may go.
const DEPTH_MAX: usize = 32;
/// How many tests a rule may have; each becomes a condition of a list.
const TESTS_MAX: usize = 100;
const LIST_MAX: usize = 100;

pub(super) fn parse(text: &str, schema: &Schema) -> Result<Node, RuleError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, schema, tests: 0, depth: 0 };
    let node = parser.or()?;
    let rest = parser.peek().clone();
    if rest.kind == Kind::End {
        return Ok(node);
    }
    Err(wrong(rest.position, format!("{} was not expected here", describe(&rest.kind))))
}

/// Something that can be compared.
#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Literal(Value),
    Place(String, Type),
    UserId,
    Flag(Asker),
    Now,
}

/// The type of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Single(Scalar),
    /// A column with a time.
    Time,
    List(Scalar),
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    schema: &'a Schema,
    tests: usize,
    depth: usize,
}

fn wrong(position: usize, message: impl Into<String>) -> RuleError {
    RuleError { position, message: message.into() }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Name(name) => format!("{name:?}"),
        Kind::Literal(value) => value.to_string(),
        Kind::Symbol(symbol) => format!("{symbol:?}"),
        Kind::End => "the end".to_owned(),
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The end is never passed, and is always there.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek().kind, Kind::Symbol(found) if found == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), RuleError> {
        if self.takes(symbol) {
            return Ok(());
        }
        let found = self.peek();
        Err(wrong(found.position, format!("expected {symbol:?}, not {}", describe(&found.kind))))
    }

    fn or(&mut self) -> Result<Node, RuleError> {
        let mut nodes = vec![self.and()?];
        while self.takes("||") {
            nodes.push(self.and()?);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::Any(nodes) })
    }

    fn and(&mut self) -> Result<Node, RuleError> {
        let mut nodes = vec![self.not()?];
        while self.takes("&&") {
            nodes.push(self.not()?);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::All(nodes) })
    }

    fn not(&mut self) -> Result<Node, RuleError> {
        let position = self.peek().position;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(wrong(position, format!("nests deeper than {DEPTH_MAX} levels")));
        }
        let node = if self.takes("!") {
            Node::Not(Box::new(self.not()?))
        } else if self.takes("(") {
            let node = self.or()?;
            self.expect(")")?;
            node
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, RuleError> {
        let position = self.peek().position;
        self.tests += 1;
        if self.tests > TESTS_MAX {
            return Err(wrong(position, format!("has more than {TESTS_MAX} tests")));
        }
        let left = self.operand()?;
        let operator = self.peek().clone();
        if operator.kind == Kind::Name("in".to_owned()) {
            self.at += 1;
            return self.membership(left, position, operator.position);
        }
        let order = match operator.kind {
            Kind::Symbol("==" | "!=") => None,
            Kind::Symbol("<") => Some(Comparison::Less),
            Kind::Symbol("<=") => Some(Comparison::LessOrEqual),
            Kind::Symbol(">") => Some(Comparison::Greater),
            Kind::Symbol(">=") => Some(Comparison::GreaterOrEqual),
            Kind::Symbol(_) | Kind::Name(_) | Kind::Literal(_) | Kind::End => {
                return truth(left).ok_or_else(|| {
                    wrong(position, "is not true or false by itself; compare it with something")
                });
            }
        };
        self.at += 1;
        let right = self.operand()?;
        if let Some(order) = order {
            return compares(left, order, right, operator.position);
        }
        let node = equals(left, right, operator.position)?;
        let negated = operator.kind == Kind::Symbol("!=");
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    /// `x in [..]` or `x in record.list`.
    fn membership(
        &mut self,
        left: Operand,
        start: usize,
        position: usize,
    ) -> Result<Node, RuleError> {
        if self.takes("[") {
            let mut nodes = Vec::new();
            while !self.takes("]") {
                if !nodes.is_empty() {
                    self.expect(",")?;
                }
                if nodes.len() >= LIST_MAX {
                    return Err(wrong(start, format!("a list has at most {LIST_MAX} values")));
                }
                let right = self.operand()?;
                nodes.push(equals(left.clone(), right, position)?);
            }
            return Ok(Node::Any(nodes));
        }
        match self.operand()? {
            Operand::Place(place, Type::List(item)) => {
                let term = term(left, Type::Single(item), position)?;
                Ok(Node::Compare(place, Comparison::Contains, term))
            }
            Operand::Place(..)
            | Operand::Literal(_)
            | Operand::UserId
            | Operand::Flag(_)
            | Operand::Now => {
                Err(wrong(position, "after \"in\" comes a list: ['a', 'b'] or a field that is one"))
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, RuleError> {
        let token = self.next();
        match token.kind {
            Kind::Literal(value) => Ok(Operand::Literal(value)),
            Kind::Name(name) => match name.as_str() {
                "true" => Ok(Operand::Literal(Value::Bool(true))),
                "false" => Ok(Operand::Literal(Value::Bool(false))),
                "null" => Ok(Operand::Literal(Value::Null)),
                "now" => Ok(Operand::Now),
                "record" => self.place(token.position),
                "user" => self.user(),
                _ => Err(wrong(
                    token.position,
                    format!(
                        "{name:?} means nothing here; use record.<field>, user.id, user.is_admin, \
                             user.is_authenticated, now or a value; texts stand in quotes"
                    ),
                )),
            },
            kind @ (Kind::Symbol(_) | Kind::End) => {
                let message = format!("expected a value, not {}", describe(&kind));
                Err(wrong(token.position, message))
            }
        }
    }

    fn member(&mut self) -> Result<(String, usize), RuleError> {
        self.expect(".")?;
        let token = self.next();
        match token.kind {
            Kind::Name(name) => Ok((name, token.position)),
            kind @ (Kind::Symbol(_) | Kind::Literal(_) | Kind::End) => {
                Err(wrong(token.position, format!("expected a name, not {}", describe(&kind))))
            }
        }
    }

    fn user(&mut self) -> Result<Operand, RuleError> {
        let (name, position) = self.member()?;
        match name.as_str() {
            "id" => Ok(Operand::UserId),
            "is_admin" => Ok(Operand::Flag(Asker::IsAdmin)),
            "is_authenticated" => Ok(Operand::Flag(Asker::IsLoggedIn)),
            _ => Err(wrong(position, "a user has id, is_admin and is_authenticated")),
        }
    }

    fn place(&mut self, start: usize) -> Result<Operand, RuleError> {
        let (mut name, mut position) = self.member()?;
        let column = match name.as_str() {
            "id" | "owner_id" => Some(Type::Single(Scalar::Id)),
            "created_at" | "updated_at" => Some(Type::Time),
            _ => None,
        };
        if let Some(kind) = column {
            return Ok(Operand::Place(name, kind));
        }
        let is_dot = matches!(self.peek().kind, Kind::Symbol("."));
        if name == "data" && is_dot && self.schema.field("data").is_none() {
            (name, position) = self.member()?;
        }
        let mut field = find(self.schema.fields(), &name, position)?;
        let mut path = vec![name];
        loop {
            if let FieldType::Object(Some(properties)) = &field.shape.kind
                && matches!(self.peek().kind, Kind::Symbol("."))
            {
                let (name, position) = self.member()?;
                field = find(properties, &name, position)?;
                path.push(name);
                continue;
            }
            let kind = type_of(field).ok_or_else(|| {
                wrong(start, format!("{:?} has no type that can be compared", path.join(".")))
            })?;
            return Ok(Operand::Place(format!("data.{}", path.join(".")), kind));
        }
    }
}

fn find<'a>(fields: &'a [Field], name: &str, position: usize) -> Result<&'a Field, RuleError> {
    fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let names = fields.iter().map(|field| field.name.as_str());
        let nearest = names.min_by_key(|known| strsim::levenshtein(known, name));
        let hint = nearest.map(|nearest| format!("; did you mean {nearest:?}?"));
        wrong(position, format!("there is no field {name:?}{}", hint.unwrap_or_default()))
    })
}

fn type_of(field: &Field) -> Option<Type> {
    match &field.shape.kind {
        FieldType::Scalar(scalar) => Some(Type::Single(*scalar)),
        FieldType::Reference(_) => Some(Type::Single(Scalar::Id)),
        FieldType::List(Some(items)) => match &items.kind {
            FieldType::Scalar(scalar) => Some(Type::List(*scalar)),
            FieldType::Reference(_) | FieldType::List(_) | FieldType::Object(_) => None,
        },
        FieldType::List(None) | FieldType::Object(_) => None,
    }
}

/// An operand that is true or false by itself.
fn truth(operand: Operand) -> Option<Node> {
    match operand {
        Operand::Literal(Value::Bool(truth)) => Some(Node::Constant(truth)),
        Operand::Flag(asker) => Some(Node::Asker(asker)),
        Operand::Place(place, Type::Single(Scalar::Bool)) => {
            Some(Node::Compare(place, Comparison::Equal, Term::Literal(Value::Bool(true))))
        }
        Operand::Literal(_) | Operand::Place(..) | Operand::UserId | Operand::Now => None,
    }
}

fn equals(left: Operand, right: Operand, position: usize) -> Result<Node, RuleError> {
    match (left, right) {
        (Operand::Place(left, a), Operand::Place(right, b)) if is_like(a, b) => {
            Ok(Node::Same(left, right))
        }
        (Operand::Place(..), Operand::Place(..)) => {
            Err(wrong(position, "the two fields have different types"))
        }
        (Operand::Place(place, kind), other) | (other, Operand::Place(place, kind)) => {
            Ok(Node::Compare(place, Comparison::Equal, term(other, kind, position)?))
        }
        (Operand::UserId, Operand::Literal(value)) | (Operand::Literal(value), Operand::UserId) => {
            user_is(value, position)
        }
        (Operand::Flag(asker), Operand::Literal(Value::Bool(truth)))
        | (Operand::Literal(Value::Bool(truth)), Operand::Flag(asker)) => {
            let node = Node::Asker(asker);
            Ok(if truth { node } else { Node::Not(Box::new(node)) })
        }
        _ => Err(wrong(position, "compares nothing that differs from record to record")),
    }
}

fn user_is(value: Value, position: usize) -> Result<Node, RuleError> {
    if value.is_null() {
        return Ok(Node::Not(Box::new(Node::Asker(Asker::IsLoggedIn))));
    }
    let id = Scalar::Id.coerce(value).map_err(|message| wrong(position, message))?;
    Ok(Node::Asker(Asker::Is(id.as_str().unwrap_or_default().to_owned())))
}

fn compares(
    left: Operand,
    order: Comparison,
    right: Operand,
    position: usize,
) -> Result<Node, RuleError> {
    let (place, kind, order, other) = match (left, right) {
        (Operand::Place(..), Operand::Place(..)) => {
            return Err(wrong(position, "two fields can only be compared with == and !="));
        }
        (Operand::Place(place, kind), other) => (place, kind, order, other),
        (other, Operand::Place(place, kind)) => (place, kind, reversed(order), other),
        _ => return Err(wrong(position, "compares nothing that differs from record to record")),
    };
    let ordered = matches!(
        kind,
        Type::Time
            | Type::Single(
                Scalar::Text | Scalar::Integer | Scalar::Float | Scalar::Date | Scalar::DateTime
            )
    );
    if !ordered {
        return Err(wrong(position, "only numbers, texts, dates and times have an order"));
    }
    if other == Operand::Literal(Value::Null) {
        return Err(wrong(position, "nothing is less or greater than null"));
    }
    Ok(Node::Compare(place, order, term(other, kind, position)?))
}

/// The comparison seen from the other side.
const fn reversed(order: Comparison) -> Comparison {
    match order {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        Comparison::Equal
        | Comparison::NotEqual
        | Comparison::In
        | Comparison::Like
        | Comparison::Contains => order,
    }
}

/// Whether values of two types can be equal.
fn is_like(left: Type, right: Type) -> bool {
    let numbers = [Type::Single(Scalar::Integer), Type::Single(Scalar::Float)];
    let lists = matches!((left, right), (Type::List(_), _) | (_, Type::List(_)));
    !lists && (left == right || (numbers.contains(&left) && numbers.contains(&right)))
}

/// An operand as a value of a type.
fn term(operand: Operand, kind: Type, position: usize) -> Result<Term, RuleError> {
    match (operand, kind) {
        (_, Type::List(_)) => {
            Err(wrong(position, "a list is only asked whether it holds a value, with \"in\""))
        }
        (Operand::Literal(Value::Null), _) => Ok(Term::Literal(Value::Null)),
        (Operand::Literal(value), Type::Single(scalar)) => literal(value, scalar, position),
        (Operand::Literal(value), Type::Time) => {
            let time = Scalar::DateTime.coerce(value);
            let time = time.map_err(|message| wrong(position, message))?;
            Ok(Term::Literal(time))
        }
        (Operand::UserId, Type::Single(Scalar::Id | Scalar::Text)) => Ok(Term::UserId),
        (Operand::Now, Type::Single(Scalar::DateTime) | Type::Time) => Ok(Term::Now),
        (Operand::UserId, _) => {
            Err(wrong(position, "a user's id is compared with ids and texts only"))
        }
        (Operand::Now, _) => Err(wrong(position, "now is compared with times only")),
        (Operand::Flag(_) | Operand::Place(..), _) => {
            Err(wrong(position, "these can't be compared"))
        }
    }
}

/// A literal as a type has it, without making one type another: `"5"` is no number here.
fn literal(value: Value, scalar: Scalar, position: usize) -> Result<Term, RuleError> {
    let fits = match scalar {
        Scalar::Integer | Scalar::Float => value.is_number(),
        Scalar::Bool => value.is_boolean(),
        Scalar::Text | Scalar::Date | Scalar::DateTime | Scalar::Id => value.is_string(),
    };
    if !fits {
        let expected = match scalar {
            Scalar::Integer | Scalar::Float => "a number",
            Scalar::Bool => "true or false",
            Scalar::Text => "a text in quotes",
            Scalar::Date | Scalar::DateTime => "a time in quotes",
            Scalar::Id => "an id in quotes",
        };
        return Err(wrong(position, format!("can't be compared with {value}; give {expected}")));
    }
    // A number may be between two whole ones.
    let number = matches!(scalar, Scalar::Integer | Scalar::Float);
    let value = if number { Ok(value) } else { scalar.coerce(value) };
    value.map(Term::Literal).map_err(|message| wrong(position, message))
}
