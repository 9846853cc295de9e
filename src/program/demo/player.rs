//! Plays one scenario against a fresh server in this process.

use super::{
    FILE_OCTETS_MAX,
    client::{DnsClient, QueryError, ReceivedReply, reverse},
    condition::{DemoState, Difference, Remembered, differences, disorder, remember},
    files::{FileError, ManifestFiles},
    interrupt::Interrupt,
    observe::{ClaimView, PodView},
    page,
    scenario::{
        Apply, Condition, DeletePod, DemoAction, DemoQuery, ExpectedAnswer, FailPod, Fetch, Image, MarkPod, Named,
        ObjectEdit, Print, Reference, Remove, Scale, Scenario, ScenarioStep, ServerSettings,
    },
    screen::{AnswerDifference, Screen},
};
use crate::{
    control::controller::{Cascade, Event, Refusal, Write},
    dns::name::Name,
    objects::object::{Kind, Object, ObjectKey},
    program::{
        app::{Control, DownError, Ended, SendError, Server, StartError, down},
        settings::{RuntimeChoice, Settings},
    },
    text::{
        diagnostic::{Diagnostic, Severity},
        regular_file,
    },
};
use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long `wait` waits if the scenario does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// How often is looked while waiting; finer than any delay of a simulated pod, so that every state is seen.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// How long lies between two tries to fetch a page.
const FETCH_INTERVAL: Duration = Duration::from_millis(50);
/// How long lies between two questions of a query that may be repeated.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Why a scenario could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlayError {
    /// An expectation failed and the difference has been printed.
    #[error("an expectation failed")]
    Failed,
    /// The scenario asks for something that cannot be.
    #[error("{0}")]
    Scenario(String),
    /// The server does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server died.
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error(transparent)]
    Send(#[from] SendError),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// What was made on the container engine could not be removed.
    #[error("removing what was made: {0}")]
    Down(#[from] DownError),
}

impl From<FileError> for PlayError {
    fn from(error: FileError) -> PlayError {
        PlayError::Scenario(error.to_string())
    }
}

impl From<QueryError> for PlayError {
    fn from(error: QueryError) -> PlayError {
        PlayError::Scenario(error.to_string())
    }
}

/// A server with a scenario being played against it.
pub(super) struct Player<'a, 's> {
    screen: &'a mut Screen<'s>,
    /// Where the scenario lies; its files are relative to it.
    directory: PathBuf,
    pauses: bool,
    interrupt: &'a Interrupt,
    control: Control,
    client: DnsClient,
    remembered: Remembered,
    /// The pods as they were last shown.
    shown: BTreeMap<Named, PodView>,
    files: ManifestFiles,
    server: Server,
}

impl<'a, 's> Player<'a, 's> {
    /// Starts the server. `pauses` says whether somebody looks on.
    pub(super) fn start(
        scenario: &Scenario,
        directory: &Path,
        pauses: bool,
        interrupt: &'a Interrupt,
        screen: &'a mut Screen<'s>,
    ) -> Result<Player<'a, 's>, PlayError> {
        let files = ManifestFiles::create()?;
        let settings = settings(&scenario.settings, directory, &files)?;
        let cluster_domain = settings.cluster_domain.first.to_string();
        let server = Server::start(settings)?;
        let Some(address) = server.addresses().first().copied() else {
            return Err(PlayError::Scenario("the server has no address".to_owned()));
        };
        let pods = match server.settings().runtime {
            RuntimeChoice::Simulated => "simulated pods",
            _ => "pods that are containers",
        };
        let about = format!("a fresh server on {address}, manifests in a directory of its own, {pods}");
        screen.title(&scenario.title, &scenario.about, &about);
        Ok(Player {
            screen,
            directory: directory.to_owned(),
            pauses,
            interrupt,
            control: server.control(),
            client: DnsClient::new(address, &cluster_domain),
            remembered: Remembered::new(),
            shown: BTreeMap::new(),
            files,
            server,
        })
    }

    /// Ends the server, then removes its containers and its files.
    ///
    /// # Errors
    /// The engine keeps some of the containers; they are found by their label.
    pub(super) fn end(self) -> Result<(), PlayError> {
        let Player { server, files, .. } = self;
        let settings = server.settings().clone();
        server.stop();
        let removed = match settings.runtime {
            RuntimeChoice::Simulated => Ok(()),
            _ => down(&settings).map(|_| ()).map_err(PlayError::from),
        };
        drop(files);
        removed
    }

    /// Says and does one step.
    pub(super) fn step(&mut self, step: &ScenarioStep) -> Result<(), PlayError> {
        self.go_on()?;
        if let Some(text) = &step.say {
            self.screen.say(text);
        }
        match &step.action {
            None => Ok(()),
            Some(DemoAction::Apply(apply)) => self.apply(apply),
            Some(DemoAction::Edit(edit)) => self.edit(edit),
            Some(DemoAction::Remove(remove)) => self.remove(remove),
            Some(DemoAction::Scale(scale)) => self.scale(scale),
            Some(DemoAction::Image(image)) => self.image(image),
            Some(DemoAction::DeletePod(delete)) => self.delete_pod(delete),
            Some(DemoAction::FailPod(fail)) => self.fail_pod(fail),
            Some(DemoAction::MarkPod(mark)) => self.mark_pod(mark),
            Some(DemoAction::Wait(condition)) => {
                self.hold(condition, condition.within.map_or(WAIT_DEFAULT, |within| within.0))
            }
            Some(DemoAction::Expect(condition)) => {
                self.hold(condition, condition.within.map_or(Duration::ZERO, |within| within.0))
            }
            Some(DemoAction::Query(query)) => self.query(query),
            Some(DemoAction::Fetch(fetch)) => self.fetch(fetch),
            Some(DemoAction::Print(print)) => self.print(*print),
            Some(DemoAction::Pause(text)) => {
                if self.pauses {
                    self.screen.pause(text.as_deref(), || self.interrupt.is_given());
                }
                Ok(())
            }
        }
    }

    /// Whether nobody wants it to end.
    fn go_on(&self) -> Result<(), PlayError> {
        if self.interrupt.is_given() { Err(PlayError::Interrupted) } else { Ok(()) }
    }

    fn apply(&mut self, apply: &Apply) -> Result<(), PlayError> {
        self.screen.act(&format!("write {}", apply.file.0.display()));
        let text = match (&apply.text, &apply.from) {
            (Some(text), _) => text.clone(),
            (None, Some(from)) => {
                let path = self.directory.join(from);
                regular_file::read_text(&path, FILE_OCTETS_MAX)
                    .map_err(|error| PlayError::Scenario(format!("{}: {error}", path.display())))?
            }
            (None, None) => String::new(),
        };
        self.change(apply.refused.as_deref(), |files| files.write(&apply.file, text))
    }

    fn edit(&mut self, edit: &ObjectEdit) -> Result<(), PlayError> {
        self.screen.act(&format!("edit {}: {}", edit.object, edit.patch));
        self.change(edit.refused.as_deref(), |files| files.patch(&edit.object, &edit.patch))
    }

    fn remove(&mut self, remove: &Remove) -> Result<(), PlayError> {
        match (&remove.file, &remove.object) {
            (Some(file), _) => {
                self.screen.act(&format!("delete {}", file.0.display()));
                self.change(None, |files| files.remove(file))
            }
            (None, Some(object)) => {
                self.screen.act(&format!("take {object} out of its file"));
                self.change(None, |files| files.remove_object(object))
            }
            (None, None) => Ok(()),
        }
    }

    fn scale(&mut self, scale: &Scale) -> Result<(), PlayError> {
        self.screen.act(&format!("scale {} to {} replicas", scale.statefulset, scale.replicas));
        let patch = serde_json::json!({"spec": {"replicas": scale.replicas}});
        self.change(None, |files| files.patch(&set(&scale.statefulset), &patch))
    }

    fn image(&mut self, image: &Image) -> Result<(), PlayError> {
        self.screen.act(&format!("set the image of {} to {}", image.statefulset, image.image));
        let Image { statefulset, container, image } = image;
        self.change(None, |files| files.set_image(&set(statefulset), container.as_deref(), image))
    }

    /// Changes files, has the server read them, and tells what it says to them.
    fn change(
        &mut self,
        refused: Option<&str>,
        change: impl FnOnce(&mut ManifestFiles) -> Result<(), FileError>,
    ) -> Result<(), PlayError> {
        let before = self.control.diagnostics();
        change(&mut self.files)?;
        self.control.rescan()?;
        let after = self.control.diagnostics();
        self.show_changes(&self.observe()?.pods);
        let watched = self.files.watched();
        let mut errors = Vec::new();
        for diagnostic in after.iter().filter(|diagnostic| !before.contains(diagnostic)) {
            match diagnostic.severity {
                Severity::Error => errors.push(short(diagnostic, &watched)),
                Severity::Warning => self.screen.note(&format!("warning: {}", short(diagnostic, &watched))),
                Severity::Note => {}
            }
        }
        self.refusals(refused, &errors)
    }

    /// Compares what was refused with what should have been.
    fn refusals(&mut self, expected: Option<&str>, errors: &[String]) -> Result<(), PlayError> {
        match expected {
            None if errors.is_empty() => Ok(()),
            Some(text) if errors.iter().any(|error| error.contains(text)) => {
                errors.iter().for_each(|error| self.screen.note(error));
                self.screen.good("refused, as expected");
                Ok(())
            }
            None => {
                errors.iter().for_each(|error| self.screen.bad(error));
                Err(PlayError::Failed)
            }
            Some(text) => {
                let got = if errors.is_empty() { "nothing was refused".to_owned() } else { errors.join("\n") };
                let expected = format!("a message with `{text}`");
                let difference = Difference { what: "refusal".to_owned(), expected, got };
                self.screen.differences("it was not refused as expected", &[difference]);
                Err(PlayError::Failed)
            }
        }
    }

    fn delete_pod(&mut self, delete: &DeletePod) -> Result<(), PlayError> {
        let grace = delete.grace.map(|grace| format!(" with {grace} s of grace")).unwrap_or_default();
        self.screen.act(&format!("delete pod {}{grace}", delete.pod));
        let key = pod_key(&delete.pod);
        let outcome = self.control.write(Write::delete(key.clone(), delete.grace, Cascade::Background))?;
        self.show_changes(&self.observe()?.pods);
        let errors: Vec<String> = outcome.err().iter().map(|error| format!("{key}: {error}")).collect();
        self.refusals(None, &errors)
    }

    fn fail_pod(&mut self, fail: &FailPod) -> Result<(), PlayError> {
        let reason = fail.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        self.screen.act(&format!("pod {} fails{reason}", fail.pod));
        let status =
            PodStatus { phase: Some("Failed".to_owned()), reason: fail.reason.clone(), ..PodStatus::default() };
        self.send(Event::PatchPodStatus(pod_key(&fail.pod), Box::new(status)))
    }

    fn mark_pod(&mut self, mark: &MarkPod) -> Result<(), PlayError> {
        self.screen.act(&format!("pod {} says it is {}ready", mark.pod, if mark.ready { "" } else { "not " }));
        let status = if mark.ready { "True" } else { "False" };
        let ready = PodCondition { type_: "Ready".to_owned(), status: status.to_owned(), ..PodCondition::default() };
        let status = PodStatus { conditions: Some(vec![ready]), ..PodStatus::default() };
        self.send(Event::PatchPodStatus(pod_key(&mark.pod), Box::new(status)))
    }

    fn send(&mut self, event: Event) -> Result<(), PlayError> {
        let refusals = self.control.send(event)?;
        self.show_changes(&self.observe()?.pods);
        let errors: Vec<String> = refusals.iter().flat_map(sentences).collect();
        self.refusals(None, &errors)
    }

    /// Waits until a condition holds, and goes on to hold for as long as it says.
    fn hold(&mut self, condition: &Condition, limit: Duration) -> Result<(), PlayError> {
        let started = Instant::now();
        let mut held_since = None;
        let steady = condition.steady.map_or(Duration::ZERO, |steady| steady.0);
        loop {
            self.go_on()?;
            let observed = self.observe()?;
            self.show_changes(&observed.pods);
            if let Some(difference) = disorder(condition, &observed.pods) {
                self.screen.differences("out of order", &[difference]);
                return Err(PlayError::Failed);
            }
            let differences = differences(condition, &observed, &self.remembered);
            if differences.is_empty() {
                if held_since.get_or_insert_with(Instant::now).elapsed() >= steady {
                    remember(condition, &observed, &mut self.remembered);
                    self.screen.good(&summary(condition));
                    return Ok(());
                }
            } else if let Some(since) = held_since {
                let reason = format!("it held for {} ms only", since.elapsed().as_millis());
                self.screen.differences(&reason, &differences);
                return Err(PlayError::Failed);
            } else if started.elapsed() >= limit {
                let reason = match limit {
                    Duration::ZERO => "not as expected".to_owned(),
                    limit => format!("still not so after {} ms", limit.as_millis()),
                };
                self.screen.differences(&reason, &differences);
                return Err(PlayError::Failed);
            }
            sleep(POLL_INTERVAL);
        }
    }

    fn observe(&self) -> Result<DemoState, PlayError> {
        let sets = self.control.objects(Kind::StatefulSet)?.into_iter();
        Ok(DemoState {
            sets: sets
                .filter_map(|object| if let Object::StatefulSet(set) = object { Some(set) } else { None })
                .collect(),
            claims: ClaimView::all(&self.control.objects(Kind::PersistentVolumeClaim)?),
            // Last, so that a status that is seen is never ahead of the pods it counts.
            pods: PodView::all(&self.control.objects(Kind::Pod)?),
        })
    }

    /// Prints what became of the pods since the last look.
    fn show_changes(&mut self, pods: &[PodView]) {
        let now: BTreeMap<Named, PodView> = pods.iter().map(|pod| (pod.named.clone(), pod.clone())).collect();
        for (named, before) in &self.shown {
            // A pod that came back under its name between two looks is shown as gone and as new.
            if now.get(named).is_none_or(|pod| pod.uid != before.uid) {
                self.screen.pod(Some(before), None);
            }
        }
        for (named, pod) in &now {
            let before = self.shown.get(named).filter(|before| before.uid == pod.uid);
            if before != Some(pod) {
                self.screen.pod(before, Some(pod));
            }
        }
        self.shown = now;
    }

    fn query(&mut self, query: &DemoQuery) -> Result<(), PlayError> {
        let started = Instant::now();
        let limit = query.within.map_or(Duration::ZERO, |within| within.0);
        loop {
            self.go_on()?;
            let name = match (&query.name, &query.reverse_of) {
                (Some(name), _) => name.clone(),
                (None, Some(of)) => self.reverse_name(of)?,
                (None, None) => String::new(),
            };
            let reply = self.client.resolve(&name, &query.namespace, &query.record_type)?;
            let got = records(&reply, &query.record_type);
            let verdict = self.judge(query, &reply, &got)?;
            if verdict.is_some() && started.elapsed() < limit {
                sleep(RETRY_INTERVAL);
                continue;
            }
            self.screen.act(&format!("dig {name} {}", query.record_type));
            self.screen.answer(&reply);
            return match verdict {
                Some((reason, difference)) => {
                    self.screen.answer_difference(&reason, &difference);
                    Err(PlayError::Failed)
                }
                None => {
                    if let Some(variable) = &query.remember {
                        self.remembered.insert(variable.clone(), got);
                    }
                    Ok(())
                }
            };
        }
    }

    fn fetch(&mut self, fetch: &Fetch) -> Result<(), PlayError> {
        self.screen.act(&format!("curl {}", fetch.url));
        let started = Instant::now();
        let limit = fetch.within.map_or(Duration::ZERO, |within| within.0);
        loop {
            self.go_on()?;
            let fetched = self.page(fetch)?;
            let is_expected = match (&fetched, &fetch.expect) {
                (Ok(text), Some(expected)) => text == expected.trim(),
                (Ok(_), None) => true,
                (Err(_), _) => false,
            };
            match fetched {
                _ if !is_expected && started.elapsed() < limit => sleep(FETCH_INTERVAL),
                Ok(text) if is_expected => {
                    self.screen.page(&text);
                    return Ok(());
                }
                Ok(got) | Err(got) => {
                    let expected = fetch.expect.clone().unwrap_or_else(|| "a page".to_owned());
                    let difference = Difference { what: fetch.url.to_string(), expected, got };
                    self.screen.differences("another page was expected", &[difference]);
                    return Err(PlayError::Failed);
                }
            }
        }
    }

    /// The page as it is now, or why there is none.
    fn page(&self, fetch: &Fetch) -> Result<Result<String, String>, PlayError> {
        let reply = self.client.resolve(fetch.url.host(), &fetch.namespace, "A")?;
        let addresses = records(&reply, "A");
        let address = addresses.iter().find_map(|address| address.parse().ok());
        let nowhere = || Err(format!("{} is {}", reply.name, outcome(&reply)));
        Ok(address.map_or_else(nowhere, |address| page::fetch(&fetch.url, address)))
    }

    /// The reverse name of a pod's address, or of `$variable`.
    fn reverse_name(&self, of: &str) -> Result<String, PlayError> {
        let text = match of.strip_prefix('$') {
            Some(variable) => {
                let values = self.recall(variable)?;
                values.first().cloned().unwrap_or_default()
            }
            None => {
                let named = match of.split_once('/') {
                    Some((namespace, name)) => Named { namespace: namespace.to_owned(), name: name.to_owned() },
                    None => Named { namespace: "default".to_owned(), name: of.to_owned() },
                };
                let pod = self.observe()?.pods.into_iter().find(|pod| pod.named == named);
                pod.map(|pod| pod.address).unwrap_or_default()
            }
        };
        text.parse().map(reverse).map_err(|_| PlayError::Scenario(format!("reverse-of: `{of}` has no address")))
    }

    fn recall(&self, variable: &str) -> Result<&BTreeSet<String>, PlayError> {
        let unknown = || PlayError::Scenario(format!("nothing has been remembered as `{variable}`"));
        self.remembered.get(variable).ok_or_else(unknown)
    }

    /// What is wrong with an answer, if anything.
    fn judge(
        &self,
        query: &DemoQuery,
        reply: &ReceivedReply,
        got: &BTreeSet<String>,
    ) -> Result<Option<(String, AnswerDifference)>, PlayError> {
        let status = outcome(reply);
        let another = |expected: &BTreeSet<String>| {
            (expected != got)
                .then(|| ("another answer was expected".to_owned(), AnswerDifference::between(expected, got)))
        };
        let expected = match (&query.expect, &query.addresses_of) {
            (Some(ExpectedAnswer::Records(records)), _) => Some(records.iter().map(|record| normal(record)).collect()),
            (Some(ExpectedAnswer::NoData), _) if status == "NODATA" => None,
            (Some(ExpectedAnswer::Code(code)), _) if status == *code => None,
            (Some(expected), _) => {
                let expected = match expected {
                    ExpectedAnswer::Code(code) => code.clone(),
                    _ => "NODATA".to_owned(),
                };
                let unexpected = if got.is_empty() { BTreeSet::from([status]) } else { got.clone() };
                let difference = AnswerDifference::between(&BTreeSet::from([expected]), &unexpected);
                return Ok(Some(("another outcome was expected".to_owned(), difference)));
            }
            (None, Some(pods)) => Some(self.addresses(pods)?),
            (None, None) => None,
        };
        if let Some(wrong) = expected.as_ref().and_then(another) {
            return Ok(Some(wrong));
        }
        if let Some(count) = query.count.filter(|count| *count != got.len()) {
            let expected = BTreeSet::from([format!("{count} records")]);
            let difference = AnswerDifference::between(&expected, &BTreeSet::from([format!("{} records", got.len())]));
            return Ok(Some(("another number of records was expected".to_owned(), difference)));
        }
        if let Some(variable) = &query.same_as
            && let Some((_, difference)) = another(self.recall(variable)?)
        {
            return Ok(Some((format!("the answer differs from `{variable}`"), difference)));
        }
        if let Some(variable) = &query.differs_from {
            let old = self.recall(variable)?;
            let stale: Vec<String> = got.intersection(old).cloned().collect();
            if !stale.is_empty() || got.is_empty() {
                let missing = if got.is_empty() { vec!["any record".to_owned()] } else { Vec::new() };
                let difference = AnswerDifference { missing, unexpected: stale, right: Vec::new() };
                return Ok(Some((format!("the answer must have nothing of `{variable}`"), difference)));
            }
        }
        Ok(None)
    }

    fn addresses(&self, pods: &[Named]) -> Result<BTreeSet<String>, PlayError> {
        let observed = self.observe()?.pods;
        let address = |named: &Named| {
            let pod = observed.iter().find(|pod| pod.named == *named);
            let address = pod.map(|pod| pod.address.clone()).filter(|address| !address.is_empty());
            address.unwrap_or_else(|| format!("the address of {named}"))
        };
        Ok(pods.iter().map(address).collect())
    }

    fn print(&mut self, print: Print) -> Result<(), PlayError> {
        self.show_changes(&self.observe()?.pods);
        match print {
            Print::Pods => {
                let pods = self.observe()?.pods;
                self.screen.pods(&pods);
            }
            Print::Services => {
                let services = self.control.objects(Kind::Service)?;
                self.screen.table(["SERVICE", "CLUSTER-IP", "PORTS"], services.iter().map(super::tables::service));
            }
            Print::Slices => {
                let slices = self.control.objects(Kind::EndpointSlice)?;
                let rows = slices.iter().flat_map(super::tables::endpoints);
                self.screen.table(["SERVICE", "ENDPOINT", "HOSTNAME", "READY", "SERVING", "TERMINATING"], rows);
            }
            Print::Claims => {
                let claims = self.observe()?.claims;
                let rows = claims.into_iter().map(|claim| [claim.named.to_string(), claim.phase, claim.volume]);
                self.screen.table(["CLAIM", "PHASE", "VOLUME"], rows);
            }
            Print::Status => {
                let sets = self.observe()?.sets;
                let head = [
                    "STATEFULSET",
                    "WANT",
                    "PODS",
                    "READY",
                    "CURRENT",
                    "UPDATED",
                    "CURRENT-REVISION",
                    "UPDATE-REVISION",
                ];
                self.screen.table(head, sets.iter().map(|set| super::tables::statefulset(set)));
            }
            Print::Events => {
                let events = self.control.objects(Kind::Event)?;
                self.screen.table(["EVENT", "REASON", "OBJECT", "MESSAGE"], events.iter().map(super::tables::event));
            }
        }
        Ok(())
    }
}

/// The server's settings: its own defaults, nothing kept, a port of its own, the scenario's wishes.
fn settings(wishes: &ServerSettings, directory: &Path, files: &ManifestFiles) -> Result<Settings, PlayError> {
    let mut settings = Settings::defaults();
    settings.listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    settings.manifests = vec![files.watched()];
    settings.zones = wishes.zones.as_ref().map_or_else(|| files.zones(), |zones| directory.join(zones));
    settings.runtime = wishes.runtime.clone().unwrap_or(settings.runtime);
    // Containers have claims, which are directories.
    settings.state_directory = (settings.runtime != RuntimeChoice::Simulated).then(|| files.state());
    settings.limits.serve.udp_threads = 1;
    settings.limits.program.lame_duck = Duration::ZERO;
    if let Some(domain) = &wishes.cluster_domain {
        let refused = |error| PlayError::Scenario(format!("settings.cluster-domain: `{domain}`: {error}"));
        settings.cluster_domain = Name::parse(domain).map_err(refused)?.into();
    }
    let simulation = &mut settings.simulation;
    for (wish, setting) in [
        (wishes.simulation.start_after, &mut simulation.start_after),
        (wishes.simulation.ready_after, &mut simulation.ready_after),
        (wishes.simulation.stop_after, &mut simulation.stop_after),
    ] {
        *setting = wish.map_or(*setting, |wish| wish.0);
    }
    if let Some(ranges) = &wishes.pod_cidrs {
        settings.pod_cidrs = ranges.iter().map(|range| range.0).collect();
    }
    if let Some(ranges) = &wishes.service_cidrs {
        settings.service_cidrs = ranges.iter().map(|range| range.0).collect();
    }
    settings.ttl = wishes.ttl.unwrap_or(settings.ttl);
    settings.negative_ttl = wishes.negative_ttl.unwrap_or(settings.negative_ttl);
    Ok(settings)
}

fn pod_key(pod: &Named) -> ObjectKey {
    ObjectKey::new(Kind::Pod, &pod.namespace, &pod.name)
}

fn set(named: &Named) -> Reference {
    Reference { kind: Kind::StatefulSet.name().to_owned(), named: named.clone() }
}

fn sentences(refusal: &Refusal) -> Vec<String> {
    let sentence = |error: &crate::objects::object::FieldError| match error.field.as_str() {
        "" => format!("{}: {}", refusal.key, error.message),
        _ => format!("{}: {error}", refusal.key),
    };
    refusal.errors.iter().map(sentence).collect()
}

/// A diagnostic in one line, its file without the temporary directory.
fn short(diagnostic: &Diagnostic, watched: &Path) -> String {
    let Diagnostic { file, place, field, message, .. } = diagnostic;
    let file = file.strip_prefix(watched).unwrap_or(file).display();
    let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
    format!("{file}:{}:{}: {field}{message}", place.line, place.column)
}

/// The answer's set: the data of records of the type asked for, `TYPE data` of others.
fn records(reply: &ReceivedReply, record_type: &str) -> BTreeSet<String> {
    let text = |record: &super::client::AnsweredRecord| match record.record_type.eq_ignore_ascii_case(record_type) {
        true => normal(&record.rdata),
        false => normal(&format!("{} {}", record.record_type, record.rdata)),
    };
    reply.answers.iter().map(text).collect()
}

/// One spelling for data that people may spell in several ways; quoted strings are left alone.
fn normal(data: &str) -> String {
    if data.contains('"') {
        return data.trim().to_owned();
    }
    data.split_whitespace().map(|word| word.trim_end_matches('.')).collect::<Vec<_>>().join(" ")
}

fn outcome(reply: &ReceivedReply) -> String {
    match (reply.code.as_str(), reply.answers.is_empty()) {
        ("NOERROR", true) => "NODATA".to_owned(),
        (code, _) => code.to_owned(),
    }
}

/// A condition that holds, in a few words.
fn summary(condition: &Condition) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (named, expected) in &condition.pods {
        let is = expected.is.map_or("as expected".to_owned(), |state| kebab(&format!("{state:?}")));
        parts.push(format!("{named} {is}"));
    }
    for (named, expected) in &condition.claims {
        let is = expected.is.map_or("as expected".to_owned(), |state| kebab(&format!("{state:?}")));
        parts.push(format!("claim {named} {is}"));
    }
    for named in condition.statefulsets.keys() {
        parts.push(format!("status of {named}"));
    }
    if let Some(pods) = &condition.only_pods {
        parts.push(format!("{} pods in all", pods.len()));
    }
    if condition.ascending.is_some() || condition.descending.is_some() {
        parts.push("one at a time, in order".to_owned());
    }
    if let Some(steady) = condition.steady {
        parts.push(format!("for {} ms", steady.0.as_millis()));
    }
    parts.join(", ")
}

