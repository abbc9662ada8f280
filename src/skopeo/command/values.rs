//! The values of flags as the structures that commands take.

use std::path::PathBuf;
use std::time::Duration;

use hod_pflag::Value;

use crate::client::RegistryFlags;
use crate::compression::CompressionFlags;
use crate::convert::manifest::Kind;
use crate::copy::{CopyFlags, Selection};
use crate::failure::{Done, Failure};
use crate::login::LoginFlags;
use crate::name::Named;
use crate::platform::PlatformFlags;
use crate::trust::{SigningFlags, TrustFlags};

/// The values of a command's flags, and of those of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) flags: &'a hod_pflag::Values,
    pub(crate) globals: &'a hod_pflag::Values,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.flags.get(name).or_else(|| self.globals.get(name))
    }

    pub(crate) fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    pub(crate) fn optional_bool(&self, name: &str) -> Option<bool> {
        self.flags.optional_bool(name)
    }

    /// A text; empty if it was not given.
    pub(crate) fn text(&self, name: &str) -> String {
        match self.get(name) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    /// A text that was given, empty or not.
    pub(crate) fn given(&self, name: &str) -> Option<String> {
        let given = self.flags.optional_text(name);
        let given = given.or_else(|| self.globals.optional_text(name));
        given.map(str::to_owned)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        path_of(self.given(name))
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Uint(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Value::Duration(nanoseconds) => {
                u64::try_from(*nanoseconds).ok().map(Duration::from_nanos)
            }
            _ => None,
        }
    }

    /// The flags of one side, whose names begin with `prefix`.
    pub(crate) fn registry(&self, prefix: &str) -> RegistryFlags {
        let named = |name: &str| format!("{prefix}{name}");
        let alias = match prefix {
            "src-" => self.given("screds"),
            "dest-" => self.given("dcreds"),
            _ => None,
        };
        let own_file = path_of(
            self.flags
                .optional_text(&named("authfile"))
                .map(str::to_owned),
        );
        let tls_verify = self.flags.optional_bool(&named("tls-verify"));
        let tls_verify = tls_verify
            .or_else(|| self.flags.optional_bool("tls-verify"))
            .or_else(|| self.globals.optional_bool("tls-verify"));
        RegistryFlags {
            creds: self.given(&named("creds")).or(alias),
            username: self.given(&named("username")),
            password: self.given(&named("password")),
            registry_token: self.given(&named("registry-token")),
            identity_token: None,
            no_creds: self.bool(&named("no-creds")),
            cert_dir: self.path(&named("cert-dir")),
            tls_verify,
            authfile: own_file.or_else(|| path_of(Some(self.text("authfile")))),
            registries_conf: self.path("registries-conf"),
            user_agent_prefix: self
                .given("user-agent-prefix")
                .filter(|prefix| !prefix.is_empty()),
        }
    }

    pub(crate) fn platform(&self) -> PlatformFlags {
        let given = |name| self.given(name).filter(|text| !text.is_empty());
        PlatformFlags {
            arch: given("override-arch"),
            os: given("override-os"),
            variant: given("override-variant"),
        }
    }

    pub(crate) fn login(&self) -> LoginFlags {
        let given = |name| self.given(name).filter(|text| !text.is_empty());
        LoginFlags {
            username: given("username"),
            password: given("password"),
            password_stdin: self.bool("password-stdin"),
            get_login: self.bool("get-login"),
            verbose: self.bool("verbose"),
            authfile: self.path("authfile"),
            compat_authfile: self.path("compat-auth-file"),
            cert_dir: self.path("cert-dir"),
            tls_verify: self.optional_bool("tls-verify"),
            all: self.bool("all"),
        }
    }

    pub(crate) fn copy(&self) -> Done<CopyFlags> {
        for flag in ["encryption-key", "decryption-key"] {
            if matches!(self.get(flag), Some(Value::Texts(keys)) if !keys.is_empty()) {
                return Err(Failure::new(format!(
                    "--{flag} is not supported: this program does not encrypt images"
                )));
            }
        }
        if matches!(self.get("encrypt-layer"), Some(Value::Ints(layers)) if !layers.is_empty()) {
            return Err(Failure::new(
                "--encrypt-layer can only be used with --encryption-key",
            ));
        }
        Ok(CopyFlags {
            source: self.registry("src-"),
            dest: self.registry("dest-"),
            source_shared_blobs: self.path("src-shared-blob-dir"),
            dest_shared_blobs: self.path("dest-shared-blob-dir"),
            source_daemon: self.given("src-daemon-host"),
            dest_daemon: self.given("dest-daemon-host"),
            selection: self.selection()?,
            kind: self.kind()?,
            preserve_digests: self.bool("preserve-digests"),
            remove_signatures: self.bool("remove-signatures"),
            compression: CompressionFlags {
                compress: self.bool("dest-compress"),
                decompress: self.bool("dest-decompress"),
                format: self.given("dest-compress-format").filter(|f| !f.is_empty()),
                level: match self.get("dest-compress-level") {
                    Some(Value::Int(level)) if self.flags.is_set("dest-compress-level") => {
                        Some(*level)
                    }
                    _ => None,
                },
                force_format: self.bool("dest-force-compress-format"),
                oci_accept_uncompressed: self.bool("dest-oci-accept-uncompressed-layers"),
            },
            additional_tags: self.additional_tags()?,
            platform: self.platform(),
            tmpdir: self.path("tmpdir"),
            signing: self.signing(),
        })
    }

    pub(crate) fn trust(&self) -> TrustFlags {
        TrustFlags {
            insecure_policy: self.bool("insecure-policy"),
            require_signed: self.bool("require-signed"),
            policy: self.path("policy"),
            registries_d: self.path("registries.d"),
        }
    }

    fn signing(&self) -> SigningFlags {
        let given = |name| self.given(name).filter(|text| !text.is_empty());
        let unsupported = ["sign-by-sigstore", "sign-by-sq-fingerprint"];
        SigningFlags {
            sign_by: given("sign-by"),
            sigstore_key: self.path("sign-by-sigstore-private-key"),
            unsupported: unsupported.into_iter().find(|flag| given(flag).is_some()),
            passphrase_file: self.path("sign-passphrase-file"),
            identity: given("sign-identity"),
        }
    }

    fn selection(&self) -> Done<Selection> {
        let multi_arch = self.given("multi-arch");
        let all = self.bool("all");
        match multi_arch.as_deref() {
            Some(_) if all => Err(Failure::new(
                "Cannot use --all and --multi-arch flags together",
            )),
            None if all => Ok(Selection::All),
            None | Some("system") => Ok(Selection::System),
            Some("all") => Ok(Selection::All),
            Some("index-only") => Ok(Selection::IndexOnly),
            Some(other) => Err(Failure::new(format!(
                "unknown multi-arch option {}. Choose one of the supported options: 'system', \
                 'all', or 'index-only'",
                hod_gotext::quote(other)
            ))),
        }
    }

    fn kind(&self) -> Done<Option<Kind>> {
        match self.given("format").as_deref() {
            None => Ok(None),
            Some("oci") => Ok(Some(Kind::Oci)),
            Some("v2s2") => Ok(Some(Kind::Schema2)),
            Some("v2s1") => Err(Failure::new(
                "format \"v2s1\" is not supported: Docker's schema 1 is obsolete",
            )),
            Some(other) => Err(Failure::new(format!(
                "unknown format {}. Choose one of the supported formats: 'oci', 'v2s1', or 'v2s2'",
                hod_gotext::quote(other)
            ))),
        }
    }

    fn additional_tags(&self) -> Done<Vec<Named>> {
        let Some(Value::Texts(tags)) = self.get("additional-tag") else {
            return Ok(Vec::new());
        };
        let parse = |tag: &String| {
            let named = Named::parse(tag).map_err(|error| {
                Failure::new(format!("error parsing additional-tag '{tag}': {error}"))
            })?;
            if named.tag.is_none() {
                return Err(Failure::new(format!(
                    "additional-tag '{tag}' must be a tagged reference"
                )));
            }
            Ok(named)
        };
        tags.iter().map(parse).collect()
    }
}

/// A path that is given and not empty.
fn path_of(text: Option<String>) -> Option<PathBuf> {
    text.filter(|text| !text.is_empty()).map(PathBuf::from)
}
