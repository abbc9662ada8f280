//! The images of a local source that are wanted, and the names they go under.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Catalog;
use crate::OpsError;
use crate::carry::Carry;
use crate::platforms::PlatformOptions;
use hod_list::{
    Collision, Expanded, ImageList, IndexChoice, Landing, LineOptions, ListEntry, ListLine,
    RenameError, RenameRules,
};
use hod_oci::{Digest, ReferrerTag, Registry, RepositoryName, Tag};
use hod_transfer::{Destination, Listed, ReferrerMode, Sought, Wanted};

/// What verbs that carry nothing find in a source.
#[derive(Debug, Default)]
pub struct Surveyed {
    pub wanted: Vec<Wanted>,
    /// Different images of one name.
    pub collisions: Vec<Collision>,
    /// The images that a list names and the source lacks.
    pub missing: Vec<ListLine>,
}

impl Catalog {
    /// The images to carry under their new names: those that `list` names, or all.
    ///
    /// Every missing image and every collision is found here, before anything is done. An image
    /// that is found twice is carried once.
    ///
    /// Without a list, referrers are carried with their image or left out, and are not images
    /// themselves.
    pub async fn wanted(
        &self,
        list: Option<&ImageList>,
        rules: &RenameRules,
        carry: &Carry<'_>,
    ) -> Result<Vec<Wanted>, OpsError> {
        let rules = std::slice::from_ref(rules);
        let mut wanted = self.wanted_under(list, rules, carry).await?;
        Ok(wanted.pop().unwrap_or_default())
    }

    /// The same images in the same order under the names that each of several rules gives them.
    pub async fn wanted_under(
        &self,
        list: Option<&ImageList>,
        rules: &[RenameRules],
        carry: &Carry<'_>,
    ) -> Result<Vec<Vec<Wanted>>, OpsError> {
        let (found, missing) = match list {
            Some(list) => self.find_listed(list).await?,
            None => (self.images().await?, Vec::new()),
        };
        if !missing.is_empty() {
            return Err(OpsError::Missing {
                path: self.path.clone(),
                n_wanted: found.len() + missing.len(),
                missing: missing.iter().map(ListLine::name).collect(),
            });
        }
        let mut is_new = vec![false; found.len()];
        let mut all = Vec::with_capacity(rules.len());
        for rules in rules {
            let (wanted, landings) = self.land(found.clone(), rules, carry)?;
            require_apart(&landings)?;
            let mut seen = HashSet::new();
            for (is_new, landing) in is_new.iter_mut().zip(landings) {
                let identity = match landing.digest {
                    Some(digest) => digest.to_string(),
                    None => landing.source,
                };
                *is_new |= seen.insert((landing.repository, landing.tag, identity));
            }
            all.push(wanted);
        }
        let kept = |wanted: Vec<Wanted>| {
            let images = wanted.into_iter().zip(&is_new);
            images.filter_map(|(image, &is_new)| is_new.then_some(image))
        };
        Ok(all
            .into_iter()
            .map(|wanted| kept(wanted).collect())
            .collect())
    }

    /// The images under their own names, for verbs that carry nothing: those that `list` names, or
    /// all. Different images of one name, and images that are missing, are a part of what such verbs
    /// find.
    pub async fn survey(
        &self,
        list: Option<&ImageList>,
        carry: &Carry<'_>,
    ) -> Result<Surveyed, OpsError> {
        let (found, missing) = match list {
            Some(list) => self.find_listed(list).await?,
            None => (self.images().await?, Vec::new()),
        };
        if found.is_empty() && !missing.is_empty() {
            return Ok(Surveyed {
                missing,
                ..Surveyed::default()
            });
        }
        let (wanted, landings) = self.land(found, &RenameRules::default(), carry)?;
        Ok(Surveyed {
            wanted,
            collisions: hod_list::collisions(&landings),
            missing,
        })
    }

