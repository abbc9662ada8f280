//! What to do about what goes wrong with a registry.

use super::error::ErrorBody;
use super::harbor::{database_down, harbor_hint};
use super::{LoginState, RegistryError, RequestLine, TlsFailure};
use crate::hint::Hint;
use crate::oci::Registry;
use crate::report::amount::format_eta;

/// Where Harbor's token service is.
const HARBOR_TOKEN_PATH: &str = "/service/token";

impl Hint for RegistryError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Status {
                request,
                status,
                body,
                login,
                ..
            } => status_hint(request, (*status, body), login),
            Self::Tls {
                request, failure, ..
            } if *failure == TlsFailure::PlainAnswer && request.path() == HARBOR_TOKEN_PATH => {
                let host = request.host();
                Some(format!(
                    "the external URL of the Harbor at `{host}` is https, and it was reached \
                     without TLS: use the address with TLS, or set its external URL to http"
                ))
            }
            Self::Tls {
                request, failure, ..
            } => tls_hint(request.host(), *failure),
            Self::GaveUp { source, .. } => source.hint(),
            Self::Certificates(error) => error.hint(),
            Self::LoginRefused { registry, refusal } => {
                // Harbor's token service.
                let secrets = if refusal.request.path() == HARBOR_TOKEN_PATH {
                    "; a robot's secret is shown only once and may have expired, and users that \
                     log in by OIDC need their CLI secret; Harbor also answers like this while its \
                     database is down"
                } else {
                    ""
                };
                // Whose `$` arrived was quoted well.
                let quotes = if is_cut_short(&refusal.username) {
                    "; in a shell a robot's name needs single quotes ('robot$name'), since `$name` \
                     would be replaced by nothing"
                } else {
                    ""
                };
                Some(format!(
                    "the login comes from {}: log in anew with `hod login {registry}`{secrets}{quotes}; \
                     nothing more was tried with it, so as not to lock the user out",
                    refusal.origin
                ))
            }
            Self::LoginForgotten { registry, .. } => Some(database_down(registry.as_str())),
            Self::Blocked { .. } => {
                Some("`--no-registries-conf` pulls as if there were no such file".to_owned())
            }
            Self::Helper { registry, .. } => Some(format!(
                "`hod doctor {registry}` shows which file names the helper; a login can also be \
                 given with `--creds-stdin`"
            )),
            Self::Closed { host, wait, .. } => Some(format!(
                "run the same command again in {}: it does only what is missing; or log in to \
                 `{host}`, which may allow more",
                format_eta(*wait)
            )),
            Self::Transport { request, source } if source.is_connect() => Some(format!(
                "check that `{}` is the right name and can be reached from here; running the \
                 command again moves only what is missing",
                request.host()
            )),
            Self::Transport { .. } | Self::Stalled { .. } | Self::Truncated { .. } => {
                Some("running the command again moves only what is missing".to_owned())
            }
            Self::Length { .. } | Self::DigestMismatch { .. } => Some(
                "the registry, or a proxy in front of it, serves damaged content; nothing of it \
                 was kept"
                    .to_owned(),
            ),
            Self::NotARegistry { request, .. } => Some(format!(
                "check the address: name the host and port of the registry itself, not those of \
                 its web pages; a proxy or firewall may also answer in place of `{}`",
                request.host()
            )),
            Self::NotStored { request, .. } => Some(format!(
                "see the log of `{}`: it loses what it is given",
                request.host()
            )),
            Self::ReadOnce { .. } => Some(
                "push from the uncompressed `.tar`, or unpack the bundle first: then an upload \
                 goes on after such a failure"
                    .to_owned(),
            ),
            Self::IdentityToken { request, .. } => Some(format!(
                "log in to the registry behind `{}` with a user and a password, or an access \
                 token in place of the password",
                request.host()
            )),
            Self::PlainRealm { registry, .. } => Some(format!(
                "set the external URL of `{registry}` to https, or pass `--plain-http {registry}` \
                 if the login may be sent in the clear"
            )),
            Self::Setup { .. } => Some(
                "install the system's CA certificates (package `ca-certificates`), or name a file \
                 of them in SSL_CERT_FILE"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether a name may be what a shell left of a robot's.
pub(super) fn is_cut_short(username: &str) -> bool {
    username.starts_with("robot") && !username.contains('$')
}

fn tls_hint(host: &str, failure: TlsFailure) -> Option<String> {
    match failure {
        TlsFailure::PlainAnswer => Some(format!(
            "if `{host}` is meant to be without TLS, pass `--plain-http {host}`"
        )),
        TlsFailure::UnknownIssuer => Some(format!(
            "pass the CA of `{host}` with `--ca FILE`, or put it where Docker looks for it: \
             `/etc/docker/certs.d/{host}/ca.crt`; `hod doctor {host}` shows who signed"
        )),
        TlsFailure::CaCertificate => Some(format!(
            "a self-signed certificate must say that it is a server's, even if it is trusted: \
             make that of `{host}` with `openssl req -x509 -addext \
             basicConstraints=critical,CA:FALSE ...`, or have a CA sign it"
        )),
        TlsFailure::WrongName => Some("name the registry as its certificate does".to_owned()),
        TlsFailure::Expired => Some("check this machine's clock, then the certificate".to_owned()),
        TlsFailure::ClientCertificate => Some(format!(
            "put the client's certificate and its key into a `certs.d`, as \
             `/etc/docker/certs.d/{host}/client.cert` and `client.key`"
        )),
        TlsFailure::Handshake => None,
    }
}

fn status_hint(
    request: &RequestLine,
    (status, body): (u16, &ErrorBody),
    login: &LoginState,
) -> Option<String> {
    let host = request.host();
    let again = "running the command again moves only what is missing";
    if body.wants_tls() {
        let is_loopback = host
            .parse::<Registry>()
            .is_ok_and(|registry| registry.is_loopback());
        return Some(if is_loopback {
            format!(
                "`{host}` speaks TLS, and addresses of this machine are taken to be without: pass \
                 its CA with `--ca FILE`, or `--insecure {host}`"
            )
        } else {
            format!("`{host}` speaks TLS: leave out `--plain-http {host}`")
        });
    }
    if body.wants_certificate() {
        return tls_hint(host, TlsFailure::ClientCertificate);
    }
    if let Some(hint) = harbor_hint(request, (status, body), login) {
        return Some(hint);
    }
    let place = match project(request.path()) {
        Some(project) => format!("`{project}`"),
        None => "what is asked for".to_owned(),
    };
    match status {
        401 if request.repository().is_none() => Some(match login {
            LoginState::As(user) => format!(
                "the password of `{user}` is wrong, or `{user}` may do nothing here: check it with \
                 `hod login {host}`"
            ),
            LoginState::AsToken => format!(
                "the token in the credentials is no longer good: log in again \
                 (`hod login {host}`)"
            ),
            LoginState::Anonymous => {
                format!("no login for `{host}` is known: log in (`hod login {host}`)")
            }
            LoginState::Unusable(reason) => format!("no login for `{host}`: {reason}"),
        }),
        401 => Some(match login {
            LoginState::As(user) => format!(
                "either the password of `{user}` is wrong, or {place} does not exist or `{user}` \
                 has no right to do this there: registries answer alike; {again}"
            ),
            LoginState::AsToken => format!(
                "either the token in the credentials is no longer good, or {place} does not exist \
                 or must not be used with it: registries answer alike; {again}"
            ),
            LoginState::Anonymous => format!(
                "no login for `{host}` is known: either log in (`hod login {host}`), or {place} \
                 does not exist: registries answer alike"
            ),
            LoginState::Unusable(reason) => format!("no login for `{host}`: {reason}"),
        }),
        403 => Some(match login {
            LoginState::As(user) => format!(
                "`{host}` knows `{user}` and refuses: check the user's role in {place}, its quota, \
                 and whether the registry is read-only; {again}"
            ),
            LoginState::AsToken => format!(
                "`{host}` knows the token and refuses: check what it may do in {place}; {again}"
            ),
            LoginState::Anonymous => {
                format!("`{host}` does not allow this without a login: `hod login {host}`")
            }
            LoginState::Unusable(reason) => format!("no login for `{host}`: {reason}"),
        }),
        404 if !request.is_read() => Some(format!(
            "check that {place} exists on `{host}` and that `{host}` is a registry"
        )),
        404 => Some("check the name and the tag".to_owned()),
        412 => Some(
            "a rule of the registry is against it, such as a tag that must not change".to_owned(),
        ),
        413 => Some(format!(
            "a proxy in front of `{host}` limits the size of requests: raise its limit (nginx: \
             `client_max_body_size 0`); {again}"
        )),
        429 => Some(format!(
            "`{host}` limits how much may be asked: wait, or log in for a higher limit; {again}"
        )),
        500..=599 => Some(format!("`{host}` is in trouble: see its log; {again}")),
        _ => None,
    }
}

/// The first component of the repository in a path of the API, which Harbor calls the project.
fn project(path: &str) -> Option<&str> {
    let project = path.strip_prefix("/v2/")?.split('/').next()?;
    (!project.is_empty()).then_some(project)
}
