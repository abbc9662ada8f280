//! What would stop a push, as data, and as the one table that people see.

use std::fmt;

use serde::Serialize;

use super::super::batch::TargetName;
use hod_oci::Registry;
use hod_registry::RegistryError;
use hod_report::amount::format_count;
use hod_report::{Diagnose, Diagnosis, ErrorClass, chain};

/// The kind of check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Reachable,
    Registry,
    Tls,
    Login,
    Name,
    Project,
    Right,
    ReadOnly,
    ProxyCache,
    Quota,
    Immutable,
    Index,
    /// A finding at a target on a disk, if there are several targets.
    Target,
}

impl Check {
    fn label(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Registry => "registry",
            Self::Tls => "TLS",
            Self::Login => "login",
            Self::Name => "name",
            Self::Project => "project",
            Self::Right => "push right",
            Self::ReadOnly => "read-only",
            Self::ProxyCache => "proxy cache",
            Self::Quota => "quota",
            Self::Immutable => "immutable",
            Self::Index => "index",
            Self::Target => "target",
        }
    }
}

impl Check {
    /// What kind of failure it is when it does not pass, for programs.
    fn class(self) -> ErrorClass {
        match self {
            Self::Reachable | Self::Registry | Self::Tls => ErrorClass::Network,
            Self::Login | Self::Right => ErrorClass::Auth,
            Self::Project => ErrorClass::NotFound,
            Self::Name
            | Self::ReadOnly
            | Self::ProxyCache
            | Self::Immutable
            | Self::Index
            | Self::Target => ErrorClass::Policy,
            Self::Quota => ErrorClass::Space,
        }
    }
}

/// One thing that would stop the push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: Check,
    /// The registry, project or image that it concerns.
    pub what: String,
    pub problem: String,
    /// Advice about it; empty if there is none.
    pub fix: String,
    #[serde(skip)]
    class: ErrorClass,
}

impl Finding {
    pub(crate) fn new(check: Check, what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            check,
            what: what.into(),
            problem: problem.into(),
            fix: String::new(),
            class: check.class(),
        }
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// The finding with the class and the hint of an error.
    pub(crate) fn meaning(mut self, diagnosis: Diagnosis) -> Self {
        self.class = diagnosis.class;
        self.fix(diagnosis.hint.unwrap_or_default())
    }

    /// The finding that a registry cannot be used.
    pub(crate) fn of_error(registry: &Registry, error: &RegistryError) -> Self {
        let Diagnosis { class, hint, .. } = error.diagnose();
        let check = match error {
            _ if error.may_mean_absent() => Check::Login,
            _ if class == ErrorClass::Auth && !error.is_tls() => Check::Login,
            RegistryError::NotARegistry { .. } => Check::Registry,
            _ if error.is_tls() => Check::Tls,
            _ => Check::Reachable,
        };
        Self::new(check, registry.as_str(), chain(error)).fix(hint.unwrap_or_default())
    }
}

/// A target that cannot accept the copy; nothing was changed.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
pub struct NotReady {
    #[serde(flatten)]
    pub target: TargetName,
    pub findings: Vec<Finding>,
}

/// Several targets that cannot accept the copy; nothing was changed at any of them.
#[derive(Debug, Clone, Serialize)]
pub struct TargetsNotReady {
    pub targets: Vec<NotReady>,
}

impl std::error::Error for TargetsNotReady {}

impl fmt::Display for TargetsNotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, target) in self.targets.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            target.fmt(f)?;
        }
        Ok(())
    }
}

impl Diagnose for TargetsNotReady {
    fn diagnose(&self) -> Diagnosis {
        diagnose(self.targets.iter().flat_map(|target| &target.findings))
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = format_count(self.findings.len(), "problem");
        let target = &self.target;
        write!(
            f,
            "`{target}` is not ready: {problems}; nothing was changed"
        )?;
        write_table(f, &self.findings)
    }
}

/// The findings as a table, a line each.
pub(super) fn write_table(f: &mut fmt::Formatter<'_>, findings: &[Finding]) -> fmt::Result {
    let rows = findings.iter().map(|finding| {
        let cells = [finding.check.label(), &finding.what, &finding.problem];
        cells.map(str::to_owned)
    });
    let head = ["CHECK", "WHAT", "PROBLEM"].map(str::to_owned);
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(rows).collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    for [check, what, problem] in &rows {
        write!(f, "\n  {check:first$}  {what:second$}  {problem}")?;
    }
    Ok(())
}

/// What the findings mean together: a refusal of the class of the first one, with the advice about
/// all of them, each piece once.
pub(super) fn diagnose<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Diagnosis {
    let mut class = None;
    let mut fixes: Vec<&str> = Vec::new();
    for finding in findings {
        class.get_or_insert(finding.class);
        if !finding.fix.is_empty() && !fixes.contains(&finding.fix.as_str()) {
            fixes.push(&finding.fix);
        }
    }
    Diagnosis {
        hint: (!fixes.is_empty()).then(|| fixes.join("\n")),
        ..Diagnosis::refused(class.unwrap_or(ErrorClass::Policy))
    }
}

impl Diagnose for NotReady {
    fn diagnose(&self) -> Diagnosis {
        diagnose(&self.findings)
    }
}
