//! Parses the sources of verbs.

mod reached;

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use self::reached::{Reached, reached_in};
use super::session::Session;
use super::target::RegistryPath;
use super::{aliases, locked};
use crate::cli::args::{LookArgs, NameSourceArgs, OnlyArgs, RegistryArgs};
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::{ClientFor, ListInputs, ListUse, Reach, Side, UseConf};
use hod_list::{Destination, ImageList, IndexChoice, ListLine, RegistrySettings, RenameRules};
use hod_oci::{ForeignLayers, ReferenceError, Registry, RepositoryName};
use hod_ops::{
    Input, Look, OpsError, PlatformOptions, Registries, RegistriesOrigin, SourceCheck, SourceKind,
};
use hod_registry::{Client, Purpose, RegistriesConf};
use hod_transfer::{Endpoint, EndpointError, ReferrerMode, Stated};

/// How a verb reads what its arguments name.
pub(super) struct Reading<'a> {
    pub(super) registry: &'a RegistryArgs,
    pub(super) names: &'a NameSourceArgs,
    pub(super) only: &'a OnlyArgs,
    pub(super) platforms: PlatformOptions,
    pub(super) referrers: ReferrerMode,
    pub(super) foreign_layers: ForeignLayers,
    pub(super) preflight: SourceCheck,
    /// The side that a login without a given side is for.
    pub(super) login: LoginFor,
    /// How lists are read.
    pub(super) lists: ListUse,
    /// Logins and trust of a file that the user named for that.
    pub(super) given: &'a [RegistrySettings],
    /// Whether logins and trust in lists are as good as those.
    pub(super) trusts_lists: bool,
    /// How the images of `--only` are renamed before they are looked for.
    pub(super) renames: Option<RenameRules>,
    /// The other argument, if the verb reads two.
    pub(super) beside: Option<&'a Path>,
    /// One for all that is read.
    pub(super) client: OnceCell<Client>,
}

/// Whose login it is that stdin or the environment gives for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginFor {
    /// That of the registries which are read.
    Source,
    /// That of the registries which are written.
    Target,
    /// That of the registries which are deleted from, and no mirrors are.
    Deleting,
}

impl<'a> Reading<'a> {
    /// Reads sources with these flags; a login is for the source.
    pub(super) fn new(
        registry: &'a RegistryArgs,
        names: &'a NameSourceArgs,
        only: &'a OnlyArgs,
        platforms: PlatformOptions,
        referrers: ReferrerMode,
        preflight: SourceCheck,
    ) -> Self {
        Self {
            registry,
            names,
            only,
            platforms,
            referrers,
            foreign_layers: ForeignLayers::Leave,
            preflight,
            login: LoginFor::Source,
            lists: ListUse::default(),
            given: &[],
            trusts_lists: false,
            renames: None,
            beside: None,
            client: OnceCell::new(),
        }
    }

    /// How a verb that only looks reads.
    pub(super) fn looking<P: clap::Args>(
        look: &'a LookArgs<P>,
        platforms: PlatformOptions,
    ) -> Self {
        let preflight = if look.preflight.no_preflight {
            SourceCheck::Skip
        } else {
            SourceCheck::Look
        };
        Self {
            renames: settings::rename_rules(&look.rename, None).if_any(),
            ..Self::new(
                &look.registry,
                &look.names,
                &look.only,
                platforms,
                look.referrers.mode(),
                preflight,
            )
        }
    }

    /// What one argument of such a verb names.
    pub(super) async fn look(
        &self,
        session: &Session<'_>,
        word: &Path,
    ) -> Result<Look, CommandError> {
        if self.renames.is_some() && self.only.only.is_empty() {
            return Err(CommandError::RenameWithoutList);
        }
        Ok(Look {
            input: self.input(session, word).await?,
            referrers: self.referrers,
        })
    }

    /// The input that one argument names, whatever it is.
    pub(super) async fn input(
        &self,
        session: &Session<'_>,
        word: &Path,
    ) -> Result<Input, CommandError> {
        match endpoint(word)? {
            Endpoint::Path(path) if settings::is_list(&path)? => {
                self.registries(session, &[path]).await
            }
            Endpoint::Image(_) | Endpoint::Tags(_) | Endpoint::Registry { .. } => {
                self.registries(session, &[word.to_owned()]).await
            }
            Endpoint::Local { .. } | Endpoint::Path(_) => {
                self.require_names(word)?;
                let platforms = self.platforms.clone();
                let mut input = local(
                    session,
                    word.to_owned(),
                    self.only,
                    platforms,
                    self.referrers,
                )
                .await?;
                if let (Input::Local { list, .. }, Some(rules)) = (&mut input, &self.renames)
                    && let Some(list) = list
                {
                    rename(list, rules)?;
                }
                Ok(input)
            }
        }
    }

