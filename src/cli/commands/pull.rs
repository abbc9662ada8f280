//! `hod pull`

use std::path::PathBuf;

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, locked, settings};
use crate::cli::args::PullArgs;
use crate::cli::results::Results;
use crate::cli::settings::{ClientFor, Reach, Side, UseConf};
use crate::list::{Destination, ImageList};
use crate::oci::{Platform, PlatformChoice, Registry, RepositoryName};
use crate::ops::{self, Effect, PullOptions, SourceCheck};
use crate::registry::{Purpose, RegistriesConf};
use crate::report::Event;
use crate::transfer::OnFailure;

pub(super) async fn run(session: &Session<'_>, args: &PullArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "pull",
        done: "pulled",
        bytes: "transferred",
        effect: Effect::of(args.dry_run),
    };
    let ca = args.registry.ca.iter().map(PathBuf::as_path);
    let files = settings::RunFiles {
        inputs: ca.chain(args.registry.authfile.as_deref()).collect(),
        lists: &args.list.lists,
        outputs: args.lock.as_deref().into_iter().collect(),
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let options = match session.interruptible(options(session, args)).await {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            return outcome::finish(session, wording, Err(error), asked).await;
        }
    };
    let cx = session.remote(settings::retry_policy(&args.registry));
    let found = session.interruptible(ops::pull(&cx, &options)).await;
    let asked = Asked {
        results,
        list: Some(&options.list),
        source: None,
        target: None,
    };
    outcome::finish(session, wording, found, asked).await
}

pub(super) fn named_source(text: &str) -> Result<(Registry, Option<RepositoryName>), CommandError> {
    super::push::target(text).map_err(|source| CommandError::Target {
        what: "`--source`",
        text: text.to_owned(),
        source,
    })
}

async fn options(session: &Session<'_>, args: &PullArgs) -> Result<PullOptions, CommandError> {
    let named = args.source.as_deref();
    let named = named.map(named_source).transpose()?;
    let is_named = named.is_some();
    let (source, prefix) = named.unwrap_or_else(|| (Registry::docker_hub(), None));
    if let Some(lock) = &args.lock {
        settings::require_text_output(lock)?;
        settings::require_others(&[lock.as_path()], &args.list.lists)?;
        locked::require_nameable(&source)?;
    }
    let mut list = settings::image_list(&args.list, &source, session.reporter().as_ref()).await?;
    let flags = locked::Flags {
        platforms: args.platforms.platform.as_ref(),
        index: Some(args.platforms.index_mode()),
        referrers: args.referrers.mode(),
        foreign_layers: args.foreign_layers.mode(),
        source: is_named.then_some(&source),
    };
    locked::require_agreement(&list, &flags)?;
    if let Some(prefix) = &prefix {
        put_below(&mut list, (&source, prefix))?;
    }
    let conf = settings::registries_conf(UseConf::unless(args.no_registries_conf))?;
    if !is_named {
        note_aliases(session, &mut list, &conf);
    }
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Source,
            registries: if is_named {
                vec![source.clone()]
            } else {
                registries(&list, &source)
            },
            lists: &args.list.lists,
        },
        registries_conf: conf,
        purpose: Purpose::Pull,
    };
    let here = || PlatformChoice::These(vec![Platform::new("linux", std::env::consts::ARCH)]);
    Ok(PullOptions {
        list,
        store: args.store.clone(),
        client: settings::client(&args.registry, session.jobs, &session.reporter(), purpose)
            .await?,
        source,
        platforms: args.platforms.platform.clone().unwrap_or_else(here),
        index_mode: args.platforms.index_mode(),
        mismatch: args.platforms.mismatch(),
        referrers: args.referrers.mode(),
        foreign_layers: args.foreign_layers.mode(),
        lock: args.lock.clone(),
        effect: Effect::of(args.dry_run),
        on_failure: OnFailure::of(args.fail_fast),
        preflight: if args.preflight.no_preflight {
            SourceCheck::Skip
        } else {
            SourceCheck::Run
        },
    })
}

/// Has the names without a registry pulled from below a prefix, where a push with that prefix puts
/// them; in the store they keep the names that the list gives them.
pub(super) fn put_below(
    list: &mut ImageList,
    (source, prefix): (&Registry, &RepositoryName),
) -> Result<(), CommandError> {
    for entry in &mut list.entries {
        if entry.reference.registry.is_some() {
            continue;
        }
        let stored = entry.stored();
        let name = entry.reference.repository.clone().with_library();
        let below = name.prefixed(prefix.as_str());
        entry.reference.repository = below.map_err(|source| CommandError::RegistryName {
            text: format!("{prefix}/{name}"),
            source,
        })?;
        entry.reference.registry = Some(source.clone());
        entry.destination.get_or_insert(Destination {
            repository: stored.repository,
            tag: stored.tag,
        });
    }
    Ok(())
}

/// The registries that a list names, each once.
pub(super) fn registries(list: &ImageList, source: &Registry) -> Vec<Registry> {
    let named = list.entries.iter().map(|entry| &entry.reference.registry);
    let mut registries: Vec<Registry> = named
        .map(|registry| registry.clone().unwrap_or_else(|| source.clone()))
        .collect();
    registries.sort();
    registries.dedup();
    registries
}

/// Replaces short names by the targets of the user's aliases; the images keep the names in the
/// list. Returns a sentence for each replacement.
pub(super) fn note_aliases(session: &Session<'_>, list: &mut ImageList, conf: &RegistriesConf) {
    for text in &resolve_aliases(list, conf) {
        session.reporter().event(Event::Note { text });
    }
}

fn resolve_aliases(list: &mut ImageList, conf: &RegistriesConf) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in &mut list.entries {
        if entry.reference.registry.is_some() {
            continue;
        }
        let Some((target, file)) = conf.alias(&entry.reference.repository) else {
            continue;
        };
        let stored = entry.stored();
        let text = format!(
            "`{}` is `{target}`, by its alias in `{file}`",
            entry.reference.repository
        );
        entry.destination.get_or_insert(Destination {
            repository: stored.repository,
            tag: stored.tag,
        });
        entry.reference.registry.clone_from(&target.registry);
        entry.reference.repository = target.repository.clone();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
