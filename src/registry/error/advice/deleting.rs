//! What to do about a refusal to delete a manifest or a tag.

use crate::Refusal;
use crate::error::meaning::Meaning;

impl Refusal {
    /// Whether the registry does not delete manifests, or not tags alone; nothing was changed then.
    pub(super) fn is_delete_off(&self) -> bool {
        // A registry that takes a tag for a digest answers 400 DIGEST_INVALID.
        let codes = [Some("UNSUPPORTED"), Some("DIGEST_INVALID")];
        self.request.deletes().is_some()
            && (self.meaning().is_not_offered() || codes.contains(&self.code()))
    }

    /// A registry that does not delete, at least not this.
    pub(super) fn about_deleting(&self) -> Option<String> {
        let host = self.request.host();
        let is_tag = !self.request.deletes()?.contains(':');
        match self.meaning() {
            Meaning::Policy => Some(
                "A rule of the registry protects it, such as one about immutable tags, or another \
                 manifest refers to it."
                    .to_owned(),
            ),
            _ if self.is_delete_off() && is_tag => Some(without_tags(host)),
            _ if self.is_delete_off() => Some(format!(
                "`{host}` does not allow deleting. A distribution registry allows it with \
                 `storage.delete.enabled: true` in its configuration, or \
                 `REGISTRY_STORAGE_DELETE_ENABLED=true`; other registries have web pages or \
                 retention rules for it."
            )),
            _ => None,
        }
    }
}

fn without_tags(host: &str) -> String {
    format!(
        "`{host}` cannot delete a tag alone, or does not allow deleting. Without `--tag-only`, the \
         manifest is deleted with all its tags."
    )
}

#[cfg(test)]
mod tests {
    use crate::{ErrorBody, LoginState, Purpose, Refusal, Refuser, RequestLine, Subject};
    use hod_report::ErrorClass;

    #[test]
    fn a_registry_that_does_not_delete_is_a_refusal_with_a_way_out() {
        let unsupported = r#"{"errors":[{"code":"UNSUPPORTED","message":"no"}]}"#;
        for (reference, status, body, class, is_refusal, expect) in [
            (
                "sha256:aa",
                405,
                "",
                ErrorClass::Policy,
                true,
                "storage.delete.enabled",
            ),
            (
                "sha256:aa",
                400,
                unsupported,
                ErrorClass::Policy,
                true,
                "storage.delete.enabled",
            ),
            ("1.0", 405, "", ErrorClass::Policy, true, "--tag-only"),
            (
                "1.0",
                400,
                unsupported,
                ErrorClass::Policy,
                true,
                "--tag-only",
            ),
            (
                "sha256:aa",
                412,
                "",
                ErrorClass::Policy,
                false,
                "A rule of the registry",
            ),
            (
                "sha256:aa",
                401,
                "",
                ErrorClass::Auth,
                false,
                "may not delete there",
            ),
            (
                "sha256:aa",
                403,
                "",
                ErrorClass::Auth,
                false,
                "may delete in `proj`",
            ),
            (
                "sha256:aa",
                500,
                "",
                ErrorClass::Server,
                false,
                "is failing",
            ),
        ] {
            let url = format!("https://hub.corp/v2/proj/app/manifests/{reference}");
            let refusal = Refusal {
                request: RequestLine::new(&reqwest::Method::DELETE, &url.parse().unwrap()),
                status,
                body: ErrorBody::parse(body.as_bytes()),
                has_foreign_layers: false,
                retry_after: None,
                subject: Subject::Manifest,
                refuser: Refuser::Registry,
                purpose: Purpose::Delete,
                login: LoginState::As("ci".to_owned()),
            };
            let found = refusal.diagnose();
            assert_eq!(found.class, class, "{reference} {status}");
            assert_eq!(found.is_refusal(), is_refusal, "{reference} {status}");
            let hint = found.hint.unwrap();
            assert!(hint.contains(expect), "{reference} {status}: {hint}");
        }
    }
}
