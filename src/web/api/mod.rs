//! The Kubernetes API over the embedded control plane, for the real, unmodified kubectl and every client library.
//!
//! ```text
//! request ─→ guard ─→ path, query, negotiate ─→ read:  handle ─→ select ─→ table / partial ─→ reply
//!                                             ╰→ watch: log ────→ select ─→ table / partial ─→ stream
//!                                             ╰→ write: body ─→ patch / apply / strict ─→ object ─→ handle ─→ reply
//! ```
//!
//! Connections are the API's thread's; requests about objects are carried out by a few others, so that none of them keeps
//! the rest waiting, and what they take in memory together is bounded ([`budget`]).
//!
//! There is one store, the controller's: reads are taken from it between two turns, writes are carried out in it, and
//! watches follow the log of its changes. Nothing here remembers an object.
//!
//! Requests and replies are `serde_json::Value`s; objects are stored typed. A body is decoded, given its defaults and
//! validated by the functions that manifests go through ([`object`](crate::objects::object)).
//!
//! Pure functions are in modules of their own, which know neither HTTP nor the store:
//!
//! ```text
//! table          columns(kind: &str) -> Vec<Value>                                   columnDefinitions
//!                cells(kind: &str, object: &Value, now: Timestamp) -> Vec<Value>     one row; the shell makes the Table
//!                partial(object: &Value) -> Value                                    PartialObjectMetadata
//! select         Labels::parse(&str) -> Result<Labels, String>                       the error is the 400's message
//!                Labels::matches(&self, Option<&BTreeMap<String, String>>) -> bool
//!                Fields::parse(kind: &str, &str) -> Result<Fields, String>
//!                Fields::matches(&self, object: &Value) -> bool
//!                Fields::name(&self) -> Option<&str>                                 where metadata.name= decides
//! openapi        index() -> &Value, document("api/v1") -> Option<Document { hash, json }>, v2() -> &[u8]
//!   ::strict     unknown_fields(kind: &str, body: &Value) -> Vec<String>             unknown field "spec.serviceNam"
//! apply          apply(kind, live: Option<&Value>, applied: &Value, manager, force: bool, now)
//!                  -> Result<Value, ApplyError::{Conflicts(Vec<Conflict { manager, field }>), Malformed(String)}>
//!                track(kind, before: Option<&Value>, after: &mut Value, manager, subresource: Option<&str>, now)
//! protobuf       decode(body: &[u8]) -> Result<Value, String>                        what commands create
//! ```
//!
//! The structure of the kinds is [`object::schema`](crate::objects::object::schema), patches are [`patch`].
//!
//! `kind` is the name of the kind (`StatefulSet`); kinds served are those of [`resource::RESOURCES`].

mod advice;
pub mod apply;
mod body;
mod budget;
mod cost;
pub mod custom;
mod delete;
mod derived;
mod discovery;
mod eviction;
mod filter;
pub mod guard;
mod handle;
mod in_process;
mod json_cache;
mod limits;
mod log;
mod negotiate;
pub mod openapi;
mod outlet;
mod path;
pub mod protobuf;
mod query;
mod read;
mod representation;
pub mod resource;
mod review;
mod scale;
pub mod select;
mod status;
mod stream;
pub mod table;
mod watch;
mod watch_source;
mod write;

pub use guard::Guard;
pub use handle::{Ask, Handle, Unavailable};
pub use in_process::InProcessApi;
pub use limits::ApiLimits;
pub use log::{Capacity, ChangeLog};

use crate::{
    control::controller::Part,
    objects::{object::Kind, patch},
    web::http,
};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{Request, State},
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use body::SentObject;
use budget::{Budget, Share};
use jiff::Timestamp;
use json_cache::JsonCache;
use negotiate::MediaForm;
use outlet::Outlet;
use path::{RequestTarget, ResourcePath, Subpath};
use query::RequestParameters;
use representation::Representation;
use resource::{ObjectSource, Subresource};
use serde_json::Value;
use status::StatusFailure;
use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    sync::{Semaphore, watch as signal},
    task::JoinHandle,
    time::timeout,
};
use write::{FieldManager, ObjectChange};

