//! The installer that a bundle carries, as an operator runs it.

mod chroot;
mod fake;
mod forms;
mod packed;
mod serving;

use std::path::PathBuf;
use std::process::Command;

use hod_testkit::disk::SmallDisk;
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;
use hod_testkit::static_hod::static_hod;
use hod_testkit::tree::remove_tree;

/// The shells that it must run under.
const SHELLS: [&[&str]; 3] = [&["busybox", "sh"], &["dash"], &["bash", "--posix"]];

/// A place with a bundle in `at`, and its installer taken out of it.
struct Site {
    env: TestEnv,
    at: &'static str,
}

impl Site {
    /// Packs `site.tar` with a hod that runs anywhere.
    fn new(at: &'static str) -> Self {
        Self::packed(at, ("site.tar", &[]))
    }

    /// Packs a bundle of this name and with these flags, which say how.
    fn packed(at: &'static str, (bundle, flags): (&str, &[&str])) -> Self {
        let env = TestEnv::in_memory();
        let store = env.store("store");
        for n in 0..2 {
            let large = layer(n + 10, 50_000, Compression::Uncompressed);
            let image = ImageBuilder::oci(n).layer(&large).build();
            image.put_in(&store, &format!("app/{n}:1"));
        }
        drop(store);
        hod_fsx::create_dir_all(&env.path(at)).unwrap();
        let site = Self { env, at };
        let tool = static_hod().to_str().unwrap();
        let output = site.path(bundle);
        let output = ["--output", output.to_str().unwrap(), "--tool", tool];
        let args = ["pack", "store"].iter().chain(&output).chain(flags);
        let _ = site.env.run(args).success();
        // Any of its files has it.
        let mut tar = site.env.command("tar");
        let names = hod_fsx::read_dir_names(&site.path("")).unwrap();
        tar.arg("-xf").arg(names.last().unwrap()).arg("install.sh");
        let _ = finish(tar.current_dir(site.env.path(at))).success();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.env.path(self.at).join(name)
    }

    /// The installer under a shell, to be given arguments.
    fn install(&self, shell: &[&str]) -> Command {
        let mut command = self.env.command(shell[0]);
        command.args(&shell[1..]).arg(self.path("install.sh"));
        command
    }

    fn log(&self) -> String {
        self.env.read(format!("{}/install.log", self.at))
    }

    /// Nothing was left where the tool ran.
    #[track_caller]
    fn check_tidy(&self) {
        let left = hod_fsx::read_dir_names(&self.env.tmp()).unwrap();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Changes a byte of a file in the middle of what `find` finds in it.
    fn damage(&self, name: &str, find: &[u8]) {
        let path = self.path(name);
        let mut bytes = hod_fsx::read(&path, u64::MAX - 1).unwrap();
        let at = bytes
            .windows(find.len())
            .position(|part| part == find)
            .unwrap();
        bytes[at + find.len() / 2] ^= 1;
        hod_fsx::write_file(&path, &bytes).unwrap();
    }
}

#[track_caller]
fn contains(output: &Output, text: &str) {
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains(text), "no `{text}` in\n{all}");
}

#[test]
fn it_fills_a_registry_and_a_second_run_moves_nothing() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = Site::new("with blanks, it's");
    for shell in SHELLS {
        let registry = TestRegistry::start();
        let run = |more: &[&str]| {
            let mut command = site.install(shell);
            let output = finish(command.args(["--registry", registry.host()]).args(more));
            site.check_tidy();
            output.success()
        };
        let output = run(&["--dry-run"]);
        contains(&output, "Dry run: nothing was changed");
        let head = registry.send("HEAD", "/v2/app/0/manifests/1");
        assert_eq!(head.status, 404, "{shell:?}");
        contains(&run(&[]), "pushed 2 images: ");
        let head = registry.send("HEAD", "/v2/app/0/manifests/1");
        assert_eq!(head.status, 200, "{shell:?}");
        contains(
            &run(&[]),
            "pushed 2 images (2 unchanged): nothing to transfer",
        );
        contains(&run(&["--skip-verify", "--project=p"]), "pushed 2 images");
        assert_eq!(registry.send("HEAD", "/v2/p/app/0/manifests/1").status, 200);
    }
    let log = site.log();
    // Each is said by the dry run before it too.
    assert_eq!(
        log.matches("(2 unchanged): nothing to transfer").count(),
        6,
        "{log}"
    );
    assert_eq!(log.matches("$ hod verify ").count(), 3 * 3, "{log}");
}

#[test]
fn what_is_damaged_or_missing_is_refused() {
    let site = Site::new("site");
    let registry = TestRegistry::start();
    let run = || {
        let mut command = site.install(&["dash"]);
        finish(command.args(["--registry", registry.host()]))
    };
    // The tool lies beside the script, and is another.
    site.env
        .write("site/hod/bin/hod-linux-amd64", "#!/bin/sh\n");
    contains(&run().exits(4), "is not the hod of this bundle");
    remove_tree(&site.path("hod")).unwrap();
    // A blob.
    let whole = hod_fsx::read(&site.path("site.tar"), u64::MAX - 1).unwrap();
    let blob = layer(10, 50_000, Compression::Uncompressed).blob.bytes;
    site.damage("site.tar", &blob[20_000..30_000]);
    contains(&run().exits(4), "install.sh ends with exit code 4");
    assert_eq!(registry.send("HEAD", "/v2/app/0/manifests/1").status, 404);
    // The tool in the bundle.
    hod_fsx::write_file(&site.path("site.tar"), &whole).unwrap();
    let tool = hod_fsx::read(static_hod(), u64::MAX - 1).unwrap();
    site.damage("site.tar", &tool[100_000..101_000]);
    contains(&run().exits(4), "is damaged: expected sha256");
    // All of it.
    hod_fsx::remove_file(&site.path("site.tar")).unwrap();
    contains(&run().exits(5), "site.tar or site.001.tar not found in");
    site.check_tidy();
}

#[test]
fn a_read_only_medium_and_noexec_directories_will_do() {
    let site = Site::new("site");
    let Some(disk) = SmallDisk::mount(&site.env, "dvd", "size=200m") else {
        return;
    };
    let Some(noexec) = SmallDisk::mount(&site.env, "noexec", "size=200m,noexec") else {
        return;
    };
    for name in ["site.tar", "install.sh"] {
        let bytes = hod_fsx::read(&site.path(name), u64::MAX - 1).unwrap();
        hod_fsx::write_file(&disk.path().join(name), &bytes).unwrap();
    }
    disk.remount("ro");
    let registry = TestRegistry::start();
    let mut command = site.env.command("dash");
    command
        .arg(disk.path().join("install.sh"))
        .env("TMPDIR", noexec.path());
    let output = finish(command.args(["--registry", registry.host()])).success();
    contains(&output, "pushed 2 images: ");
    assert!(site.env.read("install.log").contains("pushed 2 images: "));
    assert_eq!(hod_fsx::read_dir_names(noexec.path()).unwrap().len(), 0);
}

#[test]
fn the_script_is_clean() {
    if !programs::are_here(&["shellcheck"]) {
        return;
    }
    let site = Site::new("site");
    let mut shellcheck = site.env.command("shellcheck");
    let output = finish(shellcheck.args(["-s", "sh"]).arg(site.path("install.sh")));
    assert_eq!(output.stdout, "");
    let _ = output.success();
}
