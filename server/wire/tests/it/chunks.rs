//! Results in chunks: credit, order, spoiled streams, and callers that have enough.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tinybase_model::{Fault, InvokeError, JsonBytes, Limits, Outcome};
use tinybase_proto::v1;
use tinybase_wire::ChunkSink;
use tokio::sync::Semaphore;

use crate::kit::{PATIENCE, Talk, TestWire, all_at_once, call, done, hello, soon, until};

const CREDIT: u32 = 4;

/// Takes as many chunks as it is let, and has enough after so many.
#[derive(Debug)]
struct Reader {
    chunks: Mutex<Vec<String>>,
    turns: Semaphore,
    enough: usize,
}

impl Reader {
    fn new(turns: usize) -> Self {
        let (chunks, turns) = (Mutex::new(Vec::new()), Semaphore::new(turns));
        Self { chunks, turns, enough: usize::MAX }
    }

    fn chunks(&self) -> Vec<String> {
        self.chunks.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl ChunkSink for Reader {
    async fn put(&self, chunk: JsonBytes) -> Result<(), Fault> {
        self.turns.acquire().await.expect("open").forget();
        let mut chunks = self.chunks.lock().expect("not poisoned");
        if chunks.len() == self.enough {
            let (kind, message) = ("Enough".to_owned(), "no more".to_owned());
            return Err(Fault { kind, message, stack: String::new(), retry_after: None });
        }
        chunks.push(chunk.text().to_owned());
        Ok(())
    }
}

fn start() -> TestWire {
    TestWire::start_with(Limits { chunk_credit: CREDIT, ..Limits::default() })
}

fn streaming() -> v1::SessionRequest {
    let features = vec!["stream".to_owned()];
    let function =
        v1::FunctionBinding { name: "work".to_owned(), streams: true, ..Default::default() };
    v1::SessionRequest {
        hello: Some(v1::Hello { features, ..hello() }),
        register: Some(v1::Register { functions: vec![function], ..Default::default() }),
        ..all_at_once(1)
    }
}

fn chunk(invocation: &v1::Invocation, value: &str) -> v1::Chunk {
    v1::Chunk { invocation_id: invocation.id.clone(), value: value.to_owned().into() }
}

async fn send(talk: &Talk, chunks: Vec<v1::Chunk>) {
    talk.say(v1::SessionRequest { chunks, ..Default::default() }).await;
}

async fn grant(talk: &mut Talk) -> v1::ChunkGrant {
    loop {
        if let Some(grant) = talk.next().await.expect("a frame").grants.pop() {
            return grant;
        }
    }
}

#[tokio::test]
async fn chunks_arrive_in_order_before_the_outcome_of_their_frame() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    assert!(session.registration().functions()[0].streams);
    let reader = Reader::new(100);
    let extension = async {
        let invocation = talk.invocation().await;
        assert_eq!(invocation.chunk_credit, CREDIT);
        send(&talk, vec![chunk(&invocation, "1"), chunk(&invocation, "2")]).await;
        let granted = grant(&mut talk).await;
        assert_eq!((granted.invocation_id, granted.chunks), (invocation.id.clone(), 2));
        talk.say(v1::SessionRequest {
            chunks: vec![chunk(&invocation, "3"), chunk(&invocation, "4")],
            outcomes: vec![done(&invocation)],
            ..Default::default()
        })
        .await;
    };
    let (outcome, ()) = tokio::join!(session.invoke_streaming(call(PATIENCE), &reader), extension);
    assert_eq!(outcome, Ok(Outcome::Success { output: None, patch: None }));
    assert_eq!(reader.chunks(), ["1", "2", "3", "4"]);
    assert_eq!((session.health().violations, session.health().held), (0, 0));
}

#[tokio::test]
async fn nothing_is_granted_while_nobody_reads() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    let reader = Reader::new(1);
    let extension = async {
        let invocation = talk.invocation().await;
        let all = ["1", "2", "3", "4"].map(|value| chunk(&invocation, value));
        send(&talk, all.into()).await;
        until("the first is read", || reader.chunks().len() == 1).await;
        reader.turns.add_permits(1);
        assert_eq!(grant(&mut talk).await.chunks, 2, "both that were read");
        reader.turns.add_permits(100);
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke_streaming(call(PATIENCE), &reader), extension);
    outcome.expect("an outcome");
    assert_eq!(reader.chunks().len(), 4);
}

