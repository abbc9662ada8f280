//! Flags for reaching registries.

use std::path::PathBuf;

use clap::Args;

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
    let expected = || "expected a number of bytes a second, such as 500K, 10M or 1G".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix("/s").unwrap_or(&lower);
    let lower = lower.strip_suffix('b').unwrap_or(lower);
    let lower = lower.strip_suffix('i').unwrap_or(lower).trim_end();
    let (number, shift) = match lower.char_indices().last() {
        Some((at, 'k')) => (&lower[..at], 10),
        Some((at, 'm')) => (&lower[..at], 20),
        Some((at, 'g')) => (&lower[..at], 30),
        _ => (lower, 0),
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 3 {
        return Err(expected());
    }
    let whole: u64 = whole.parse().map_err(|_| expected())?;
    let thousandths: u64 = format!("{fraction:0<3}").parse().map_err(|_| expected())?;
    let rate = whole.checked_mul(1 << shift).ok_or_else(expected)?;
    let rate = rate.checked_add((thousandths << shift) / 1000);
    match rate {
        Some(rate) if rate > 0 => Ok(rate),
        _ => Err(expected()),
    }
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
        check("1", Some(1));
        check("500K", Some(500 * 1024));
        check("10m", Some(10 << 20));
        check("10 MiB/s", Some(10 << 20));
        check("10MB", Some(10 << 20));
        check("1.5G", Some(3 << 29));
        check("0.001k", Some(1));
        check("0", None);
        check("0M", None);
        check("-1M", None);
        check("M", None);
        check("1.2345M", None);
        check("1T", None);
        check("99999999999999999999", None);
        check("99999999999G", None);
        check("10é", None);
        check("", None);
    }
}