/// How long a connection may be idle: clients ask again and again on the same one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Threads that carry out requests about objects.
const WORKER_THREADS: usize = 2;
/// A body of more octets is carried out only while another thread is left for the others.
const LARGE_BODY_OCTETS: usize = 64 * 1024;
/// How long a request may take, from its body on to the beginning of its reply; upstream's limit.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the deletion of a collection may take, which deletes one object after the other.
const COLLECTION_DELETION_TIMEOUT: Duration = Duration::from_secs(600);

/// Of so many connections, how many may be watches: some are left for other requests.
fn places(connections: usize) -> usize {
    connections - connections / 8
}

/// Why clients should not rely on the answers yet, if so.
type Problem = dyn Fn() -> Option<&'static str> + Send + Sync;

/// What the API is served with.
pub struct ApiOptions {
    /// Who may ask.
    pub guard: Guard,
    /// How much it may take.
    pub limits: ApiLimits,
    /// What `/readyz` says.
    pub problem: Box<Problem>,
    /// Whether creating something makes its namespace, where upstream refuses it.
    pub create_namespaces: bool,
    /// How HTTPS shakes hands; `None` for plain HTTP.
    pub tls: Option<Arc<http::TlsConfig>>,
}

impl fmt::Debug for ApiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiOptions").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// What requests are answered from.
struct Api {
    handle: Handle,
    guard: Guard,
    slow: Duration,
    problem: Box<Problem>,
    create_namespaces: bool,
    object_octets: u64,
    /// What requests and replies take in memory.
    budget: Arc<Budget>,
    /// Those who carry out requests.
    workers: tokio::runtime::Handle,
    /// Places of large bodies among them.
    large: Semaphore,
    /// Places of watches.
    watches: Arc<Semaphore>,
    refused_watches: Arc<AtomicU64>,
    overtaken_watches: Arc<AtomicU64>,
    /// Lists and watches that were cut off.
    cut: Arc<AtomicU64>,
    /// OpenAPI documents of what definitions define.
    documents: openapi::CustomDocuments,
    /// The texts that watches send.
    texts: Arc<JsonCache>,
    /// True once the server is about to end, so that watches end by themselves.
    stopped: signal::Receiver<bool>,
}

impl Api {
    fn new(
        handle: Handle,
        options: ApiOptions,
        workers: tokio::runtime::Handle,
        stopped: signal::Receiver<bool>,
    ) -> Api {
        let ApiOptions { guard, limits, problem, create_namespaces, .. } = options;
        let budget = Budget::new(limits.api_octets);
        Api {
            handle,
            guard,
            slow: limits.api_slow,
            problem,
            create_namespaces,
            object_octets: limits.api_object_octets,
            workers,
            large: Semaphore::new(WORKER_THREADS - 1),
            watches: Arc::new(Semaphore::new(places(limits.api_connections))),
            refused_watches: Arc::default(),
            overtaken_watches: Arc::default(),
            documents: openapi::CustomDocuments::default(),
            cut: Arc::default(),
            texts: Arc::new(JsonCache::new(Arc::clone(&budget))),
            budget,
            stopped,
        }
    }

    /// The outlet that sends to a client through these parts.
    fn outlet(&self, parts: stream::BodyParts) -> Outlet {
        Outlet::new(parts, Arc::clone(self.handle.log()), Arc::clone(&self.budget), Arc::clone(&self.cut))
    }
}

/// The API being served; dropping it ends it.
#[derive(Debug)]
pub struct ApiServer {
    stop: signal::Sender<bool>,
    serving: http::HttpServer,
    counters: ApiCounters,
    /// Ended by a call and not by being dropped, which would wait for what is carried out.
    workers: Option<Runtime>,
}

/// What is counted; cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiCounters {
    /// Connections.
    pub http: Arc<http::HttpCounters>,
    places: usize,
    watches: Arc<Semaphore>,
    refused_watches: Arc<AtomicU64>,
    overtaken_watches: Arc<AtomicU64>,
    cut: Arc<AtomicU64>,
    budget: Arc<Budget>,
}

