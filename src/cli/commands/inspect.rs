//! `hod inspect`

mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::input::{self, Reading};
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::InspectArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::{Align, ResultFormat, Table, format_len};
use hod_ops::{
    ConfigFacts, Input, InspectOptions, InspectOutcome, ManifestFacts, PlatformOptions,
    ReferrerFacts,
};
use hod_transfer::{ChosenImage, Endpoint};

/// Width of the column of names.
const NAME_WIDTH: usize = 14;

pub(super) async fn run(session: &Session<'_>, args: &InspectArgs) -> Result<Exit, CommandError> {
    let template = args.format.as_deref().map(template::parse).transpose()?;
    let cx = session.remote(settings::retry_policy(&args.look.registry));
    let options = options(session, args).await?;
    let printer = session.printer;
    if args.raw || args.config {
        let bytes = if args.raw {
            hod_ops::inspect_raw(&cx, &options).await?
        } else {
            hod_ops::inspect_config(&cx, &options).await?
        };
        session.progress.finish();
        printer.raw(&bytes)?;
        return Ok(Exit::Done);
    }
    let found = hod_ops::inspect(&cx, &options).await?;
    session.progress.finish();
    if let Some(template) = template {
        printer.block(template::execute(&template, &found)?.trim_end_matches('\n'))?;
        return Ok(Exit::Done);
    }
    match printer.format() {
        ResultFormat::Json => session.document(&found)?,
        ResultFormat::Text => printer.block(text(&found).trim_end())?,
    }
    Ok(Exit::Done)
}

async fn options(
    session: &Session<'_>,
    args: &InspectArgs,
) -> Result<InspectOptions, CommandError> {
    let reading = Reading::looking(&args.look, PlatformOptions::default());
    let (word, chosen) = named(session, &args.source, args.image.as_ref())?;
    let mut look = reading.look(session, &word).await?;
    if let (Input::Local { stated, .. }, Some(chosen)) = (&mut look.input, chosen) {
        if stated.image.is_some() {
            return Err(CommandError::ImageTwice {
                word,
                image: chosen.to_string(),
            });
        }
        if !args.look.only.only.is_empty() {
            return Err(CommandError::OnlyOfRegistries);
        }
        stated.image = Some(chosen);
    }
    Ok(InspectOptions {
        look,
        platform: args.look.platforms.platform.clone(),
    })
}

/// The source, and the image of it if it is a file or directory. A repository of a registry has the
/// tag `latest`.
fn named(
    session: &Session<'_>,
    word: &Path,
    image: Option<&ChosenImage>,
) -> Result<(PathBuf, Option<ChosenImage>), CommandError> {
    let twice = |image: &ChosenImage| CommandError::ImageTwice {
        word: word.to_owned(),
        image: image.to_string(),
    };
    match (input::endpoint(word), image) {
        (Ok(Endpoint::Registry { registry, prefix }), image) => {
            let place = match &prefix {
                Some(prefix) => format!("{registry}/{prefix}"),
                None => registry.to_string(),
            };
            let name = match (image, &prefix) {
                (Some(image), _) => format!("{place}/{image}"),
                (None, Some(_)) => place,
                // Its images are listed, and are too many.
                (None, None) => return Ok((word.to_owned(), None)),
            };
            let is_tagged = name
                .rsplit('/')
                .next()
                .is_some_and(|last| last.contains([':', '@']));
            if is_tagged {
                return Ok((format!("docker://{name}").into(), None));
            }
            session
                .printer
                .note(&format!("`{name}` has no tag; using `latest`"));
            Ok((format!("docker://{name}:latest").into(), None))
        }
        (Ok(Endpoint::Image(_) | Endpoint::Tags(_)), Some(image)) => Err(twice(image)),
        (_, image) => Ok((word.to_owned(), image.cloned())),
    }
}

fn text(found: &InspectOutcome) -> String {
    let mut text = format!("{}\n", found.image);
    pair(&mut text, "digest", found.digest.as_str());
    pair(&mut text, "media type", &found.media_type);
    maybe(&mut text, "artifact type", found.artifact_type.as_deref());
    let index = found.index_digest.as_ref().map(hod_oci::Digest::as_str);
    maybe(&mut text, "index", index);
    let subject = found.subject.as_ref().map(hod_oci::Digest::as_str);
    maybe(&mut text, "subject", subject);
    let one = match found.manifests.as_slice() {
        [one] if one.digest == found.digest => Some(one),
        _ => None,
    };
    maybe(
        &mut text,
        "platform",
        one.and_then(|one| one.platform.as_deref()),
    );
    let configs = || found.manifests.iter().filter_map(|one| one.config.as_ref());
    pair(
        &mut text,
        "created",
        &joined(configs().map(|config| &config.created)),
    );
    pair(
        &mut text,
        "author",
        &joined(configs().map(|config| &config.author)),
    );
    pair(&mut text, "size", &format_len(found.total_bytes));
    map(&mut text, "annotations", &found.annotations);
    match one {
        Some(one) => {
            if let Some(config) = &one.config {
                text.push_str(&config_text(config));
            }
            text.push_str(&layers(one));
        }
        None => text.push_str(&platforms(&found.manifests)),
    }
    text.push_str(&referrers(&found.referrers));
    text
}

