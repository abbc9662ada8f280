//! What is wrong with a member that is not the expected one. Only for messages: the archive is
//! refused in any case.

use super::error::{BundleError, MemberProblem};
use super::volume::{Content, Member};
use crate::tarball::{EntryPath, RawKind, RawMember};

/// Names the problem with `found`, which stands where `members[at]` should start, or the end.
pub(super) fn unexpected(members: &[Member], at: usize, found: &RawMember) -> BundleError {
    let problem = |problem| BundleError::member(&found.path, problem);
    let expected = members.get(at);
    let is_it = expected.is_some_and(|expected| expected.path == found.path);
    let is_dir = expected.is_some_and(|expected| expected.content == Content::Dir);
    let is_kind = match found.kind {
        RawKind::File => true,
        RawKind::Dir => !is_it || is_dir,
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