impl ApiCounters {
    /// What requests and replies take in memory, in octets, by an estimate.
    pub fn octets(&self) -> usize {
        self.budget.taken()
    }

    /// How often that would have been more than may be, so that a request was refused or a reply had to wait.
    pub fn refused_octets(&self) -> u64 {
        self.budget.refused()
    }

    /// Lists and watches cut off because their client was slow and others needed the room.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Watches that are open.
    pub fn watches(&self) -> usize {
        self.places - self.watches.available_permits()
    }

    /// Watches turned away because there were too many.
    pub fn refused_watches(&self) -> u64 {
        self.refused_watches.load(Ordering::Relaxed)
    }

    /// Watches that were ended because so much changed that what they had not sent yet was dropped from the log.
    pub fn overtaken_watches(&self) -> u64 {
        self.overtaken_watches.load(Ordering::Relaxed)
    }
}

impl ApiServer {
    /// What is counted.
    pub fn counters(&self) -> ApiCounters {
        self.counters.clone()
    }

    /// Whether the thread ended without being stopped.
    pub fn failed(&self) -> bool {
        self.serving.failed()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // Watches end first; then the connections can.
        self.stop.send_replace(true);
        if let Some(workers) = self.workers.take() {
            workers.shutdown_background();
        }
    }
}

/// Serves the API on a bound socket.
pub fn serve(listener: http::BoundListener, handle: Handle, options: ApiOptions) -> io::Result<ApiServer> {
    let (stop, stopped) = signal::channel(false);
    let workers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("api-worker")
        .enable_time()
        .build()?;
    let (tls, connections, slow) = (options.tls.clone(), options.limits.api_connections, options.limits.api_slow);
    let api = Arc::new(Api::new(handle, options, workers.handle().clone(), stopped));
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&api));
    let limits = http::HttpLimits { connections, head: IDLE_TIMEOUT, stalled: slow };
    let serving = listener.over(tls).serve("api", routes, limits)?;
    let counters = ApiCounters {
        http: serving.counters(),
        places: places(connections),
        watches: Arc::clone(&api.watches),
        refused_watches: Arc::clone(&api.refused_watches),
        overtaken_watches: Arc::clone(&api.overtaken_watches),
        cut: Arc::clone(&api.cut),
        budget: Arc::clone(&api.budget),
    };
    Ok(ApiServer { stop, serving, counters, workers: Some(workers) })
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let refuse = |mut refused: StatusFailure| {
        let warnings = std::mem::take(&mut refused.warnings);
        write::warn(refused.into_response(), &warnings)
    };
    let response = respond(&api, head, body).await.unwrap_or_else(refuse);
    // What is made while it is sent is counted by whoever makes it.
    let octets = response.body().size_hint().exact().and_then(|octets| usize::try_from(octets).ok()).unwrap_or(0);
    match if octets > http::CHUNK_OCTETS { api.budget.take(octets).map(Some) } else { Ok(None) } {
        Ok(share) => response.map(|body| http::sliced(body, share)),
        Err(exhausted) => refuse(exhausted.into()),
    }
}

