//! The place that is kept for one announced process, and who may take it.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::metadata::MetadataMap;

use crate::core::SessionCore;
use crate::peer::Peer;
use crate::stage::Stage;
use crate::status::Refusal;
use crate::ticket::Ticket;
use crate::token::SessionToken;

/// One announced process.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) token: SessionToken,
    pub(crate) ticket: Ticket,
    pub(crate) process: watch::Sender<Option<u32>>,
    pub(crate) core: Arc<SessionCore>,
}

impl Seat {
    /// Waits until the process is known, and says whether this is it.
    pub(crate) async fn admit(&self, peer: Peer) -> Result<(), Refusal> {
        let mut process = self.process.subscribe();
        let known = process.wait_for(Option::is_some);
        let process = match self.core.closed().run_until_cancelled(known).await {
            Some(Ok(process)) => *process,
            Some(Err(_)) | None => None,
        };
        self.check(peer, process)
    }

    /// Says whether this is the process that has the session.
    pub(crate) fn check_again(&self, peer: Peer) -> Result<(), Refusal> {
        if self.core.stage() < Stage::Greeted {
            return Err(Refusal::precondition(
                "there is no session yet; open Session and say Hello first",
            ));
        }
        self.check(peer, *self.process.borrow())
    }

    fn check(&self, peer: Peer, process: Option<u32>) -> Result<(), Refusal> {
        if process.is_some_and(|process| peer.belongs_to(process)) {
            return Ok(());
        }
        Err(Refusal::denied(format!(
            "the token was given to another process than {}; only the process that the server \
             started for {}, and its children in its process group, may show it",
            peer.describe(),
            self.ticket.extension
        )))
    }
}

/// The bearer token of a request.
pub(crate) fn bearer(metadata: &MetadataMap) -> Result<&str, Refusal> {
    let value = metadata.get("authorization").ok_or_else(|| {
        Refusal::unauthenticated(
            "there is no token; send TINYBASE_TOKEN as `authorization: Bearer <token>` metadata",
        )
    })?;
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        return Ok(token.trim());
    }
    Err(Refusal::unauthenticated(
        "the authorization metadata is not of the form `Bearer <token>`; send TINYBASE_TOKEN",
    ))
}
