//! `receipt`: lists what a registry, store or bundle has, so that the next bundle leaves it out.

mod closure;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;

use self::closure::{Closure, about, closure};
use super::input::{Input, Look, Registries, no_catalog, tags};
use super::inventory::{Detail, Inventory};
use super::preflight::{Undone, check_source};
use super::{Context, OpsError, SourceCheck, UnreadImage, Verb};
use hod_bundle::{BaseOrigin, OriginKind, Receipt};
use hod_list::{ImageList, ListEntry, ListLine, RenameRules};
use hod_oci::{Descriptor, Digest, MediaType, Registry, RepositoryName};
use hod_registry::{Client, ContentCheck, ManifestRef, ReferrerFinder, RegistryError, Repo};
use hod_report::amount::format_count;
use hod_report::{Diagnose as _, ErrorClass, chain};
use hod_store::Holding;
use hod_transfer::{Locate, ReferrerMode};

/// Number of repositories requested, or images read, at once.
const ASK_AT_ONCE: usize = 16;

/// Whose content the receipt lists.
#[derive(Debug)]
pub struct ReceiptOptions {
    pub holder: Holder,
}

/// The holder of the images.
#[derive(Debug)]
pub enum Holder {
    /// A store, tree, bundle or layout, or the registries of an image or a list.
    Source(Look),
    /// A whole registry, or the repositories below a prefix.
    Registry(Box<RegistryHolder>),
}

/// A registry, and how a push would name images there.
#[derive(Debug)]
pub struct RegistryHolder {
    pub registry: Registry,
    /// The prefix of the target, below which repositories are looked for without a list.
    pub prefix: Option<RepositoryName>,
    pub client: Client,
    /// Only these images; all if empty.
    pub list: Option<ImageList>,
    /// With the prefix in them.
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
}

/// A receipt, and the images that are not in it.
#[derive(Debug, Serialize)]
pub struct ReceiptOutcome {
    pub of: BaseOrigin,
    pub n_images: usize,
    pub n_repositories: usize,
    /// Different digests.
    pub n_digests: usize,
    /// Images of the list that the registry does not have.
    pub absent: Vec<String>,
    /// Images that could not be read, and are not in the receipt.
    pub unread: Vec<UnreadImage>,
    /// Advice about the first of those.
    #[serde(skip)]
    pub hint: Option<String>,
    #[serde(skip)]
    pub receipt: Receipt,
}

/// The known content of a holder.
#[derive(Debug, Default)]
struct Found {
    repositories: BTreeMap<RepositoryName, BTreeSet<Digest>>,
    n_images: usize,
    absent: Vec<String>,
    unread: Vec<UnreadImage>,
    /// Why the first of those could not be read.
    first_error: Option<RegistryError>,
}

impl Found {
    /// Notes what could not be read.
    fn leave_out(&mut self, image: String, error: RegistryError) {
        self.unread.push(UnreadImage {
            image,
            error: chain(&error),
            class: error.diagnose().class,
            reason: error.reason(),
        });
        self.first_error.get_or_insert(error);
    }

    fn outcome(mut self, of: BaseOrigin) -> ReceiptOutcome {
        self.repositories.retain(|_, digests| !digests.is_empty());
        let receipt = Receipt::new(of.clone(), self.repositories);
        ReceiptOutcome {
            of,
            n_images: self.n_images,
            n_repositories: receipt.repositories().count(),
            n_digests: receipt.n_digests(),
            absent: self.absent,
            unread: self.unread,
            hint: self
                .first_error
                .as_ref()
                .and_then(|error| error.diagnose().hint),
            receipt,
        }
    }
}

/// Lists the content of a holder, repository by repository.
///
/// A receipt claims only content that exists: whatever cannot be read is left out. A registry is
/// asked for every blob that its manifests name; foreign layers are not claimed. Referrers belong
/// to their image, as they do wherever images are carried.
pub fn receipt<'a>(cx: &'a Context, options: &'a ReceiptOptions) -> Verb<'a, ReceiptOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &ReceiptOptions) -> Result<ReceiptOutcome, OpsError> {
    match &options.holder {
        Holder::Source(look) => match &look.input {
            Input::Local { path, .. } => of_local(cx, look, path).await,
            Input::Registries(registries) => of_images(cx, registries, look.referrers).await,
        },
        Holder::Registry(holder) => of_registry(cx, holder).await,
    }
}

async fn of_local(cx: &Context, look: &Look, path: &Path) -> Result<ReceiptOutcome, OpsError> {
    let inventory = Inventory::take(cx, look, Detail::Content).await?;
    let origin = origin(&inventory, path);
    let lost = lost(&inventory).await?;
    let found = hod_bridge::run(move || take(&inventory, &lost)).await?;
    Ok(found.outcome(origin))
}

