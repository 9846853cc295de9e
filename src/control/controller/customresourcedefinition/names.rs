//! Whether the names of a definition are free: two definitions of a group may not have one in common.

use crate::objects::object::CustomDefinition;

/// A name that another definition has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameConflict {
    /// The reason of the condition: `KindConflict`.
    pub reason: &'static str,
    /// The name.
    pub name: String,
}

/// The conflict that upstream tells of: the last of those that it finds, in its order. Only definitions that are
/// established hold their names.
pub fn conflict<'a>(
    definition: &CustomDefinition,
    others: impl Iterator<Item = &'a CustomDefinition>,
) -> Option<NameConflict> {
    let mut found: Option<(usize, NameConflict)> = None;
    for other in others.filter(|other| other.is_established) {
        let is_resource = |name: &str| {
            name == other.kind.plural() || name == other.singular || other.short.iter().any(|short| short == name)
        };
        let is_kind = |name: &str| name == other.kind.name() || name == other.list_kind;
        let mut see = |rank: usize, reason: &'static str, name: &str, is_taken: bool| {
            if is_taken && found.as_ref().is_none_or(|(known, _)| *known <= rank) {
                found = Some((rank, NameConflict { reason, name: name.to_owned() }));
            }
        };
        see(0, "PluralConflict", definition.kind.plural(), is_resource(definition.kind.plural()));
        see(1, "SingularConflict", &definition.singular, is_resource(&definition.singular));
        for short in &definition.short {
            see(2, "ShortNamesConflict", short, is_resource(short));
        }
        see(3, "KindConflict", definition.kind.name(), is_kind(definition.kind.name()));
        see(4, "ListKindConflict", &definition.list_kind, is_kind(&definition.list_kind));
    }
    found.map(|(_, conflict)| conflict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::CustomKind;

    fn definition(plural: &str, kind: &str, short: &[&str], is_established: bool) -> CustomDefinition {
        CustomDefinition {
            kind: CustomKind::new("example.com", plural, kind, true).expect("room"),
            singular: kind.to_lowercase(),
            list_kind: format!("{kind}List"),
            short: short.iter().map(|short| (*short).to_owned()).collect(),
            categories: Vec::new(),
            versions: Vec::new(),
            storage_version: "v1".to_owned(),
            is_established,
            is_terminating: false,
        }
    }

    #[test]
    fn names_that_are_taken() {
        let widgets = definition("widgets", "Widget", &["wd"], true);
        let rows = [
            (definition("gadgets", "Gadget", &["gd"], false), &widgets, None),
            (definition("gadgets", "Widget", &[], false), &widgets, Some(("ListKindConflict", "WidgetList"))),
            (definition("gadgets", "Gadget", &["wd"], false), &widgets, Some(("ShortNamesConflict", "wd"))),
            (definition("wd", "Gadget", &[], false), &widgets, Some(("PluralConflict", "wd"))),
            (definition("gadgets", "WidgetList", &[], false), &widgets, Some(("KindConflict", "WidgetList"))),
            (definition("gadgets", "Widget", &[], false), &definition("widgets", "Widget", &[], false), None),
        ];
        for (new, standing, expected) in rows {
            let found = conflict(&new, std::iter::once(standing));
            let found = found.as_ref().map(|conflict| (conflict.reason, conflict.name.as_str()));
            assert_eq!(found, expected, "{new:?}");
        }
    }
}
