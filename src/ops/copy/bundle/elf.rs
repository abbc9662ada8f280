//! Reads from ELF headers what a program requires to run.

use std::path::Path;

/// Maximum number of bytes read of the headers and of each table.
const TABLE_LEN_MAX: u64 = 64 * 1024;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;

/// Why a file cannot be carried as a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATool {
    #[error("it is no Linux program")]
    NotLinux,
    #[error("it is for a kind of machine that hod does not know")]
    UnknownMachine,
    #[error("it is dynamically linked")]
    Dynamic,
}

/// Returns the architecture, as Go names it, that the static Linux program at `path` is for.
pub(super) fn tool_arch(path: &Path) -> Result<Result<&'static str, NotATool>, hod_fsx::Error> {
    let file = hod_fsx::open(path)?;
    let read = |offset: u64, len: u64| -> Result<Vec<u8>, hod_fsx::Error> {
        let mut bytes = vec![0; usize::try_from(len.min(TABLE_LEN_MAX)).unwrap_or_default()];
        let mut done = 0;
        while done < bytes.len() {
            let at = offset.saturating_add(done as u64);
            match hod_fsx::read_at(&file, path, &mut bytes[done..], at)? {
                0 => break,
                n => done += n,
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    };
    look(&read)
}

type Read<'a> = dyn Fn(u64, u64) -> Result<Vec<u8>, hod_fsx::Error> + 'a;

fn look(read: &Read<'_>) -> Result<Result<&'static str, NotATool>, hod_fsx::Error> {
    let head = read(0, 64)?;
    let Some(class) = Class::of(&head) else {
        return Ok(Err(NotATool::NotLinux));
    };
    let Some(arch) = class.arch(&head) else {
        return Ok(Err(NotATool::UnknownMachine));
    };
    let fields = class.fields();
    let number = |(at, len): (usize, usize)| class.number(&head, at, len).unwrap_or_default();
    let (entry, table) = (number(fields.entry), number(fields.program_headers));
    let (entry_len, n_entries) = (number(fields.entry_len), number(fields.n_entries));
    let headers = read(table, entry_len.saturating_mul(n_entries))?;
    // A library has no entry.
    if entry == 0 || headers.is_empty() || entry_len < 32 {
        return Ok(Err(NotATool::NotLinux));
    }
    for header in headers.chunks(usize::try_from(entry_len).unwrap_or(usize::MAX)) {
        match class.number(header, 0, 4) {
            Some(PT_INTERP) => return Ok(Err(NotATool::Dynamic)),
            Some(PT_DYNAMIC) => {
                let field = |(at, len)| class.number(header, at, len).unwrap_or_default();
                let table = read(field(fields.segment_offset), field(fields.segment_len))?;
                let word = fields.word;
                let mut tags = table.chunks_exact(word * 2);
                if tags.any(|pair| class.number(pair, 0, word) == Some(DT_NEEDED)) {
                    return Ok(Err(NotATool::Dynamic));
                }
            }
            _ => {}
        }
    }
    Ok(Ok(arch))
}

/// The byte order of numbers in a file.
#[derive(Debug, Clone, Copy)]
struct Class {
    is_64: bool,
    is_big_endian: bool,
}

/// The offsets and sizes of fields.
struct Fields {
    entry: (usize, usize),
    program_headers: (usize, usize),
    entry_len: (usize, usize),
    n_entries: (usize, usize),
    segment_offset: (usize, usize),
    segment_len: (usize, usize),
    word: usize,
}

impl Class {
    /// The OS ABI of an executable for Linux, or System V, which most Linux programs have.
    fn of(head: &[u8]) -> Option<Self> {
        let class = match head.get(..8)? {
            [
                0x7f,
                b'E',
                b'L',
                b'F',
                class @ (1 | 2),
                order @ (1 | 2),
                1,
                0 | 3,
            ] => Self {
                is_64: *class == 2,
                is_big_endian: *order == 2,
            },
            _ => return None,
        };
        matches!(class.number(head, 16, 2), Some(2 | 3)).then_some(class)
    }

    fn number(self, bytes: &[u8], at: usize, len: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(len)?)?;
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big_endian {
            bytes.iter().fold(0, push)
        } else {
            bytes.iter().rev().fold(0, push)
        })
    }

    fn arch(self, head: &[u8]) -> Option<&'static str> {
        Some(
            match (self.number(head, 18, 2)?, self.is_64, self.is_big_endian) {
                (3, false, false) => "386",
                (21, true, false) => "ppc64le",
                (22, true, true) => "s390x",
                (40, false, false) => "arm",
                (62, true, false) => "amd64",
                (183, true, false) => "arm64",
                (243, true, false) => "riscv64",
                (258, true, false) => "loong64",
                _ => return None,
            },
        )
    }

    fn fields(self) -> Fields {
        if self.is_64 {
            Fields {
                entry: (24, 8),
                program_headers: (32, 8),
                entry_len: (54, 2),
                n_entries: (56, 2),
                segment_offset: (8, 8),
                segment_len: (32, 8),
                word: 8,
            }
        } else {
            Fields {
                entry: (24, 4),
                program_headers: (28, 4),
                entry_len: (42, 2),
                n_entries: (44, 2),
                segment_offset: (4, 4),
                segment_len: (16, 4),
                word: 4,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 64 bits with these segments: type, offset, length.
    fn program(machine: u16, segments: &[(u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3, 0]);
        bytes.extend(machine.to_le_bytes());
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(0x1000_u64.to_le_bytes());
        bytes.extend(64_u64.to_le_bytes());
        bytes.resize(54, 0);
        bytes.extend([56, 0, u8::try_from(segments.len()).unwrap(), 0]);
        bytes.resize(64, 0);
        for (kind, offset, len) in segments {
            let mut segment = kind.to_le_bytes().to_vec();
            segment.extend([0; 4]);
            segment.extend(offset.to_le_bytes());
            segment.extend([0; 16]);
            segment.extend(len.to_le_bytes());
            segment.resize(56, 0);
            bytes.extend(segment);
        }
        bytes
    }

    fn arch(bytes: &[u8]) -> Result<&'static str, NotATool> {
        let read = |offset: u64, len: u64| {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let len = usize::try_from(len.min(TABLE_LEN_MAX)).unwrap();
            Ok(bytes[start..(start + len).min(bytes.len())].to_vec())
        };
        look(&read).unwrap()
    }

    #[test]
    fn static_programs_are_told_from_others() {
        #[track_caller]
        fn check(bytes: &[u8], expect: Result<&str, NotATool>) {
            assert_eq!(arch(bytes), expect);
        }
        check(&program(62, &[(1, 0, 0)]), Ok("amd64"));
        check(&program(183, &[(1, 0, 0)]), Ok("arm64"));
        check(
            &program(62, &[(1, 0, 0), (3, 0, 9)]),
            Err(NotATool::Dynamic),
        );
        // A dynamic section at 120, without and with a library in it.
        let mut bytes = program(62, &[(2, 120, 32)]);
        bytes.extend([0; 32]);
        check(&bytes, Ok("amd64"));
        bytes[120 + 16] = 1;
        check(&bytes, Err(NotATool::Dynamic));
        check(&program(9999, &[(1, 0, 0)]), Err(NotATool::UnknownMachine));
        check(b"#!/bin/sh\necho hod\n", Err(NotATool::NotLinux));
        check(b"", Err(NotATool::NotLinux));
        // Tables with invalid offsets.
        let whole = program(62, &[(1, 0, 0)]);
        check(&whole[..60], Err(NotATool::NotLinux));
        let mut far = whole;
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        check(&far, Err(NotATool::NotLinux));
    }
}
