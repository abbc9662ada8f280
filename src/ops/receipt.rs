//! `receipt`: what a registry, store or bundle has, to be left out of the next bundle.

mod closure;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::StreamExt as _;
use serde::Serialize;

use self::closure::{about, closure};
use super::batch::error_chain;
use super::input::{no_catalog, tags};
use super::inventory::{Inventoried, Inventory};
use super::preflight::{check_source, no_receipt};
use super::{Context, DamagedImage, OpsError};
use crate::bridge;
use crate::bundle::{Origin, OriginKind, Receipt};
use crate::hint::Hint;
use crate::list::{ImageList, ListEntry, ListLine, PatternLine, RenameRules};
use crate::oci::{Descriptor, Digest, MediaType, Registry, RepositoryName};
use crate::registry::{Client, Evidence, ManifestRef, ReferrerFinder, RegistryError, Repo};
use crate::report::amount::format_count;
use crate::store::Holding;

/// Number of repositories requested, or images read, at once.
const ASK_AT_ONCE: usize = 16;

/// The target of the receipt, and the images.
#[derive(Debug)]
pub struct ReceiptOptions {
    pub holder: Holder,
    /// Only these images; all when there is none.
    pub list: Option<ImageList>,
}

/// Who has images.
#[derive(Debug)]
pub enum Holder {
    /// A store, tree or bundle.
    Local(PathBuf),
    Registry(Box<RegistryHolder>),
}

/// A registry, and how a push would name images there.
#[derive(Debug)]
pub struct RegistryHolder {
    pub registry: Registry,
    /// The prefix of the target, below which repositories are looked for without a list.
    pub prefix: Option<RepositoryName>,
    pub client: Client,
    /// With the prefix in them.
    pub renames: RenameRules,
}

/// A receipt, and what is not in it.
#[derive(Debug, Serialize)]
pub struct ReceiptOutcome {
    pub of: Origin,
    pub n_images: usize,
    pub n_repositories: usize,
    /// Different digests.
    pub n_digests: usize,
    /// Images of the list that the registry does not have.
    pub absent: Vec<String>,
    /// Images that could not be read, and are not in the receipt.
    pub unread: Vec<DamagedImage>,
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
    unread: Vec<DamagedImage>,
    /// Why the first of those could not be read.
    first_error: Option<RegistryError>,
}

impl Found {
    /// Notes what could not be read.
    fn leave_out(&mut self, image: String, error: RegistryError) {
        self.unread.push(DamagedImage {
            image,
            error: error_chain(&error),
            reason: error.reason(),
        });
        self.first_error.get_or_insert(error);
    }

    fn outcome(mut self, of: Origin) -> ReceiptOutcome {
        self.repositories.retain(|_, digests| !digests.is_empty());
        let receipt = Receipt::new(of.clone(), self.repositories);
        ReceiptOutcome {
            of,
            n_images: self.n_images,
            n_repositories: receipt.repositories().count(),
            n_digests: receipt.n_digests(),
            absent: self.absent,
            unread: self.unread,
            hint: self.first_error.as_ref().and_then(Hint::hint),
            receipt,
        }
    }
}

/// Lists the content of a holder, repository by repository.
///
/// A receipt claims only content that exists: whatever cannot be read is left out. A registry is
/// asked for every blob that its manifests name; foreign layers are not claimed. Referrers belong
/// to their image, as they do wherever images are carried.
pub async fn receipt(cx: &Context, options: &ReceiptOptions) -> Result<ReceiptOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    match &options.holder {
        Holder::Local(path) => {
            let inventory = Inventory::take(cx, path).await?;
            let origin = origin(&inventory, path)?;
            let list = options.list.clone();
            let found = bridge::run(move || take(&inventory, list.as_ref())).await?;
            Ok(found.outcome(origin))
        }
        Holder::Registry(holder) => of_registry(cx, holder, options.list.as_ref()).await,
    }
}

/// The name of a local holder.
fn origin(inventory: &Inventory, path: &std::path::Path) -> Result<Origin, OpsError> {
    let source = inventory.source.as_ref();
    let document = match (source.document(), source.as_store()) {
        (Some(document), _) => document,
        (None, Some(_)) => {
            return Ok(Origin {
                kind: OriginKind::Store,
                name: path.display().to_string(),
                version: None,
                id: None,
            });
        }
        (None, None) => {
            return Err(OpsError::WrongSource {
                verb: "make a receipt",
                path: path.to_owned(),
                kind: inventory.kind,
            });
        }
    };
    Ok(Origin {
        kind: OriginKind::Bundle,
        name: document.name.clone(),
        version: document.version.clone(),
        id: Some(document.id.clone()),
    })
}

