//! Flags mean the same with every verb that moves images.

use std::collections::BTreeMap;

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Format, ImageBuilder, image, index};
use hod_testkit::referrers::about;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::exists;

/// Where a verb puts what it moves.
const OUT: &str = "out";

/// Three images at a registry, in a store and in a bundle; one is an index of two platforms, one
/// has a referrer, and one comes from a registry that its line names.
struct Site {
    env: TestEnv,
    from: TestRegistry,
    /// Whose host is in the names.
    other: TestRegistry,
    arm: String,
}

/// Moves images with `verb`: the line, up to the flags.
struct Verb {
    name: &'static str,
    line: String,
    /// What `ls` is given to see the result.
    result: String,
    target: Option<TestRegistry>,
    /// Whether its lists are arguments.
    has_lists: bool,
}

impl Site {
    fn new() -> Self {
        let env = TestEnv::new();
        let (from, other) = (TestRegistry::start(), TestRegistry::start());
        let arm = ImageBuilder::oci(2).platform("linux", "arm64").build();
        from.add("app/multi:1", &index(Format::Oci, &[image(1), arm.clone()]));
        let signed = image(3);
        from.add("app/signed:1", &signed);
        from.add(
            "app/signed",
            &about(signed.top(), "application/spdx+json", 4),
        );
        other.add("team/web:1", &image(5));
        let web = format!("{}/team/web:1", other.host());
        env.write(
            "all.txt",
            format!("##one\napp/multi:1\n##two\napp/signed:1\n{web}\n"),
        );
        let site = Self {
            arm: arm.digest().to_string(),
            env,
            from,
            other,
        };
        let pull = format!("{} --store store", site.pull());
        site.env.run_line(&pull).success();
        site.env
            .run_line("pack store --output whole.tar --no-tool")
            .success();
        site
    }

    fn pull(&self) -> String {
        let registries = format!("--source {}", self.from.host());
        format!("pull all.txt {registries} --platform all")
    }

    fn web(&self) -> String {
        format!("{}/team/web", self.other.host().replace(':', "_"))
    }

    fn verbs(&self) -> Vec<Verb> {
        let local = |name, line: &str, has_lists| Verb {
            name,
            line: line.to_owned(),
            result: match name {
                "pack" => format!("{OUT}.tar"),
                _ => OUT.to_owned(),
            },
            target: None,
            has_lists,
        };
        let remote = |name, line: &str| {
            let target = TestRegistry::start();
            Verb {
                name,
                line: format!("{line} {}", target.host()),
                result: target.host().to_owned(),
                target: Some(target),
                has_lists: false,
            }
        };
        vec![
            local("pull", &format!("{} --store {OUT}", self.pull()), true),
            local(
                "select",
                &format!("select all.txt --store store --output {OUT}"),
                true,
            ),
            local(
                "pack",
                &format!("pack all.txt --store store --output {OUT}.tar --no-tool"),
                true,
            ),
            local("unpack", &format!("unpack whole.tar --output {OUT}"), false),
            local("export", &format!("export whole.tar --output {OUT}"), false),
            remote("push", "push whole.tar"),
            remote("copy", "copy whole.tar"),
        ]
    }

    /// Runs a verb with a flag, and returns what is there then: name to digest, platforms and number
    /// of referrers.
    fn run(&self, verb: &Verb, flag: &str) -> BTreeMap<String, (String, Vec<String>, u64)> {
        let _ = std::process::Command::new("rm")
            .args(["-rf", OUT, &format!("{OUT}.tar")])
            .current_dir(self.env.work())
            .status()
            .unwrap();
        let line = match flag
            .strip_prefix("--platform")
            .or(flag.strip_prefix("--index"))
        {
            // Only a pull has them already.
            Some(_) => format!("{} {flag}", verb.line.replace(" --platform all", "")),
            None => format!("{} {flag}", verb.line),
        };
        let output = self.env.run_line(&line);
        assert_eq!(output.code, Some(0), "{line}: {}", output.stderr);
        let listed = self.env.run_line(&format!("ls {} --json", verb.result));
        if listed.code != Some(0) {
            return BTreeMap::new();
        }
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        let images = listed["images"].as_array().unwrap().iter();
        let image = |image: &Value| {
            let platforms = image["platforms"].as_array().unwrap().iter();
            let name = image["image"].as_str().unwrap();
            let name = match &verb.target {
                Some(target) => name.replace(&format!("{}/", target.host()), ""),
                None => name.to_owned(),
            };
            let facts = (
                image["digest"].as_str().unwrap().to_owned(),
                platforms.map(|p| p.as_str().unwrap().to_owned()).collect(),
                image["referrers"].as_u64().unwrap(),
            );
            (name, facts)
        };
        images.map(image).collect()
    }
}

