//! What to do about a refusal: decided by what was asked for, of whom, for what, and the answer.

use super::harbor::harbor_hint;
use super::tls::{tls_hint, wants_tls};
use crate::error::ErrorBody;
use crate::{LoginState, Purpose, RefusalContext, Refuser, RequestLine, Subject, TlsFailure};

/// Advice about the refusal of `request`.
pub(super) fn hint(
    request: &RequestLine,
    (status, body): (u16, &ErrorBody),
    context: &RefusalContext,
) -> Option<String> {
    let host = request.host();
    if body.wants_tls() {
        return Some(wants_tls(host));
    }
    if body.wants_certificate() {
        return tls_hint(host, TlsFailure::ClientCertificate);
    }
    if status == 407 {
        return Some(
            "The proxy requires a login. Put it into the URL of the proxy: \
             `HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT`."
                .to_owned(),
        );
    }
    match &context.refuser {
        Refuser::TokenServer { of } => Some(token_server(
            (host, request.path(), of),
            status,
            &context.login,
        )),
        Refuser::Elsewhere { by } => Some(elsewhere((host, by), status, context)),
        Refuser::Registry => harbor_hint(request, (status, body), &context.login)
            .or_else(|| registry(request, (status, body), context)),
    }
}

fn token_server(
    (host, path, registry): (&str, &str, &str),
    status: u16,
    login: &LoginState,
) -> String {
    match status {
        401 | 403 => match login {
            LoginState::As(user) => format!(
                "The token server of `{registry}` refuses `{user}`. Check the password and the \
                 rights of `{user}` with `hod login {registry}`."
            ),
            LoginState::AsToken => expired(registry),
            LoginState::Anonymous | LoginState::NotSent => log_in(registry),
            LoginState::Unusable(reason) => unusable(registry, reason),
        },
        429 => limited(host),
        500..=599 => {
            format!("The token server of `{registry}` at `{host}` is failing. Check its log.")
        }
        _ => format!(
            "`{registry}` sends clients to `{host}{path}` for tokens, but no usable token server is \
             there. Correct the realm in the configuration of the registry (in Harbor, its external \
             URL)."
        ),
    }
}

/// Another host refuses, to which the registry sent the request. No login was sent there.
fn elsewhere((host, by): (&str, &str), status: u16, context: &RefusalContext) -> String {
    match (context.subject, status) {
        (_, 429) => limited(host),
        (_, 500..=599) => format!(
            "`{by}` redirected the request to `{host}`, which is failing. Check the log of `{host}`."
        ),
        (Subject::Upload, 413) => format!(
            "`{by}` redirected the upload to `{host}`, where a proxy limits the size of requests. \
             Raise its limit (nginx: `client_max_body_size 0`)."
        ),
        (Subject::Upload, _) => format!(
            "`{by}` redirected the upload to `{host}`. Check that this address is right (the \
             external URL of `{by}`, or the `X-Forwarded-*` headers of a proxy in front of it) and \
             that its storage is writable."
        ),
        (Subject::Blob, 404 | 410) => format!(
            "The storage at `{host}`, to which `{by}` redirects, does not have this content. {}",
            push_again(by)
        ),
        (Subject::Blob, 400 | 401 | 403) => format!(
            "`{by}` redirects to the storage at `{host}`, which refused twice; no login is sent \
             there. Signed URLs are refused when clocks differ or a proxy changes the request. \
             Check the clocks of `{by}` and `{host}`, and the proxies in between."
        ),
        (_, 401 | 403) => format!(
            "`{by}` redirects to `{host}`, which requires a login of its own; that of `{by}` is \
             not sent there. Use `{host}` itself as the registry, with `hod login {host}`."
        ),
        _ => format!(
            "`{by}` redirects to `{host}`. Check that `{by}` is a registry, and that its redirects \
             are right."
        ),
    }
}

