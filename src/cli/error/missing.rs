//! What to do about a path that does not exist: it may be an image, a registry, or be written as
//! another tool writes it.

use std::path::Path;

use hod_bundle::volume_path;
use hod_oci::{Reference, Registry, RepositoryName};
use hod_report::{Diagnose as _, Diagnosis};
use hod_transfer::{EndpointError, FILE_EXTENSIONS, Transport};

/// Places of images that hod does not read.
const DAEMONS: &[(&str, &str)] = &[
    ("docker-daemon", "docker save"),
    ("containers-storage", "podman save"),
];
/// More extensions of files: no images are in these, and hosts may end so.
const KEY_EXTENSIONS: &[&str] = &["key", "pub"];

/// How the names of files end.
fn extensions() -> impl Iterator<Item = &'static str> {
    FILE_EXTENSIONS.iter().chain(KEY_EXTENSIONS).copied()
}

/// The hint where a local source of images is expected.
pub(super) fn source_hint(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    if let Some(hint) = chosen_hint(text).or_else(|| transport_hint(text)) {
        return Some(hint);
    }
    if let Some(hint) = volume_hint(path) {
        return Some(hint);
    }
    let bare = without_scheme(text);
    if bare == text && is_like_file(text) {
        return None;
    }
    if bare == text && !is_like_registry(text) {
        return image_hint(text);
    }
    let host = meant_registry(text).unwrap_or_else(|| text.to_owned());
    let _: Registry = host.split('/').next()?.parse().ok()?;
    Some(format!(
        "If `{host}` is a registry: `hod ls {host}` lists its images, `hod pull {host} --store STORE` \
         fetches them into a store, `hod copy {host} TARGET` copies them to anything else, and `hod \
         receipt {host} --output FILE` writes a receipt of it."
    ))
}

/// What it means that a word does not name anything: what was probably intended, or what it may be.
pub(super) fn diagnose_endpoint(error: &EndpointError) -> Diagnosis {
    let intended = match error {
        EndpointError::Unknown { text } => source_hint(Path::new(text)),
        _ => None,
    };
    let found = error.diagnose();
    Diagnosis {
        hint: intended.or(found.hint),
        ..found
    }
}

/// The hint for a path that exists with the name of an image behind it.
fn chosen_hint(text: &str) -> Option<String> {
    let (path, image) = text.split_once(':')?;
    let is_there = !image.is_empty() && hod_fsx::try_stat(Path::new(path)).ok()?.is_some();
    is_there
        .then(|| format!("`--only LIST` chooses images of `{path}`. Name it without `:{image}`."))
}

/// The hint for a bundle that does not exist, where volumes of that name do.
fn volume_hint(path: &Path) -> Option<String> {
    let volume = volume_path(path, 1, 1);
    let is_there = path.extension()? == "tar" && hod_fsx::try_stat(&volume).ok()?.is_some();
    is_there.then(|| {
        format!(
            "Name one of its volumes, such as `{}`: hod finds the others.",
            volume.display()
        )
    })
}

/// The hint for an image in a registry where a local source is expected.
fn image_hint(text: &str) -> Option<String> {
    let image: Reference = text.parse().ok()?;
    let is_image = image.tag.is_some() || image.digest.is_some();
    is_image.then(|| {
        format!(
            "If it is an image: `hod pull {text} --store STORE` fetches it into a store, and `hod copy \
             {text} bundle:FILE` into a bundle."
        )
    })
}

/// The hint where a list is expected.
pub(super) fn list_hint(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    if let Some(hint) = transport_hint(text) {
        return Some(hint);
    }
    let bare = without_scheme(text);
    let reference: Reference = bare.parse().ok()?;
    let is_image = reference.tag.is_some() || reference.digest.is_some();
    if text.starts_with(['.', '/']) || (!is_image && (is_like_file(text) || text.contains("list")))
    {
        return None;
    }
    if !is_image {
        return Some(format!(
            "If it is an image, name its tag: `{bare}:TAG`, or `'{bare}:*'` for all of them."
        ));
    }
    Some(format!(
        "If it is an image, pass it as a list on stdin: put `echo '{bare}' |` in front of the command \
         and `-` in the place of `{text}`."
    ))
}

/// The registry and prefix that a text probably means, in hod's notation; `None` if it is valid
/// already or cannot be interpreted.
pub(super) fn meant_registry(text: &str) -> Option<String> {
    let bare = without_scheme(text).trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = path.split('@').next()?.split(':').next()?;
    let host: Registry = host.parse().ok()?;
    let meant = match path {
        "" => host.to_string(),
        path => format!("{host}/{}", path.parse::<RepositoryName>().ok()?),
    };
    (meant != text).then_some(meant)
}

/// The transport of a text, if it has one that hod or skopeo takes.
pub(crate) fn transport(text: &str) -> Option<&str> {
    let (transport, rest) = text.split_once(':')?;
    let is_daemon = DAEMONS.iter().any(|(name, _)| *name == transport);
    let is_docker = transport == "docker" && rest.starts_with("//");
    (is_docker || is_daemon || Transport::split(text).is_some()).then_some(transport)
}

