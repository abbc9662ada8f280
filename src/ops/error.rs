//! Why a whole batch was refused, or broke off.

mod diagnosis;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::batch::BatchFailure;
use super::{
    BaseMissing, CarryError, NotReady, OutputError, SourceKind, SourcesNotReady, TargetsNotReady,
};
use hod_bundle::{BundleError, KeyError, ReceiptError};
use hod_layout::LayoutError;
use hod_list::{ListError, RenameError};
use hod_oci::{Registry, SchemaOneError};
use hod_registry::{KeepError, RegistryError};
use hod_report::amount::format_count;
use hod_report::{Diagnose as _, ErrorClass};
use hod_server::ServerError;
use hod_store::StoreError;
use hod_template::TemplateError;
use hod_transfer::{TransferError, Transport};

/// Maximum number of lines shown.
const LINES_MAX: usize = 20;

/// The work of a verb. It is boxed so that it is compiled once, in this crate.
pub type Verb<'a, T> = LocalBoxFuture<'a, Result<T, OpsError>>;

/// A verb that did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A registry that does not say what repositories it has, at least not to this login.
    #[error("`{registry}` does not list its repositories")]
    NoCatalog {
        registry: Registry,
        source: Box<RegistryError>,
    },
    #[error("`{}` cannot be read as a receipt", path.display())]
    Receipt { path: PathBuf, source: ReceiptError },
    #[error("`{}` and `{}` are both receipts, and there are no images to compare", old.display(), new.display())]
    TwoReceipts { old: PathBuf, new: PathBuf },
    #[error("`{}` has no digest", path.display())]
    SchemaOne {
        path: PathBuf,
        source: SchemaOneError,
    },
    /// A failure of a verb that changes nothing, so that it is not a refusal.
    #[error(transparent)]
    Looking(Box<OpsError>),
    /// An image that cannot be shown.
    #[error("failed to read `{image}`")]
    Unshown {
        image: String,
        source: Arc<TransferError>,
    },
    /// A digest, where only tags are to be deleted.
    #[error("`{image}` is a digest, and `--tag-only` deletes tags")]
    NotATag { image: String },
    /// Several images where one is to be shown.
    #[error("`{}` has {}, and one is shown at a time", word.display(), format_count(*n_images, "image"))]
    OneImage {
        word: PathBuf,
        n_images: usize,
        /// Some of them.
        images: Vec<String>,
    },
    /// An index, where the config of one platform is wanted.
    #[error("`{image}` is an index of several platforms, and each has its own config")]
    OnePlatform {
        image: String,
        platforms: Vec<String>,
    },
    /// A manifest without a config that can be shown.
    #[error("`{image}` has no config")]
    NoConfig { image: String },
    /// Several repositories, where the tags of one are wanted.
    #[error("`{}` has {} repositories, and the tags of one are listed at a time", path.display(), repositories.len())]
    OneRepository {
        path: PathBuf,
        repositories: Vec<String>,
    },
    #[error("`{}` has no repository `{repository}`", path.display())]
    NoSuchRepository {
        path: PathBuf,
        repository: String,
        /// Those that it has.
        present: Vec<String>,
    },
    #[error("`{text}` is not a digest or digest prefix")]
    BadDigest { text: String },
    /// Several digests start so.
    #[error("{n_found} digests in `{}` start with `{text}`:\n{}", path.display(), indent(found))]
    AmbiguousDigest {
        path: PathBuf,
        text: String,
        n_found: usize,
        /// Some of them.
        found: Vec<String>,
    },
    #[error("`{text}` is not in `{}`", path.display())]
    NoSuchDigest {
        path: PathBuf,
        text: String,
        /// Digests that look like it.
        near: Vec<String>,
    },
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Batch(#[from] BatchFailure),
    #[error(transparent)]
    Rename(#[from] RenameError),
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("failed to listen on `{address}`")]
    Bind {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("`{address}` is not served: other machines could push to it without {lacking}")]
    Exposed {
        address: std::net::SocketAddr,
        lacking: &'static str,
    },
    #[error("`{}` is a file, which can be served only read-only", path.display())]
    ReadOnlyBundle { path: PathBuf },
    #[error("`{}` cannot be written to", path.display())]
    NotWritable { path: PathBuf, source: StoreError },
    #[error("`{}` is not a store, registry tree, bundle, layout or archive of images", path.display())]
    UnknownSource {
        path: PathBuf,
        /// The directory that has a registry's tree, where it is close by.
        tree: Option<PathBuf>,
    },
    #[error("`{}` is not a receipt, bundle or store", path.display())]
    NotABaseline { path: PathBuf },
    /// A file in a compression that is not read.
    #[error("`{}` cannot be read while it is compressed with {compression}", path.display())]
    Compression {
        path: PathBuf,
        compression: &'static str,
    },
    /// A file, or stdin, where a directory is read and written.
    #[error("a store is a directory; `{}` is {}", path.display(), kind.in_words())]
    NotADirectory { path: PathBuf, kind: FileKind },
    /// A text file where a tree or bundle is expected, most likely a list.
    #[error("`{}` is not a tree or a bundle that can be packed", path.display())]
    ListWithoutStore { path: PathBuf },
    #[error("`{}` not found", path.display())]
    NoSource { path: PathBuf },
    /// Stdin where a source is read more than once, or in any order.
    #[error("a bundle on stdin (`-`) can be read only once, which is not enough for this command")]
    Piped,
    /// A source of a kind that the verb cannot use.
    #[error("cannot {verb} from `{}`, which is {}", path.display(), kind.as_str())]
    WrongSource {
        verb: &'static str,
        path: PathBuf,
        kind: SourceKind,
    },
    /// A source of another kind than its transport says.
    #[error("`{}` is {}, not {} (`{}:`)", path.display(), kind.as_str(), transport.in_words(), transport.word())]
    OtherKind {
        path: PathBuf,
        kind: SourceKind,
        transport: Transport,
    },
    #[error("`{}` has no image `{image}`", path.display())]
    NoSuchImage {
        path: PathBuf,
        image: String,
        /// Those that it has.
        present: Vec<String>,
    },
    #[error("`{image}` is {} in `{}`:\n{}", format_count(found.len(), "image"), path.display(), indent(found))]
    AmbiguousImage {
        path: PathBuf,
        image: String,
        found: Vec<String>,
    },
    /// A target that names its image, and several that are to be copied.
    #[error("`{target}:{image}` names one image, but {n_images} are to be copied")]
    OneName {
        target: String,
        image: String,
        n_images: usize,
    },
    /// Registries where only a local source can be used.
    #[error("cannot {verb} from a registry")]
    RemoteSource { verb: &'static str },
    #[error("`{}` contains no images", path.display())]
    NoImages { path: PathBuf },
    /// Images that a list names and the source lacks; nothing was done.
    #[error("{} of {} {} not in `{}`; nothing was done\n{}", missing.len(), format_count(*n_wanted, "image"), if *n_wanted == 1 { "is" } else { "are" }, path.display(), indent(missing))]
    Missing {
        path: PathBuf,
        n_wanted: usize,
        missing: Vec<String>,
    },
    /// None of the images that were named, each with where it was looked for.
    #[error("{} not found; nothing was done\n{}", format_count(missing.len(), "image"), indent(missing))]
    NoneFound { missing: Vec<String> },
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// A password that the registry does not take; nothing was kept.
    #[error("`{registry}` refused this login: {said}")]
    LoginRefused { registry: Registry, said: String },
    /// None of the images of registries could be read.
    #[error("failed to read any image of `{}`{undone}", word.display())]
    NothingRead {
        word: PathBuf,
        /// What was therefore not done, after a semicolon, if it is not plain.
        undone: &'static str,
        source: Arc<TransferError>,
    },
    #[error("`{}` has no login for `{name}`", path.display())]
    NotLoggedIn { name: String, path: PathBuf },
    /// A registry that cannot take what is to be pushed.
    #[error(transparent)]
    NotReady(Box<NotReady>),
    #[error(transparent)]
    TargetsNotReady(TargetsNotReady),
    /// What is read once cannot go to several targets.
    #[error("`{}` is {}, which can be read only once, from start to end", path.display(), kind.as_str())]
    OneTarget { path: PathBuf, kind: SourceKind },
    #[error(transparent)]
    SourcesNotReady(Box<SourcesNotReady>),
    /// A new pair of keys would replace an existing one.
    #[error("`{}` already exists; nothing was written", path.display())]
    KeyExists { path: PathBuf },
    #[error("failed to create a key")]
    Key(#[source] KeyError),
    /// Bundles that cannot be merged, since they differ in common content.
    #[error("the bundles have {}; nothing was written\n{}", format_count(conflicts.len(), "conflict"), indent(conflicts))]
    Conflicts { conflicts: Vec<String> },
    /// Blobs that a bundle left out, and that are not where they must be.
    #[error(transparent)]
    BaseMissing(Box<BaseMissing>),
    #[error("output `{}` is also an input; choose another path", path.display())]
    OutputIsSource { path: PathBuf },
    /// Files that would be replaced; never empty.
    #[error("{}; nothing was written", exist(paths))]
    OutputsExist { paths: Vec<PathBuf> },
    /// A tree that has images besides those that are selected.
    #[error("`{}` has {} not in this selection; nothing was changed", path.display(), if *n_others == 1 { "1 image that is".to_owned() } else { format!("{n_others} images that are") })]
    OtherImages { path: PathBuf, n_others: usize },
    /// Images that are to be removed from a tree, and that could not be selected again.
    #[error("`{}` has {} that `{}` does not have; nothing was changed\n{}", path.display(), format_count(images.len(), "image"), store.display(), indent(&shortened(images)))]
    WouldLose {
        path: PathBuf,
        store: PathBuf,
        images: Vec<String>,
    },
    /// The images are selected, but others remain next to them.
    #[error("some images that are not selected could not be removed from `{}`", path.display())]
    NotRemoved { path: PathBuf, source: StoreError },
    /// A text of the bundle that comes from the command line.
    #[error("the {field} of the bundle is empty, too long or contains control characters")]
    BundleText { field: &'static str },
}

impl From<SourcesNotReady> for OpsError {
    fn from(not_ready: SourcesNotReady) -> Self {
        Self::SourcesNotReady(Box::new(not_ready))
    }
}

impl From<TargetsNotReady> for OpsError {
    fn from(not_ready: TargetsNotReady) -> Self {
        Self::TargetsNotReady(not_ready)
    }
}

impl From<NotReady> for OpsError {
    fn from(not_ready: NotReady) -> Self {
        Self::NotReady(Box::new(not_ready))
    }
}

/// The kind of file at the path of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Bundle,
    Other,
    /// `-`.
    Pipe,
}

impl FileKind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Bundle => "a bundle",
            Self::Other => "a file",
            Self::Pipe => "stdin or stdout",
        }
    }
}