    /// The images that lists, references and a registry name.
    pub(super) async fn registries(
        &self,
        session: &Session<'_>,
        words: &[PathBuf],
    ) -> Result<Input, CommandError> {
        let named = self.named_source()?;
        let is_named = named.is_some();
        let RegistryPath {
            registry: source,
            prefix,
        } = named.unwrap_or_else(|| RegistryPath {
            registry: Registry::docker_hub(),
            prefix: None,
        });
        let conf = settings::registries_conf(UseConf::unless(self.names.no_registries_conf))?;
        let named_by = Named::of(words)?;
        let origin = named_by.origin(words);
        let mut list = match named_by {
            Named::Registry(place) => {
                self.require_names(&origin.word)?;
                self.listed(session, &place, words, &conf).await?
            }
            Named::Images { paths, images } => {
                if !self.only.only.is_empty() {
                    return Err(CommandError::OnlyOfRegistries);
                }
                let inputs = ListInputs {
                    paths: &paths,
                    images: &images,
                    sections: &self.only.section,
                    how: self.lists,
                };
                settings::read_lists(inputs, &source, session.reporter().as_ref()).await?
            }
        };
        if let Some(prefix) = &prefix {
            put_below(&mut list, &source, prefix)?;
        }
        if !is_named {
            aliases::note(session, &mut list, &conf);
        }
        let mut reached = Reached::by(&list, &source);
        if is_named {
            reached.registries = vec![source.clone()];
        }
        let client = self.client(session, reached, words, conf).await?;
        let flags = locked::Flags {
            platforms: self.platforms.platforms.as_ref(),
            index: self.platforms.index,
            referrers: self.referrers,
            foreign_layers: self.foreign_layers,
            source: is_named.then_some(&source),
        };
        locked::require_agreement(&list, &flags)?;
        Ok(Input::Registries(Box::new(Registries {
            list,
            client,
            source,
            platforms: self.platforms.clone(),
            foreign_layers: self.foreign_layers,
            preflight: self.preflight,
            origin,
        })))
    }

    /// The registry of names that have none, if the user named it.
    pub(super) fn named_source(&self) -> Result<Option<RegistryPath>, CommandError> {
        named_source(self.names)
    }

    /// Refuses `--source` if no argument has names without a registry.
    fn require_names(&self, word: &Path) -> Result<(), CommandError> {
        if self.names.registry.is_none() {
            return Ok(());
        }
        if let Some(beside) = self.beside
            && has_names(beside)?
        {
            return Ok(());
        }
        let word = word.to_owned();
        Err(CommandError::SourceOfNothing { word })
    }

    /// The registries that an argument refers to; none for local sources.
    async fn reached_by(
        &self,
        session: &Session<'_>,
        word: &Path,
    ) -> Result<Reached, CommandError> {
        let named = self.named_source()?.map(|named| named.registry);
        let source = named.unwrap_or_else(Registry::docker_hub);
        match endpoint(word)? {
            Endpoint::Registry { registry, .. } => Ok(Reached::only(registry)),
            Endpoint::Image(image) => Ok(Reached::only(image.registry.unwrap_or(source))),
            Endpoint::Tags(text) => {
                let inputs = ListInputs {
                    images: &[text],
                    ..ListInputs::default()
                };
                reached_in(session, inputs, &source).await
            }
            Endpoint::Path(path) if settings::is_list(&path)? && !hod_ops::is_receipt(&path)? => {
                let inputs = ListInputs {
                    paths: &[path],
                    sections: &self.only.section,
                    ..ListInputs::default()
                };
                reached_in(session, inputs, &source).await
            }
            Endpoint::Path(_) | Endpoint::Local { .. } => Ok(Reached::default()),
        }
    }

    /// The images of a registry, or those that a list names.
    async fn listed(
        &self,
        session: &Session<'_>,
        place: &RegistryPath,
        words: &[PathBuf],
        conf: &RegistriesConf,
    ) -> Result<ImageList, CommandError> {
        let list = settings::only_list(self.only, session.reporter().as_ref()).await?;
        if let Some(mut list) = list {
            if let Some(rules) = &self.renames {
                rename(&mut list, rules)?;
            }
            place_at(&mut list, place)?;
            return Ok(list);
        }
        settings::require_no_section(self.only)?;
        let RegistryPath { registry, prefix } = place;
        let reached = Reached::only(registry.clone());
        let client = self.client(session, reached, words, conf.clone()).await?;
        let list = hod_ops::registry_list(&client, registry, prefix.as_ref());
        session.interruptible(list).await
    }

