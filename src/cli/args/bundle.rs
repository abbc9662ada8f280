//! The flags for bundles: trusted keys, volumes, signing, outputs.

use std::path::PathBuf;

use clap::Args;

use hod_ops::{Checksums, Existing};

/// Arguments of every verb that reads a bundle.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reading bundles")]
pub(crate) struct BundleArgs {
    /// Accept only bundles that are signed with this public key: a file, or the key itself; may be
    /// given several times
    ///
    /// Keys also come from `HOD_VERIFY_KEY` and from `*.pub` in `/etc/hod/trusted.d` and
    /// `~/.config/hod/trusted.d`. The bundle must be signed with one of them. Without any key,
    /// signatures are not verified.
    #[arg(long, value_name = "FILE|KEY")]
    pub(crate) verify_key: Vec<String>,

    /// Also look for volumes of the bundle in this directory; may be given several times
    ///
    /// The directory of the named volume is always searched.
    #[arg(long, value_name = "DIR")]
    pub(crate) volume_dir: Vec<PathBuf>,
}

/// Arguments of every verb that writes a bundle.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SignArgs {
    /// Sign the bundle with this secret key, made with `hod keygen` or `minisign -G`; or with the
    /// program `hod-sign-NAME`
    ///
    /// The variable `HOD_SIGN_KEY` sets the same; `HOD_SIGN_KEY_DATA` contains the key itself.
    #[arg(long, value_name = "FILE|helper:NAME")]
    pub(crate) sign: Option<String>,

    /// Read the password of the secret key from stdin
    ///
    /// Without it, the password comes from `HOD_SIGN_PASSWORD`.
    #[arg(long)]
    pub(crate) sign_password_stdin: bool,
}

/// Arguments of every verb that writes a bundle to files.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,

    /// Print the checksums of the written files, and write them to `NAME.sha256` for `sha256sum -c`
    ///
    /// This reads all files again, which takes longer than writing them.
    #[arg(long)]
    pub(crate) checksums: bool,
}

impl OutputArgs {
    pub(crate) fn existing(&self) -> Existing {
        if self.force {
            Existing::Replace
        } else {
            Existing::Refuse
        }
    }

    pub(crate) fn checksums(&self) -> Checksums {
        if self.checksums {
            Checksums::Beside
        } else {
            Checksums::None
        }
    }
}

/// Create a key pair to sign and verify bundles
///
/// Writes `hod.key` for `hod pack --sign` and `hod.pub` for `--verify-key`, in the format of minisign,
/// and prints the public key. Anyone who can read `hod.key` can sign: without a password, only its
/// file permissions protect it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod keygen
  hod keygen --output /secure/release --password-stdin < password

A bundle's signature can be checked without hod, too:
  tar xf site.tar hod/bundle.json hod/bundle.json.minisig
  minisign -V -p hod.pub -m hod/bundle.json")]
pub(crate) struct KeygenArgs {
    /// Write NAME.key and NAME.pub; existing files are not replaced
    #[arg(long, short, value_name = "NAME", default_value = "hod")]
    pub(crate) output: PathBuf,

    /// Encrypt the secret key with a password from stdin
    #[arg(long)]
    pub(crate) password_stdin: bool,
}
