//! Which endpoint a path means (distribution-spec 1.1, "Endpoints").
//!
//! By hand, since a repository name has any number of components and may itself have the words of
//! the API in it: the last components decide.

use axum::http::Method;

use hod_oci::{Digest, RepositoryName, Tag};

use super::error::{ApiError, Code};
use super::options::Access;

/// An endpoint with what its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Target),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, String),
}

/// Identifies a manifest within its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tag(Tag),
    Digest(Digest),
    /// A text that is neither, so that no manifest is found.
    Neither(String),
}

impl Route {
    /// The supported methods, if everything is allowed.
    fn methods(&self) -> &'static [Method] {
        const READ: [Method; 2] = [Method::GET, Method::HEAD];
        match self {
            Self::Base | Self::Catalog | Self::Tags(_) | Self::Referrers(..) => &READ,
            Self::Manifest(..) => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Self::Blob(..) => &[Method::GET, Method::HEAD, Method::DELETE],
            Self::Uploads(_) => &[Method::POST],
            Self::Upload(..) => &[Method::GET, Method::PATCH, Method::PUT, Method::DELETE],
        }
    }

    /// The value of `Allow` (RFC 9110, 10.2.1) for clients with `access`.
    pub(super) fn allowed(&self, access: Access) -> String {
        let is_allowed = |method: &&Method| match **method {
            Method::GET | Method::HEAD => {
                !matches!(self, Self::Upload(..)) || access != Access::ReadOnly
            }
            Method::DELETE if !matches!(self, Self::Upload(..)) => access == Access::PushAndDelete,
            _ => access != Access::ReadOnly,
        };
        let allowed = self.methods().iter().filter(is_allowed);
        allowed.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Parses the path of a request, percent-encoded as it came.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let path = percent_decode(path).ok_or_else(no_such_endpoint)?;
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or_else(no_such_endpoint)?,
            None => return Err(no_such_endpoint()),
        };
        if rest == "_catalog" {
            return Ok(Self::Catalog);
        }
        let components: Vec<&str> = rest.split('/').collect();
        match components.as_slice() {
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "manifests", target] => {
                Ok(Self::Manifest(repository(name)?, Target::parse(target)?))
            }
            [name @ .., "referrers", digest] => {
                Ok(Self::Referrers(repository(name)?, parse_digest(digest)?))
            }
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload(repository(name)?, (*id).to_owned()))
            }
            [name @ .., "blobs", digest] => {
                Ok(Self::Blob(repository(name)?, parse_digest(digest)?))
            }
            _ => Err(no_such_endpoint()),
        }
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, ApiError> {
        if text.contains(':') {
            return parse_digest(text).map(Self::Digest);
        }
        Ok(text
            .parse()
            .map_or_else(|_| Self::Neither(text.to_owned()), Self::Tag))
    }
}

/// Parses a digest of a path or a query.
pub(super) fn parse_digest(text: &str) -> Result<Digest, ApiError> {
    text.parse().map_err(|error: hod_oci::DigestError| {
        ApiError::new(Code::DigestInvalid, error.to_string())
    })
}

fn repository(components: &[&str]) -> Result<RepositoryName, ApiError> {
    components
        .join("/")
        .parse()
        .map_err(|error: hod_oci::ReferenceError| {
            ApiError::new(Code::NameInvalid, error.to_string())
        })
}

fn no_such_endpoint() -> ApiError {
    ApiError::new(Code::NotFound, "endpoint not found")
}

/// Decodes percent escapes; `None` for an invalid escape or invalid UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut nibble = || char::from(bytes.next()?).to_digit(16);
            let value = nibble()? * 16 + nibble()?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_components_decide() {
        #[track_caller]
        fn check(path: &str, expect: &Route) {
            assert_eq!(&Route::parse(&path.replace("HEX", HEX)).unwrap(), expect);
        }
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        check("/v2/", &Route::Base);
        check("/v2", &Route::Base);
        check("/v2/_catalog", &Route::Catalog);
        check("/v2/a/b/c/tags/list", &Route::Tags(name("a/b/c")));
        check(
            "/v2/tags/list/manifests/v1",
            &Route::Manifest(name("tags/list"), Target::Tag("v1".parse().unwrap())),
        );
        check(
            "/v2/manifests/manifests/sha256%3AHEX",
            &Route::Manifest(name("manifests"), Target::Digest(digest.clone())),
        );
        check(
            "/v2/blobs/blobs/sha256:HEX",
            &Route::Blob(name("blobs"), digest.clone()),
        );
        check(
            "/v2/referrers/referrers/sha256:HEX",
            &Route::Referrers(name("referrers"), digest),
        );
        check(
            "/v2/a/manifests/.x",
            &Route::Manifest(name("a"), Target::Neither(".x".to_owned())),
        );
        check("/v2/a/blobs/uploads/", &Route::Uploads(name("a")));
        check("/v2/a/blobs/uploads", &Route::Uploads(name("a")));
        check(
            "/v2/a/blobs/uploads/x-1",
            &Route::Upload(name("a"), "x-1".to_owned()),
        );
    }

    #[test]
    fn methods_depend_on_access() {
        #[track_caller]
        fn check(path: &str, expect: [&str; 3]) {
            let route = Route::parse(&path.replace("HEX", HEX)).unwrap();
            let each = [Access::ReadOnly, Access::Push, Access::PushAndDelete];
            assert_eq!(each.map(|access| route.allowed(access)), expect, "{path}");
        }
        check("/v2/a/tags/list", ["GET, HEAD"; 3]);
        check(
            "/v2/a/manifests/1",
            ["GET, HEAD", "GET, HEAD, PUT", "GET, HEAD, PUT, DELETE"],
        );
        check(
            "/v2/a/blobs/sha256:HEX",
            ["GET, HEAD", "GET, HEAD", "GET, HEAD, DELETE"],
        );
        check("/v2/a/blobs/uploads/", ["", "POST", "POST"]);
        let upload = "GET, PATCH, PUT, DELETE";
        check("/v2/a/blobs/uploads/x", ["", upload, upload]);
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_a_code() {
        #[track_caller]
        fn check(path: &str, expect: Code) {
            assert_eq!(Route::parse(path).unwrap_err().code(), expect, "{path}");
        }
        check("/", Code::NotFound);
        check("/v2x", Code::NotFound);
        check("/v2/a/referrers/x", Code::DigestInvalid);
        check("/v2/a/referrers", Code::NotFound);
        check("/v2/a/%zz/tags/list", Code::NotFound);
        check("/v2/A/tags/list", Code::NameInvalid);
        check("/v2/../tags/list", Code::NameInvalid);
        check("/v2/a/%2e%2e/tags/list", Code::NameInvalid);
        check("/v2/tags/list", Code::NameInvalid);
        check("/v2/a/manifests/sha256:12", Code::DigestInvalid);
        check("/v2/a/blobs/latest", Code::DigestInvalid);
    }
}
