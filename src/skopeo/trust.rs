//! Whether images are accepted, and their signatures: `policy.json`, `registries.d`, lookaside
//! storage, attachments of sigstore.

mod sign;
mod store;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hod_oci::{Descriptor, Digest, Manifest, MediaType, Tag};
use hod_registry::ManifestRef;
use hod_trust::{
    Attachments, DockerName, Evaluation, ImageUnderTest, Lookaside, Policy, PolicyPaths,
    PolicyScope, RegistriesD, RegistriesDPaths, SIGNATURE_LEN_MAX, Signature, SignatureSettings,
    attachment_tag,
};

use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::name::{DaemonImage, ImageName, Named};
use crate::source::{OpenImage, OpenRegistry};
use crate::wording;

pub(crate) use self::sign::{Signing, SigningFlags, ask, now, quoted};
pub(crate) use self::store::{Stored, require_place};

/// The flags of the program that are about trust.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustFlags {
    pub(crate) insecure_policy: bool,
    pub(crate) require_signed: bool,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) registries_d: Option<PathBuf>,
}

/// What decides about images, and where their signatures are.
#[derive(Debug)]
pub(crate) struct Trust {
    /// `None` accepts everything.
    policy: Option<Policy>,
    must_verify: bool,
    registries_d: RegistriesD,
}

/// Where the signatures of a repository are written to. Blocks.
pub(crate) fn lookaside(
    host: &dyn Host,
    registries_d: Option<PathBuf>,
    named: &Named,
) -> Done<Lookaside> {
    let settings = read_registries_d(host, registries_d)?.settings(&docker_name(named)?);
    let settings = settings.map_err(|error| Failure::new(error.to_string()))?;
    Ok(settings.write)
}

fn read_registries_d(host: &dyn Host, explicit: Option<PathBuf>) -> Done<RegistriesD> {
    let home = host.variable("HOME").map(PathBuf::from);
    let paths = RegistriesDPaths { explicit, home };
    paths
        .read()
        .map_err(|error| Failure::new(error.to_string()))
}

impl Trust {
    /// Reads the policy, without which nothing is copied. Blocks.
    pub(crate) fn load(host: &dyn Host, flags: &TrustFlags) -> Done<Self> {
        let home = host.variable("HOME").map(PathBuf::from);
        let config_home = home.as_ref().map(|home| home.join(".config"));
        let paths = PolicyPaths {
            explicit: flags.policy.clone(),
            config_home,
        };
        let policy = if flags.insecure_policy {
            None
        } else {
            let policy = paths.read();
            let policy = policy
                .map_err(|error| Failure::new(format!("Error loading trust policy: {error}")))?;
            Some(policy)
        };
        Ok(Self {
            policy,
            must_verify: flags.require_signed,
            registries_d: read_registries_d(host, flags.registries_d.clone())?,
        })
    }

    /// Whether the policy looks at signatures of an image.
    pub(crate) fn needs_signatures(&self, name: &ImageName) -> bool {
        let policy = self.policy.as_ref();
        policy.is_some_and(|policy| policy.requirements(&scope_of(name)).needs_signatures())
    }

    /// Fails unless the policy accepts a manifest of an image; returns its signatures, if they are
    /// wanted or needed.
    pub(crate) async fn accept(
        &self,
        image: &OpenImage,
        name: &ImageName,
        manifest: &Manifest,
        wants_signatures: bool,
    ) -> Done<Vec<Signature>> {
        let scope = scope_of(name);
        let requirements = self
            .policy
            .as_ref()
            .map(|policy| policy.requirements(&scope));
        let needs = requirements.is_some_and(hod_trust::Requirements::needs_signatures);
        let signatures = if needs || wants_signatures {
            self.signatures(image, name, manifest).await?
        } else {
            Vec::new()
        };
        let Some(requirements) = requirements else {
            return Ok(signatures);
        };
        let shown = name.to_string();
        let docker_reference = name.docker_reference().map(docker_name).transpose()?;
        let under_test = ImageUnderTest {
            scope: &scope,
            name: &shown,
            docker_reference: docker_reference.as_ref(),
            manifest: manifest.bytes(),
            manifest_digest: manifest.digest(),
        };
        let evaluation = Evaluation {
            now: SystemTime::now(),
            must_verify: self.must_verify,
        };
        let decided = requirements.evaluate(&under_test, &signatures, evaluation);
        decided.map_err(|rejected| Failure::new(format!("Source image rejected: {rejected}")))?;
        Ok(signatures)
    }