fn registry(
    request: &RequestLine,
    (status, body): (u16, &ErrorBody),
    context: &RefusalContext,
) -> Option<String> {
    let host = request.host();
    let place = match project(request.first().path()) {
        Some(project) => format!("`{project}`"),
        None => "what is requested".to_owned(),
    };
    let purpose = context.purpose;
    Some(match (status, context.subject) {
        (401, Subject::Root | Subject::Other) => unknown(host, &context.login),
        (401, _) => unauthorized(host, &place, context),
        (403, _) => forbidden(host, &place, context),
        (404, Subject::Root) => format!("Check that `{host}` is a registry."),
        (404, Subject::Blob) => format!(
            "`{host}` has the manifest of the image, but not this content. {}",
            push_again(host)
        ),
        (404, Subject::Listing) => format!(
            "Check the name of the repository. Some registries do not offer this list: see the \
             documentation of `{host}`."
        ),
        (404, _) if !request.is_read() => {
            format!("Check that {place} exists on `{host}` and that `{host}` is a registry.")
        }
        (404, Subject::Manifest) => "Check the name and the tag.".to_owned(),
        (405, _) if !request.is_read() => format!(
            "`{host}` does not accept pushes: it is read-only or a cache of another registry. Push \
             to another registry."
        ),
        (412, _) if purpose == Purpose::Pull => format!(
            "A policy of `{host}` does not allow pulling this image. Check its settings, or choose \
             another version."
        ),
        (412, _) => "A rule of the registry forbids it, such as an immutable tag.".to_owned(),
        (413, _) if is_quota(body) => format!(
            "The storage quota at `{host}` is used up. Raise it, or delete images that are no \
             longer used."
        ),
        (413, _) if !request.is_read() => format!(
            "A proxy in front of `{host}` limits the size of requests. Raise its limit (nginx: \
             `client_max_body_size 0`)."
        ),
        (429, _) => limited(host),
        (400 | 500, Subject::Manifest) if body.has_foreign_layers() && !request.is_read() => {
            format!(
                "The manifest has foreign layers, whose URLs `{host}` may not allow. A distribution \
                 registry accepts those that match `validation.manifests.urls.allow` in its \
                 configuration, or all with `validation.disabled: true`."
            )
        }
        (502..=504, _) if purpose == Purpose::Look => format!(
            "A proxy answers in place of `{host}`, which is down, starting or overloaded. Check \
             `{host}` and the log of the proxy, then run the command again."
        ),
        (500..=599, _) if purpose == Purpose::Look => {
            format!("`{host}` is failing. Check its log, then run the command again.")
        }
        (500..=599, _) => format!("`{host}` is failing. Check its log."),
        _ => return None,
    })
}

/// A 401 that is not about a repository.
fn unknown(host: &str, login: &LoginState) -> String {
    match login {
        LoginState::As(user) => format!(
            "The password of `{user}` is wrong, or `{user}` has no rights here. Check it with `hod \
             login {host}`."
        ),
        LoginState::AsToken => expired(host),
        LoginState::Anonymous => log_in(host),
        LoginState::NotSent => not_sent(host),
        LoginState::Unusable(reason) => unusable(host, reason),
    }
}

fn unauthorized(host: &str, place: &str, context: &RefusalContext) -> String {
    match &context.login {
        LoginState::As(user) => format!(
            "Either the password of `{user}` is wrong, or {place} does not exist, or `{user}` may \
             not {} there: registries give the same answer. Check each of them.",
            verb(context.purpose)
        ),
        LoginState::AsToken => format!(
            "Either the token in the credentials has expired, or {place} does not exist, or the \
             token may not be used there: registries give the same answer. Check each of them."
        ),
        LoginState::Anonymous => format!(
            "{} Registries give the same answer for repositories that do not exist.",
            log_in(host)
        ),
        LoginState::NotSent => not_sent(host),
        LoginState::Unusable(reason) => unusable(host, reason),
    }
}

fn forbidden(host: &str, place: &str, context: &RefusalContext) -> String {
    match (&context.login, context.purpose) {
        (LoginState::As(user), Purpose::Push) => format!(
            "`{host}` accepts the login of `{user}`, but refuses this. Check the role of `{user}` \
             in {place}, its quota, and whether the registry is read-only."
        ),
        (LoginState::As(user), _) => format!(
            "`{host}` accepts the login of `{user}`, but refuses this. Check that `{user}` may \
             read {place}."
        ),
        (LoginState::AsToken, _) => format!(
            "`{host}` accepts the token, but refuses this. Check the rights of the token in {place}."
        ),
        (LoginState::Anonymous, _) => format!(
            "`{host}` refuses this without a login. Log in with `hod login {host}`, or check \
             whether a proxy or firewall in between blocks the request."
        ),
        (LoginState::NotSent, _) => format!(
            "`{host}` refuses without asking for a login. Check whether a proxy or firewall in \
             between blocks the request."
        ),
        (LoginState::Unusable(reason), _) => unusable(host, reason),
    }
}

