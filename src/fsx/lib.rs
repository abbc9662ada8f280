//! The file system: every blocking I/O call of the house, each with an error that names its path.
//!
//! The only user of `std::fs`, `nix`, `tempfile`, and of `rustix` for what `nix` lacks on Linux:
//! extended attributes, `FICLONE`, and `renameat2` without glibc. "Not there" is a value
//! (`try_…` returns `None`); everything else is an [`Error`]. Nothing here knows what a registry is.
//!
//! Nothing is removed that this program did not make: files one by one and by name, directories
//! when they are empty. What is removed with all in it is a [`TempDir`], or one that a killed run
//! left, without following a link out of it.

mod append;
mod copy_range;
mod error;
mod flock;
mod kept_file;
mod limits;
mod link;
mod lock;
mod made;
mod mark;
mod not_own;
mod output_dir;
mod output_file;
mod owned;
mod persist;
mod pinned;
mod private;
mod range;
mod read;
mod scratch;
mod space;
mod stdin;
mod stdout;
mod sweep;
mod user;
mod verified;
mod walk;
mod writable;

pub use append::AppendFile;
pub use copy_range::{RangeCopier, SourceRange};
pub use error::{Error, IoKind};
pub use kept_file::{Keeping, KeptFile};
pub use limits::raise_open_files_max;
pub use link::{LinkMode, link_file, link_or_copy_file, link_where_possible, try_link};
pub use lock::{DirLock, LockMode};
pub use made::{MadeDirs, OutputParents};
pub use mark::{changed, modified, read_mark, remove_mark, set_back, set_mark};
pub use output_dir::{IsMember, OutputDir};
pub use output_file::{
    OutputFile, OutputKind, ResultFile, is_stream, open_stream, require_text_of,
};
pub use owned::{RealDirs, make_own_dir, open_own_dir, own_dir_names, require_real_dirs};
pub use persist::{
    Durability, TempFile, TempName, create_dir_all, create_log, overwrite, remove_dir_if_empty,
    remove_file, rename, rename_new, sync_dir, sync_filesystem, write_file,
};
pub use pinned::{PinnedDir, try_stat_link};
pub use private::{
    create_private_dir_all, make_private, sweep_private, write_new_pair, write_private,
};
pub use range::{CHUNK_LEN, FileRange, read_chunks};
pub use read::{
    FileStat, broken_link, digest_of, dir_of, has_content, is_within, len_of, nearest, open,
    open_input, read, read_at, read_dir_names, read_input, read_range, read_to_end, resolve, stat,
    try_open, try_open_any, try_read, try_read_dir_names, try_stat,
};
pub use scratch::{TempDir, memory_file};
pub use space::{available, file_len_max, same_filesystem};
pub use std::fs::File;
pub use stdin::{STDIN, is_stdin, stdin};
pub use stdout::{STDOUT, is_stdout, stdout};
pub use sweep::{Leftover, is_scratch_name, sweep_older, sweep_scratch};
pub use user::user_id;
pub use verified::{Append, VerifiedReader, VerifiedWriter, WriteError};
pub use walk::{WalkEntry, WalkKind, walk};
pub use writable::{absolute, require_writable, require_writable_file};
