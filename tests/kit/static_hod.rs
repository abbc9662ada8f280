//! The program under test, linked statically: what `make dist` builds, of the code that is tested.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::env::{finish, program};

static STATIC_HOD: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(link);

/// The path of a static hod, which is linked once for all tests.
pub fn static_hod() -> &'static Path {
    &STATIC_HOD.1
}

/// Links the library that the tests were built with, which is all but the last step of a build.
fn link() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::Builder::new()
        .prefix("hod-static-")
        .tempdir()
        .unwrap();
    let output = dir.path().join("hod");
    let deps = program().with_file_name("deps");
    let is_ours = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.starts_with("libhod-") && name.ends_with(".rlib")
    };
    let names = hod_fsx::read_dir_names(&deps).unwrap();
    let libraries = names
        .iter()
        .filter(|name| is_ours(name))
        .map(|name| deps.join(name));
    // Others are left from builds with other flags.
    let newest = libraries.max_by_key(|path| hod_fsx::stat(path).unwrap().modified);
    let mut library = std::ffi::OsString::from("hod=");
    library.push(newest.expect("the tests are linked with it"));
    let mut dependencies = std::ffi::OsString::from("dependency=");
    dependencies.push(&deps);
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/main.rs");
    let mut rustc = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"));
    rustc.args([
        "--edition",
        "2024",
        "--crate-name",
        "hod",
        "--crate-type",
        "bin",
    ]);
    rustc.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"]);
    rustc
        .arg("--extern")
        .arg(library)
        .arg("-L")
        .arg(dependencies);
    let _ = finish(rustc.arg(main).arg("-o").arg(&output)).success();
    (dir, output)
}