/// The values that there are, each once.
fn joined<'a>(values: impl Iterator<Item = &'a Option<String>>) -> String {
    let values: BTreeSet<&str> = values.filter_map(Option::as_deref).collect();
    match values.len() {
        0..=2 => Vec::from_iter(values).join(", "),
        _ => match (values.first(), values.last()) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => String::new(),
        },
    }
}

/// A name and a value on one line, unless the value is empty.
fn pair(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let value = value.replace('\n', " ");
        let _ = writeln!(text, "  {name:<NAME_WIDTH$}{value}");
    }
}

fn maybe(text: &mut String, name: &str, value: Option<&str>) {
    pair(text, name, value.unwrap_or_default());
}

/// A line for each value, with the name before the first.
fn list<'a>(text: &mut String, name: &str, values: impl IntoIterator<Item = &'a String>) {
    let mut name = name;
    for value in values {
        pair(text, std::mem::take(&mut name), value);
    }
}

fn map(text: &mut String, name: &str, entries: &BTreeMap<String, String>) {
    let entries = entries.iter().map(|(key, value)| format!("{key}={value}"));
    list(text, name, &entries.collect::<Vec<String>>());
}

fn config_text(config: &ConfigFacts) -> String {
    let words = |words: &Option<Vec<String>>| {
        let words = words.as_ref().filter(|words| !words.is_empty());
        words.map(|words| format!("{words:?}"))
    };
    let mut text = String::new();
    maybe(
        &mut text,
        "entrypoint",
        words(&config.entrypoint).as_deref(),
    );
    maybe(&mut text, "cmd", words(&config.cmd).as_deref());
    maybe(&mut text, "user", config.user.as_deref());
    maybe(&mut text, "working dir", config.working_dir.as_deref());
    list(&mut text, "env", &config.env);
    pair(&mut text, "ports", &config.exposed_ports.join(", "));
    pair(&mut text, "volumes", &config.volumes.join(", "));
    maybe(&mut text, "stop signal", config.stop_signal.as_deref());
    map(&mut text, "labels", &config.labels);
    text
}

fn platforms(manifests: &[ManifestFacts]) -> String {
    let mut table = Table::new([
        ("PLATFORM", Align::Left),
        ("DIGEST", Align::Left),
        ("SIZE", Align::Right),
    ]);
    for one in manifests {
        let what = match &one.platform {
            Some(platform) => platform.clone(),
            None if one.is_attestation => "attestation".to_owned(),
            None => one
                .artifact_type
                .clone()
                .unwrap_or_else(|| one.media_type.clone()),
        };
        let size = one.total_bytes.map_or("not present".to_owned(), format_len);
        table.row([what, one.digest.to_string(), size]);
    }
    after_blank(&table)
}

fn layers(one: &ManifestFacts) -> String {
    let mut table = Table::new([
        ("LAYER", Align::Left),
        ("MEDIA TYPE", Align::Left),
        ("SIZE", Align::Right),
    ]);
    for layer in &one.layers {
        let size = format_len(layer.bytes);
        table.row([layer.digest.to_string(), layer.media_type.clone(), size]);
    }
    after_blank(&table)
}

fn referrers(referrers: &[ReferrerFacts]) -> String {
    let mut table = Table::new([
        ("REFERRER", Align::Left),
        ("DIGEST", Align::Left),
        ("OF", Align::Left),
        ("SIZE", Align::Right),
    ]);
    for referrer in referrers {
        let what = match &referrer.tag {
            Some(tag) => tag.rsplit_once('.').map_or("cosign", |(_, kind)| kind),
            None => referrer.artifact_type.as_deref().unwrap_or_default(),
        };
        table.row([
            what.to_owned(),
            referrer.digest.to_string(),
            referrer.subject.short().to_owned(),
            format_len(referrer.bytes),
        ]);
    }
    after_blank(&table)
}

/// A table after an empty line, or nothing.
fn after_blank<const N: usize>(table: &Table<N>) -> String {
    if table.is_empty() {
        String::new()
    } else {
        format!("\n{table}\n")
    }
}
