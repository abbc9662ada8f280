//! The flags about bundles: whose are read, and who signs.

use std::path::PathBuf;

use clap::Args;

use hod_ops::{Checksums, Existing};

/// Arguments of every verb that reads a bundle.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reading bundles")]
pub(crate) struct BundleArgs {
    /// Read only bundles that this public key signed: a file, or the key itself; may be given
    /// several times
    ///
    /// Also from `HOD_VERIFY_KEY`, and from the files `*.pub` in `/etc/hod/trusted.d` and
    /// `~/.config/hod/trusted.d`; one of all these must have signed. Without any, the signatures
    /// of bundles are not verified.
    #[arg(long, value_name = "FILE|KEY")]
    pub(crate) verify_key: Vec<String>,

    /// Look for the other volumes of a bundle in this directory too, besides the directory of the
    /// volume that is named; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) volume_dir: Vec<PathBuf>,
}

/// Arguments of every verb that writes a bundle.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SignArgs {
    /// Sign the bundle with this secret key, of `hod keygen` or `minisign -G`; or with the program
    /// `hod-sign-NAME`
    ///
    /// Also from `HOD_SIGN_KEY`, or the key itself from `HOD_SIGN_KEY_DATA`.
    #[arg(long, value_name = "FILE|helper:NAME")]
    pub(crate) sign: Option<String>,

    /// Take the password of the secret key from stdin; also from `HOD_SIGN_PASSWORD`
    #[arg(long)]
    pub(crate) sign_password_stdin: bool,
}

/// Arguments of every verb that writes a bundle to files.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,

    /// Hash the files that were written, print their checksums, and write `NAME.sha256` beside them,
    /// for `sha256sum -c`
    ///
    /// This reads all of them, which takes longer than writing them.
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

/// Make a pair of keys, to sign bundles with and to verify them
///
/// Writes `hod.key`, for `hod pack --sign`, and `hod.pub`, for `--verify-key` at the other end, in
/// minisign's format; prints the public key. Anyone who has `hod.key` can sign: without a password it
/// is protected by its file permissions only.
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
