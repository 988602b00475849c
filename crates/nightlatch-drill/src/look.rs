//! What a server says of its own health.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};

use crate::client::{Answer, Client, Lost};

/// What `/health` said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The word for the whole.
    pub(crate) word: String,
    /// The classes of what fails beneath.
    pub(crate) classes: Vec<String>,
}

/// Whether it says that it can serve.
pub(crate) async fn is_ready(client: &mut Client) -> bool {
    get(client, "/health/ready").await.is_ok_and(|answer| answer.status == 200)
}

/// What it says of its health, if it says anything.
pub(crate) async fn health(client: &mut Client) -> Option<Said> {
    let answer = get(client, "/health").await.ok()?.json();
    let class = |name: &str| answer[name].as_str().filter(|class| *class != "none");
    let classes = ["database_class", "cache_class", "auth_service_class"].map(class);
    Some(Said {
        word: answer["status"].as_str()?.to_owned(),
        classes: classes.into_iter().flatten().map(str::to_owned).collect(),
    })
}

async fn get(client: &mut Client, path: &'static str) -> Result<Answer, Lost> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = Uri::from_static(path);
    let host = HeaderValue::from_str(client.server().authority());
    request.headers_mut().extend(host.ok().map(|host| (HOST, host)));
    client.send(request).await
}
