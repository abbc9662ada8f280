//! Docker's registry behind nginx: limits, cookies, and blobs that are elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use hod_testkit::docker_registry::{self, DockerRegistry, Door, PASSWORD, USER};
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{blob_path, upload_path};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::nginx::{self, Nginx};
use hod_testkit::programs::are_here;
use hod_testkit::tree::whole_images;

const MIB: usize = 1024 * 1024;

/// Starts a registry with a login, and nginx before it: bodies of 8 MiB at most, a cookie with
/// every answer that must not come back, and blobs to be had from another origin, which takes no
/// login.
fn start(env: &TestEnv) -> (DockerRegistry, Nginx) {
    let registry = DockerRegistry::serve_behind(Door::Login, env, "registry");
    let upstream = registry.host().to_owned();
    let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let nginx = Nginx::start(env, |_, other| {
        let pass = format!(
            "proxy_pass http://{upstream}; proxy_set_header Host $http_host; \
             proxy_http_version 1.1; proxy_request_buffering off;"
        );
        let front = format!(
            "client_max_body_size 8m;
             if ($http_cookie) {{ return 401; }}
             add_header Set-Cookie 'sid=secret; Path=/; HttpOnly' always;
             location / {{ {pass} }}
             location ~ ^/v2/.+/blobs/sha256: {{
                 if ($request_method = GET) {{
                     return 307 http://{other}$uri?X-Signature=secret;
                 }}
                 {pass}
             }}"
        );
        let storage = format!(
            "if ($http_authorization) {{ return 400; }}
             location / {{ {pass} proxy_set_header Authorization 'Basic {login}'; }}"
        );
        [front, storage]
    });
    (registry, nginx)
}

#[test]
fn everything_gets_through_nginx() {
    if !are_here(&[docker_registry::PROGRAM, nginx::PROGRAM]) {
        return;
    }
    let env = TestEnv::in_memory();
    let layer = layer(1, 30 * MIB, Compression::Uncompressed);
    let image = ImageBuilder::oci(1).layer(&layer).build();
    let store = env.store("store");
    image.put_in(&store, "a/app:1");
    image.put_in(&store, "b/app:1");
    drop(store);
    hod_fsx::create_dir_all(&env.path("registry")).unwrap();
    let (_registry, nginx) = start(&env);
    let host = nginx.host();
    let login = format!(r#""username":"{USER}","password":"{PASSWORD}""#);
    let config = format!(r#"{{"auths":{{"{host}":{{{login}}}}}}}"#);
    let path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&path, config.as_bytes()).unwrap();

    let output = env.run_line(&format!("push store {host}")).success();
    let said = "was refused (413); continuing with at most 8.0 MiB per request";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let log = nginx.log();
    let n_of = |method: &str, status: u16| {
        let is_it =
            |l: &&nginx::Logged| l.method == method && l.status == status && upload_path(&l.path);
        log.iter().filter(is_it).count()
    };
    // All of it, then 16 MiB, are too much; the fourth chunk is what 30 MiB and a little leave.
    assert_eq!((n_of("PUT", 413), n_of("PATCH", 413)), (1, 1));
    assert_eq!(n_of("PATCH", 202), 4);

    env.write("all.txt", "a/app:1\nb/app:1\n");
    let line = format!("pull all.txt --source {host} --store new");
    let _ = env.run_line(&line).success();
    assert_eq!(
        whole_images(&env.path("new")),
        whole_images(&env.path("store"))
    );
    let log = nginx.log();
    assert!(log.iter().all(|l| l.cookie == "-"), "a cookie came back");
    let gets = log
        .iter()
        .filter(|l| l.method == "GET" && blob_path(&l.path));
    let (front, storage): (Vec<_>, Vec<_>) = gets.partition(|l| l.server == host);
    assert_eq!(front.len(), image.blobs.len());
    assert!(
        front
            .iter()
            .all(|l| l.status == 307 && l.authorization != "-")
    );
    assert_eq!(storage.len(), image.blobs.len());
    for logged in storage {
        assert_eq!(logged.server, nginx.other());
        assert_eq!(logged.status, 200);
        assert_eq!(logged.authorization, "-", "the login went elsewhere");
    }
}