/// The name of a local holder.
fn origin(inventory: &Inventory, path: &Path) -> BaseOrigin {
    match inventory.source.document() {
        Some(document) => BaseOrigin::of(document),
        None => BaseOrigin {
            kind: OriginKind::Store,
            name: path.display().to_string(),
            version: None,
            id: None,
        },
    }
}

/// The configs and layers that a layout or archive lacks, though its manifests name them. The index
/// of a bundle lists its blobs, and a store returns the state of each blob.
async fn lost(inventory: &Inventory) -> Result<HashSet<Digest>, OpsError> {
    let source = inventory.source.as_ref();
    if source.document().is_some() || source.as_store().is_some() {
        return Ok(HashSet::new());
    }
    let groups = inventory.images.iter().flat_map(|image| &image.groups);
    let placed = groups.flat_map(|group| {
        let place = |digest: &Digest| (group.location.clone(), digest.clone());
        group.blobs.iter().map(place)
    });
    let placed: Vec<_> = placed.collect();
    let lens = source.blob_lens(placed.clone()).await?;
    let lost = placed
        .into_iter()
        .zip(lens)
        .filter(|(_, len)| len.is_none());
    Ok(lost.map(|((_, digest), _)| digest).collect())
}

/// Collects the blobs that really exist. Blocks.
fn take(inventory: &Inventory, lost: &HashSet<Digest>) -> Result<Found, OpsError> {
    let mut found = Found::default();
    let mut left_out = Vec::new();
    for image in &inventory.images {
        found.n_images += 1;
        let name = image.repository.clone();
        let digests = found.repositories.entry(name).or_default();
        for digest in image.parts() {
            let Some(&len) = inventory.held.get(digest) else {
                continue;
            };
            let holding = match inventory.source.as_store() {
                _ if lost.contains(digest) => Holding::Absent,
                // A blob that a manifest names may be missing from a store, truncated, or damaged.
                Some(store) => {
                    let blob = Descriptor::new(MediaType::new(""), digest.clone(), len);
                    store.holding(&blob)?
                }
                None => Holding::Sound,
            };
            let (error, class) = match holding {
                Holding::Sound => {
                    digests.insert(digest.clone());
                    continue;
                }
                Holding::Absent => ("not found".to_owned(), ErrorClass::NotFound),
                Holding::Damaged { actual } => (
                    format!("damaged: its bytes have digest {actual}"),
                    ErrorClass::Verify,
                ),
            };
            let image = format!("blob {} of {}", digest.short(), image.name);
            left_out.push(UnreadImage::new(image, error, class));
        }
    }
    let absent = inventory.absent.iter();
    found
        .absent
        .extend(absent.map(|absent| absent.image.image.clone()));
    let unread = inventory.damaged.iter();
    found.unread = unread.map(|unread| unread.image.clone()).collect();
    found.unread.append(&mut left_out);
    Ok(found)
}

/// One image that may be at a registry.
struct Asked {
    /// The image as people name it.
    name: String,
    /// Its possible places, the most likely first.
    repos: Vec<Repo>,
    at: ManifestRef,
    /// The repository that the receipt names.
    held_in: RepositoryName,
}

impl Asked {
    fn of(name: String, repo: Repo, at: ManifestRef) -> Self {
        Self {
            name,
            held_in: repo.name.clone(),
            repos: vec![repo],
            at,
        }
    }
}

/// A blob that manifests of a repository name.
struct Named {
    len: u64,
    held_in: BTreeSet<RepositoryName>,
}

type NamedBlobs = BTreeMap<(Repo, Digest), Named>;

async fn of_registry(cx: &Context, holder: &RegistryHolder) -> Result<ReceiptOutcome, OpsError> {
    let registry = &holder.registry;
    let mut found = Found::default();
    let (asked, check) = match &holder.list {
        Some(list) => {
            warn_of_list(cx, list);
            (
                listed(cx, holder, list, &mut found).await?,
                SourceCheck::Look,
            )
        }
        None => (tagged(cx, holder, &mut found).await?, SourceCheck::Skip),
    };
    let name = match &holder.prefix {
        Some(prefix) => format!("{registry}/{prefix}"),
        None => registry.to_string(),
    };
    let questions = Questions {
        name,
        asked,
        check,
        referrers: holder.referrers,
    };
    questions.ask(cx, &holder.client, found).await
}

/// The images that a list names at its registries, by the names that a pull gives them.
async fn of_images(
    cx: &Context,
    registries: &Registries,
    referrers: ReferrerMode,
) -> Result<ReceiptOutcome, OpsError> {
    warn_of_list(cx, &registries.list);
    let (mut asked, mut found) = (Vec::new(), Found::default());
    for image in registries.survey(cx, referrers).await? {
        match image.locate {
            Locate::Remote { repos, at } => asked.push(Asked {
                name: image.name,
                repos,
                at,
                held_in: image.destination.repository,
            }),
            // A pattern without matches.
            Locate::Unreadable(error) => {
                found.unread.push(UnreadImage::failed(image.name, &error));
            }
            Locate::Stored { .. } | Locate::Layout(_) => {}
        }
    }
    let questions = Questions {
        name: registries.origin.word.display().to_string(),
        asked,
        check: registries.preflight,
        referrers,
    };
    questions.ask(cx, &registries.client, found).await
}

