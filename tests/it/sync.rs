//! `hod sync`, and hod called as `image-syncer`.

mod lists;
mod logins;
mod personality;
mod syncer;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

const TAGS: [&str; 5] = ["1.0.0", "1.1.0", "1.1.5", "2.0.0-rc1", "latest"];

/// A registry with every tag in `lab/web`, each of another image.
fn source() -> TestRegistry {
    let registry = TestRegistry::start();
    for (n, tag) in (0..).zip(TAGS) {
        registry.add(&format!("lab/web:{tag}"), &image(10 * n));
    }
    registry
}

/// A registry that asks for the login `robot`, with this password.
fn closed(password: &str) -> TestRegistry {
    let (user, password) = ("robot".to_owned(), password.to_owned());
    TestRegistry::with(RegistryOptions {
        auth: Auth::Basic { user, password },
        ..RegistryOptions::default()
    })
}

/// Runs hod with variables of the environment.
fn run(env: &TestEnv, line: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = env.hod();
    command.args(line.split_whitespace());
    finish(command.envs(variables.iter().copied()))
}

/// What a registry has: each tag with the beginning of its digest.
fn content(registry: &TestRegistry) -> Vec<String> {
    let images = registry.store().images().unwrap().images;
    let mut names: Vec<String> = images
        .iter()
        .map(|image| {
            let digest = &image.digest.hex()[..8];
            match &image.tag {
                Some(tag) => format!("{}:{tag} {digest}", image.repository),
                None => format!("{}@ {digest}", image.repository),
            }
        })
        .collect();
    names.sort();
    names
}

/// The names of `lab/web` at a target, with the digests that the source has.
fn expect(names: &[(&str, &str)]) -> Vec<String> {
    let of = |tag: &str| {
        let n = TAGS.iter().position(|has| *has == tag).unwrap();
        image(10 * n as u64).digest().hex()[..8].to_owned()
    };
    let mut names: Vec<String> = names
        .iter()
        .map(|(name, tag)| format!("{name} {}", of(tag)))
        .collect();
    names.sort();
    names
}

/// The requests since this was last asked, as `METHOD path`, in the order of their texts.
fn requests(registry: &TestRegistry) -> Vec<String> {
    let seen = registry.take_seen();
    let mut lines: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} {}", seen.method, seen.path))
        .collect();
    lines.sort();
    lines
}
