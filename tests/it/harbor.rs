//! Pushing into a Harbor, against a stand-in that follows Harbor's source.

mod anonymous;
mod findings;
mod looking;
mod names;
mod outages;
mod projects;
mod push;
mod refusals;
mod stand_in;
mod tokens;

use base64::Engine as _;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::harbor::{Harbor, Kind, Role};
use hod_testkit::images::{Image, image};

/// A place with a Harbor, logins for it, and a store `store` of a few images.
pub(crate) struct Site {
    pub env: TestEnv,
    pub harbor: Harbor,
}

impl Site {
    /// One with a project `offline`, into which `robot$ci` may push, and logged in as that.
    pub(crate) fn new() -> Self {
        let site = Self {
            env: TestEnv::new(),
            harbor: Harbor::start(),
        };
        site.harbor
            .add_account(Kind::ProjectRobot, "robot$offline+ci", "s3cret");
        let members = [("robot$offline+ci", Role::Maintainer)];
        site.harbor.state().add_project("offline", &members);
        site.log_in("robot$offline+ci", "s3cret");
        site
    }

    /// One with an empty Harbor, and logged in as its administrator.
    pub(crate) fn fresh() -> Self {
        let site = Self {
            env: TestEnv::new(),
            harbor: Harbor::start(),
        };
        site.log_in("admin", "Harbor12345");
        site
    }

    /// Writes the login where docker would.
    pub(crate) fn log_in(&self, user: &str, password: &str) {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let host = self.harbor.host();
        let config = format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
        let path = self.env.home().join(".docker/config.json");
        hod_fsx::write_file(&path, config.as_bytes()).unwrap();
    }

    /// Puts an image into the store.
    pub(crate) fn add(&self, name: &str, image: &Image) {
        image.put_in(&self.env.store("store"), name);
    }

    /// Pushes all of the store.
    pub(crate) fn push(&self, flags: &str) -> Output {
        let host = self.harbor.host();
        self.env.run_line(&format!("push store {host} {flags}"))
    }

    /// The end of a run, without what differs from run to run.
    pub(crate) fn shown(&self, output: &Output) -> String {
        shown(output, self.harbor.host())
    }
}

/// The end of a run against `host`, without what differs from run to run.
pub(crate) fn shown(output: &Output, host: &str) -> String {
    // As long as what it stands for, so that tables and hints keep their shape.
    let name = match host.len() {
        15 => "harbor.corp:443",
        13 => "hub.corp:5000",
        len => panic!("no name of {len} characters"),
    };
    let text = output.snapshot(&[(host, name)]);
    let masks = [
        ("request req-", ")", "ID"),
        ("/blobs/uploads/", " ", "UUID"),
        ("current usage of ", " ", "N"),
        ("/hod-test-", "/", "TEST"),
    ];
    // What is under way, and in which order, is for others to test.
    let is_steady = |line: &&str| {
        let passing = ["retry:", "failed:", "looking at"];
        !passing.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<String> = text
        .lines()
        .filter(is_steady)
        .map(|line| {
            let mask = |line: String, (before, after, name): &(&str, &str, &str)| {
                mask(&line, (before, after), name)
            };
            masks.iter().fold(line.to_owned(), mask)
        })
        .collect();
    lines.join("\n")
}

/// Puts `name` in place of what stands between two texts.
fn mask(line: &str, (before, after): (&str, &str), name: &str) -> String {
    let Some((head, rest)) = line.split_once(before) else {
        return line.to_owned();
    };
    match rest.split_once(after) {
        Some((what, tail)) if !what.is_empty() => format!("{head}{before}[{name}]{after}{tail}"),
        _ => line.to_owned(),
    }
}

/// The image of `offline/app:1` where nothing matters but that there is one.
pub(crate) fn app() -> Image {
    image(600)
}
