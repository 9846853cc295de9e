//! Every quantity of an object with its path, their canonical form (`1024Mi` is stored as `1Gi`), and objects that
//! differ in the writing of their quantities only.

use crate::objects::object::{
    Kind, Object,
    quantity::{self, Precision},
    schema::{Schema, SchemaType},
};
use k8s_openapi::{
    api::core::v1::{
        Container, DownwardAPIVolumeFile, PersistentVolumeClaimSpec, PodSpec, ResourceFieldSelector,
        ResourceRequirements, Volume,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
};

type Visit<'a> = dyn FnMut(String, Precision, &mut Quantity) + 'a;

/// Writes every quantity that can be read as upstream writes it; others stay for validation.
pub(super) fn canonicalize(object: &mut Object) {
    for_each_quantity(object, &mut |_, precision, quantity| {
        if let Ok(stored) = quantity::canonical(&quantity.0, precision)
            && stored != quantity.0
        {
            quantity.0 = stored;
        }
    });
}

/// `before` with each quantity written as `after` writes it where the two are the same value, a zero that is left out
/// included: what then still differs from `after` is a difference. `None` where that is `before` itself.
pub(crate) fn written_as(before: &Object, after: &Object) -> Option<Object> {
    let mut texts: HashMap<String, String> = HashMap::new();
    for_each_quantity(&mut after.clone(), &mut |field, _, quantity| {
        texts.insert(field, std::mem::take(&mut quantity.0));
    });
    let mut rewritten = before.clone();
    for_each_quantity(&mut rewritten, &mut |field, _, quantity| {
        if let Some(text) = texts.remove(&field)
            && text != quantity.0
            && quantity::same_value(&text, &quantity.0)
        {
            quantity.0 = text;
        }
    });
    (rewritten != *before).then_some(rewritten)
}

/// Upstream's warnings about containers' memory in parts of bytes, for who writes a defaulted object.
pub fn fractional_bytes(object: &Object) -> Vec<String> {
    let mut warnings = Vec::new();
    for_each_quantity(&mut object.clone(), &mut |field, _, Quantity(text)| {
        let is_memory = field.ends_with("[memory]") || field.ends_with("[ephemeral-storage]");
        if is_memory && field.contains("ontainers[") && quantity::is_fractional(text) {
            warnings.push(format!("{field}: fractional byte value {text:?} is invalid, must be an integer"));
        }
    });
    warnings
}

/// Visits every quantity that this program reads or that upstream would refuse.
pub(crate) fn for_each_quantity(object: &mut Object, visit: &mut Visit<'_>) {
    match object {
        Object::Pod(pod) => visit_pod(Arc::make_mut(pod).spec.as_mut(), "spec", visit),
        Object::StatefulSet(set) => {
            let Some(spec) = Arc::make_mut(set).spec.as_mut() else { return };
            visit_pod(spec.template.spec.as_mut(), "spec.template.spec", visit);
            for (index, claim) in spec.volume_claim_templates.iter_mut().flatten().enumerate() {
                visit_claim(claim.spec.as_mut(), &format!("spec.volumeClaimTemplates[{index}].spec"), visit);
            }
        }
        Object::PersistentVolumeClaim(claim) => visit_claim(Arc::make_mut(claim).spec.as_mut(), "spec", visit),
        Object::PersistentVolume(volume) => {
            let capacity = Arc::make_mut(volume).spec.as_mut().and_then(|spec| spec.capacity.as_mut());
            visit_map(capacity, "spec.capacity", visit);
        }
        Object::DaemonSet(_) | Object::Deployment(_) | Object::ReplicaSet(_) | Object::ReplicationController(_) => {
            let field = format!("{}.spec", object.pod_template_path());
            let template = object.pod_template_mut();
            visit_pod(template.and_then(|template| template.spec.as_mut()), &field, visit);
        }
        Object::Stored(stored) if has_quantities(stored.kind()) => {
            let Some(schema) = Schema::of(stored.kind().schema_name()) else { return };
            let mut body = stored.body();
            let mut is_changed = false;
            visit_fields(schema, &mut body, "", &mut |field, precision, quantity| {
                let before = quantity.0.clone();
                visit(field, precision, quantity);
                is_changed |= quantity.0 != before;
            });
            if is_changed {
                Arc::make_mut(stored).set_body(body);
            }
        }
        _ => {}
    }
}

/// Whether objects of a kind that is only stored can hold a quantity: most kinds' texts need not be read for it.
fn has_quantities(kind: Kind) -> bool {
    static WITH: LazyLock<HashSet<Kind>> = LazyLock::new(|| {
        let mut found = HashSet::new();
        for &kind in Kind::ALL {
            let mut seen = HashSet::new();
            if Schema::of(kind.name()).is_some_and(|schema| reaches_quantity(schema, &mut seen)) {
                found.insert(kind);
            }
        }
        found
    });
    WITH.contains(&kind)
}

fn reaches_quantity(schema: &'static Schema, seen: &mut HashSet<&'static str>) -> bool {
    if !seen.insert(schema.name) {
        return false;
    }
    schema.fields.iter().any(|field| {
        let mut of = &field.of;
        while let SchemaType::List(inner) | SchemaType::Map(inner) = of {
            of = inner;
        }
        *of == SchemaType::Quantity || of.schema().is_some_and(|inner| reaches_quantity(inner, seen))
    })
}

/// The quantities of JSON, as the structure of its kind says where they are.
fn visit_fields(schema: &Schema, fields: &mut serde_json::Map<String, Value>, path: &str, visit: &mut Visit<'_>) {
    for (name, value) in fields {
        if let Some(field) = schema.field(name) {
            let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            visit_value(&field.of, Precision::Nano, value, place, visit);
        }
    }
}

fn visit_value(of: &SchemaType, precision: Precision, value: &mut Value, place: String, visit: &mut Visit<'_>) {
    match (of, value) {
        (SchemaType::Quantity, value) => {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return,
            };
            let mut quantity = Quantity(text);
            visit(place, precision, &mut quantity);
            *value = quantity.0.into();
        }
        (SchemaType::Object(name), Value::Object(fields)) => {
            if let Some(schema) = Schema::named(name) {
                visit_fields(schema, fields, &place, visit);
            }
        }
        (SchemaType::List(of), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit_value(of, precision, item, format!("{place}[{index}]"), visit);
            }
        }
        // Only lists of resources are rounded to thousandths.
        (SchemaType::Map(of), Value::Object(entries)) => {
            for (key, entry) in entries {
                visit_value(of, Precision::Milli, entry, format!("{place}[{key}]"), visit);
            }
        }
        _ => {}
    }
}

