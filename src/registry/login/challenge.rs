//! The authentication that a registry requires, according to the headers of a 401.

use http_auth::{ChallengeParser, ChallengeRef};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::login::scopes::Scopes;

/// An authentication scheme that a registry requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, which the server at `realm` gives out.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

impl Challenge {
    /// Returns the service for which the token server issues tokens.
    pub(crate) fn service(&self) -> Option<&str> {
        match self {
            Self::Basic => None,
            Self::Bearer { service, .. } => service.as_deref(),
        }
    }
}

/// The challenges in the headers of a 401.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenged {
    /// The best of the challenges: a token rather than the password with every request.
    pub(crate) challenge: Option<Challenge>,
    /// The scopes that the token should have had.
    pub(crate) scopes: Scopes,
    /// Whether the token that was sent is valid, and not for this (RFC 6750, section 3.1).
    pub(crate) is_scope_insufficient: bool,
}

impl Challenged {
    /// Parses the challenges of all header lines; invalid ones are ignored.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut challenged = Self::default();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(value) = value.to_str() else { continue };
            for challenge in ChallengeParser::new(value).map_while(Result::ok) {
                challenged.add(&challenge);
            }
        }
        challenged
    }

    fn add(&mut self, challenge: &ChallengeRef<'_>) {
        let param = |name: &str| {
            challenge
                .params
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            self.is_scope_insufficient |= param("error").as_deref() == Some("insufficient_scope");
            if let Some(realm) = param("realm") {
                self.challenge = Some(Challenge::Bearer {
                    realm,
                    service: param("service"),
                });
                self.scopes
                    .merge(&Scopes::parse(&param("scope").unwrap_or_default()));
            }
        } else if challenge.scheme.eq_ignore_ascii_case("basic") {
            self.challenge.get_or_insert(Challenge::Basic);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_parse() {
        #[track_caller]
        fn check(lines: &[&str], expect: Option<&Challenge>, expect_scopes: &[&str]) {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
            }
            let challenged = Challenged::parse(&headers);
            assert_eq!(challenged.challenge.as_ref(), expect, "{lines:?}");
            let scopes: Vec<String> = challenged.scopes.iter().collect();
            assert_eq!(scopes, expect_scopes);
        }
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/redis:pull",error="insufficient_scope""#,
            ],
            Some(&bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
            )),
            &["repository:library/redis:pull"],
        );
        check(
            &[
                r#"bEaReR Realm="https://a/\"t\"?x=1" , service=unquoted, scope="repository:h:5000/a:pull,push repository:b:pull""#,
            ],
            Some(&bearer(r#"https://a/"t"?x=1"#, Some("unquoted"))),
            &["repository:b:pull", "repository:h:5000/a:pull,push"],
        );
        // The token wins over the password, in whichever order and on however many lines.
        let token = r#"Bearer realm="https://a/t""#;
        check(
            &[r#"Basic realm="harbor""#, token],
            Some(&bearer("https://a/t", None)),
            &[],
        );
        check(
            &[token, r#"basic realm="harbor""#],
            Some(&bearer("https://a/t", None)),
            &[],
        );
        check(
            &[r#"Negotiate, Basic realm="x", Bearer realm="https://a/t""#],
            Some(&bearer("https://a/t", None)),
            &[],
        );
        check(&[r#"BASIC realm="harbor""#], Some(&Challenge::Basic), &[]);
        check(&["Basic"], Some(&Challenge::Basic), &[]);
        check(&[""], None, &[]);
        check(&["Bearer"], None, &[]);
        check(&["Bearer realm=\"unclosed"], None, &[]);
        check(&["Negotiate"], None, &[]);
        check(&[], None, &[]);
    }
}