    /// Everything under its own names.
    pub async fn survey_all(&self) -> Result<Surveyed, OpsError> {
        let everything = PlatformOptions::default();
        let carry = Carry::local(&everything, ReferrerMode::Carry);
        self.survey(None, &carry).await
    }

    /// Gives images their new names.
    fn land(
        &self,
        found: Vec<Found>,
        rules: &RenameRules,
        carry: &Carry<'_>,
    ) -> Result<(Vec<Wanted>, Vec<Landing>), OpsError> {
        if found.is_empty() {
            return Err(OpsError::NoImages {
                path: self.path.clone(),
            });
        }
        let names = found
            .iter()
            .map(|found| &found.image.destination.repository);
        rules.require_used(names)?;
        let mut wanted = Vec::with_capacity(found.len());
        let mut landings = Vec::with_capacity(found.len());
        for Found { image, options } in found {
            let (destination, landing) =
                landed(rules, &image.name, image.digest, image.destination)?;
            landings.push(landing);
            let carried = carry.of(&options);
            wanted.push(carried.wanted(image.name, image.locate, destination));
        }
        Ok((wanted, landings))
    }

    /// The images that a list names, and the lines of those that are missing.
    async fn find_listed(&self, list: &ImageList) -> Result<(Vec<Found>, Vec<ListLine>), OpsError> {
        let mut entries = Vec::with_capacity(list.lines.len());
        let mut missing = Vec::new();
        for image in self.expand(list).await? {
            match image {
                Expanded::Image(entry) => entries.push(entry),
                Expanded::Nothing(line, ()) => missing.push(ListLine::Pattern(line)),
            }
        }
        let sought = entries.iter().map(names).collect();
        let found_by_name = self.source().find(sought).await?;
        let mut found = Vec::with_capacity(entries.len());
        for (entry, images) in entries.iter().zip(found_by_name) {
            if images.is_empty() {
                missing.push(ListLine::Image(entry.clone()));
            }
            let stored = entry.stored();
            found.extend(images.into_iter().map(|(locate, digest)| Found {
                image: Listed {
                    name: entry.reference.to_string(),
                    locate,
                    destination: Destination {
                        repository: stored.repository.clone(),
                        tag: stored.tag.clone(),
                    },
                    digest,
                },
                options: entry.options.clone(),
            }));
        }
        Ok((found, missing))
    }

    /// The images of a list; a pattern selects the tags that the source has, under the first name
    /// of its repository that is found.
    async fn expand(&self, list: &ImageList) -> Result<Vec<Expanded<()>>, OpsError> {
        let mut tags: HashMap<RepositoryName, Vec<Tag>> = HashMap::new();
        if list.patterns().next().is_some() {
            for image in self.source().list().await? {
                let Destination { repository, tag } = image.destination;
                tags.entry(repository).or_default().extend(tag);
            }
        }
        let list = list.clone();
        let expanded = hod_bridge::run(move || {
            list.expand(&Registry::docker_hub(), |line| {
                let mut repositories = repositories(&line.stem).into_iter();
                let chosen = repositories.find_map(|repository| {
                    let chosen = line.tags.choose(tags.get(&repository)?.iter().cloned());
                    (!chosen.is_empty()).then_some(chosen)
                });
                chosen.ok_or(())
            })
        });
        Ok(expanded.await?)
    }

    /// The images without a list: the selected one, or all.
    pub(super) async fn images(&self) -> Result<Vec<Found>, OpsError> {
        let mut images = self.all_images().await?;
        let Some(chosen) = &self.image else {
            return Ok(images);
        };
        let listed: Vec<Listed> = images.iter().map(|found| found.image.clone()).collect();
        let found = chosen.find(&listed);
        let name = |at: &usize| listed[*at].name.clone();
        match found.as_slice() {
            [at] => Ok(vec![images.swap_remove(*at)]),
            [] => Err(OpsError::NoSuchImage {
                path: self.path.clone(),
                image: chosen.to_string(),
                present: listed.iter().map(|image| image.name.clone()).collect(),
            }),
            several => Err(OpsError::AmbiguousImage {
                path: self.path.clone(),
                image: chosen.to_string(),
                found: several.iter().map(name).collect(),
            }),
        }
    }

