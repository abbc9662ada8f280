//! Tells lists from the files of other tools, and parses those that can be read.

use super::document;
use super::foreign::ForeignFormat;
use super::node::{Document, DocumentError};
use super::{skopeo, syncer};

/// A file of another tool.
#[derive(Debug)]
pub(super) enum Recognised {
    /// A file for `skopeo sync`.
    SkopeoSync(Document),
    /// A file for image-syncer.
    ImageSyncer(Document),
    /// A file of a readable format that is damaged.
    Damaged(ForeignFormat, DocumentError),
    Unreadable(ForeignFormat),
}

/// Parses a file whose format the user stated.
pub(super) fn stated(text: &str, format: ForeignFormat) -> Recognised {
    let text = text.trim_start_matches('\u{feff}');
    match (document::parse(text), format) {
        (Err(error), _) => Recognised::Damaged(format, error),
        (Ok(document), ForeignFormat::ImageSyncer) => Recognised::ImageSyncer(document),
        (Ok(document), ForeignFormat::SkopeoSync) => Recognised::SkopeoSync(document),
        (Ok(_), other) => Recognised::Unreadable(other),
    }
}

/// Recognises a file of another tool; `None` if it may be a list.
pub(super) fn recognise(text: &str) -> Option<Recognised> {
    let text = text.trim_start_matches('\u{feff}');
    let likely = ForeignFormat::of(text)?;
    let is_readable = matches!(
        likely,
        ForeignFormat::SkopeoSync | ForeignFormat::ImageSyncer
    );
    Some(match document::parse(text) {
        Ok(document) if skopeo::is_one(&document.root) => Recognised::SkopeoSync(document),
        Ok(document) if syncer::is_one(&document.root) => Recognised::ImageSyncer(document),
        Err(error) if is_readable => Recognised::Damaged(likely, error),
        // It only looked like one by its lines.
        Ok(_) if is_readable && text.trim_start().starts_with(['{', '[']) => {
            Recognised::Unreadable(ForeignFormat::Json)
        }
        Ok(_) if is_readable => Recognised::Unreadable(ForeignFormat::Yaml),
        Ok(_) | Err(_) => Recognised::Unreadable(likely),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_files_are_told_from_others() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let found = match recognise(text) {
                None => "list".to_owned(),
                Some(Recognised::SkopeoSync(_)) => "skopeo".to_owned(),
                Some(Recognised::ImageSyncer(_)) => "syncer".to_owned(),
                Some(Recognised::Damaged(format, _)) => format!("damaged {format:?}"),
                Some(Recognised::Unreadable(format)) => format!("{format:?}"),
            };
            assert_eq!(found, expect, "{text}");
        }
        check("q.io:\n  images:\n    a: [1]\n", "skopeo");
        check("\u{feff}q.io:80: {images-by-semver: {a: ^1}}\n", "skopeo");
        check("{\"q.io\": {\"images\": {\"a\": []}}}", "skopeo");
        check("localhost:\n  images: []\n", "skopeo");
        check("library:\n  images-by-tag-regex:\n    a: b\n", "skopeo");
        check("q.io:\n  images: [\n", "damaged SkopeoSync");
        check("global:\n  images:\n    web: nginx\n", "Yaml");
        check(
            "web:\n  image:\n    repository: nginx\n    tag: 1.27\n",
            "HelmValues",
        );
        check("q.io/a/b: h.corp/b\n", "syncer");
        check("nginx:1.27: h.corp/x/nginx\n", "syncer");
        check("nginx: [$HOST/x/nginx, h.corp/y]\n", "syncer");
        check("{\"q.io/a/b\": {}, \"q.io/a/c\": \"h.corp/c\"}", "syncer");
        check("images:\n  q.io/a/b:/^1/: h.corp/b\n", "syncer");
        check("q.io/a/b: [h.corp/b\n", "damaged ImageSyncer");
        check("{\"a/b\": {}, \"c\": \"d\"}", "Json");
        check("{\"homepage\": \"https://x.io/y\"}", "Json");
        check("name: x\nhomepage: https://x.io/y\n", "Yaml");
        check("images:\n- name: a/b\n  newTag: v1\n", "Yaml");
        check("h.corp:\n  username: u\n  password: p\n", "Yaml");
        check("q.io/a/b:1\nnginx:1.27 x/y\n", "list");
        check(
            "apiVersion: v1\nkind: Pod\nspec: {images: {a: b}}\n",
            "Kubernetes",
        );
    }
}
