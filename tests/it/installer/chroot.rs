//! A machine that has nothing: a few applets of busybox, and the bundle.

use std::process::Command;

use super::{Site, contains};
use hod_testkit::env::finish;
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;

/// All that the installer may use, where the tool is still in the bundle.
const APPLETS: [&str; 8] = [
    "sh",
    "tar",
    "sha256sum",
    "uname",
    "mkdir",
    "rm",
    "chmod",
    "cat",
];

/// Makes the site's directory the root of such a machine; `None` where that is not permitted.
fn machine(site: &Site) -> Option<()> {
    if !programs::are_here(&["busybox"]) {
        return None;
    }
    if hod_fsx::user_id() != 0 {
        assert!(
            !programs::is_ci(),
            "this test needs root, and cannot be left out here"
        );
        programs::note("note: a test was left out: chroot needs root");
        return None;
    }
    let script = "mkdir bin dev tmp; cp \"$(command -v busybox)\" bin/busybox; mknod dev/null c 1 3; \
                  for applet; do ln -s busybox bin/$applet; done";
    let mut sh = site.env.command("sh");
    sh.args(["-e", "-c", script, "sh"]).args(APPLETS);
    let _ = finish(sh.current_dir(site.path(""))).success();
    Some(())
}

fn chroot(site: &Site) -> Command {
    let mut command = Command::new("/usr/sbin/chroot");
    command.arg(site.path("")).env_clear().env("PATH", "/bin");
    command
}

#[test]
fn a_bare_chroot_with_busybox_is_enough() {
    let site = Site::new("root");
    let Some(()) = machine(&site) else { return };
    let registry = TestRegistry::start();
    for expected in [
        "pushed 2 images: transferred",
        "pushed 2 images (2 unchanged): nothing to transfer",
    ] {
        let mut command = chroot(&site);
        command.args(["/bin/sh", "/install.sh", "--registry", registry.host()]);
        let output = finish(&mut command).success();
        contains(&output, expected);
        assert!(site.log().contains(expected));
        assert_eq!(hod_fsx::read_dir_names(&site.path("tmp")).unwrap().len(), 0);
    }
    assert_eq!(registry.send("HEAD", "/v2/app/1/manifests/1").status, 200);
}

#[test]
fn what_a_machine_lacks_is_named() {
    let site = Site::new("site");
    hod_fsx::create_dir_all(&site.env.path("bin")).unwrap();
    let run = |applets: &str| {
        let script =
            format!("rm -f *; for name in {applets}; do ln -s \"$(command -v $name)\" .; done");
        let mut sh = site.env.command("sh");
        sh.args(["-e", "-c", &script])
            .current_dir(site.env.path("bin"));
        let _ = finish(&mut sh).success();
        let mut command = site.install(&["/usr/bin/dash"]);
        command.env("PATH", site.env.path("bin"));
        finish(command.args(["--registry", "127.0.0.1:1"]))
    };
    contains(&run("uname").exits(5), "tar not found");
    let some = "uname tar mkdir rm chmod";
    contains(&run(some).exits(5), "sha256sum not found");
    site.check_tidy();
    hod_fsx::create_dir_all(&site.env.path("bin-of-another")).unwrap();
    let foreign = site
        .env
        .write("bin-of-another/uname", "#!/bin/sh\necho mips64\n");
    let _ = finish(site.env.command("chmod").arg("+x").arg(&foreign)).success();
    let mut command = site.install(&["/usr/bin/dash"]);
    command.env("PATH", foreign.parent().unwrap());
    let output = finish(command.args(["--registry", "127.0.0.1:1"])).exits(5);
    contains(&output, "contains no hod for mips64, only for amd64");
}
