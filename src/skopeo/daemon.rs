//! Images of a Docker engine, over its API (docs.docker.com/reference/api/engine): saved into and
//! loaded from archives of `docker save`.

mod address;
mod engine;
mod loaded;
mod refusal;

pub(crate) use self::engine::Engine;
