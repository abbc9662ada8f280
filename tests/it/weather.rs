//! Real registries behind bad weather: everything arrives, verified, and little is sent twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};

use hod_oci::Digest;

use hod_testkit::docker_registry::{DockerRegistry, PROGRAM};
use hod_testkit::env::TestEnv;
use hod_testkit::fault_proxy::{FaultProxy, Passed};
use hod_testkit::faults::{Effect, Fault, any_path, blob_path, manifest_path, upload_path};
use hod_testkit::images::{Compression, Image, ImageBuilder, Layer, layer};
use hod_testkit::programs::{are_here, note};
use hod_testkit::tree::whole_images;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// How many images the list has.
const N_IMAGES: u64 = 20;
/// How many of them have a large layer.
const N_LARGE: u64 = 4;
const LARGE_LEN: usize = 3 << 20;
/// What a machine that is too busy for the short deadlines here costs.
const SLACK: u64 = 256 * KIB;

/// Twenty images in a real registry and in a store, and the list of them.
struct Site {
    env: TestEnv,
    registry: DockerRegistry,
    images: Vec<Image>,
}

impl Site {
    fn new() -> Self {
        let env = TestEnv::in_memory();
        let (tree, store) = (env.store("registry"), env.store("full"));
        let shared = layer(1, 30_000, Compression::Uncompressed);
        let mut lines = Vec::new();
        let images: Vec<Image> = (0..N_IMAGES)
            .map(|n| {
                let own = layer(100 + n, 9_000, Compression::Uncompressed);
                let mut builder = ImageBuilder::docker(200 + n).layer(&shared).layer(&own);
                if n < N_LARGE {
                    builder = builder.layer(&large(n));
                }
                builder.build()
            })
            .collect();
        for (n, image) in images.iter().enumerate() {
            let name = format!("app/{n}:1");
            image.put_in(&tree, &name);
            image.put_in(&store, &name);
            lines.push(name);
        }
        env.write("all.txt", lines.join("\n"));
        let registry = DockerRegistry::serve(&env, "registry");
        Self {
            env,
            registry,
            images,
        }
    }

    /// The bytes of all blobs, each once.
    fn len(&self) -> u64 {
        let blobs = self.images.iter().flat_map(|image| &image.blobs);
        let lens: BTreeMap<&Digest, u64> = blobs
            .map(|blob| (&blob.digest, blob.bytes.len() as u64))
            .collect();
        lens.values().sum()
    }

    fn expected(&self) -> BTreeMap<String, Digest> {
        let images = self.images.iter().enumerate();
        images
            .map(|(n, image)| (format!("app/{n}:1"), image.digest().clone()))
            .collect()
    }
}

fn large(n: u64) -> Layer {
    layer(300 + n, LARGE_LEN, Compression::Uncompressed)
}

/// What goes wrong, and how many bytes at most are sent twice for it.
struct Case {
    name: &'static str,
    faults: Vec<Fault>,
    twice_max: u64,
}

fn case(name: &'static str, fault: Fault, twice_max: u64) -> Case {
    Case {
        name,
        faults: vec![fault],
        twice_max,
    }
}

/// A refusal with a date by a clock that is decades slow.
fn by_a_slow_clock() -> Effect {
    let headers = "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n\
                   Retry-After: Sat, 01 Jan 2000 00:00:01 GMT\r\n";
    Effect::Answer(429, headers.to_owned(), String::new())
}

const PAGE: &str = "<html><body>The portal asks you to accept its terms</body></html>";

