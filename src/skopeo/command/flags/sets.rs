//! Flags that commands have in common, and those of each.

use hod_pflag::{Flag, Kind};

pub(super) fn text(name: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::Text, help)
}

fn bool(name: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::Bool, help)
}

pub(super) fn globals() -> Vec<Flag> {
    vec![
        Flag::new(
            "command-timeout",
            Kind::Duration,
            "timeout for the command execution",
        ),
        bool("debug", "enable debug output"),
        bool("insecure-policy", "run the tool without any policy check"),
        text(
            "override-arch",
            "use `ARCH` instead of the architecture of the machine for choosing images",
        ),
        text(
            "override-os",
            "use `OS` instead of the running OS for choosing images",
        ),
        text(
            "override-variant",
            "use `VARIANT` instead of the running architecture variant for choosing images",
        ),
        text("policy", "Path to a trust policy file"),
        text(
            "registries.d",
            "use registry configuration files in `DIR` (e.g. for container signature storage)",
        ),
        text("registries-conf", "path to the registries.conf file").hidden(),
        bool("require-signed", "require any pulled image to be signed"),
        text(
            "tls-details",
            "path to a containers-tls-details.yaml(5) file",
        ),
        text("tmpdir", "directory used to store temporary files"),
        text(
            "user-agent-prefix",
            "prefix to add to the user agent string",
        ),
    ]
}

