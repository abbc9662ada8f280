//! What is inspected as values of Go, for `--format`.

use hod_gotemplate::{Field, Limits, Report, Time, Type, Value};

use super::inspected::{Inspected, Layer};
use crate::config::{History, OciConfig};
use crate::failure::{Done, Failure};
use crate::screen::Screen;

/// The type of digests.
const DIGEST: &str = "digest.Digest";

/// Something that a template can be applied to.
pub(super) trait AsValue {
    fn as_value(&self) -> Value;
}

/// The text that a template makes of a value.
pub(super) fn formatted(value: &impl AsValue, format: &str) -> Done<Vec<u8>> {
    let report = Report::parse("skopeo inspect", format, Limits::default());
    let report = report.map_err(|error| Failure::new(error.to_string()))?;
    report.execute(value.as_value()).or_else(|failed| {
        // As Go, which prints what it has.
        Screen::result(&failed.printed)?;
        Err(Failure::new(failed.error.to_string()))
    })
}

fn time(text: Option<&str>) -> Value {
    match text.and_then(Time::parse_rfc3339) {
        Some(time) => Value::pointer(Value::Time(time)),
        None => Value::nil_pointer(Type::Time),
    }
}

impl AsValue for Inspected {
    fn as_value(&self) -> Value {
        let layers = self.layers_data.as_ref();
        let layers = layers.map(|layers| layers.iter().map(Layer::as_value).collect());
        let layer_type = Layer::empty().as_value().type_of();
        Value::of_struct(
            "inspect.Output",
            vec![
                Field::new("Name", Value::text(self.name.as_str())).omit_empty(),
                Field::new("Tag", Value::text("")).omit_empty(),
                Field::new("Digest", Value::named_text(DIGEST, self.digest.as_str())),
                Field::new("RepoTags", Value::texts(Some(self.repo_tags.clone()))),
                Field::new("Created", time(self.created.as_deref())),
                Field::new("DockerVersion", Value::text(self.docker_version.as_str())),
                Field::new("Labels", Value::text_map(self.labels.clone())),
                Field::new("Architecture", Value::text(self.architecture.as_str())),
                Field::new("Os", Value::text(self.os.as_str())),
                Field::new("Layers", Value::texts(self.layers.clone())),
                Field::new("LayersData", Value::list(layer_type, layers)),
                Field::new("Env", Value::texts(self.env.clone())),
            ],
        )
    }
}

impl Layer {
    fn empty() -> Self {
        Self {
            mime_type: String::new(),
            digest: String::new(),
            size: 0,
            annotations: None,
        }
    }

    fn as_value(&self) -> Value {
        let size = i64::try_from(self.size).unwrap_or(i64::MAX);
        Value::of_struct(
            "types.ImageInspectLayer",
            vec![
                Field::new("MIMEType", Value::text(self.mime_type.as_str())),
                Field::new("Digest", Value::named_text(DIGEST, self.digest.as_str())),
                Field::new("Size", Value::Int64(size)),
                Field::new("Annotations", Value::text_map(self.annotations.clone())),
            ],
        )
    }
}

impl AsValue for OciConfig {
    fn as_value(&self) -> Value {
        let text = |text: &str| Value::text(text);
        let texts = |list: &[String]| Value::texts((!list.is_empty()).then(|| list.to_vec()));
        let platform = Value::of_struct(
            "v1.Platform",
            vec![
                Field::new("Architecture", text(&self.architecture)).json("architecture"),
                Field::new("OS", text(&self.os)).json("os"),
                Field::new("OSVersion", text(&self.os_version))
                    .json("os.version")
                    .omit_empty(),
                Field::new("OSFeatures", texts(&self.os_features))
                    .json("os.features")
                    .omit_empty(),
                Field::new("Variant", text(&self.variant))
                    .json("variant")
                    .omit_empty(),
            ],
        );
        let Value::Struct(platform) = platform else {
            unreachable!("a struct was made")
        };
        let history: Vec<Value> = self.history.iter().map(History::as_value).collect();
        let history_type = History::default().as_value().type_of();
        let history = (!history.is_empty()).then_some(history);
        Value::of_struct(
            "v1.Image",
            vec![
                Field::new("Created", time(self.created.as_deref()))
                    .json("created")
                    .omit_empty(),
                Field::new("Author", text(&self.author))
                    .json("author")
                    .omit_empty(),
                Field::embedded(platform),
                Field::new("Config", self.config.as_value())
                    .json("config")
                    .omit_empty(),
                Field::new("RootFS", self.rootfs.as_value()).json("rootfs"),
                Field::new("History", Value::list(history_type, history))
                    .json("history")
                    .omit_empty(),
            ],
        )
    }
}

impl crate::config::Runtime {
    fn as_value(&self) -> Value {
        let texts = |list: &[String]| Value::texts((!list.is_empty()).then(|| list.to_vec()));
        let empty = || Value::of_struct("struct {}", Vec::new());
        let set = |keys: &std::collections::BTreeSet<String>| {
            let entries = keys.iter().map(|key| (key.clone(), empty()));
            let entries: std::collections::BTreeMap<String, Value> = entries.collect();
            Value::map(empty().type_of(), (!entries.is_empty()).then_some(entries))
        };
        Value::of_struct(
            "v1.ImageConfig",
            vec![
                Field::new("User", Value::text(self.user.as_str())).omit_empty(),
                Field::new("ExposedPorts", set(&self.exposed_ports)).omit_empty(),
                Field::new("Env", Value::texts(self.env.clone())).omit_empty(),
                Field::new("Entrypoint", texts(&self.entrypoint)).omit_empty(),
                Field::new("Cmd", texts(&self.cmd)).omit_empty(),
                Field::new("Volumes", set(&self.volumes)).omit_empty(),
                Field::new("WorkingDir", Value::text(self.working_dir.as_str())).omit_empty(),
                Field::new("Labels", Value::text_map(self.labels.clone())).omit_empty(),
                Field::new("StopSignal", Value::text(self.stop_signal.as_str())).omit_empty(),
                Field::new("ArgsEscaped", Value::Bool(self.args_escaped)).omit_empty(),
            ],
        )
    }
}

impl crate::config::RootFs {
    fn as_value(&self) -> Value {
        let digest = |text: &String| Value::named_text(DIGEST, text.as_str());
        let ids = self.diff_ids.as_ref();
        let ids = ids.map(|ids| ids.iter().map(digest).collect());
        let digest_type = Value::named_text(DIGEST, "").type_of();
        Value::of_struct(
            "v1.RootFS",
            vec![
                Field::new("Type", Value::text(self.kind.as_str())).json("type"),
                Field::new("DiffIDs", Value::list(digest_type, ids)).json("diff_ids"),
            ],
        )
    }
}

impl History {
    fn as_value(&self) -> Value {
        Value::of_struct(
            "v1.History",
            vec![
                Field::new("Created", time(self.created.as_deref()))
                    .json("created")
                    .omit_empty(),
                Field::new("CreatedBy", Value::text(self.created_by.as_str()))
                    .json("created_by")
                    .omit_empty(),
                Field::new("Author", Value::text(self.author.as_str()))
                    .json("author")
                    .omit_empty(),
                Field::new("Comment", Value::text(self.comment.as_str()))
                    .json("comment")
                    .omit_empty(),
                Field::new("EmptyLayer", Value::Bool(self.empty_layer))
                    .json("empty_layer")
                    .omit_empty(),
            ],
        )
    }
}
