//! Rate limits: how often an address may try to log in and the like, and how often anybody may ask
//! for anything.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use tinybase_model::{ApplicationTokenId, Identity, UserId};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::caller::bearer;
use crate::client_address::{Peer, counted};
use crate::problem::{HttpProblem, Kind};

/// How many requests a minute; 0 means any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitOptions {
    /// Whether there are limits at all.
    pub enabled: bool,
    /// Registrations, for each address.
    pub register: u32,
    /// Logins, for each address.
    pub login: u32,
    /// Refreshed logins, for each address.
    pub refresh: u32,
    /// Changes of the password, for each address.
    pub password: u32,
    /// Letters with a link for a new password, for each address.
    pub reset_request: u32,
    /// New passwords by such a link, for each address.
    pub reset_confirm: u32,
    /// Requests of any kind, for each address that nobody is logged in from.
    pub per_address: u32,
    /// Requests of any kind, for each user and application token.
    pub per_identity: u32,
}

impl Default for RateLimitOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            register: 5,
            login: 10,
            refresh: 20,
            password: 10,
            reset_request: 5,
            reset_confirm: 10,
            per_address: 0,
            per_identity: 0,
        }
    }
}

/// The limits of a server with what was counted. Cloning is cheap and shares everything.
#[derive(Debug, Clone, Default)]
pub struct RateLimits {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    routes: Vec<(&'static str, Limit)>,
    per_address: Option<Limit>,
    per_identity: Option<Limit>,
}

/// One limit.
#[derive(Debug)]
struct Limit {
    name: &'static str,
    per_minute: NonZeroU32,
    limiter: DefaultKeyedRateLimiter<Key, StateInformationMiddleware>,
}

/// Whom a limit counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    User(UserId),
    Application(ApplicationTokenId),
    /// Everybody new while more come than can be told apart.
    Others,
}

/// How a limit stands for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    name: &'static str,
    per_minute: NonZeroU32,
    remaining: u32,
    /// Until there is one more, or, if that is now, until all are there.
    reset: Duration,
    allowed: bool,
}

/// The time that limits count in.
const PERIOD: Duration = Duration::from_mins(1);
/// How often is forgotten whoever has no request counted any more.
const TIDY_PERIOD: Duration = Duration::from_secs(30);
/// How many a limit tells apart.
const KEYS_MAX: usize = 100_000;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

impl RateLimits {
    /// Nobody has asked for anything yet.
    pub fn new(options: &RateLimitOptions) -> Self {
        if !options.enabled {
            return Self::default();
        }
        let routes = [
            ("/api/auth/register", "register", options.register),
            ("/api/auth/login", "login", options.login),
            ("/api/auth/refresh", "refresh", options.refresh),
            ("/api/auth/password", "password", options.password),
            ("/api/auth/password-reset/request", "reset-request", options.reset_request),
            ("/api/auth/password-reset/confirm", "reset-confirm", options.reset_confirm),
        ];
        let routes = routes.into_iter().filter_map(|(path, name, per_minute)| {
            Limit::new(name, per_minute).map(|limit| (path, limit))
        });
        let inner = Inner {
            routes: routes.collect(),
            per_address: Limit::new("address", options.per_address),
            per_identity: Limit::new("identity", options.per_identity),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Forgets now and then whoever has no request counted any more, until `stop`.
    pub async fn tidy(&self, stop: CancellationToken) {
        let mut period = tokio::time::interval(TIDY_PERIOD);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = period.tick() => self.forget(),
            }
        }
    }

    fn forget(&self) {
        let Inner { routes, per_address, per_identity } = &*self.inner;
        let all = routes.iter().map(|(_, limit)| limit).chain(per_address).chain(per_identity);
        for limit in all {
            limit.limiter.retain_recent();
            limit.limiter.shrink_to_fit();
        }
    }

    /// The limit of a route for each address.
    fn of_route(&self, method: &Method, path: Option<&str>) -> Option<&Limit> {
        let path = path.filter(|_| method == Method::POST)?;
        self.inner.routes.iter().find(|(route, _)| *route == path).map(|(_, limit)| limit)
    }
}

impl Limit {
    fn new(name: &'static str, per_minute: u32) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::dashmap(Quota::per_minute(per_minute))
            .with_middleware::<StateInformationMiddleware>();
        Some(Self { name, per_minute, limiter })
    }

    /// Counts a request.
    fn count(&self, key: Key) -> Standing {
        let key = if self.limiter.len() < KEYS_MAX { key } else { Key::Others };
        let (allowed, remaining, reset) = match self.limiter.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.per_minute.get().saturating_sub(remaining);
                (true, remaining, PERIOD / self.per_minute.get() * used)
            }
            Err(until) => (false, 0, until.wait_time_from(DefaultClock::default().now())),
        };
        Standing { name: self.name, per_minute: self.per_minute, remaining, reset, allowed }
    }
}

