//! Killed at any moment, a run leaves nothing half done to be seen, and the next one ends the work.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use hod_oci::Digest;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::faults::{Effect, Fault, any_path, blob_path, upload_path};
use hod_testkit::images::{Compression, ImageBuilder, index, layer, menagerie};
use hod_testkit::random::Random;
use hod_testkit::registry::{RegistryOptions, TestRegistry};
use hod_testkit::tree::{
    Tree, assert_same, exists, files, read, registry_tree, remove_tree, tree, whole_images,
};

/// How often each verb is killed at the start of its work; after a second kill it runs to its end.
const ROUNDS: usize = 5;
const SIGKILL: i32 = 9;

/// A store with enough in it for work on it to take a while, and all that is made of it.
struct Site {
    env: TestEnv,
    images: BTreeMap<String, Digest>,
    tree: Tree,
}

impl Site {
    /// Opens the site with its store, `store`, and the list of all its images, `all.txt`.
    fn new() -> Self {
        let env = TestEnv::in_memory();
        let store = env.store("store");
        for (kind, image) in menagerie() {
            image.put_in(&store, &format!("zoo/{kind}:1"));
        }
        let shared = layer(1000, 60_000, Compression::Uncompressed);
        for n in 0..16 {
            let of = |platform: &str, seed: u64| {
                let own = layer(seed, 40_000, Compression::Uncompressed);
                let builder = ImageBuilder::oci(seed).platform("linux", platform);
                builder.layer(&shared).layer(&own).build()
            };
            let both = [of("amd64", 2000 + n), of("arm64", 3000 + n)];
            let image = index(hod_testkit::images::Format::Oci, &both);
            // Two tags a repository, and one image in many repositories.
            image.put_in(&store, &format!("app/{}:{n}", n / 2));
        }
        drop(store);
        let path = env.path("store");
        let images = whole_images(&path);
        let lines: Vec<&str> = images.keys().map(String::as_str).collect();
        env.write("all.txt", lines.join("\n"));
        let tree = registry_tree(&path);
        Self { env, images, tree }
    }

    /// Checks that a store shows nothing but whole images of the site; returns how many.
    #[track_caller]
    fn check_visible(&self, store: &Path) -> usize {
        let visible = whole_images(store);
        for (name, digest) in &visible {
            assert_eq!(self.images.get(name), Some(digest), "{name}");
        }
        visible.len()
    }

    /// Checks that a store has all of the site, and nothing of ours left over.
    #[track_caller]
    fn check_complete(&self, store: &str) {
        let path = self.env.path(store);
        assert_same(&registry_tree(&path), &self.tree, store);
        assert_eq!(self.check_visible(&path), self.images.len());
        assert_eq!(
            hod_fsx::read_dir_names(&path.join(".hod/tmp"))
                .unwrap()
                .len(),
            0
        );
        let _ = self.env.run_line(&format!("verify {store}")).success();
    }