    /// The client for source registries, created on first use, because stdin has only one login.
    async fn client(
        &self,
        session: &Session<'_>,
        reached: Reached,
        words: &[PathBuf],
        conf: RegistriesConf,
    ) -> Result<Client, CommandError> {
        let make = || self.make_client(session, reached, words, conf);
        self.client.get_or_try_init(make).await.cloned()
    }

    async fn make_client(
        &self,
        session: &Session<'_>,
        mut reached: Reached,
        words: &[PathBuf],
        conf: RegistriesConf,
    ) -> Result<Client, CommandError> {
        let mut lists = [words, &self.only.only].concat();
        if let Some(beside) = self.beside {
            lists.push(beside.to_owned());
            reached.add(self.reached_by(session, beside).await?);
        }
        let mut own = self.registry.clone();
        own.creds_stdin &= self.login != LoginFor::Target;
        let (settings, given) = if self.trusts_lists {
            (&[][..], reached.settings.as_slice())
        } else {
            (reached.settings.as_slice(), self.given)
        };
        let purpose = ClientFor {
            reach: Reach {
                side: match self.login {
                    LoginFor::Source => Side::Source,
                    LoginFor::Target => Side::SourceBesideTarget,
                    LoginFor::Deleting => Side::Target,
                },
                registries: reached.registries,
                lists: &lists,
                settings,
                given,
            },
            registries_conf: conf,
            purpose: match self.login {
                LoginFor::Source | LoginFor::Target => Purpose::Pull,
                LoginFor::Deleting => Purpose::Delete,
            },
        };
        settings::client(&own, session.jobs, &session.reporter(), purpose).await
    }
}

/// The registry of names that have none, if the user named it.
pub(super) fn named_source(names: &NameSourceArgs) -> Result<Option<RegistryPath>, CommandError> {
    let Some(text) = &names.registry else {
        return Ok(None);
    };
    let place = place(text).map_err(|source| CommandError::Target {
        what: "`--source`",
        text: text.clone(),
        source,
    });
    place.map(Some)
}

/// Whether an argument is a list or an image, whose names may have no registry.
fn has_names(word: &Path) -> Result<bool, CommandError> {
    match endpoint(word)? {
        Endpoint::Image(_) | Endpoint::Tags(_) => Ok(true),
        Endpoint::Path(path) => Ok(settings::is_list(&path)? && !hod_ops::is_receipt(&path)?),
        Endpoint::Registry { .. } | Endpoint::Local { .. } => Ok(false),
    }
}

/// The endpoint that an argument names.
pub(super) fn endpoint(word: &Path) -> Result<Endpoint, CommandError> {
    let exists = |path: &Path| hod_fsx::try_stat(path).is_ok_and(|stat| stat.is_some());
    match word.to_str() {
        Some(text) => Ok(Endpoint::parse(text, exists)?),
        None => Ok(Endpoint::Path(word.to_owned())),
    }
}

/// The arguments of a verb that reads registries.
enum Named {
    Images {
        paths: Vec<PathBuf>,
        images: Vec<String>,
    },
    Registry(RegistryPath),
}

