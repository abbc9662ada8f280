//! The commands: from the values of flags to what they run.

mod flags;
mod values;

pub(crate) use self::values::Values;
use crate::copy::{CopyFlags, Copying};
use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::inspect::{self, InspectFlags};
use crate::log::Log;
use crate::name::ImageName;
use crate::screen::Screen;
use crate::source::Opening;
use crate::sync::{Sources, SyncFlags, Syncing};
use crate::trust::{Signing, Trust};
use crate::{delete, layers, list_tags, login, manifest_digest, signing_verbs};

pub(crate) use self::flags::root;

/// What all commands have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) log: &'a Log,
    pub(crate) values: Values<'a>,
}

impl Command<'_> {
    /// Runs the verb `name` with its arguments.
    pub(crate) async fn run(&self, name: &str, args: &[String]) -> Done {
        match name {
            "copy" => self.copy(args).await,
            "sync" => self.sync(args).await,
            "inspect" => self.inspect(args).await,
            "list-tags" => self.list_tags(args).await,
            "delete" => self.delete(args).await,
            "manifest-digest" => match args {
                [path] => manifest_digest::run(path).await,
                _ => usage_line("skopeo manifest-digest manifest"),
            },
            "standalone-sign" => {
                let (args, output) = (args.to_vec(), self.values.text("output"));
                let passphrase = self.values.path("passphrase-file");
                hod_bridge::run(move || signing_verbs::sign(&args, &output, passphrase.as_deref()))
                    .await
            }
            "standalone-verify" => {
                let (args, keys) = (args.to_vec(), self.values.given("public-key-file"));
                let keys = keys.filter(|path| !path.is_empty());
                hod_bridge::run(move || signing_verbs::verify(&args, keys.as_deref())).await
            }
            "generate-sigstore-key" => signing_verbs::generate(
                self.host,
                args,
                &self.values.text("output-prefix"),
                self.values.path("passphrase-file").as_deref(),
            ),
            "layers" => self.layers(args).await,
            "untrusted-signature-dump-without-verification" => {
                let args = args.to_vec();
                hod_bridge::run(move || signing_verbs::dump(&args)).await
            }
            "login" => login::login(self.host, &self.values.login(), args).await,
            "logout" => login::logout(self.host, &self.values.login(), args).await,
            other => Err(Failure::new(format!(
                "{other} is not available in this build"
            ))),
        }
    }

    fn warn_of_tls_verify(&self) {
        if self.values.optional_bool("tls-verify").is_some() {
            self.log.warn(
                "'--tls-verify' is deprecated, instead use: --src-tls-verify, --dest-tls-verify",
            );
        }
    }

    async fn copy(&self, args: &[String]) -> Done {
        let [from, to] = args else {
            return Err(Failure::usage("Exactly two arguments expected"));
        };
        self.warn_of_tls_verify();
        let trust = Trust::load(self.host, &self.values.trust())?;
        let from = parsed(from, "source").await?;
        let to = parsed(to, "destination").await?;
        let flags = self.values.copy()?;
        flags.source.check()?;
        flags.dest.check()?;
        flags.compression.check()?;
        self.warn_of_dir_flags(&flags, to.transport());
        let screen = Screen {
            is_quiet: self.values.bool("quiet"),
        };
        let signing = Signing::load(self.host, &flags.signing)?;
        let copying = Copying {
            host: self.host,
            screen: &screen,
            flags: &flags,
            trust: &trust,
            signing: &signing,
            skips_present: false,
        };
        let digest = self.with_retries(|| copying.run(&from, &to)).await?;
        if let Some(path) = self.values.path("digestfile") {
            let shown = path.display().to_string();
            let text = digest.to_string();
            let written = hod_bridge::run(move || crate::wording::write_file(&path, &text)).await;
            written.map_err(|error| {
                let shown = hod_gotext::quote(&shown);
                error.during(format!("Failed to write digest to file {shown}"))
            })?;
        }
        Ok(())
    }

    /// Flags that only `dir:` has a meaning for.
    fn warn_of_dir_flags(&self, flags: &CopyFlags, transport: &str) {
        if transport == "dir" {
            return;
        }
        let given = [
            (flags.compression.compress, "compress"),
            (flags.compression.decompress, "decompress"),
        ];
        for (_, flag) in given.into_iter().filter(|(is_given, _)| *is_given) {
            self.log.warn(&format!(
                "--dest-{flag} can only be used if the destination transport is 'dir'"
            ));
        }
    }

    async fn sync(&self, args: &[String]) -> Done {
        let [source, destination] = args else {
            return Err(Failure::usage("Exactly two arguments expected"));
        };
        self.warn_of_tls_verify();
        let trust = Trust::load(self.host, &self.values.trust())?;
        let flags = SyncFlags {
            src: self.values.text("src"),
            dest: self.values.text("dest"),
            scoped: self.values.bool("scoped"),
            append_suffix: self.values.text("append-suffix"),
            digestfile: self.values.path("digestfile"),
            dry_run: self.values.bool("dry-run"),
            keep_going: self.values.bool("keep-going"),
            copy: self.values.copy()?,
        };
        let signing = Signing::load(self.host, &flags.copy.signing)?;
        let syncing = Syncing {
            host: self.host,
            log: self.log,
            screen: &Screen { is_quiet: false },
            flags: &flags,
            trust: &trust,
            signing: &signing,
            sources: &Sources::default(),
        };
        flags.copy.source.check()?;
        flags.copy.dest.check()?;
        self.with_retries(|| syncing.run(source, destination)).await
    }

    async fn inspect(&self, args: &[String]) -> Done {
        let [name] = args else {
            return Err(Failure::new("Exactly one argument expected"));
        };
        let flags = InspectFlags {
            raw: self.values.bool("raw"),
            config: self.values.bool("config"),
            format: self
                .values
                .given("format")
                .filter(|format| !format.is_empty()),
            no_tags: self.values.bool("no-tags"),
            platform: self.values.platform(),
            manifest_digest: self
                .values
                .given("manifest-digest")
                .filter(|algorithm| !algorithm.is_empty()),
        };
        let registry = self.values.registry("");
        let shared = self.values.path("shared-blob-dir");
        let (tmpdir, daemon) = (self.values.path("tmpdir"), self.values.given("daemon-host"));
        let opening = Opening {
            host: self.host,
            flags: &registry,
            shared_blobs: shared.as_deref(),
            tmpdir: tmpdir.as_deref(),
            daemon_host: daemon.as_deref(),
        };
        self.with_retries(|| inspect::run(self.log, &opening, &flags, name))
            .await
    }

    async fn layers(&self, args: &[String]) -> Done {
        Screen::complain("DEPRECATED: skopeo layers is deprecated in favor of skopeo copy");
        let [name, layers @ ..] = args else {
            return Err(Failure::new("Usage: layers imageReference [layer...]"));
        };
        let (registry, platform) = (self.values.registry(""), self.values.platform());
        let shared = self.values.path("shared-blob-dir");
        let (tmpdir, daemon) = (self.values.path("tmpdir"), self.values.given("daemon-host"));
        let opening = Opening {
            host: self.host,
            flags: &registry,
            shared_blobs: shared.as_deref(),
            tmpdir: tmpdir.as_deref(),
            daemon_host: daemon.as_deref(),
        };
        registry.check()?;
        self.with_retries(|| layers::run(&opening, &platform, name, layers))
            .await
    }

    async fn list_tags(&self, args: &[String]) -> Done {
        let [name] = args else {
            return Err(Failure::usage("Exactly one non-option argument expected"));
        };
        let registry = self.values.registry("");
        let tmpdir = self.values.path("tmpdir");
        let opening = Opening {
            host: self.host,
            flags: &registry,
            shared_blobs: None,
            tmpdir: tmpdir.as_deref(),
            daemon_host: None,
        };
        self.with_retries(|| list_tags::run(&opening, name)).await
    }

    async fn delete(&self, args: &[String]) -> Done {
        let [name] = args else {
            return usage_line("delete imageReference");
        };
        let name = parsed(name, "source").await?;
        let registry = self.values.registry("");
        registry.check()?;
        let shared = self.values.path("shared-blob-dir");
        let opening = Opening {
            host: self.host,
            flags: &registry,
            shared_blobs: shared.as_deref(),
            tmpdir: None,
            daemon_host: None,
        };
        let trust = self.values.trust();
        self.with_retries(|| delete::run(&opening, &trust, &name))
            .await
    }

    /// Runs `attempt` again after failures that may pass, as often as the flag says.
    async fn with_retries<T>(&self, attempt: impl AsyncFn() -> Done<T>) -> Done<T> {
        let n_max = self.values.number("retry-times").unwrap_or(0);
        let fixed = self
            .values
            .duration("retry-delay")
            .filter(|delay| !delay.is_zero());
        let mut n = 0;
        loop {
            let failure = match attempt().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if n >= n_max || !failure.is_transient {
                return Err(failure);
            }
            let delay = fixed.unwrap_or_else(|| {
                std::time::Duration::from_secs(1 << u32::try_from(n).unwrap_or(0).min(16))
            });
            n += 1;
            self.log.warn(&format!(
                "Failed, retrying in {}s ... ({n}/{n_max}). Error: {failure}",
                delay.as_secs_f64()
            ));
            tokio::time::sleep(delay).await;
        }
    }
}

fn usage_line<T>(line: &str) -> Done<T> {
    Err(Failure::new(format!("Usage: {line}")))
}

async fn parsed(text: &str, role: &str) -> Done<ImageName> {
    let owned = text.to_owned();
    let parsed = hod_bridge::run(move || ImageName::parse(&owned)).await;
    parsed.map_err(|error| Failure::new(format!("Invalid {role} name {text}: {error}")))
}