    fn start(&self, line: &str) -> Child {
        let mut command = self.env.hod();
        command.args(line.split_whitespace());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// How long a command takes.
    fn time(&self, line: &str) -> Duration {
        let start = Instant::now();
        let _ = self.env.run_line(line).success();
        start.elapsed()
    }

    /// Starts a command and kills it at a random moment of the time it takes.
    fn kill_within(&self, random: &mut Random, line: &str, time: Duration) {
        let mut child = self.start(line);
        std::thread::sleep(random.time(time));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(
            status.success() || status.signal() == Some(SIGKILL),
            "{line}: {status}"
        );
    }

    /// Kills `line`, whose `{}` is a new output, again and again, each time at a random moment;
    /// `check` looks at the output in between. Then lets it run to its end.
    fn torture(&self, line: &str, rounds: usize, mut check: impl FnMut(&Path, bool)) {
        let mut random = Random::new();
        let at = |output: &str| line.replace("{}", output);
        let time = self.time(&at("whole"));
        for round in 0..rounds {
            let output = format!("killed-{round}");
            let path = self.env.path(&output);
            for _ in 0..2 {
                self.kill_within(&mut random, &at(&output), time);
                check(&path, false);
            }
            let _ = self.env.run_line(&at(&output)).success();
            check(&path, true);
        }
    }

    fn torture_store(&self, line: &str) {
        self.torture(line, ROUNDS, |path, is_done| {
            if is_done {
                self.check_complete(path.file_name().unwrap().to_str().unwrap());
            } else {
                self.check_visible(path);
            }
        });
    }
}

#[test]
fn a_killed_pull_goes_on() {
    let site = Site::new();
    let faults = vec![
        Fault::on("*", any_path).does(Effect::Delay(1)),
        Fault::on("GET", blob_path).does(Effect::Delay(6)),
    ];
    let registry = TestRegistry::with(RegistryOptions {
        faults,
        store: Some(site.env.store("store")),
        ..RegistryOptions::default()
    });
    let host = registry.host();
    let line = format!("pull all.txt --source {host} --platform all --jobs 2 --store {{}}");
    site.torture_store(&line);
    // Another time, with nothing to do.
    let n_gets = registry.n_blob_gets();
    let _ = site.env.run_line(&line.replace("{}", "killed-0")).success();
    assert_eq!(registry.n_blob_gets(), n_gets);
}

#[test]
fn a_killed_select_goes_on() {
    let site = Site::new();
    site.torture_store("select all.txt --store store --output {}");
}

#[test]
fn a_killed_copying_select_goes_on() {
    let site = Site::new();
    site.torture_store("select all.txt --store store --link copy --output {}");
}

#[test]
fn a_killed_unpack_goes_on() {
    let site = Site::new();
    let _ = site.time("pack store --force --output b.tar");
    site.torture_store("unpack b.tar --output {}");
}

#[test]
fn a_killed_unpack_of_a_compressed_bundle_goes_on() {
    let site = Site::new();
    let _ = site.time("pack store --force --output b.tar.zst");
    site.torture_store("unpack b.tar.zst --output {}");
}

#[test]
fn a_killed_pack_leaves_the_old_bundle_and_the_next_one_cleans_up() {
    let site = Site::new();
    for name in ["b.tar", "b.tar.zst"] {
        hod_fsx::create_dir_all(&site.env.path(format!("whole-{name}"))).unwrap();
        for round in 0..ROUNDS {
            hod_fsx::create_dir_all(&site.env.path(format!("{round}-{name}"))).unwrap();
        }
        let line = |dir: &str| format!("pack store --force --output {dir}-{name}/{name}");
        let time = site.time(&line("whole"));
        let whole = read(&site.env.path(format!("whole-{name}/{name}")));
        let mut random = Random::new();
        for round in 0..ROUNDS {
            let dir = site.env.path(format!("{round}-{name}"));
            let bundle = dir.join(name);
            let has_old = round % 2 == 1;
            if has_old {
                hod_fsx::write_file(&bundle, b"old").unwrap();
            }
            for _ in 0..2 {
                site.kill_within(&mut random, &line(&round.to_string()), time);
                let now = exists(&bundle).then(|| read(&bundle));
                let is_fine = match &now {
                    None => !has_old,
                    Some(bytes) => *bytes == whole || has_old && bytes == b"old",
                };
                assert!(is_fine, "{name}");
            }
            let _ = site.env.run_line(&line(&round.to_string())).success();
            assert!(read(&bundle) == whole);
            assert_eq!(files(&dir), [bundle], "what was killed is cleaned up");
        }
    }
}

/// The volumes in a directory that can be seen, by name; what cannot is hod's, and not finished.
#[track_caller]
fn visible_volumes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut visible = BTreeMap::new();
    for path in files(dir) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains(".old-") {
            // An older volume that was moved aside.
            continue;
        }
        if !name.starts_with('.') {
            visible.insert(name, read(&path));
            continue;
        }
        assert!(name.contains(".tar.partial-"), "{name}");
    }
    visible
}

/// Volumes appear from the last to the first: with that one, all are there.
#[track_caller]
fn check_volumes(dir: &Path, whole: &BTreeMap<String, Vec<u8>>) {
    let visible = visible_volumes(dir);
    let last = whole.iter().skip(whole.len() - visible.len());
    assert!(visible.iter().eq(last), "{:?}", visible.keys());
}

impl Site {
    /// The command that packs some of the site into volumes; `dir` is made.
    fn pack_volumes(&self, dir: &str) -> String {
        let some = self.images.keys().filter(|name| name.starts_with("app/"));
        let some: Vec<&str> = some.take(4).map(String::as_str).collect();
        self.env.write("some.txt", some.join("\n"));
        hod_fsx::create_dir_all(&self.env.path(dir)).unwrap();
        let flags = "--store store --no-tool --volume-size 240K";
        format!("pack some.txt {flags} --force --output {dir}/b.tar")
    }
}

#[test]
fn a_killed_pack_leaves_no_first_volume_and_the_next_one_cleans_up() {
    let site = Site::new();
    let time = site.time(&site.pack_volumes("whole"));
    let whole = visible_volumes(&site.env.path("whole"));
    assert!(whole.len() > 2, "{}", whole.len());
    let mut random = Random::new();
    for round in 0..ROUNDS {
        let dir = format!("killed-{round}");
        let (path, line) = (site.env.path(&dir), site.pack_volumes(&dir));
        site.kill_within(&mut random, &line, time);
        check_volumes(&path, &whole);
        // And when the last of them has just appeared, if it still runs then.
        let mut child = site.start(&line);
        let last = path.join(whole.keys().next_back().unwrap());
        let start = Instant::now();
        while !exists(&last) && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20));
        }
        child.kill().unwrap();
        let _ = child.wait().unwrap();
        check_volumes(&path, &whole);
        let _ = site.env.run_line(&line).success();
        assert!(visible_volumes(&path) == whole);
        assert_eq!(files(&path).len(), whole.len(), "what was killed is swept");
    }
}

