//! A token server as distribution's registry trusts it: signed JWTs, by Docker's specification and
//! by its OAuth2 variant.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use serde_json::{Value, json};

pub const SERVICE: &str = "registry of the tests";
pub const ISSUER: &str = "tests";
/// For how long distribution takes a token after its end, in seconds.
const LEEWAY: u64 = 60;

/// Whom a token server gives tokens to, and which.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// Who asks with GET.
    pub login: Option<(String, String)>,
    /// What is posted instead of that.
    pub identity: Option<String>,
    /// For how many seconds the registry takes a token.
    pub life: u64,
    /// The actions that anybody may do.
    pub actions: Vec<&'static str>,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            login: None,
            identity: None,
            life: 300,
            actions: vec!["pull", "push"],
        }
    }
}

/// A token that was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Each, in the order asked for.
    pub scopes: Vec<String>,
    pub status: u16,
    /// Until when the registry takes what was given.
    pub good_until: SystemTime,
}

/// A running token server; it ends when it is dropped.
#[derive(Debug)]
pub struct TokenServer {
    host: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    options: TokenOptions,
    key: KeyPair,
    certificate: rcgen::Certificate,
    asked: Mutex<Vec<Asked>>,
    is_over: AtomicBool,
}

impl TokenServer {
    pub fn start(options: TokenOptions) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["tokens.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            options,
            key,
            certificate,
            asked: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if of_thread.is_over.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up has heard enough.
                let _ = of_thread.serve(connection.unwrap());
            }
        });
        Self {
            host,
            shared,
            thread: Some(thread),
        }
    }

    pub fn realm(&self) -> String {
        format!("http://{}/token", self.host)
    }

    /// By which the tokens are to be trusted, as PEM.
    pub fn certificate(&self) -> String {
        self.shared.certificate.pem()
    }

    /// The tokens that were asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The tokens that were asked for since this was last asked.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(&self.host);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            connection.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let len = header("content-length").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        connection.read_exact(&mut body)?;
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let form = if method == "POST" {
            String::from_utf8(body).unwrap()
        } else {
            target
                .split_once('?')
                .map_or("", |(_, query)| query)
                .to_owned()
        };
        let fields = parse_form(&form);
        let of = |name: &str| {
            let fields = fields.iter().filter(|(key, _)| key == name);
            fields.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let scopes: Vec<String> = of("scope")
            .iter()
            .flat_map(|scope| scope.split(' '))
            .map(str::to_owned)
            .collect();
        let is_known = match (method, &self.options.identity) {
            ("POST", Some(identity)) => {
                of("grant_type") == ["refresh_token"]
                    && of("refresh_token") == [identity.as_str()]
                    && of("client_id").len() == 1
                    && of("scope").len() <= 1
            }
            ("GET", None) => self.options.login.as_ref().is_none_or(|(user, password)| {
                let login = STANDARD.encode(format!("{user}:{password}"));
                header("authorization") == Some(format!("Basic {login}"))
            }),
            _ => false,
        };
        let is_known = is_known && of("service") == [SERVICE];
        let (status, answer) = if is_known {
            (200, self.answer(method, &scopes))
        } else {
            (401, json!({"errors": [{"code": "UNAUTHORIZED"}]}))
        };
        self.asked.lock().unwrap().push(Asked {
            method: method.to_owned(),
            scopes,
            status,
            good_until: SystemTime::now() + std::time::Duration::from_secs(self.options.life + 1),
        });
        let answer = answer.to_string();
        let len = answer.len();
        write!(
            connection,
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{answer}"
        )
    }

    fn answer(&self, method: &str, scopes: &[String]) -> Value {
        let access: Vec<Value> = scopes
            .iter()
            .map(|scope| {
                let mut parts = scope.split(':');
                let (kind, name) = (parts.next().unwrap(), parts.next().unwrap());
                let asked: Vec<&str> = parts.next().unwrap().split(',').collect();
                let mut actions = self.options.actions.clone();
                actions.retain(|action| asked.contains(action));
                json!({"type": kind, "name": name, "actions": actions})
            })
            .collect();
        let token = self.sign(&access);
        let name = if method == "POST" {
            "access_token"
        } else {
            "token"
        };
        json!({name: token, "expires_in": self.options.life})
    }

    /// A JSON web token (RFC 7519) of the kind ES256, with the certificate to check it by.
    fn sign(&self, access: &[Value]) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = since.as_secs();
        let n = self.asked.lock().unwrap().len();
        let header = json!({
            "typ": "JWT",
            "alg": "ES256",
            "x5c": [STANDARD.encode(self.certificate.der())],
        });
        let claims = json!({
            "iss": ISSUER,
            "sub": "somebody",
            "aud": SERVICE,
            "exp": now + self.options.life - LEEWAY,
            "nbf": now - 2 * LEEWAY,
            "iat": now,
            "jti": n.to_string(),
            "access": access,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = raw_signature(&self.key.sign(text.as_bytes()).unwrap());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The two numbers of an ECDSA signature, of 32 bytes each, out of their ASN.1 (RFC 7518, 3.4).
fn raw_signature(der: &[u8]) -> Vec<u8> {
    assert_eq!(der[0], 0x30, "a sequence");
    let mut rest = &der[2..];
    let mut raw = Vec::new();
    for _ in 0..2 {
        assert_eq!(rest[0], 0x02, "an integer");
        let len = usize::from(rest[1]);
        let number = &rest[2..2 + len];
        let number = &number[number.len().saturating_sub(32)..];
        raw.resize(raw.len() + 32 - number.len(), 0);
        raw.extend_from_slice(number);
        rest = &rest[2 + len..];
    }
    raw
}

/// The fields of a form, or of a query.
fn parse_form(form: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
