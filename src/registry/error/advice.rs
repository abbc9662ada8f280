//! What each error of a registry means.

mod deleting;
mod harbor;
mod refusal;
mod tls;

use self::harbor::{QUOTE_ROBOT, database_down, is_cut_short};
use self::tls::tls_hint;
use crate::error::safe_url::DOCKER_HUB_HOST;
use crate::{LoginRefusal, RegistryError, RequestLine, Subject, TlsFailure};
use hod_oci::Registry;
use hod_report::ErrorClass::{
    Auth, File, Internal, Network, Policy, RateLimit, Server, Usage, Verify,
};
use hod_report::amount::format_eta;
use hod_report::{Diagnose, Diagnosis};

/// Where Harbor's token service is.
const HARBOR_TOKEN_PATH: &str = "/service/token";

impl Diagnose for RegistryError {
    #[expect(clippy::too_many_lines, reason = "an arm for each variant")]
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Refused(refusal) => refusal.diagnose(),
            Self::Tls {
                request, failure, ..
            } => Diagnosis {
                hint: match failure {
                    TlsFailure::PlainAnswer if request.path() == HARBOR_TOKEN_PATH => {
                        Some(plain_harbor(request.host()))
                    }
                    failure => tls_hint(request.host(), *failure),
                },
                ..Diagnosis::new(match failure {
                    TlsFailure::ClientCertificate => Auth,
                    _ => Network,
                })
            },
            Self::GaveUp { source, .. } => source.diagnose(),
            Self::ForeignLayer { source, .. } => source.diagnose().hint(
                "Without `--foreign-layers`, the image is transferred without this layer.",
            ),
            Self::ReadOnce { source } => source.diagnose().hint(
                "Push from the uncompressed `.tar`, or unpack the bundle first. An upload then \
                 resumes after such a failure.",
            ),
            Self::UploadSource { source, .. } => match source.get_ref().and_then(|source| source.downcast_ref::<RegistryError>()) {
                Some(error) => error.diagnose(),
                None => Diagnosis::new(File),
            },
            Self::Certificates(error) => error.diagnose(),

            // Connections.
            Self::Transport {
                request,
                proxy: Some(proxy),
                ..
            } => Diagnosis::new(Network).hint(format!(
                "Correct the proxy in `{}`, or add `{}` to `NO_PROXY` to connect without a proxy.",
                proxy.variable,
                without_port(request.host())
            )),
            Self::Transport {
                request, source, ..
            } if source.is_connect() => Diagnosis::new(Network).hint(format!(
                "Check that `{0}` is the right name and can be reached from here.{1}",
                request.host(),
                default_registry(request.host())
            )),
            Self::UnknownHost { host, .. } => Diagnosis::new(Network).hint(format!(
                "Check the spelling of `{host}` and the DNS servers of this machine \
                 (`/etc/resolv.conf`). A host without DNS can be listed in `/etc/hosts`.{}",
                default_registry(host)
            )),
            Self::Lookup { host, .. } => Diagnosis::new(Network).hint(format!(
                "Check that the DNS servers of this machine (`/etc/resolv.conf`) can be reached.{}",
                default_registry(host)
            )),
            Self::TooSlow { .. } => Diagnosis::new(Network).hint(
                "Everything except a blob must arrive within twice the `--stall-timeout`. Pass a \
                 longer one for a slow line.",
            ),
            Self::NotARegistry { request, .. } => Diagnosis::new(Network).hint(format!(
                "Check the address. Name the host and port of the registry itself, not those of \
                 its web pages. A proxy or firewall may also answer in place of `{}`.",
                request.host()
            )),
            Self::Transport { .. }
            | Self::Stalled { .. }
            | Self::Truncated { .. }
            | Self::Redirects { .. } => Diagnosis::new(Network),
            Self::Closed { host, wait, .. } => Diagnosis::new(RateLimit).hint(format!(
                "Run the same command again in {}: it does only what is missing. Or log in to \
                 `{host}`, which may allow more.",
                format_eta(*wait)
            )),

