//! The menagerie in a registry, with the lists and the first steps that many tests share.

use std::path::PathBuf;

use super::env::{Output, TestEnv};
use super::images::menagerie;
use super::registry::TestRegistry;

/// A place with a registry that has one of everything, under `zoo/<kind>:1`.
#[derive(Debug)]
pub struct Zoo {
    pub env: TestEnv,
    pub registry: TestRegistry,
    /// The lines of `all.txt`.
    pub lines: Vec<String>,
}

impl Zoo {
    pub fn new() -> Self {
        let env = TestEnv::in_memory();
        let registry = TestRegistry::start();
        let mut lines = Vec::new();
        for (kind, image) in menagerie() {
            let name = format!("zoo/{kind}:1");
            registry.add(&name, &image);
            lines.push(name);
        }
        env.write("all.txt", lines.join("\n"));
        Self {
            env,
            registry,
            lines,
        }
    }

    /// Pulls everything, on all platforms, into `store`.
    pub fn pull(&self, store: &str) -> Output {
        self.env.run_line(&self.pull_line(store))
    }

    /// The arguments that do so.
    pub fn pull_line(&self, store: &str) -> String {
        let host = self.registry.host();
        format!("pull all.txt --store {store} --source {host} --platform all")
    }

    /// A place that has everything in the store `store`.
    pub fn pulled() -> (Self, PathBuf) {
        let zoo = Self::new();
        let _ = zoo.pull("store").success();
        let store = zoo.env.path("store");
        (zoo, store)
    }
}