#[test]
fn what_is_chosen_and_renamed() {
    let site = Site::new();
    let (env, web) = (&site.env, site.web());
    env.write("some.txt", "app/signed:1\n");
    for at in 0..7 {
        // A registry of its own for each flag, since what one leaves would be seen by the next.
        let names = |flag: &str| {
            let verb = site.verbs().swap_remove(at);
            let has = site.run(&verb, flag);
            has.into_keys().collect::<Vec<_>>().join(" ")
        };
        let verb = site.verbs().swap_remove(at);
        let name = verb.name;
        let (multi, signed) = ("app/multi:1", "app/signed:1");
        let mut all = [multi.to_owned(), signed.to_owned(), format!("{web}:1")];
        all.sort();
        assert_eq!(names(""), all.join(" "), "{name}");
        if verb.has_lists {
            assert_eq!(names("--section one"), multi, "{name}");
        } else {
            assert_eq!(names("--only some.txt"), signed, "{name}");
            assert_eq!(names("--only all.txt --section one"), multi, "{name}");
        }
        assert_eq!(
            names("--strip-host"),
            format!("{multi} {signed} team/web:1"),
            "{name}"
        );
        let of_project = all.iter().map(|image| format!("p/{image}"));
        assert_eq!(
            names("--project p"),
            of_project.collect::<Vec<_>>().join(" "),
            "{name}"
        );
        assert_eq!(
            names("--strip-host --rename app/*=base/*"),
            "base/multi:1 base/signed:1 team/web:1",
            "{name}"
        );
    }
}

#[test]
fn what_is_carried() {
    let site = Site::new();
    for at in 0..7 {
        let verb = || site.verbs().swap_remove(at);
        let name = verb().name;
        let whole = site.run(&verb(), "");
        assert_eq!(whole["app/multi:1"].1.len(), 2, "{name}");
        assert_eq!(whole["app/signed:1"].2, 1, "{name}");
        let bare = site.run(&verb(), "--no-referrers");
        assert_eq!(bare["app/signed:1"].2, 0, "{name}");
        assert_eq!(bare["app/signed:1"].0, whole["app/signed:1"].0, "{name}");
        let arm = site.run(&verb(), "--platform linux/arm64");
        assert_eq!(arm["app/multi:1"].0, site.arm, "{name}");
        let index = site.run(&verb(), "--platform linux/arm64 --index rewrite");
        assert_ne!(index["app/multi:1"].0, site.arm, "{name}");
        assert_ne!(index["app/multi:1"].0, whole["app/multi:1"].0, "{name}");
        assert_eq!(index["app/multi:1"].1, ["linux/arm64"], "{name}");
    }
}

#[test]
fn how_a_run_goes_and_what_it_writes() {
    let site = Site::new();
    for at in 0..7 {
        let verb = || site.verbs().swap_remove(at);
        let name = verb().name;
        assert!(site.run(&verb(), "--dry-run").is_empty(), "{name}");
        let flags = "--report report.json --retry-list retry.txt --digest-file digests.txt";
        let flags = if verb().has_lists {
            format!("{flags} --section two --fail-fast")
        } else {
            format!("{flags} --only all.txt --section two --fail-fast")
        };
        let has = site.run(&verb(), &flags);
        assert_eq!(has.len(), 2, "{name}");
        let report: Value = serde_json::from_str(&site.env.read("report.json")).unwrap();
        assert_eq!(report["images"].as_array().unwrap().len(), 2, "{name}");
        assert!(exists(&site.env.path("retry.txt")), "{name}");
        let digests = site.env.read("digests.txt");
        for (digest, _, _) in has.values() {
            assert!(digests.contains(digest.as_str()), "{name}: {digests}");
        }
        for file in ["report.json", "retry.txt", "digests.txt"] {
            hod_fsx::remove_file(&site.env.path(file)).unwrap();
        }
        let verb = verb();
        let line = format!("{} --json", verb.line);
        let _ = std::process::Command::new("rm")
            .args(["-rf", OUT, &format!("{OUT}.tar")])
            .current_dir(site.env.work())
            .status()
            .unwrap();
        let output = site.env.run_line(&line).success();
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(document.is_object(), "{line}");
    }
}