async fn respond(api: &Arc<Api>, head: Parts, body: Body) -> Result<Response, StatusFailure> {
    api.guard.check(&head.headers)?;
    let custom = api.handle.log().custom();
    let target = path::parse(head.uri.path(), custom).ok_or_else(StatusFailure::nowhere)?;
    let target = match target {
        RequestTarget::Objects(place) => return objects(api, place, head, body).await,
        other if head.method == Method::GET => other,
        _ => return Err(not_allowed()),
    };
    let accept = || header_text(&head, header::ACCEPT);
    let discovery = |plain: Value, groups: &[String]| {
        let response =
            match negotiate::form(accept(), |form| [MediaForm::Plain, MediaForm::Aggregated].contains(&form))? {
                MediaForm::Aggregated => {
                    let json = discovery::aggregated(groups, custom).to_string();
                    ([(header::CONTENT_TYPE, discovery::AGGREGATED)], json).into_response()
                }
                _ => read::reply(StatusCode::OK, &plain),
            };
        Ok(response)
    };
    match target {
        RequestTarget::Version => Ok(read::reply(StatusCode::OK, &discovery::version())),
        RequestTarget::Alive => Ok("ok".into_response()),
        RequestTarget::Ready => Ok(match (api.problem)() {
            None => "ok".into_response(),
            Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem).into_response(),
        }),
        RequestTarget::Core => discovery(discovery::core(), &[String::new()]),
        RequestTarget::Groups => discovery(discovery::groups(custom), &discovery::all_groups(custom)),
        RequestTarget::Group(group) => Ok(read::reply(StatusCode::OK, &discovery::group(&group, custom))),
        RequestTarget::Resources(group, version) => {
            Ok(read::reply(StatusCode::OK, &discovery::resources(&group, &version, custom)))
        }
        RequestTarget::OpenApiV2 => {
            Ok(([(header::CONTENT_TYPE, openapi::V2_TYPE)], openapi::v2(custom)).into_response())
        }
        RequestTarget::OpenApiIndex => Ok(read::reply(StatusCode::OK, &openapi::index(&api.documents, custom))),
        RequestTarget::OpenApi(path) => {
            let found = openapi::document(&path, &api.documents, custom);
            found.map(|found| document(&found, &head)).ok_or_else(StatusFailure::nowhere)
        }
        RequestTarget::Objects(_) => Err(StatusFailure::nowhere()),
    }
}

/// An OpenAPI document. Under the address with its hash it never changes, so that clients keep it.
fn document(document: &openapi::Document, head: &Parts) -> Response {
    let tag = format!("\"{}\"", document.hash);
    let hashed = head.uri.query().is_some_and(|query| query.contains(document.hash.as_str()));
    let kept = if hashed { "public, immutable, max-age=31536000" } else { "no-cache, private" };
    let known = header_text(head, header::IF_NONE_MATCH).is_some_and(|known| known.contains(tag.as_str()));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, kept.to_owned()),
        (header::ETAG, tag),
    ];
    match known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, document.json.clone()).into_response(),
    }
}

fn header_text(head: &Parts, name: header::HeaderName) -> Option<&str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

fn not_allowed() -> StatusFailure {
    StatusFailure::not_allowed("the server does not allow this method on the requested resource")
}

/// What is said about subresources that are not served.
fn unserved(place: &ResourcePath, beneath: &str) -> StatusFailure {
    let plural = place.resource.plural;
    let why = match beneath {
        "finalize" => "a namespace goes by itself once it is empty",
        "token" => "there is no authorization, so that nobody needs one",
        "binding" => "pods are started by the control plane itself",
        _ => "this control plane runs no containers",
    };
    StatusFailure::not_allowed(format!("{plural}/{beneath} is not supported: {why}"))
}

/// Requests about objects: read here, carried out by the workers.
async fn objects(api: &Arc<Api>, place: ResourcePath, head: Parts, body: Body) -> Result<Response, StatusFailure> {
    let mut share = api.budget.take(0)?;
    // It is taken before anything is refused: a client that is still sending would see a broken connection instead.
    let octets = match head.method {
        Method::GET => Bytes::new(),
        _ => body::read(body, api.slow, &mut share).await?,
    };
    let limit = if head.method == Method::DELETE && place.name.is_none() {
        COLLECTION_DELETION_TIMEOUT
    } else {
        REQUEST_TIMEOUT
    };
    let own = Arc::clone(api);
    let work = api.workers.spawn(async move {
        // Nobody closes it.
        let _place = if octets.len() > LARGE_BODY_OCTETS { own.large.acquire().await.ok() } else { None };
        carry_out(&own, &place, &head, &octets, &mut share).await
    });
    // A request whose client has gone is carried out all the same.
    within(limit, work).await
}

/// What a request comes to, if that is soon enough; else it is given up.
async fn within<T>(limit: Duration, work: JoinHandle<Result<T, StatusFailure>>) -> Result<T, StatusFailure> {
    let abort = work.abort_handle();
    match timeout(limit, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(StatusFailure::internal("the request could not be carried out; the log says why")),
        Err(_) => {
            abort.abort();
            Err(StatusFailure::late(limit))
        }
    }
}

