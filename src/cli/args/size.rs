//! Sizes as users write them, the same for every flag.

/// Powers of 1024 as `split` and `dd` have them, and of 1000 as vendors of disks do.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("KIB", 1 << 10),
    ("KB", 1_000),
    ("M", 1 << 20),
    ("MIB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GIB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TIB", 1 << 40),
    ("TB", 1_000_000_000_000),
];
/// Maximum number of digits after the point.
const N_DECIMALS_MAX: usize = 3;

/// Parses `512K`, `1.5 GiB` or `25GB` into bytes, rounded down. Returns `None` for other texts, and
/// for sizes beyond 64 bits.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_number(c)).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_uppercase();
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.len() > N_DECIMALS_MAX {
        return None;
    }
    let thousandths: u128 = format!("{decimals:0<N_DECIMALS_MAX$}").parse().ok()?;
    let whole: u128 = whole.parse().ok()?;
    let len = whole.checked_mul(1000)?.checked_add(thousandths)?;
    u64::try_from(len.checked_mul(u128::from(*factor))? / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, expect) in [
            ("512", Some(512)),
            ("1b", Some(1)),
            ("1M", Some(1 << 20)),
            ("4 gib", Some(4 << 30)),
            (" 25GB ", Some(25_000_000_000)),
            ("1.5G", Some(3 << 29)),
            ("0.001k", Some(1)),
            ("1TB", Some(1_000_000_000_000)),
            ("0", Some(0)),
            ("", None),
            ("G", None),
            (".5G", None),
            ("1.G", None),
            ("1.2.3", None),
            ("1.2345M", None),
            ("4X", None),
            ("-1", None),
            ("+1", None),
            ("10é", None),
            ("99999999999T", None),
            ("99999999999999999999", None),
            ("999999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(parse(text), expect, "{text}");
        }
    }
}
