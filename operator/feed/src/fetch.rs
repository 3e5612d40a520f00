//! One fetch, redirects included.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, ETAG, HOST, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sluice_policy::Feed;
use tokio::time::timeout;
use url::{Position, Url};

use crate::body;
use crate::connect::{connect, tls};
use crate::target::Targets;

const MAX_REDIRECTS: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("\"{0}\" is not where a feed can be: write an address as https://feeds.example/drop.txt")]
    Url(String),
    #[error("{host} cannot be resolved: {source}")]
    Resolve { host: String, source: std::io::Error },
    #[error(
        "{host} is {address}, {kind}, which no feed is fetched from: if it is meant, name it in feedTargets of the fleet \
         configuration"
    )]
    Forbidden { host: String, address: SocketAddr, kind: &'static str },
    #[error("{host}: no connection: {source}")]
    Connect { host: String, source: std::io::Error },
    #[error("the answer is not whole: {0}")]
    Http(#[from] hyper::Error),
    #[error("the server answers {0}")]
    Status(StatusCode),
    #[error("the server leads on and on: more than {MAX_REDIRECTS} redirects")]
    Redirects,
    #[error("the server redirects to nowhere: Location is missing or no address")]
    NoLocation,
    #[error("the server redirects from https to {0}, where anybody could change the list")]
    Downgrade(Url),
    #[error("has more than {limit} bytes: raise maxBytes if that is right")]
    TooLarge { limit: u64 },
    #[error("did not come within {0:?}: raise timeout if the server is that slow")]
    Timeout(Duration),
    #[error("cannot be unpacked, or is cut short: {0}")]
    Gzip(String),
}

/// By which a server tells whether anything changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    Unchanged,
    New { bytes: Vec<u8>, validators: Validators },
}

#[derive(Clone)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
}

impl Default for Fetcher {
    fn default() -> Fetcher {
        Fetcher::trusting([])
    }
}

impl Fetcher {
    /// Also servers that these authorities vouch for.
    pub fn trusting(authorities: impl IntoIterator<Item = CertificateDer<'static>>) -> Fetcher {
        Fetcher { tls: tls(authorities) }
    }

    /// # Errors
    /// Whatever keeps the feed from being had whole, within its bounds, from where it may be had.
    pub async fn fetch(
        &self,
        feed: &Feed,
        known: &Validators,
        targets: &Targets,
    ) -> Result<Fetched, FetchError> {
        let whole = timeout(feed.timeout, self.follow(feed, known, targets)).await;
        whole.unwrap_or(Err(FetchError::Timeout(feed.timeout)))
    }

    /// Redirects by hand: each of them may lead inside.
    async fn follow(
        &self,
        feed: &Feed,
        known: &Validators,
        targets: &Targets,
    ) -> Result<Fetched, FetchError> {
        let mut url = Url::parse(&feed.url).map_err(|_| FetchError::Url(feed.url.clone()))?;
        for _ in 0..=MAX_REDIRECTS {
            if !matches!(url.scheme(), "http" | "https") {
                return Err(FetchError::Url(url.to_string()));
            }
            let response = self.ask(&url, known, targets).await?;
            match response.status() {
                StatusCode::OK => {
                    let validators = validators(response.headers());
                    let bytes = body::read(response.into_body(), feed.max_bytes).await?;
                    return Ok(Fetched::New { bytes, validators });
                }
                StatusCode::NOT_MODIFIED if *known != Validators::default() => return Ok(Fetched::Unchanged),
                status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
                    url = next(&url, &response)?
                }
                status => return Err(FetchError::Status(status)),
            }
        }
        Err(FetchError::Redirects)
    }

    async fn ask(
        &self,
        url: &Url,
        known: &Validators,
        targets: &Targets,
    ) -> Result<Response<Incoming>, FetchError> {
        let stream = connect(url, targets, &self.tls).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        // Ends with the answer, or when nobody waits for it any more.
        tokio::spawn(connection);
        Ok(sender.send_request(request(url, known)?).await?)
    }
}

fn request(url: &Url, known: &Validators) -> Result<Request<Empty<Bytes>>, FetchError> {
    let mut request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "gzip")
        .header(CONNECTION, "close");
    for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(Empty::new()).map_err(|_| FetchError::Url(url.to_string()))
}

fn next(url: &Url, response: &Response<Incoming>) -> Result<Url, FetchError> {
    let location = text(response.headers(), LOCATION).ok_or(FetchError::NoLocation)?;
    let next = url.join(&location).map_err(|_| FetchError::NoLocation)?;
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(FetchError::Downgrade(next));
    }
    Ok(next)
}

fn validators(headers: &HeaderMap) -> Validators {
    Validators { etag: text(headers, ETAG), last_modified: text(headers, LAST_MODIFIED) }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
