//! One HTTP request, for whoever looks at something from outside.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::{Doing, LabError, LabResult};

/// What came back.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as text.
    pub body: String,
}

impl Fetched {
    /// The value of a header, if it is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Asks a URL once, on a connection of its own, and follows nothing.
pub async fn fetch(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes> + Send,
) -> LabResult<Fetched> {
    let doing = format!("asking {method} {url}");
    let uri: Uri = url.parse().doing(&doing)?;
    let authority = uri.authority().map(ToString::to_string);
    let authority = authority.ok_or_else(|| LabError::new(format!("{doing}: no host")))?;
    let address = if uri.port().is_some() { authority.clone() } else { format!("{authority}:80") };
    let stream = TcpStream::connect(&address).await.doing(&doing)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.doing(&doing)?;
    // It ends when the sender is dropped.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let method = Method::from_bytes(method.as_bytes()).doing(&doing)?;
    let request = Request::builder().method(method).uri(path).header("host", &authority);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(body.into())).doing(&doing)?;
    let response = sender.send_request(request).await.doing(&doing)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.doing(&doing)?.to_bytes();
    Ok(Fetched { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