            // Content.
            Self::Length { request, .. } | Self::DigestMismatch { request, .. } => {
                Diagnosis::new(Verify).hint(damaged(request))
            }
            Self::WrongClaim { .. } | Self::DamagedUpload { .. } => Diagnosis::new(Verify),
            Self::NotStored { request, .. } => Diagnosis::new(Server).hint(format!(
                "Check the log of `{}`: it loses content that it accepted.",
                request.host()
            )),
            Self::Manifest { .. }
            | Self::AnswerTooLong { .. }
            | Self::Endless { .. }
            | Self::Protocol { .. } => Diagnosis::new(Server),
            Self::Blocked { .. } => Diagnosis::new(Policy)
                .hint("Pass `--no-registries-conf` to pull as if there were no such file."),
            Self::ForeignUrl { .. } => Diagnosis::new(Policy),

            // Logins.
            Self::LoginRefused { registry, refusal } => {
                Diagnosis::new(Auth).hint(refused_login(registry, refusal))
            }
            Self::LoginForgotten { registry, .. } => {
                Diagnosis::new(Server).hint(database_down(registry.as_str()))
            }
            Self::Helper { registry, .. } => Diagnosis::new(Auth).hint(format!(
                "`hod doctor {registry}` shows which file names the helper. A login can also be \
                 passed with `--creds-stdin`."
            )),
            Self::IdentityToken { request, .. } => Diagnosis::new(Auth).hint(format!(
                "Log in to the registry behind `{}` with a user and a password, or with an access \
                 token in place of the password.",
                request.host()
            )),
            Self::Token { request, .. } => Diagnosis::new(Auth).hint(format!(
                "Check that there is a token server at `{}{}`. The registry's configuration names it \
                 as the realm (in Harbor, its external URL).",
                request.host(),
                request.path()
            )),
            Self::Realm { registry, .. } => Diagnosis::new(Auth).hint(format!(
                "Correct the realm in the configuration of `{registry}` (in Harbor, its external \
                 URL)."
            )),
            Self::PlainRealm { registry, .. } => Diagnosis::new(Auth).hint(format!(
                "Set the external URL of `{registry}` to https, or pass `--plain-http {registry}` \
                 if the login may be sent unencrypted."
            )),

            Self::Host { .. } => Diagnosis::new(Usage),
            Self::Setup { .. } => Diagnosis::new(Internal).hint(
                "Install the system's CA certificates (package `ca-certificates`), or name a file \
                 of them in SSL_CERT_FILE.",
            ),
            Self::UserAgent { .. } => Diagnosis::new(Internal),
        }
    }
}

/// Advice about damaged content that a registry serves.
fn damaged(request: &RequestLine) -> String {
    let host = request.first().host();
    if Subject::of(request) == Subject::Blob {
        format!(
            "`{host}`, or a proxy in front of it, has a damaged or truncated copy of this blob. \
             It was not stored. Take the image from another registry. To repair it there, \
             delete the damaged content at `{host}`, and push the image again with `hod push SOURCE \
             {host} --recheck` from an undamaged source."
        )
    } else {
        format!("`{host}`, or a proxy in front of it, serves damaged content. It was not stored.")
    }
}

/// Advice about a Harbor that sends clients to a TLS address that does not use TLS.
fn plain_harbor(host: &str) -> String {
    format!(
        "The external URL of the Harbor at `{host}` is https, but it was reached without TLS. Use \
         the address with TLS, or set its external URL to http."
    )
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
        " Names without a registry come from docker.io, unless `--source REGISTRY` names another \
         one."
    } else {
        ""
    }
}

fn refused_login(registry: &Registry, refusal: &LoginRefusal) -> String {
    let fix = if refusal.origin.contains("HOD_") {
        "Correct the variable and its password, or unset both to use the login that `hod login` \
         stored."
            .to_owned()
    } else if refusal.origin.contains("--creds-stdin") {
        "Check the user and password on the first line of stdin.".to_owned()
    } else {
        format!("Log in again with `hod login {registry}`.")
    };
    // Harbor's token service.
    let secrets = if refusal.request.path() == HARBOR_TOKEN_PATH {
        " The secret of a robot is shown only once and may have expired, and users that log in by \
         OIDC require their CLI secret. Harbor also answers like this while its database is down."
    } else {
        ""
    };
    // If the `$` arrived, the user name was quoted correctly.
    let quotes = if is_cut_short(&refusal.username) {
        QUOTE_ROBOT
    } else {
        ""
    };
    format!(
        "The login comes from {}. {fix}{secrets}{quotes} The login was not tried again, so that the \
         user is not locked out.",
        refusal.origin
    )
}
