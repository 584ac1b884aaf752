//! Chunks of results on their way back, each checked.

use tinybase_model::{Fault, JsonBytes};
use tinybase_proto::v1;

use crate::book::WorkId;
use crate::violation::Violation;
use crate::work::ChunkOrFault;

/// Turns the chunks of a frame around. One that is not as it should be becomes a fault.
pub(crate) fn chunks(
    messages: Vec<v1::Chunk>,
    chunk_bytes_max: usize,
    breaches: &mut Vec<Violation>,
) -> Vec<(WorkId, ChunkOrFault)> {
    let mut chunks = Vec::with_capacity(messages.len());
    for message in messages {
        let Ok(id) = message.invocation_id.parse() else {
            breaches.push(Violation::UnknownChunk { id: message.invocation_id });
            continue;
        };
        let chunk = chunk(message.value, chunk_bytes_max).unwrap_or_else(|problem| {
            breaches.push(Violation::BadChunk { id, problem: problem.clone() });
            Err(spoiled(&problem))
        });
        chunks.push((id, chunk));
    }
    chunks
}

/// The failure of an invocation whose chunks can't be taken.
pub(crate) fn spoiled(problem: &str) -> Fault {
    Fault {
        kind: "ProtocolError".to_owned(),
        message: format!("a chunk of the extension's {problem}"),
        stack: String::new(),
        retry_after: None,
    }
}

/// A chunk that is too large is the function's failure, not a breach of the protocol.
fn chunk(value: bytes::Bytes, limit: usize) -> Result<ChunkOrFault, String> {
    let size = value.len();
    if size > limit {
        return Ok(Err(Fault {
            kind: "ResultSizeError".to_owned(),
            message: format!("a chunk of the result has {size} bytes; the limit is {limit}"),
            stack: String::new(),
            retry_after: None,
        }));
    }
    JsonBytes::checked(value).map(Ok).map_err(|error| format!("is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, value: &'static str) -> (Option<ChunkOrFault>, Vec<Violation>) {
        let mut breaches = Vec::new();
        let message = v1::Chunk { invocation_id: id.to_owned(), value: value.into() };
        let mut taken = chunks(vec![message], 10, &mut breaches);
        (taken.pop().map(|(_, chunk)| chunk), breaches)
    }

    #[test]
    fn a_chunk_is_json_within_the_limit_or_a_fault() {
        let (chunk, breaches) = one("3", r#"{"n":1}"#);
        assert_eq!(chunk.expect("one").expect("a chunk").text(), r#"{"n":1}"#);
        assert!(breaches.is_empty());
        let (chunk, breaches) = one("3", r#""0123456789""#);
        assert_eq!(chunk.expect("one").expect_err("too large").kind, "ResultSizeError");
        assert!(breaches.is_empty());
        for bad in ["", "{", "1 2"] {
            let (chunk, breaches) = one("3", bad);
            assert_eq!(chunk.expect("one").expect_err("no JSON").kind, "ProtocolError");
            assert_eq!(breaches.len(), 1, "{bad:?}");
        }
        let (chunk, breaches) = one("x", "1");
        assert!(chunk.is_none());
        assert_eq!(breaches, [Violation::UnknownChunk { id: "x".into() }]);
    }
}