fn transport_hint(text: &str) -> Option<String> {
    let (transport, rest) = (transport(text)?, text.split_once(':')?.1);
    if let Some((_, save)) = DAEMONS.iter().find(|(name, _)| *name == transport) {
        return Some(format!(
            "hod does not read from `{transport}:`. `{save} --output FILE {rest}` writes a file that \
             `hod push`, `hod copy` and `hod ls` read."
        ));
    }
    Transport::split(text).map(|_| {
        format!("Write `{rest}`, without `{transport}:`: hod recognises what a path holds.")
    })
}

fn without_scheme(text: &str) -> &str {
    let schemes = ["docker://", "https://", "http://", "oci://"];
    schemes
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
}

/// Whether it is a usual port rather than a tag such as `20`.
fn is_port(text: &str) -> bool {
    let is_number = text.parse::<u16>().is_ok();
    is_number && (matches!(text, "80" | "443") || text.len() >= 4)
}

/// Whether a text ends as the names of files do that hod reads or writes.
pub(crate) fn names_file(text: &str) -> bool {
    let extension = Path::new(text).extension().and_then(|e| e.to_str());
    extension.is_some_and(|extension| extensions().any(|known| known == extension))
}

/// Whether a text looks like the name of a file, perhaps a misspelt one: `site.tra`, `a.tar.bak`.
fn is_like_file(text: &str) -> bool {
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    let mut words = text.split('.').skip(1);
    !text.contains([':', '/'])
        && words.any(|word| {
            let sorted = letters(word);
            extensions().any(|known| letters(known) == sorted)
        })
}

/// Whether a registry is named with a tag or digest behind it, as an image is.
pub(super) fn names_tag(text: &str) -> bool {
    let path = without_scheme(text).split_once('/');
    path.is_some_and(|(_, path)| path.contains([':', '@']))
}

/// Whether a text names a host, as in references, rather than a file.
fn is_like_registry(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    let is_path = text.starts_with(['.', '/']) || names_file(text);
    let is_host = match host.rsplit_once(':') {
        // `node:20` has a tag.
        Some((name, port)) => name.contains('.') || is_port(port),
        None => host == "localhost" || host.contains('.'),
    };
    !is_path && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_missing_may_be_something_else() {
        #[track_caller]
        fn check(path: &str, expect: Option<&str>) {
            let hint = source_hint(Path::new(path));
            match (&hint, expect) {
                (Some(hint), Some(expect)) => assert!(hint.contains(expect), "{path}: {hint}"),
                (None, None) => {}
                other => panic!("{path}: {other:?}"),
            }
        }
        check("127.0.0.1:5000", Some("hod pull 127.0.0.1:5000 --store"));
        check("harbor.corp", Some("hod receipt harbor.corp --output"));
        check("harbor.corp/offline", Some("hod copy harbor.corp/offline "));
        check("docker://harbor.corp/x:1", Some("hod ls harbor.corp/x`"));
        check("https://harbor.corp", Some("hod ls harbor.corp`"));
        check("node:20", Some("`hod pull node:20 --store"));
        check("harbor:8443", Some("hod ls harbor:8443`"));
        check("nginx:1.27", Some("`hod pull nginx:1.27 --store"));
        check("site.tar", None);
        check("site.tra", None);
        check("v.001.tar.bak", None);
        check("./harbor.corp", None);
        check("store", None);
        check("dir:layouts/a", Some("Write `layouts/a`"));
        check("docker-archive:a.tar", Some("Write `a.tar`"));
        check(
            "docker-daemon:nginx:1",
            Some("`docker save --output FILE nginx:1`"),
        );
    }

    #[test]
    fn a_list_that_is_missing_may_be_an_image() {
        for (path, expect) in [
            ("nginx", Some("`nginx:TAG`")),
            ("nginx:1.27", Some("`echo 'nginx:1.27' |`")),
            ("quay.io/coreos/etcd", Some("`quay.io/coreos/etcd:TAG`")),
            ("docker://h.corp/a:1", Some("`echo 'h.corp/a:1' |`")),
            ("images.txt", None),
            ("nosuchlist", None),
            ("./nginx", None),
            ("oci:layout", Some("Write `layout`")),
        ] {
            let hint = list_hint(Path::new(path));
            match expect {
                None => assert_eq!(hint, None, "{path}"),
                Some(expect) => assert!(hint.unwrap().contains(expect), "{path}"),
            }
        }
    }

    #[test]
    fn a_registry_is_read_out_of_other_spellings() {
        for (text, expect) in [
            ("docker://h.corp/x:1", Some("h.corp/x")),
            ("https://h.corp:8443/", Some("h.corp:8443")),
            ("h.corp/x:1", Some("h.corp/x")),
            ("h.corp/x@sha256:00", Some("h.corp/x")),
            ("h.corp/x", None),
            ("h.corp/X Y", None),
        ] {
            assert_eq!(meant_registry(text).as_deref(), expect, "{text}");
        }
    }
}
