//! The text of a list, from the encodings in which editors and shells save it.

use hod_report::{Diagnose, Diagnosis, ErrorClass};
use std::char::REPLACEMENT_CHARACTER;

/// Number of bytes at the start that show whether every other one is zero (UTF-16).
const SAMPLE_LEN: usize = 256;

/// Why the bytes of a list are not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("line {line} is not UTF-8 text")]
    NotUtf8 {
        /// Counted from one.
        line: usize,
    },
    #[error("it is UTF-16 text without a byte order mark")]
    UnmarkedUtf16,
    #[error("line {line} is not UTF-16 text, although the byte order mark says so")]
    NotUtf16 {
        /// Counted from one.
        line: usize,
    },
}

/// Decodes UTF-8, with or without a byte order mark, and UTF-16 with one.
pub fn decode(bytes: Vec<u8>) -> Result<String, TextError> {
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    if is_unmarked_utf16(&bytes) {
        return Err(TextError::UnmarkedUtf16);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|&byte| byte == b'\n').count();
        TextError::NotUtf8 { line }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, TextError> {
    let pairs = bytes.chunks(2);
    // An odd last byte is half of a character.
    let units = pairs.map(|pair| match pair {
        [first, second] => unit([*first, *second]),
        _ => 0xd800,
    });
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(units) {
        let character = character.unwrap_or(REPLACEMENT_CHARACTER);
        if character == REPLACEMENT_CHARACTER {
            let line = 1 + text.matches('\n').count();
            return Err(TextError::NotUtf16 { line });
        }
        text.push(character);
    }
    Ok(text)
}

/// Whether every other byte at the start is zero, as in ASCII text that was saved as UTF-16.
fn is_unmarked_utf16(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE_LEN) & !1];
    let zeros = |first: usize| {
        sample
            .iter()
            .skip(first)
            .step_by(2)
            .filter(|&&b| b == 0)
            .count()
    };
    let most = sample.len() / 2 * 3 / 4;
    sample.len() >= 4 && zeros(0).max(zeros(1)) > most && zeros(0).min(zeros(1)) == 0
}

impl Diagnose for TextError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(ErrorClass::Usage).hint(match self {
            Self::NotUtf8 { .. } => {
                "Save the list as UTF-8. If it is GBK, `iconv -f GBK -t UTF-8 OLD > NEW` converts \
                 it."
            }
            Self::UnmarkedUtf16 | Self::NotUtf16 { .. } => {
                "Save the list as UTF-8. In PowerShell, write it with `Out-File -Encoding utf8`."
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16_of(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    #[test]
    fn text_is_decoded_or_the_line_is_named() {
        #[track_caller]
        fn check(bytes: &[u8], expect: Result<&str, TextError>) {
            assert_eq!(decode(bytes.to_vec()), expect.map(str::to_owned));
        }
        let text = "redis:7\r\n# 镜像 😀\r\n";
        check(text.as_bytes(), Ok(text));
        check(
            &utf16_of(&format!("\u{feff}{text}"), u16::to_le_bytes),
            Ok(text),
        );
        check(
            &utf16_of(&format!("\u{feff}{text}"), u16::to_be_bytes),
            Ok(text),
        );
        for bytes_of in [u16::to_le_bytes, u16::to_be_bytes] {
            let unmarked = utf16_of("redis:7\r\nnginx:1.27\r\n", bytes_of);
            check(&unmarked, Err(TextError::UnmarkedUtf16));
        }
        check(b"", Ok(""));
        check(b"a", Ok("a"));
        check(b"app:1\0\n", Ok("app:1\0\n"));
        check(
            b"a:1\n\xbe\xb5\xcf\xf1\n",
            Err(TextError::NotUtf8 { line: 2 }),
        );
        check(
            b"\xff\xfea\0\n\0\x00\xd8",
            Err(TextError::NotUtf16 { line: 2 }),
        );
        check(b"\xff\xfea\0\n", Err(TextError::NotUtf16 { line: 1 }));
    }
}
