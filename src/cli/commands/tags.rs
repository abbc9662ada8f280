//! `hod tags`

use super::input;
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::TagsArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::{ClientFor, ListInputs, Reach, Side, UseConf};
use crate::cli::ui::ResultFormat;
use hod_list::{ListLine, TagPattern, TagRule};
use hod_oci::{Reference, Registry};
use hod_ops::{ReferrerTags, TagsOf, TagsOptions};
use hod_registry::{Purpose, Repo};
use hod_transfer::{Endpoint, EndpointError};

/// A repository, as the user wrote it.
enum Named {
    Repository(Reference),
    /// With a pattern behind it, as in a list.
    Pattern(String),
    Local(Box<TagsOf>),
}

pub(super) async fn run(session: &Session<'_>, args: &TagsArgs) -> Result<Exit, CommandError> {
    let mut pattern = TagPattern {
        rule: args.pattern.clone().unwrap_or(TagRule::Any),
        limit: args.limit,
    };
    let named = named(args)?;
    let is_local = matches!(named, Named::Local(_));
    if args.of.is_some() && !is_local {
        return Err(CommandError::RepositoryTwice);
    }
    let of = match named {
        Named::Local(of) => {
            if args.names.registry.is_some() {
                let word = args.repository.clone();
                return Err(CommandError::SourceOfNothing { word });
            }
            *of
        }
        Named::Repository(reference) => registry(session, args, reference).await?,
        Named::Pattern(text) => {
            if args.pattern.is_some() {
                return Err(CommandError::TwoPatterns { text });
            }
            let inputs = ListInputs {
                images: &[text],
                ..ListInputs::default()
            };
            let source = Registry::docker_hub();
            let list = settings::read_lists(inputs, &source, session.reporter().as_ref()).await?;
            let Some(ListLine::Pattern(line)) = list.lines.into_iter().next() else {
                unreachable!("a text with a pattern is a line with one");
            };
            pattern.rule = line.tags.rule;
            pattern.limit = args.limit.or(line.tags.limit);
            registry(session, args, line.stem.reference).await?
        }
    };
    let options = TagsOptions {
        of,
        pattern,
        referrers: if args.all_tags {
            ReferrerTags::List
        } else {
            ReferrerTags::Leave
        },
    };
    let cx = session.remote(settings::retry_policy(&args.registry));
    let found = hod_ops::tags(&cx, &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&found)?,
        ResultFormat::Text => {
            let mut stdout = printer.stdout();
            for tag in &found.tags {
                stdout.line(tag);
            }
            stdout.finish()?;
        }
    }
    Ok(Exit::Done)
}

fn named(args: &TagsArgs) -> Result<Named, CommandError> {
    let word = &args.repository;
    let endpoint = match input::endpoint(word) {
        // A name without a host is one of the default registry.
        Err(CommandError::Endpoint(EndpointError::Unknown { text })) => {
            return match text.parse::<Reference>() {
                Ok(reference) => Ok(Named::Repository(reference)),
                Err(_) => Err(CommandError::Endpoint(EndpointError::Unknown { text })),
            };
        }
        endpoint => endpoint?,
    };
    match endpoint {
        Endpoint::Registry {
            registry,
            prefix: Some(repository),
        } => Ok(Named::Repository(Reference {
            registry: Some(registry),
            repository,
            tag: None,
            digest: None,
        })),
        Endpoint::Registry { prefix: None, .. } => {
            let word = word.display().to_string();
            Err(CommandError::NotARepository { word })
        }
        Endpoint::Image(image) if image.tag.is_none() && image.digest.is_none() => {
            Ok(Named::Repository(image))
        }
        Endpoint::Image(image) => Err(CommandError::TagOfTags {
            repository: Reference {
                tag: None,
                digest: None,
                ..image
            }
            .to_string(),
        }),
        Endpoint::Tags(text) => Ok(Named::Pattern(text)),
        Endpoint::Local { .. } | Endpoint::Path(_) => {
            let (path, stated) = input::stated(word.clone())?;
            Ok(Named::Local(Box::new(TagsOf::Local {
                path,
                stated: Box::new(stated),
                repository: args.of.clone(),
            })))
        }
    }
}

/// A repository of a registry, with a client for it.
async fn registry(
    session: &Session<'_>,
    args: &TagsArgs,
    mut reference: Reference,
) -> Result<TagsOf, CommandError> {
    let named = input::named_source(&args.names)?;
    if let (Some(_), Some(_)) = (&named, &reference.registry) {
        let word = args.repository.clone();
        return Err(CommandError::SourceOfNothing { word });
    }
    let mut registry = reference.registry.clone();
    if let Some(named) = named {
        if let Some(prefix) = &named.prefix {
            let name = reference.repository.with_library();
            reference.repository = input::below(&name, prefix)?;
        }
        registry = Some(named.registry);
    }
    let registry = registry.unwrap_or_else(Registry::docker_hub);
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Source,
            registries: vec![registry.clone()],
            lists: &[],
            settings: &[],
            given: &[],
        },
        registries_conf: settings::registries_conf(UseConf::unless(args.names.no_registries_conf))?,
        purpose: Purpose::Look,
    };
    let client =
        settings::client(&args.registry, session.jobs, &session.reporter(), purpose).await?;
    let remote = reference.remote_names(&registry).into_iter();
    let repo = |name| Repo {
        registry: registry.clone(),
        name,
    };
    Ok(TagsOf::Registry {
        client: Box::new(client),
        repos: remote.map(repo).collect(),
    })
}