fn kebab(variant: &str) -> String {
    variant.chars().enumerate().fold(String::new(), |mut text, (index, letter)| {
        if letter.is_uppercase() && index > 0 {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a demo waits for a server in other threads; it blocks nobody but itself"
)]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::demo::client::AnsweredRecord;

    #[test]
    fn answers_have_one_spelling() {
        let check = |data, expected| assert_eq!(normal(data), expected);
        check("0  33 80 web-0.nginx.default.svc.cluster.local.", "0 33 80 web-0.nginx.default.svc.cluster.local");
        check(" 10.0.0.1 ", "10.0.0.1");
        check("\"two  spaces.\"", "\"two  spaces.\"");
    }

    #[test]
    fn other_types_are_told_apart() {
        let record = |record_type: &str, rdata: &str| AnsweredRecord {
            name: "a.".to_owned(),
            ttl: 5,
            record_type: record_type.to_owned(),
            rdata: rdata.to_owned(),
        };
        let answers = vec![record("CNAME", "b.example."), record("A", "10.0.0.1")];
        let reply =
            ReceivedReply { name: "a.".to_owned(), code: "NOERROR".to_owned(), answers, why: Vec::new(), tcp: false };
        let expected: BTreeSet<String> = ["10.0.0.1", "CNAME b.example"].map(str::to_owned).into();
        assert_eq!(records(&reply, "a"), expected);
    }
}