fn warn_of_list(cx: &Context, list: &ImageList) {
    for warning in &list.warnings {
        cx.warn(warning);
    }
}

/// The images to look up at registries.
struct Questions {
    /// The holder.
    name: String,
    asked: Vec<Asked>,
    check: SourceCheck,
    referrers: ReferrerMode,
}

impl Questions {
    /// Looks up the images, and every blob in their manifests.
    async fn ask(
        self,
        cx: &Context,
        client: &Client,
        mut found: Found,
    ) -> Result<ReceiptOutcome, OpsError> {
        let Self {
            name,
            asked,
            check,
            referrers,
        } = self;
        let repos: Vec<Repo> = asked.iter().flat_map(|asked| asked.repos.clone()).collect();
        client.expect(&repos);
        if check != SourceCheck::Skip {
            let asked = asked.iter();
            let asked = asked.map(|asked| (asked.repos.as_slice(), &asked.at));
            check_source(cx, client, asked).await?;
        }
        cx.stage(&format!("listing the content of {name}"));
        let finder = &ReferrerFinder::new(client.manifests.clone());
        let finder = (referrers == ReferrerMode::Carry).then_some(finder);
        let mut answers = futures_util::stream::iter(&asked)
            .map(|asked| async move { (asked, ask(client, finder, asked).await) })
            .buffered(ASK_AT_ONCE);
        let mut named = NamedBlobs::new();
        while let Some((asked, answer)) = answers.next().await {
            match answer {
                Ok(None) => found.absent.push(asked.name.clone()),
                Ok(Some(answer)) => {
                    found.n_images += 1;
                    let held_in = &asked.held_in;
                    let digests = found.repositories.entry(held_in.clone()).or_default();
                    digests.extend(answer.manifests);
                    for (digest, len) in answer.blobs {
                        let key = (answer.repo.clone(), digest);
                        let named = named.entry(key).or_insert_with(|| Named {
                            len,
                            held_in: BTreeSet::new(),
                        });
                        named.held_in.insert(held_in.clone());
                    }
                    if let Some(error) = answer.unread {
                        found.leave_out(format!("referrers of {}", asked.name), error);
                    }
                }
                Err(error) => found.leave_out(asked.name.clone(), error),
            }
        }
        drop(answers);
        // A receipt of nothing would have the next bundle carry everything again.
        if found.n_images == 0
            && let Some(source) = found.first_error.take()
        {
            return Err(OpsError::NothingRead {
                word: name.into(),
                undone: "; no receipt was written",
                source: Arc::new(source.into()),
            });
        }
        if found.n_images == 0 && !found.absent.is_empty() {
            // This is normal before the first delivery, or the prefix is misspelled.
            cx.warn(&format!(
                "`{name}` does not have {}: the next bundle will contain everything; `hod ls` \
                 lists the images of the registry",
                match found.absent.len() {
                    1 => "the image".to_owned(),
                    n => format!("any of the {n} images"),
                },
            ));
        }
        claim_blobs(cx, client, &name, named, &mut found).await;
        Ok(found.outcome(BaseOrigin {
            kind: OriginKind::Registry,
            name,
            version: None,
            id: None,
        }))
    }
}

/// Adds the blobs of repositories that the registry confirms.
async fn claim_blobs(
    cx: &Context,
    client: &Client,
    name: &str,
    named: NamedBlobs,
    found: &mut Found,
) {
    let n = format_count(named.len(), "blob");
    cx.stage(&format!("checking {n} at {name}"));
    let mut answers = futures_util::stream::iter(named)
        .map(|((repo, digest), named)| async move {
            let blob = Descriptor::new(MediaType::new(""), digest, named.len);
            let answer = client.blobs.head(&repo, &blob).await;
            (repo, blob, named.held_in, answer)
        })
        .buffered(ASK_AT_ONCE);
    while let Some((repo, blob, held_in, answer)) = answers.next().await {
        let (digest, len) = (blob.digest, blob.size);
        let (error, class, reason) = match answer {
            Ok(ContentCheck::Present) => {
                for name in held_in {
                    let held = found.repositories.entry(name).or_default();
                    held.insert(digest.clone());
                }
                continue;
            }
            Ok(evidence) => {
                let class = match evidence {
                    ContentCheck::Absent => ErrorClass::NotFound,
                    ContentCheck::Differs { .. } => ErrorClass::Verify,
                    ContentCheck::Present | ContentCheck::Unknown => ErrorClass::Server,
                };
                (evidence.of_len(len), class, None)
            }
            Err(error) => (chain(&error), error.diagnose().class, error.reason()),
        };
        found.unread.push(UnreadImage {
            image: format!("blob {} of {}", digest.short(), repo.name),
            error,
            class,
            reason,
        });
    }
}

