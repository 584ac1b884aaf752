//! The login pages: small, rendered here, and without anything from elsewhere.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use minijinja::{Environment, context};
use serde::Deserialize;
use tinybase_core::{Core, PortalSettings, Settings};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Params, Segments};
use crate::problem::HttpProblem;

const SCRIPT: &str = include_str!("portal/portal.js");
const STYLE: &str = include_str!("portal/portal.css");
const PAGE: &str = "page.html";

/// Nothing but our own script and style; pictures from wherever the operator has them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: http: https:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    // A page that can't be parsed shows in the first test that asks for one.
    drop(pages.add_template(PAGE, include_str!("portal/page.html")));
    pages
});

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(index))
        .routes(routes!(login_page))
        .routes(routes!(register_page))
        .routes(routes!(reset_request_page))
        .routes(routes!(reset_page))
        .routes(routes!(script))
        .routes(routes!(style))
}

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Onward {
    /// A path of this server, or the configured address; anything else is passed over.
    redirect: Option<String>,
}

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Login,
    Register,
    ResetRequest,
    Reset,
}

impl View {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Login => ("login", "Log in"),
            Self::Register => ("register", "Create an account"),
            Self::ResetRequest => ("reset-request", "Forgotten password"),
            Self::Reset => ("reset", "Choose a new password"),
        }
    }
}

/// The login pages.
#[utoipa::path(
    get, path = "/auth", operation_id = "portal", tag = "auth",
    responses((status = 303, description = "To the page for logging in"))
)]
async fn index() -> Redirect {
    Redirect::to("/auth/login")
}

/// The page for logging in.
#[utoipa::path(
    get, path = "/auth/login", operation_id = "login_page", tag = "auth", params(Onward),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn login_page(
    State(core): State<Core>,
    Params(onward): Params<Onward>,
) -> Result<Response, HttpProblem> {
    page(&core.settings(), View::Login, &onward)
}

/// The page for registering.
#[utoipa::path(
    get, path = "/auth/register", operation_id = "register_page", tag = "auth", params(Onward),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn register_page(
    State(core): State<Core>,
    Params(onward): Params<Onward>,
) -> Result<Response, HttpProblem> {
    page(&core.settings(), View::Register, &onward)
}

/// The page for asking for a new password.
#[utoipa::path(
    get, path = "/auth/password-reset", operation_id = "reset_request_page", tag = "auth",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn reset_request_page(State(core): State<Core>) -> Result<Response, HttpProblem> {
    page(&core.settings(), View::ResetRequest, &Onward::default())
}

/// The page for choosing a new password, which mailed links lead to.
#[utoipa::path(
    get, path = "/auth/password-reset/{token}", operation_id = "reset_page", tag = "auth",
    params(("token" = String, Path, description = "The token that was mailed")),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn reset_page(
    State(core): State<Core>,
    Segments(_token): Segments<String>,
) -> Result<Response, HttpProblem> {
    page(&core.settings(), View::Reset, &Onward::default())
}

/// The pages' script.
#[utoipa::path(
    get, path = "/auth/portal.js", operation_id = "portal_script", tag = "auth",
    responses((status = 200, description = "The script", body = String, content_type = "text/javascript"))
)]
async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT.to_owned())
}

/// The pages' style, with the instance's colour and background.
#[utoipa::path(
    get, path = "/auth/portal.css", operation_id = "portal_style", tag = "auth",
    responses((status = 200, description = "The style", body = String, content_type = "text/css"))
)]
async fn style(State(core): State<Core>) -> Response {
    let PortalSettings { primary_color, background_image_url, .. } = &core.settings().portal;
    let color = primary_color.as_deref().filter(|color| is_color(color));
    let color = color.map(|color| format!(":root {{ --primary: {color}; }}\n"));
    let picture = background_image_url.as_deref().filter(|url| is_picture(url));
    let picture = picture.map(|url| format!("body {{ background-image: url(\"{url}\"); }}\n"));
    let own = [color.unwrap_or_default(), picture.unwrap_or_default()].concat();
    asset("text/css; charset=utf-8", [STYLE, &own].concat())
}

