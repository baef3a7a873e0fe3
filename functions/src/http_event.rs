//! What a function URL hands over. Our own type: the library's refuses an event for fields that nobody needs here, and
//! then nobody could decide or roll back.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpEvent {
    #[serde(default)]
    pub(crate) raw_path: String,
    #[serde(default)]
    pub(crate) raw_query_string: String,
    /// Each as `name=value`.
    #[serde(default)]
    pub(crate) cookies: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    pub(crate) request_context: Context,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) is_base64_encoded: bool,
}

#[derive(Deserialize)]
pub(crate) struct Context {
    #[serde(default)]
    pub(crate) authorizer: Option<Authorizer>,
    #[serde(default)]
    pub(crate) http: Option<Http>,
}

/// Who has signed the request, where the URL asks for that.
#[derive(Deserialize)]
pub(crate) struct Authorizer {
    #[serde(default)]
    pub(crate) iam: Option<Iam>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Iam {
    #[serde(default)]
    pub(crate) user_arn: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Http {
    pub(crate) method: String,
}

impl HttpEvent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Whether the body is said to be of a type, whatever its parameters.
    pub(crate) fn is_of_type(&self, wanted: &str) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(wanted)
    }
}