/// The registry's content of one image, according to its manifests.
struct Answer {
    /// Where it is.
    repo: Repo,
    manifests: BTreeSet<Digest>,
    blobs: BTreeMap<Digest, u64>,
    /// Why its referrers could not be found, and are left out.
    unread: Option<RegistryError>,
}

/// Requests an image and, with a finder, its referrers; `None` if the registry does not have the
/// image.
async fn ask(
    client: &Client,
    finder: Option<&ReferrerFinder>,
    asked: &Asked,
) -> Result<Option<Answer>, RegistryError> {
    let mut refused = None;
    for repo in &asked.repos {
        match closure(client, repo, &asked.at).await {
            Ok(image) if image.manifests.is_empty() => {}
            Ok(image) => return Ok(Some(with_referrers(client, finder, repo, image).await)),
            Err(error) if error.may_mean_absent() => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// An image with its referrers, if these are looked for.
async fn with_referrers(
    client: &Client,
    finder: Option<&ReferrerFinder>,
    repo: &Repo,
    image: Closure,
) -> Answer {
    let about = match finder {
        Some(finder) => about(client, finder, repo, &image).await,
        None => Ok(Closure::default()),
    };
    let mut answer = Answer {
        repo: repo.clone(),
        manifests: image.manifests,
        blobs: image.blobs,
        unread: None,
    };
    match about {
        Ok(about) => {
            answer.manifests.extend(about.manifests);
            answer.blobs.extend(about.blobs);
        }
        Err(error) => answer.unread = Some(error),
    }
    answer
}

/// The destinations of a push of the list; patterns match the tags that the registry has there.
async fn listed(
    cx: &Context,
    holder: &RegistryHolder,
    list: &ImageList,
    found: &mut Found,
) -> Result<Vec<Asked>, OpsError> {
    let (registry, client) = (&holder.registry, &holder.client);
    let place = |entry: &ListEntry| {
        let name = holder.renames.apply(&entry.stored().repository)?;
        Ok::<_, OpsError>(Repo {
            registry: registry.clone(),
            name: name.with_library(),
        })
    };
    let mut asked = Vec::with_capacity(list.lines.len());
    for line in list.patterns() {
        let repo = place(&line.stem)?;
        cx.stage(&format!("listing the tags of {repo}"));
        let tags = match client.tags.list(&repo).await {
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => {
                found.leave_out(line.to_string(), error);
                continue;
            }
            Ok(tags) => line.tags.choose(tags),
        };
        if tags.is_empty() {
            found.absent.push(line.to_string());
        }
        asked.extend(tags.iter().map(|tag| {
            let name = line.entry(tag).reference.to_string();
            Asked::of(name, repo.clone(), ManifestRef::Tag(tag.clone()))
        }));
    }
    let entries = list.lines.iter().filter_map(|line| match line {
        ListLine::Image(entry) => Some(entry),
        ListLine::Pattern(_) => None,
    });
    for entry in entries {
        let stored = entry.stored();
        let at = match (stored.tag, &entry.reference.digest) {
            (Some(tag), _) => ManifestRef::Tag(tag),
            (None, Some(digest)) => ManifestRef::Digest(digest.clone()),
            // A line has a tag, a digest, or both.
            (None, None) => continue,
        };
        let name = entry.reference.to_string();
        asked.push(Asked::of(name, place(entry)?, at));
    }
    Ok(asked)
}

/// All tags of all repositories that the registry lists.
async fn tagged(
    cx: &Context,
    holder: &RegistryHolder,
    found: &mut Found,
) -> Result<Vec<Asked>, OpsError> {
    let (registry, client) = (&holder.registry, &holder.client);
    cx.stage(&format!("listing the repositories of {registry}"));
    let prefix = holder.prefix.as_ref();
    let listed = tags(client, registry, prefix).await;
    let listed = listed.map_err(|error| no_catalog(registry, error, Undone::Receipt))?;
    let mut listed = std::pin::pin!(listed);
    let mut asked = Vec::new();
    while let Some((repo, tags)) = listed.next().await {
        match tags {
            Ok(tags) => asked.extend(tags.into_iter().map(|tag| {
                let name = format!("{}:{tag}", repo.name);
                Asked::of(name, repo.clone(), ManifestRef::Tag(tag))
            })),
            Err(error) => found.leave_out(repo.name.to_string(), error),
        }
    }
    Ok(asked)
}
