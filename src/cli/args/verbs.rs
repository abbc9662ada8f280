//! The flags of each verb.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::{
    BundleArgs, CarryArgs, FailFastArgs, ImagesArgs, LinkArg, ListArgs, NameSourceArgs, OnlyArgs,
    OutputArgs, PlatformArgs, PolicyArgs, PullPlatformArgs, ReferrerArgs, RegistryArgs, RenameArgs,
    ResultsArgs, RunArgs, SignArgs, transport::path_of, volume_size,
};
use hod_oci::ForeignLayers;
use hod_transfer::Transport;

/// Pull images from registries into a store
///
/// The store is a registry's storage tree (`docker/registry/v2`), which `registry:2` can serve. Every
/// unique blob is fetched once and verified; a second run downloads nothing.
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

    /// Write a lock to this file: a list that pulls exactly the same images again, without options
    ///
    /// Each line has the registry and digest of the image, its name in the store, and the choices made by
    /// options: `platform=`, `index=`, `referrers=`, `foreign-layers=`. When the lock is read, an option
    /// that contradicts it is an error.
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
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) preflight: SourceCheckArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Whether registries are checked before the run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct SourceCheckArgs {
    /// Skip the checks for problems before the run
    #[arg(long)]
    pub(crate) no_preflight: bool,
}

/// Whether foreign layers are carried.
#[derive(Debug, Args)]
#[command(next_help_heading = "Referrers and layers")]
pub(crate) struct ForeignLayersArgs {
    /// Also fetch foreign layers, such as Windows base layers
    ///
    /// They are fetched from the registry or, if it lacks them, from the URLs in the manifest: over HTTPS
    /// (HTTP for hosts of `--plain-http`) and without a login. URLs on this machine are refused unless a
    /// flag names the host.
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

/// Select images of a store into a new tree, by hardlink
///
/// The tree is a registry's storage tree with only the selected images; hardlinks take no extra space.
/// Blobs of a store are linked without reading them again, except those that were changed since hod
/// verified them; `hod verify` reads all of a tree.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod select site-a.txt --store store --output site-a
  hod select site-a.txt --store store --output /mnt/usb/site-a --link copy
  hod select site-a.txt --store store --output site-a --replace --dry-run")]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    pub(crate) list: ListArgs,

    /// The store to select from, or the storage directory of a registry, a bundle, or layouts
    #[arg(long, value_name = "DIR")]
    pub(crate) store: PathBuf,

    /// The tree to select into; if it has other images, `--add` or `--replace` is required
    #[arg(long, short, value_name = "DIR", value_parser = path_of(&[Transport::Store]))]
    pub(crate) output: PathBuf,

    /// Keep the images in the tree, and add the selected ones
    #[arg(long)]
    pub(crate) add: bool,

    /// Remove all other images from the tree, once all selected ones are in it
    ///
    /// An image is removed only if the store has all of it, so that it can be selected again;
    /// otherwise nothing is changed. Unknown files stay. No other program may write to the tree
    /// during the run.
    #[arg(long, conflicts_with = "add")]
    pub(crate) replace: bool,

    /// How to place blobs in the output; hod never falls back to another mode
    #[arg(long, value_enum, default_value_t = LinkArg::Hard, value_name = "MODE")]
    pub(crate) link: LinkArg,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

/// Pack images into a bundle for the air gap
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

A `.tar.zst` is the same tar, compressed with zstd. Layers are compressed
already, so it is hardly smaller, and it can be read only from start to end."
)]
pub(crate) struct PackArgs {
    /// Lists of images to pack from `--store`; or the tree, bundle or layouts to pack completely
    #[arg(required = true, value_name = "LIST|TREE")]
    pub(crate) inputs: Vec<PathBuf>,

    /// The store to pack the lists from
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME", requires = "store")]
    pub(crate) section: Vec<String>,

    /// The file to write, ending in `.tar` or `.tar.zst`, or `-` for stdout; the file appears when it
    /// is complete
    #[arg(long, short, value_name = "FILE", value_parser = path_of(&[Transport::Bundle]))]
    pub(crate) output: PathBuf,