/// Faults of requests to read: of every blob once, where nothing else is said.
fn while_reading(site: &Site) -> Vec<Case> {
    let blobs = || Fault::on("GET", blob_path).once_each();
    let manifests = || Fault::on("GET", manifest_path).once_each();
    // Blobs of less than a MiB begin anew.
    let n_small = 2 * N_IMAGES + 1;
    let middle = 2 << 20;
    let both = Case {
        name: "cut in the middle, and ranges ignored",
        faults: vec![
            blobs().does(Effect::CutBody(middle)),
            Fault::on("GET", blob_path).does(Effect::IgnoreRange),
        ],
        twice_max: N_LARGE * middle as u64,
    };
    let refusal = by_a_slow_clock();
    vec![
        case(
            "cut in the middle",
            blobs().does(Effect::CutBody(middle)),
            0,
        ),
        case(
            "cut after 5 KiB",
            blobs().does(Effect::CutBody(5 << 10)),
            (n_small + N_LARGE) * 5 * KIB,
        ),
        case(
            "cut before the first byte",
            blobs().does(Effect::CutBody(0)),
            0,
        ),
        // What was on its way when the connection was reset is lost.
        case(
            "reset",
            blobs().does(Effect::ResetBody(middle)),
            N_LARGE * middle as u64,
        ),
        case("stall", blobs().does(Effect::StallBody(middle)), 0),
        case(
            "silence",
            Fault::on("GET", blob_path)
                .first(3)
                .does(Effect::StallBody(0)),
            0,
        ),
        case("500", blobs().does(Effect::Status(500)), 0),
        case(
            "429",
            Fault::on("GET", any_path)
                .nth(30)
                .does(Effect::RetryAfter(429, "1")),
            0,
        ),
        case(
            "429 and a slow clock",
            Fault::on("GET", any_path).nth(9).does(refusal),
            0,
        ),
        case("a flipped byte", blobs().does(Effect::FlipByte), site.len()),
        case(
            "a short body",
            blobs().does(Effect::ShortBody(100)),
            // The shared layer is looked for in each of its repositories.
            100 * (n_small + N_LARGE + N_IMAGES),
        ),
        case("a page", blobs().does(Effect::Page(200, PAGE)), 0),
        case("an error's page", blobs().does(Effect::Page(502, PAGE)), 0),
        case("manifests cut", manifests().does(Effect::CutBody(99)), 0),
        case("manifests flipped", manifests().does(Effect::FlipByte), 0),
        case(
            "no digest",
            Fault::on("*", any_path).does(Effect::NoHeader("docker-content-digest")),
            0,
        ),
        both,
    ]
}

/// Runs the cases, a few at a time, since most of each is waiting.
fn each(cases: Vec<Case>, check: impl Fn(Case) + Sync) {
    let (cases, check) = (std::sync::Mutex::new(cases), &check);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let thread = std::thread::Builder::new().name("weather".to_owned());
            let run = || {
                loop {
                    let case = cases.lock().unwrap().pop();
                    match case {
                        Some(case) => check(case),
                        None => return,
                    }
                }
            };
            thread.spawn_scoped(scope, run).unwrap();
        }
    });
}

fn len_down(passed: &[Passed]) -> u64 {
    let blobs = passed.iter().filter(|request| blob_path(&request.path));
    // What came in the place of a blob is none of it.
    let blobs = blobs.filter(|request| matches!(request.status, 200 | 206));
    blobs.map(|request| request.len_down).sum()
}

fn len_up(passed: &[Passed]) -> u64 {
    let uploads = passed.iter().filter(|request| upload_path(&request.path));
    uploads.map(|request| request.len_up).sum()
}

#[test]
fn a_pull_gets_through_and_little_comes_twice() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let site = Site::new();
    let site = &site;
    each(while_reading(site), |case| {
        let proxy = FaultProxy::start(site.registry.host(), case.faults);
        let store = case.name.replace([' ', ','], "-");
        let line = format!(
            "pull all.txt --store {store} --source {} --platform all --stall-timeout 2",
            proxy.host()
        );
        let output = site.env.run_line(&line);
        assert_eq!(output.code, Some(0), "{}: {}", case.name, output.stderr);
        let images = whole_images(&site.env.path(&store));
        assert_eq!(images, site.expected(), "{}", case.name);
        let twice = len_down(&proxy.passed()).saturating_sub(site.len());
        note(&format!(
            "pull, {}: {} KiB of {} KiB came twice",
            case.name,
            twice / KIB,
            site.len() / KIB
        ));
        assert!(twice <= case.twice_max + SLACK, "{}: {twice}", case.name);
        let partial = site.env.path(format!("{store}/.hod/partial"));
        let left = hod_fsx::try_read_dir_names(&partial).unwrap();
        assert_eq!(left.unwrap_or_default().len(), 0, "{}", case.name);
    });
}

