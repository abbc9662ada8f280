//! The flags for trust policies.

use std::path::{Path, PathBuf};

use clap::Args;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trust policy")]
pub(crate) struct PolicyArgs {
    /// Accept only images that this trust policy accepts: a `policy.json`, as podman and skopeo have it
    ///
    /// The policy decides about each image by its name at the source: `signedBy`, `sigstoreSigned`,
    /// `reject`, `insecureAcceptAnything`, for each registry, namespace or repository. An image that it
    /// does not accept fails, and nothing of it is copied. A signature of an index covers the images in
    /// it. The images of stores and bundles are scopes of the transports `store` and `bundle`, by the
    /// names under which they were pulled and their digests. Referrers are not judged. Without this
    /// option, no policy is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// The directory with the files that say where signatures are [default: `registries.d` in
    /// `~/.config/containers`, else in `/etc/containers`]
    ///
    /// hod reads signatures as containers do: from `lookaside` storage (`file:`, `https:`), from the
    /// repository of the image if the files say `use-sigstore-attachments: true`, and from the files
    /// `signature-N` of `dir:` layouts. Web servers get no login.
    #[arg(long, value_name = "DIR", requires = "policy")]
    pub(crate) registries_d: Option<PathBuf>,
}

impl PolicyArgs {
    /// The files that are read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.policy.iter().map(PathBuf::as_path)
    }
}