/// Counts a request and refuses it if it is one too many. The operator's own are never counted.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let Some(Peer(peer)) = peer.filter(|_| !app.options.operator) else {
        return next.run(request).await;
    };
    let address = counted(app.options.trusted_proxies.client(peer, request.headers()));
    let limits = &app.options.rate_limits;
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let of_route = limits.of_route(request.method(), path);
    let of_route = of_route.map(|limit| limit.count(Key::Address(address)));
    if let Some(standing) = of_route.filter(|standing| !standing.allowed) {
        return refusal(&standing);
    }
    let (of_all, request) = count_all(&app, address, request).await;
    if let Some(standing) = of_all.filter(|standing| !standing.allowed) {
        return refusal(&standing);
    }
    let mut response = next.run(request).await;
    if let Some(standing) = of_route.or(of_all) {
        standing.show(response.headers_mut());
    }
    response
}

/// Counts a request of any kind, for whoever sends it if that one is logged in.
async fn count_all(app: &App, address: IpAddr, request: Request) -> (Option<Standing>, Request) {
    let Inner { per_address, per_identity, .. } = &*app.options.rate_limits.inner;
    if per_address.is_none() && per_identity.is_none() {
        return (None, request);
    }
    let (parts, body) = request.into_parts();
    let identity = match bearer(&parts) {
        Ok(Some(token)) => app.core.identify(token).await.ok(),
        Ok(None) | Err(_) => None,
    };
    let (limit, key) = match identity {
        Some(Identity::User { id, .. }) => (per_identity, Key::User(id)),
        Some(Identity::Application(application)) => {
            (per_identity, Key::Application(application.id))
        }
        Some(Identity::Anonymous | Identity::Extension(_) | Identity::Operator) | None => {
            (per_address, Key::Address(address))
        }
    };
    let standing = limit.as_ref().map(|limit| limit.count(key));
    (standing, Request::from_parts(parts, body))
}

fn refusal(standing: &Standing) -> Response {
    let detail = format!("Rate limit exceeded: {} per 1 minute", standing.per_minute);
    let mut response = HttpProblem::new(Kind::RateLimited, detail).into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(standing.reset).max(1)));
    standing.show(headers);
    response
}

impl Standing {
    /// Writes the headers that clients know, and those that are becoming the standard.
    fn show(&self, headers: &mut HeaderMap) {
        let Self { name, per_minute, remaining, reset, .. } = self;
        let reset = seconds(*reset);
        let at = Timestamp::now().as_second() + i64::try_from(reset).unwrap_or(0);
        headers.insert(LIMIT, HeaderValue::from(per_minute.get()));
        headers.insert(REMAINING, HeaderValue::from(*remaining));
        headers.insert(RESET, HeaderValue::from(at));
        let policy = format!("\"{name}\";q={per_minute};w={}", PERIOD.as_secs());
        let standing = format!("\"{name}\";r={remaining};t={reset}");
        for (header, text) in [(POLICY, policy), (STANDING, standing)] {
            // Names and numbers, which every header takes.
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        }
    }
}

/// Whole seconds, never too few.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Key {
        Key::Address(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn so_many_are_let_through_and_then_none_and_each_counts_alone() {
        let limit = Limit::new("login", 3).expect("a limit");
        for left in [2, 1, 0] {
            let standing = limit.count(address(1));
            assert_eq!((standing.allowed, standing.remaining), (true, left));
        }
        let refused = limit.count(address(1));
        assert_eq!((refused.allowed, refused.remaining), (false, 0));
        assert!(!refused.reset.is_zero() && refused.reset <= Duration::from_secs(20));
        assert!(limit.count(address(2)).allowed);
        assert!(limit.count(Key::User(UserId::generate())).allowed);
    }

    #[test]
    fn zero_means_no_limit_and_switched_off_means_none_at_all() {
        assert!(Limit::new("login", 0).is_none());
        let off = RateLimitOptions { enabled: false, ..RateLimitOptions::default() };
        let limits = RateLimits::new(&off);
        assert!(limits.of_route(&Method::POST, Some("/api/auth/login")).is_none());
    }

    #[test]
    fn a_route_has_its_limit_for_its_method_only() {
        let limits = RateLimits::new(&RateLimitOptions::default());
        let of = |method, path| limits.of_route(method, path).map(|limit| limit.name);
        assert_eq!(of(&Method::POST, Some("/api/auth/login")), Some("login"));
        assert_eq!(of(&Method::GET, Some("/api/auth/login")), None);
        assert_eq!(of(&Method::POST, Some("/api/collections")), None);
        assert_eq!(of(&Method::POST, None), None);
    }

    #[test]
    fn what_is_counted_stays_within_its_bound() {
        let limit = Limit::new("login", 1_000_000).expect("a limit");
        for _ in 0..KEYS_MAX + 10 {
            limit.count(Key::User(UserId::generate()));
        }
        assert_eq!(limit.limiter.len(), KEYS_MAX + 1, "and one for all others");
    }

    #[test]
    fn the_headers_tell_how_it_stands() {
        let limit = Limit::new("login", 10).expect("a limit");
        let mut headers = HeaderMap::new();
        limit.count(address(1)).show(&mut headers);
        assert_eq!(headers[LIMIT], "10");
        assert_eq!(headers[REMAINING], "9");
        assert_eq!(headers[POLICY], "\"login\";q=10;w=60");
        assert_eq!(headers[STANDING], "\"login\";r=9;t=6");
    }
}
