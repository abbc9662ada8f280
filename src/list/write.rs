//! Lines back as a list.

use std::fmt::Write as _;

use super::{ListLine, column};

/// Writes lines as a list; parsing it gives the same lines.
///
/// Sections are kept, each in one piece; lines without a section come first.
pub fn write_lines(lines: &[ListLine]) -> String {
    let mut sections: Vec<Option<&str>> = vec![None];
    for line in lines {
        let section = line.stem().section.as_deref();
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
        for line in lines {
            if line.stem().section.as_deref() == section {
                text.push_str(&written(line));
                text.push('\n');
            }
        }
    }
    text
}

fn written(line: &ListLine) -> String {
    let stem = line.stem();
    let destination = match stem.destination.as_ref().map(ToString::to_string) {
        None => String::new(),
        Some(text) if column::destination(&text, &stem.reference).is_ok() => format!(" {text}"),
        // A name that has another usual reading.
        Some(text) => format!(" as={text}"),
    };
    let mut targets = String::new();
    for target in &stem.targets {
        write!(targets, " to={target}").expect("a string takes everything");
    }
    let limit = match line {
        ListLine::Image(_) => None,
        ListLine::Pattern(pattern) => pattern.tags.limit,
    };
    let limit = limit
        .map(|limit| format!(" limit={limit}"))
        .unwrap_or_default();
    format!(
        "{}{destination}{targets}{}{limit}",
        line.name(),
        stem.options
    )
}

#[cfg(test)]
mod tests {
    use super::super::{ListSource, parse};
    use super::*;
    use hod_oci::Digest;

    fn read(text: &str) -> Vec<ListLine> {
        let source = ListSource { name: "l", text };
        parse(&[source], &[]).unwrap().lines
    }

    #[test]
    fn what_is_written_is_read_again() {
        let digest = Digest::of(b"x");
        let text = format!(
            "bare:1\np@{digest}\n\
             ##b\nx/y:1 other/y\nlast:1 as=windows/amd64:1803 referrers=no\n\
             ##a\nz:2@{digest} q:3 platform=linux/arm64,windows/amd64:10.0 \
             index=rewrite@{digest} referrers=yes foreign-layers=yes\n\
             k:1 platform=all index=keep foreign-layers=no\nr:1 index=rewrite\n\
             a:* limit=3\nq.io/b:~v1\\.[0-9]+|x#y c/d limit=1\n\
             a:>=1.2 <2 || ^3 as=linux/arm64 referrers=no\nl:=1.x platform=all limit=10\n\
             a:!=1\na:<2,>=1 team/x platform=linux/amd64\n"
        );
        let lines = read(&text);
        assert_eq!(lines.len(), 13);
        assert_eq!(lines[3].stem().stored().to_string(), "windows/amd64:1803");
        assert_eq!(write_lines(&lines), text);
    }

    #[test]
    fn a_pinned_entry_keeps_its_name_in_the_store() {
        #[track_caller]
        fn check(line: &str, at: (&str, &str), digest: &Digest, expect: &str) {
            let ListLine::Image(entry) = read(line).remove(0) else {
                panic!("{line} is a pattern")
            };
            let (registry, repository) = (at.0.parse().unwrap(), at.1.parse().unwrap());
            let pinned = entry.pinned(&registry, &repository, digest);
            let text = write_lines(&[ListLine::Image(pinned)]);
            assert_eq!(text, format!("{expect}\n"));
            let again = read(&text).remove(0).stem().clone();
            assert_eq!(again.stored(), entry.stored(), "{line}");
            let again = ListLine::Image(again.pinned(&registry, &repository, digest));
            assert_eq!(write_lines(&[again]), text, "{line}");
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
