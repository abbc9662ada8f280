//! `hod push`

use std::path::PathBuf;

use std::path::Path;

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, locked, settings};
use crate::cli::args::{PreflightArgs, PushArgs};
use crate::cli::results::Results;
use crate::cli::settings::{ClientFor, Reach, Side};
use crate::fsx;
use crate::oci::{ReferenceError, Registry, RepositoryName};
use crate::ops::{self, CopyFrom, CopyOptions, Effect, Preflight, Recheck, RegistryTarget};
use crate::registry::{NewProject, Purpose, RegistriesConf};
use crate::transfer::OnFailure;

pub(super) async fn run(session: &Session<'_>, args: &PushArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "push",
        done: "pushed",
        bytes: "transferred",
        effect: Effect::of(args.dry_run),
    };
    let ca = args.registry.ca.iter().map(PathBuf::as_path);
    let read = ca.chain(args.registry.authfile.as_deref());
    let files = settings::RunFiles {
        inputs: read.chain([args.source.as_path()]).collect(),
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
        source: Some(&args.source),
        target: options.targets.first().map(|target| &target.registry),
    };
    outcome::finish(session, wording, found, asked).await
}

async fn options(session: &Session<'_>, args: &PushArgs) -> Result<CopyOptions, CommandError> {
    require_source_first(args)?;
    let (registry, prefix) = target(&args.target).map_err(|source| CommandError::Target {
        what: "push target",
        text: args.target.clone(),
        source,
    })?;
    settings::require_one_stdin(&args.source, &args.only)?;
    let read = [&args.only.only[..], std::slice::from_ref(&args.source)].concat();
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Target,
            registries: vec![registry.clone()],
            lists: &read,
        },
        registries_conf: RegistriesConf::default(),
        purpose: Purpose::Push,
    };
    let client = settings::client(&args.registry, session.jobs, &session.reporter(), purpose)
        .await?
        .with_uploads(settings::uploads(&args.upload, &session.drain));
    let target = RegistryTarget {
        registry,
        prefix,
        client,
        preflight: preflight(&args.preflight),
        recheck: if args.recheck {
            Recheck::All
        } else {
            Recheck::Skip
        },
    };
    let (platforms, referrers) = (args.platforms.options(), args.referrers.mode());
    let list = settings::only_list(&args.only, session.reporter().as_ref()).await?;
    if let Some(list) = &list {
        locked::require_agreement(list, &locked::Flags::local(&platforms, referrers))?;
    }
    Ok(CopyOptions {
        from: CopyFrom::Local {
            path: args.source.clone(),
            list,
            platforms,
        },
        targets: vec![target],
        renames: settings::rename_rules(&args.rename, None),
        referrers,
        effect: Effect::of(args.dry_run),
        on_failure: if args.fail_fast {
            OnFailure::Stop
        } else {
            OnFailure::GoOn
        },
    })
}

/// Refuses a registry in the place of the source.
fn require_source_first(args: &PushArgs) -> Result<(), CommandError> {
    let is_there = |path: &Path| fsx::try_stat(path).is_ok_and(|stat| stat.is_some());
    let Some(text) = args.source.to_str() else {
        return Ok(());
    };
    if fsx::is_stdin(&args.source) || is_there(&args.source) || target(text).is_err() {
        return Ok(());
    }
    let host = text.split('/').next().unwrap_or_default();
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let is_swapped = is_there(Path::new(&args.target));
    if !is_swapped && !has_port {
        return Ok(());
    }
    Err(CommandError::RegistryAsSource {
        registry: text.to_owned(),
        source_path: is_swapped.then(|| args.target.clone()),
    })
}

pub(super) fn preflight(args: &PreflightArgs) -> Preflight {
    if args.no_preflight {
        return Preflight::Skip;
    }
    let create = args.create_projects.map(|access| NewProject {
        access: access.into(),
        storage_limit: args.project_quota.map(|quota| quota.0),
    });
    Preflight::Run { create }
}

pub(super) fn target(text: &str) -> Result<(Registry, Option<RepositoryName>), ReferenceError> {
    let text = text.trim_end_matches('/');
    match text.split_once('/') {
        Some((registry, prefix)) => Ok((registry.parse()?, Some(prefix.parse()?))),
        None => Ok((text.parse()?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn targets_are_a_registry_and_a_prefix() {
        #[track_caller]
        fn check(text: &str, expect: Option<(&str, &str)>) {
            let got = target(text).ok().map(|(registry, prefix)| {
                (
                    registry.to_string(),
                    prefix.map(|p| p.to_string()).unwrap_or_default(),
                )
            });
            let expect = expect.map(|(r, p)| (r.to_owned(), p.to_owned()));
            assert_eq!(got, expect, "{text}");
        }
        check("harbor.corp", Some(("harbor.corp", "")));
        check("harbor.corp:8443/", Some(("harbor.corp:8443", "")));
        check(
            "harbor.corp/offline/site-a",
            Some(("harbor.corp", "offline/site-a")),
        );
        check("https://harbor.corp", None);
        check("harbor.corp/Offline", None);
        check("", None);
    }
}
