//! The list back, with every digest.

use crate::oci::{Digest, Reference};

use super::ListEntry;

/// Writes entries back as a list in which every image is pinned to the digest beside it.
///
/// Sections are kept, each in one piece; what stands in none comes first. Parsing the result gives
/// the same names, destinations and platforms.
pub fn write_locked(entries: &[(&ListEntry, &Digest)]) -> String {
    let pinned = entries.iter().map(|&(entry, digest)| {
        let pinned = Reference {
            digest: Some(digest.clone()),
            ..entry.reference.clone()
        };
        (entry, pinned)
    });
    write_lines(&pinned.collect::<Vec<_>>())
}

/// Writes entries back as a list, as they were read.
///
/// Sections are kept, each in one piece. Parsing the result gives the same entries.
pub fn write_entries(entries: &[&ListEntry]) -> String {
    let entries = entries
        .iter()
        .map(|&entry| (entry, entry.reference.clone()));
    write_lines(&entries.collect::<Vec<_>>())
}

fn write_lines(entries: &[(&ListEntry, Reference)]) -> String {
    let mut sections: Vec<Option<&str>> = vec![None];
    for (entry, _) in entries {
        let section = entry.section.as_deref();
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    let mut text = String::new();
    for section in sections {
        if let Some(name) = section {
            text.push_str("##");
            text.push_str(name);
            text.push('\n');
        }
        for (entry, reference) in entries {
            if entry.section.as_deref() == section {
                text.push_str(&line(entry, reference));
                text.push('\n');
            }
        }
    }
    text
}

fn line(entry: &ListEntry, reference: &Reference) -> String {
    let destination = entry.destination.as_ref().map(|to| format!(" {to}"));
    let platforms = entry
        .platforms
        .as_ref()
        .map(|platforms| format!(" platform={platforms}"));
    let (destination, platforms) = (
        destination.unwrap_or_default(),
        platforms.unwrap_or_default(),
    );
    format!("{reference}{destination}{platforms}")
}

#[cfg(test)]
mod tests {
    use super::super::{ListSource, parse};
    use super::*;

    #[test]
    fn a_locked_list_is_a_list() {
        let digest = Digest::of(b"x");
        let text = format!(
            "bare\n##b\nx/y:1 other/y\n##a\nz:2 q:3 platform=linux/arm64,linux/amd64\n\
             p@{digest}\n##b\nlast:1\n"
        );
        let parse = |text: &str| {
            parse(&[ListSource { name: "l", text }], &[])
                .unwrap()
                .entries
        };
        let entries = parse(&text);
        let pairs: Vec<_> = entries.iter().map(|entry| (entry, &digest)).collect();
        let locked = write_locked(&pairs);
        assert_eq!(
            locked,
            format!(
                "bare:latest@{digest}\n\
                 ##b\nx/y:1@{digest} other/y\nlast:1@{digest}\n\
                 ##a\nz:2@{digest} q:3 platform=linux/arm64,linux/amd64\np@{digest}\n"
            )
        );
        let mut again = parse(&locked);
        assert_eq!(again.len(), entries.len());
        for entry in entries {
            let at = again
                .iter()
                .position(|other| other.stored() == entry.stored())
                .unwrap();
            let other = again.remove(at);
            assert_eq!(
                (other.destination, other.platforms, other.section),
                (entry.destination, entry.platforms, entry.section)
            );
        }
    }
}
