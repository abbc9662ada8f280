//! The referrers within one repository of a local source, found without requests.

use std::collections::{HashMap, HashSet};

use crate::{Location, TransferError};
use hod_bundle::BundleImage;
use hod_layout::{Collection, DirLayout, FoundLayout};
use hod_oci::{Digest, Manifest, ReferrerTag, ReferrerTagKind, RepositoryName, Tag};
use hod_store::Store;

/// The referrers in one repository of a store, a bundle or a directory of layouts.
#[derive(Debug, Default)]
pub struct LocalReferrers {
    /// Every manifest of the repository.
    members: HashSet<Digest>,
    /// The tags that lead to referrers by their form.
    tagged: Vec<Tagged>,
    /// Unreadable referrers: their subjects cannot be carried with them.
    unreadable: Vec<Unreadable>,
    /// The subject of each manifest, and the place of the manifest.
    subjects: HashMap<Digest, (Digest, Location)>,
    /// The manifests about another, each list sorted.
    about: HashMap<Digest, Vec<Digest>>,
    /// The positions of cosign's tags by their subjects.
    cosign: HashMap<Digest, Vec<usize>>,
}

/// A tag that leads to a referrer.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) form: ReferrerTag,
    pub(super) tag: Tag,
    pub(super) digest: Digest,
    pub(super) location: Location,
}

/// A tag that should lead to a referrer, and cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    form: ReferrerTag,
    pub(super) tag: Tag,
    /// The digest of the tag, if it is known.
    pub(super) digest: Option<Digest>,
    pub(super) location: Location,
}

/// The stored name and the tag of a layout.
pub fn layout_name(reference: &hod_oci::Reference) -> (RepositoryName, Option<Tag>) {
    let repository = reference
        .stored_name()
        .expect("a parsed reference has a name that can be stored");
    let tag = match (&reference.tag, &reference.digest) {
        (None, None) => Some(Tag::latest()),
        (tag, _) => tag.clone(),
    };
    (repository, tag)
}

impl LocalReferrers {
    /// The manifests in a repository of a store. Blocks.
    pub(crate) fn of_store(
        store: &Store,
        repository: &RepositoryName,
    ) -> Result<Self, TransferError> {
        let mut found = Self::default();
        found.members.extend(store.revisions(repository)?);
        for tag in store.tags(repository)? {
            let Some(form) = ReferrerTag::parse(&tag) else {
                continue;
            };
            match store.resolve_tag(repository, &tag) {
                Ok(Some(digest)) => found.tagged.push(Tagged {
                    form,
                    tag,
                    digest,
                    location: Location::Pool,
                }),
                Ok(None) => {}
                Err(_) => found.unreadable.push(Unreadable {
                    form,
                    tag,
                    digest: None,
                    location: Location::Pool,
                }),
            }
        }
        for (digest, subject) in store.subjects(repository)? {
            found.subjects.insert(digest, (subject, Location::Pool));
        }
        Ok(found.indexed())
    }

    /// The manifests in a repository of a bundle that lists `images`. Blocks as `read` does.
    pub(crate) fn of_images(
        images: &[BundleImage],
        repository: &RepositoryName,
        read: impl Fn(&Digest) -> Result<Option<Manifest>, TransferError>,
    ) -> Self {
        let mut found = Self::default();
        let is_plain = |tag: &Tag| ReferrerTag::parse(tag).is_none();
        for image in images.iter().filter(|i| i.repository == *repository) {
            found.members.extend(image.manifests.iter().cloned());
            if !image.tag.as_ref().is_some_and(is_plain) {
                found.add(image.tag.clone(), Location::Pool, &image.digest, &read);
            }
        }
        found.indexed()
    }

    /// The manifests in a repository of a layout or archive of another tool. Blocks.
    pub(crate) fn of_collection(collection: &Collection, repository: &RepositoryName) -> Self {
        let mut found = Self::default();
        let images = collection.images().iter();
        for image in images.filter(|image| image.repository == *repository) {
            let read = |digest: &Digest| Ok(collection.read_manifest(digest)?);
            found.add(image.tag.clone(), Location::Pool, &image.digest, read);
        }
        found.indexed()
    }

    /// The manifests in a repository of a directory of `dir:` layouts. Blocks.
    pub(crate) fn of_layouts(layouts: &[FoundLayout], repository: &RepositoryName) -> Self {
        let mut found = Self::default();
        for (at, layout) in layouts.iter().enumerate() {
            let (name, tag) = layout_name(&layout.reference);
            if name != *repository {
                continue;
            }
            let location = Location::Layout(at);
            let opened = DirLayout::open(&layout.path);
            match opened.and_then(|layout| Ok((layout.top_manifest()?, layout))) {
                Ok((top, layout)) => {
                    let read = |digest: &Digest| Ok(layout.read_manifest(digest)?);
                    found.add(tag, location, top.digest(), read);
                }
                Err(_) => found.add_unreadable(tag, location, None),
            }
        }
        found.indexed()
    }

    /// Notes which manifests are about which, once all are known.
    fn indexed(mut self) -> Self {
        for (digest, (subject, _)) in &self.subjects {
            let about = self.about.entry(subject.clone()).or_default();
            about.push(digest.clone());
        }
        for about in self.about.values_mut() {
            about.sort_unstable();
        }
        for (at, tagged) in self.tagged.iter().enumerate() {
            // Cosign's tags have the whole digest.
            if tagged.form.kind == ReferrerTagKind::Cosign
                && let Some(subject) = tagged.form.subject()
            {
                self.cosign.entry(subject).or_default().push(at);
            }
        }
        self
    }

