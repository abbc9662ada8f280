//! `hod copy`

use std::path::{Path, PathBuf};

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, locked, pull, push, settings};
use crate::cli::args::CopyArgs;
use crate::cli::results::Results;
use crate::cli::settings::{ClientFor, Reach, Side, UseConf};
use crate::fsx;
use crate::list::{ImageList, ListSource};
use crate::oci::{Reference, Registry, RepositoryName};
use crate::ops::{
    self, CopyFrom, CopyOptions, Effect, Recheck, Registries, RegistryTarget, SourceCheck,
};
use crate::registry::{Client, Purpose, RegistriesConf};
use crate::transfer::{Endpoint, OnFailure};

pub(super) async fn run(session: &Session<'_>, args: &CopyArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "copy",
        done: "copied",
        bytes: "transferred",
        effect: Effect::of(args.dry_run),
    };
    let source = Path::new(&args.source);
    let ca = args.registry.ca.iter().map(PathBuf::as_path);
    let read = ca.chain(args.registry.authfile.as_deref());
    let files = settings::RunFiles {
        inputs: read.chain([source]).collect(),
        lists: &args.only.only,
        outputs: Vec::new(),
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
    let found = session.interruptible(ops::copy(&cx, &options)).await;
    let asked = Asked {
        results,
        list: options.from.list(),
        source: match &options.from {
            CopyFrom::Local { path, .. } => Some(path),
            CopyFrom::Registries(_) => None,
        },
        target: match options.targets.as_slice() {
            [single] => Some(&single.registry),
            _ => None,
        },
    };
    outcome::finish(session, wording, found, asked).await
}

async fn options(session: &Session<'_>, args: &CopyArgs) -> Result<CopyOptions, CommandError> {
    let targets = targets(session, args).await?;
    let exists = |path: &Path| fsx::try_stat(path).is_ok_and(|stat| stat.is_some());
    let from = match Endpoint::parse(&args.source, exists)? {
        Endpoint::Path(path) if settings::is_list(&path)? => {
            let lists = (&[path][..], &args.only.section[..]);
            registries(session, args, From::Lists(lists)).await?
        }
        Endpoint::Local { path, .. } | Endpoint::Path(path) => local(session, args, path).await?,
        Endpoint::Image(image) => registries(session, args, From::Image(image)).await?,
        Endpoint::Registry { registry, prefix } => {
            registries(session, args, From::Registry(registry, prefix)).await?
        }
    };
    Ok(CopyOptions {
        from,
        targets,
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        effect: Effect::of(args.dry_run),
        on_failure: if args.fail_fast {
            OnFailure::Stop
        } else {
            OnFailure::GoOn
        },
    })
}

/// The registries to fill, with one client for all of them.
async fn targets(
    session: &Session<'_>,
    args: &CopyArgs,
) -> Result<Vec<RegistryTarget>, CommandError> {
    let mut named: Vec<(Registry, Option<RepositoryName>)> = Vec::new();
    for text in &args.targets {
        let name = text.strip_prefix("docker://").unwrap_or(text);
        let target = push::target(name).map_err(|source| CommandError::Target {
            what: "target",
            text: text.clone(),
            source,
        })?;
        if named.contains(&target) {
            let target = text.clone();
            return Err(CommandError::TargetTwice { target });
        }
        named.push(target);
    }
    let mut registries: Vec<Registry> =
        named.iter().map(|(registry, _)| registry.clone()).collect();
    registries.sort();
    registries.dedup();
    let read = [&args.only.only[..], &[PathBuf::from(&args.source)]].concat();
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Target,
            registries,
            lists: &read,
        },
        registries_conf: RegistriesConf::default(),
        purpose: Purpose::Push,
    };
    let client = settings::client(&args.registry, session.jobs, &session.reporter(), purpose)
        .await?
        .with_uploads(settings::uploads(&args.upload, &session.drain));
    let targets = named.into_iter().map(|(registry, prefix)| RegistryTarget {
        registry,
        prefix,
        client: client.clone(),
        preflight: push::preflight(&args.preflight),
        recheck: if args.recheck {
            Recheck::All
        } else {
            Recheck::Skip
        },
    });
    Ok(targets.collect())
}

async fn local(
    session: &Session<'_>,
    args: &CopyArgs,
    path: PathBuf,
) -> Result<CopyFrom, CommandError> {
    settings::require_one_stdin(&path, &args.only)?;
    Ok(CopyFrom::Local {
        path,
        list: settings::only_list(&args.only, session.reporter().as_ref()).await?,
        platforms: args.platforms.options(),
    })
}

/// Which images of registries are copied.
enum From<'a> {
    Lists((&'a [PathBuf], &'a [String])),
    Image(Reference),
    Registry(Registry, Option<RepositoryName>),
}

async fn registries(
    session: &Session<'_>,
    args: &CopyArgs,
    from: From<'_>,
) -> Result<CopyFrom, CommandError> {
    if !args.only.only.is_empty() {
        return Err(CommandError::OnlyOfRegistries);
    }
    let named = args.names.registry.as_deref();
    let named = named.map(pull::named_source).transpose()?;
    let is_named = named.is_some();
    let (source, prefix) = named.unwrap_or_else(|| (Registry::docker_hub(), None));
    let conf = settings::registries_conf(UseConf::unless(args.names.no_registries_conf))?;
    let reporter = session.reporter();
    let mut list = match &from {
        From::Lists(lists) => settings::read_lists(*lists, &source, reporter.as_ref()).await?,
        From::Image(image) => one(image, &source)?,
        From::Registry(registry, prefix) => {
            let client = client(session, args, vec![registry.clone()], conf.clone()).await?;
            let list = ops::registry_list(&client, registry, prefix.as_ref());
            session.interruptible(list).await?
        }
    };
    if let Some(prefix) = &prefix {
        pull::put_below(&mut list, (&source, prefix))?;
    }
    if !is_named {
        pull::note_aliases(session, &mut list, &conf);
    }
    let reached = if is_named {
        vec![source.clone()]
    } else {
        pull::registries(&list, &source)
    };
    let client = client(session, args, reached, conf).await?;
    let platforms = args.platforms.options();
    let flags = locked::Flags {
        foreign_layers: args.foreign_layers.mode(),
        source: is_named.then_some(&source),
        ..locked::Flags::local(&platforms, args.referrers.mode())
    };
    locked::require_agreement(&list, &flags)?;
    Ok(CopyFrom::Registries(Box::new(Registries {
        list,
        client,
        source,
        platforms,
        foreign_layers: args.foreign_layers.mode(),
        preflight: if args.preflight.no_preflight {
            SourceCheck::Skip
        } else {
            SourceCheck::Run
        },
    })))
}

/// A client for the registries that are read; a login from stdin is for those that are written.
async fn client(
    session: &Session<'_>,
    args: &CopyArgs,
    registries: Vec<Registry>,
    conf: RegistriesConf,
) -> Result<Client, CommandError> {
    let mut own = args.registry.clone();
    own.creds_stdin = false;
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Source,
            registries,
            lists: &[],
        },
        registries_conf: conf,
        purpose: Purpose::Pull,
    };
    settings::client(&own, session.jobs, &session.reporter(), purpose).await
}

/// A list of one image.
fn one(image: &Reference, source: &Registry) -> Result<ImageList, CommandError> {
    let text = image.to_string();
    let list = ListSource {
        name: "the command line",
        text: &text,
    };
    Ok(crate::list::parse_from(source, &[list], &[])?)
}
