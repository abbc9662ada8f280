//! Texts that go into a bundle, from `templates/`.