    /// All images, without the referrers that are carried with them.
    async fn all_images(&self) -> Result<Vec<Found>, OpsError> {
        let mut by_repository: BTreeMap<RepositoryName, Vec<Listed>> = BTreeMap::new();
        for image in self.source().list().await? {
            let repository = image.destination.repository.clone();
            by_repository.entry(repository).or_default().push(image);
        }
        let mut images = Vec::new();
        for (repository, of_repository) in by_repository {
            let is_plain = |tag: &Tag| ReferrerTag::parse(tag).is_none();
            let tag = |image: &Listed| image.destination.tag.clone();
            if of_repository
                .iter()
                .all(|i| tag(i).as_ref().is_some_and(is_plain))
            {
                images.extend(of_repository);
                continue;
            }
            let referrers = self.source().referrers(&repository).await?;
            let (others, roots): (Vec<Listed>, Vec<Listed>) = of_repository
                .into_iter()
                .partition(|i| referrers.is_candidate(tag(i).as_ref(), i.digest.as_ref()));
            let tops: HashSet<Digest> = roots.iter().filter_map(|i| i.digest.clone()).collect();
            let carried = referrers.carried_with(&tops);
            images.extend(roots);
            images.extend(others.into_iter().filter(|image| {
                let digest = image.digest.as_ref();
                !referrers.is_carried(tag(image).as_ref(), digest, &carried)
            }));
        }
        let options = LineOptions::default;
        let found = images.into_iter().map(|image| Found {
            image,
            options: options(),
        });
        Ok(found.collect())
    }
}

/// The destination of an image by the rules, and its key for comparison.
pub(crate) fn landed(
    rules: &RenameRules,
    name: &str,
    digest: Option<Digest>,
    destination: Destination,
) -> Result<(Destination, Landing), OpsError> {
    // Registries with projects, above all Harbor, have no place for a name without one.
    let repository = rules.apply(&destination.repository)?.with_library();
    let landing = Landing {
        source: name.to_owned(),
        repository: repository.clone(),
        tag: destination.tag.clone(),
        digest,
    };
    let tag = destination.tag;
    Ok((Destination { repository, tag }, landing))
}

/// Refuses different images that would have one name.
pub(crate) fn require_apart(landings: &[Landing]) -> Result<(), OpsError> {
    let collisions = hod_list::collisions(landings);
    if collisions.is_empty() {
        Ok(())
    } else {
        Err(RenameError::Collisions(collisions).into())
    }
}

/// The names that an image of a list is looked for under: that which `hod pull` gives it, then those
/// that other tools give it.
fn names(entry: &ListEntry) -> Vec<Sought> {
    let stored = entry.stored();
    let names = repositories(entry);
    // The original of a rewritten index is only at its registry.
    let digest = match &entry.options.index {
        Some(IndexChoice::Rewrite(Some(rewritten))) => Some(rewritten),
        _ => entry.reference.digest.as_ref(),
    };
    let sought = names.iter().flat_map(|repository| {
        let tags = [stored.tag.clone(), entry.reference.tag.clone()];
        tags.map(|tag| Sought {
            repository: repository.clone(),
            tag,
            digest: digest.cloned(),
        })
    });
    sought.collect()
}

/// The repositories that it is looked for in.
fn repositories(entry: &ListEntry) -> Vec<RepositoryName> {
    let mut names = vec![entry.stored().repository];
    names.extend(entry.reference.stored_name().ok());
    let bare: Vec<_> = names
        .iter()
        .filter_map(RepositoryName::without_library)
        .collect();
    names.extend(bare);
    names
}

/// An image of the source, and what its line of a list asks for.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) image: Listed,
    options: LineOptions,
}
