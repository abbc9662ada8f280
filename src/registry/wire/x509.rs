//! The few fields of a certificate that people are shown or that are compared here (RFC 5280).
//! Nothing is trusted because of them: rustls verifies certificates.

use hod_report::presentable;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, constructed.
const VERSION: u8 = 0xa0;

/// The types of the parts of a name, by the content of their object identifiers.
const ATTRIBUTES: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
];

/// A summary of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_before: Moment,
    pub(crate) not_after: Moment,
}

/// A second, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    year: i64,
    month: i64,
    day: i64,
    second: i64,
}

impl Certificate {
    /// Reads a certificate in DER; `None` for one that cannot be read.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let mut signed = Der(der).take(SEQUENCE)?;
        let mut fields = signed.take(SEQUENCE)?;
        if fields.is_next(VERSION) {
            fields.take(VERSION)?;
        }
        fields.take(INTEGER)?;
        let _signature = fields.take(SEQUENCE)?;
        let issuer = name(fields.take(SEQUENCE)?)?;
        let mut validity = fields.take(SEQUENCE)?;
        let mut moment = || {
            let (tag, text) = validity.next()?;
            Moment::parse(tag, text)
        };
        Some(Self {
            issuer,
            not_before: moment()?,
            not_after: moment()?,
            subject: name(fields.take(SEQUENCE)?)?,
        })
    }
}

impl Moment {
    fn parse(tag: u8, text: &[u8]) -> Option<Self> {
        let digits = text.strip_suffix(b"Z")?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        let (year, rest) = match (tag, digits.len()) {
            (UTC_TIME, 12) if is_digits => {
                let year: i64 = digits[..2].parse().ok()?;
                (if year < 50 { 2000 } else { 1900 } + year, &digits[2..])
            }
            (GENERALIZED_TIME, 14) if is_digits => (digits[..4].parse().ok()?, &digits[4..]),
            _ => return None,
        };
        let two = |at: usize| rest[at..at + 2].parse::<i64>().ok();
        let (month, day) = (two(0)?, two(2)?);
        let (hour, minute, second) = (two(4)?, two(6)?, two(8)?);
        let is_moment = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        is_moment.then_some(Self {
            year,
            month,
            day,
            second: (hour * 60 + minute) * 60 + second,
        })
    }

    /// The number of seconds since 1970.
    pub(crate) fn unix_seconds(self) -> i64 {
        // Years begin in March, so that the day that leap years add is the last.
        let (year, month) = match self.month {
            1 | 2 => (self.year - 1, self.month + 9),
            month => (self.year, month - 3),
        };
        let leap_days = year / 4 - year / 100 + year / 400;
        let day_of_year = (153 * month + 2) / 5 + self.day - 1;
        let days = year * 365 + leap_days + day_of_year - 719_468;
        days * 24 * 60 * 60 + self.second
    }

    /// `2027-01-31`
    pub(crate) fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A name, `C=DE, O=Corp, CN=hub.corp`.
fn name(mut parts: Der<'_>) -> Option<String> {
    let mut texts = Vec::new();
    while !parts.0.is_empty() {
        let mut attributes = parts.take(SET)?;
        let mut joined = Vec::new();
        while !attributes.0.is_empty() {
            let mut attribute = attributes.take(SEQUENCE)?;
            let oid = attribute.take(OBJECT_IDENTIFIER)?.0;
            let (tag, value) = attribute.next()?;
            let known = ATTRIBUTES.iter().find(|(known, _)| *known == oid);
            let key = known.map_or_else(|| dotted(oid), |(_, name)| (*name).to_owned());
            joined.push(format!("{key}={}", text(tag, value)));
        }
        texts.push(joined.join(" + "));
    }
    Some(texts.join(", "))
}

/// A text as it may be shown.
fn text(tag: u8, bytes: &[u8]) -> String {
    let text = if tag == BMP_STRING {
        let units = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        String::from_utf16_lossy(&units.collect::<Vec<u16>>())
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    presentable(&text).unwrap_or_default()
}

/// An object identifier, `2.5.4.3`.
fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            // The first two are one number.
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first.to_string());
                number -= first * 40;
            }
            numbers.push(number.to_string());
            number = 0;
        }
    }
    numbers.join(".")
}

/// Elements in DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            ..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let len = bytes
                    .iter()
                    .fold(0, |len, byte| len << 8 | usize::from(*byte));
                (len, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// Takes the next element, whose tag must be `tag`.
    fn take(&mut self, tag: u8) -> Option<Self> {
        match self.next()? {
            (found, content) if found == tag => Some(Self(content)),
            _ => None,
        }
    }

    fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["a.b".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in [
            (rcgen::DnType::CountryName, "DE"),
            (rcgen::DnType::OrganizationName, "Corp \u{1b}[31m"),
            (rcgen::DnType::CommonName, "Corp CA"),
            (rcgen::DnType::CustomDnType(vec![1, 2, 840, 5]), "x"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        params.not_before = rcgen::date_time_ymd(2020, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_who_made_it() {
        let found = Certificate::parse(&made()).unwrap();
        let name = "C=DE, O=Corp [31m, CN=Corp CA, 1.2.840.5=x";
        assert_eq!((&*found.subject, &*found.issuer), (name, name));
        assert_eq!(found.not_before.date(), "2020-02-29");
        assert_eq!(found.not_after.date(), "2051-02-03");
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        #[track_caller]
        fn check(tag: u8, text: &str, expect: Option<i64>) {
            let moment = Moment::parse(tag, text.as_bytes());
            assert_eq!(moment.map(Moment::unix_seconds), expect, "{text}");
        }
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "000229235959Z", Some(951_868_799));
        check(UTC_TIME, "491231235959Z", Some(2_524_607_999));
        check(UTC_TIME, "500101000000Z", Some(-631_152_000));
        check(GENERALIZED_TIME, "20500301000000Z", Some(2_529_705_600));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
        check(UTC_TIME, "701301000000Z", None);
        check(UTC_TIME, "700101000000", None);
        check(UTC_TIME, "7001010000Z", None);
        check(UTC_TIME, "70010100000xZ", None);
        check(GENERALIZED_TIME, "700101000000Z", None);
        check(INTEGER, "700101000000Z", None);
    }

    #[test]
    fn hostile_bytes_are_refused_or_read() {
        let der = made();
        for len in 0..der.len().min(400) {
            // It never panics, and what is cut is not a certificate.
            assert_eq!(Certificate::parse(&der[..len]), None, "{len}");
        }
        for at in 0..der.len().min(400) {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut other = der.clone();
                other[at] = value;
                let _ = Certificate::parse(&other);
            }
        }
        for bytes in [
            &b"x"[..],
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x80\0\0",
            b"\x30\x82",
        ] {
            assert_eq!(Certificate::parse(bytes), None);
        }
        assert_eq!(dotted(&[0xff; 40]), "");
        assert_eq!(dotted(&[0x55, 4, 3]), "2.5.4.3");
        assert_eq!(dotted(&[0x88, 0x37, 1]), "2.999.1");
    }
}