async fn carry_out(
    api: &Api,
    place: &ResourcePath,
    head: &Parts,
    octets: &[u8],
    share: &mut Share,
) -> Result<Response, StatusFailure> {
    if let Some(Subpath::Unserved(name)) = place.beneath {
        return Err(unserved(place, name));
    }
    let query = query::parse(head.uri.query().unwrap_or_default())?;
    let form = negotiate::form(header_text(head, header::ACCEPT), representation::offered)?;
    let shape = Representation::new(form, &query.include_object, &place.resource, Timestamp::now());
    if head.method == Method::GET {
        return look(api, place, query, shape).await;
    }
    if place.resource.source == ObjectSource::Review && head.method == Method::POST {
        let question = body::object(&body::media_type(&head.headers), octets, share)?.json;
        return Ok(read::reply(StatusCode::CREATED, &review::answer(place, question)?));
    }
    let Some(kind) = place.resource.stored() else {
        return Err(not_allowed());
    };
    let deprecated = match &place.resource.custom {
        Some(custom) => custom.definition.versions.get(custom.version).and_then(|one| one.deprecation.clone()),
        None => (kind == Kind::Endpoints).then(|| derived::DEPRECATED.to_owned()),
    };
    let beneath = served(place);
    let writer = &FieldManager::of(&query, &head.headers, beneath.map(Subresource::name));
    let asked = ObjectChange { api, place, kind, part: part_of(beneath), query: &query, writer };
    let sending = Sending { media_type: body::media_type(&head.headers), octets, share };
    match change(asked, &head.method, sending, shape).await {
        Ok(write::ObjectReply { response, mut warnings }) => {
            warnings.extend(deprecated);
            Ok(write::warn(response, &warnings))
        }
        Err(mut refused) => {
            refused.warnings.extend(deprecated);
            Err(refused)
        }
    }
}

async fn look(
    api: &Api,
    place: &ResourcePath,
    mut query: RequestParameters,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    if query.watch && place.beneath.is_none() {
        if let Some(name) = &place.name {
            query.field_selector = format!("metadata.name={name}");
        }
        return watch::watch(api, place, &query, shape).await;
    }
    match (place.resource.source, &place.name, &place.beneath) {
        (ObjectSource::Stored(kind), _, Some(Subpath::Served(Subresource::Scale))) => {
            scale::get(api, place, kind, shape).await
        }
        (_, _, Some(Subpath::Served(Subresource::Eviction))) => Err(not_allowed()),
        (ObjectSource::Stored(kind), Some(_), _) => read::get(api, place, kind, &query, shape).await,
        (ObjectSource::Stored(kind), None, _) => read::list(api, place, kind, &query, shape).await,
        (ObjectSource::Endpoints, Some(_), _) => derived::get(api, place, &query, shape).await,
        (ObjectSource::Endpoints, None, _) => derived::list(api, place, &query, shape).await,
        (ObjectSource::Nothing, ..) => Ok(read::nothing(api, shape)),
        (ObjectSource::Review, ..) => Err(not_allowed()),
    }
}

/// The body of a request.
struct Sending<'a> {
    media_type: String,
    octets: &'a [u8],
    /// What reading it takes of the budget.
    share: &'a mut Share,
}

impl Sending<'_> {
    fn object(&mut self) -> Result<SentObject, StatusFailure> {
        body::object(&self.media_type, self.octets, self.share)
    }
}