/// "`a.tar` already exists", or how many of several do.
fn exist(paths: &[PathBuf]) -> String {
    match paths {
        [path] => format!("`{}` already exists", path.display()),
        [first, rest @ ..] => format!(
            "`{}` and {} already exist",
            first.display(),
            format_count(rest.len(), "more output")
        ),
        [] => String::new(),
    }
}

/// The first lines, and how many there are besides.
fn shortened(lines: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().take(LINES_MAX).cloned().collect();
    if lines.len() > LINES_MAX {
        shown.push(format!("and {} more", lines.len() - LINES_MAX));
    }
    shown
}

fn indent(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

impl OpsError {
    /// The error of a verb that changes nothing: what is not found is a failure, not a refusal.
    pub(crate) fn looking(self) -> Self {
        let found = self.diagnose();
        if found.class == ErrorClass::NotFound && found.is_refusal() {
            Self::Looking(Box::new(self))
        } else {
            self
        }
    }

    /// The image that an all-or-nothing verb failed at.
    pub fn failed_image(&self) -> Option<&str> {
        match self {
            Self::Batch(failure) => Some(&failure.image),
            _ => None,
        }
    }

    /// Whether content on this machine is not what its digest says, or contradicts itself.
    pub fn is_damaged_source(&self) -> bool {
        match self {
            Self::Transfer(error) => error.is_damaged_source(),
            Self::Batch(failure) => failure.error.is_damaged_source(),
            Self::Registry(_) => false,
            error => error.diagnose().class == ErrorClass::Verify,
        }
    }
}
