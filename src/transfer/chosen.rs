//! One image of a layout or archive, as an endpoint chooses it: `oci:PATH:IMAGE`.

use std::fmt;
use std::str::FromStr;

use super::{Destination, Listed};
use hod_oci::{Reference, ReferenceError, Tag};

/// An image by its tag, or by its whole name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenImage {
    text: String,
    /// If it may be one.
    tag: Option<Tag>,
    /// If it may be one.
    name: Option<Reference>,
}

impl FromStr for ChosenImage {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let name = match text.parse::<Reference>() {
            Err(error @ ReferenceError::Host { .. }) => stored(text).ok_or(error),
            name => name,
        };
        let tag = text.parse::<Tag>().ok();
        match (tag, name) {
            (None, Err(error)) => Err(error),
            (tag, name) => Ok(Self {
                text: text.to_owned(),
                tag,
                name: name.ok(),
            }),
        }
    }
}

impl ChosenImage {
    /// The positions of matching images: by tag, otherwise by name.
    pub fn find(&self, images: &[Listed]) -> Vec<usize> {
        let positions = |is_it: &dyn Fn(&Listed) -> bool| {
            let found = images.iter().enumerate().filter(|(_, image)| is_it(image));
            found.map(|(at, _)| at).collect::<Vec<usize>>()
        };
        let by_tag = positions(&|image| self.tag.is_some() && image.destination.tag == self.tag);
        if !by_tag.is_empty() {
            return by_tag;
        }
        positions(&|image| self.name.as_ref().is_some_and(|name| has_name(image, name)))
    }

    /// The name of its only image: a tag keeps the repository.
    #[must_use]
    pub fn rename(&self, image: Destination) -> Destination {
        match (&self.tag, &self.name) {
            (Some(tag), _) => Destination {
                repository: image.repository,
                tag: Some(tag.clone()),
            },
            (None, Some(name)) => Destination {
                repository: name.stored_name().unwrap_or(image.repository),
                tag: name.tag.clone().or_else(|| Some(Tag::latest())),
            },
            (None, None) => image,
        }
    }
}

/// The name of an image as `hod ls` prints it, whose first part is a host whose port follows `_`.
fn stored(text: &str) -> Option<Reference> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse().ok()?)),
        None => (text, None),
    };
    let (path, last) = name.rsplit_once('/')?;
    let (last, tag) = match last.split_once(':') {
        Some((last, tag)) => (last, Some(tag.parse().ok()?)),
        None => (last, None),
    };
    Some(Reference {
        registry: None,
        repository: format!("{path}/{last}").parse().ok()?,
        tag,
        digest,
    })
}

fn has_name(image: &Listed, name: &Reference) -> bool {
    let is_there = |repository| image.destination.repository == repository;
    let names = [name.stored_name().ok(), Some(name.repository.clone())];
    // A name with a host matches only that host.
    let n = if name.registry.is_some() { 1 } else { 2 };
    let is_name = names.into_iter().take(n).flatten().any(is_there);
    is_name
        && match (&name.digest, &name.tag) {
            (Some(digest), _) => image.digest.as_ref() == Some(digest),
            (None, Some(tag)) => image.destination.tag.as_ref() == Some(tag),
            (None, None) => image.destination.tag == Some(Tag::latest()),
        }
}

impl fmt::Display for ChosenImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_oci::Digest;

    fn listed(name: &str) -> Listed {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let digest = Digest::of(name.as_bytes());
        let (repository, tag) = (repository.parse().unwrap(), tag.parse().unwrap());
        Listed::stored(repository, Some(tag), digest)
    }

    #[test]
    fn an_image_is_chosen_by_its_tag_or_by_its_name() {
        let images = [
            "app:1.0",
            "library/redis:7",
            "quay.io/a/b:7",
            "library/latest:2",
            "x/y:latest",
            "127.0.0.1_5000/a/b:8",
        ];
        let listed = images.map(listed);
        let digest = Digest::of(b"app:1.0");
        for (text, expect) in [
            ("1.0", "app:1.0"),
            ("7", "library/redis:7 quay.io/a/b:7"),
            ("redis:7", "library/redis:7"),
            ("docker.io/library/redis:7", "library/redis:7"),
            ("app:1.0", "app:1.0"),
            ("quay.io/a/b:7", "quay.io/a/b:7"),
            ("a/b:7", ""),
            ("127.0.0.1:5000/a/b:8", "127.0.0.1_5000/a/b:8"),
            ("127.0.0.1_5000/a/b:8", "127.0.0.1_5000/a/b:8"),
            ("127.0.0.1_5001/a/b:8", ""),
            ("ghcr.io/a/b:7", ""),
            ("latest", "x/y:latest"),
            ("x/y", "x/y:latest"),
            ("app", ""),
            ("2.0", ""),
            (&format!("app@{digest}"), "app:1.0"),
        ] {
            let chosen: ChosenImage = text.parse().unwrap();
            let found: Vec<&str> = chosen.find(&listed).iter().map(|at| images[*at]).collect();
            assert_eq!(found.join(" "), expect, "{text}");
        }
        for text in ["", "a b", "A/b:1", "@3", "a:b:c"] {
            assert!(text.parse::<ChosenImage>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_gives_an_image_its_name() {
        for (text, expect) in [
            ("2.0", "app:2.0"),
            ("redis:7", "library/redis:7"),
            ("quay.io/a/b", "quay.io/a/b:latest"),
        ] {
            let image = listed("app:1.0").destination;
            let renamed = text.parse::<ChosenImage>().unwrap().rename(image);
            assert_eq!(renamed.to_string(), expect, "{text}");
        }
    }
}
