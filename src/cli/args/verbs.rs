//! The flags of each verb.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::{
    BundleArgs, CarryArgs, FailFastArgs, ImagesArgs, LinkArg, ListArgs, NameSourceArgs, OnlyArgs,
    OutputArgs, PlatformArgs, PreflightArgs, PullPlatformArgs, RecheckArgs, ReferrerArgs,
    RegistryArgs, RenameArgs, ResultsArgs, RunArgs, SignArgs, UploadArgs, transport::path_of,
    volume_size,
};
use hod_oci::ForeignLayers;
use hod_transfer::Transport;

/// Pull images, or those of lists, from registries into a store
///
/// The store is a registry's own storage tree (`docker/registry/v2`), so that `registry:2` can
/// serve it. Every unique blob is fetched once and hashed on the way; a second run downloads nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod pull images-list.txt --store store
  hod pull images-list.txt --store store --platform linux/amd64,linux/arm64
  hod pull lists/ --store store --section k8s-images --lock images.lock
  hod pull nginx:1.27 'redis:>=7 <8 limit=2' lists/ --store store
  hod pull harbor.corp/project --store store")]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(crate) list: ImagesArgs,

    /// The store to pull into; created if it does not exist
    #[arg(long, value_name = "DIR", value_parser = path_of(&[Transport::Store]))]
    pub(crate) store: PathBuf,

    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    /// Write a list to this file that pulls exactly the same images again, without any options
    ///
    /// Each line has the image's registry and digest, its name in the store, and what the options
    /// decided: `platform=`, `index=`, `referrers=`, `foreign-layers=`. An option that contradicts it is an error.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) platforms: PullPlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) foreign_layers: ForeignLayersArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) preflight: SourceCheckArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Whether registries are asked first whether they can be read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct SourceCheckArgs {
    /// Do not first ask each registry whether it can be reached and accepts the login
    #[arg(long)]
    pub(crate) no_preflight: bool,
}

/// Whether foreign layers are pulled.
#[derive(Debug, Args)]
#[command(next_help_heading = "Referrers and layers")]
pub(crate) struct ForeignLayersArgs {
    /// Also fetch foreign layers, such as Windows base layers
    ///
    /// The registry is asked first, then the URLs in the manifest: over HTTPS, unless the host is
    /// named by `--plain-http`, without any login; addresses of this machine are refused unless a flag
    /// names them.
    #[arg(long)]
    foreign_layers: bool,
}

impl ForeignLayersArgs {
    pub(crate) fn mode(&self) -> ForeignLayers {
        if self.foreign_layers {
            ForeignLayers::Fetch
        } else {
            ForeignLayers::Leave
        }
    }
}

/// Select images of a store into a tree of their own, by hardlink
///
/// The tree is a registry's storage tree with only the selected images; hardlinks take no extra space.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod select site-a.txt --store store --output site-a
  hod select site-a.txt --store store --output /mnt/usb/site-a --link copy
  hod select site-a.txt --store store --output site-a --replace --dry-run")]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    pub(crate) list: ListArgs,

    /// The store to select from: hod's, or any registry's storage directory; or a bundle or layouts
    #[arg(long, value_name = "DIR")]
    pub(crate) store: PathBuf,

    /// The tree to select into; one that has other images is refused without `--add` or `--replace`
    #[arg(long, short, value_name = "DIR", value_parser = path_of(&[Transport::Store]))]
    pub(crate) output: PathBuf,

    /// Keep the images that the tree has, and add the selected ones
    #[arg(long)]
    pub(crate) add: bool,

    /// Remove the images that are not selected from the tree, once all selected ones are in it
    ///
    /// An image is removed only if the store has all of it, so that it can be selected again;
    /// otherwise nothing is changed. Files that hod does not know stay. No other program may write
    /// to the tree meanwhile.
    #[arg(long, conflicts_with = "add")]
    pub(crate) replace: bool,

    /// How blobs are placed in the output; hod never switches to another mode by itself
    #[arg(long, value_enum, default_value_t = LinkArg::Hard, value_name = "MODE")]
    pub(crate) link: LinkArg,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Pack images into one file for the air gap
///
/// The file is a tar that unpacks to a registry's storage tree, with an index in front so that it
/// can be pushed, listed and verified without unpacking. Equal input gives equal bytes.
#[derive(Debug, Args)]
#[command(
    override_usage = "hod pack [OPTIONS] LIST... --store DIR --output FILE\n       hod pack [OPTIONS] TREE --output FILE",
    after_long_help = "\
Examples:
  hod pack images-list.txt --store store --output site.tar
  hod pack site-a --output site-a.tar
  hod pack site-a --output site-a.tar --volume-size dvd --dry-run
  hod pack site-a --output - | ssh site hod push - harbor.corp