fn visit_map(map: Option<&mut BTreeMap<String, Quantity>>, field: &str, visit: &mut Visit<'_>) {
    for (name, quantity) in map.into_iter().flatten() {
        visit(format!("{field}[{name}]"), Precision::Milli, quantity);
    }
}

fn visit_requirements(resources: Option<&mut ResourceRequirements>, field: &str, visit: &mut Visit<'_>) {
    if let Some(resources) = resources {
        visit_map(resources.limits.as_mut(), &format!("{field}.limits"), visit);
        visit_map(resources.requests.as_mut(), &format!("{field}.requests"), visit);
    }
}

fn visit_claim(spec: Option<&mut PersistentVolumeClaimSpec>, field: &str, visit: &mut Visit<'_>) {
    if let Some(resources) = spec.and_then(|spec| spec.resources.as_mut()) {
        visit_map(resources.limits.as_mut(), &format!("{field}.resources.limits"), visit);
        visit_map(resources.requests.as_mut(), &format!("{field}.resources.requests"), visit);
    }
}

fn visit_pod(spec: Option<&mut PodSpec>, field: &str, visit: &mut Visit<'_>) {
    let Some(spec) = spec else { return };
    for (list, containers) in [
        ("containers", spec.containers.as_mut_slice()),
        ("initContainers", spec.init_containers.as_deref_mut().unwrap_or_default()),
    ] {
        for (index, container) in containers.iter_mut().enumerate() {
            visit_container(container, &format!("{field}.{list}[{index}]"), visit);
        }
    }
    visit_requirements(spec.resources.as_mut(), &format!("{field}.resources"), visit);
    visit_map(spec.overhead.as_mut(), &format!("{field}.overhead"), visit);
    for (index, volume) in spec.volumes.iter_mut().flatten().enumerate() {
        visit_volume(volume, &format!("{field}.volumes[{index}]"), visit);
    }
}

fn visit_container(container: &mut Container, field: &str, visit: &mut Visit<'_>) {
    visit_requirements(container.resources.as_mut(), &format!("{field}.resources"), visit);
    for (index, variable) in container.env.iter_mut().flatten().enumerate() {
        let source = variable.value_from.as_mut().and_then(|source| source.resource_field_ref.as_mut());
        visit_divisor(source, || format!("{field}.env[{index}].valueFrom"), visit);
    }
}

fn visit_volume(volume: &mut Volume, field: &str, visit: &mut Visit<'_>) {
    if let Some(limit) = volume.empty_dir.as_mut().and_then(|empty| empty.size_limit.as_mut()) {
        visit(format!("{field}.emptyDir.sizeLimit"), Precision::Nano, limit);
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|all| all.volume_claim_template.as_mut()) {
        visit_claim(Some(&mut template.spec), &format!("{field}.ephemeral.volumeClaimTemplate.spec"), visit);
    }
    let files = volume.downward_api.as_mut().and_then(|source| source.items.as_mut());
    visit_files(files, || format!("{field}.downwardAPI"), visit);
    let sources = volume.projected.as_mut().and_then(|projected| projected.sources.as_mut());
    for (index, source) in sources.into_iter().flatten().enumerate() {
        let files = source.downward_api.as_mut().and_then(|source| source.items.as_mut());
        visit_files(files, || format!("{field}.projected.sources[{index}].downwardAPI"), visit);
    }
}

fn visit_files(files: Option<&mut Vec<DownwardAPIVolumeFile>>, field: impl Fn() -> String, visit: &mut Visit<'_>) {
    for (index, file) in files.into_iter().flatten().enumerate() {
        visit_divisor(file.resource_field_ref.as_mut(), || format!("{}.items[{index}]", field()), visit);
    }
}

fn visit_divisor(source: Option<&mut ResourceFieldSelector>, field: impl Fn() -> String, visit: &mut Visit<'_>) {
    if let Some(source) = source {
        // Go has no absent quantity here: without a divisor a zero is stored.
        let divisor = source.divisor.get_or_insert_with(|| Quantity("0".to_owned()));
        visit(format!("{}.resourceFieldRef.divisor", field()), Precision::Nano, divisor);
    }
}
