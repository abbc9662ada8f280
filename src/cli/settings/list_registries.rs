//! What lists say about the registries that they are read from: files of skopeo and image-syncer
//! have logins in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::args::RegistryArgs;
use super::super::error::CommandError;
use hod_list::{ListLogin, RegistrySettings};
use hod_oci::Registry;
use hod_registry::Credentials;
use hod_report::{Event, Reporter};

/// Adds the logins, each for its registry or a part of it, as if the list were a file of
/// credentials. A note names each, but not that of `given`, whose login the user gave.
pub(super) fn add_logins(
    credentials: &mut Credentials,
    settings: &[RegistrySettings],
    given: Option<&Registry>,
    reporter: &dyn Reporter,
) -> Result<(), CommandError> {
    for settings in settings.iter().filter(|one| one.login.is_some()) {
        let key = place(settings);
        if given != Some(&settings.registry) {
            let text = format!("the login for `{key}` is from {}", settings.origin);
            reporter.event(Event::Note { text: &text });
        }
    }
    add_given(credentials, settings)
}

/// Adds the logins without a note.
pub(super) fn add_given(
    credentials: &mut Credentials,
    settings: &[RegistrySettings],
) -> Result<(), CommandError> {
    let mut files: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for settings in settings {
        let Some(login) = &settings.login else {
            continue;
        };
        let entry = match login {
            ListLogin::Password { username, password } => {
                json!({"username": username, "password": password})
            }
            ListLogin::IdentityToken(token) => json!({"identitytoken": token}),
        };
        let key = place(settings);
        // The first counts, as in `RegistrySettings::of`.
        let file = files.entry(&settings.origin.file).or_default();
        file.entry(key).or_insert(entry);
    }
    for (file, auths) in files {
        let bytes = json!({ "auths": auths }).to_string();
        let added = credentials.add_file(file, bytes.as_bytes());
        added.map_err(|source| CommandError::Credentials {
            path: file.into(),
            source,
        })?;
    }
    Ok(())
}

/// Warns of what lists say about certificates: only the user decides whom to trust.
pub(super) fn warn_of_trust(
    args: &RegistryArgs,
    settings: &[RegistrySettings],
    reporter: &dyn Reporter,
) {
    for settings in settings {
        let RegistrySettings {
            registry, origin, ..
        } = settings;
        // On this machine, plain HTTP is used anyway.
        let is_trusted = registry.is_loopback()
            || args.insecure.contains(registry)
            || args.plain_http.contains(registry);
        let mut texts = Vec::new();
        if settings.tls_verify == Some(false) && !is_trusted {
            texts.push(format!(
                "{origin}: the certificate of `{registry}` is verified nevertheless; to skip this, \
                 pass `--insecure {registry}` or `--plain-http {registry}`"
            ));
        }
        if settings.cert_dir.is_some() && args.ca.is_empty() {
            texts.push(format!(
                "{origin}: `cert-dir` is not used; pass `--ca FILE`"
            ));
        }
        for text in &texts {
            reporter.event(Event::Warning { text });
        }
    }
}

/// The registries whose certificates are not verified, and that may have none, as the user's file says.
pub(super) fn insecure(settings: &[RegistrySettings], reporter: &dyn Reporter) -> Vec<Registry> {
    let mut registries: Vec<Registry> = Vec::new();
    for settings in settings {
        let registry = &settings.registry;
        if settings.tls_verify != Some(false) || registries.contains(registry) {
            continue;
        }
        registries.push(registry.clone());
        if !registry.is_loopback() {
            let text = format!(
                "{}: the certificate of `{registry}` is not verified: anyone on the network path can \
                 read the login and change the data",
                settings.origin
            );
            reporter.event(Event::Warning { text: &text });
        }
    }
    registries
}

fn place(settings: &RegistrySettings) -> String {
    match &settings.namespace {
        Some(namespace) => format!("{}/{namespace}", settings.registry),
        None => settings.registry.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use hod_report::Recorder;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        registry: RegistryArgs,
    }

    #[test]
    fn a_list_does_not_decide_whom_to_trust() {
        let said = |flags: &[&str], text: &str| {
            let flags = Flags::parse_from([&["hod"], flags].concat());
            let source = hod_list::ListSource { name: "f", text };
            let list = hod_list::parse(&[source], &[]).unwrap();
            let recorder = Recorder::default();
            warn_of_trust(&flags.registry, &list.registries, &recorder);
            recorder.lines().join("\n")
        };
        let insecure = "h.io:\n  tls-verify: false\n  images: {a: [1]}\n";
        assert!(said(&[], insecure).contains("f:1: the certificate of `h.io` is verified"));
        assert_eq!(said(&["--insecure", "h.io"], insecure), "");
        assert_eq!(said(&["--plain-http", "h.io"], insecure), "");
        assert_eq!(said(&[], &insecure.replace("h.io", "localhost:5000")), "");
        assert_eq!(said(&[], &insecure.replace("false", "true")), "");
        let certificates = "h.io:\n  cert-dir: /certs\n  images: {a: [1]}\n";
        assert!(said(&[], certificates).contains("`cert-dir` is not used"));
    }
}
