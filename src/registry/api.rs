//! The calls of the distribution API.

pub(crate) mod blob;
pub(crate) mod catalog;
pub(crate) mod content_check;
pub(crate) mod delete;
pub(crate) mod foreign;
pub(crate) mod manifest;
pub(crate) mod outside;
pub(crate) mod pages;
pub(crate) mod probe;
pub(crate) mod reach;
pub(crate) mod referrers;
pub(crate) mod signatures;
pub(crate) mod tags;
pub(crate) mod upload;