/// Whenever a pack over an older set of volumes is killed, all volumes of the one set or of the
/// other are there.
#[test]
fn a_killed_pack_leaves_the_old_volumes_or_the_new_ones() {
    let site = Site::new();
    let old = site.pack_volumes("old");
    let new = format!("{old} --name new");
    let _ = site.env.run_line(&new.replace("old/", "new/")).success();
    let _ = site.env.run_line(&old).success();
    let contents = |dir: &str| -> Vec<Vec<u8>> {
        let files = files(&site.env.path(dir));
        files.iter().map(|path| read(path)).collect()
    };
    let sets = [contents("old"), contents("new")];
    assert!(sets[0].len() > 2 && sets[0] != sets[1]);
    let path = site.env.path("old");
    let mut random = Random::new();
    for round in 0..ROUNDS {
        let _ = site.env.run_line(&old).success();
        let mut child = site.start(&new);
        let first = path.join("b.001.old-1.tar");
        let start = Instant::now();
        while !exists(&first) && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20));
        }
        std::thread::sleep(random.time(Duration::from_micros(200 * round as u64)));
        child.kill().unwrap();
        let _ = child.wait().unwrap();
        let there = contents("old");
        let is_whole = |set: &Vec<Vec<u8>>| set.iter().all(|volume| there.contains(volume));
        assert!(sets.iter().any(is_whole), "{:?}", files(&path));
        // A reader finds them, by whichever volume it is given.
        let by_old = hod_fsx::read_dir_names(&path).unwrap().into_iter();
        let mut by_old = by_old.filter(|name| name.to_string_lossy().contains("001."));
        let is_read = |name: std::ffi::OsString| {
            let line = format!("verify old/{}", name.to_string_lossy());
            site.env.run_line(&line).code == Some(0)
        };
        assert!(by_old.any(is_read), "{:?}", files(&path));
    }
    let _ = site.env.run_line(&new).success();
    assert!(
        contents("old") == sets[1],
        "what was moved aside is removed"
    );
}

/// A pack that ended between two renames: the first volume appears last.
#[test]
fn volumes_without_the_first_say_that_it_is_missing() {
    let site = Site::new();
    let line = site.pack_volumes("volumes");
    let _ = site.env.run_line(&line).success();
    hod_fsx::remove_file(&site.env.path("volumes/b.001.tar")).unwrap();
    let unpack = "unpack volumes/b.002.tar --output out";
    let output = site.env.run_line(unpack).exits(5);
    let said = "volumes is missing: 1\n";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let _ = site.env.run_line(&line).success();
    let _ = site.env.run_line(unpack).success();
    assert_eq!(site.check_visible(&site.env.path("out")), 4);
}

#[test]
fn a_killed_export_goes_on() {
    let site = Site::new();
    for line in [
        "export store --output {}",
        "export store --link copy --output {}",
    ] {
        let mut whole: Option<Tree> = None;
        site.torture(line, 2, |output, is_done| {
            let whole = whole.get_or_insert_with(|| tree(&site.env.path("whole")));
            let is_hidden = |path: &PathBuf| path.to_string_lossy().contains("/.");
            let mut now = tree(output);
            if is_done {
                assert_same(&now, whole, line);
                return;
            }
            now.retain(|path, _| !is_hidden(path));
            let tops: Vec<PathBuf> = now
                .keys()
                .filter(|path| path.to_string_lossy().contains(':') && path.extension().is_none())
                .filter(|path| path.components().count() == 2)
                .cloned()
                .collect();
            for top in tops {
                let of = |tree: &Tree| -> Tree {
                    let below = tree.iter().filter(|(path, _)| path.starts_with(&top));
                    below.map(|(p, d)| (p.clone(), d.clone())).collect()
                };
                assert_same(&of(&now), &of(whole), "a visible layout");
            }
        });
        for path in ["whole", "killed-0", "killed-1"] {
            remove_tree(&site.env.path(path)).unwrap();
        }
    }
}

/// An archive is whole or does not appear, and is written again from its start.
#[test]
fn a_killed_copy_to_an_archive_leaves_none() {
    let site = Site::new();
    site.env
        .write("plain.txt", "zoo/docker:1\nzoo/oci:1\nzoo/twice:1\n");
    for (kind, list) in [("oci-archive", "all"), ("docker-archive", "plain")] {
        let line = format!("copy store {kind}:{{}} --only {list}.txt");
        site.torture(&line, 2, |output, is_done| {
            if is_done || exists(output) {
                assert!(read(output) == read(&site.env.path("whole")), "{line}");
                // The next run is to write it anew.
                hod_fsx::remove_file(output).unwrap();
            }
        });
        let names = hod_fsx::read_dir_names(&site.env.work()).unwrap();
        let is_left = |name: &std::ffi::OsString| name.to_string_lossy().contains(".partial");
        assert!(!names.iter().any(is_left), "{names:?}");
        hod_fsx::remove_file(&site.env.path("whole")).unwrap();
    }
}

