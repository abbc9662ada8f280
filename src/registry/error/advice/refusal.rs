//! What to do about a refusal: decided by what was asked for, of whom, for what, and the answer.

use crate::error::meaning::Meaning;
use crate::{LoginState, Purpose, Refusal, Refuser, Subject};
use hod_report::{Diagnosis, ErrorClass};

impl Refusal {
    /// Returns the class of the refusal, and what to do about it.
    pub(super) fn diagnose(&self) -> Diagnosis {
        let diagnosis = if self.is_delete_off() {
            Diagnosis::refused(ErrorClass::Policy)
        } else {
            Diagnosis::new(self.class())
        };
        if self.meaning() == Meaning::ProxyLogin {
            return diagnosis.hint(
                "The proxy requires a login. Put it into the URL of the proxy: \
                 `HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT`.",
            );
        }
        match &self.refuser {
            Refuser::TokenServer { of } => diagnosis.hint(self.by_token_server(of)),
            Refuser::Elsewhere { by } => diagnosis.hint(self.elsewhere(by)),
            Refuser::Registry => self.diagnose_harbor().unwrap_or_else(|| Diagnosis {
                hint: self.by_registry(),
                ..diagnosis
            }),
        }
    }

    pub(super) fn class(&self) -> ErrorClass {
        let meaning = self.meaning();
        let is_misplaced = match self.refuser {
            Refuser::Registry => false,
            Refuser::TokenServer { .. } => meaning.is_not_offered(),
            Refuser::Elsewhere { .. } => meaning == Meaning::BadRequest || meaning.is_about_login(),
        };
        // It is not the image that is missing or forbidden.
        if is_misplaced || self.is_database_down() {
            ErrorClass::Server
        } else if self.is_over_quota() {
            ErrorClass::Space
        } else {
            meaning.class()
        }
    }

    fn by_token_server(&self, registry: &str) -> String {
        let (host, path) = (self.request.host(), self.request.path());
        match self.meaning() {
            meaning if meaning.is_about_login() => match &self.login {
                LoginState::As(user) => format!(
                    "The token server of `{registry}` refuses `{user}`. Check the password and the \
                     rights of `{user}` with `hod login {registry}`."
                ),
                LoginState::AsToken => expired(registry),
                LoginState::Anonymous | LoginState::NotSent => log_in(registry),
                LoginState::Unusable(reason) => unusable(registry, reason),
            },
            Meaning::RateLimit => limited(host),
            meaning if meaning.is_failing() => {
                format!("The token server of `{registry}` at `{host}` is failing. Check its log.")
            }
            _ => format!(
                "`{registry}` sends clients to `{host}{path}` for tokens, but no usable token \
                 server is there. Correct the realm in the configuration of the registry (in \
                 Harbor, its external URL)."
            ),
        }
    }

    /// Another host refuses, to which the registry sent the request. No login was sent there.
    fn elsewhere(&self, by: &str) -> String {
        let host = self.request.host();
        match (self.subject, self.meaning()) {
            (_, Meaning::RateLimit) => limited(host),
            (_, meaning) if meaning.is_failing() => format!(
                "`{by}` redirected the request to `{host}`, which is failing. Check the log of \
                 `{host}`."
            ),
            (Subject::Upload, Meaning::TooLarge) => format!(
                "`{by}` redirected the upload to `{host}`, where a proxy limits the size of \
                 requests. Raise its limit (nginx: `client_max_body_size 0`)."
            ),
            (Subject::Upload, _) => format!(
                "`{by}` redirected the upload to `{host}`. Check that this address is right (the \
                 external URL of `{by}`, or the `X-Forwarded-*` headers of a proxy in front of it) \
                 and that its storage is writable."
            ),
            (Subject::Blob, Meaning::NotFound) => format!(
                "The storage at `{host}`, to which `{by}` redirects, does not have this content. {}",
                push_again(by)
            ),
            (Subject::Blob, Meaning::BadRequest | Meaning::Unauthorized | Meaning::Forbidden) => {
                format!(
                    "`{by}` redirects to the storage at `{host}`, which refused twice; no login is \
                     sent there. Signed URLs are refused when clocks differ or a proxy changes the \
                     request. Check the clocks of `{by}` and `{host}`, and the proxies in between."
                )
            }
            (_, Meaning::Unauthorized | Meaning::Forbidden) => format!(
                "`{by}` redirects to `{host}`, which requires a login of its own; that of `{by}` is \
                 not sent there. Use `{host}` itself as the registry, with `hod login {host}`."
            ),
            _ => format!(
                "`{by}` redirects to `{host}`. Check that `{by}` is a registry, and that its \
                 redirects are right."
            ),
        }
    }