fn page(settings: &Settings, view: View, onward: &Onward) -> Result<Response, HttpProblem> {
    let (word, title) = view.words();
    let portal = &settings.portal;
    let configured = match view {
        View::Login | View::ResetRequest | View::Reset => &portal.login_redirect_url,
        View::Register => &portal.register_redirect_url,
    };
    let words = context! {
        view => word,
        title => title,
        instance_name => settings.instance_name,
        logo_url => portal.logo_url.as_deref().filter(|url| is_picture(url)),
        registration_enabled => settings.allow_public_registration,
        target => target(onward.redirect.as_deref(), configured.as_deref()),
        onward => onward.redirect.as_deref().filter(|wanted| is_own_path(wanted)),
    };
    let rendered = PAGES.get_template(PAGE).and_then(|page| page.render(words));
    let text = rendered.map_err(|error| HttpProblem::internal(&error))?;
    Ok(asset("text/html; charset=utf-8", text))
}

/// Where to go afterwards: a path of this server, or the configured address. There is no way to
/// have users sent anywhere else.
fn target<'a>(wanted: Option<&'a str>, configured: Option<&'a str>) -> Option<&'a str> {
    let configured = configured.filter(|url| is_web_address(url));
    match wanted {
        Some(wanted) if is_own_path(wanted) || Some(wanted) == configured => Some(wanted),
        Some(_) | None => configured,
    }
}

/// A path on this server, as every browser reads it.
fn is_own_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 2000
        && !text.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace())
}

fn is_web_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// The address of a picture that can stand in a style sheet between quotes.
fn is_picture(text: &str) -> bool {
    let harmless = |c: char| !(c.is_control() || c.is_whitespace() || "\"'\\()<>".contains(c));
    (is_web_address(text) || is_own_path(text)) && text.chars().all(harmless)
}

/// A colour that can stand in a style sheet: a word, a number, or a function of numbers.
fn is_color(text: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "#(),.% -/".contains(c);
    !text.is_empty() && text.len() <= 50 && text.chars().all(harmless) && !text.contains("/*")
}

fn asset(media_type: &'static str, text: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address of the page for a new password holds its token.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (StatusCode::OK, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_anywhere_but_here_or_to_the_configured_address() {
        let configured = Some("https://app.example/home");
        let cases = [
            (None, configured, configured),
            (Some("/admin"), configured, Some("/admin")),
            (Some("/admin?x=1#y"), None, Some("/admin?x=1#y")),
            (Some("https://app.example/home"), configured, configured),
            (Some("https://app.example/other"), configured, configured),
            (Some("https://evil.example"), None, None),
            (Some("//evil.example"), None, None),
            (Some("/\\evil.example"), None, None),
            (Some("/\t/evil.example"), None, None),
            (Some("\\\\evil.example"), None, None),
            (Some("javascript:alert(1)"), configured, configured),
            (Some("evil.example"), None, None),
            (Some(""), None, None),
            (None, Some("javascript:alert(1)"), None),
        ];
        for (wanted, configured, expected) in cases {
            assert_eq!(target(wanted, configured), expected, "{wanted:?} {configured:?}");
        }
    }

    #[test]
    fn colours_and_pictures_stay_inside_their_place() {
        for good in ["#fff", "#a1b2c3", "rebeccapurple", "rgb(1, 2, 3)", "hsl(120 50% 50% / 0.5)"] {
            assert!(is_color(good), "{good}");
        }
        for bad in ["", "red; } body { x: y", "url(\"x\")", "red\n", "a/*b", &"a".repeat(51)] {
            assert!(!is_color(bad), "{bad}");
        }
        assert!(is_picture("https://a.example/b.png?x=1"));
        assert!(is_picture("/logo.png"));
        for bad in ["javascript:x", "https://a/\") x", "https://a b", "data:x", "//a/b"] {
            assert!(!is_picture(bad), "{bad}");
        }
    }
}
