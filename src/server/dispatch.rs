//! Which handler answers a request.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;

use super::error::{ApiError, Code};
use super::options::Access;
use super::reply::{self, Parameters};
use super::route::Route;
use super::state::Server;
use super::{blobs, listing, manifests, referrers, uploads};
use hod_report::Event;

/// Answers a request, or returns why it was not admitted.
pub(super) async fn respond(
    server: &Arc<Server>,
    parts: &Parts,
    admitted: Result<Body, ApiError>,
) -> Response {
    let answered = match admitted {
        Ok(body) => answer(server, parts, body).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| {
        if let Some(cause) = error.cause() {
            let text = format!("{} {}: {cause}", parts.method, parts.uri.path());
            server
                .options
                .reporter
                .event(Event::Warning { text: &text });
        }
        error.into_response()
    });
    response.headers_mut().insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

async fn answer(server: &Arc<Server>, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let (method, headers) = (&parts.method, &parts.headers);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let route = Route::parse(parts.uri.path());
    if !reads {
        server.store().map_err(|error| match &route {
            Ok(route) => with_allow(error, route, Access::ReadOnly),
            Err(_) => error,
        })?;
    }
    let parameters = Parameters::of(&parts.uri)?;
    let route = route?;
    let not_allowed = |error: ApiError| with_allow(error, &route, server.options.access);
    if *method == Method::DELETE && !matches!(route, Route::Upload(..)) {
        server.store_to_delete_from().map_err(not_allowed)?;
    }
    match (route.clone(), method) {
        (Route::Base, _) if reads => Ok(reply::json(&serde_json::json!({}))),
        (Route::Catalog, _) if reads => listing::catalog(server, &parameters).await,
        (Route::Tags(name), _) if reads => listing::tags(server, name, &parameters).await,
        (Route::Referrers(name, subject), _) if reads => {
            referrers::list(server, name, subject, &parameters).await
        }
        (Route::Manifest(name, target), _) if reads => {
            manifests::get(server, name, target, method, headers).await
        }
        (Route::Manifest(name, target), &Method::PUT) => {
            manifests::put(server, name, target, &parameters, headers, body).await
        }
        (Route::Manifest(name, target), &Method::DELETE) => {
            manifests::delete(server, name, target).await
        }
        (Route::Blob(name, digest), _) if reads => {
            blobs::get(server, name, digest, method, headers).await
        }
        (Route::Blob(name, digest), &Method::DELETE) => blobs::delete(server, name, digest).await,
        (Route::Uploads(name), &Method::POST) => {
            uploads::start(server, name, &parameters, body).await
        }
        (Route::Upload(name, id), _) => {
            let session = server.sessions.find(&name, &id)?;
            match *method {
                Method::GET => uploads::status(&session).await,
                Method::PATCH => uploads::append(server, &session, headers, body).await,
                Method::PUT => uploads::finish(server, &session, &parameters, headers, body).await,
                Method::DELETE => uploads::cancel(server, &session).await,
                _ => Err(not_allowed(unsupported(method))),
            }
        }
        _ => Err(not_allowed(unsupported(method))),
    }
}

/// Adds the `Allow` that a 405 must have.
fn with_allow(error: ApiError, route: &Route, access: Access) -> ApiError {
    error.with_header(header::ALLOW, reply::ascii(route.allowed(access)))
}

fn unsupported(method: &Method) -> ApiError {
    ApiError::new(Code::Unsupported, format!("{method} is not supported here"))
}
