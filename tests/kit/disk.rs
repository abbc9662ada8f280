//! A small file system of its own, to be filled.

use std::path::{Path, PathBuf};

use super::env::{TestEnv, finish};
use super::programs::{is_ci, note};

/// A file system in memory, mounted below a test's working directory and gone when it is dropped.
#[derive(Debug)]
pub struct SmallDisk<'a> {
    env: &'a TestEnv,
    path: PathBuf,
}

impl<'a> SmallDisk<'a> {
    /// Mounts `name` with these options of tmpfs.
    ///
    /// `None` where that is not permitted, with a note; under `CI=true` the test fails.
    #[track_caller]
    pub fn mount(env: &'a TestEnv, name: &str, options: &str) -> Option<Self> {
        let path = env.path(name);
        hod_fsx::create_dir_all(&path).unwrap();
        let mut mount = env.command("mount");
        mount.args(["-t", "tmpfs", "-o", options, "hod-test"]);
        let output = finish(mount.arg(&path));
        if output.code == Some(0) {
            return Some(Self { env, path });
        }
        let why = output.stderr.trim();
        assert!(!is_ci(), "this test cannot be left out here: {why}");
        note(&format!("note: a test was left out: {why}"));
        None
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it other options.
    #[track_caller]
    pub fn remount(&self, options: &str) {
        let mut mount = self.env.command("mount");
        let options = format!("remount,{options}");
        let _ = finish(mount.args(["-o", &options]).arg(&self.path)).success();
    }

    /// Takes all the room that is left; [`SmallDisk::free`] gives it back.
    #[track_caller]
    pub fn fill(&self) {
        let filler = vec![1; 64 * 1024];
        let mut temp = hod_fsx::TempFile::create_in(&self.path, "filler-").unwrap();
        while temp.write_all(&filler).is_ok() {}
        let path = self.path.join("filler");
        temp.persist(&path, hod_fsx::Durability::Deferred).unwrap();
        assert_eq!(hod_fsx::available(&self.path).unwrap(), 0);
    }

    #[track_caller]
    pub fn free(&self) {
        hod_fsx::remove_file(&self.path.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, so that it goes even when a failed test left a program in it.
        let _ = finish(self.env.command("umount").arg("-l").arg(&self.path));
    }
}
