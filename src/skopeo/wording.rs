//! Errors in the words of skopeo, which scripts look for.

use std::path::Path;

use hod_fsx::IoKind;
use hod_layout::LayoutError;
use hod_registry::{Refusal, RegistryError, RequestLine, TlsFailure};
use hod_report::chain;
use hod_transfer::{Reach, SignatureError, TransferError};
use hod_trust::LookasideError;

use crate::failure::{Done, Failure};
use crate::name::Named;

/// The default messages of the codes of the distribution specification (distribution's
/// `errcode`): where a registry states the default one, only it is shown, or only the code if there
/// are no details.
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

/// The code of an image that is not found.
const MANIFEST_UNKNOWN: &str = "MANIFEST_UNKNOWN";

/// What a registry says of its refusal.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    let known = |code: &str| CODES.iter().find(|(known, ..)| *known == code);
    match (refusal.code(), refusal.message()) {
        _ if refusal.is_scope_insufficient() => {
            "requested access to the resource is denied".to_owned()
        }
        (Some(code), message) => match (known(code), message) {
            (Some((_, _, usual)), None) => (*usual).to_owned(),
            (Some((_, word, usual)), Some(message)) if message == *usual => {
                if refusal.has_detail() { usual } else { word }.to_string()
            }
            (Some((_, word, _)), Some(message)) => format!("{word}: {message}"),
            (None, Some(message)) => format!("unknown: {message}"),
            (None, None) => code.to_lowercase().replace('_', " "),
        },
        (None, _) if refusal.status() == 401 => "authentication required".to_owned(),
        (None, Some(message)) => {
            format!(
                "StatusCode: {}, {}",
                refusal.status(),
                hod_gotext::quote(message)
            )
        }
        (None, None) => format!("StatusCode: {}, \"\"", refusal.status()),
    }
}

/// The failure of the last attempt.
fn last(error: &RegistryError) -> &RegistryError {
    match error {
        RegistryError::GaveUp { source, .. } => last(source),
        error => error,
    }
}

/// What went wrong on the way to a registry; `None` if it answered.
fn contact(error: &RegistryError) -> Option<(&RequestLine, String)> {
    match last(error) {
        RegistryError::Transport {
            request, source, ..
        } => {
            let problem = source.to_string();
            let host = request.host();
            let problem = match problem.split_once(" (os error") {
                Some((problem, _)) => {
                    let problem = problem.to_lowercase();
                    format!("dial tcp {host}: connect: {problem}")
                }
                None => problem,
            };
            Some((request, problem))
        }
        RegistryError::Tls {
            request, failure, ..
        } => {
            let problem = match failure {
                TlsFailure::PlainAnswer => "http: server gave HTTP response to HTTPS client",
                TlsFailure::UnknownIssuer => {
                    "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                }
                TlsFailure::Expired => {
                    "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
                }
                TlsFailure::Version => "remote error: tls: protocol version not supported",
                TlsFailure::Handshake => "remote error: tls: handshake failure",
                failure => return Some((request, failure.to_string())),
            };
            Some((request, problem.to_owned()))
        }
        RegistryError::UnknownHost { request, host } => {
            Some((request, format!("dial tcp: lookup {host}: no such host")))
        }
        RegistryError::Lookup {
            request,
            host,
            problem,
        } => Some((request, format!("dial tcp: lookup {host}: {problem}"))),
        _ => None,
    }
}

/// A failure of a registry, without what was attempted.
pub(crate) fn of_registry(error: &RegistryError) -> Failure {
    let error = last(error);
    if let Some((request, problem)) = contact(error) {
        let (registry, scheme) = (request.host(), request.scheme());
        let url = hod_gotext::quote(format!("{scheme}://{registry}/v2/"));
        let text = format!("pinging container registry {registry}: Get {url}: {problem}");
        return Failure::new(text).of_kind(error.failure());
    }
    let text = match error {
        RegistryError::Refused(refused) => refusal(refused),
        RegistryError::LoginRefused { .. } => {
            "unable to retrieve auth token: invalid username/password: unauthorized: \
             authentication required"
                .to_owned()
        }
        RegistryError::Blocked { prefix, file, .. } => {
            format!("registry {prefix} is blocked in one of {file}")
        }
        error => chain(error),
    };
    let text = in_go(text);
    match error {
        RegistryError::Refused(refused) if refused.code() == Some(MANIFEST_UNKNOWN) => {
            Failure::not_found(text)
        }
        error => Failure::new(text).of_kind(error.failure()),
    }
}

/// A failure to read the manifest of a reference.
pub(crate) fn of_manifest(named: &Named, error: &RegistryError) -> Failure {
    let at = reference_in(named);
    let verb = if contact(error).is_some() {
        "fetching"
    } else {
        "reading"
    };
    of_registry(error).during(format!("{verb} manifest {at} in {}", named.name()))
}

/// A manifest that its registry does not have, and what the registry says of it. Without an error
/// of the specification, it is not known to be a registry that has looked.
pub(crate) fn of_absence(named: &Named, said: Option<&Refusal>) -> Failure {
    let during = format!(
        "reading manifest {} in {}",
        reference_in(named),
        named.name()
    );
    match said {
        Some(said) if said.code() != Some(MANIFEST_UNKNOWN) => Failure::new(refusal(said)),
        Some(said) => Failure::not_found(refusal(said)),
        None => Failure::not_found("manifest unknown"),
    }
    .during(during)
}

/// A failure to list the tags of a repository.
pub(crate) fn of_tags(error: &RegistryError) -> Failure {
    of_registry(error).plain().during("fetching tags list")
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
        TransferError::BlobAbsent { digest } => Failure::new(format!(
            "reading blob {digest}: open {}: no such file or directory",
            digest.hex()
        )),
        error => Failure::new(in_go(chain(error))).of_kind(error.failure(Reach::Remote)),
    }
}

