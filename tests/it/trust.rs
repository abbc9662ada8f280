//! Whom hod trusts, whom it shows a certificate, and through whom it goes.

use hod_testkit::docker_registry::{self, DockerRegistry, Tls};
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::pki::Authority;
use hod_testkit::programs;
use hod_testkit::proxy::{Kind, Proxy};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::remove_tree;

fn write_certs(env: &TestEnv, host: &str, files: &[(&str, &str)]) {
    let dir = env.home().join(".config/containers/certs.d").join(host);
    for (name, text) in files {
        hod_fsx::write_file(&dir.join(name), text.as_bytes()).unwrap();
    }
}

fn clear_certs(env: &TestEnv) {
    remove_tree(&env.home().join(".config/containers/certs.d")).unwrap();
}

#[test]
fn a_private_ca_is_trusted_where_it_is_named() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let authority = Authority::new("Corp CA");
    let tls = Tls {
        server: authority.server(&["127.0.0.1"]),
        client_authority: None,
    };
    let registry = DockerRegistry::serve_tls(&env, "theirs", &tls);
    let host = registry.host();
    image(1).put_in(&env.store("mine"), "team/app:1");
    let push = format!("push mine {host} --retries 0");
    // An address of this machine is without TLS unless something says otherwise.
    let output = env.run_line(&push).exits(5);
    assert!(output.stderr.contains("uses TLS"), "{}", output.stderr);
    let ca = env.write("corp.pem", &authority.certificate);
    let ca = format!("--ca {}", ca.display());
    env.run_line(&format!("{push} {ca}")).success();
    write_certs(&env, host, &[("unrelated.txt", "x")]);
    let output = env.run_line(&push).exits(5);
    assert!(
        output.stderr.contains("is not trusted here"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("--ca FILE"), "{}", output.stderr);
    env.run_line(&format!("{push} {ca}")).success();
    clear_certs(&env);

    write_certs(&env, host, &[("ca.crt", &authority.certificate)]);
    let again = env.run_line(&push).success();
    assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
    // The CA of another is none.
    write_certs(
        &env,
        host,
        &[("ca.crt", &Authority::new("Other").certificate)],
    );
    let output = env.run_line(&push).exits(5);
    assert!(
        output.stderr.contains("is not trusted here"),
        "{}",
        output.stderr
    );
    clear_certs(&env);

    let output = env.run_line(&format!("{push} --insecure {host}")).success();
    let warning = format!("warning: the certificate of `{host}` is not verified");
    assert!(output.stderr.contains(&warning), "{}", output.stderr);
}

#[test]
fn a_self_signed_certificate_is_trusted_for_itself() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let tls = Tls {
        server: Authority::self_signed(&["127.0.0.1"]),
        client_authority: None,
    };
    let registry = DockerRegistry::serve_tls(&env, "theirs", &tls);
    let host = registry.host();
    image(1).put_in(&env.store("mine"), "team/app:1");
    let push = format!("push mine {host} --retries 0");
    let named = |name: &str, pair: &hod_testkit::pki::Pair| {
        let file = env.write(name, &pair.certificate);
        format!("{push} --ca {}", file.display())
    };
    // Who makes hod speak TLS with an address of this machine.
    write_certs(&env, host, &[("unrelated.txt", "x")]);
    let _ = env.run_line(&named("own.pem", &tls.server)).success();
    // One that looks the same is another.
    let other = Authority::self_signed(&["127.0.0.1"]);
    let output = env.run_line(&named("other.pem", &other)).exits(5);
    let hint = format!("`--insecure {host}`");
    assert!(output.stderr.contains(&hint), "{}", output.stderr);
    write_certs(&env, host, &[("ca.crt", &tls.server.certificate)]);
    let _ = env.run_line(&push).success();
    // Its name still counts.
    let (_, port) = host.rsplit_once(':').unwrap();
    let by_name = format!("localhost:{port}");
    write_certs(&env, &by_name, &[("ca.crt", &tls.server.certificate)]);
    let output = env
        .run_line(&format!("push mine {by_name} --retries 0"))
        .exits(5);
    assert!(output.stderr.contains("another name"), "{}", output.stderr);
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let (servers, clients) = (Authority::new("Servers"), Authority::new("Clients"));
    let tls = Tls {
        server: servers.server(&["127.0.0.1"]),
        client_authority: Some(&clients.certificate),
    };
    let registry = DockerRegistry::serve_tls(&env, "theirs", &tls);
    let host = registry.host();
    image(1).put_in(&env.store("mine"), "team/app:1");
    let push = format!("push mine {host} --retries 0");
    let ca = ("ca.crt", servers.certificate.as_str());
    write_certs(&env, host, &[ca]);
    let output = env.run_line(&push).exits(5);
    assert!(
        output.stderr.contains("requires a client certificate"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("client.cert"), "{}", output.stderr);
    // One that the server does not know.
    let stranger = servers.client();
    let pair = |pair: &hod_testkit::pki::Pair| {
        write_certs(
            &env,
            host,
            &[("me.cert", &pair.certificate), ("me.key", &pair.key)],
        );
    };
    pair(&stranger);
    let output = env.run_line(&push).exits(5);
    assert!(
        output.stderr.contains("requires a client certificate"),
        "{}",
        output.stderr
    );
    pair(&clients.client());
    let _ = env.run_line(&push).success();
    // Half a pair is a mistake to be told.
    hod_fsx::remove_file(
        &env.home()
            .join(format!(".config/containers/certs.d/{host}/me.key")),
    )
    .unwrap();
    let output = env.run_line(&push).exits(5);
    assert!(output.stderr.contains("has no key"), "{}", output.stderr);
    assert!(output.stderr.contains("`*.crt`"), "{}", output.stderr);
}

