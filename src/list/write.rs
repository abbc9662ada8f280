//! Entries back as a list.

use super::{ListEntry, column};

/// Writes entries as a list; parsing it gives the same entries.
///
/// Sections are kept, each in one piece; entries without a section come first.
pub fn write_entries(entries: &[&ListEntry]) -> String {
    let mut sections: Vec<Option<&str>> = vec![None];
    for entry in entries {
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
        for entry in entries {
            if entry.section.as_deref() == section {
                text.push_str(&line(entry));
                text.push('\n');
            }
        }
    }
    text
}

fn line(entry: &ListEntry) -> String {
    let reference = &entry.reference;
    let destination = match entry.destination.as_ref().map(ToString::to_string) {
        None => String::new(),
        Some(text) if column::destination(&text, reference).is_ok() => format!(" {text}"),
        // A name that has another usual reading.
        Some(text) => format!(" as={text}"),
    };
    format!("{reference}{destination}{}", entry.options)
}

#[cfg(test)]
mod tests {
    use super::super::{ListEntry, ListSource, parse};
    use super::*;
    use crate::oci::Digest;

    fn read(text: &str) -> Vec<ListEntry> {
        let source = ListSource { name: "l", text };
        parse(&[source], &[]).unwrap().entries
    }

    fn write(entries: &[ListEntry]) -> String {
        write_entries(&entries.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let digest = Digest::of(b"x");
        let text = format!(
            "bare:1\np@{digest}\n\
             ##b\nx/y:1 other/y\nlast:1 as=windows/amd64:1803 referrers=no\n\
             ##a\nz:2@{digest} q:3 platform=linux/arm64,windows/amd64:10.0 \
             index=rewrite@{digest} referrers=yes foreign-layers=yes\n\
             k:1 platform=all index=keep foreign-layers=no\nr:1 index=rewrite\n"
        );
        let entries = read(&text);
        assert_eq!(entries.len(), 7);
        assert_eq!(entries[3].stored().to_string(), "windows/amd64:1803");
        assert_eq!(write(&entries), text);
    }

    #[test]
    fn a_pinned_entry_keeps_its_name_in_the_store() {
        #[track_caller]
        fn check(line: &str, at: (&str, &str), digest: &Digest, expect: &str) {
            let entry = read(line).remove(0);
            let at = (&at.0.parse().unwrap(), &at.1.parse().unwrap());
            let pinned = entry.pinned(at, digest);
            let text = write(&[pinned]);
            assert_eq!(text, format!("{expect}\n"));
            let again = read(&text).remove(0);
            assert_eq!(again.stored(), entry.stored(), "{line}");
            assert_eq!(write(&[again.pinned(at, digest)]), text, "{line}");
        }
        let digest = Digest::of(b"x");
        let hub = ("docker.io", "library/redis");
        check(
            "redis:7",
            hub,
            &digest,
            &format!("docker.io/library/redis:7@{digest}"),
        );
        check(
            "redis:7 team/cache",
            hub,
            &digest,
            &format!("docker.io/library/redis:7@{digest} team/cache:7"),
        );
        check(
            "redis cache",
            hub,
            &digest,
            &format!("docker.io/library/redis:latest@{digest} cache:latest"),
        );
        check(
            "redis:7",
            ("h.io:5000", "redis"),
            &digest,
            &format!("h.io:5000/redis:7@{digest} library/redis:7"),
        );
        check(
            "h.io:5000/a/b:1",
            ("h.io:5000", "a/b"),
            &digest,
            &format!("h.io:5000/a/b:1@{digest}"),
        );
        check(
            &format!("a/b@{digest}"),
            ("h.io", "a/b"),
            &digest,
            &format!("h.io/a/b@{digest} a/b"),
        );
        check(
            "x/y:1 as=windows/amd64:1803",
            ("h.io", "x/y"),
            &digest,
            &format!("h.io/x/y:1@{digest} as=windows/amd64:1803"),
        );
        check(
            &format!("linux/amd64@{digest}"),
            ("h.io", "linux/amd64"),
            &digest,
            &format!("h.io/linux/amd64@{digest} as=linux/amd64"),
        );
    }
}