#[test]
fn a_killed_push_goes_on() {
    let mut random = Random::new();
    let site = Site::new();
    let _ = site.time("pack store --force --output b.tar");
    let _ = site.time("pack store --force --output b.tar.zst");
    for source in ["store", "b.tar", "b.tar.zst"] {
        let mut time = None;
        for _ in 0..3 {
            let registry = TestRegistry::start();
            registry.fail(Fault::on("*", any_path).does(Effect::Delay(1)));
            let line = format!("push {source} {} --jobs 2", registry.host());
            let store = registry.store().path();
            if let Some(time) = time {
                for _ in 0..2 {
                    site.kill_within(&mut random, &line, time);
                    site.check_visible(store);
                }
            }
            let start = Instant::now();
            let _ = site.env.run_line(&line).success();
            time.get_or_insert(start.elapsed());
            assert_eq!(site.check_visible(store), site.images.len(), "{source}");
            let problems = hod_store::verify(registry.store(), 2, &|_| ())
                .unwrap()
                .problems;
            assert_eq!(problems, []);
        }
    }
}

#[test]
fn what_a_killed_run_left_is_swept_and_what_a_running_one_needs_is_not() {
    let site = Site::new();
    let registry = TestRegistry::with(RegistryOptions {
        store: Some(site.env.store("store")),
        ..RegistryOptions::default()
    });
    let slow = Fault::on("GET", blob_path)
        .first(1)
        .does(Effect::Delay(400));
    registry.fail(slow.clone());
    site.env.write("new/.hod/tmp/blob-stale1", "left by a kill");
    site.env
        .write("new/.hod/tmp/publish-stale2/link", "left too");
    let host = registry.host();
    let line = format!("pull all.txt --source {host} --platform all --store new");
    let mut first = site.start(&line);
    wait_for(&slow, 1);
    assert!(!exists(&site.env.path("new/.hod/tmp/blob-stale1")));
    // A second run comes and goes while the first one still has its files there.
    let _ = site.env.run_line(&line).success();
    assert!(first.wait().unwrap().success());
    site.check_complete("new");
}

/// Waits until a fault was about `n` requests.
fn wait_for(fault: &Fault, n: usize) {
    let start = Instant::now();
    while fault.n_seen() < n {
        assert!(start.elapsed() < Duration::from_secs(20), "{fault:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to a command once `fault` was about `n` requests, and checks that it ends as interrupted.
fn interrupt(site: &Site, line: &str, ((fault, n), signal): ((&Fault, usize), &str)) {
    let mut command = site.env.hod();
    command.args(line.split_whitespace());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    wait_for(fault, n);
    let start = Instant::now();
    let mut kill = site.env.command("sh");
    let _ = finish(kill.args(["-c", &format!("kill -{signal} {}", child.id())])).success();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{line}: {stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(4), "{line}: at once");
}

#[test]
fn an_interrupted_run_ends_at_once_cleans_up_and_exits_130() {
    let site = Site::new();
    let registry = TestRegistry::with(RegistryOptions {
        store: Some(site.env.store("store")),
        ..RegistryOptions::default()
    });
    let host = registry.host();
    let pull = format!("pull all.txt --source {host} --platform all --store new");
    for signal in ["INT", "TERM"] {
        for effect in [Effect::Delay(20_000), Effect::CutBody(10)] {
            registry.heal();
            let slow = Fault::on("GET", blob_path).after(3).does(effect);
            registry.fail(slow.clone());
            let _ = registry.take_seen();
            interrupt(&site, &pull, ((&slow, 4), signal));
            site.check_visible(&site.env.path("new"));
            assert_eq!(files(&site.env.path("new/.hod/tmp")), [] as [PathBuf; 0]);
        }
    }
    registry.heal();
    let _ = site.env.run_line(&pull).success();
    site.check_complete("new");

    let second = TestRegistry::start();
    let push = format!("push store {}", second.host());
    for signal in ["INT", "TERM"] {
        let slow = Fault::on("*", upload_path)
            .after(9)
            .does(Effect::Delay(20_000));
        second.fail(slow.clone());
        interrupt(&site, &push, ((&slow, 10), signal));
        second.heal();
        site.check_visible(second.store().path());
    }
    let _ = site.env.run_line(&push).success();
    let n_images = site.check_visible(second.store().path());
    assert_eq!(n_images, site.images.len());
}
