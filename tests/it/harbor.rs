//! Pushing into a Harbor, against a stand-in that follows Harbor's source.

mod findings;
mod push;
mod refusals;

use base64::Engine as _;
use hod::fsx;

use crate::support::env::{Output, TestEnv};
use crate::support::harbor::{Harbor, Kind, Role};
use crate::support::images::{Image, image};

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
        fsx::write_file(&path, config.as_bytes()).unwrap();
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
        let text = output.snapshot(&[(self.harbor.host(), "harbor.corp")]);
        // What is under way and how long it took is for others to test.
        let is_steady = |line: &&str| !line.starts_with("retry:");
        let lines: Vec<&str> = text.lines().filter(is_steady).collect();
        lines.join("\n")
    }
}

/// The image of `offline/app:1` where nothing matters but that there is one.
pub(crate) fn app() -> Image {
    image(600)
}
