//! `hod serve` as a process: encryption, logins, who may reach it, its log, and how it ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use hod_testkit::env::TestEnv;
use hod_testkit::http;
use hod_testkit::images;
use hod_testkit::pki;
use hod_testkit::served::Served;
use hod_testkit::tree::exists;

/// Users `alice` with the password `secret` (cost 4) and `bob` with `other`.
const HTPASSWD: &str = "# users\n\
    alice:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n\
    bob:$2y$04$zyxwvutsrqponmlkjihgfeoEG75ieRiMxivbt62jo80oWmRUDHZ.e\n";

/// `alice:secret`, as Basic authentication sends it.
const ALICE: &str = "Basic YWxpY2U6c2VjcmV0";

fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    images::image(1).put_in(&env.store("store"), "app:1");
    env.write("users", HTPASSWD);
    env
}

#[test]
fn a_login_is_required_where_there_are_users() {
    let env = site();
    let served = Served::with(&env, "store", "--htpasswd users");
    let get = |authorization: &str| {
        let headers = [("Authorization", authorization)];
        let headers = if authorization.is_empty() {
            &[][..]
        } else {
            &headers
        };
        http::send(&served.host, "GET", "/v2/app/tags/list", (headers, b""))
    };
    for wrong in [
        "",
        "Basic YWxpY2U6d3Jvbmc=",     // alice:wrong
        "Basic bm9ib2R5OnNlY3JldA==", // nobody:secret
        "Basic Ym9iOnNlY3JldA==",     // bob:secret
        "Basic ????",
        "Bearer YWxpY2U6c2VjcmV0",
    ] {
        let answer = get(wrong);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "UNAUTHORIZED"),
            "{wrong}"
        );
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
    for _ in 0..2 {
        assert_eq!(get(ALICE).status, 200);
    }
}

