//! Flags for reaching registries.

use std::path::PathBuf;

use clap::Args;

use super::size;

use hod_oci::Registry;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Read logins only from this file: an `auth.json` of podman or a `config.json` of Docker
    ///
    /// By default, only from the file that `REGISTRY_AUTH_FILE` names; if that is not set, from the first
    /// file of podman or Docker that has a login for the registry.
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,

    /// Read the login, `user:password`, from the first line of stdin
    ///
    /// Without it, the login comes from the variables `HOD_SOURCE_USERNAME` and `HOD_SOURCE_PASSWORD`
    /// (for pulls) or `HOD_TARGET_USERNAME` and `HOD_TARGET_PASSWORD` (for pushes), then from
    /// `HOD_USERNAME` and `HOD_PASSWORD`, then from files.
    #[arg(long)]
    pub(crate) creds_stdin: bool,

    /// Also trust the CA certificates in this PEM file; may be given several times
    ///
    /// hod also trusts those of the system, and for one host `ca.crt` (with `client.cert` and
    /// `client.key`) in `certs.d/HOST[:PORT]` below `~/.config/containers`, `/etc/containers` or
    /// `/etc/docker`.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,

    /// Do not verify the certificate of this registry; may be given several times
    #[arg(long, value_name = "HOST[:PORT]", value_parser = parse_host)]
    pub(crate) insecure: Vec<Registry>,

    /// Use plain HTTP for this registry; may be given several times
    ///
    /// By default hod uses HTTPS, except for registries on this machine (localhost, 127.0.0.0/8) without
    /// `--insecure` and without certificates in a `certs.d`.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = parse_host)]
    pub(crate) plain_http: Vec<Registry>,

    /// Number of retries after a transient failure [default: 5]
    ///
    /// Without this option, hod also waits up to 3 minutes for a registry that answered earlier in the
    /// run and is down now.
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Limit the bytes per second, in both directions together: `500K`, `10M`, `1G`
    ///
    /// K, M and G are powers of 1024. There is no limit by default.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) max_rate: Option<u64>,

    /// Close a connection after this many seconds without progress, and retry
    ///
    /// A transfer that makes progress may take as long as it needs.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stall_timeout: u64,
}

/// Parses the host of a registry; an error shows how to write it.
pub(super) fn parse_host(text: &str) -> Result<Registry, String> {
    let error = match text.parse::<Registry>() {
        Ok(registry) => return Ok(registry),
        Err(error) => error,
    };
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = bare.split('/').next().unwrap_or_default();
    Err(match host.parse::<Registry>() {
        Ok(host) => format!("{error}; write it as `{host}`, without a scheme or a path"),
        Err(_) => format!("{error}; write it as in `harbor.corp:8443`"),
    })
}

/// Parses `500K`, `10M`, `1.5G` or plain bytes, with an optional `B`, `iB` or `/s`.
fn parse_rate(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let text = text.strip_suffix("/s").unwrap_or(text);
    let rate = size::parse(text).filter(|rate| *rate > 0);
    rate.ok_or_else(|| "expected a number of bytes a second, such as 500K, 10M or 1G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{parse_host, parse_rate};

    #[test]
    fn a_host_is_told_from_a_url() {
        assert_eq!(parse_host("h.corp:8443").unwrap().as_str(), "h.corp:8443");
        for text in [
            "https://h.corp:8443",
            "https://h.corp:8443/",
            "h.corp:8443/x",
        ] {
            let error = parse_host(text).unwrap_err();
            assert!(error.contains("write it as `h.corp:8443`"), "{error}");
        }
        let error = parse_host("").unwrap_err();
        assert!(error.contains("`harbor.corp:8443`"), "{error}");
    }

    #[test]
    fn rates_parse() {
        #[track_caller]
        fn check(text: &str, expect: Option<u64>) {
            assert_eq!(parse_rate(text).ok(), expect, "{text}");
        }
        check("500K", Some(500 * 1024));
        check("10 MiB/s", Some(10 << 20));
        check("10MB", Some(10_000_000));
        check("0", None);
        check("0M", None);
        check("-1M", None);
        check("M", None);
    }
}