    /// Adds what one tag, or one manifest without a tag, leads to. Without a tag, one that cannot
    /// be read is an image like any other until somebody wants it.
    fn add(
        &mut self,
        tag: Option<Tag>,
        location: Location,
        digest: &Digest,
        read: impl Fn(&Digest) -> Result<Option<Manifest>, TransferError>,
    ) {
        let added = match read(digest) {
            Ok(Some(top)) => self.add_entry(tag.clone(), location.clone(), &top, &read),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if added.is_err() {
            self.add_unreadable(tag, location, Some(digest));
        }
    }

    fn add_unreadable(&mut self, tag: Option<Tag>, location: Location, digest: Option<&Digest>) {
        self.members.extend(digest.cloned());
        if let Some(tag) = tag
            && let Some(form) = ReferrerTag::parse(&tag)
        {
            self.unreadable.push(Unreadable {
                form,
                tag,
                digest: digest.cloned(),
                location,
            });
        }
    }

    fn add_entry(
        &mut self,
        tag: Option<Tag>,
        location: Location,
        top: &Manifest,
        read: impl Fn(&Digest) -> Result<Option<Manifest>, TransferError>,
    ) -> Result<(), TransferError> {
        self.members.insert(top.digest().clone());
        self.add_subject(top, &location);
        let form = tag.as_ref().and_then(ReferrerTag::parse);
        let is_index = form
            .as_ref()
            .is_some_and(|form| form.kind == ReferrerTagKind::Index);
        for child in top.children() {
            self.members.insert(child.digest.clone());
            if is_index && let Some(child) = read(&child.digest)? {
                self.add_subject(&child, &location);
            }
        }
        if let (Some(form), Some(tag)) = (form, tag) {
            self.tagged.push(Tagged {
                form,
                tag,
                digest: top.digest().clone(),
                location,
            });
        }
        Ok(())
    }

    fn add_subject(&mut self, manifest: &Manifest, location: &Location) {
        if let Some(subject) = manifest.subject() {
            let subject = (subject.digest.clone(), location.clone());
            self.subjects.insert(manifest.digest().clone(), subject);
        }
    }

    /// The manifests with this `subject`, each with its location.
    pub(super) fn about(&self, subject: &Digest) -> impl Iterator<Item = (&Digest, &Location)> {
        let about = self.about.get(subject).into_iter().flatten();
        about.map(|digest| (digest, &self.subjects[digest].1))
    }

    /// The tags that should lead to something about `subject`, and cannot be read.
    pub(super) fn unreadable(&self, subject: &Digest) -> impl Iterator<Item = &Unreadable> {
        let tags = self.unreadable.iter();
        tags.filter(|unreadable| unreadable.form.is_about(subject))
    }

    /// The tags of cosign's that are about `subject`.
    pub(super) fn cosign(&self, subject: &Digest) -> impl Iterator<Item = &Tagged> {
        let positions = self.cosign.get(subject).into_iter().flatten();
        positions.map(|&at| &self.tagged[at])
    }

    /// Returns true if a manifest, by its tag or subject, refers to another manifest.
    pub fn is_candidate(&self, tag: Option<&Tag>, digest: Option<&Digest>) -> bool {
        match tag {
            Some(tag) => ReferrerTag::parse(tag).is_some(),
            None => digest.is_some_and(|digest| self.subjects.contains_key(digest)),
        }
    }

    /// Distinguishes referrers from images: returns the manifests that are carried with the images
    /// whose tops are `roots`, including referrers and their referrers.
    ///
    /// A manifest whose subject is not in the repository counts as an image.
    pub fn carried_with(&self, roots: &HashSet<Digest>) -> HashSet<Digest> {
        let tops: HashSet<&Digest> = self.tagged.iter().map(|tagged| &tagged.digest).collect();
        let is_root = |digest: &&Digest| {
            roots.contains(*digest)
                || !self.subjects.contains_key(*digest) && !tops.contains(*digest)
        };
        let mut carried: HashSet<Digest> = self.members.iter().filter(is_root).cloned().collect();
        let mut queue: Vec<Digest> = carried.iter().cloned().collect();
        while let Some(subject) = queue.pop() {
            let cosign = self.cosign(&subject).map(|tagged| &tagged.digest);
            let found: Vec<&Digest> = self.about(&subject).map(|(digest, _)| digest).collect();
            for digest in found.into_iter().chain(cosign) {
                if carried.insert(digest.clone()) {
                    queue.push(digest.clone());
                }
            }
        }
        carried
    }

    /// Whether a candidate is carried with one of the images passed to [`Self::carried_with`].
    pub fn is_carried(
        &self,
        tag: Option<&Tag>,
        digest: Option<&Digest>,
        carried: &HashSet<Digest>,
    ) -> bool {
        let Some(form) = tag.and_then(ReferrerTag::parse) else {
            let subject = digest.and_then(|digest| self.subjects.get(digest));
            return subject.is_some_and(|(subject, _)| carried.contains(subject));
        };
        match form.subject() {
            Some(subject) => carried.contains(&subject),
            None => carried.iter().any(|digest| form.is_about(digest)),
        }
    }
}
