//! The walk itself: stage after stage, until one of them is where it ends.

use super::{DnsAnswer, SEARCHED_OBJECTS_MAX, ServerFacts, Stage, StageResult, Status, suggestions};
use crate::{
    control::{
        cluster::Cluster,
        records::name_schema::{FixedName, NameForm, ServiceName},
    },
    dns::{
        answer::ALIASES_MAX,
        name::Name,
        wire::rdata::RecordType,
        zone::{NameLookup, Node, Snapshot, Zone},
    },
    objects::object::Kind,
    text::nearest::nearest,
};

/// Most names that are proposed.
const SUGGESTIONS_MAX: usize = 3;

/// What the walk goes through, and what it has found so far.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub cluster: &'a Cluster,
    pub snapshot: &'a Snapshot,
    pub surroundings: &'a ServerFacts,
    pub rtype: RecordType,
    pub steps: Vec<StageResult>,
    pub advice: Vec<String>,
    pub near: Vec<String>,
    /// Names of aliases that were followed.
    aliases: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        cluster: &'a Cluster,
        snapshot: &'a Snapshot,
        surroundings: &'a ServerFacts,
        rtype: RecordType,
    ) -> Walk<'a> {
        Walk {
            cluster,
            snapshot,
            surroundings,
            rtype,
            steps: Vec::new(),
            advice: Vec::new(),
            near: Vec::new(),
            aliases: 0,
        }
    }

    pub(super) fn ok(&mut self, level: Stage, text: impl Into<String>) {
        self.steps.push(StageResult { status: Status::Ok, level, text: text.into() });
    }

    pub(super) fn warn(&mut self, level: Stage, text: impl Into<String>) {
        self.steps.push(StageResult { status: Status::Warn, level, text: text.into() });
    }

    pub(super) fn fail(&mut self, level: Stage, text: impl Into<String>) {
        self.steps.push(StageResult { status: Status::Fail, level, text: text.into() });
    }

    /// What can be done about it; each thing once.
    pub(super) fn advise(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.advice.contains(&text) {
            self.advice.push(text);
        }
    }

    /// Proposes names that are written like the one asked for.
    pub(super) fn propose(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if self.near.len() < SUGGESTIONS_MAX && !self.near.contains(&name) {
                self.near.push(name);
            }
        }
    }

    /// Of the names that were tried the one that was most likely meant: the one answered, which is the last, or else
    /// the first of those that come furthest.
    pub(super) fn most_telling<'n>(&self, names: &'n [Name]) -> &'n Name {
        static ROOT: std::sync::LazyLock<Name> = std::sync::LazyLock::new(Name::root);
        let furthest = names.iter().rev().max_by_key(|name| self.distance(name));
        furthest.unwrap_or(&*ROOT)
    }

    /// How far a name comes on its way, roughly: the more of it exists, the more likely it was meant.
    fn distance(&self, name: &Name) -> u8 {
        if let Some(zone) = self.snapshot.zone_of(name.as_wire()) {
            let found = zone.find(name.as_wire());
            let here = match found {
                NameLookup::Node(node) => node.set(self.rtype).is_some() || node.set(RecordType::CNAME).is_some(),
                NameLookup::Wildcard(_) | NameLookup::Cut(_) | NameLookup::Dname(_) => true,
                NameLookup::Absent(_) => false,
            };
            if here {
                return 9;
            }
            if !zone.is_fed() {
                return 4;
            }
        }
        let service = |namespace: &str, service: &str| self.cluster.service(namespace, service).is_some();
        let namespace = |namespace: &str| self.cluster.namespace("", namespace).is_some();
        let domains = &self.surroundings.domains;
        match NameForm::parse(name, domains) {
            NameForm::Endpoint(place, _) | NameForm::Port(place, ..) | NameForm::Protocol(place, _) => {
                match (service(&place.namespace, &place.service), namespace(&place.namespace)) {
                    (true, _) => 8,
                    (_, true) => 5,
                    _ if self.namespaces_of(&place.service).next().is_some() => 4,
                    _ => 1,
                }
            }
            NameForm::Service(place) => {
                match (service(&place.namespace, &place.service), namespace(&place.namespace)) {
                    (true, _) => 7,
                    (_, true) => 5,
                    _ if self.namespaces_of(&place.service).next().is_some() => 6,
                    _ => 1,
                }
            }
            NameForm::Fixed(..) | NameForm::Reverse(_) => 6,
            NameForm::Namespace(name, _) | NameForm::PodNamespace(name, _) if namespace(&name) => 6,
            NameForm::PodAddress(..) | NameForm::Elsewhere => 2,
            NameForm::Namespace(..) | NameForm::PodNamespace(..) | NameForm::Unknown => 1,
        }
    }

    /// Everything about a name.
    pub(super) fn name(&mut self, name: &Name) {
        let Some(zone) = self.snapshot.zone_of(name.as_wire()) else { return self.outside(name) };
        let serial = zone.serial();
        let form = NameForm::parse(name, &self.surroundings.domains);
        if !zone.is_fed() {
            self.ok(Stage::Zone, format!("{} is a static zone of this server, serial {serial}", zone.origin()));
            return self.static_name(zone, name);
        }
        self.ok(Stage::Zone, format!("{} is served here, serial {serial}", zone.origin()));
        if !self.snapshot.is_synced() {
            self.warn(
                Stage::Zone,
                "the manifests have not all been read yet: what is missing is answered with SERVFAIL until then",
            );
        }
        match form {
            NameForm::Fixed(fixed, _) => self.fixed(zone, name, fixed_text(fixed)),
            NameForm::PodNamespace(namespace, _) => {
                self.ok(
                    Stage::Name,
                    "the name above the addresses of a namespace's pods: it has no records of its own",
                );
                if self.namespace(&namespace, None) {
                    self.fail(Stage::Records, format!("no record stands at {name}: names of addresses lie below it"));
                    self.advise(format!("ask for <address with dashes>.{name}, such as 10-244-0-3.{name}"));
                }
            }
            NameForm::Namespace(namespace, _) => {
                let form = "the name above the Services of a namespace: it has no records of its own";
                self.ok(Stage::Name, form);
                if self.namespace(&namespace, None) {
                    self.fail(Stage::Records, format!("no record stands at {name}: names of Services lie below it"));
                    self.advise(format!("ask for <service>.{name}"));
                }
            }
            NameForm::Service(place) => self.service_name(name, &place),
            NameForm::Endpoint(place, hostname) => self.endpoint_name(name, &place, &hostname),
            NameForm::Protocol(place, protocol) => self.protocol_name(name, &place, &protocol),
            NameForm::Port(place, port, protocol) => self.port_name(name, &place, &port, &protocol),
            NameForm::PodAddress(address, namespace, _) => self.pod_address(zone, name, &address, &namespace),
            NameForm::Reverse(address) => self.reverse(name, address),
            NameForm::Unknown | NameForm::Elsewhere => self.unknown(zone, name),
        }
    }

    /// A name that is there because the zone is.
    fn fixed(&mut self, zone: &Zone, name: &Name, what: &str) {
        self.ok(Stage::Name, what);
        self.types_at(zone, name);
    }

    /// Which types stand at a name of a fed zone, if not the one asked for.
    pub(super) fn types_at(&mut self, zone: &Zone, name: &Name) {
        let node = zone.node(name.as_wire());
        let types: Vec<RecordType> = node.into_iter().flat_map(Node::sets).map(|set| set.rtype()).collect();
        if types.contains(&self.rtype) || self.rtype == RecordType::ANY && !types.is_empty() {
            return self.ok(Stage::Records, format!("{} is there", self.rtype));
        }
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        match types.as_slice() {
            [] => self.fail(Stage::Records, "no record stands here"),
            types => {
                self.fail(Stage::Records, format!("there is no {} here, but {}", self.rtype, types.join(", ")));
                self.advise(format!("ask for {}", types.join(" or ")));
            }
        }
    }

    /// Beneath a zone of the cluster a file of the same apex may hold more names, and a hand-fed source other ones.
    fn unknown(&mut self, zone: &Zone, name: &Name) {
        if !matches!(zone.find(name.as_wire()), NameLookup::Absent(_)) {
            self.ok(Stage::Name, format!("a name that the zone file of {} adds", zone.origin()));
            return self.static_name(zone, name);
        }
        let domain = zone.origin();
        self.fail(
            Stage::Name,
            format!(
                "names below {domain} are <service>.<namespace>.svc, <pod>.<service>.<namespace>.svc and \
                 _<port>._<protocol>.<service>.<namespace>.svc, and this is none of them"
            ),
        );
        let labels: Vec<String> = name.labels().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
        let count = labels.len().saturating_sub(domain.labels().count());
        let front = labels.get(..count).unwrap_or_default();
        let front: Vec<&str> = front.iter().map(String::as_str).filter(|label| *label != "svc").collect();
        self.propose(suggestions::services(self.cluster, &front, domain));
        self.advise("write the name as <pod>.<service>.<namespace>.svc, and look at the order of its labels");
    }

    /// No zone of ours.
    fn outside(&mut self, name: &Name) {
        let zones: Vec<String> = self.snapshot.serials().iter().map(|(apex, _)| apex.to_string()).collect();
        let shown = zones.iter().filter(|apex| !apex.ends_with(".arpa.")).cloned().collect::<Vec<_>>().join(", ");
        if self.surroundings.forwarding {
            self.warn(
                Stage::Zone,
                format!("no zone here holds {name}, so other servers are asked; zones here: {shown}"),
            );
        } else {
            self.fail(Stage::Zone, format!("no zone here holds {name}, and it is not forwarded; zones here: {shown}"));
            self.advise(
                "set forward.to in the settings to have other names asked for elsewhere, or correct the domain",
            );
        }
        let labels: Vec<String> = name.labels().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
        if let Some(at) = labels.iter().position(|label| label == "svc")
            && let Some(domain) = self.surroundings.domains.first()
        {
            let front: Vec<&str> = labels[..at].iter().map(String::as_str).collect();
            self.propose(suggestions::services(self.cluster, &front, domain));
        }
    }

    /// Whether a namespace exists; otherwise it ends here. `service` is looked for in the others.
    pub(super) fn namespace(&mut self, namespace: &str, service: Option<(&str, &Name, &str)>) -> bool {
        if self.cluster.namespace("", namespace).is_some() {
            return true;
        }
        self.fail(Stage::Namespace, format!("there is no namespace {namespace}: nothing is declared in it"));
        let names = self.cluster.of_kind(Kind::Namespace).take(SEARCHED_OBJECTS_MAX);
        let names = names.filter_map(|object| object.metadata().name.as_deref());
        let nearest = nearest(namespace, names);
        if let Some((service, domain, front)) = service {
            let elsewhere: Vec<String> = self
                .namespaces_of(service)
                .map(|namespace| format!("{front}{}", ServiceName::new(service, namespace, domain)))
                .collect();
            self.propose(elsewhere);
        }
        match nearest {
            Some(nearest) => self.advise(format!("did you mean namespace {nearest}?")),
            None => self.advise(format!("declare something in namespace {namespace}, which makes it")),
        }
        false
    }

    /// The namespaces in which a Service of this name exists.
    pub(super) fn namespaces_of<'b>(&self, service: &'b str) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        let cluster = self.cluster;
        let namespaces = cluster.of_kind(Kind::Namespace).take(SEARCHED_OBJECTS_MAX);
        let names = namespaces.filter_map(|object| object.metadata().name.as_deref());
        names.filter(move |namespace| cluster.service(namespace, service).is_some())
    }

    /// Follows an alias to its target.
    pub(super) fn alias(&mut self, target: &Name) {
        self.aliases += 1;
        if self.aliases >= ALIASES_MAX {
            return self.fail(Stage::Alias, format!("{ALIASES_MAX} aliases lead here: no more of them are followed"));
        }
        if self.rtype == RecordType::CNAME {
            return;
        }
        match self.snapshot.zone_of(target.as_wire()) {
            Some(_) => {
                self.ok(Stage::Alias, format!("it leads to {target}, which is asked for next"));
                self.name(target);
            }
            None if self.surroundings.forwarding => {
                self.warn(Stage::Alias, format!("it leads to {target}, which other servers are asked for"));
            }
            None => {
                self.fail(
                    Stage::Alias,
                    format!("it leads to {target}, which no zone here holds: a resolver asks another server for it"),
                );
                self.advise(format!(
                    "a client whose only name server is this one gets no address for {target} unless forward.to is set"
                ));
            }
        }
    }

    /// The last step, so that the steps never contradict the answer.
    pub(super) fn conclude(&mut self, answer: &DnsAnswer) {
        let failed = self.steps.iter().any(|step| step.status == Status::Fail);
        if !answer.resolves && !answer.forwarded && !failed {
            self.fail(Stage::Records, format!("no {} record stands at the name", self.rtype));
        }
        if answer.resolves {
            // What is wrong elsewhere does not keep this name from being answered.
            for step in self.steps.iter_mut().filter(|step| step.status == Status::Fail) {
                step.status = Status::Warn;
            }
        }
    }
}

/// What a name is for that every cluster domain has.
fn fixed_text(name: FixedName) -> &'static str {
    match name {
        FixedName::Domain => "the cluster's domain itself",
        FixedName::Services => "the name above all Services",
        FixedName::PodAddresses => "the name above all pods' addresses",
        FixedName::Version => "the version of the DNS specification, as TXT",
        FixedName::NameServer | FixedName::AboveNameServer | FixedName::Mailbox => "a name of this name server",
    }
}
