//! `registries.conf`: mirrors that serve, lack, refuse and fail; blocked registries; short names.

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{Effect, Fault, any_path, blob_path, manifest_path};
use hod_testkit::images::{Image, image, repository, tag};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

struct Site {
    env: TestEnv,
    primary: TestRegistry,
    mirror: TestRegistry,
}

impl Site {
    /// A primary with two images, of which its mirror has the first below `cache/`.
    fn new() -> Self {
        let site = Self {
            env: TestEnv::new(),
            primary: TestRegistry::start(),
            mirror: TestRegistry::start(),
        };
        site.primary.add("team/app:1", &app());
        site.primary.add("team/tool:1", &tool());
        site.mirror.add("cache/team/app:1", &app());
        let host = site.primary.host();
        site.env.write(
            "list.txt",
            format!("{host}/team/app:1\n{host}/team/tool:1\n"),
        );
        site.conf(&format!(
            "[[registry]]\nlocation = '{host}'\n[[registry.mirror]]\nlocation = '{}/cache'\n",
            site.mirror.host()
        ));
        site
    }

    fn conf(&self, text: &str) {
        let path = self.env.home().join(".config/containers/registries.conf");
        hod_fsx::write_file(&path, text.as_bytes()).unwrap();
    }

    fn pull(&self, flags: &str) -> Output {
        self.env.run_line(&format!(
            "pull list.txt --store store --platform all --retries 1 {flags}"
        ))
    }

    #[track_caller]
    fn assert_pulled(&self) {
        let host = self.primary.host().replace(':', "_");
        let store = self.env.store("store");
        for (name, image) in [("app", app()), ("tool", tool())] {
            let repository = repository(&format!("{host}/team/{name}"));
            let digest = store.resolve_tag(&repository, &tag("1")).unwrap();
            assert_eq!(digest.as_ref(), Some(image.digest()), "{name}");
        }
        self.env.run_line("verify store").success();
    }
}

fn app() -> Image {
    image(1)
}

fn tool() -> Image {
    image(2)
}

#[test]
fn a_mirror_serves_what_it_has() {
    let site = Site::new();
    let output = site.pull("").success();
    site.assert_pulled();
    let note = format!(
        "note: pulling images of `{}` from mirror `{}/cache`",
        site.primary.host(),
        site.mirror.host()
    );
    assert_eq!(output.stderr.matches(&note).count(), 1, "{}", output.stderr);
    let app_blobs = |path: &str| blob_path(path) && path.contains("team/app");
    assert_eq!(site.primary.count("*", |path| path.contains("team/app")), 0);
    assert_eq!(
        site.mirror.count("GET", app_blobs),
        app().blobs.len(),
        "the blobs come from where the manifest came from"
    );
    assert!(site.primary.count("GET", |path| path.contains("team/tool")) > 0);

    let flagged = Site::new();
    let output = flagged.pull("--no-registries-conf").success();
    flagged.assert_pulled();
    assert!(!output.stderr.contains("mirror"), "{}", output.stderr);
    assert!(flagged.mirror.seen().is_empty());
}

#[test]
fn a_push_goes_where_it_is_told() {
    let site = Site::new();
    image(3).put_in(&site.env.store("mine"), "team/new:1");
    let _ = site
        .env
        .run_line(&format!("push mine {}", site.primary.host()))
        .success();
    assert!(site.mirror.seen().is_empty());
}

#[test]
fn a_mirror_that_fails_gives_way() {
    for (effect, is_named) in [
        (Effect::HangUp, true),
        (Effect::Status(500), true),
        (Effect::Status(403), false),
        (Effect::Page(200, "<html>Welcome</html>"), true),
    ] {
        let site = Site::new();
        let shown = format!("{effect:?}");
        site.mirror.fail(Fault::on("*", any_path).does(effect));
        let output = site.pull("").success();
        site.assert_pulled();
        let is_told = output.stderr.contains("is no longer used");
        assert_eq!(is_told, is_named, "{shown}: {}", output.stderr);
    }
    // Only its blobs: what was begun there is finished elsewhere.
    let site = Site::new();
    site.mirror
        .fail(Fault::on("GET", blob_path).does(Effect::Status(404)));
    let _ = site.pull("").success();
    site.assert_pulled();
    assert!(site.mirror.count("GET", manifest_path) > 0);
}

