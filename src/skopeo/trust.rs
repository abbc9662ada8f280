//! Whether images are accepted, and their signatures: `policy.json`, `registries.d`, lookaside
//! storage, attachments of sigstore.

mod sign;
mod store;

use std::path::PathBuf;
use std::time::SystemTime;

use hod_oci::{Digest, Manifest};
use hod_transfer::{SignedImage, layout_signatures};
use hod_trust::{
    DockerName, Evaluation, ImageUnderTest, Policy, PolicyPaths, PolicyScope, RegistriesD,
    RegistriesDPaths, Signature, SignatureSettings,
};

use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::name::{DaemonImage, ImageName, Named};
use crate::source::OpenImage;
use crate::storage;
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
            registries_d: registries_d(host, flags)?,
        })
    }

    /// Reads only where signatures are, for what no policy decides about. Blocks.
    pub(crate) fn without_policy(host: &dyn Host, flags: &TrustFlags) -> Done<Self> {
        Ok(Self {
            policy: None,
            must_verify: false,
            registries_d: registries_d(host, flags)?,
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
        let scope = match (&self.policy, name) {
            (Some(_), ImageName::ContainersStorage(name)) => {
                let name = name.clone();
                hod_bridge::run(move || storage::policy_scope(&name)).await?
            }
            (_, name) => scope_of(name),
        };
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
        let digest = manifest.digest();
        let found = match name {
            ImageName::Docker { named, .. } => {
                let Some(registry) = &image.registry else {
                    return Ok(Vec::new());
                };
                let signed = SignedImage {
                    source: image.source.as_ref(),
                    location: &image.location,
                    repository: &registry.repo.name,
                    repo: &registry.repo,
                    settings: &self.settings(named).map_err(during)?,
                    web: &registry.client,
                };
                signed.signatures(digest).await
            }
            ImageName::Dir { path, .. } => {
                let is_top = digest == image.top.digest();
                layout_signatures(path, digest, is_top).await
            }
            _ => Ok(Vec::new()),
        };
        found.map_err(|error| during(wording::of_signatures(&error)))
    }

    /// Removes the signatures of a manifest of a repository from lookaside storage.
    pub(crate) async fn remove(&self, named: &Named, manifest: &Digest) -> Done {
        let (lookaside, digest) = (self.settings(named)?.write, manifest.clone());
        let removed = hod_bridge::run(move || lookaside.remove(&digest)).await;
        removed.map_err(|error| wording::of_signatures(&error.into()))
    }

    /// Where the signatures of a repository are.
    fn settings(&self, named: &Named) -> Done<SignatureSettings> {
        let name = docker_name(named)?;
        let settings = self.registries_d.settings(&name);
        settings.map_err(|error| Failure::new(error.to_string()))
    }
}

/// Reads where signatures are. Blocks.
fn registries_d(host: &dyn Host, flags: &TrustFlags) -> Done<RegistriesD> {
    let paths = RegistriesDPaths {
        explicit: flags.registries_d.clone(),
        home: host.variable("HOME").map(PathBuf::from),
    };
    let read = paths.read();
    read.map_err(|error| Failure::new(error.to_string()))
}

/// The same name in the grammar of policies.
pub(crate) fn docker_name(named: &Named) -> Done<DockerName> {
    let parsed = named.docker_name();
    parsed.map_err(|error| Failure::new(error.to_string()))
}

/// The names by which a policy knows an image; those of an image of podman's storage are known to
/// that only, see [`storage::policy_scope`].
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