#[test]
fn files_of_users_are_checked_before_anything_is_served() {
    let env = site();
    for (text, expect) in [
        ("", "no user"),
        ("alice", "line 1"),
        ("\n\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "line 3"),
        (":$2y$04$x", "line 1"),
    ] {
        env.write("bad", text);
        let output = env.run_line("serve new --writable --htpasswd bad").exits(2);
        assert!(output.stderr.contains(expect), "{text}: {}", output.stderr);
    }
    assert!(!exists(&env.path("new")));
}

#[test]
fn a_request_names_one_host() {
    let env = site();
    let served = Served::start(&env, "store");
    for (version, hosts, expect) in [
        ("1.1", "", "400"),
        ("1.1", "Host: localhost\r\n", "200"),
        ("1.1", "Host: localhost\r\nHost: localhost\r\n", "400"),
        ("1.0", "", "200"),
        ("1.0", "Host: localhost\r\nHost: other\r\n", "400"),
    ] {
        let mut connection = TcpStream::connect(&served.host).unwrap();
        write!(
            connection,
            "GET /v2/ HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1);
        assert_eq!(status, Some(expect), "{version} {hosts:?}");
    }
}

#[test]
fn it_can_be_encrypted() {
    let env = site();
    let authority = pki::Authority::new("site");
    let pair = authority.server(&["localhost", "127.0.0.1"]);
    env.write("server.crt", &pair.certificate);
    env.write("server.key", &pair.key);
    env.write("other.crt", authority.server(&["localhost"]).certificate);
    let served = Served::with(&env, "store", "--tls-cert server.crt --tls-key server.key");
    let host = served.host.replace("127.0.0.1", "localhost");
    let trusted = format!(".config/containers/certs.d/{host}/ca.crt");
    hod_fsx::write_file(&env.home().join(trusted), authority.certificate.as_bytes()).unwrap();
    env.write("list.txt", format!("{host}/app:1\n"));
    let _ = env.run_line("pull list.txt --store pulled").success();
    let _ = env.run_line("verify pulled").success();
    for files in [
        "--tls-cert server.key --tls-key server.key",
        "--tls-cert server.crt --tls-key server.crt",
        "--tls-cert other.crt --tls-key server.key",
        "--tls-cert server.crt",
    ] {
        let _ = env.run_line(&format!("serve store {files}")).exits(2);
    }
}

#[test]
fn pushes_in_the_clear_from_other_machines_are_refused() {
    let env = site();
    let pair = pki::Authority::new("site").server(&["localhost"]);
    env.write("server.crt", &pair.certificate);
    env.write("server.key", &pair.key);
    for flags in [
        "--listen 0.0.0.0:0",
        "--listen :0",
        "--listen [::]:0",
        "--listen :0 --allow-delete",
        "--listen :0 --htpasswd users",
        "--listen :0 --tls-cert server.crt --tls-key server.key",
    ] {
        let output = env
            .run_line(&format!("serve new --writable {flags}"))
            .exits(5);
        assert!(output.stderr.contains("--insecure"), "{}", output.stderr);
    }
    assert!(!exists(&env.path("new")));
}

#[test]
fn web_pages_of_strangers_are_refused() {
    let env = site();
    let served = Served::with(&env, "store", "--writable --allow-host registry.corp");
    let port = served.host.rsplit_once(':').unwrap().1.to_owned();
    let ask = |line: &str, headers: &str| {
        let headers = headers.replace("PORT", &port);
        let mut connection = TcpStream::connect(&served.host).unwrap();
        write!(
            connection,
            "{line} HTTP/1.1\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for (headers, expect) in [
        ("Host: localhost:PORT\r\n", "200"),
        ("Host: registry.corp\r\n", "200"),
        ("Host: evil.example:PORT\r\n", "421"),
    ] {
        assert_eq!(ask("GET /v2/", headers), expect, "{headers}");
    }
    for (origin, expect) in [
        ("http://localhost:PORT", "202"),
        ("http://evil.example", "403"),
        ("null", "403"),
    ] {
        let headers = format!("Host: localhost:PORT\r\nOrigin: {origin}\r\n");
        assert_eq!(
            ask("POST /v2/app/blobs/uploads/", &headers),
            expect,
            "{origin}"
        );
    }
}

#[test]
fn each_request_is_a_line_of_the_access_log() {
    let env = site();
    let served = Served::with(&env, "store", "--htpasswd users --access-log=access.log");
    let headers = [("Authorization", ALICE), ("User-Agent", "a \"b\"")];
    let answer = http::send(
        &served.host,
        "GET",
        "/v2/app/tags/list?n=1",
        (&headers, b""),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(served.send("HEAD", "/v2/").status, 401);
    drop(served);
    let log = env.read("access.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].starts_with("127.0.0.1 - alice ["), "{log}");
    let len = answer.body.len();
    let request =
        format!("] \"GET /v2/app/tags/list?n=1 HTTP/1.1\" 200 {len} \"-\" \"a \\x22b\\x22\" 0.");
    assert!(lines[0].contains(&request), "{log}");
    assert!(lines[1].contains(" - - ["), "{log}");
    assert!(lines[1].contains("\"HEAD /v2/ HTTP/1.1\" 401 0 "), "{log}");
}

/// A request for a blob of which nothing is read yet.
fn begin_download(host: &str, target: &str) -> TcpStream {
    let mut connection = slow_connection(host);
    write!(
        connection,
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    connection
}

/// A connection that takes little before it is read from.
fn slow_connection(host: &str) -> TcpStream {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
    };
    let flags = SockFlag::empty();
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &4096).unwrap();
    let address: SockaddrIn = host.parse().unwrap();
    connect(socket.as_raw_fd(), &address).unwrap();
    TcpStream::from(socket)
}

/// A store with an image that has a layer of 16 MiB; returns the path of that layer.
fn large_layer(env: &TestEnv) -> String {
    let layer = images::layer(7, 16 << 20, images::Compression::Uncompressed);
    let image = images::ImageBuilder::oci(7).layer(&layer).build();
    image.put_in(&env.store("store"), "large:1");
    let blob = image.blobs.iter().max_by_key(|blob| blob.bytes.len());
    format!("/v2/large/blobs/{}", blob.unwrap().digest)
}

#[test]
fn transfers_that_stand_still_hold_nobody_up() {
    let env = site();
    let target = large_layer(&env);
    let served = Served::with(&env, "store", "--writable");
    let mut stalled = Vec::new();
    // More than there are threads that may block.
    for _ in 0..280 {
        stalled.push(begin_download(&served.host, &target));
        let mut upload = TcpStream::connect(&served.host).unwrap();
        let digest = "sha256:".to_owned() + &"0".repeat(64);
        write!(
            upload,
            "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: 1000000\r\n\r\nsome bytes"
        )
        .unwrap();
        stalled.push(upload);
    }
    for target in ["/v2/app/manifests/1", "/v2/app/tags/list"] {
        assert_eq!(served.send("GET", target).status, 200);
    }
    let blob = images::image(1).blobs.remove(0);
    let got = served.send("GET", &format!("/v2/app/blobs/{}", blob.digest));
    assert_eq!(got.body, blob.bytes);
    // And those that go on after all get everything.
    let mut bytes = Vec::new();
    stalled[0].read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() > 16 << 20, "{}", bytes.len());
}

#[test]
fn idle_connections_make_room_for_others() {
    let env = site();
    let mut command = env.command("sh");
    let program = env!("CARGO_BIN_EXE_hod");
    let script = "ulimit -n 200; exec \"$0\" serve store --listen 127.0.0.1:0";
    let served = Served::spawn(&env, command.args(["-c", script, program]));
    let idle: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(&served.host).unwrap())
        .collect();
    let mut half = TcpStream::connect(&served.host).unwrap();
    half.write_all(b"GET /v2/ HTTP/1.1\r\nHost: loc").unwrap();
    assert_eq!(served.send("GET", "/v2/app/manifests/1").status, 200);
    drop(idle);
}

#[test]
fn what_is_going_on_may_end_when_it_is_told_to_stop() {
    let env = site();
    let target = large_layer(&env);
    for signal in ["TERM", "INT"] {
        let mut served = Served::start(&env, "store");
        let mut download = begin_download(&served.host, &target);
        let mut start = [0; 1024];
        download.read_exact(&mut start).unwrap();
        served.signal(&env, signal);
        while TcpStream::connect(&served.host).is_ok() {
            std::thread::yield_now();
        }
        let mut rest = Vec::new();
        download.read_to_end(&mut rest).unwrap();
        assert!(rest.len() > 16 << 20, "{}", rest.len());
        assert_eq!(served.wait(), Some(0), "{signal}");
    }
    // A second signal ends it at once.
    let mut served = Served::start(&env, "store");
    let mut download = begin_download(&served.host, &target);
    download.read_exact(&mut [0; 1024]).unwrap();
    served.signal(&env, "TERM");
    while TcpStream::connect(&served.host).is_ok() {
        std::thread::yield_now();
    }
    served.signal(&env, "TERM");
    assert_eq!(served.wait(), Some(130));
}
