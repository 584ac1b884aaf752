//! Searches for words: what `SQLite`'s and `PostgreSQL`'s own languages for them are given is made of
//! terms, which have nothing but letters and digits.

use tinybase_model::Search;

use super::statement::Statement;
use crate::sql::Dialect;

/// Adds that a record has each of the words.
pub(super) fn push_search(statement: &mut Statement, search: &Search) {
    match statement.dialect {
        Dialect::Sqlite => {
            statement.push(
                "r.id in (select t.record_id from record_search join record_texts t \
                 on t.number = record_search.rowid where record_search match ",
            );
            let and = (" AND ", " OR ");
            statement.bind(written(search, and, |term, is_prefix| {
                format!("\"{term}\"{}", if is_prefix { " *" } else { "" })
            }));
        }
        Dialect::Postgres => {
            statement.push(
                "r.id in (select t.record_id from record_texts t \
                 where array_to_tsvector(string_to_array(t.terms, ' ')) @@ ",
            );
            let and = (" & ", " | ");
            statement.bind(written(search, and, |term, is_prefix| {
                format!("'{term}'{}", if is_prefix { ":*" } else { "" })
            }));
            statement.push("::tsquery");
        }
    }
    statement.push(")");
}

/// The collection's term and, for each word, one of its own.
fn written(
    search: &Search,
    (and, or): (&str, &str),
    term: impl Fn(&str, bool) -> String,
) -> String {
    let mut text = term(&search.collection_term(), false);
    for word in &search.words {
        let terms: Vec<_> = search.terms(word).map(|one| term(&one, word.is_prefix)).collect();
        text.push_str(and);
        text.push('(');
        text.push_str(&terms.join(or));
        text.push(')');
    }
    text
}
