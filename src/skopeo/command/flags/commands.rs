//! The commands, with their usage and summaries.

use hod_pflag::{Command, Flag, Layout};

use super::sets::{IMAGE, copy, inspect, login, logout, one_image, sync, text};
use crate::name::TRANSPORTS;

fn command(
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    flags: Vec<Flag>,
) -> Command {
    Command {
        name,
        usage,
        summary,
        about: String::new(),
        examples: "",
        flags,
        is_hidden: false,
        layout: Layout::Plain,
    }
}

pub(super) fn commands(authfile: &str) -> Vec<Command> {
    let mut commands = of_images(authfile);
    commands.extend(of_files());
    commands.extend(of_logins());
    commands.extend(hidden_ones(authfile));
    commands.sort_by_key(|command| (command.is_hidden, command.name));
    commands
}

/// The commands for images.
fn of_images(authfile: &str) -> Vec<Command> {
    let names = TRANSPORTS.join(", ");
    vec![
        Command {
            about: format!(
                "Container \"IMAGE-NAME\" uses a \"transport\":\"details\" format.\n\nSupported \
                 transports:\n{names}\n\nSee skopeo(1) section \"IMAGE NAMES\" for the expected \
                 format"
            ),
            examples: "skopeo copy docker://quay.io/skopeo/stable:latest \
                       docker://registry.example.com/skopeo:latest",
            ..command(
                "copy",
                "copy [command options] SOURCE-IMAGE DESTINATION-IMAGE",
                "Copy an IMAGE-NAME from one location to another",
                copy(authfile),
            )
        },
        Command {
            about: format!(
                "Delete an \"IMAGE_NAME\" from a transport\nSupported transports:\n{names}\nSee \
                 skopeo(1) section \"IMAGE NAMES\" for the expected format"
            ),
            examples: "skopeo delete docker://registry.example.com/example/pause:latest",
            ..command(
                "delete",
                "delete [command options] IMAGE-NAME",
                "Delete image IMAGE-NAME",
                one_image(authfile, &IMAGE),
            )
        },
        Command {
            about: format!(
                "Return low-level information about \"IMAGE-NAME\" in a registry/transport\n\
                 Supported transports:\n{names}\n\nSee skopeo(1) section \"IMAGE NAMES\" for the \
                 expected format"
            ),
            examples: "skopeo inspect docker://registry.fedoraproject.org/fedora",
            ..command(
                "inspect",
                "inspect [command options] IMAGE-NAME",
                "Inspect image IMAGE-NAME",
                inspect(authfile),
            )
        },
        Command {
            about: "Return the list of tags from the transport/repository \"SOURCE-IMAGE\"\n\n\
                    Supported transports:\ndocker docker-archive\n\nSee skopeo-list-tags(1) section \
                    \"REPOSITORY NAMES\" for the expected format"
                .to_owned(),
            examples: "skopeo list-tags docker://docker.io/fedora",
            ..command(
                "list-tags",
                "list-tags [command options] SOURCE-IMAGE",
                "List tags in the transport/repository specified by the SOURCE-IMAGE",
                one_image(authfile, &[]),
            )
        },
        Command {
            about: "Copy all the images from a SOURCE to a DESTINATION.\n\nAllowed SOURCE \
                    transports (specified with --src): docker, dir, yaml.\nAllowed DESTINATION \
                    transports (specified with --dest): docker, dir.\n\nSee skopeo-sync(1) for \
                    details."
                .to_owned(),
            examples: "skopeo sync --src docker --dest dir --scoped registry.example.com/busybox \
                       /media/usb",
            ..command(
                "sync",
                "sync [command options] --src TRANSPORT --dest TRANSPORT SOURCE DESTINATION",
                "Synchronize one or more images from one location to another",
                sync(authfile),
            )
        },
    ]
}

/// The commands for manifests and signatures in files.
fn of_files() -> Vec<Command> {
    vec![
        Command {
            examples: "skopeo generate-sigstore-key --output-prefix my-key",
            ..command(
                "generate-sigstore-key",
                "generate-sigstore-key [command options] --output-prefix PREFIX",
                "Generate a sigstore public/private key pair",
                vec![
                    text(
                        "output-prefix",
                        "Write the keys to `PREFIX`.pub and `PREFIX`.private",
                    ),
                    text(
                        "passphrase-file",
                        "Read a passphrase for the private key from `PATH`",
                    ),
                ],
            )
        },
        Command {
            examples: "skopeo manifest-digest manifest.json",
            ..command(
                "manifest-digest",
                "manifest-digest MANIFEST-FILE",
                "Compute a manifest digest of a file",
                Vec::new(),
            )
        },
        command(
            "standalone-sign",
            "standalone-sign [command options] MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT \
             --output|-o SIGNATURE",
            "Create a signature using local files",
            vec![
                text("output", "output the signature to `SIGNATURE`").short('o'),
                text(
                    "passphrase-file",
                    "file that contains a passphrase for the --sign-by key",
                ),
            ],
        ),
        Command {
            about: "Verify a signature using local files\n\nKEY-FINGERPRINTS can be a comma \
                    separated list of fingerprints, or \"any\" if you trust all the keys in the \
                    public key file."
                .to_owned(),
            ..command(
                "standalone-verify",
                "standalone-verify MANIFEST DOCKER-REFERENCE KEY-FINGERPRINTS SIGNATURE",
                "Verify a signature using local files",
                vec![text(
                    "public-key-file",
                    "File containing public keys. If not specified, will use local GPG keys.",
                )],
            )
        },
    ]
}

/// The commands for logins.
fn of_logins() -> Vec<Command> {
    vec![
        Command {
            about: "Login to a container registry on a specified server.".to_owned(),
            examples: "skopeo login quay.io",
            ..command(
                "login",
                "login [command options] REGISTRY",
                "Login to a container registry",
                login(),
            )
        },
        Command {
            about: "Logout of a container registry on a specified server.".to_owned(),
            examples: "skopeo logout quay.io",
            ..command(
                "logout",
                "logout [command options] REGISTRY",
                "Logout of a container registry",
                logout(),
            )
        },
    ]
}

/// The commands that help leaves out.
fn hidden_ones(authfile: &str) -> Vec<Command> {
    let hidden = |command: Command| Command {
        is_hidden: true,
        ..command
    };
    vec![
        hidden(command(
            "layers",
            "layers [command options] IMAGE-NAME [LAYER...]",
            "Get layers of IMAGE-NAME",
            one_image(authfile, &IMAGE),
        )),
        hidden(command(
            "experimental-image-proxy",
            "experimental-image-proxy [command options]",
            "Interactive proxy for fetching container images (EXPERIMENTAL)",
            Vec::new(),
        )),
        hidden(command(
            "untrusted-signature-dump-without-verification",
            "untrusted-signature-dump-without-verification SIGNATURE",
            "Dump contents of a signature WITHOUT VERIFYING IT",
            Vec::new(),
        )),
    ]
}