    /// Show the size of the bundle, its volumes and the space that the target requires, and pack nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Pack a delta without the blobs of these receipts (`hod receipt`), earlier bundles (any one of
    /// their volumes) or stores; may be given several times
    ///
    /// Before push and unpack write anything, they check that the target has all of these blobs.
    #[arg(long, value_name = "RECEIPT|BUNDLE,...", value_delimiter = ',',
          value_parser = path_of(&[Transport::Bundle, Transport::Store]))]
    pub(crate) since: Vec<PathBuf>,

    /// Divide the bundle into volumes of at most this size, `NAME.001.tar` and so on
    ///
    /// `4G` is 4 GiB, `25GB` is 25,000,000,000 bytes; or the capacity of a medium: fat32, cd, dvd,
    /// dvd-dl, bd, bd-dl. A layer that is larger is cut into parts.
    #[arg(long, value_name = "SIZE", value_parser = volume_size::parse)]
    pub(crate) volume_size: Option<u64>,

    /// Write only this volume, byte for byte as before, for example to replace a lost one
    #[arg(long, value_name = "N", requires = "volume_size",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) only_volume: Option<u32>,

    /// The name of the bundle; by default it is derived from the file name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The version of the bundle
    #[arg(long, value_name = "VERSION")]
    pub(crate) bundle_version: Option<String>,

    /// Wait until the file is on the disk: use it if you unplug the drive right afterwards
    ///
    /// Without it, the end of the file may not be on the disk yet when hod exits, as with `cp` and
    /// `tar`.
    #[arg(long)]
    pub(crate) fsync: bool,

    /// Read and hash every blob, including those already verified
    ///
    /// Without it, the kernel copies blobs that hod verified when they entered the store and that did not
    /// change since. Every reader of the bundle verifies them anyway.
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
/// A damaged or hostile bundle leaves the output unchanged.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod unpack site.tar --output store
  ssh host cat site.tar | hod unpack - --output store")]
pub(crate) struct UnpackArgs {
    /// The bundle, or `-` for one on stdin (volumes one after the other); or a store or layouts
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,

    /// The store to unpack into; created if it does not exist
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
/// Writes one `dir:` layout per image at `OUTPUT/<repository>:<tag>`, like `skopeo sync --scoped`; or one
/// OCI layout with all images, one archive of it, or one archive for `docker load`. Layouts in
/// directories share blobs through hardlinks, also with the source where possible.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod export site.tar --output layouts
  hod export site.tar --format oci-archive --output site-oci.tar
  hod export site.tar --format docker-archive --only app.txt --output app.tar
  skopeo sync --all --preserve-digests --scoped \\
    --src dir --dest docker layouts harbor.corp/offline")]
pub(crate) struct ExportArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle on stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// The directory for the layouts, or the archive to write
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: PathBuf,

    /// The format to write; by default that of the output's transport (`oci:PATH`), or `dir`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<FormatArg>,

    /// How to place blobs in the output; by default hardlinks where possible, otherwise copies
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

/// Serve a store or a bundle as a registry
///
/// The registry works with Docker, containerd, skopeo and hod itself. It is read-only unless `--writable`
/// is given; a bundle is served without unpacking it, and is always read-only. On Ctrl-C, hod stops
/// accepting connections and exits when running requests are finished, after 10 seconds at the latest.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod serve registry-data
  hod serve registry-data --writable --listen :5000 \\
      --tls-cert registry.crt --tls-key registry.key --htpasswd users")]
pub(crate) struct ServeArgs {
    /// The store to serve, or a bundle (any one of its volumes)
    #[arg(value_name = "STORE|BUNDLE", value_parser = path_of(&[Transport::Store, Transport::Bundle]))]
    pub(crate) source: PathBuf,

    /// The address to listen on; `:PORT` means all addresses of this machine, `PORT` means 127.0.0.1,
    /// and port 0 any free port
    #[arg(long, value_name = "[ADDRESS]:PORT", default_value = "127.0.0.1:5000",
          value_parser = parse_listen)]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// Serve HTTPS with this certificate (PEM, followed by the certificates of its issuers)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Require a login from this file (made with `htpasswd -B`), which is read once at the start
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,

    /// Accept pushes from other machines without encryption or passwords
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Also answer to this host name, if only this machine can connect; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,

    /// Log each request in the "combined" format to stderr, or append it to this file
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

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FormatArg {
    /// One `dir:` layout per image, as written by skopeo
    Dir,
    /// One OCI layout with all images; images are added to an existing one
    Oci,
    /// One archive of an OCI layout with all images
    OciArchive,
    /// One archive for `docker load`, with images for one platform
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

/// What clients of the server are allowed to do.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// Accept pushes; the store is created if it does not exist
    #[arg(long)]
    pub(crate) writable: bool,

    /// Accept deletes of tags, manifests and blobs
    #[arg(long, requires = "writable")]
    pub(crate) allow_delete: bool,

    /// Refuse pushes and deletes, which is the default
    #[arg(long, hide = true, conflicts_with = "writable")]
    pub(crate) read_only: bool,
}

/// Parses `ADDRESS:PORT`, `localhost:PORT`, `:PORT` or `PORT`.
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
