//! The capabilities of sources.

/// The capabilities of a kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCaps {
    pub reach: Reach,
    pub order: ReadOrder,
    pub keeping: Keeping,
    /// The container of the blobs, which determines the advice about a damaged one.
    pub holder: BlobHolder,
    pub indexes: Indexes,
}

#[cfg(test)]
impl SourceCaps {
    /// Capabilities of test sources.
    pub(crate) const FAR: Self = Self {
        reach: Reach::Remote,
        order: ReadOrder::Any,
        keeping: Keeping::Inside,
        holder: BlobHolder::Other,
        indexes: Indexes::Whole,
    };
}

/// Whether an index of a source may lack some of its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexes {
    Whole,
    /// It may have been stored with a part of its children only.
    Partial,
}

/// The kind of place that holds a blob; decides the advice when it is damaged there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobHolder {
    /// A store, which has a file for each blob and is filled by pulling.
    Store,
    /// A bundle.
    Bundle,
    /// For example, a layout or an archive of another tool.
    Other,
}

/// How a source keeps blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Each in a file of its own, which can be linked.
    Files,
    /// Within larger files, or elsewhere.
    Inside,
}

/// How a source is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Local,
    /// Over a network, where one failure may be transient.
    Remote,
}

/// In which order blobs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOrder {
    /// Any, each as often as it is wanted.
    Any,
    /// From front to back: a blob is had only when its turn comes.
    Given,
}