#[test]
fn a_file_without_certificates_is_told() {
    let env = TestEnv::new();
    env.write("ca.pem", "nothing");
    image(1).put_in(&env.store("mine"), "team/app:1");
    let output = env.run_line("push mine harbor.test --ca ca.pem").exits(2);
    assert!(
        output
            .stderr
            .contains("`ca.pem` has no certificate in PEM form"),
        "{}",
        output.stderr
    );
    let _ = env
        .run_line("push mine harbor.test --ca absent.pem")
        .exits(2);
}

fn pull_with(env: &TestEnv, line: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = env.hod();
    command.args(line.split_whitespace());
    command.envs(variables.iter().copied());
    finish(&mut command)
}

#[test]
fn proxies_lead_everywhere_but_to_this_machine() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("team/app:1", &image(1));
    env.write("list.txt", "team/app:1\n");
    let line = |source: &str, store: &str| {
        format!(
            "pull list.txt --platform all --retries 0 --source {source} --store {store} \
             --plain-http {source}"
        )
    };
    for (kind, variable) in [
        (Kind::Http, "HTTP_PROXY"),
        (Kind::Http, "http_proxy"),
        (Kind::Socks, "ALL_PROXY"),
    ] {
        let proxy = Proxy::start(kind, registry.host());
        let url = match kind {
            Kind::Http | Kind::Tunnel => format!("http://{}", proxy.address()),
            Kind::Socks => format!("socks5h://{}", proxy.address()),
        };
        let set = (variable, url.as_str());
        // A name that only the proxy knows.
        let store = format!("store-{variable}");
        let _ = pull_with(&env, &line("registry.test:5000", &store), &[set]).success();
        let asked = proxy.asked();
        assert!(!asked.is_empty());
        for host in &asked {
            assert!(host.starts_with("registry.test"), "{host}");
        }
        let _ = pull_with(&env, &line(registry.host(), "here"), &[set]).success();
        assert_eq!(proxy.asked().len(), asked.len(), "{variable}");
        let no = ("NO_PROXY", "other.test,.registry.test");
        let output = pull_with(&env, &line("registry.test:5000", "none"), &[set, no]).exits(5);
        assert!(
            output.stderr.contains("host `registry.test`"),
            "{}",
            output.stderr
        );
        assert_eq!(proxy.asked().len(), asked.len(), "{variable}");
        remove_tree(&env.path("here")).unwrap();
    }
    let bad = [("HTTPS_PROXY", "ftp://user:hunter2@proxy")];
    let output = pull_with(&env, &line("registry.test:5000", "none"), &bad).exits(2);
    assert!(
        output.stderr.contains("`HTTPS_PROXY` is not a proxy URL"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("hunter2"));
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named() {
    let env = TestEnv::new();
    env.write("list.txt", "team/app:1\n");
    let https = "pull list.txt --retries 0 --source registry.test:5000 --store s";
    let http = &format!("{https} --plain-http registry.test:5000");
    for (variable, line, host) in [
        ("HTTPS_PROXY", https, "127.0.0.1:1"),
        ("https_proxy", https, "proxy.invalid:1"),
        ("HTTP_PROXY", http, "127.0.0.1:1"),
        ("ALL_PROXY", https, "127.0.0.1:1"),
        ("ALL_PROXY", http, "proxy.invalid:1"),
    ] {
        let proxy = format!("http://user:hunter2@{host}");
        let output = pull_with(&env, line, &[(variable, &proxy)]).exits(5);
        let said = &output.stderr;
        let named = format!("through proxy `http://{host}` (`{variable}`) failed");
        assert!(said.contains(&named), "{said}");
        assert!(said.contains("add `registry.test` to `NO_PROXY`"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        // As the hint says.
        let no = ("NO_PROXY", "registry.test");
        let output = pull_with(&env, line, &[(variable, &proxy), no]).exits(5);
        assert!(!output.stderr.contains("proxy"), "{}", output.stderr);
    }
}

#[test]
fn tls_goes_through_a_tunnel_with_the_name_that_was_asked_for() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let authority = Authority::new("Corp CA");
    let tls = Tls {
        server: authority.server(&["registry.test"]),
        client_authority: None,
    };
    let registry = DockerRegistry::serve_tls(&env, "theirs", &tls);
    image(1).put_in(&env.store("mine"), "team/app:1");
    let certs = [("ca.crt", authority.certificate.as_str())];
    write_certs(&env, "registry.test:8443", &certs);
    for (kind, variable, scheme) in [
        (Kind::Tunnel, "HTTPS_PROXY", "http"),
        (Kind::Socks, "https_proxy", "socks5h"),
    ] {
        let proxy = Proxy::start(kind, registry.host());
        let url = format!("{scheme}://{}", proxy.address());
        let line = "push mine registry.test:8443 --retries 0";
        let _ = pull_with(&env, line, &[(variable, url.as_str())]).success();
        let asked = proxy.asked();
        assert!(!asked.is_empty());
        let is_right = |host: &String| host.starts_with("registry.test");
        assert!(asked.iter().all(is_right), "{asked:?}");
        // The certificate is for this name and no other.
        let line = "push mine other.test --insecure nobody.test --retries 0";
        let output = pull_with(&env, line, &[(variable, url.as_str())]).exits(5);
        assert!(output.stderr.contains("certificate"), "{}", output.stderr);
    }
}
