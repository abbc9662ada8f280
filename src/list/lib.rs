//! Image lists: text files that name the images to carry, and their destinations.
//!
//! One image a line, `[registry/]repository[:tag][@digest]`, then optionally its destination and
//! options such as `platform=linux/amd64,linux/arm64`. `#` starts a comment at the start of a line
//! or after a blank; a line `##name` opens a section. Blank lines, CRLF and a byte order mark are
//! accepted. `--platform=X` may also precede the image, as in lists for `docker pull`.
//!
//! Where a tag would be, a line may have a pattern, which stands for those tags of the repository
//! that it matches: `repo:*` for all, `repo:~REGEX` for those that the regular expression matches as
//! a whole, `repo:>=1.2 <2` for a range of versions. `limit=N` takes the newest N of them. A pattern
//! of versions may contain blanks: all columns that begin with an operator belong to it, which no
//! destination and no option does. Its second column can only be a repository, since tags are kept.
//!
//! `to=registry/repository[:tag]`, once or several times, says where `hod sync` brings the images of
//! a line.
//!
//! A line with two common interpretations is refused, with both of them.
//!
//! The files of `skopeo sync` and image-syncer are lists, too: their images and patterns are lines,
//! the destinations of image-syncer are targets, and what they say about registries is beside the
//! lines, in [`RegistrySettings`].
//!
//! Pure: takes bytes or text and gives entries, or every bad line at once. Reading files,
//! directories and standard input is the caller's.

mod column;
mod decode;
mod document;
mod entry;
mod error;
mod expand;
mod fix;
mod foreign;
mod found;
mod gather;
mod image_list;
mod line;
mod node;
mod options;
mod pattern;
mod problem;
mod recognise;
mod rename;
mod settings;
mod shape;
mod skopeo;
mod syncer;
mod tags;
mod target;
mod targeting;
mod text;
mod variables;
mod write;

pub use decode::{TextError, decode};
pub use entry::{COMMAND_LINE, Destination, ListEntry, ListPosition, StoredAs};
pub use error::{BadLine, ListError};
pub use expand::Expanded;
pub use foreign::ForeignFormat;
pub use image_list::{BadLines, ImageList, ListOptions, ListSource, TargetUse};
pub use line::{ListLine, PatternLine};
pub use options::{IndexChoice, LineOptions};
pub use rename::{Collision, HostPart, Landing, RenameError, RenameRule, RenameRules, collisions};
pub use settings::{ListLogin, RegistrySettings};
pub use tags::{
    PatternError, RangeError, TagPattern, TagRegex, TagRule, TagVersions, Version, VersionRange,
};
pub use target::SyncTarget;
pub use targeting::DefaultTarget;
pub use write::write_lines;

use hod_oci::Registry;

/// Returns true if a text, in the syntax of a line, has a pattern in place of a tag.
pub fn has_pattern(text: &str) -> bool {
    let first = text.split_whitespace().next();
    first.is_some_and(|first| pattern::split(first).is_some())
}