#[test]
fn a_mirror_that_is_not_there_is_asked_once_and_told() {
    let site = Site::new();
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (host, mirror) = (site.primary.host(), site.mirror.host());
    site.conf(&format!(
        "[[registry]]\nlocation = '{host}'\n[[registry.mirror]]\nlocation = '{gone}'\n\
         [[registry.mirror]]\nlocation = '{mirror}/cache'\ninsecure = true\n"
    ));
    let output = site.pull("").success();
    site.assert_pulled();
    let told = format!("mirror `{gone}` of `{host}` is no longer used");
    assert_eq!(output.stderr.matches(&told).count(), 1, "{}", output.stderr);
    // The insecure one is spoken to in the clear, since it has no TLS.
    assert!(site.mirror.count("GET", blob_path) > 0);
}

#[test]
fn a_mirror_has_a_login_of_its_own() {
    let env = TestEnv::new();
    let primary = TestRegistry::start();
    let mirror = TestRegistry::with(RegistryOptions {
        auth: Auth::Basic {
            user: "u".to_owned(),
            password: "p".to_owned(),
        },
        ..RegistryOptions::default()
    });
    mirror.add("team/app:1", &app());
    let (host, theirs) = (primary.host(), mirror.host());
    env.write("list.txt", format!("{host}/team/app:1\n"));
    hod_fsx::write_file(
        &env.home().join(".config/containers/registries.conf"),
        format!("[[registry]]\nlocation='{host}'\n[[registry.mirror]]\nlocation='{theirs}'\n")
            .as_bytes(),
    )
    .unwrap();
    hod_fsx::write_file(
        &env.home().join(".config/containers/auth.json"),
        format!(r#"{{"auths": {{"{theirs}": {{"auth": "dTpw"}}}}}}"#).as_bytes(),
    )
    .unwrap();
    let _ = env
        .run_line("pull list.txt --store store --platform all")
        .success();
    assert!(
        primary
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[test]
fn what_is_blocked_is_not_pulled() {
    let site = Site::new();
    site.conf(&format!(
        "[[registry]]\nprefix = '{0}/team/app'\nlocation = '{0}/team/app'\nblocked = true\n",
        site.primary.host()
    ));
    let output = site.pull("").exits(3);
    assert!(
        output.stderr.contains("is blocked by the rule for"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("--no-registries-conf"),
        "{}",
        output.stderr
    );
    assert_eq!(site.primary.count("*", |path| path.contains("team/app")), 0);
    let _ = site.pull("--no-registries-conf").success();
    site.assert_pulled();
}

#[test]
fn a_short_name_of_the_users_own_is_resolved_and_told() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("team/app:1", &app());
    env.write("list.txt", "app:1\n");
    let conf = format!("[aliases]\n'app' = '{}/team/app'\n", registry.host());
    let conf = env.write("my.conf", conf);
    let mut command = env.hod();
    command.env("CONTAINERS_REGISTRIES_CONF", &conf);
    command.args(["pull", "list.txt", "--store", "store", "--platform", "all"]);
    command.args(["--lock", "list.lock"]);
    let output = hod_testkit::env::finish(&mut command).success();
    assert!(
        output.stderr.contains("`app` is `") && output.stderr.contains("my.conf"),
        "{}",
        output.stderr
    );
    // It keeps the name that the list gives it, and the lock says where it is from.
    let digest = env
        .store("store")
        .resolve_tag(&repository("library/app"), &tag("1"));
    assert_eq!(digest.unwrap().as_ref(), Some(app().digest()));
    let lock = env.read("list.lock");
    assert!(
        lock.contains(&format!("{}/team/app:1@sha256:", registry.host())),
        "{lock}"
    );
    assert!(lock.contains("library/app:1"), "{lock}");
}

#[test]
fn a_file_that_cannot_be_read_stops_before_anything_is_asked() {
    let site = Site::new();
    site.conf("[[registry]]\nlocation = [\n");
    let output = site.pull("").exits(2);
    assert!(
        output.stderr.contains("registries.conf`, line "),
        "{}",
        output.stderr
    );
    assert!(site.primary.seen().is_empty());
    let mut command = site.env.hod();
    command.env("CONTAINERS_REGISTRIES_CONF", "/nonexistent.conf");
    command.args(["pull", "list.txt", "--store", "store"]);
    let output = hod_testkit::env::finish(&mut command).exits(2);
    assert!(
        output.stderr.contains("/nonexistent.conf"),
        "{}",
        output.stderr
    );
}