/// Takes what is really there. Blocks.
fn take(inventory: &Inventory, list: Option<&ImageList>) -> Result<Found, OpsError> {
    let mut found = Found::default();
    let mut damaged = Vec::new();
    for image in &inventory.images {
        if list.is_some_and(|list| !is_listed(list, image)) {
            continue;
        }
        found.n_images += 1;
        let name = image.repository.clone();
        let digests = found.repositories.entry(name).or_default();
        for digest in image.parts() {
            let Some(&len) = inventory.held.get(digest) else {
                continue;
            };
            let holding = match inventory.source.as_store() {
                // A blob that a manifest names may be missing from a store, truncated, or damaged.
                Some(store) => {
                    let blob = Descriptor::new(MediaType::new(""), digest.clone(), len);
                    store.holding(&blob)?
                }
                None => Holding::Sound,
            };
            match holding {
                Holding::Sound => {
                    digests.insert(digest.clone());
                }
                Holding::Absent => {}
                Holding::Damaged { actual } => {
                    let image = format!("blob {} of {}", digest.short(), image.name);
                    let error = format!("damaged: its bytes have digest {actual}");
                    damaged.push(DamagedImage {
                        image,
                        error,
                        reason: None,
                    });
                }
            }
        }
    }
    found.unread.clone_from(&inventory.damaged);
    found.unread.append(&mut damaged);
    Ok(found)
}

/// Whether a line of the list names the image, by one of the names that stores have for it.
fn is_listed(list: &ImageList, image: &Inventoried) -> bool {
    let is_of_pattern = |line: &PatternLine| line.has(&image.repository, image.tag.as_ref());
    let is_of_line = |line: &ListLine| {
        let entry = line.stem();
        let stored = entry.stored();
        let name = stored.repository.with_library();
        let is_tag = match &stored.tag {
            Some(tag) => image.tag.as_ref() == Some(tag),
            None => entry.reference.digest.as_ref() == Some(&image.digest),
        };
        is_tag && name == image.repository.with_library()
    };
    list.lines.iter().any(is_of_line) || list.patterns().any(is_of_pattern)
}

/// One image that may be at the registry.
struct Asked {
    /// The image as people name it.
    name: String,
    repo: Repo,
    at: ManifestRef,
}

