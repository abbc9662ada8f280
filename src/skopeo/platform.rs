//! Which image of an index is for this system, or for the one that the flags name.

use hod_oci::{Descriptor, Manifest, MediaType, Platform};

use crate::failure::{Done, Failure};

/// The variants of an architecture, the most demanding first.
const COMPATIBLE: [(&str, &[&str]); 2] = [("arm", &["v8", "v7", "v6", "v5"]), ("arm64", &["v8"])];

/// `--override-arch`, `--override-os`, `--override-variant`.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlatformFlags {
    pub(crate) arch: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) variant: Option<String>,
}

impl PlatformFlags {
    fn arch(&self) -> &str {
        match &self.arch {
            Some(arch) => arch,
            None => own_arch(),
        }
    }

    fn os(&self) -> &str {
        self.os.as_deref().unwrap_or(std::env::consts::OS)
    }

    /// The variants that will do, the best first; the empty one is an image that states none.
    fn variants(&self) -> Vec<&str> {
        let known = COMPATIBLE.iter().find(|(arch, _)| *arch == self.arch());
        let known = known.map_or(&[][..], |(_, variants)| variants);
        let own = (self.arch.is_none() && self.arch() == "arm64").then_some("v8");
        match self.variant.as_deref().or(own) {
            Some(wanted) => {
                let at = known.iter().position(|variant| *variant == wanted);
                let mut variants = at.map_or_else(|| vec![wanted], |at| known[at..].to_vec());
                variants.push("");
                variants
            }
            None => std::iter::once("").chain(known.iter().copied()).collect(),
        }
    }

    /// The first entry of the index that fits best.
    pub(crate) fn choose<'a>(&self, index: &'a Manifest) -> Done<&'a Descriptor> {
        let is = |platform: &Platform, variant: &str| {
            platform.architecture == self.arch()
                && platform.os == self.os()
                && platform.variant.as_deref().unwrap_or_default() == variant
        };
        let fits = |variant: &&str| {
            let mut entries = index.children().iter();
            entries.find(|entry| entry.platform.as_ref().is_some_and(|p| is(p, variant)))
        };
        let found = self.variants().iter().find_map(fits);
        found.ok_or_else(|| self.nothing(index))
    }

    fn nothing(&self, index: &Manifest) -> Failure {
        let kind = match index.media_type().as_str() {
            MediaType::DOCKER_LIST => "manifest list",
            _ => "image index",
        };
        let variant = self.variant.as_deref().unwrap_or_default();
        Failure::new(format!(
            "no image found in {kind} for architecture {}, variant {}, OS {}",
            hod_gotext::quote(self.arch()),
            hod_gotext::quote(variant),
            hod_gotext::quote(self.os())
        ))
    }
}

/// The architecture of this machine, in Go's words.
pub(crate) fn own_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
