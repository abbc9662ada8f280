//! What to do about what goes wrong with a registry.

mod harbor;
mod refusal;

use self::harbor::database_down;
use crate::error::safe_url::DOCKER_HUB_HOST;
use crate::{LoginRefusal, RegistryError, Subject, TlsFailure};
use hod_oci::Registry;
use hod_report::Hint;
use hod_report::amount::format_eta;

/// Where Harbor's token service is.
const HARBOR_TOKEN_PATH: &str = "/service/token";

impl Hint for RegistryError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Status {
                request,
                status,
                body,
                context,
                ..
            } => refusal::hint(request, (*status, body), context),
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
            Self::ForeignLayer { .. } => Some(
                "Without `--foreign-layers` the image is carried without this layer.".to_owned(),
            ),
            Self::Certificates(error) => error.hint(),
            Self::LoginRefused { registry, refusal } => Some(refused_login(registry, refusal)),
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
            Self::Length { request, .. } | Self::DigestMismatch { request, .. }
                if Subject::of(request) == Subject::Blob =>
            {
                let host = request.first().host();
                Some(format!(
                    "`{host}`, or a proxy in front of it, has a damaged or truncated copy of this \
                     blob, of which nothing was kept. Take the image from another registry; to \
                     repair it there, delete the damaged content at `{host}`, and push the image \
                     again with `hod push SOURCE {host} --recheck` from where it is whole."
                ))
            }
            Self::Length { request, .. } | Self::DigestMismatch { request, .. } => Some(format!(
                "`{}`, or a proxy in front of it, serves damaged content; nothing of it was kept",
                request.first().host()
            )),
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
            Self::Token { request, .. } => Some(format!(
                "check that there is a token server at `{}{}`; where clients are sent for tokens \
                 is the realm in the registry's configuration (at a Harbor, its external URL)",
                request.host(),
                request.path()
            )),
            Self::Realm { registry, .. } => Some(format!(
                "correct the realm in the configuration of `{registry}` (at a Harbor, its external \
                 URL)"
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
            other => connection_hint(other),
        }
    }
}

/// Whether a name may be what a shell left of a robot's.
fn is_cut_short(username: &str) -> bool {
    username.starts_with("robot") && !username.contains('$')
}

/// Advice for connections that could not be made or broke.
fn connection_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Transport {
            request,
            proxy: Some(proxy),
            ..
        } => Some(format!(
            "correct the proxy in `{}`, or add `{}` to `NO_PROXY` to connect without a proxy",
            proxy.variable,
            without_port(request.host())
        )),
        RegistryError::Transport {
            request, source, ..
        } if source.is_connect() => Some(format!(
            "check that `{0}` is the right name and can be reached from here{1}",
            request.host(),
            default_registry(request.host())
        )),
        RegistryError::UnknownHost { host, .. } => Some(format!(
            "check the spelling of `{host}` and the DNS servers of this machine \
             (`/etc/resolv.conf`); a host without DNS can be named in `/etc/hosts`{}",
            default_registry(host)
        )),
        RegistryError::Lookup { host, .. } => Some(format!(
            "check that the DNS servers of this machine (`/etc/resolv.conf`) can be reached{}",
            default_registry(host)
        )),
        RegistryError::TooSlow { .. } => Some(
            "everything but a blob must arrive within twice the `--stall-timeout`; a longer \
             one gives a slow line more time"
                .to_owned(),
        ),
        _ => None,
    }
}

/// A host without its port, as `NO_PROXY` takes it.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Explains that a name without a registry refers to Docker Hub, where `host` is its own.
fn default_registry(host: &str) -> &'static str {
    if host == DOCKER_HUB_HOST {
        "; names without a registry come from docker.io, unless `--source REGISTRY` names \
         another"
    } else {
        ""
    }
}

fn refused_login(registry: &Registry, refusal: &LoginRefusal) -> String {
    // Harbor's token service.
    let secrets = if refusal.request.path() == HARBOR_TOKEN_PATH {
        "; a robot's secret is shown only once and may have expired, and users that \
                     log in by OIDC need their CLI secret; Harbor also answers like this while its \
                     database is down"
    } else {
        ""
    };
    // If the `$` arrived, the user name was quoted correctly.
    let quotes = if is_cut_short(&refusal.username) {
        "; in a shell a robot's name needs single quotes ('robot$name'), since `$name` \
                     would be replaced by nothing"
    } else {
        ""
    };
    let fix = if refusal.origin.contains("HOD_") {
        "correct the variable and its password, or unset both to use the login that \
                     `hod login` stored"
            .to_owned()
    } else if refusal.origin.contains("--creds-stdin") {
        "check the user and password on the first line of stdin".to_owned()
    } else {
        format!("log in again with `hod login {registry}`")
    };
    format!(
        "the login comes from {}: {fix}{secrets}{quotes}; nothing more was tried with \
                     it, so as not to lock the user out",
        refusal.origin
    )
}

fn tls_hint(host: &str, failure: TlsFailure) -> Option<String> {
    match failure {
        TlsFailure::PlainAnswer => Some(format!(
            "if `{host}` is meant to be without TLS, pass `--plain-http {host}`"
        )),
        TlsFailure::TlsAnswer => Some(refusal::wants_tls(host)),
        TlsFailure::UnknownIssuer => Some(format!(
            "pass the CA of `{host}` with `--ca FILE`, or put it where Docker looks for it: \
             `/etc/docker/certs.d/{host}/ca.crt`; `hod doctor {host}` shows who signed; \
             `--insecure {host}` connects without verifying anything"
        )),
        TlsFailure::CaCertificate => Some(format!(
            "if it is self-signed, pass this very certificate with `--ca FILE`, or put it into \
             `/etc/docker/certs.d/{host}/ca.crt` (`openssl s_client -connect {host} </dev/null | \
             openssl x509` shows it); `--insecure {host}` connects without verifying anything"
        )),
        TlsFailure::WrongName => Some(format!(
            "use a name that is in the certificate; `--insecure {host}` connects without verifying \
             anything"
        )),
        TlsFailure::Expired => Some("check this machine's clock, then the certificate".to_owned()),
        TlsFailure::ClientCertificate => Some(format!(
            "put the client's certificate and its key into a `certs.d`, as \
             `/etc/docker/certs.d/{host}/client.cert` and `client.key`"
        )),
        TlsFailure::Handshake => None,
    }
}