    /// The signatures of a manifest, wherever the transport has them.
    async fn signatures(
        &self,
        image: &OpenImage,
        name: &ImageName,
        manifest: &Manifest,
    ) -> Done<Vec<Signature>> {
        let during = |error: Failure| error.during("reading signatures");
        match name {
            ImageName::Docker { named, .. } => {
                let Some(registry) = &image.registry else {
                    return Ok(Vec::new());
                };
                let settings = self.settings(named).map_err(during)?;
                let digest = manifest.digest();
                let mut found = of_lookaside(&settings, digest).await.map_err(during)?;
                if settings.use_sigstore_attachments {
                    let attached = of_attachments(image, registry, digest);
                    found.extend(attached.await.map_err(during)?);
                }
                Ok(found)
            }
            ImageName::Dir { path, .. } => {
                let is_top = manifest.digest() == image.top.digest();
                let prefix = (!is_top).then(|| format!("{}.", manifest.digest().hex()));
                let path = path.clone();
                let read = move || of_dir(&path, prefix.as_deref().unwrap_or_default());
                hod_bridge::run(read).await.map_err(during)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Where the signatures of a repository are.
    fn settings(&self, named: &Named) -> Done<SignatureSettings> {
        let name = docker_name(named)?;
        let settings = self.registries_d.settings(&name);
        settings.map_err(|error| Failure::new(error.to_string()))
    }
}

/// The same name in the grammar of policies.
pub(crate) fn docker_name(named: &Named) -> Done<DockerName> {
    let parsed = named.to_string().parse::<DockerName>();
    parsed.map_err(|error| Failure::new(error.to_string()))
}

/// The names by which a policy knows an image.
fn scope_of(name: &ImageName) -> PolicyScope {
    let named = |named: &Named| docker_name(named).ok();
    match name {
        ImageName::Docker { named: name, .. } => match named(name) {
            Some(name) => PolicyScope::docker(&name),
            None => PolicyScope::whole("docker"),
        },
        ImageName::Dir { explicit, .. } => PolicyScope::dir(explicit),
        ImageName::Oci { explicit, .. } => PolicyScope::oci(explicit),
        ImageName::OciArchive { explicit, .. } => PolicyScope::oci_archive(explicit),
        ImageName::DockerDaemon(DaemonImage::Named(name)) => {
            PolicyScope::docker_daemon(named(name).as_ref())
        }
        ImageName::DockerDaemon(DaemonImage::Id(_)) => PolicyScope::docker_daemon(None),
        name => PolicyScope::whole(name.transport()),
    }
}

async fn of_lookaside(settings: &SignatureSettings, manifest: &Digest) -> Done<Vec<Signature>> {
    let (lookaside, digest) = (settings.read.clone(), manifest.clone());
    let read = hod_bridge::run(move || lookaside.read(&digest)).await;
    let read = read.map_err(|error| Failure::new(error.to_string()))?;
    read.ok_or_else(|| {
        let url = settings.read.url();
        Failure::new(format!(
            "lookaside storage {url} is not one of files, which alone is read"
        ))
    })
}

/// The signatures beside an image in a registry, under a tag made of its digest.
async fn of_attachments(
    image: &OpenImage,
    registry: &OpenRegistry,
    digest: &Digest,
) -> Done<Vec<Signature>> {
    let Some(manifest) = attached(registry, digest).await? else {
        return Ok(Vec::new());
    };
    let attachments = Attachments::parse(manifest.bytes());
    let attachments = attachments.map_err(|error| Failure::new(error.to_string()))?;
    let mut signatures = Vec::new();
    for (at, (payload, size)) in attachments.payloads().enumerate() {
        if size > SIGNATURE_LEN_MAX {
            return Err(Failure::new(format!("signature {payload} is too large")));
        }
        let blob = Descriptor::new(MediaType::new(""), payload.clone(), size);
        let bytes = image.config(&blob).await?;
        let signature = attachments.signature(at, bytes);
        let signature = signature.map_err(|error| Failure::new(error.to_string()))?;
        signatures.push(Signature::Sigstore(signature));
    }
    Ok(signatures)
}

/// The manifest of the attachments of an image; `None` if it has none.
pub(crate) async fn attached(registry: &OpenRegistry, image: &Digest) -> Done<Option<Manifest>> {
    let tag: Tag = attachment_tag(image).parse().expect("a digest makes a tag");
    let at = ManifestRef::Tag(tag);
    let found = registry.client.manifests.fetch(&registry.repo, &at).await;
    match found {
        Ok(found) => Ok(found),
        Err(error) => {
            let failure = wording::of_registry(&error);
            if failure.code == crate::failure::NOT_FOUND {
                Ok(None)
            } else {
                Err(failure)
            }
        }
    }
}

/// The signatures in a layout: `signature-1`, and so on. Blocks.
fn of_dir(dir: &Path, prefix: &str) -> Done<Vec<Signature>> {
    let mut signatures = Vec::new();
    loop {
        let path = dir.join(format!("{prefix}signature-{}", signatures.len() + 1));
        let read = hod_fsx::try_read(&path, SIGNATURE_LEN_MAX);
        let Some(blob) = read.map_err(|error| wording::of_file(&error))? else {
            return Ok(signatures);
        };
        let signature = Signature::from_blob(&blob).map_err(|error| {
            Failure::new(format!("parsing signature {}: {error}", path.display()))
        })?;
        signatures.push(signature);
    }
}