/// A flag for each side of a command: its names without a prefix, of the source, of the destination.
pub(super) struct SideFlag {
    names: [&'static str; 3],
    kind: Kind,
    help: &'static str,
}

const REGISTRY: [SideFlag; 7] = [
    SideFlag {
        names: ["creds", "src-creds", "dest-creds"],
        kind: Kind::Text,
        help: "Use `USERNAME[:PASSWORD]` for accessing the registry",
    },
    SideFlag {
        names: ["username", "src-username", "dest-username"],
        kind: Kind::Text,
        help: "Username for accessing the registry",
    },
    SideFlag {
        names: ["password", "src-password", "dest-password"],
        kind: Kind::Text,
        help: "Password for accessing the registry",
    },
    SideFlag {
        names: [
            "registry-token",
            "src-registry-token",
            "dest-registry-token",
        ],
        kind: Kind::Text,
        help: "Provide a Bearer token for accessing the registry",
    },
    SideFlag {
        names: ["cert-dir", "src-cert-dir", "dest-cert-dir"],
        kind: Kind::Text,
        help: "use certificates at `PATH` (*.crt, *.cert, *.key) to connect to the registry or daemon",
    },
    SideFlag {
        names: ["tls-verify", "src-tls-verify", "dest-tls-verify"],
        kind: Kind::Bool,
        help: "require HTTPS and verify certificates when talking to the container registry or daemon",
    },
    SideFlag {
        names: ["no-creds", "src-no-creds", "dest-no-creds"],
        kind: Kind::Bool,
        help: "Access the registry anonymously",
    },
];

pub(super) const IMAGE: [SideFlag; 2] = [
    SideFlag {
        names: [
            "shared-blob-dir",
            "src-shared-blob-dir",
            "dest-shared-blob-dir",
        ],
        kind: Kind::Text,
        help: "`DIRECTORY` to use to share blobs across OCI repositories",
    },
    SideFlag {
        names: ["daemon-host", "src-daemon-host", "dest-daemon-host"],
        kind: Kind::Text,
        help: "use docker daemon host at `HOST` (docker-daemon: only)",
    },
];

/// Which of a flag's names counts.
#[derive(Debug, Clone, Copy)]
enum Side {
    Only = 0,
    Source = 1,
    Dest = 2,
}

fn of_side(flags: &[SideFlag], side: Side) -> Vec<Flag> {
    let flags = flags.iter();
    flags
        .map(|flag| Flag::new(flag.names[side as usize], flag.kind, flag.help))
        .collect()
}

/// Both sides of a command that copies.
fn both_sides(more: &[SideFlag]) -> Vec<Flag> {
    let mut flags = Vec::new();
    for (side, authfile, alias) in [
        (Side::Source, "src-authfile", "screds"),
        (Side::Dest, "dest-authfile", "dcreds"),
    ] {
        flags.push(text(
            authfile,
            "path of the registry credentials file. Default is \
             ${XDG_RUNTIME_DIR}/containers/auth.json",
        ));
        flags.extend(of_side(&REGISTRY, side));
        flags.extend(of_side(more, side));
        flags.push(
            text(
                alias,
                "Use `USERNAME[:PASSWORD]` for accessing the registry",
            )
            .hidden(),
        );
    }
    flags.push(
        bool(
            "tls-verify",
            "require HTTPS and verify certificates when accessing the container registry",
        )
        .hidden(),
    );
    flags
}

fn authfile_flag(authfile: &str) -> Flag {
    text(
        "authfile",
        "path of the registry credentials file. Default is ${XDG_RUNTIME_DIR}/containers/auth.json",
    )
    .default_text(authfile)
}

fn retry() -> [Flag; 2] {
    [
        Flag::new(
            "retry-times",
            Kind::Int,
            "the number of times to possibly retry",
        ),
        Flag::new(
            "retry-delay",
            Kind::Duration,
            "Fixed delay between retries. If not set, retry uses an exponential backoff delay.",
        ),
    ]
}

/// The flags that `copy` and `sync` share.
fn shared_copy() -> Vec<Flag> {
    vec![
        bool("remove-signatures", "Do not copy signatures from source"),
        text(
            "sign-by",
            "Sign the image using a GPG key with the specified `FINGERPRINT`",
        ),
        text(
            "sign-by-sq-fingerprint",
            "Sign the image using a Sequoia-PGP key with the specified `FINGERPRINT`",
        ),
        text(
            "sign-by-sigstore",
            "Sign the image using a sigstore parameter file at `PATH`",
        ),
        text(
            "sign-by-sigstore-private-key",
            "Sign the image using a sigstore private key at `PATH`",
        ),
        text(
            "sign-passphrase-file",
            "Read a passphrase for signing an image from `PATH`",
        ),
        text(
            "format",
            "MANIFEST TYPE (oci, v2s1, or v2s2) to use in the destination (default is manifest \
             type of source, with fallbacks)",
        )
        .short('f'),
        bool("preserve-digests", "Preserve digests of images and lists"),
    ]
}

fn dest_compression() -> Vec<Flag> {
    vec![
        bool(
            "dest-compress",
            "Compress tarball image layers when saving to directory using the 'dir' transport. \
             (default is same compression type as source)",
        ),
        bool(
            "dest-decompress",
            "Decompress tarball image layers when saving to directory using the 'dir' transport. \
             (default is same compression type as source)",
        ),
        bool(
            "dest-oci-accept-uncompressed-layers",
            "Allow uncompressed image layers when saving to an OCI image using the 'oci' \
             transport. (default is to compress things that aren't compressed)",
        ),
        text(
            "dest-compress-format",
            "`FORMAT` to use for the compression",
        ),
        Flag::new(
            "dest-compress-level",
            Kind::Int,
            "`LEVEL` to use for the compression",
        ),
        bool(
            "dest-precompute-digests",
            "Precompute digests to prevent uploading layers already on the registry using the \
             'docker' transport.",
        ),
        bool(
            "dest-force-compress-format",
            "Force exclusive use of the compression algorithm set in --dest-compress-format",
        ),
    ]
}

pub(super) fn copy(authfile: &str) -> Vec<Flag> {
    let mut flags = vec![authfile_flag(authfile)];
    flags.extend(both_sides(&IMAGE));
    flags.extend(dest_compression());
    flags.extend(retry());
    flags.extend(shared_copy());
    flags.extend([
        Flag::new(
            "additional-tag",
            Kind::TextSlice,
            "additional tags (supports docker-archive)",
        ),
        bool("quiet", "Suppress output information when copying images").short('q'),
        bool("all", "Copy all images if SOURCE-IMAGE is a list").short('a'),
        text(
            "multi-arch",
            "How to handle multi-architecture images (system, all, or index-only)",
        ),
        text(
            "sign-identity",
            "Identity of signed image, must be a fully specified docker reference. Defaults to the \
             target docker reference.",
        ),
        text(
            "digestfile",
            "Write the digest of the pushed image to the specified file",
        ),
        Flag::new(
            "encryption-key",
            Kind::TextSlice,
            "*Experimental* key with the encryption protocol to use needed to encrypt the image \
             (e.g. jwe:/path/to/key.pem)",
        ),
        Flag::new(
            "encrypt-layer",
            Kind::IntSlice,
            "*Experimental* the 0-indexed layer indices, with support for negative indexing (e.g. \
             0 is the first layer, -1 is the last layer)",
        ),
        Flag::new(
            "decryption-key",
            Kind::TextSlice,
            "*Experimental* key needed to decrypt the image",
        ),
        Flag::new(
            "image-parallel-copies",
            Kind::Uint,
            "Maximum number of image layers to be copied (pulled/pushed) simultaneously. Not \
             setting this field will fall back to containers/image defaults.",
        ),
    ]);
    flags
}

pub(super) fn sync(authfile: &str) -> Vec<Flag> {
    let mut flags = vec![authfile_flag(authfile)];
    flags.extend(both_sides(&[]));
    flags.extend(retry());
    flags.extend(shared_copy());
    flags.extend([
        text("src", "SOURCE transport type").short('s'),
        text("dest", "DESTINATION transport type").short('d'),
        bool(
            "scoped",
            "Images at DESTINATION are prefix using the full source image path as scope",
        ),
        text("append-suffix", "String to append to DESTINATION tags"),
        text(
            "digestfile",
            "Write the digests and Image References of the resulting images to the specified file, \
             separated by newlines",
        ),
        bool("all", "Copy all images if SOURCE-IMAGE is a list").short('a'),
        bool("dry-run", "Run without actually copying data"),
        bool(
            "keep-going",
            "Do not abort the sync if any image copy fails",
        ),
    ]);
    flags
}

/// The flags of a command about one image.
pub(super) fn one_image(authfile: &str, more: &[SideFlag]) -> Vec<Flag> {
    let mut flags = vec![authfile_flag(authfile)];
    flags.extend(of_side(&REGISTRY, Side::Only));
    flags.extend(of_side(more, Side::Only));
    flags.extend(retry());
    flags
}

pub(super) fn inspect(authfile: &str) -> Vec<Flag> {
    let mut flags = one_image(authfile, &IMAGE);
    flags.extend([
        bool("raw", "output raw manifest or configuration"),
        bool("config", "output configuration"),
        text("format", "Format the output to a Go template").short('f'),
        bool(
            "no-tags",
            "Do not list the available tags from the repository in the output",
        )
        .short('n'),
        text(
            "manifest-digest",
            "Algorithm to use for computing manifest digest (sha256, sha512); defaults to \
             algorithm used in config digest",
        ),
    ]);
    flags
}

fn login_files() -> [Flag; 2] {
    [
        text(
            "authfile",
            "path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to \
             override",
        ),
        text(
            "compat-auth-file",
            "path of a Docker-compatible config file to update instead",
        ),
    ]
}

pub(super) fn login() -> Vec<Flag> {
    let mut flags = login_files().to_vec();
    flags.extend([
        text(
            "cert-dir",
            "use certificates at the specified path to access the registry",
        ),
        text("password", "Password for registry").short('p'),
        text("username", "Username for registry").short('u'),
        bool("password-stdin", "Take the password from stdin"),
        bool(
            "get-login",
            "Return the current login user for the registry",
        ),
        bool("verbose", "Write more detailed information to stdout").short('v'),
        bool(
            "tls-verify",
            "require HTTPS and verify certificates when accessing the registry",
        ),
    ]);
    flags
}

pub(super) fn logout() -> Vec<Flag> {
    let mut flags = login_files().to_vec();
    flags.extend([
        bool(
            "all",
            "Remove the cached credentials for all registries in the auth file",
        )
        .short('a'),
        bool(
            "tls-verify",
            "require HTTPS and verify certificates when accessing the registry",
        ),
    ]);
    flags
}
