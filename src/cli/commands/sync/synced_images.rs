//! The list of transferred images, as image-syncer writes it: each source with its destinations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::args::ImagesFormat;
use hod_oci::{Reference, Registry};
use hod_ops::{BatchOutcome, ImageReport, ImageStatus, TargetName};

/// Renders the images that were transferred; `target` is the only registry, if there is one.
pub(super) fn render(
    outcome: &BatchOutcome,
    target: Option<&Registry>,
    format: ImagesFormat,
) -> String {
    let done = outcome
        .images
        .iter()
        .filter(|image| matches!(image.status, ImageStatus::Done));
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for image in done {
        let destination = destination(image, target);
        let destinations = images.entry(source(&image.image)).or_default();
        if !destinations.contains(&destination) {
            destinations.push(destination);
        }
    }
    match format {
        // Go's encoder escapes these; texts of references have none of them.
        ImagesFormat::Json => {
            let json = serde_json::to_string(&images).expect("a map of texts is JSON");
            format!("{json}\n")
        }
        ImagesFormat::Yaml if images.is_empty() => "{}\n".to_owned(),
        ImagesFormat::Yaml => {
            let mut text = String::new();
            for (source, destinations) in images {
                writeln!(text, "{source}:").expect("a string takes everything");
                for destination in destinations {
                    writeln!(text, "- {destination}").expect("a string takes everything");
                }
            }
            text
        }
    }
}

/// The whole name of an image.
fn source(written: &str) -> String {
    let Ok(mut reference) = written.parse::<Reference>() else {
        return written.to_owned();
    };
    let registry = reference.registry.get_or_insert_with(Registry::docker_hub);
    if registry.is_docker_hub() {
        reference.repository = reference.repository.with_library();
    }
    if reference.digest.is_some() {
        reference.tag = None;
    }
    reference.to_string()
}

fn destination(image: &ImageReport, target: Option<&Registry>) -> String {
    let path = &image.destination;
    let has_tag = path
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'));
    let digest = match &image.digest {
        Some(digest) if !has_tag => format!("@{digest}"),
        _ => String::new(),
    };
    match (&image.at, target) {
        (Some(TargetName::Registry(registry)), _) | (None, Some(registry)) => {
            format!("{registry}/{path}{digest}")
        }
        (Some(TargetName::Path(at)), _) => format!("{}/{path}{digest}", at.display()),
        (None, None) => format!("{path}{digest}"),
    }
}
