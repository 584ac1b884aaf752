//! `Hello`, `Register` and `Ready`: what they must be like, and what they change.

use std::sync::Arc;
use std::time::Duration;

use tinybase_model::Limits;
use tinybase_proto::v1;

use crate::book::SlotId;
use crate::convert::registration;
use crate::seat::Seat;
use crate::stage::Stage;
use crate::status::Refusal;
use crate::violation::Violation;
use crate::wire::WireOptions;

/// The protocol versions that this server speaks.
const PROTOCOL_MIN: u32 = 1;
const PROTOCOL_MAX: u32 = 1;

/// An optional behaviour of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// The extension acknowledges what it receives.
    Ack,
    /// The extension answers pings.
    Heartbeat,
    /// The extension sends results in chunks, as many as it is granted.
    Stream,
}

impl Feature {
    const ALL: [Self; 3] = [Self::Ack, Self::Heartbeat, Self::Stream];

    const fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Heartbeat => "heartbeat",
            Self::Stream => "stream",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The optional behaviours in force in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Features(u8);

impl Features {
    /// Those asked for that this server has too.
    fn negotiate(asked: &[String]) -> Self {
        let asked = |feature: &Feature| asked.iter().any(|name| name == feature.name());
        Self(Feature::ALL.into_iter().filter(asked).map(Feature::bit).sum())
    }

    /// Whether it is in force.
    pub(crate) const fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    fn names(self) -> Vec<String> {
        let names = Feature::ALL.into_iter().filter(|feature| self.has(*feature));
        names.map(|feature| feature.name().to_owned()).collect()
    }
}

/// Greets an extension: checks who it says it is, finds the version, grants credit.
pub(crate) fn greet(
    seat: &Seat,
    slot: SlotId,
    hello: &v1::Hello,
    options: &WireOptions,
) -> Result<Features, Refusal> {
    let expected = &seat.ticket.extension;
    if hello.extension != expected.as_str() {
        return Err(Refusal::denied(format!(
            "Hello.extension is {:?}, and this process was started as {expected}; send the name \
             in TINYBASE_EXTENSION, which is the one in the manifest",
            hello.extension
        )));
    }
    let protocol = negotiate_version(hello)?;
    let features = Features::negotiate(&hello.features);
    let core = &seat.core;
    let credit = hello.credit.unwrap_or(1);
    core.desk().book.grant(slot, credit).map_err(|_| no_credit(core.limits()))?;
    core.set_features(features);
    core.advance(Stage::Connected, Stage::Greeted);
    let welcome = v1::Welcome {
        protocol,
        features: features.names(),
        limits: Some(limits(core.limits())),
        config: seat.ticket.config.bytes().clone(),
        server_version: options.server_version.clone(),
        log_level: options.log_level.as_str().to_owned(),
    };
    core.say(|controls| controls.welcome = Some(welcome));
    Ok(features)
}

/// Puts a registration in force in place of the former one.
pub(crate) fn register(seat: &Seat, message: v1::Register) -> Result<(), Refusal> {
    let (core, ticket) = (&seat.core, &seat.ticket);
    let registration = registration(&ticket.extension, message)?;
    let streaming = registration.functions().iter().find(|function| function.streams);
    if let Some(function) = streaming.filter(|_| !core.features().has(Feature::Stream)) {
        return Err(Refusal::precondition(format!(
            "the function {:?} streams, and the feature \"stream\" is not in force; ask for it in \
             Hello.features",
            function.name
        )));
    }
    ticket
        .registrar
        .register(&ticket.extension, &registration)
        .map_err(|refusal| Refusal::precondition(refusal.message))?;
    let bindings = registration.hooks().len() + registration.functions().len();
    let bindings = u32::try_from(bindings).unwrap_or(u32::MAX);
    core.desk().registration = Arc::new(registration);
    core.advance(Stage::Greeted, Stage::Registered);
    core.say(|controls| controls.registered = Some(v1::Registered { bindings }));
    Ok(())
}

/// Takes `Ready`, which comes once, after the first `Register`.
pub(crate) fn ready(seat: &Seat) -> Result<(), Refusal> {
    if seat.core.advance(Stage::Registered, Stage::Ready) {
        return Ok(());
    }
    if seat.core.stage() < Stage::Registered {
        return Err(Refusal::precondition(
            "Ready came before Register; register first, with empty lists if there is nothing",
        ));
    }
    seat.core.note_violations(vec![Violation::ReadyAgain]);
    Ok(())
}

/// Gives a further slot its credit.
pub(crate) fn attach(seat: &Seat, slot: SlotId, attach: v1::Attach) -> Result<(), Refusal> {
    if attach.credit == 0 {
        return Err(Refusal::invalid("Attach.credit is 0; a further slot needs at least 1"));
    }
    let core = &seat.core;
    core.desk().book.grant(slot, attach.credit).map_err(|_| no_credit(core.limits()))?;
    Ok(())
}

fn no_credit(limits: &Limits) -> Refusal {
    Refusal::exhausted(format!(
        "all {} of the session's credit (Limits.credit_max) is granted to other slots",
        limits.credit_max
    ))
}

fn negotiate_version(hello: &v1::Hello) -> Result<u32, Refusal> {
    let (min, max) = (hello.protocol_min.max(1), hello.protocol_max.max(1));
    if min > max {
        return Err(Refusal::invalid(format!(
            "Hello.protocol_min {min} is above Hello.protocol_max {max}"
        )));
    }
    if min > PROTOCOL_MAX || max < PROTOCOL_MIN {
        return Err(Refusal::precondition(format!(
            "the extension speaks protocol versions {min} to {max}, and this server \
             {PROTOCOL_MIN} to {PROTOCOL_MAX}; use an SDK that fits, or another server"
        )));
    }
    Ok(max.min(PROTOCOL_MAX))
}

fn limits(limits: &Limits) -> v1::Limits {
    let bytes = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    v1::Limits {
        message_bytes_max: bytes(limits.message_bytes_max),
        body_bytes_max: bytes(limits.body_bytes_max),
        credit_max: limits.credit_max,
        slots_max: limits.slots_max,
        heartbeat_interval_ms: milliseconds(limits.heartbeat_interval),
        heartbeat_timeout_ms: milliseconds(limits.heartbeat_timeout),
        chunk_bytes_max: bytes(limits.chunk_bytes_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(protocol_min: u32, protocol_max: u32) -> Result<u32, Refusal> {
        negotiate_version(&v1::Hello { protocol_min, protocol_max, ..Default::default() })
    }

    #[test]
    fn the_highest_common_version_is_used_and_unset_means_the_first() {
        assert_eq!(version(0, 0), Ok(1));
        assert_eq!(version(1, 7), Ok(1));
        let refusal = version(2, 3).expect_err("no common version");
        assert!(refusal.message().contains("2 to 3"), "{}", refusal.message());
        version(3, 2).expect_err("upside down");
    }

    #[test]
    fn unknown_features_are_ignored() {
        let asked = ["telepathy".to_owned(), "ack".to_owned()];
        let features = Features::negotiate(&asked);
        assert!(features.has(Feature::Ack) && !features.has(Feature::Heartbeat));
        assert_eq!(features.names(), ["ack"]);
    }
}