async fn of_registry(
    cx: &Context,
    holder: &RegistryHolder,
    list: Option<&ImageList>,
) -> Result<ReceiptOutcome, OpsError> {
    let registry = &holder.registry;
    let mut found = Found::default();
    let asked = match list {
        Some(list) => listed(cx, holder, (list, &mut found)).await?,
        None => tagged(cx, holder, &mut found).await?,
    };
    let repos: Vec<Repo> = asked.iter().map(|asked| asked.repo.clone()).collect();
    holder.client.expect(&repos);
    if list.is_some() {
        let asked = asked.iter().map(|asked| (&asked.repo, &asked.at));
        check_source(cx, &holder.client, asked).await?;
    }
    cx.stage(&format!("asking {registry} what it has"));
    let finder = &ReferrerFinder::new(holder.client.clone());
    let mut answers = futures_util::stream::iter(&asked)
        .map(|asked| async move { (asked, ask(&holder.client, finder, asked).await) })
        .buffered(ASK_AT_ONCE);
    let mut named: BTreeMap<(&Repo, Digest), u64> = BTreeMap::new();
    while let Some((asked, answer)) = answers.next().await {
        match answer {
            Ok(None) => found.absent.push(asked.name.clone()),
            Ok(Some(answer)) => {
                found.n_images += 1;
                let name = asked.repo.name.clone();
                let digests = found.repositories.entry(name).or_default();
                digests.extend(answer.manifests);
                let blobs = answer.blobs.into_iter();
                named.extend(blobs.map(|(digest, len)| ((&asked.repo, digest), len)));
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
        && let Some(source) = found.first_error
    {
        return Err(OpsError::NothingRead {
            registry: registry.clone(),
            source: Box::new(source),
        });
    }
    claim_blobs(cx, holder, named, &mut found).await;
    let name = match &holder.prefix {
        Some(prefix) => format!("{registry}/{prefix}"),
        None => registry.to_string(),
    };
    let origin = Origin {
        kind: OriginKind::Registry,
        name,
        version: None,
        id: None,
    };
    Ok(found.outcome(origin))
}

/// Claims those blobs of repositories that the registry shows to be there.
async fn claim_blobs(
    cx: &Context,
    holder: &RegistryHolder,
    named: BTreeMap<(&Repo, Digest), u64>,
    found: &mut Found,
) {
    let (registry, n) = (&holder.registry, named.len());
    cx.stage(&format!(
        "asking {registry} for {}",
        format_count(n, "blob")
    ));
    let mut answers = futures_util::stream::iter(named)
        .map(|((repo, digest), len)| async move {
            let blob = Descriptor::new(MediaType::new(""), digest, len);
            let answer = holder.client.head_blob(repo, &blob).await;
            (repo, blob, answer)
        })
        .buffered(ASK_AT_ONCE);
    while let Some((repo, blob, answer)) = answers.next().await {
        let (digest, len) = (blob.digest, blob.size);
        let mut reason = None;
        let error = match answer {
            Ok(Evidence::Present) => {
                let name = repo.name.clone();
                found.repositories.entry(name).or_default().insert(digest);
                continue;
            }
            Ok(Evidence::Differs { len: Some(actual) }) => {
                format!("{actual} bytes are there, expected {len}")
            }
            Ok(Evidence::Differs { len: None } | Evidence::Unknown) => {
                "something else is there".to_owned()
            }
            Ok(Evidence::Absent) => "not found".to_owned(),
            Err(error) => {
                reason = error.reason();
                error_chain(&error)
            }
        };
        found.unread.push(DamagedImage {
            image: format!("blob {} of {}", digest.short(), repo.name),
            error,
            reason,
        });
    }
}

/// The registry's content of one image, according to its manifests.
struct Answer {
    manifests: BTreeSet<Digest>,
    blobs: BTreeMap<Digest, u64>,
    /// Why its referrers could not be found, and are left out.
    unread: Option<RegistryError>,
}

/// Requests an image and its referrers; `None` when the registry does not have the image.
async fn ask(
    client: &Client,
    finder: &ReferrerFinder,
    asked: &Asked,
) -> Result<Option<Answer>, RegistryError> {
    let image = closure(client, &asked.repo, &asked.at).await?;
    if image.manifests.is_empty() {
        return Ok(None);
    }
    let about = about(client, finder, (&asked.repo, &image)).await;
    let mut answer = Answer {
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
    Ok(Some(answer))
}

/// The places that a push of the list would check; patterns stand for tags that the registry has
/// there.
async fn listed(
    cx: &Context,
    holder: &RegistryHolder,
    (list, found): (&ImageList, &mut Found),
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
        cx.stage(&format!("asking {registry} for the tags of {}", repo.name));
        let tags = match client.list_tags(&repo).await {
            Err(error) if error.status() == Some(404) => Vec::new(),
            Err(error) => {
                found.leave_out(line.to_string(), error);
                continue;
            }
            Ok(tags) => line.tags.choose(tags),
        };
        if tags.is_empty() {
            found.absent.push(line.to_string());
        }
        asked.extend(tags.iter().map(|tag| Asked {
            name: line.entry(tag).reference.to_string(),
            repo: repo.clone(),
            at: ManifestRef::Tag(tag.clone()),
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
        asked.push(Asked {
            name: entry.reference.to_string(),
            repo: place(entry)?,
            at,
        });
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
    cx.stage(&format!("asking {registry} for its repositories"));
    let prefix = holder.prefix.as_ref();
    let listed = tags(client, registry, prefix).await;
    let listed = listed.map_err(|error| {
        no_catalog(registry, error, |error| no_receipt(registry, &error).into())
    })?;
    let mut listed = std::pin::pin!(listed);
    let mut asked = Vec::new();
    while let Some((repo, tags)) = listed.next().await {
        match tags {
            Ok(tags) => asked.extend(tags.into_iter().map(|tag| Asked {
                name: format!("{}:{tag}", repo.name),
                repo: repo.clone(),
                at: ManifestRef::Tag(tag),
            })),
            Err(error) => found.leave_out(repo.name.to_string(), error),
        }
    }
    Ok(asked)
}
