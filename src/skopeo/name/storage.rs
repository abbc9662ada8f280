//! Names of images in the storage of podman, buildah and CRI-O:
//! `[STORE]NAME[:TAG][@DIGEST][@ID]`.

use hod_oci::Digest;

use super::named::{Named, NamedError};

/// The shortest beginning of an ID that is looked for.
const ID_LEN_MIN: usize = 3;
/// The length of a whole ID.
const ID_LEN: usize = 64;

/// An image in the storage, or the place for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageName {
    /// As written.
    pub(crate) text: String,
    /// The storage, if it is not the usual one.
    pub(crate) store: Option<StoreSpec>,
    /// Has a tag or a digest.
    pub(crate) named: Option<Named>,
    /// The hexadecimal digits of an ID, or the first of them.
    pub(crate) id: Option<String>,
    /// A name that may as well be the first digits of an ID.
    pub(crate) short_id: Option<String>,
}

/// `[DRIVER@ROOT+RUNROOT:OPTION,…]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StoreSpec {
    pub(crate) driver: Option<String>,
    pub(crate) root: Option<String>,
    pub(crate) run_root: Option<String>,
    pub(crate) options: Vec<String>,
}

/// Why a text is not such a name, in the words of containers' parser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StorageNameError {
    #[error("\"\" is an empty reference: invalid reference")]
    Empty,
    #[error("invalid reference")]
    Store,
    #[error("path name is not absolute")]
    Relative,
    #[error("empty trailing digest or ID in {}: invalid reference", hod_gotext::quote(.0))]
    EmptyId(String),
    #[error("{} does not look like an image ID or digest: invalid reference", hod_gotext::quote(.0))]
    Id(String),
    #[error("parsing named reference {}: {problem}", hod_gotext::quote(.text))]
    Named { text: String, problem: NamedError },
}

impl StorageName {
    pub(super) fn parse(text: &str) -> Result<Self, StorageNameError> {
        let (store, image) = match text.strip_prefix('[') {
            Some(rest) => {
                let (spec, image) = rest.split_once(']').ok_or(StorageNameError::Store)?;
                (Some(StoreSpec::parse(spec)?), image)
            }
            None => (None, text),
        };
        if image.is_empty() {
            return Err(StorageNameError::Empty);
        }
        let (name, id) = match image.rsplit_once('@') {
            Some((_, "")) => return Err(StorageNameError::EmptyId(image.to_owned())),
            Some((_, digest)) if digest.parse::<Digest>().is_ok() => (image, None),
            Some((name, id)) if is_id(id) => (name, Some(id.to_owned())),
            Some((_, other)) => return Err(StorageNameError::Id(other.to_owned())),
            None => (image, None),
        };
        let short_id = (id.is_none() && is_id(name)).then(|| name.to_owned());
        let named = match Named::parse(name) {
            Ok(named) => Some(named.with_default_tag()),
            Err(_) if name.is_empty() && id.is_some() => None,
            Err(NamedError::Id(_)) if short_id.is_some() => None,
            Err(problem) => {
                let text = name.to_owned();
                return Err(StorageNameError::Named { text, problem });
            }
        };
        Ok(Self {
            text: text.to_owned(),
            store,
            named,
            id,
            short_id,
        })
    }
}

impl StoreSpec {
    fn parse(spec: &str) -> Result<Self, StorageNameError> {
        let (driver, rest) = match spec.split_once('@') {
            Some((driver, rest)) => (Some(driver), rest),
            None => (None, spec),
        };
        if rest.is_empty() || driver == Some("") {
            return Err(StorageNameError::Store);
        }
        let (roots, options) = rest.split_once(':').unwrap_or((rest, ""));
        let (root, run_root) = roots.split_once('+').unwrap_or((roots, ""));
        let path = |path: &str| match path {
            "" => Ok(None),
            path if path.starts_with('/') => Ok(Some(path.to_owned())),
            _ => Err(StorageNameError::Relative),
        };
        let options = options.split(',').filter(|option| !option.is_empty());
        Ok(Self {
            driver: driver.map(str::to_owned),
            root: path(root)?,
            run_root: path(run_root)?,
            options: options.map(str::to_owned).collect(),
        })
    }
}

/// Whether it is an ID, or the start of one.
fn is_id(text: &str) -> bool {
    (ID_LEN_MIN..=ID_LEN).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name, the ID and the possible ID.
    type Parts<'a> = [Option<&'a str>; 3];

    #[track_caller]
    fn check(text: &str, expect: Result<Parts<'_>, &str>) {
        let parsed = StorageName::parse(text).map_err(|error| error.to_string());
        let parsed = parsed.map(|name| [name.named.map(|n| n.to_string()), name.id, name.short_id]);
        let expect = expect.map(|parts| parts.map(|part| part.map(str::to_owned)));
        assert_eq!(parsed, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn names_have_tags_digests_and_ids() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let id = &digest[7..];
        let latest = Some("docker.io/library/box:latest");
        check("box", Ok([latest, None, None]));
        check("[vfs@/a+/b]box", Ok([latest, None, None]));
        check(
            "bee",
            Ok([Some("docker.io/library/bee:latest"), None, Some("bee")]),
        );
        check(&format!("@{id}"), Ok([None, Some(id), None]));
        check(id, Ok([None, None, Some(id)]));
        check("box@e3b0c", Ok([latest, Some("e3b0c"), None]));
        let by_digest = format!("docker.io/library/box@{digest}");
        check(&by_digest, Ok([Some(&by_digest), None, None]));
        check(
            &format!("{by_digest}@{id}"),
            Ok([Some(&by_digest), Some(id), None]),
        );
        check("", Err("\"\" is an empty reference: invalid reference"));
        check("[/a]", Err("\"\" is an empty reference: invalid reference"));
        check(
            "x@",
            Err("empty trailing digest or ID in \"x@\": invalid reference"),
        );
        check(
            "x@xyz",
            Err("\"xyz\" does not look like an image ID or digest: invalid reference"),
        );
        check(
            "A:b",
            Err(
                "parsing named reference \"A:b\": invalid reference format: repository name must be lowercase",
            ),
        );
    }

    #[test]
    fn stores_have_a_driver_roots_and_options() {
        let store = |text: &str| StorageName::parse(text).map(|name| name.store.unwrap());
        let own = |text: &str| Some(text.to_owned());
        let spec = StoreSpec {
            driver: own("overlay"),
            root: own("/a"),
            run_root: own("/b"),
            options: vec!["x=1".to_owned(), "y=2".to_owned()],
        };
        assert_eq!(store("[overlay@/a+/b:x=1,y=2]box"), Ok(spec));
        let spec = StoreSpec {
            root: own("/a"),
            ..StoreSpec::default()
        };
        assert_eq!(store("[/a]box"), Ok(spec));
        assert_eq!(store("[vfs@rel]box"), Err(StorageNameError::Relative));
        assert_eq!(store("[]box"), Err(StorageNameError::Store));
        assert_eq!(store("[@/a]box"), Err(StorageNameError::Store));
        assert_eq!(store("["), Err(StorageNameError::Store));
    }
}
