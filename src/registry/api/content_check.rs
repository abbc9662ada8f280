//! Evaluates answers: the one place that decides whether a registry has something.
//!
//! A success status alone proves nothing: a proxy's block page answers 200 to every request, and a
//! registry whose storage was damaged answers 200 for a blob whose bytes are lost. So status,
//! length, digest and content type are judged together, and anything that contradicts the content
//! outweighs the status.

use crate::wire::transport::Answer;
use hod_oci::Digest;

/// The content that a registry has under a name, compared with the expected content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCheck {
    /// Nothing.
    Absent,
    /// The very content, as far as its length and digest tell.
    Present,
    /// Other content, of this length if the registry says so.
    Differs { len: Option<u64> },
    /// Content that the answer does not identify.
    Unknown,
}

impl ContentCheck {
    /// Describes the difference from content that should have `expected` bytes.
    pub fn of_len(self, expected: u64) -> String {
        match self {
            Self::Absent => "not found".to_owned(),
            Self::Present => "found".to_owned(),
            Self::Differs { len: Some(actual) } => {
                format!("{actual} bytes are there, expected {expected}")
            }
            Self::Differs { len: None } | Self::Unknown => "something else is there".to_owned(),
        }
    }
}

/// How content was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestedBy {
    /// Then the right length is enough, since the registry knows the digest.
    Digest,
    /// Then only the digest tells.
    Tag,
}

/// The properties of content according to the headers of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) status: u16,
    pub(crate) len: Option<u64>,
    pub(crate) digest: Option<Digest>,
    /// Whether it is a web page.
    pub(crate) is_page: bool,
}

impl Facts {
    pub(crate) fn of(answer: &Answer) -> Self {
        Self {
            status: answer.status(),
            len: answer.content_length(),
            digest: answer.digest(),
            is_page: answer.is_page(),
        }
    }

    /// Judges the answer to a HEAD, or a GET whose body is not read.
    pub(crate) fn judge(
        &self,
        requested_by: RequestedBy,
        digest: &Digest,
        len: u64,
    ) -> ContentCheck {
        match self.status {
            404 => return ContentCheck::Absent,
            200 if !self.is_page => {}
            _ => return ContentCheck::Unknown,
        }
        let is_other = |named: &Digest| named != digest;
        if self.digest.as_ref().is_some_and(is_other) || self.len.is_some_and(|is| is != len) {
            return ContentCheck::Differs { len: self.len };
        }
        let is_known = match requested_by {
            RequestedBy::Digest => self.len.is_some() || self.digest.is_some(),
            RequestedBy::Tag => self.digest.is_some(),
        };
        if is_known {
            ContentCheck::Present
        } else {
            ContentCheck::Unknown
        }
    }

    /// Whether the answer to the PUT of a manifest proves that it was stored.
    ///
    /// The kind of content does not count: some registries send their `201` as a web page.
    pub(crate) fn is_stored(&self, digest: &Digest) -> bool {
        self.status == 201 && self.digest.as_ref() == Some(digest)
    }

    /// Whether the answer to the end of an upload, or to a mount, proves that the blob is there;
    /// these need not name the digest.
    pub(crate) fn is_created(&self, digest: &Digest) -> bool {
        match &self.digest {
            Some(named) => self.status == 201 && named == digest,
            None => self.status == 201 && !self.is_page,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(status: u16, len: Option<u64>, digest: Option<&str>) -> Facts {
        Facts {
            status,
            len,
            digest: digest.map(|text| Digest::of(text.as_bytes())),
            is_page: false,
        }
    }

    #[test]
    fn only_what_nothing_contradicts_is_there() {
        use ContentCheck::{Absent, Differs, Present, Unknown};
        use RequestedBy::{Digest as ByDigest, Tag};
        #[track_caller]
        fn check(facts: &Facts, expect: [ContentCheck; 2]) {
            let right = Digest::of(b"right");
            let actual = [ByDigest, Tag].map(|asked| facts.judge(asked, &right, 5));
            assert_eq!(actual, expect, "{facts:?}");
        }
        let (right, other) = (Some("right"), Some("other"));
        check(&facts(200, Some(5), right), [Present, Present]);
        check(&facts(200, None, right), [Present, Present]);
        check(&facts(200, Some(5), None), [Present, Unknown]);
        check(&facts(200, None, None), [Unknown, Unknown]);
        let cut = Differs { len: Some(0) };
        check(&facts(200, Some(0), right), [cut, cut]);
        check(&facts(200, Some(0), None), [cut, cut]);
        let lies = Differs { len: Some(5) };
        check(&facts(200, Some(5), other), [lies, lies]);
        let mute = Differs { len: None };
        check(&facts(200, None, other), [mute, mute]);
        check(&facts(404, Some(5), right), [Absent, Absent]);
        for status in [201, 202, 204, 206, 302, 403, 412, 500] {
            check(&facts(status, Some(5), right), [Unknown, Unknown]);
        }
        let page = Facts {
            is_page: true,
            ..facts(200, Some(5), right)
        };
        check(&page, [Unknown, Unknown]);
    }

    #[test]
    fn a_put_is_proved_by_its_digest() {
        let right = Digest::of(b"right");
        assert!(facts(201, None, Some("right")).is_stored(&right));
        assert!(!facts(201, None, Some("other")).is_stored(&right));
        assert!(!facts(201, None, None).is_stored(&right));
        assert!(!facts(200, None, Some("right")).is_stored(&right));
        let page = |digest| Facts {
            is_page: true,
            ..facts(201, None, digest)
        };
        assert!(page(Some("right")).is_stored(&right));
        assert!(page(Some("right")).is_created(&right));
        assert!(!page(None).is_created(&right));
        assert!(facts(201, None, None).is_created(&right));
        assert!(!facts(201, None, Some("other")).is_created(&right));
        assert!(!facts(204, None, None).is_created(&right));
    }
}
