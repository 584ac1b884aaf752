//! Who sends a request.

use std::fmt::Display;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use tinybase_core::Core;
use tinybase_model::{Cause, Identity};

use crate::app::App;
use crate::client_address::Peer;
use crate::problem::{HttpProblem, Kind};

/// Whoever sends the request, logged in or not. A token that isn't valid is refused and doesn't
/// count as nobody.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    traceparent: String,
    address: Option<IpAddr>,
}

impl Caller {
    /// The request as a cause of what follows from it.
    pub(crate) fn cause(&self) -> Cause {
        Cause::request(self.identity.clone(), self.traceparent.clone()).from_address(self.address)
    }
}

impl Caller {
    /// Notes in the activity log what this caller has done.
    pub(crate) fn note(&self, core: &Core, action: &str, resource: &str, id: impl Display) {
        core.note(&self.cause(), action, resource, &id.to_string());
    }

    /// Notes what this caller, if it is a user, has done to itself.
    pub(crate) fn note_self(&self, core: &Core, action: &str) {
        if let Some(user) = self.identity.user_id() {
            self.note(core, action, "user", user);
        }
    }
}

/// The bearer token, if one was sent.
pub(crate) fn bearer(parts: &Parts) -> Result<Option<&str>, HttpProblem> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
            Ok(Some(token.trim()))
        }
        _ => Err(HttpProblem::new(
            Kind::Unauthenticated,
            "The authorization header has to be \"Bearer\" and a token",
        )),
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpProblem> {
        let identity = if app.options.operator {
            Identity::Operator
        } else {
            match bearer(parts)? {
                Some(token) => app.core.identify(token).await?,
                None => Identity::Anonymous,
            }
        };
        let traceparent = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        let traceparent = traceparent.unwrap_or_default().to_owned();
        let proxies = &app.options.trusted_proxies;
        let peer = parts.extensions.get::<Peer>();
        let address = peer.map(|peer| proxies.client(peer.0, &parts.headers));
        Ok(Self { identity, traceparent, address })
    }
}

/// A caller who is an administrator.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpProblem> {
        let caller = <Caller as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        tinybase_core::authorize_admin(&caller.identity)?;
        Ok(Self(caller))
    }
}

/// The bearer token itself, for the one route that takes a refresh token.
#[derive(Debug)]
pub(crate) struct Bearer(pub(crate) String);

impl OptionalFromRequestParts<App> for Bearer {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Option<Self>, HttpProblem> {
        Ok(bearer(parts)?.map(|token| Self(token.to_owned())))
    }
}
