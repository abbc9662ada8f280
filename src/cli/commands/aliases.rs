//! The short names of the user's `registries.conf`.

use super::session::Session;
use hod_list::{Destination, ImageList, ListLine};
use hod_registry::RegistriesConf;
use hod_report::Event;

/// Replaces short names by the targets of the user's aliases, with a note; the images keep the
/// names in the list.
pub(super) fn note(session: &Session<'_>, list: &mut ImageList, conf: &RegistriesConf) {
    for text in &resolve(list, conf) {
        session.reporter().event(Event::Note { text });
    }
}

/// Returns a sentence for each replacement.
fn resolve(list: &mut ImageList, conf: &RegistriesConf) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in list.lines.iter_mut().map(ListLine::stem_mut) {
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
