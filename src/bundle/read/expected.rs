//! Compares the members of a volume with its layout while they are read.

use crate::error::{BundleError, MemberProblem};
use crate::format::volume::{Content, Member, Volume};
use crate::hashing::BUFFER_LEN;
use hod_oci::{ContentMismatch, Digest, Verifier};
use hod_report::{Diagnose as _, ErrorClass};
use hod_tarball::{END, EntryPath, Fault, Input, MemberKind, Problem, RawMember, WindowTooLarge};

impl From<Fault> for BundleError {
    fn from(fault: Fault) -> Self {
        let (path, member) = (fault.path, fault.member);
        let problem = match fault.problem {
            Problem::Read(source) => return Self::Read { path, source },
            Problem::Decompress(source) => {
                if let Some(source) = WindowTooLarge::of(&source) {
                    return Self::Window { path, source };
                }
                return Self::Decompress {
                    path,
                    member,
                    source,
                };
            }
            Problem::Truncated(_) => MemberProblem::Truncated,
            Problem::Header(_) => MemberProblem::HeaderDamaged,
            Problem::Trailing(_) => MemberProblem::Trailing,
            Problem::Extension(len) => MemberProblem::ExtendedHeader { len },
        };
        Self::member(&member, problem)
    }
}

/// Reads the headers of the member with index `at`, which must be those of the layout.
pub(crate) fn expect_lead(
    input: &mut Input<'_>,
    volume: &Volume,
    volume_json: &Digest,
    at: usize,
) -> Result<(), BundleError> {
    let member = &volume.members()[at];
    input.enter(&member.path);
    if input.expect(&volume.lead(member, volume_json))? {
        return Ok(());
    }
    Err(match input.next_header()? {
        Some(found) => unexpected_member(volume.members(), at, &found),
        None => BundleError::member(&member.path, MemberProblem::Missing),
    })
}

/// Reads the padding after a member, which must be zeros.
pub(crate) fn expect_padding(input: &mut Input<'_>, member: &Member) -> Result<(), BundleError> {
    expect_zeros(input, member.end() - member.offset - member.len)
}

/// Reads `len` bytes of padding.
pub(crate) fn expect_zeros(input: &mut Input<'_>, len: u64) -> Result<(), BundleError> {
    if input.read_vec(len)?.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(BundleError::member(input.member(), MemberProblem::Padding))
}

/// Reads the end of a volume, which another volume may follow.
pub(crate) fn expect_volume_end(input: &mut Input<'_>, volume: &Volume) -> Result<(), BundleError> {
    let members = volume.members();
    let last = members.last().map_or("", |last| &last.path);
    input.enter(last);
    if input.expect(&END)? {
        return Ok(());
    }
    match input.next_header().map_err(BundleError::from) {
        Ok(Some(found)) => Err(unexpected_member(members, members.len(), &found)),
        Err(error) if error.diagnose().class != ErrorClass::Verify => Err(error),
        Ok(None) | Err(_) => Err(BundleError::member(last, MemberProblem::Trailing)),
    }
}

/// Reads the end of the archive, which nothing may follow.
pub(crate) fn expect_end(input: &mut Input<'_>, volume: &Volume) -> Result<(), BundleError> {
    expect_volume_end(input, volume)?;
    Ok(input.finish()?)
}

/// Returns the error for the member `found`, which is in the place of `members[at]` or of the end.
pub(crate) fn unexpected_member(members: &[Member], at: usize, found: &RawMember) -> BundleError {
    let problem = |problem| BundleError::member(&found.path, problem);
    let expected = members.get(at);
    let is_it = expected.is_some_and(|expected| expected.path == found.path);
    let is_dir = expected.is_some_and(|expected| expected.content == Content::Dir);
    let is_kind = match &found.kind {
        MemberKind::File => true,
        MemberKind::Dir => !is_it || is_dir,
        _ => false,
    };
    if !is_kind {
        let kind = found.kind.name();
        return problem(MemberProblem::Kind { kind });
    }
    if let Err(error) = found.path.trim_end_matches('/').parse::<EntryPath>() {
        let reason = error.reason;
        return problem(MemberProblem::UnsafePath { reason });
    }
    let has_path = |members: &[Member]| members.iter().any(|member| member.path == found.path);
    match expected {
        Some(expected) if is_it && found.len == expected.len => problem(MemberProblem::Header),
        Some(expected) if is_it => problem(MemberProblem::Length {
            expected: expected.len,
            actual: found.len,
        }),
        _ if has_path(&members[..at]) => problem(MemberProblem::Duplicate),
        Some(expected) if has_path(&members[at..]) => {
            BundleError::member(&expected.path, MemberProblem::Missing)
        }
        _ => problem(MemberProblem::Unlisted),
    }
}

/// Reads the content of a member, which must have the digest `expected`; calls `on_bytes` after each
/// read.
pub(crate) fn verify_content(
    input: &mut Input<'_>,
    member: &Member,
    expected: &Digest,
    on_bytes: &dyn Fn(u64),
) -> Result<(), BundleError> {
    let mut verifier = Verifier::from(expected);
    let mut buffer =
        vec![0; usize::try_from(member.len).map_or(BUFFER_LEN, |len| len.min(BUFFER_LEN))];
    while verifier.len() < member.len {
        let left = member.len - verifier.len();
        let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let n = input.read_some(&mut buffer[..want])?;
        verifier
            .update(&buffer[..n])
            .map_err(|mismatch| content_mismatch(member, mismatch))?;
        on_bytes(n as u64);
    }
    verifier
        .finish()
        .map_err(|mismatch| content_mismatch(member, mismatch))
}

/// Returns the error for a member whose content is not as listed.
pub(crate) fn content_mismatch(member: &Member, mismatch: ContentMismatch) -> BundleError {
    BundleError::member(&member.path, mismatch.into())
}