fn verb(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Pull => "pull",
        Purpose::Push => "push",
        Purpose::Look => "read",
    }
}

fn log_in(host: &str) -> String {
    format!("No login for `{host}` is known. Log in with `hod login {host}`.")
}

fn expired(host: &str) -> String {
    format!(
        "The token in the credentials has expired or was revoked. Log in again with `hod login \
         {host}`."
    )
}

fn not_sent(host: &str) -> String {
    format!(
        "`{host}` refuses without saying how to log in, so the login was not sent. Check that \
         `{host}` is a registry, and the proxies in front of it. `hod doctor {host}` shows its \
         answer."
    )
}

fn unusable(host: &str, reason: &str) -> String {
    format!("The login for `{host}` cannot be used: {reason}.")
}

fn limited(host: &str) -> String {
    format!("`{host}` limits the number of requests. Wait, or log in for a higher limit.")
}

/// How to restore content that a registry lost.
fn push_again(host: &str) -> String {
    format!(
        "Push the image again from an undamaged source, with `hod push SOURCE {host} --recheck`, \
         which asks for every blob, or pull it from another registry."
    )
}

/// Whether a 413 concerns a quota rather than the size of the request.
fn is_quota(body: &ErrorBody) -> bool {
    body.code.as_deref() == Some("DENIED") || body.says("quota")
}

