//! Which machine a program is for, and whether it needs nothing else to run.

use std::path::Path;

use object::elf;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::read::{FileKind, ReadCache, ReadRef};

/// Why a file cannot be included as a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATool {
    #[error("it is not a Linux program")]
    NotLinux,
    #[error("it is for a machine that hod does not know")]
    UnknownMachine,
    #[error("it is dynamically linked")]
    Dynamic,
}

/// Returns the architecture, as Go names it, that the static Linux program at `path` is for.
pub(super) fn tool_arch(path: &Path) -> Result<Result<&'static str, NotATool>, hod_fsx::Error> {
    let cache = ReadCache::new(hod_fsx::open(path)?);
    Ok(arch(&cache))
}

fn arch<'d>(data: impl ReadRef<'d>) -> Result<&'static str, NotATool> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf32) => arch_of::<elf::FileHeader32<object::Endianness>>(data),
        Ok(FileKind::Elf64) => arch_of::<elf::FileHeader64<object::Endianness>>(data),
        _ => Err(NotATool::NotLinux),
    }
}

fn arch_of<'d, Header>(data: impl ReadRef<'d>) -> Result<&'static str, NotATool>
where
    Header: FileHeader<Endian = object::Endianness>,
{
    let not_linux = |_| NotATool::NotLinux;
    let header = Header::parse(data).map_err(not_linux)?;
    let endian = header.endian().map_err(not_linux)?;
    let entry: u64 = header.e_entry(endian).into();
    let is_program = matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) && entry != 0;
    // Most Linux programs say System V.
    let is_linux = matches!(
        header.e_ident().os_abi,
        elf::ELFOSABI_SYSV | elf::ELFOSABI_LINUX
    );
    let segments = header.program_headers(endian, data).map_err(not_linux)?;
    if !is_program || !is_linux || segments.is_empty() {
        return Err(NotATool::NotLinux);
    }
    let machine = (
        header.e_machine(endian),
        header.is_class_64(),
        header.is_little_endian(),
    );
    let arch = match machine {
        (elf::EM_386, false, true) => "386",
        (elf::EM_PPC64, true, true) => "ppc64le",
        (elf::EM_S390, true, false) => "s390x",
        (elf::EM_ARM, false, true) => "arm",
        (elf::EM_X86_64, true, true) => "amd64",
        (elf::EM_AARCH64, true, true) => "arm64",
        (elf::EM_RISCV, true, true) => "riscv64",
        (elf::EM_LOONGARCH, true, true) => "loong64",
        _ => return Err(NotATool::UnknownMachine),
    };
    for segment in segments {
        let entries = segment.dynamic(endian, data).map_err(not_linux)?;
        let mut tags = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.d_tag(endian));
        let needs_library = tags.any(|tag| tag.into() == u64::from(elf::DT_NEEDED));
        if needs_library || segment.p_type(endian) == elf::PT_INTERP {
            return Err(NotATool::Dynamic);
        }
    }
    Ok(arch)
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
