//! The registries that the argument of a verb refers to, whose logins it may use.

use super::super::session::Session;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::ListInputs;
use hod_list::{ImageList, ListLine, RegistrySettings};
use hod_oci::Registry;

/// The registries that an argument refers to.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Each once.
    pub(super) registries: Vec<Registry>,
    /// What its lists say about them.
    pub(super) settings: Vec<RegistrySettings>,
}

impl Reached {
    pub(super) fn only(registry: Registry) -> Self {
        Self {
            registries: vec![registry],
            settings: Vec::new(),
        }
    }

    /// Those that a list names, and what it says about these.
    pub(super) fn by(list: &ImageList, source: &Registry) -> Self {
        let stems = list.lines.iter().map(ListLine::stem);
        let named = stems.map(|entry| entry.reference.registry.as_ref().unwrap_or(source));
        let mut registries: Vec<Registry> = named.cloned().collect();
        registries.sort();
        registries.dedup();
        let settings = list.registries.iter();
        let settings = settings.filter(|one| registries.contains(&one.registry));
        Self {
            settings: settings.cloned().collect(),
            registries,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for registry in other.registries {
            if !self.registries.contains(&registry) {
                self.registries.push(registry);
            }
        }
        self.settings.extend(other.settings);
    }
}

/// The registries that the lists to be read name.
pub(super) async fn reached_in(
    session: &Session<'_>,
    inputs: ListInputs<'_>,
    source: &Registry,
) -> Result<Reached, CommandError> {
    let list = settings::read_lists(inputs, source, session.reporter().as_ref()).await?;
    Ok(Reached::by(&list, source))
}