/// The first component of the repository in a path of the API, which Harbor calls the project.
fn project(path: &str) -> Option<&str> {
    let project = path.strip_prefix("/v2/")?.split('/').next()?;
    (!project.is_empty()).then_some(project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Purpose::{Look, Pull, Push};

    /// Who answers, for the table.
    fn refuser(name: &str) -> (&'static str, Refuser) {
        match name {
            "registry" => ("hub.corp", Refuser::Registry),
            "token" => (
                "auth.corp",
                Refuser::TokenServer {
                    of: "hub.corp".to_owned(),
                },
            ),
            "storage" => (
                "s3.corp",
                Refuser::Elsewhere {
                    by: "hub.corp".to_owned(),
                },
            ),
            other => panic!("{other}"),
        }
    }

    fn path(subject: Subject) -> (&'static str, &'static str) {
        match subject {
            Subject::Root => ("GET", "/v2/"),
            Subject::Manifest => ("GET", "/v2/proj/app/manifests/1"),
            Subject::Blob => ("GET", "/v2/proj/app/blobs/sha256:aa"),
            Subject::Upload => ("POST", "/v2/proj/app/blobs/uploads/"),
            Subject::Listing => ("GET", "/v2/proj/app/tags/list"),
            Subject::Token => ("GET", "/token"),
            Subject::Other => ("GET", "/api/x"),
        }
    }

    #[track_caller]
    fn told(
        (subject, name, purpose): (Subject, &str, Purpose),
        (status, body): (u16, &str),
        login: LoginState,
    ) -> String {
        let (host, refuser) = refuser(name);
        let (mut method, path) = path(subject);
        if subject == Subject::Manifest && purpose == Push {
            method = "PUT";
        }
        let url = format!("https://{host}{path}").parse().unwrap();
        let line = RequestLine::new(&method.parse().unwrap(), &url);
        let context = RefusalContext {
            subject,
            refuser,
            purpose,
            login,
        };
        hint(
            &line,
            (status, &ErrorBody::parse(body.as_bytes())),
            &context,
        )
        .unwrap_or_default()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_hint_fits_what_was_asked_of_whom() {
        use Subject::{Blob, Listing, Manifest, Root, Token, Upload};
        let user = || LoginState::As("ci".to_owned());
        let table: &[(Subject, &str, Purpose, u16, &str, &str)] = &[
            (
                Root,
                "registry",
                Pull,
                404,
                "",
                "Check that `hub.corp` is a registry",
            ),
            (
                Manifest,
                "registry",
                Pull,
                404,
                "",
                "Check the name and the tag",
            ),
            (
                Manifest,
                "storage",
                Pull,
                404,
                "",
                "`hub.corp` redirects to `s3.corp`",
            ),
            (
                Manifest,
                "storage",
                Pull,
                401,
                "",
                "requires a login of its own",
            ),
            (
                Manifest,
                "registry",
                Push,
                404,
                "",
                "Check that `proj` exists on `hub.corp`",
            ),
            (
                Manifest,
                "registry",
                Push,
                405,
                "",
                "does not accept pushes",
            ),
            (Manifest, "registry", Push, 412, "", "an immutable tag"),
            (
                Manifest,
                "registry",
                Pull,
                412,
                "",
                "does not allow pulling",
            ),
            (
                Blob,
                "registry",
                Pull,
                404,
                "",
                "has the manifest of the image, but not this content",
            ),
            (Blob, "storage", Pull, 404, "", "does not have this content"),
            (Blob, "storage", Pull, 403, "", "Signed URLs are refused"),
            (
                Blob,
                "storage",
                Pull,
                503,
                "",
                "`s3.corp`, which is failing",
            ),
            (Blob, "registry", Pull, 502, "", "`hub.corp` is failing"),
            (
                Blob,
                "registry",
                Pull,
                429,
                "",
                "limits the number of requests",
            ),
            (
                Upload,
                "registry",
                Push,
                404,
                "",
                "Check that `proj` exists on `hub.corp`",
            ),
            (Upload, "registry", Push, 413, "", "client_max_body_size"),
            (
                Upload,
                "registry",
                Push,
                413,
                r#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#,
                "storage quota at `hub.corp` is used up",
            ),
            (Upload, "storage", Push, 413, "", "client_max_body_size"),
            (
                Upload,
                "storage",
                Push,
                404,
                "",
                "`hub.corp` redirected the upload to `s3.corp`",
            ),
            (
                Upload,
                "storage",
                Push,
                403,
                "",
                "`hub.corp` redirected the upload to `s3.corp`",
            ),
            (Upload, "registry", Push, 401, "", "`ci` may not push there"),
            (
                Manifest,
                "registry",
                Pull,
                401,
                "",
                "`ci` may not pull there",
            ),
            (Manifest, "registry", Pull, 403, "", "`ci` may read `proj`"),
            (
                Upload,
                "registry",
                Push,
                403,
                "",
                "Check the role of `ci` in `proj`",
            ),
            (Root, "registry", Look, 401, "", "password of `ci` is wrong"),
            (Listing, "registry", Look, 404, "", "do not offer this list"),
            (Token, "token", Pull, 404, "", "Correct the realm"),
            (Token, "token", Push, 405, "", "no usable token server"),
            (
                Token,
                "token",
                Pull,
                401,
                "",
                "token server of `hub.corp` refuses `ci`",
            ),
            (
                Token,
                "token",
                Pull,
                502,
                "",
                "token server of `hub.corp` at `auth.corp` is failing",
            ),
            (Blob, "registry", Pull, 407, "", "proxy requires a login"),
        ];
        for &(subject, refuser, purpose, status, body, expect) in table {
            let text = told((subject, refuser, purpose), (status, body), user());
            assert!(
                text.contains(expect),
                "{subject:?} {refuser} {status}: {text}"
            );
        }
    }

    #[test]
    fn no_hint_of_a_pull_is_a_pushs() {
        use Subject::{Blob, Listing, Manifest, Root, Token};
        let logins = [
            LoginState::Anonymous,
            LoginState::NotSent,
            LoginState::As("ci".to_owned()),
            LoginState::AsToken,
            LoginState::Unusable("broken".into()),
        ];
        for subject in [Root, Manifest, Blob, Listing, Token] {
            for refuser in ["registry", "token", "storage"] {
                for login in &logins {
                    for status in 400..600 {
                        let text = told((subject, refuser, Pull), (status, ""), login.clone());
                        for word in [
                            "--create-projects",
                            "--project",
                            "client_max",
                            "quota",
                            "read-only",
                        ] {
                            assert!(!text.contains(word), "{status} {word}: {text}");
                        }
                        // The hint does not mention a login that was not sent.
                        let is_known = matches!(login, LoginState::As(_)) && refuser != "storage";
                        assert!(is_known || !text.contains("`ci`"), "{status}: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn foreign_layers_are_refused_by_their_urls() {
        let mut body = ErrorBody::parse(b"");
        body.details.get_or_insert_default().has_foreign_layers = true;
        let url = "https://hub.corp/v2/a/b/manifests/1".parse().unwrap();
        let line = RequestLine::new(&reqwest::Method::PUT, &url);
        let context = RefusalContext {
            subject: Subject::Manifest,
            refuser: Refuser::Registry,
            purpose: Push,
            login: LoginState::Anonymous,
        };
        let text = hint(&line, (500, &body), &context).unwrap();
        assert!(text.contains("validation.manifests.urls.allow"), "{text}");
    }
}
