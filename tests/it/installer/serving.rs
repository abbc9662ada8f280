//! The installer as the first registry of a site that has none.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Stdio};

use super::{SHELLS, Site};
use hod_testkit::env::finish;
use hod_testkit::programs;
use hod_testkit::tree::whole_images;

/// The installer while it serves; it is ended with this.
struct Serving<'a> {
    site: &'a Site,
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: String,
    /// `127.0.0.1:<port>`.
    host: String,
}

impl<'a> Serving<'a> {
    #[track_caller]
    fn start(site: &'a Site, shell: &[&str], more: &[&str]) -> Self {
        // A shell cannot trap what was ignored when it began, as it is for what runs in the background.
        let mut command = site.install(&[&["env", "--default-signal=INT"][..], shell].concat());
        command.args(["--serve", "127.0.0.1:0"]).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let host = loop {
            let at = said.len();
            let n = stdout.read_line(&mut said).unwrap();
            assert!(n > 0, "it does not serve: {said}");
            if let Some(host) = said[at..].trim().strip_prefix("http://") {
                break host.to_owned();
            }
        };
        Self {
            site,
            child,
            stdout,
            said,
            host,
        }
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let mut kill = self.site.env.command("kill");
        let _ = finish(kill.args([signal, "--", &group]));
    }

    /// Ends it as Ctrl-C does; returns its exit code, which is hod's, and all that it said.
    fn end(mut self) -> (Option<i32>, String) {
        self.signal("-INT");
        self.stdout.read_to_string(&mut self.said).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        // All of the group, of which hod is the last; after its end there is none.
        if self.child.try_wait().unwrap().is_none() {
            self.signal("-KILL");
            let _ = self.child.wait();
        }
    }
}

#[test]
fn a_site_without_a_registry_pulls_from_the_bundle() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = Site::new("site");
    site.env.write("all.txt", "app/0:1\napp/1:1\n");
    let expected = whole_images(&site.env.path("store"));
    for (n, shell) in SHELLS.into_iter().enumerate() {
        let serving = Serving::start(&site, shell, &[]);
        let host = &serving.host;
        let pull = format!("pull all.txt --source {host} --platform all --store pulled-{n}");
        let _ = site.env.run_line(&pull).success();
        let pulled = whole_images(&site.env.path(format!("pulled-{n}")));
        assert_eq!(pulled, expected, "{shell:?}");
        // It is the bundle itself, in which nothing can be put.
        let push = format!("push store {host} --project more");
        assert_ne!(site.env.run_line(&push).code, Some(0), "{shell:?}");
        let (code, said) = serving.end();
        assert_eq!(code, Some(130), "{shell:?}: {said}");
        assert!(said.contains("$ hod verify "), "{said}");
        assert!(!said.contains("$ hod unpack "), "{said}");
        site.check_tidy();
    }
}

#[test]
fn with_a_data_directory_it_accepts_pushes_when_asked_and_keeps_them() {
    let site = Site::new("site");
    site.env.write("all.txt", "app/0:1\napp/1:1\n");
    site.env.write("more.txt", "more/app/0:1\nmore/app/1:1\n");
    let data = site.env.path("registry's data");
    let more = [
        "--data",
        data.to_str().unwrap(),
        "--skip-verify",
        "--",
        "--writable",
    ];
    for (n, list) in ["all.txt", "more.txt"].into_iter().enumerate() {
        // The second time with what it was given the first time.
        let serving = Serving::start(&site, &["dash"], &more);
        let host = &serving.host;
        let pull = format!("pull {list} --source {host} --platform all --store pulled-{n}");
        let _ = site.env.run_line(&pull).success();
        let push = format!("push store {host} --project more");
        let _ = site.env.run_line(&push).success();
        let (code, said) = serving.end();
        assert_eq!(code, Some(130), "{said}");
        assert!(!said.contains("$ hod verify "), "{said}");
        assert_eq!(whole_images(&data).len(), 4);
        site.check_tidy();
    }
    let log = site.log();
    assert_eq!(log.matches("$ hod unpack ").count(), 2, "{log}");
    for (words, said) in [
        (["--data", "d"], "`--data` requires `--serve`"),
        (
            ["--serve", "127.0.0.1:0"],
            "`--registry` and `--serve` cannot be combined",
        ),
    ] {
        let mut install = site.install(&["dash"]);
        let output = finish(install.args(["--registry", "r"]).args(words)).exits(2);
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    assert!(hod_fsx::try_stat(&site.env.path("d")).unwrap().is_none());
}
