//! One name for different images is refused before anything moves; one image of two names is one.

use super::{says, write_layout, write_tar};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Image, ImageBuilder, image};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{assert_same, tree};

/// How two images come to one name.
const SPELLINGS: [(&str, &str); 3] = [
    ("nginx:1", "nginx:1"),
    ("nginx:1", "docker.io/library/nginx:1"),
    ("library/nginx:1", "index.docker.io/nginx:1"),
];
const FORMATS: [&str; 4] = ["dir", "oci", "oci-archive", "docker-archive"];

/// A `docker save` archive of two images that have one name, as merged archives have it.
fn write_saved(env: &TestEnv, (first, second): (&str, &str)) {
    let file = |at: usize, image: &Image| {
        let config = image.top().blobs().next().unwrap();
        let layer = image.top().blobs().nth(1).unwrap();
        env.write(
            format!("saved/{at}.json"),
            &image.blob(&config.digest).unwrap().bytes,
        );
        env.write(
            format!("saved/{at}.tar"),
            &image.blob(&layer.digest).unwrap().bytes,
        );
    };
    for (at, seed) in [(1, 10), (2, 20)] {
        let layer =
            hod_testkit::images::layer(seed, 700, hod_testkit::images::Compression::Uncompressed);
        file(at, &ImageBuilder::docker(seed).layer(&layer).build());
    }
    let list = serde_json::json!([
        {"Config": "1.json", "RepoTags": [first], "Layers": ["1.tar"]},
        {"Config": "2.json", "RepoTags": [second], "Layers": ["2.tar"]},
    ]);
    env.write("saved/manifest.json", list.to_string());
    write_tar(env, "saved", "saved.tar");
}

#[test]
fn different_images_of_one_name_are_refused_before_anything_moves() {
    for spelling in SPELLINGS {
        let (env, target) = (TestEnv::new(), TestRegistry::start());
        let (one, two) = (image(1), image(2));
        write_layout(&env, "layout", &[(spelling.0, &one), (spelling.1, &two)]);
        write_tar(&env, "layout", "layout.tar");
        write_saved(&env, spelling);
        let before = tree(&env.work());
        for source in ["layout", "layout.tar", "saved.tar"] {
            let mut lines = vec![
                format!("push {source} {}", target.host()),
                format!("push {source} {} --dry-run", target.host()),
                format!("pack {source} --output new.tar --no-tool"),
                format!("unpack {source} --output new"),
            ];
            for format in FORMATS {
                lines.push(format!("export {source} --format {format} --output new"));
            }
            for line in lines {
                let output = env.run_line(&line).exits(2);
                says(
                    &output,
                    &["claimed by different images", "`library/nginx:1`: "],
                );
            }
            let output = env.run_line(&format!("verify {source}")).exits(4);
            says(
                &output,
                &["one name for different images: `library/nginx:1`: "],
            );
            let output = env.run_line(&format!("ls {source}")).success();
            says(&output, &["warning: one name for different images"]);
        }
        assert_same(&tree(&env.work()), &before, "all is as it was");
        assert!(target.seen().is_empty());
    }
}

#[test]
fn a_list_chooses_between_images_of_one_name_by_digest() {
    let (env, target) = (TestEnv::new(), TestRegistry::start());
    let (one, two) = (image(1), image(2));
    write_layout(&env, "layout", &[("nginx:1", &one), ("nginx:1", &two)]);
    env.write("both.txt", "nginx:1\n");
    let line = format!("push layout {} --only", target.host());
    let _ = env.run_line(&format!("{line} both.txt")).exits(2);
    env.write("one.txt", format!("nginx@{} nginx:1\n", two.digest()));
    let output = env.run_line(&format!("{line} one.txt")).success();
    says(&output, &[two.digest().as_str()]);
}

#[test]
fn the_same_image_twice_is_one() {
    for (first, second) in SPELLINGS {
        let (env, target) = (TestEnv::new(), TestRegistry::start());
        let image = image(1);
        write_layout(&env, "layout", &[(first, &image), (second, &image)]);
        write_tar(&env, "layout", "layout.tar");
        for source in ["layout", "layout.tar"] {
            let _ = env.run_line(&format!("verify {source}")).success();
            let output = env.run_line(&format!("push {source} {}", target.host()));
            says(&output.success(), &["pushed 1 image"]);
            let line = format!("pack {source} --output {source}.bundle.tar --no-tool");
            says(&env.run_line(&line).success(), &["packed 1 image"]);
            for format in FORMATS {
                let line = format!("export {source} --format {format} --output {source}-{format}");
                says(&env.run_line(&line).success(), &["exported 1 image"]);
            }
        }
        let _ = env.run_line("verify layout.bundle.tar").success();
    }
}

/// Stores and trees have what the registry had that filled them, and that may keep apart what
/// another does not.
#[test]
fn names_that_only_some_registries_keep_apart_are_a_note_of_a_tree() {
    let (env, target) = (TestEnv::new(), TestRegistry::start());
    let store = env.store("store");
    image(1).put_in(&store, "nginx:1");
    image(2).put_in(&store, "library/nginx:1");
    let output = env.run_line("verify store").success();
    says(
        &output,
        &["one name for different images: `library/nginx:1`: "],
    );
    let _ = env
        .run_line(&format!("push store {}", target.host()))
        .exits(2);
    assert!(target.seen().is_empty());
    image(1).put_in(&store, "library/nginx:1");
    let output = env.run_line(&format!("push store {}", target.host()));
    says(&output.success(), &["pushed 1 image"]);
}
