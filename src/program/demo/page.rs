//! Pages that containers serve, fetched by HTTP from the address that our own DNS says.

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, Uri,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Deserializer, de};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::net::TcpStream;

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Octets of a page that are read.
const PAGE_OCTETS_MAX: usize = 64 << 10;

/// Where a page is: `http://web-1.nginx/index.html`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageUrl(Uri);

impl PageUrl {
    /// The name to resolve.
    pub(super) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// The port, 80 unless the URL names one.
    pub(super) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(80)
    }
}

impl std::fmt::Display for PageUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for PageUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PageUrl, D::Error> {
        let text = String::deserialize(deserializer)?;
        let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        uri.map(PageUrl).ok_or_else(|| {
            de::Error::custom(format_args!("`{text}` is no address of a page such as `http://web-0.nginx/`"))
        })
    }
}

/// The page's text without white space around it, from the server at `address`.
///
/// # Errors
/// What went wrong, in words: no connection, no HTTP, another status than 200, or more than 64 KiB.
pub(super) fn fetch(url: &PageUrl, address: IpAddr) -> Result<String, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let fetching = async {
        tokio::time::timeout(TIMEOUT, get(url, address))
            .await
            .unwrap_or_else(|_| Err(format!("nothing within {} s", TIMEOUT.as_secs())))
    };
    runtime.block_on(fetching)
}

async fn get(url: &PageUrl, address: IpAddr) -> Result<String, String> {
    let server = SocketAddr::new(address, url.port());
    let refused = |error: io::Error| format!("{server}: {error}");
    let stream = TcpStream::connect(server).await.map_err(refused)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // Ends with the response.
    tokio::spawn(connection);
    let authority = url.0.authority().map_or("", |authority| authority.as_str());
    let path = url.0.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, authority).header(CONNECTION, "close").body(Empty::<Bytes>::new());
    let response =
        sender.send_request(request.map_err(|error| error.to_string())?).await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body =
        Limited::new(response.into_body(), PAGE_OCTETS_MAX).collect().await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
    if status.as_u16() == 200 { Ok(text) } else { Err(format!("{server}: HTTP status {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::{Ipv4Addr, TcpListener},
    };

    /// What a page is when its server writes this and closes.
    fn fetched(reply: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let url: PageUrl = serde_yaml::from_str(&format!("http://web-0.nginx:{port}/a?b=c")).unwrap();
        assert_eq!((url.host(), url.port()), ("web-0.nginx", port));
        let page = fetch(&url, Ipv4Addr::LOCALHOST.into());
        let request = serving.join().unwrap();
        assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains(&format!("host: web-0.nginx:{port}\r\n")), "{request}");
        page
    }

    #[test]
    fn pages_and_what_is_none() {
        assert_eq!(fetched("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n hello").unwrap(), "hello");
        assert_eq!(fetched("HTTP/1.0 200 OK\r\n\r\nuntil the end\n").unwrap(), "until the end");
        for wrong in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0\r\n",
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n",
        ] {
            assert!(fetched(wrong).is_err(), "{wrong}");
        }
        for wrong in ["https://web-0/", "web-0", "http://", "/x", ""] {
            assert!(serde_yaml::from_str::<PageUrl>(&format!("{wrong:?}")).is_err(), "{wrong}");
        }
    }
}