    fn by_registry(&self) -> Option<String> {
        let host = self.request.host();
        let place = match project(self.request.first().path()) {
            Some(project) => format!("`{project}`"),
            None => "what is requested".to_owned(),
        };
        let is_write = !self.request.is_read();
        if let Some(hint) = self.about_deleting() {
            return Some(hint);
        }
        Some(match (self.meaning(), self.subject) {
            (Meaning::Unauthorized, Subject::Root | Subject::Other) => self.unknown_login(),
            (Meaning::Unauthorized, _) => self.unauthorized(&place),
            (Meaning::Forbidden, _) => self.forbidden(&place),
            (Meaning::NotFound, subject) => return self.not_found(subject, &place),
            (Meaning::MethodNotAllowed, _) if is_write => format!(
                "`{host}` does not accept pushes: it is read-only or a cache of another registry. \
                 Push to another registry."
            ),
            (Meaning::Policy | Meaning::Legal, _) if self.purpose == Purpose::Pull => format!(
                "A policy of `{host}` does not allow pulling this image. Check its settings, or \
                 choose another version."
            ),
            (Meaning::Policy | Meaning::Legal, _) => {
                "A rule of the registry forbids it, such as an immutable tag.".to_owned()
            }
            (Meaning::TooLarge, _) if self.is_over_quota() => format!(
                "The storage quota at `{host}` is used up. Raise it, or delete images that are no \
                 longer used."
            ),
            (Meaning::TooLarge, _) if is_write => format!(
                "A proxy in front of `{host}` limits the size of requests. Raise its limit (nginx: \
                 `client_max_body_size 0`)."
            ),
            (Meaning::RateLimit, _) => limited(host),
            (Meaning::BadRequest | Meaning::Failure, Subject::Manifest)
                if is_write && self.has_foreign_layers =>
            {
                format!(
                    "The manifest has foreign layers, whose URLs `{host}` may not allow. A \
                     distribution registry accepts those that match \
                     `validation.manifests.urls.allow` in its configuration, or all with \
                     `validation.disabled: true`."
                )
            }
            (meaning, _) if meaning.is_unavailable() && self.purpose == Purpose::Look => format!(
                "A proxy answers in place of `{host}`, which is down, starting or overloaded. Check \
                 `{host}` and the log of the proxy, then run the command again."
            ),
            (meaning, _) if meaning.is_failing() && self.purpose == Purpose::Look => {
                format!("`{host}` is failing. Check its log, then run the command again.")
            }
            (meaning, _) if meaning.is_failing() => {
                format!("`{host}` is failing. Check its log.")
            }
            _ => return None,
        })
    }

    fn not_found(&self, subject: Subject, place: &str) -> Option<String> {
        let host = self.request.host();
        Some(match subject {
            Subject::Root => format!("Check that `{host}` is a registry."),
            Subject::Blob => format!(
                "`{host}` has the manifest of the image, but not this content. {}",
                push_again(host)
            ),
            Subject::Listing => format!(
                "Check the name of the repository. Some registries do not offer this list: see the \
                 documentation of `{host}`."
            ),
            _ if !self.request.is_read() => {
                format!("Check that {place} exists on `{host}` and that `{host}` is a registry.")
            }
            Subject::Manifest => "Check the name and the tag.".to_owned(),
            Subject::Upload | Subject::Token | Subject::Other => return None,
        })
    }

    /// A 401 that is not about a repository.
    fn unknown_login(&self) -> String {
        let host = self.request.host();
        match &self.login {
            LoginState::As(user) => format!(
                "The password of `{user}` is wrong, or `{user}` has no rights here. Check it with \
                 `hod login {host}`."
            ),
            LoginState::AsToken => expired(host),
            LoginState::Anonymous => log_in(host),
            LoginState::NotSent => not_sent(host),
            LoginState::Unusable(reason) => unusable(host, reason),
        }
    }

    fn unauthorized(&self, place: &str) -> String {
        let host = self.request.host();
        let verb = match self.purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "push",
            Purpose::Delete => "delete",
            Purpose::Look => "read",
        };
        match &self.login {
            LoginState::As(user) => format!(
                "Either the password of `{user}` is wrong, or {place} does not exist, or `{user}` \
                 may not {verb} there: registries give the same answer. Check each of them."
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

    fn forbidden(&self, place: &str) -> String {
        let host = self.request.host();
        match (&self.login, self.purpose) {
            (LoginState::As(user), Purpose::Push) => format!(
                "`{host}` accepts the login of `{user}`, but refuses this. Check the role of \
                 `{user}` in {place}, its quota, and whether the registry is read-only."
            ),
            (LoginState::As(user), Purpose::Delete) => format!(
                "`{host}` accepts the login of `{user}`, but refuses this. Check that `{user}` may \
                 delete in {place}, and whether the registry is read-only."
            ),
            (LoginState::As(user), _) => format!(
                "`{host}` accepts the login of `{user}`, but refuses this. Check that `{user}` may \
                 read {place}."
            ),
            (LoginState::AsToken, _) => format!(
                "`{host}` accepts the token, but refuses this. Check the rights of the token in \
                 {place}."
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

/// The first component of the repository in a path of the API, which Harbor calls the project.
fn project(path: &str) -> Option<&str> {
    let project = path.strip_prefix("/v2/")?.split('/').next()?;
    (!project.is_empty()).then_some(project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorBody, RequestLine};
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
        let refusal = Refusal {
            request: line,
            status,
            body: ErrorBody::parse(body.as_bytes()),
            has_foreign_layers: false,
            retry_after: None,
            subject,
            refuser,
            purpose,
            login,
        };
        refusal.diagnose().hint.unwrap_or_default()
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
        let url = "https://hub.corp/v2/a/b/manifests/1".parse().unwrap();
        let refusal = Refusal {
            request: RequestLine::new(&reqwest::Method::PUT, &url),
            status: 500,
            body: ErrorBody::default(),
            has_foreign_layers: true,
            retry_after: None,
            subject: Subject::Manifest,
            refuser: Refuser::Registry,
            purpose: Push,
            login: LoginState::Anonymous,
        };
        let text = refusal.diagnose().hint.unwrap();
        assert!(text.contains("validation.manifests.urls.allow"), "{text}");
    }
}
