//! One request of DNS over HTTPS or HTTP/3 and its response: where the query is in it, and what each status means.

use crate::{
    dns::{
        answer::Transport,
        serve::{
            ServeContext, ServeCounters,
            reply::{Client, Reply},
        },
        wire::{MESSAGE_MAX, freshness::freshness},
    },
    net::connections::Exchange,
};
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body, Buf, Bytes},
    header::{ACCEPT, ALLOW, ALT_SVC, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    http::request::Parts,
};
use std::{error::Error, time::Duration};
use tokio::time::timeout;

/// Where queries are taken (RFC 8484 §4.1.1 leaves it open; everybody uses this one).
pub(super) const PATH: &str = "/dns-query";
/// The media type of a DNS message (RFC 8484 §6).
const MESSAGE: &str = "application/dns-message";

/// Seconds for which a client may remember that there is HTTP/3: those that RFC 7838 §3.1 takes where nothing is said.
const ALTERNATIVE_SECONDS: u32 = 86_400;

/// Why there is no answer: a status, and a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HttpRefusal(StatusCode, &'static str);

/// Too much waits in memory.
const TOO_MUCH: HttpRefusal =
    HttpRefusal(StatusCode::SERVICE_UNAVAILABLE, "too many messages are on their way; ask again");
/// What a request takes beside its octets, and each of its header fields.
const REQUEST_OVERHEAD_OCTETS: usize = 4096;
const FIELD_OVERHEAD_OCTETS: usize = 150;

/// A reply that the client has not taken yet, and what counts it.
struct Untaken {
    octets: Vec<u8>,
    _exchange: Exchange,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// The response to any request. The exchange is notified when all of it is there, and what it holds until the client
/// has taken the reply.
pub(in crate::dns::serve) async fn respond<B>(
    request: Request<B>,
    client: Client,
    shared: &ServeContext,
    mut exchange: Option<Exchange>,
) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let received = query(request, shared.limits.tcp_slow, exchange.as_mut()).await;
    if let Some(exchange) = &exchange {
        exchange.working();
    }
    let outcome = match received {
        Ok(query) => answer(query, client, shared, exchange).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = outcome.unwrap_or_else(|refusal| {
        ServeCounters::count(&shared.counters.http_errors);
        refuse(refusal)
    });
    if let Some(Alternative(value)) = shared.alternative.as_ref().filter(|_| client.transport == Transport::Https) {
        response.headers_mut().insert(ALT_SVC, value.clone());
    }
    response
}

/// The `alt-svc` of a response: that HTTP/3 is served as well, and where (RFC 9114 §3.1.1).
#[derive(Debug, Clone)]
pub(in crate::dns::serve) struct Alternative(HeaderValue);

impl Alternative {
    /// At these ports of the name that the client asked; `None` for none.
    pub(in crate::dns::serve) fn at(ports: impl Iterator<Item = u16>) -> Option<Alternative> {
        let mut services: Vec<String> = ports.map(|port| format!("h3=\":{port}\"; ma={ALTERNATIVE_SECONDS}")).collect();
        // Several addresses may have one port.
        services.sort_unstable();
        services.dedup();
        HeaderValue::try_from(services.join(", ")).ok().filter(|value| !value.is_empty()).map(Alternative)
    }
}

/// The status and the body of the response to a request in pieces; `None` if they make none.
pub(in crate::dns::serve) async fn respond_to(
    (method, uri): (&[u8], &[u8]),
    headers: &[(&[u8], &[u8])],
    body: &[u8],
    client: Client,
    shared: &ServeContext,
) -> Option<(u16, Vec<u8>)> {
    let request = Request::builder().method(method).uri(uri);
    let request = headers.iter().fold(request, |request, &(name, value)| request.header(name, value));
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).ok()?;
    let response = respond(request, client, shared, None).await;
    let (head, Ok(body)) = (response.status().as_u16(), response.into_body().collect().await);
    Some((head, body.to_bytes().to_vec()))
}

async fn answer(
    query: Bytes,
    client: Client,
    shared: &ServeContext,
    exchange: Option<Exchange>,
) -> Result<Response<Full<Bytes>>, HttpRefusal> {
    let reply = match shared.reply(client, &query).await {
        Reply::Message(reply) => Some(reply),
        // A response is one message; there is nothing that says how a transfer goes over HTTPS.
        Reply::Messages(mut replies) => replies.recv().await,
        Reply::Silence => return Err(HttpRefusal(StatusCode::BAD_REQUEST, "this is no DNS query")),
        Reply::Lost => None,
    };
    let reply =
        reply.ok_or(HttpRefusal(StatusCode::INTERNAL_SERVER_ERROR, "the answer was lost; see the server's log"))?;
    // RCODEs are answers (RFC 8484 §4.2.1): the status only tells how HTTP went.
    let control = match freshness(&reply) {
        0 => HeaderValue::from_static("max-age=0, no-store"),
        seconds => HeaderValue::try_from(format!("max-age={seconds}")).map_err(|_| NOTHING)?,
    };
    let reply = match exchange {
        None => Bytes::from(reply),
        Some(mut exchange) => {
            exchange.hold(REQUEST_OVERHEAD_OCTETS + reply.capacity()).map_err(|_| TOO_MUCH)?;
            exchange.owes();
            Bytes::from_owner(Untaken { octets: reply, _exchange: exchange })
        }
    };
    let mut response = Response::new(Full::new(reply));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
    response.headers_mut().insert(CACHE_CONTROL, control);
    Ok(response)
}