/// Faults of requests to write: of every blob once, where nothing else is said.
fn while_writing(site: &Site) -> Vec<Case> {
    let puts = || Fault::on("PUT", upload_path).once_each();
    let first = |n| Fault::on("*", upload_path).first(n);
    let manifests = || Fault::on("PUT", manifest_path);
    let (n_small, middle) = (2 * N_IMAGES + 1, 2 << 20);
    let start = 5 << 10;
    let starts = (n_small + N_LARGE) * start as u64;
    let refusal = by_a_slow_clock();
    vec![
        case(
            "cut after 5 KiB",
            puts().does(Effect::CutRequest(start)),
            starts,
        ),
        case(
            "cut in the middle",
            puts().does(Effect::CutRequest(middle)),
            N_LARGE * middle as u64,
        ),
        case("reset", puts().does(Effect::ResetRequest(start)), starts),
        // It turns out to be there.
        case("done, and no answer", puts().does(Effect::DoneButHangUp), 0),
        case(
            "a flipped byte",
            puts().does(Effect::FlipRequestByte),
            site.len(),
        ),
        case("500", puts().does(Effect::Status(500)), site.len()),
        case(
            "a page of a proxy",
            puts().does(Effect::Page(504, PAGE)),
            site.len(),
        ),
        case("no answer at all", first(6).does(Effect::HangUp), 0),
        case(
            "429",
            manifests().nth(3).does(Effect::RetryAfter(429, "1")),
            0,
        ),
        case(
            "429 and a slow clock",
            Fault::on("POST", any_path).nth(3).does(refusal),
            0,
        ),
        case(
            "silence",
            Fault::on("HEAD", any_path)
                .first(3)
                .does(Effect::StallBody(0)),
            0,
        ),
        case(
            "manifests cut",
            manifests().once_each().does(Effect::CutRequest(99)),
            0,
        ),
        case(
            "no digest",
            Fault::on("*", any_path).does(Effect::NoHeader("docker-content-digest")),
            0,
        ),
    ]
}

#[test]
fn a_push_gets_through_and_little_goes_twice() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let site = Site::new();
    hod_fsx::create_dir_all(&site.env.path("target")).unwrap();
    let target = DockerRegistry::serve(&site.env, "target");
    let (site, target) = (&site, &target);
    each(while_writing(site), |case| {
        let proxy = FaultProxy::start(target.host(), case.faults);
        let prefix = case
            .name
            .replace(", ", "-")
            .replace(' ', "-")
            .to_lowercase();
        let line = format!("push full {}/{prefix} --stall-timeout 2", proxy.host());
        let output = site.env.run_line(&line);
        assert_eq!(output.code, Some(0), "{}: {}", case.name, output.stderr);
        for (n, image) in site.images.iter().enumerate() {
            target.assert_serves(&format!("{prefix}/app/{n}:1"), image);
        }
        let twice = len_up(&proxy.passed()).saturating_sub(site.len());
        note(&format!(
            "push, {}: {} KiB of {} KiB went twice",
            case.name,
            twice / KIB,
            site.len() / KIB
        ));
        assert!(twice <= case.twice_max + SLACK, "{}: {twice}", case.name);
    });
}

