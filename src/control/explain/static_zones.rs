//! Names of static zones: records, wildcards, delegations, aliases.

use super::{SEARCHED_OBJECTS_MAX, Stage, walk::Walk};
use crate::{
    dns::{
        name::Name,
        wire::rdata::{self, RecordType},
        zone::{NameLookup, Node, Zone},
    },
    text::nearest::nearest,
};

impl Walk<'_> {
    /// A name whose records come from a file.
    pub(super) fn static_name(&mut self, zone: &Zone, name: &Name) {
        match zone.find(name.as_wire()) {
            NameLookup::Node(node) => {
                self.ok(Stage::Name, format!("{name} is in the file"));
                self.static_records(node);
            }
            NameLookup::Wildcard(node) => {
                self.ok(
                    Stage::Name,
                    format!("{name} is not in the file, and the wildcard {} stands for it", node.name()),
                );
                self.static_records(node);
            }
            NameLookup::Cut(node) => self.delegated(node, name),
            NameLookup::Dname(node) => self.substituted(node, name),
            NameLookup::Absent(_) => {
                self.fail(Stage::Name, format!("{name} is not in the file, and no wildcard stands for it"));
                let names: Vec<String> = zone
                    .nodes()
                    .take(SEARCHED_OBJECTS_MAX)
                    .filter(|node| !node.is_empty())
                    .map(|node| node.name().to_string())
                    .collect();
                let nearest = nearest(&name.to_string(), names.iter().map(String::as_str)).map(str::to_owned);
                self.propose(nearest);
                self.advise(format!(
                    "add {name} to the file of zone {}; it is read again when it is saved",
                    zone.origin()
                ));
            }
        }
    }

    fn static_records(&mut self, node: &Node) {
        if node.set(self.rtype).is_some() {
            return self.ok(Stage::Records, format!("{} is there", self.rtype));
        }
        if let Some(alias) = node.set(RecordType::CNAME)
            && let Some(target) = alias.rdata().next().and_then(|rdata| Name::from_wire(rdata).ok())
            && self.rtype != RecordType::ANY
        {
            self.ok(Stage::Alias, format!("{} is an alias (CNAME)", node.name()));
            return self.alias(&target);
        }
        let types: Vec<String> = node.sets().map(|set| set.rtype().to_string()).collect();
        match types.as_slice() {
            [] => self.fail(Stage::Records, "it has no records itself: names below it have"),
            _ if self.rtype == RecordType::ANY => self.ok(Stage::Records, types.join(", ")),
            types => {
                self.fail(Stage::Records, format!("there is no {} here, but {}", self.rtype, types.join(", ")));
                self.advise(format!("ask for {}, or add {} to the file", types.join(" or "), self.rtype));
            }
        }
    }

    /// Below a DNAME: an alias made of the name.
    fn substituted(&mut self, above: &Node, name: &Name) {
        let ending = above.set(RecordType::DNAME).and_then(|set| Name::from_wire(set.rdata().next()?).ok());
        let Some(ending) = ending else { return };
        let above_it = Name::from_wire(above.wire_name()).map_or(0, |above| above.labels().count());
        let kept: Vec<&[u8]> = name.labels().take(name.labels().count().saturating_sub(above_it)).collect();
        match ending.descendant(&kept) {
            Ok(target) => {
                let text = format!("{name} lies below {}, whose DNAME makes it an alias of {target}", above.name());
                self.ok(Stage::Alias, text);
                self.alias(&target);
            }
            Err(error) => {
                let text = format!("the DNAME of {} makes no name of {name} below {ending}: {error}", above.name());
                self.fail(Stage::Alias, text);
                self.advise("ask for a shorter name, or give the DNAME a shorter target");
            }
        }
    }

    /// At or below a delegation: others answer.
    fn delegated(&mut self, cut: &Node, name: &Name) {
        if self.rtype == RecordType::DS && cut.wire_name() == name.as_wire() {
            return self.static_records(cut);
        }
        let servers = cut.set(RecordType::NS).map(|set| {
            let targets = set.rdata().filter_map(|rdata| rdata::target(RecordType::NS, rdata));
            targets.filter_map(|target| Name::from_wire(target).ok()).map(|name| name.to_string()).collect::<Vec<_>>()
        });
        let servers = servers.unwrap_or_default().join(", ");
        self.fail(
            Stage::Name,
            format!("{} is delegated to {servers}: this server answers with a referral", cut.name()),
        );
        self.advise(format!("ask {servers}, or let a resolver follow the referral"));
    }
}
