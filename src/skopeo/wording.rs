//! Errors in the words of skopeo, which scripts look for.

use hod_fsx::IoKind;
use hod_layout::LayoutError;
use hod_registry::{Refusal, RegistryError, TlsFailure};
use hod_report::chain;
use hod_transfer::TransferError;

use crate::failure::Failure;
use crate::log::go_quoted;
use crate::name::Named;

/// The default messages of the codes of the distribution specification (distribution's
/// `errcode`): where a registry states the default one, its code is not shown.
const CODES: [(&str, &str, &str); 17] = [
    ("UNAUTHORIZED", "unauthorized", "authentication required"),
    (
        "DENIED",
        "denied",
        "requested access to the resource is denied",
    ),
    ("MANIFEST_UNKNOWN", "manifest unknown", "manifest unknown"),
    (
        "NAME_UNKNOWN",
        "name unknown",
        "repository name not known to registry",
    ),
    ("BLOB_UNKNOWN", "blob unknown", "blob unknown to registry"),
    ("MANIFEST_INVALID", "manifest invalid", "manifest invalid"),
    (
        "MANIFEST_BLOB_UNKNOWN",
        "manifest blob unknown",
        "blob unknown to registry",
    ),
    (
        "MANIFEST_UNVERIFIED",
        "manifest unverified",
        "manifest failed signature verification",
    ),
    (
        "TAG_INVALID",
        "tag invalid",
        "manifest tag did not match URI",
    ),
    ("NAME_INVALID", "name invalid", "invalid repository name"),
    (
        "DIGEST_INVALID",
        "digest invalid",
        "provided digest did not match uploaded content",
    ),
    (
        "SIZE_INVALID",
        "size invalid",
        "provided length did not match content length",
    ),
    (
        "BLOB_UPLOAD_UNKNOWN",
        "blob upload unknown",
        "blob upload unknown to registry",
    ),
    (
        "BLOB_UPLOAD_INVALID",
        "blob upload invalid",
        "blob upload invalid",
    ),
    (
        "UNSUPPORTED",
        "unsupported",
        "The operation is unsupported.",
    ),
    ("UNAVAILABLE", "unavailable", "service unavailable"),
    ("TOOMANYREQUESTS", "toomanyrequests", "too many requests"),
];

/// What a registry says of its refusal.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    let known = |code: &str| CODES.iter().find(|(known, ..)| *known == code);
    match (refusal.code(), refusal.message()) {
        (Some(code), message) => match (known(code), message) {
            (Some((_, _, usual)), None) => (*usual).to_owned(),
            (Some((_, _, usual)), Some(message)) if message == *usual => message.to_owned(),
            (Some((_, word, _)), Some(message)) => format!("{word}: {message}"),
            (None, Some(message)) => format!("unknown: {message}"),
            (None, None) => code.to_lowercase().replace('_', " "),
        },
        (None, _) if refusal.status() == 401 => "authentication required".to_owned(),
        (None, Some(message)) => {
            format!("StatusCode: {}, {}", refusal.status(), go_quoted(message))
        }
        (None, None) => format!("StatusCode: {}, \"\"", refusal.status()),
    }
}

/// A failure of a registry, without what was attempted.
pub(crate) fn of_registry(error: &RegistryError) -> Failure {
    let text = match error {
        RegistryError::Refused(refused) => refusal(refused),
        RegistryError::LoginRefused { .. } => {
            "unable to retrieve auth token: invalid username/password: unauthorized: \
             authentication required"
                .to_owned()
        }
        RegistryError::Tls {
            failure: TlsFailure::PlainAnswer,
            ..
        } => "http: server gave HTTP response to HTTPS client".to_owned(),
        RegistryError::Tls {
            failure: TlsFailure::UnknownIssuer,
            ..
        } => "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            .to_owned(),
        RegistryError::UnknownHost { host, .. } => {
            format!("dial tcp: lookup {host}: no such host")
        }
        RegistryError::Blocked { prefix, file, .. } => {
            format!("registry {prefix} is blocked in one of {file}")
        }
        error => chain(error),
    };
    let text = in_go(text);
    match error {
        RegistryError::Refused(refused) if refused.code() == Some("MANIFEST_UNKNOWN") => {
            Failure::not_found(text)
        }
        _ => Failure::new(text),
    }
}