/// A registry that asks for tokens, and has those that it gave out expire on the way.
#[test]
fn tokens_that_expire_in_the_middle_are_renewed() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let site = Site::new();
    hod_fsx::create_dir_all(&site.env.path("target")).unwrap();
    let target = DockerRegistry::serve(&site.env, "target");
    let line = |verb: &str, host: &str| match verb {
        "pull" => format!("pull all.txt --store pulled --source {host} --platform all"),
        _ => format!("push full {host}/token"),
    };
    for (verb, upstream) in [("pull", site.registry.host()), ("push", target.host())] {
        let proxy = FaultProxy::start(upstream, Vec::new());
        let host = proxy.host();
        let challenge =
            format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n");
        let expired = Effect::Answer(401, challenge, String::new());
        let token = r#"{"token":"t","expires_in":300}"#.to_owned();
        let is_token = |path: &str| path == "/token";
        proxy.fail(Fault::on("GET", is_token).does(Effect::Answer(200, String::new(), token)));
        for n in [1, 15, 40, 60] {
            let of = Fault::on("*", |path: &str| path != "/token").nth(n);
            proxy.fail(of.does(expired.clone()));
        }
        let output = site.env.run_line(&line(verb, host));
        assert_eq!(output.code, Some(0), "{verb}: {}", output.stderr);
        let passed = proxy.passed();
        let n_refused = passed.iter().filter(|seen| seen.status == 401).count();
        assert_eq!(n_refused, 4, "{verb}");
    }
    assert_eq!(whole_images(&site.env.path("pulled")), site.expected());
    for (n, image) in site.images.iter().enumerate() {
        target.assert_serves(&format!("token/app/{n}:1"), image);
    }
}

/// One image with one large layer behind a proxy.
struct Large {
    env: TestEnv,
    _registry: DockerRegistry,
    proxy: FaultProxy,
    image: Image,
    layer: Layer,
}

impl Large {
    fn new(fault: Option<Fault>) -> Self {
        let env = TestEnv::in_memory();
        let layer = layer(7, 8 << 20, Compression::Uncompressed);
        let image = ImageBuilder::oci(8).layer(&layer).build();
        image.put_in(&env.store("registry"), "big:1");
        env.write("big.txt", "big:1");
        let registry = DockerRegistry::serve(&env, "registry");
        let proxy = FaultProxy::start(registry.host(), fault.into_iter().collect());
        Self {
            env,
            _registry: registry,
            proxy,
            image,
            layer,
        }
    }

    fn line(&self, store: &str) -> String {
        let host = self.proxy.host();
        format!("pull big.txt --store {store} --source {host} --platform all")
    }

    fn start(&self, store: &str) -> Child {
        let mut command = self.env.hod();
        let line = self.line(store);
        command.args(line.split_whitespace());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn is_layer(&self) -> impl Fn(&str) -> bool + Send + Sync + use<> {
        let hex = self.layer.blob.digest.hex().to_owned();
        move |path: &str| path.contains(&hex)
    }

    /// The requests for the layer since this was last asked.
    fn take_layer_gets(&self) -> Vec<Passed> {
        let mut passed = self.proxy.take_passed();
        let is_layer = self.is_layer();
        passed.retain(|request| request.method == "GET" && is_layer(&request.path));
        passed
    }

    fn len(&self) -> u64 {
        self.layer.blob.bytes.len() as u64
    }

    fn partial(&self, store: &str) -> std::path::PathBuf {
        let hex = self.layer.blob.digest.hex();
        self.env.path(format!("{store}/.hod/partial/sha256-{hex}"))
    }

    #[track_caller]
    fn check(&self, store: &str) {
        let expected = BTreeMap::from([("library/big:1".to_owned(), self.image.digest().clone())]);
        assert_eq!(whole_images(&self.env.path(store)), expected);
        assert!(hod_fsx::try_stat(&self.partial(store)).unwrap().is_none());
    }
}

fn file_len(path: &Path) -> u64 {
    hod_fsx::try_stat(path).unwrap().map_or(0, |stat| stat.len)
}

#[test]
fn after_a_kill_only_the_rest_is_fetched() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let stall = Effect::StallBody(5 << 20);
    let site = Large::new(Some(Fault::on("GET", blob_path).once_each().does(stall)));
    let mut child = site.start("store");
    site.proxy.wait_for_stalls(1);
    let partial = site.partial("store");
    hod_testkit::fault_proxy::wait_until(|| file_len(&partial) == 5 * MIB);
    child.kill().unwrap();
    child.wait().unwrap();
    let is_layer = site.is_layer();
    let has_ended = || site.proxy.passed().iter().any(|seen| is_layer(&seen.path));
    hod_testkit::fault_proxy::wait_until(has_ended);
    site.proxy.heal();
    let _ = site.take_layer_gets();
    assert_eq!(file_len(&partial), 5 * MIB);
    let output = site.env.run_line(&site.line("store")).success();
    let gets = site.take_layer_gets();
    assert_eq!(gets.len(), 1, "{gets:?}");
    assert_eq!(gets[0].range, Some(format!("bytes={}-", 5 * MIB)));
    assert_eq!(gets[0].status, 206);
    assert_eq!(gets[0].len_down, site.len() - 5 * MIB);
    assert!(
        output.stderr.contains("5.0 MiB resumed"),
        "{}",
        output.stderr
    );
    site.check("store");
}