A file named `.tar.zst` is the same tar as one zstd stream. Layers are
compressed already, so it is hardly smaller, and it can only be read from front
to back."
)]
pub(crate) struct PackArgs {
    /// Lists of images to pack from the store, or, without --store, the tree to pack whole
    #[arg(required = true, value_name = "LIST|TREE")]
    pub(crate) inputs: Vec<PathBuf>,

    /// The store to pack the lists from
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME", requires = "store")]
    pub(crate) section: Vec<String>,

    /// The file to write, `.tar` or `.tar.zst`; it appears when it is complete; or `-` for stdout,
    /// in one pass
    #[arg(long, short, value_name = "FILE", value_parser = path_of(&[Transport::Bundle]))]
    pub(crate) output: PathBuf,

    /// Say how large the bundle would be, in which volumes, how long packing would take and how much
    /// space the target requires, and pack nothing
    ///
    /// To estimate the time, hod writes a small temporary file beside the output for a second or two.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Leave out what the target has: receipts (`hod receipt`), earlier bundles (any volume of
    /// each) or stores; may be given several times
    ///
    /// Before anything is written, push and unpack check that the target has all that was left
    /// out.
    #[arg(long, value_name = "RECEIPT|BUNDLE,...", value_delimiter = ',',
          value_parser = path_of(&[Transport::Bundle, Transport::Store]))]
    pub(crate) since: Vec<PathBuf>,

    /// Divide the bundle into volumes of at most this size, `NAME.001.tar` and so on
    ///
    /// `4G` is 4 GiB, `25GB` 25,000,000,000 bytes; or what a medium holds: fat32, cd, dvd, dvd-dl,
    /// bd, bd-dl. A layer that is larger is cut into parts.
    #[arg(long, value_name = "SIZE", value_parser = volume_size::parse)]
    pub(crate) volume_size: Option<u64>,

    /// Write only this volume again, byte for byte, for example because it was lost
    #[arg(long, value_name = "N", requires = "volume_size",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) only_volume: Option<u32>,

    /// The name of the bundle; by default the file's
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The version of what is in the bundle
    #[arg(long, value_name = "VERSION")]
    pub(crate) bundle_version: Option<String>,

    /// Wait until the file is on the disk: for drives that are unplugged right afterwards
    ///
    /// Without it, the last part of the file may not be on the disk yet when hod exits, as with `cp` and
    /// `tar`.
    #[arg(long)]
    pub(crate) fsync: bool,

    /// Read and hash every blob, including those already verified
    ///
    /// Without it a blob that was verified when it came into the store, and was not written since,
    /// is copied unread. Every reader of the bundle verifies it in any case.
    #[arg(long)]
    pub(crate) rehash: bool,

    #[command(flatten)]
    pub(crate) failing: FailFastArgs,

    #[command(flatten)]
    pub(crate) written: OutputArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) carry: CarryArgs,

    #[command(flatten)]
    pub(crate) sign: SignArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Unpack a bundle into a store, verifying every byte
///
/// A bundle that is damaged or hostile leaves the output as it was.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod unpack site.tar --output store
  ssh host cat site.tar | hod unpack - --output store")]
pub(crate) struct UnpackArgs {
    /// The bundle, or `-` for one from stdin, its volumes one after the other; or another source of
    /// images: a store, or layouts
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,

    /// The store to unpack into; added to when it exists
    #[arg(long, short, value_name = "DIR", value_parser = path_of(&[Transport::Store]))]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Export images for skopeo, containerd, Docker and others
///
/// As `dir:` layouts, one per image, at `OUTPUT/<repository>:<tag>`, as `skopeo sync --scoped` names
/// them; or all images in one OCI layout, one archive of it, or one archive for `docker load`.
/// Layouts in directories share their blobs by hardlink, with the source too where that is possible.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod export site.tar --output layouts
  hod export site.tar --format oci-archive --output site-oci.tar
  hod export site.tar --format docker-archive --only app.txt --output app.tar
  skopeo sync --all --preserve-digests --scoped \\
    --src dir --dest docker layouts harbor.corp/offline")]
pub(crate) struct ExportArgs {
    /// A store, bundle or layout, `-` for a bundle from stdin; or a registry, a list or an image
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// The directory to put the layouts into, or the archive to write
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: PathBuf,

    /// What to export as; by default what a transport in front of the output says (`oci:PATH`), or
    /// `dir`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<FormatArg>,