/// A number makes a value of a header.
const NOTHING: HttpRefusal = HttpRefusal(StatusCode::INTERNAL_SERVER_ERROR, "");

fn refuse(HttpRefusal(status, sentence): HttpRefusal) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{sentence}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

/// The DNS message in a request. The body is read in any case: clients that are refused while they still send see a
/// broken stream in place of the status.
async fn query<B>(
    request: Request<B>,
    stall_timeout: Duration,
    exchange: Option<&mut Exchange>,
) -> Result<Bytes, HttpRefusal>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let body = match timeout(stall_timeout, whole(body, octets(&head), exchange)).await {
        Ok(body) => body,
        Err(_) => Err(HttpRefusal(StatusCode::REQUEST_TIMEOUT, "the query took too long to arrive")),
    };
    if head.uri.path() != PATH {
        return Err(HttpRefusal(StatusCode::NOT_FOUND, "DNS queries are taken at /dns-query"));
    }
    if head.method != Method::GET && head.method != Method::POST {
        return Err(HttpRefusal(StatusCode::METHOD_NOT_ALLOWED, "DNS queries come by GET or POST"));
    }
    if !accepts(&head.headers) {
        return Err(HttpRefusal(StatusCode::NOT_ACCEPTABLE, "the answer is application/dns-message"));
    }
    let message = if head.method == Method::GET {
        Bytes::from(in_url(&head.uri)?)
    } else if is_message(&head.headers) {
        body?
    } else {
        return Err(HttpRefusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a query is application/dns-message"));
    };
    if message.is_empty() {
        return Err(HttpRefusal(StatusCode::BAD_REQUEST, "there is no query in the request"));
    }
    Ok(message)
}

const TOO_LARGE: HttpRefusal = HttpRefusal(StatusCode::PAYLOAD_TOO_LARGE, "a DNS message has at most 65535 octets");
/// So much of a body that is too large is still received, and let go.
const RECEIVED_MAX: usize = 1 << 20;

/// What the head of a request holds in memory, roughly.
fn octets(head: &Parts) -> usize {
    let target = head.uri.path().len() + head.uri.query().map_or(0, str::len);
    let fields = head.headers.iter().map(|(name, value)| FIELD_OVERHEAD_OCTETS + name.as_str().len() + value.len());
    REQUEST_OVERHEAD_OCTETS + target + fields.sum::<usize>()
}

/// All of a body; with a head of so many octets it counts for the exchange.
async fn whole<B>(body: B, head: usize, mut exchange: Option<&mut Exchange>) -> Result<Bytes, HttpRefusal>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let (mut message, mut received) = (Vec::new(), 0);
    let mut hold = |octets| exchange.as_mut().map_or(Ok(()), |exchange| exchange.hold(octets)).map_err(|_| TOO_MUCH);
    hold(head)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| HttpRefusal(StatusCode::BAD_REQUEST, "the query did not arrive whole"))?;
        let Ok(mut data) = frame.into_data() else { continue };
        received += data.remaining();
        if received <= MESSAGE_MAX {
            message.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            hold(head + message.capacity())?;
        } else if received > RECEIVED_MAX {
            break;
        }
    }
    if received > MESSAGE_MAX { Err(TOO_LARGE) } else { Ok(message.into()) }
}

/// The variable `dns` of a GET.
fn in_url(uri: &Uri) -> Result<Vec<u8>, HttpRefusal> {
    let mut values = uri.query().unwrap_or("").split('&').filter_map(|pair| pair.strip_prefix("dns="));
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(HttpRefusal(StatusCode::BAD_REQUEST, "a GET has one query, as ?dns= in base64url"));
    };
    if value.len() > MESSAGE_MAX.div_ceil(3) * 4 {
        return Err(TOO_LARGE);
    }
    BASE64URL_NOPAD
        .decode(value.as_bytes())
        .map_err(|_| HttpRefusal(StatusCode::BAD_REQUEST, "?dns= is not base64url without padding"))
}

/// Whether the body says that it is a DNS message; parameters of the type mean nothing.
fn is_message(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE))
}

/// Whether the client takes DNS messages: it says so, or says nothing.
fn accepts(headers: &HeaderMap) -> bool {
    let mut said = false;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("").to_ascii_lowercase();
            let unwanted = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            if [MESSAGE, "application/*", "*/*"].contains(&kind.as_str()) && !unwanted {
                return true;
            }
            said |= !kind.is_empty();
        }
    }
    !said
}
