//! Each error of a command: its class and its exit code.

use std::io;
use std::path::PathBuf;

use super::*;
use crate::cli::Exit;
use hod_report::{Diagnose as _, ErrorClass};

/// Checks an instance of each variant; a variant without a row does not compile.
macro_rules! check {
    (
        CommandError {
            $($Variant:ident $({ $($field:tt)* })? $(($value:expr))? => $class:ident $code:literal,)+
        }
        more { $($more:expr => $more_class:ident $more_code:literal,)+ }
        without { $($Without:ident),+ }
    ) => {{
        let _is_complete = |error: &CommandError| match error {
            $(CommandError::$Variant { .. } => {})+
            $(CommandError::$Without { .. } => {})+
        };
        let rows = vec![
            $((CommandError::$Variant $({ $($field)* })? $(($value))?, ErrorClass::$class, $code),)+
            $(($more, ErrorClass::$more_class, $more_code),)+
        ];
        for (error, class, code) in rows {
            let diagnosis = error.diagnose();
            assert_eq!(
                (diagnosis.class, Exit::of(&diagnosis).code()),
                (class, code),
                "{error:?}"
            );
            if let Some(hint) = diagnosis.hint {
                let is_sentence = !hint.starts_with(char::is_lowercase) && hint.ends_with('.');
                assert!(is_sentence, "{error:?}: {hint}");
            }
        }
    }};
}

fn path() -> PathBuf {
    PathBuf::from("site.tar")
}

fn denied() -> hod_fsx::Error {
    hod_fsx::Error::new("open", &path(), io::ErrorKind::PermissionDenied.into())
}

fn absent() -> hod_fsx::Error {
    hod_fsx::Error::new("open", &path(), io::ErrorKind::NotFound.into())
}

fn no_reference() -> ReferenceError {
    "A".parse::<hod_oci::Reference>().unwrap_err()
}

#[test]
fn classes_and_exit_codes() {
    let text = || "x".to_owned();
    let (by, flag, name) = ("--flag", "--flag", "HOD_X");
    check!(CommandError {
        Ops(OpsError::NoSource { path: path() }) => Usage 2,
        File(denied()) => File 1,
        Client(RegistryError::Host { registry: "h.corp".parse().unwrap() }) => Usage 2,
        Output(OutputError::Closed) => File 1,
        Given { by, path: path(), source: absent() } => Usage 2,
        GivenNoDirectory { by, path: path() } => Usage 2,
        Ca { path: path(), source: CertificatesError::File(denied()) } => Usage 2,
        List { path: path(), source: absent() } => Usage 2,
        NotAList { path: path(), kind: STORE } => Usage 2,
        NoLists { path: path(), below: vec![path()] } => Usage 2,
        NotText { path: path(), source: TextError::UnmarkedUtf16 } => Usage 2,
        Stdin(io::ErrorKind::Other.into()) => Usage 2,
        Credentials { path: path(), source: CredentialsError::Empty } => Usage 2,
        Target { what: "push target", text: text(), source: no_reference() } => Usage 2,
        LinkNothing => Usage 2,
        RegistryAsSource { registry: text(), source_path: text() } => Usage 2,
        SourceDateEpoch { value: text() } => Usage 2,
        BundleName { path: path() } => Usage 2,
        PackStdout { flag, problem: "is not possible" } => Usage 2,
        MergedName { path: path() } => Usage 2,
        OutputPath { path: path(), source: denied() } => Usage 2,
        OutputTransport { path: path(), transport: text() } => Usage 2,
        OutputRegistry { path: path() } => Usage 2,
        OutputStream { path: path() } => Usage 2,
        OutputIsInput { path: path() } => Usage 2,
        OutputTwice { path: path() } => Usage 2,
        ReportName { path: path() } => Usage 2,
        Results { path: path(), source: denied() } => File 1,
        Rendering { path: path(), source: io::ErrorKind::Other.into() } => Internal 1,
        ManyTrees => Usage 2,
        ImagesAbsent { path: path(), n_absent: 1, what: text() } => Verify 4,
        Damaged {
            path: path(),
            kind: SourceKind::Store,
            n_problems: text(),
            what: text(),
        } => Verify 4,
        Incomplete { path: path(), missing: text() } => NotFound 5,
        WhoseLogin { by, registries: vec![text()] } => Usage 2,
        SyncNowhere { word: "list.txt".to_owned() } => Usage 2,
        HalfLogin { has: name, lacks: name } => Usage 2,
        UserColon { by } => Usage 2,
        EmptyVariable { name } => Usage 2,
        NotAPath { name, content: "JSON" } => Usage 2,
        TrustedDir { path: path(), problem: "is empty" } => Usage 2,
        NotUtf8 { name } => Usage 2,
        StdinTwice { flag } => Usage 2,
        CredsRead(io::ErrorKind::Other.into()) => Usage 2,
        CredsStdin => Usage 2,
        NoPassword => Usage 2,
        NobodyToAsk { what: "password" } => Usage 2,
        NoHome => Usage 2,
        Proxy { variable: name } => Usage 2,
        RegistryName { text: text(), source: no_reference() } => Usage 2,
        Arguments { text: text(), tip: None } => Usage 2,
        Endpoint(EndpointError::Unknown { text: text() }) => Usage 2,
        Policy(PolicyError::Invalid { path: path(), problem: text() }) => Usage 2,
        CapitalScope { scope: text(), path: path() } => Usage 2,
        RegistriesD(LookasideError::Url { url: text() }) => Usage 2,
        CopyTarget(TargetError::Unclear { text: text() }) => Usage 2,
        OnlyOfRegistries => Usage 2,
        SourceOfNothing { word: path() } => Usage 2,
        RenameWithoutList => Usage 2,
        RenamedReceipt { path: path() } => Usage 2,
        SectionWithoutList { section: text() } => Usage 2,
        RegistryAmongImages { word: text() } => Usage 2,
        LockSource { registry: "h.corp".parse().unwrap() } => Usage 2,
        TagOfTags { repository: text() } => Usage 2,
        NotARepository { word: text() } => Usage 2,
        TwoPatterns { text: text() } => Usage 2,
        RepositoryTwice => Usage 2,
        ImageTwice { word: path(), image: text() } => Usage 2,
        Template { problem: text() } => Usage 2,
        DeleteAll { registry: text() } => Usage 2,
        DeleteLocal { path: path() } => Usage 2,
        DeleteWhere { image: text() } => Usage 2,
        NotConfirmed { what: text() } => Policy 5,
        AnswerRead(io::ErrorKind::Other.into()) => Internal 5,
        Key { name: text(), source: KeyError::PasswordWrong } => Usage 2,
        Sign(SignError::HelperName { helper: text() }) => Usage 2,
        NoSignKey => Usage 2,
        Runtime(io::ErrorKind::Other.into()) => Internal 1,
        Interrupted { progress: None } => Interrupted 130,
    } more {
        CommandError::Sign(SignError::HelperFailed { program: text(), message: text() }) => Auth 1,
        CommandError::CopyTarget(TargetError::Image { text: text() }) => Usage 2,
        CommandError::NotAPath { name: "--authfile", content: "several lines" } => Usage 2,
    } without {
        // As the crates below have them.
        Lists, RegistriesConf, Locked
    });
}
