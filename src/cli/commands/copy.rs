//! `hod copy`

use std::path::{Path, PathBuf};

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, locked, pull, push, settings};
use crate::cli::args::{CopyArgs, OnlyArgs, PreflightArgs, RegistryArgs, ResultsArgs, UploadArgs};
use crate::cli::results::Results;
use crate::cli::settings::{ClientFor, Reach, Side, UseConf};
use crate::fsx;
use crate::list::{ImageList, ListSource};
use crate::oci::{Reference, ReferrerMode, Registry, RepositoryName};
use crate::ops::{
    self, CopyFrom, CopyOptions, Effect, PlatformOptions, Preflight, Recheck, Registries,
    RegistryTarget, SourceCheck,
};
use crate::registry::{Client, NewProject, Purpose, RegistriesConf, RetryPolicy};
use crate::transfer::{Endpoint, OnFailure};

pub(super) async fn run(session: &Session<'_>, args: &CopyArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "copy",
        done: "copied",
        bytes: "transferred",
        effect: Effect::of(args.dry_run),
    };
    let read = (&args.registry, Path::new(&args.source), &args.only);
    let results = begin(wording, read, &args.results)?;
    let retry = settings::retry_policy(&args.registry);
    carry(session, (wording, retry), results, options(session, args)).await
}

/// Begins the files of a run that reads these.
pub(super) fn begin(
    wording: Wording,
    (registry, source, only): (&RegistryArgs, &Path, &OnlyArgs),
    results: &ResultsArgs,
) -> Result<Results, CommandError> {
    let ca = registry.ca.iter().map(PathBuf::as_path);
    let read = ca.chain(registry.authfile.as_deref());
    let files = settings::RunFiles {
        inputs: read.chain([source]).collect(),
        lists: &only.only,
        outputs: Vec::new(),
    };
    Results::begin(wording.verb, results, &files)
}

/// Copies what `options` says, and reports it.
pub(super) async fn carry(
    session: &Session<'_>,
    (wording, retry): (Wording, RetryPolicy),
    results: Results,
    options: impl Future<Output = Result<CopyOptions, CommandError>>,
) -> Result<Exit, CommandError> {
    let options = match session.interruptible(options).await {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            return outcome::finish(session, wording, Err(error), asked).await;
        }
    };
    let cx = session.remote(retry);
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
        Endpoint::Local { path, .. } | Endpoint::Path(path) => {
            let how = (args.platforms.options(), args.referrers.mode());
            local(session, (path, &args.only), how).await?
        }
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
        on_failure: OnFailure::of(args.fail_fast),
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
    let read = [&args.only.only[..], &[PathBuf::from(&args.source)]].concat();
    let filling = Filling {
        read: &read,
        registry: &args.registry,
        upload: &args.upload,
        preflight: &args.preflight,
        recheck: Recheck::of(args.recheck),
    };
    filling.targets(session, named).await
}

/// How registries are filled.
pub(super) struct Filling<'a> {
    /// The source and the lists, of which one may be stdin.
    pub(super) read: &'a [PathBuf],
    pub(super) registry: &'a RegistryArgs,
    pub(super) upload: &'a UploadArgs,
    pub(super) preflight: &'a PreflightArgs,
    pub(super) recheck: Recheck,
}

impl Filling<'_> {
    /// The registries as targets, with one client for all of them.
    pub(super) async fn targets(
        &self,
        session: &Session<'_>,
        named: Vec<(Registry, Option<RepositoryName>)>,
    ) -> Result<Vec<RegistryTarget>, CommandError> {
        let registries = named.iter().map(|(registry, _)| registry.clone());
        let mut registries: Vec<Registry> = registries.collect();
        registries.sort();
        registries.dedup();
        let purpose = ClientFor {
            reach: Reach {
                side: Side::Target,
                registries,
                lists: self.read,
            },
            registries_conf: RegistriesConf::default(),
            purpose: Purpose::Push,
        };
        let client = settings::client(self.registry, session.jobs, &session.reporter(), purpose)
            .await?
            .with_uploads(settings::uploads(self.upload, &session.drain));
        let targets = named.into_iter().map(|(registry, prefix)| RegistryTarget {
            registry,
            prefix,
            client: client.clone(),
            preflight: preflight(self.preflight),
            recheck: self.recheck,
        });
        Ok(targets.collect())
    }
}

fn preflight(args: &PreflightArgs) -> Preflight {
    if args.no_preflight {
        return Preflight::Skip;
    }
    let create = args.create_projects.map(|access| NewProject {
        access: access.into(),
        storage_limit: args.project_quota.map(|quota| quota.0),
    });
    Preflight::Run { create }
}

/// A local source, or those of its images that lists name.
pub(super) async fn local(
    session: &Session<'_>,
    (path, only): (PathBuf, &OnlyArgs),
    (platforms, referrers): (PlatformOptions, ReferrerMode),
) -> Result<CopyFrom, CommandError> {
    settings::require_one_stdin(&path, only)?;
    let list = settings::only_list(only, session.reporter().as_ref()).await?;
    if let Some(list) = &list {
        locked::require_agreement(list, &locked::Flags::local(&platforms, referrers))?;
    }
    Ok(CopyFrom::Local {
        path,
        list,
        platforms,
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
