//! What is known of a refusal by Harbor beyond its status and body.

/// Details that only a Harbor gives with a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HarborRefusal {
    /// By which Harbor's own logs know the request.
    pub(crate) request_id: Option<String>,
    pub(crate) cause: Cause,
    pub(crate) access: Access,
}

/// The meaning of a 401, which Harbor uses for everything: determined by looking up the project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing is known beyond the answer.
    #[default]
    Unknown,
    ProjectMissing,
    RightMissing,
    LoginRefused,
    /// The refusal is not about rights, and the login was accepted earlier in this run or there
    /// is none.
    DatabaseDown,
}

/// What a call wants to do in a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Access {
    #[default]
    Read,
    Write,
}