#[test]
fn what_a_kill_left_is_hashed_again_and_thrown_away_when_it_is_wrong() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let site = Large::new(None);
    let right = &site.layer.blob.bytes;
    let mut flipped = right[..4 << 20].to_vec();
    flipped[99] ^= 1;
    let mut longer = right.to_vec();
    longer.extend_from_slice(b"more");
    let cases: [(&str, Vec<u8>, &[u64]); 5] = [
        ("flipped", flipped, &[site.len() - 4 * MIB, site.len()]),
        ("longer", longer, &[site.len()]),
        ("zeros", vec![0; right.len()], &[site.len()]),
        ("whole", right.to_vec(), &[]),
        ("empty", Vec::new(), &[site.len()]),
    ];
    for (store, left, expect) in cases {
        hod_fsx::write_file(&site.partial(store), &left).unwrap();
        let _ = site.env.run_line(&site.line(store)).success();
        let gets = site.take_layer_gets();
        let lens: Vec<u64> = gets.iter().map(|request| request.len_down).collect();
        assert_eq!(lens, expect, "{store}");
        site.check(store);
    }
}

#[test]
fn a_registry_that_sends_wrong_bytes_for_good_is_given_up_and_nothing_of_them_stays() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let site = Large::new(Some(Fault::on("GET", blob_path).does(Effect::FlipByte)));
    let output = site.env.run_line(&site.line("store"));
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    let is_told = output.stderr.contains("has a damaged or truncated copy");
    assert!(is_told, "{}", output.stderr);
    assert_eq!(site.take_layer_gets().len(), 2, "once more, and no more");
    assert!(whole_images(&site.env.path("store")).is_empty());
    assert!(hod_fsx::try_stat(&site.partial("store")).unwrap().is_none());
}

#[test]
fn two_pulls_of_one_blob_at_once_fetch_it_once() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    let stall = Effect::StallBody(5 << 20);
    let site = Large::new(None);
    let is_layer = site.is_layer();
    site.proxy
        .fail(Fault::on("GET", is_layer).once_each().does(stall));
    let mut first = site.start("store");
    site.proxy.wait_for_stalls(1);
    let mut second = site.env.hod();
    let line = site.line("store");
    second.args(line.split_whitespace());
    let second = second.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut second = second.spawn().unwrap();
    // It says that it waits, and then the line is well again.
    let mut stderr = std::io::BufReader::new(second.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("another run") {
        let n = std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
        assert_ne!(n, 0, "{said}");
    }
    site.proxy.heal();
    assert!(first.wait().unwrap().success());
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert!(second.wait().unwrap().success(), "{said}");
    let gets = site.take_layer_gets();
    assert_eq!(gets.len(), 1, "{gets:?}");
    assert_eq!(gets[0].len_down, site.len());
    site.check("store");
}

#[test]
fn a_line_that_is_cut_again_and_again_is_gone_on_with_to_the_end() {
    if !are_here(&[PROGRAM]) {
        return;
    }
    // More cuts than there are attempts.
    let cut = Effect::CutBody(1100 << 10);
    let site = Large::new(Some(Fault::on("GET", blob_path).does(cut)));
    let line = format!("{} --retries 2", site.line("store"));
    let _ = site.env.run_line(&line).success();
    let gets = site.take_layer_gets();
    assert_eq!(gets.len(), 8, "{gets:?}");
    let sum: u64 = gets.iter().map(|request| request.len_down).sum();
    assert_eq!(sum, site.len(), "nothing came twice");
    site.check("store");
}