impl Named {
    /// The words of the user.
    fn origin(&self, words: &[PathBuf]) -> RegistriesOrigin {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.display().to_string())
            .collect();
        let (kind, prefix) = match self {
            Self::Registry(place) => (SourceKind::Registry, place.prefix.clone()),
            Self::Images { paths, .. } if paths.is_empty() => (SourceKind::Image, None),
            Self::Images { .. } => (SourceKind::List, None),
        };
        RegistriesOrigin {
            kind,
            word: words.join(" ").into(),
            prefix,
        }
    }

    fn of(words: &[PathBuf]) -> Result<Self, CommandError> {
        let (mut paths, mut images) = (Vec::new(), Vec::new());
        for word in words {
            match endpoint(word) {
                Ok(Endpoint::Registry { registry, prefix }) if words.len() == 1 => {
                    return Ok(Self::Registry(RegistryPath { registry, prefix }));
                }
                Ok(Endpoint::Registry { .. }) => {
                    let word = word.display().to_string();
                    return Err(CommandError::RegistryAmongImages { word });
                }
                Ok(Endpoint::Image(image)) => images.push(image.to_string()),
                Ok(Endpoint::Tags(text)) => images.push(text),
                Ok(Endpoint::Path(path) | Endpoint::Local { path, .. }) => paths.push(path),
                // It is read as a list, which reports that it is not found.
                Err(CommandError::Endpoint(_)) => paths.push(word.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(Self::Images { paths, images })
    }
}

/// A local source, with or without a transport, or those of its images that lists name.
pub(super) async fn local(
    session: &Session<'_>,
    word: PathBuf,
    only: &OnlyArgs,
    platforms: PlatformOptions,
    referrers: ReferrerMode,
) -> Result<Input, CommandError> {
    let (path, stated) = stated(word)?;
    if stated.image.is_some() && !only.only.is_empty() {
        return Err(CommandError::OnlyOfRegistries);
    }
    settings::require_one_stdin(&path, only)?;
    let list = settings::only_list(only, session.reporter().as_ref()).await?;
    match &list {
        Some(list) => {
            locked::require_agreement(list, &locked::Flags::local(&platforms, referrers))?;
        }
        None => settings::require_no_section(only)?,
    }
    Ok(Input::Local {
        path,
        stated: Box::new(stated),
        list,
        platforms,
    })
}

/// A local source: its path and the kind that its transport states.
pub(super) fn stated(word: PathBuf) -> Result<(PathBuf, Stated), CommandError> {
    match endpoint(&word) {
        Ok(Endpoint::Local {
            transport,
            path,
            image,
        }) => {
            let transport = Some(transport);
            Ok((path, Stated { transport, image }))
        }
        // A path that is not found is reported when it is opened.
        Ok(_) | Err(CommandError::Endpoint(EndpointError::Unknown { .. })) => {
            Ok((word, Stated::default()))
        }
        Err(error) => Err(error),
    }
}

/// The registry of an argument, and the prefix for names there.
pub(super) fn place(text: &str) -> Result<RegistryPath, ReferenceError> {
    let text = text.strip_prefix("docker://").unwrap_or(text);
    super::target::target(text)
}

/// Gives the images of a list the names that a push with these rules gives them.
pub(super) fn rename(list: &mut ImageList, rules: &RenameRules) -> Result<(), CommandError> {
    let stored = list
        .lines
        .iter()
        .map(|line| line.stem().stored().repository);
    let stored: Vec<RepositoryName> = stored.collect();
    let renamed = rules.require_used(&stored);
    renamed.map_err(OpsError::from)?;
    for (entry, name) in list.lines.iter_mut().map(ListLine::stem_mut).zip(&stored) {
        let repository = rules.apply(name).map_err(OpsError::from)?.with_library();
        let tag = entry.stored().tag;
        entry.reference.registry = None;
        entry.reference.repository = repository.clone();
        entry.reference.tag.clone_from(&tag);
        entry.destination = Some(Destination { repository, tag });
    }
    Ok(())
}

/// Has all images of a list read at one registry, under the names that a push with that prefix gives
/// them, and keeps those names.
fn place_at(list: &mut ImageList, place: &RegistryPath) -> Result<(), CommandError> {
    for entry in list.lines.iter_mut().map(ListLine::stem_mut) {
        let stored = entry.stored();
        let name = stored.repository.with_library();
        let name = match &place.prefix {
            None => name,
            Some(prefix) => below(&name, prefix)?,
        };
        // The original of a rewritten index is at the registry that it was pulled from.
        if let Some(IndexChoice::Rewrite(Some(rewritten))) = &entry.options.index {
            entry.reference.digest = Some(rewritten.clone());
            entry.options.index = Some(IndexChoice::Keep);
        }
        entry.reference.registry = Some(place.registry.clone());
        entry.reference.repository = name.clone();
        entry.reference.tag.clone_from(&stored.tag);
        entry.destination = Some(Destination {
            repository: name,
            tag: stored.tag,
        });
    }
    Ok(())
}

/// Reads names without a registry below a prefix, where a push with that prefix puts them; they
/// keep the names of the list.
fn put_below(
    list: &mut ImageList,
    source: &Registry,
    prefix: &RepositoryName,
) -> Result<(), CommandError> {
    for entry in list.lines.iter_mut().map(ListLine::stem_mut) {
        if entry.reference.registry.is_some() {
            continue;
        }
        let stored = entry.stored();
        let name = entry.reference.repository.clone().with_library();
        entry.reference.repository = below(&name, prefix)?;
        entry.reference.registry = Some(source.clone());
        entry.destination.get_or_insert(Destination {
            repository: stored.repository,
            tag: stored.tag,
        });
    }
    Ok(())
}

/// A name below a prefix.
pub(super) fn below(
    name: &RepositoryName,
    prefix: &RepositoryName,
) -> Result<RepositoryName, CommandError> {
    let below = name.clone().prefixed(prefix.as_str());
    below.map_err(|source| CommandError::RegistryName {
        text: format!("{prefix}/{name}"),
        source,
    })
}