    /// How blobs are placed in the output; by default as hardlinks where possible, otherwise as copies
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) link: Option<LinkArg>,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) preflight: SourceCheckArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Push images into a registry
///
/// The source may be anything that has images: a bundle is not unpacked, and what comes from another
/// registry is not stored. An image that the registry already has costs one request. Problems (a wrong
/// login; at a Harbor also missing projects or rights, quotas, names, read-only mode, proxy caches,
/// immutable tags) are looked for before anything moves, and reported all at once.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod push site.tar harbor.corp --project offline
  hod push site.tar harbor.corp --create-projects --dry-run
  hod push store 127.0.0.1:5000 --only site-a.txt
  cat site.*.tar | hod push - harbor.corp
  hod push site.tar harbor.corp --rename 'quay.io/*=platform/*' --strip-host")]
pub(crate) struct PushArgs {
    /// A store, bundle or layout, `-` for a bundle from stdin; or a registry, a list or an image
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// The registry, and a prefix for all names
    #[arg(value_name = "REGISTRY[/PREFIX]")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) recheck: RecheckArgs,

    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) preflight: PreflightArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) upload: UploadArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Serve a store, or a bundle as it is, as a registry
///
/// A registry for Docker, containerd, skopeo and hod itself. It is read-only unless `--writable` is
/// given; a bundle is served as it is, without unpacking, and is always read-only. On Ctrl-C it stops
/// accepting connections, and ends when its requests have, after 10 seconds at the latest.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod serve registry-data
  hod serve registry-data --writable --listen :5000 \\
      --tls-cert registry.crt --tls-key registry.key --htpasswd users")]
pub(crate) struct ServeArgs {
    /// The store to serve, or a bundle, in any of its volumes
    #[arg(value_name = "STORE|BUNDLE", value_parser = path_of(&[Transport::Store, Transport::Bundle]))]
    pub(crate) source: PathBuf,

    /// The address to listen on; `:PORT` means all addresses of this machine, `PORT` alone means
    /// 127.0.0.1, port 0 any free one
    #[arg(long, value_name = "[ADDRESS]:PORT", default_value = "127.0.0.1:5000",
          value_parser = parse_listen)]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// Serve HTTPS with this certificate, followed by those of its issuers, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Require a login listed in this file (made with `htpasswd -B`); it is read once, at the start
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,

    /// Let other machines push without encryption or passwords
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Answer to this name too, where only this machine can connect; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,

    /// Log each request, in the "combined" format, to stderr, or append to a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true,
          default_missing_value = "-")]
    pub(crate) access_log: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  hod completions bash > /etc/bash_completion.d/hod")]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// What images are exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FormatArg {
    /// One `dir:` layout per image, as skopeo writes them
    Dir,
    /// One OCI layout with all images, added to when it exists
    Oci,
    /// One archive of an OCI layout with all images
    OciArchive,
    /// One archive for `docker load`, of images for one platform
    DockerArchive,
}

impl From<FormatArg> for Transport {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::Dir => Self::Dir,
            FormatArg::Oci => Self::Oci,
            FormatArg::OciArchive => Self::OciArchive,
            FormatArg::DockerArchive => Self::DockerArchive,
        }
    }
}

/// What clients of a server may do.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// Accept pushes; a store that does not exist is created
    #[arg(long)]
    pub(crate) writable: bool,

    /// Accept deletes of tags, manifests and blobs too
    #[arg(long, requires = "writable")]
    pub(crate) allow_delete: bool,

    /// Refuse pushes and deletes, which is the default
    #[arg(long, hide = true, conflicts_with = "writable")]
    pub(crate) read_only: bool,
}

/// Reads `ADDRESS:PORT`, `localhost:PORT`, `:PORT` or `PORT`.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let port = |text: &str| text.parse::<u16>().ok();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, number) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let ip = match host {
        "" | "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => ip,
            Err(_) => {
                return Err("expected an IP address of this machine before the port".to_owned());
            }
        },
    };
    let number = match port(number) {
        Some(number) => number,
        None if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(format!("port {number} is too large: the largest is 65535"));
        }
        None => return Err("expected ADDRESS:PORT, :PORT or PORT".to_owned()),
    };
    Ok(SocketAddr::new(ip, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_be_short() {
        for (text, expect) in [
            ("127.0.0.1:5000", Some("127.0.0.1:5000")),
            ("[::1]:5000", Some("[::1]:5000")),
            (":5000", Some("[::]:5000")),
            ("*:5000", Some("[::]:5000")),
            ("5000", Some("127.0.0.1:5000")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("", None),
            (":", None),
            ("localhost", None),
            ("127.0.0.1", None),
            ("registry.corp:5000", None),
            (":65536", None),
            ("127.0.0.1:99999", None),
            ("127.0.0.1:http", None),
            ("-1", None),
        ] {
            let parsed = parse_listen(text).ok();
            let expect = expect.map(|text| text.parse().unwrap());
            assert_eq!(parsed, expect, "{text}");
        }
    }
}
