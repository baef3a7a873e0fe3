//! What a function URL hands over. Our own type: the library's refuses an event for fields that nobody needs here, and
//! then nobody could decide or roll back.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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

/// Why a request is none that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("The page takes GET and POST.")]
    Method,
    #[error("The form must be sent as the page has it.")]
    NoForm,
    #[error("The form is longer than the page allows.")]
    TooLong,
    #[error("The form was sent by another site. Open the link itself, and answer there.")]
    Elsewhere,
    #[error("This is no request that can be understood.")]
    Unknown,
}

impl Unfit {
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::NoForm => 415,
            Self::TooLong => 413,
            Self::Elsewhere => 403,
            Self::Unknown => 400,
        }
    }
}

impl HttpEvent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body as it was sent, of at most so many bytes. Lambda hands it over in base64 where it is neither text nor JSON.
    pub(crate) fn bytes(&self, longest: usize) -> Result<Vec<u8>, Unfit> {
        let body = self.body.as_deref().unwrap_or_default();
        // A third more, in base64.
        if body.len() > longest.div_ceil(3) * 4 {
            return Err(Unfit::TooLong);
        }
        let bytes = if self.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| Unfit::Unknown)?
        } else {
            body.as_bytes().to_vec()
        };
        if bytes.len() > longest { Err(Unfit::TooLong) } else { Ok(bytes) }
    }

    /// Whether the body is said to be of a type, whatever its parameters.
    pub(crate) fn is_of_type(&self, wanted: &str) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(wanted)
    }
}