/// A failure to read or remove signatures.
pub(crate) fn of_signatures(error: &SignatureError) -> Failure {
    match error {
        SignatureError::Source(error) => of_transfer(error),
        SignatureError::Lookaside(LookasideError::File(error)) => of_file(error),
        error => Failure::new(chain(error)),
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

/// Whether a failure is of the connection to a registry, and not an answer of it.
pub(crate) fn is_contact(failure: &Failure) -> bool {
    failure.text.starts_with("pinging container registry")
}

/// A failure of a file, as Go words it.
pub(crate) fn of_file(error: &hod_fsx::Error) -> Failure {
    of_file_call("open", error)
}

/// The same with the system call that Go would have made.
pub(crate) fn of_file_call(call: &str, error: &hod_fsx::Error) -> Failure {
    let problem = match error.kind() {
        IoKind::NotFound => "no such file or directory".to_owned(),
        IoKind::Permission => "permission denied".to_owned(),
        _ => return Failure::new(in_go(chain(error))),
    };
    Failure::new(format!("{call} {}: {problem}", error.path().display()))
}

/// Fails, as opening the file would, if the directory of a new file does not exist. Blocks.
pub(crate) fn require_dir_of(path: &Path) -> Done {
    match hod_fsx::try_stat(hod_fsx::dir_of(path)).map_err(|error| of_file(&error))? {
        Some(_) => Ok(()),
        None => Err(Failure::new(format!(
            "open {}: no such file or directory",
            path.display()
        ))),
    }
}

/// Writes a file whose directory exists, as Go does. Blocks.
pub(crate) fn write_file(path: &Path, text: &str) -> Done {
    require_dir_of(path)?;
    hod_fsx::overwrite(path, text.as_bytes()).map_err(|error| of_file(&error))
}

/// The text of a system error as Go has it: in lower case, and without its number.
pub(crate) fn go_problem(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return "unexpected EOF".to_owned();
    }
    let text = error.to_string();
    lower(text.split(" (os error").next().unwrap_or_default())
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A text whose system error is as Go has it.
fn in_go(text: String) -> String {
    let Some((start, rest)) = text.split_once(" (os error ") else {
        return text;
    };
    let end = rest.split_once(')').map_or("", |(_, end)| end);
    let (before, problem) = match start.rsplit_once(": ") {
        Some((before, problem)) => (format!("{before}: "), problem),
        None => (String::new(), start),
    };
    format!("{before}{}{end}", lower(problem))
}