/// Parses lists, with Docker Hub for names without a registry and without variables; see
/// [`parse_with`].
pub fn parse(sources: &[ListSource<'_>], sections: &[String]) -> Result<ImageList, ListError> {
    let options = ListOptions {
        source: &Registry::docker_hub(),
        sections,
        variable: |_| None,
        targets: TargetUse::Name,
        bad_lines: BadLines::Refuse,
        format: None,
    };
    parse_with(&options, sources)
}

/// Parses lists.
///
/// Every invalid line is reported, also in sections that were not selected; with
/// [`BadLines::Keep`], the others are used all the same. Duplicates are joined into the first.
pub fn parse_with(
    options: &ListOptions<'_>,
    sources: &[ListSource<'_>],
) -> Result<ImageList, ListError> {
    let mut gatherer = gather::Gatherer::new(options);
    for list in sources {
        gatherer.add(list);
    }
    gatherer.finish()
}

/// Parses a file of logins for image-syncer (`--auth`): `registry[/namespace]` with `username`,
/// `password` and `insecure`. Variables in them are replaced by what `variable` returns.
pub fn parse_auth(
    file: &ListSource<'_>,
    variable: fn(&str) -> Option<String>,
) -> Result<Vec<RegistrySettings>, ListError> {
    gather::auth(file, variable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_report::Diagnose as _;

    fn source(text: &str) -> ListSource<'_> {
        ListSource {
            name: "lists/a.txt",
            text,
        }
    }

    fn images(list: &ImageList) -> Vec<String> {
        let lines = list.lines.iter();
        lines
            .map(|line| format!("{} -> {}", line.name(), line.stem().stored()))
            .collect()
    }

    const PLATFORM_LIST: &str = "\u{feff}##k8s-images\r\n\
        kubesphere/pause:3.2\r\n\
        \r\n\
        # a comment\r\n\
        ## example-images-images\r\n\
        busybox:1.31.1   # the small one\r\n\
        perl:latest mirror/perl:5 platform=linux/amd64,linux/arm64\r\n\
        kubesphere/pause:3.2\r\n";

    #[test]
    fn a_list_is_read_in_order_with_its_sections() {
        let list = parse(&[source(PLATFORM_LIST)], &[]).unwrap();
        assert_eq!(
            images(&list),
            [
                "kubesphere/pause:3.2 -> kubesphere/pause:3.2",
                "busybox:1.31.1 -> library/busybox:1.31.1",
                "perl:latest -> mirror/perl:5",
            ]
        );
        assert_eq!(list.warnings, Vec::<String>::new());
        assert_eq!(list.lines[0].stem().section.as_deref(), Some("k8s-images"));
        let perl = list.lines[2].stem();
        assert_eq!(perl.origin.to_string(), "lists/a.txt:7");
        assert_eq!(perl.section.as_deref(), Some("example-images-images"));
        assert_eq!(
            perl.options.platforms.as_ref().unwrap().to_string(),
            "linux/amd64,linux/arm64"
        );
    }

    #[test]
    fn sections_choose() {
        let chosen = ["example-images-images".to_owned()];
        let list = parse(&[source(PLATFORM_LIST)], &chosen).unwrap();
        assert_eq!(list.lines.len(), 3, "the repeated image is in both");
        let error = parse(&[source(PLATFORM_LIST)], &["k8s".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image list `lists/a.txt` has no section `k8s`"
        );
        assert_eq!(
            error.diagnose().hint.unwrap(),
            "The sections are `k8s-images` and `example-images-images`."
        );
        let error = parse(&[source("##a\nx:1\n##b\n")], &["b".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image list `lists/a.txt` names no image in section `b`"
        );
    }

    #[test]
    fn a_section_ends_with_its_file() {
        let other = ListSource {
            name: "b",
            text: "y:1",
        };
        let list = parse(&[source("##s\nx:1"), other], &[]).unwrap();
        assert_eq!(list.lines[1].stem().section, None);
        assert_eq!(
            parse(&[source("##s\nx:1"), other], &["s".to_owned()])
                .unwrap()
                .lines
                .len(),
            1
        );
    }

    #[test]
    fn a_missing_tag_is_latest_with_a_warning() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!("redis\nredis@{digest}\nquay.io/a/b:1@{digest}");
        let list = parse(&[source(&text)], &[]).unwrap();
        assert_eq!(
            images(&list),
            [
                "redis:latest -> library/redis:latest".to_owned(),
                format!("redis@{digest} -> library/redis"),
                format!("quay.io/a/b:1@{digest} -> quay.io/a/b:1"),
            ]
        );
        assert_eq!(
            list.warnings,
            ["lists/a.txt:1: `redis` has no tag; using `latest`"]
        );
    }

    #[test]
    fn a_heading_of_several_words_is_a_comment_with_a_warning() {
        let list = parse(
            &[source("##a\n## two words\n##\n#####\n### x\nredis:7")],
            &[],
        )
        .unwrap();
        assert_eq!(list.lines[0].stem().section.as_deref(), Some("a"));
        assert_eq!(
            list.warnings,
            ["lists/a.txt:2: `## two words` is a comment: the name of a section is one word"]
        );
    }

    #[test]
    fn all_bad_lines_are_reported_with_their_likely_fixes() {
        let text = "ok:1\nquay.io/Calico/node:v3.28.0\nnginx@sha256:3f4a\nalso/ok:2\n";
        let error = parse(&[source(text)], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image list `lists/a.txt` has 2 invalid lines; nothing was done\n  \
             line 2: `quay.io/Calico/node:v3.28.0`: uppercase letter in repository name\n  \
             line 3: `nginx@sha256:3f4a`: digest has 4 of 64 hex characters"
        );
        assert_eq!(
            error.diagnose().hint.unwrap(),
            "Did you mean `quay.io/calico/node:v3.28.0`?"
        );
    }

    #[test]
    fn bad_lines_of_several_files_name_their_files() {
        let other = ListSource {
            name: "b",
            text: "A:1\nfoo/BAR:X",
        };
        let error = parse(&[source("x:1 y:1 z:1"), other], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 image lists have 3 invalid lines; nothing was done\n  \
             lists/a.txt:1: `z:1`: unexpected third column\n  \
             b:1: `A:1`: uppercase letter in repository name\n  \
             b:2: `foo/BAR:X`: uppercase letter in repository name"
        );
        assert_eq!(
            error.diagnose().hint.unwrap(),
            "Did you mean `a:1` (b:1) and `foo/bar:X` (b:2)?"
        );
    }

    #[test]
    fn duplicates_fold_whichever_way_they_are_written() {
        let text = "redis:7\nlibrary/redis:7\ndocker.io/library/redis:7\nindex.docker.io/redis:7\n\
                    redis:7 library/redis:7\n\
                    a/b:1 platform=linux/arm64,linux/amd64\na/b:1 platform=linux/amd64,linux/arm64\n\
                    localhost:5000/redis:7\nredis:7 other/redis";
        let list = parse(&[source(text)], &[]).unwrap();
        assert_eq!(
            images(&list),
            [
                "redis:7 -> library/redis:7",
                "a/b:1 -> a/b:1",
                "localhost:5000/redis:7 -> localhost_5000/redis:7",
                "redis:7 -> other/redis:7",
            ]
        );
    }

    #[test]
    fn two_images_cannot_have_one_name() {
        #[track_caller]
        fn check(source_registry: &str, text: &str, reason: &str) {
            let registry = source_registry.parse().unwrap();
            let options = ListOptions {
                source: &registry,
                sections: &[],
                variable: |_| None,
                targets: TargetUse::Name,
                bad_lines: BadLines::Refuse,
                format: None,
            };
            let error = parse_with(&options, &[source(text)]).unwrap_err();
            let ListError::Invalid { problems, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].reason, reason);
        }
        check(
            "docker.io",
            "a:1 x/y:1\nb:1 x/y:1",
            "goes to `x/y:1`, where `a:1` of lists/a.txt:1 goes",
        );
        check(
            "m.io",
            "redis:7\ndocker.io/redis:7",
            "goes to `library/redis:7`, where `redis:7` of lists/a.txt:1 goes",
        );
        check(
            "docker.io",
            "a:1 platform=linux/amd64\na:1 platform=linux/arm64",
            "is listed at lists/a.txt:1 with other platforms",
        );
    }

    #[test]
    fn a_word_behind_different_images_is_not_where_they_go() {
        let error = parse(&[source("redis:7 cache\nb:1 x\nvalkey:8 cache\n")], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image list `lists/a.txt` has 2 invalid lines; nothing was done\n  \
             line 1: `cache`: stands behind different images, so that it may not be where they go; \
             if it is, write `library/cache`\n  \
             line 3: `cache`: stands behind different images, so that it may not be where they go; \
             if it is, write `library/cache`"
        );
        let fine = "redis:7 cache\nredis:8 cache\na:1 team/x\nb:2 team/x\nc:1 y:1\nd:1 y:2";
        assert_eq!(parse(&[source(fine)], &[]).unwrap().lines.len(), 6);
    }

    #[test]
    fn a_file_of_another_tool_is_named() {
        let text = "services:\n  web:\n    image: nginx:1.27\n";
        let error = parse(&[source("a:1"), source(text)], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`lists/a.txt` is a Compose file, which cannot be read as a list yet"
        );
        assert!(
            error
                .diagnose()
                .hint
                .unwrap()
                .contains("one image per line")
        );
    }

    #[test]
    fn no_message_has_a_password() {
        for line in [
            "admin:s3cret@h.io/a:1",
            "- image: https://admin:s3cret@h.io/a:1",
            "a:1 => admin:s3cret@h.io/a:1",
            "--x admin:s3cret@h.io/a",
            "## see https://admin:s3cret@h.io/a",
        ] {
            let said = match parse(&[source(&format!("{line}\na:1"))], &[]) {
                Ok(list) => list.warnings.join("\n"),
                Err(error) => format!("{error:?} {error} {:?}", error.diagnose().hint),
            };
            assert!(said.contains("***") && !said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn a_list_without_images_is_an_error() {
        let error = parse(&[source("# nothing\n")], &[]).unwrap_err();
        assert_eq!(error.to_string(), "image list `lists/a.txt` names no image");
        assert_eq!(
            parse(&[], &[]).unwrap_err().to_string(),
            "no image list names an image"
        );
    }

    #[test]
    fn what_is_printed_holds_no_control_characters() {
        let error = parse(&[source("a\u{1b}[2J:1")], &[])
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains('\u{1b}') && error.contains("\\u{1b}"),
            "{error}"
        );
        let long = "A".repeat(5000);
        let error = parse(&[source(&long)], &[]).unwrap_err().to_string();
        assert!(error.len() < 600, "{}", error.len());
    }
}