#[tokio::test]
async fn a_chunk_that_was_not_granted_or_is_not_json_spoils_the_stream() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    for (values, read) in [(vec!["1"; CREDIT as usize + 1], 4), (vec!["1", "{", "2"], 1)] {
        let reader = Reader::new(100);
        let extension = async {
            let invocation = talk.invocation().await;
            let chunks = values.iter().map(|value| chunk(&invocation, value));
            send(&talk, chunks.collect()).await;
            assert_eq!(talk.cancel().await.invocation_id, invocation.id);
            send(&talk, vec![chunk(&invocation, "9")]).await;
            talk.answer(done(&invocation)).await;
        };
        let (outcome, ()) =
            tokio::join!(session.invoke_streaming(call(PATIENCE), &reader), extension);
        let Ok(Outcome::Fault(fault)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(fault.kind, "ProtocolError", "{fault:?}");
        assert_eq!(reader.chunks().len(), read);
        until("the slot is free", || session.health().held == 0).await;
    }
    assert_eq!(session.health().late_outcomes, 2);
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_the_work() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    let reader = Reader { enough: 1, ..Reader::new(100) };
    let extension = async {
        let invocation = talk.invocation().await;
        send(&talk, vec![chunk(&invocation, "1"), chunk(&invocation, "2")]).await;
        assert_eq!(talk.cancel().await.reason, "client_gone");
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke_streaming(call(PATIENCE), &reader), extension);
    assert!(matches!(outcome, Ok(Outcome::Fault(fault)) if fault.kind == "Enough"));
    until("the slot is free", || session.health().held == 0).await;
}

#[tokio::test]
async fn the_time_is_over_although_the_outcome_is_there_while_nobody_reads() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    let reader = Reader::new(0);
    let timeout = Duration::from_millis(500);
    let extension = async {
        let invocation = talk.invocation().await;
        send(&talk, vec![chunk(&invocation, "1")]).await;
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke_streaming(call(timeout), &reader), extension);
    assert_eq!(outcome, Err(InvokeError::TimedOut(timeout)));
    assert_eq!(session.health().held, 0);
}

#[tokio::test]
async fn chunks_of_a_process_that_went_away_are_still_read() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    let reader = Reader::new(100);
    let extension = async {
        let invocation = talk.invocation().await;
        send(&talk, vec![chunk(&invocation, "1")]).await;
        until("it is read", || reader.chunks().len() == 1).await;
        talk.hang_up();
    };
    let (outcome, ()) = tokio::join!(session.invoke_streaming(call(PATIENCE), &reader), extension);
    assert_eq!(outcome, Err(InvokeError::Disconnected));
}

#[tokio::test]
async fn chunks_of_work_that_has_none_are_violations() {
    let wire = start();
    let (session, _client, mut talk) = wire.session(streaming()).await;
    let extension = async {
        let invocation = talk.invocation().await;
        assert_eq!(invocation.chunk_credit, 0, "nobody reads chunks");
        send(&talk, vec![chunk(&invocation, "1")]).await;
        talk.answer(done(&invocation)).await;
        send(&talk, vec![chunk(&invocation, "2")]).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
    until("both are counted", || session.health().violations == 2).await;
}

#[tokio::test]
async fn a_function_that_streams_needs_the_feature() {
    let wire = start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let first = v1::SessionRequest { hello: Some(hello()), ..streaming() };
    let mut talk = client.session(first).await.expect("a session");
    let status = talk.end().await.expect_err("refused");
    assert!(status.message().contains("\"stream\""), "{status:?}");
    soon("the handshake", expected.session()).await.expect_err("refused");
}