/// The same with the request that was the first one to the registry, where no answer came.
fn of_contact(named: &Named, error: &RegistryError) -> Failure {
    let failure = of_registry(error);
    let is_answer = matches!(
        error,
        RegistryError::Refused(_) | RegistryError::LoginRefused { .. }
    );
    if is_answer {
        return failure;
    }
    let registry = &named.registry;
    let is_contact = matches!(
        error,
        RegistryError::Transport { .. }
            | RegistryError::Tls { .. }
            | RegistryError::UnknownHost { .. }
            | RegistryError::Lookup { .. }
    );
    if !is_contact {
        return failure;
    }
    let url = go_quoted(&format!("https://{registry}/v2/"));
    failure
        .during(format!("Get {url}"))
        .during(format!("pinging container registry {registry}"))
}

/// A failure to read the manifest of a reference.
pub(crate) fn of_manifest(named: &Named, error: &RegistryError) -> Failure {
    let at = reference_in(named);
    let verb = match error {
        RegistryError::Refused(_) | RegistryError::LoginRefused { .. } => "reading",
        _ => "fetching",
    };
    of_contact(named, error).during(format!("{verb} manifest {at} in {}", named.name()))
}

/// A manifest that its registry does not have.
pub(crate) fn manifest_unknown(named: &Named) -> Failure {
    let (at, name) = (reference_in(named), named.name());
    Failure::not_found(format!("reading manifest {at} in {name}: manifest unknown"))
}

/// A failure to list the tags of a repository.
pub(crate) fn of_tags(named: &Named, error: &RegistryError) -> Failure {
    of_contact(named, error)
        .plain()
        .during("fetching tags list")
}

/// The tag or the digest.
fn reference_in(named: &Named) -> String {
    let tag = named.tag.as_ref().map(ToString::to_string);
    let digest = || named.digest.as_ref().map(ToString::to_string);
    tag.or_else(digest).unwrap_or_else(|| "latest".to_owned())
}

/// A failure of anything that images go through.
pub(crate) fn of_transfer(error: &TransferError) -> Failure {
    match error {
        TransferError::Registry(error) => of_registry(error),
        TransferError::Layout(error) => of_layout(error),
        TransferError::File(error) => of_file(error),
        error => Failure::new(in_go(chain(error))),
    }
}

/// A failure of a layout or an archive.
pub(crate) fn of_layout(error: &LayoutError) -> Failure {
    match error {
        LayoutError::File(error) => of_file(error),
        LayoutError::Occupied { .. } => {
            Failure::new("not a containers image directory, don't want to overwrite important data")
        }
        error => Failure::new(in_go(chain(error))),
    }
}

/// A failure of a file, as Go words it.
pub(crate) fn of_file(error: &hod_fsx::Error) -> Failure {
    let problem = match error.kind() {
        IoKind::NotFound => "no such file or directory".to_owned(),
        IoKind::Permission => "permission denied".to_owned(),
        _ => return Failure::new(in_go(chain(error))),
    };
    Failure::new(format!("open {}: {problem}", error.path().display()))
}

/// The text of a system error as Go has it: in lower case, and without its number.
pub(crate) fn go_problem(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A text whose system errors are as Go has them.
fn in_go(text: String) -> String {
    let Some((start, rest)) = text.split_once(" (os error ") else {
        return text;
    };
    let end = rest.split_once(')').map_or("", |(_, end)| end);
    let mut text = format!("{start}{end}");
    for problem in [
        "Connection refused",
        "No such file or directory",
        "Permission denied",
    ] {
        let lower = problem.to_lowercase();
        let dialled = if problem == "Connection refused" {
            format!("dial tcp: connect: {lower}")
        } else {
            lower
        };
        text = text.replace(problem, &dialled);
    }
    text
}
