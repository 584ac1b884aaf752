//! One session with the core, from the handshake to its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tinybase_proto::v1;
use tinybase_proto::v1::extension_service_client::ExtensionServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Streaming};

use super::dial::dial;
use super::outbox::Outbox;
use super::{ConnectError, Dispatcher, Host, Options, Outcomes, RunError};

/// The protocol version that this client speaks.
const PROTOCOL: u32 = 1;
/// The largest frame that is read. The core's own limit is lower; the core is trusted with it.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// A session that the core has accepted and that has not begun to work.
pub struct Connection {
    welcome: v1::Welcome,
    inbound: Streaming<v1::SessionResponse>,
    outbox: Arc<Outbox>,
    host: Host,
    /// What came in the frames of the handshake beside the handshake.
    early: Vec<v1::SessionResponse>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("welcome", &self.welcome).finish_non_exhaustive()
    }
}

impl Connection {
    /// Dials the core, introduces the extension and registers what it handles.
    ///
    /// # Errors
    /// If nobody listens, or the core refuses the extension or what it registers.
    pub async fn open(options: Options, register: v1::Register) -> Result<Self, ConnectError> {
        let bearer: MetadataValue<Ascii> =
            format!("Bearer {}", options.token).parse().map_err(|_| ConnectError::Token)?;
        let channel = dial(&options.socket).await?;
        let outbox = Outbox::new(Some(first_frame(options, register)));
        let mut request = Request::new(outbox.frames());
        request.metadata_mut().insert("authorization", bearer.clone());
        let inbound = ExtensionServiceClient::new(channel.clone())
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .session(request)
            .await
            .map_err(|status| ConnectError::from_status(&status))?
            .into_inner();
        let host = Host::new(channel, bearer);
        let welcome = v1::Welcome::default();
        let mut connection = Self { welcome, inbound, outbox, host, early: Vec::new() };
        connection.shake_hands().await?;
        Ok(connection)
    }

    /// What the core said: the configuration, the limits, the features in force.
    pub const fn welcome(&self) -> &v1::Welcome {
        &self.welcome
    }

    /// The way to call the core.
    pub fn host(&self) -> Host {
        self.host.clone()
    }

    /// Where outcomes go; the same that the dispatcher is given.
    pub fn outcomes(&self) -> Outcomes {
        self.outbox.outcomes()
    }

    /// Tells the core that the extension is ready and works until the core ends the session.
    ///
    /// # Errors
    /// If the socket closed, which means that the server is gone, or the core ended the session
    /// for a reason that it names.
    ///
    /// # Cancel safety
    /// Not cancel-safe: dropping the future closes the session.
    pub async fn run(mut self, dispatcher: Arc<dyn Dispatcher>) -> Result<(), RunError> {
        let outcomes = self.outbox.outcomes();
        self.outbox.ready();
        for frame in std::mem::take(&mut self.early) {
            self.take(frame, dispatcher.as_ref(), &outcomes);
        }
        loop {
            match self.inbound.message().await {
                Ok(Some(frame)) => self.take(frame, dispatcher.as_ref(), &outcomes),
                Ok(None) => return Ok(()),
                Err(status) => return Err(RunError::from_status(&status)),
            }
        }
    }

    async fn shake_hands(&mut self) -> Result<(), ConnectError> {
        let mut welcomed = false;
        loop {
            let frame = self.inbound.message().await;
            let frame = frame.map_err(|status| ConnectError::from_status(&status))?;
            let Some(mut frame) = frame else {
                let message = "the server ended the session before it took the registration";
                return Err(ConnectError::Handshake { message: message.to_owned() });
            };
            if let Some(welcome) = frame.welcome.take() {
                welcomed = true;
                self.welcome = welcome;
                if let Some(limits) = self.welcome.limits {
                    self.outbox.limit(&limits);
                }
            }
            if let Some(ping) = frame.ping.take() {
                self.outbox.pong(ping.id);
            }
            let registered = frame.registered.take().is_some();
            self.early.push(frame);
            if welcomed && registered {
                return Ok(());
            }
        }
    }

    fn take(&self, frame: v1::SessionResponse, dispatcher: &dyn Dispatcher, outcomes: &Outcomes) {
        if let Some(ping) = frame.ping {
            self.outbox.pong(ping.id);
        }
        if !frame.invocations.is_empty() {
            self.outbox.received(&frame.invocations, self.acknowledges());
            dispatcher.invoke(frame.invocations, outcomes);
            self.outbox.wake();
        }
        for grant in frame.grants {
            self.outbox.grant(&grant);
        }
        for cancel in frame.cancels {
            self.outbox.cancel(&cancel.invocation_id);
            dispatcher.cancel(&cancel.invocation_id, &cancel.reason);
        }
        if let Some(drain) = frame.drain {
            dispatcher.drain(Duration::from_millis(drain.grace_ms.into()));
        }
    }

    fn acknowledges(&self) -> bool {
        self.welcome.features.iter().any(|feature| feature == "ack")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

fn first_frame(options: Options, register: v1::Register) -> v1::SessionRequest {
    v1::SessionRequest {
        hello: Some(v1::Hello {
            extension: options.extension,
            version: options.version,
            sdk: options.sdk,
            protocol_min: PROTOCOL,
            protocol_max: PROTOCOL,
            features: options.features,
            credit: Some(options.credit),
        }),
        register: Some(register),
        ..v1::SessionRequest::default()
    }
}