async fn change(
    change: ObjectChange<'_>,
    method: &Method,
    mut sending: Sending<'_>,
    shape: Representation,
) -> Result<write::ObjectReply, StatusFailure> {
    let place = change.place;
    let beneath = served(place);
    // Objects are not created and not deleted over all namespaces.
    let narrow = place.namespace.is_some() || !place.resource.namespaced;
    let changed = match (method, &place.name, beneath) {
        (&Method::POST, None, None) if narrow => change.create(sending.object()?).await?,
        (&Method::POST, Some(_), Some(Subresource::Eviction)) => {
            return eviction::evict(change, sending.object()?).await;
        }
        (&Method::PUT | &Method::PATCH, _, Some(Subresource::Eviction)) => return Err(not_allowed()),
        (&Method::PUT, Some(_), Some(Subresource::Scale)) => {
            let wanted = sending.object()?.json;
            return scale::change(change, |_| Ok(wanted.clone())).await;
        }
        (&Method::PUT, Some(_), _) => change.replace(sending.object()?).await?,
        (&Method::PATCH, Some(_), _) => match patch_type(&sending.media_type) {
            Some(patch::PatchType::Strategic) if place.resource.custom.is_some() => {
                return Err(StatusFailure::unsupported(format!("{UNKNOWN_FORMAT}, {APPLY}")));
            }
            Some(of) => {
                let wanted = body::json(sending.octets, sending.share)?;
                let patched = |of_kind: &str, standing: &Value| {
                    patch::patch(of, of_kind, standing, &wanted).map_err(|error| StatusFailure::of_patch(&error))
                };
                if beneath == Some(Subresource::Scale) {
                    return scale::change(change, |scale| patched("Scale", scale)).await;
                }
                let new_version = |standing: Value| {
                    let json = patched(place.resource.structure, &standing)?;
                    Ok(SentObject { json, duplicates: Vec::new() })
                };
                change.modify(new_version).await?
            }
            None if sending.media_type == APPLY && beneath.is_none() => {
                change.apply(body::applied(sending.octets, sending.share)?).await?
            }
            None => return Err(unsupported_patch(&sending.media_type)),
        },
        (&Method::DELETE, name, None) if narrow => {
            let options = if sending.octets.is_empty() { None } else { Some(sending.object()?.json) };
            return match name {
                Some(_) => delete::delete(change, options.as_ref(), shape).await,
                None => delete::delete_all(change, options.as_ref(), shape).await,
            };
        }
        _ => return Err(not_allowed()),
    };
    let code = if changed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let response = read::reply(code, &shape.object(changed.object.to_json()));
    Ok(write::ObjectReply { response, warnings: changed.warnings })
}

/// The subresource that the path names, if it is one of those that are served.
fn served(place: &ResourcePath) -> Option<Subresource> {
    match place.beneath {
        Some(Subpath::Served(beneath)) => Some(beneath),
        _ => None,
    }
}

/// The media type of server-side apply.
const APPLY: &str = "application/apply-patch+yaml";

fn part_of(beneath: Option<Subresource>) -> Part {
    if beneath == Some(Subresource::Status) { Part::Status } else { Part::Main }
}

fn patch_type(media_type: &str) -> Option<patch::PatchType> {
    match media_type {
        "application/json-patch+json" => Some(patch::PatchType::Json),
        "application/merge-patch+json" => Some(patch::PatchType::Merge),
        "application/strategic-merge-patch+json" => Some(patch::PatchType::Strategic),
        _ => None,
    }
}

/// What is said to whoever patches a custom resource as if its structure were known.
const UNKNOWN_FORMAT: &str = "the body of the request was in an unknown format - accepted media types include: \
                              application/json-patch+json, application/merge-patch+json";

fn unsupported_patch(media_type: &str) -> StatusFailure {
    if media_type == APPLY {
        return StatusFailure::unsupported("server-side apply of a subresource is not supported: patch it instead");
    }
    StatusFailure::unsupported(format!(
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
         application/merge-patch+json, application/strategic-merge-patch+json, {APPLY} ({media_type} is not among them)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_given_up() {
        let held = Arc::new(());
        let for_ever = Arc::clone(&held);
        let work = tokio::spawn(async move {
            let _for_ever = for_ever;
            std::future::pending::<Result<(), StatusFailure>>().await
        });
        let refused = within(Duration::from_millis(1), work).await;
        assert_eq!(refused.map_err(|refused| refused.code), Err(504));
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
        let done = within(REQUEST_TIMEOUT, tokio::spawn(async { Ok(7) })).await;
        assert_eq!(done.map_err(|refused| refused.code), Ok(7));
    }
}
