//! Reads a filter. It goes down one function per level of precedence, and only so deep.

use serde_json::Value;

use super::expression::{Expression, Operand, Operator, Path, Test};
use super::token::{Token, Word, tokens};
use super::{DEPTH_MAX, FilterError, LIST_MAX, TERMS_MAX};

/// Reads a filter such as `status == "open" && (price >= 10 || tags contains "x")`.
pub(crate) fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, terms: 0, depth: 0 };
    let expression = parser.any()?;
    let word = parser.peek();
    if *word != Word::End {
        let message = format!("there is a {word} where && or || or the end should be");
        return Err(parser.wrong(message));
    }
    Ok(expression)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    terms: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.all()?];
        while self.took("||") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn all(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.term()?];
        while self.took("&&") {
            parts.push(self.term()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn term(&mut self) -> Result<Expression, FilterError> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong(format!("it is nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let term = if self.took("!") {
            Expression::Not(Box::new(self.term()?))
        } else if self.took("(") {
            let inner = self.any()?;
            if !self.took(")") {
                return Err(self.wrong(format!("there is a {} where ) should be", self.peek())));
            }
            inner
        } else {
            Expression::Test(self.test()?)
        };
        self.depth -= 1;
        Ok(term)
    }

    fn test(&mut self) -> Result<Test, FilterError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.wrong(format!("it has more than {TERMS_MAX} comparisons")));
        }
        let field = self.path()?;
        let operator = self.operator()?;
        let operand = match operator {
            Operator::In | Operator::NotIn => Operand::List(self.list()?),
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Like
            | Operator::NotLike
            | Operator::Contains => match self.peek() {
                Word::Name(_) => Operand::Field(self.path()?),
                Word::Value(_) | Word::Operator(_) | Word::End => Operand::Value(self.value()?),
            },
        };
        Ok(Test { field, operator, operand })
    }

    fn path(&mut self) -> Result<Path, FilterError> {
        let at = self.at();
        let mut keys = Vec::new();
        loop {
            match self.peek().clone() {
                Word::Name(name) => keys.push(name),
                // A key may be called like a word of the language, but not the first one.
                Word::Operator(word @ ("in" | "contains")) if !keys.is_empty() => {
                    keys.push(word.to_owned());
                }
                word @ (Word::Value(_) | Word::Operator(_) | Word::End) => {
                    return Err(self.wrong(format!("there is a {word} where a field should be")));
                }
            }
            self.next += 1;
            if !self.took(".") {
                return Ok(Path { keys, at });
            }
        }
    }

    fn operator(&mut self) -> Result<Operator, FilterError> {
        let word = self.peek().clone();
        if self.took("!") {
            if self.took("in") {
                return Ok(Operator::NotIn);
            }
        } else if let Word::Operator(text) = word
            && let Some(operator) = Operator::ALL.into_iter().find(|known| known.as_str() == text)
        {
            self.next += 1;
            return Ok(operator);
        }
        let known = Operator::ALL.map(Operator::as_str).join(" ");
        Err(self.wrong(format!("there is a {word} where one of {known} should be")))
    }

    fn value(&mut self) -> Result<Value, FilterError> {
        match self.peek().clone() {
            Word::Value(value) => {
                self.next += 1;
                Ok(value)
            }
            word @ (Word::Name(_) | Word::Operator(_) | Word::End) => {
                let message = format!(
                    "there is a {word} where a number, a \"text\", true, false, null or a field \
                     should be"
                );
                Err(self.wrong(message))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, FilterError> {
        let end = if self.took("(") {
            ")"
        } else if self.took("[") {
            "]"
        } else {
            let word = self.peek();
            return Err(self.wrong(format!("there is a {word} where [ should be")));
        };
        let mut values = Vec::new();
        while !self.took(end) {
            if values.len() == LIST_MAX {
                return Err(self.wrong(format!("a list has more than {LIST_MAX} values")));
            }
            values.push(self.value()?);
            if !self.took(",") && !matches!(self.peek(), Word::Operator(word) if *word == end) {
                let message = format!("there is a {} where , or {end} should be", self.peek());
                return Err(self.wrong(message));
            }
        }
        Ok(values)
    }

    /// The next word. The last one, the end, is never passed.
    fn peek(&self) -> &Word {
        self.tokens.get(self.next).map_or(&Word::End, |token| &token.word)
    }

    fn took(&mut self, operator: &str) -> bool {
        let is = matches!(self.peek(), Word::Operator(word) if *word == operator);
        self.next += usize::from(is);
        is
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(1, |token| token.at)
    }

    fn wrong(&self, message: impl Into<String>) -> FilterError {
        FilterError::new(self.at(), message)
    }
}

fn one_or(
    mut parts: Vec<Expression>,
    several: impl Fn(Vec<Expression>) -> Expression,
) -> Expression {
    match (parts.pop(), parts.is_empty()) {
        (Some(one), true) => one,
        (Some(last), false) => {
            parts.push(last);
            several(parts)
        }
        (None, _) => unreachable!("a term was read"),
    }
}
