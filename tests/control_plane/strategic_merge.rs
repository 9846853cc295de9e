//! Strategic merge patches compared with Go's, which `kubectl patch --local` runs without a server.
//!
//! Patches are drawn at random over objects that upstream stored. What kubectl made of some hundred is kept in
//! `tests/data/strategic-merge/`; where kubectl is installed, others are drawn and compared at once. To draw the kept
//! ones anew: `FREEZE=300 cargo test --test control_plane strategic_merge::fresh`.

use fastrand::Rng;
use headless_dns::objects::{
    object::schema::{Schema, SchemaField, SchemaType},
    patch::{self, patch},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

type Object = Map<String, Value>;

/// How many fresh patches one run compares.
const FRESH: usize = 60;

fn kept() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/strategic-merge")
}

/// A set whose lists have more than one element.
const RICH: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: rich
  labels: {app: web, tier: back}
  annotations: {a: b}
  finalizers: [example.com/a, example.com/b, example.com/c]
  ownerReferences: [{apiVersion: v1, kind: A, name: a, uid: u1}, {apiVersion: v1, kind: B, name: b, uid: u2}]
spec:
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: a
        image: a:1
        args: [x, y, z]
        env: [{name: A, value: a}, {name: B, value: b}, {name: C, value: c}]
        ports: [{containerPort: 80, name: http}, {containerPort: 443, protocol: UDP}]
        volumeMounts: [{mountPath: /a, name: one}, {mountPath: /b, name: two, readOnly: true}]
      - name: b
        image: b:1
        resources: {requests: {cpu: 1, memory: 1Gi}}
      - {name: c, image: 'c:1'}
      initContainers: [{name: i, image: 'i:1'}, {name: j, image: 'j:1'}]
      imagePullSecrets: [{name: s}, {name: t}]
      tolerations: [{key: k, operator: Exists}]
      hostAliases: [{ip: 10.0.0.1, hostnames: [a, b]}]
      volumes: [{name: one, emptyDir: {}}, {name: two, hostPath: {path: /}}, {name: three, configMap: {name: c}}]
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

/// Objects by a name: what upstream stored, and some with more in them.
fn bases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/upstream/defaults");
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    // What the controllers made is shortened there, and no YAML.
    let read = |path: &Path| serde_yaml::from_str(&fs::read_to_string(path).unwrap()).ok();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut bases: Vec<_> = found.iter().filter_map(|path| Some((name(path), read(path)?))).collect();
    bases.retain(|(_, base): &(String, Value)| base["kind"].as_str().and_then(Schema::of).is_some());
    // kubectl has no Go type of it, and so refuses to merge.
    bases.retain(|(name, _)| name != "crd");
    let rich: Value = serde_yaml::from_str(RICH).unwrap();
    let mut pod = rich["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"] = rich["metadata"].clone();
    for number in 0..4 {
        bases.push((format!("rich-statefulset-{number}"), rich.clone()));
        bases.push((format!("rich-pod-{number}"), pod.clone()));
    }
    bases
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

#[test]
fn kept_patches_give_what_they_gave_upstream() {
    let mut count = 0;
    for entry in fs::read_dir(kept()).unwrap() {
        let path = entry.unwrap().path();
        let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            compare(&file["base"], &case["patch"], &case["gives"], &path.to_string_lossy());
            count += 1;
        }
    }
    assert!(count >= 250, "only {count} cases");
}

/// `Null` is what kubectl refused.
fn compare(base: &Value, changes: &Value, expected: &Value, origin: &str) {
    let ours = patch(patch::PatchType::Strategic, kind(base), base, changes);
    let ours = ours.unwrap_or_else(|error| {
        assert!(expected.is_null(), "{origin}: {error}\n{changes}");
        Value::Null
    });
    assert!(ours == *expected, "{origin}\n{changes}\nours: {ours}\nGo's: {expected}");
}

#[test]
fn fresh_patches_give_what_kubectl_makes_of_them() {
    if !crate::support::have(&["kubectl"]) {
        return;
    }
    let freeze: Option<usize> = std::env::var("FREEZE").ok().and_then(|count| count.parse().ok());
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut draw = Draw { rng: Rng::with_seed(seed), fresh: 0 };
    let bases = bases();
    let folder = tempfile::tempdir().unwrap();
    let mut cases: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for number in 0..freeze.unwrap_or(FRESH) {
        let (name, base) = &bases[number % bases.len()];
        let changes = draw.patch(base);
        let expected = kubectl(folder.path(), base, &changes);
        if freeze.is_none() {
            compare(base, &changes, &expected, &format!("SEED={seed} {name}"));
        }
        cases.entry(name).or_default().push(json!({ "patch": changes, "gives": expected }));
    }
    if freeze.is_some() {
        for (name, base) in &bases {
            let text = json!({ "base": base, "cases": cases[name.as_str()] }).to_string();
            fs::write(kept().join(format!("{name}.json")), text + "\n").unwrap();
        }
    }
}

fn kubectl(folder: &Path, base: &Value, changes: &Value) -> Value {
    let file = folder.join("base.json");
    fs::write(&file, base.to_string()).unwrap();
    let output = Command::new("kubectl")
        .env("KUBECACHEDIR", folder.join("cache"))
        .env("KUBECONFIG", folder.join("none"))
        .args(["patch", "--local", "--type=strategic", "-o", "json", "-f"])
        .arg(&file)
        .args(["-p", &changes.to_string()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // Go panics where we need not.
    assert!(!errors.contains("panic:"), "{changes}\n{errors}");
    if output.status.success() { serde_json::from_slice(&output.stdout).unwrap() } else { Value::Null }
}

/// Draws patches.
struct Draw {
    rng: Rng,
    fresh: u32,
}

impl Draw {
    fn one_in(&mut self, count: usize) -> bool {
        self.rng.usize(..count) == 0
    }

    fn patch(&mut self, base: &Value) -> Value {
        loop {
            let mut patch = self.changes(base.as_object().unwrap(), Schema::of(kind(base)).unwrap(), 0);
            for fixed in ["apiVersion", "kind"] {
                patch.remove(fixed);
            }
            match patch.get_mut("metadata") {
                Some(Value::Object(metadata)) => {
                    for fixed in ["name", "namespace", "$patch", "managedFields"] {
                        metadata.remove(fixed);
                    }
                }
                Some(_) => {
                    patch.remove("metadata");
                }
                None => {}
            }
            if !patch.is_empty() {
                return Value::Object(patch);
            }
        }
    }

    /// A patch of an object.
    fn changes(&mut self, live: &Object, schema: &'static Schema, depth: usize) -> Object {
        let mut patch = Object::new();
        for field in &schema.fields {
            match live.get(field.name) {
                // The way down is taken more often than not, or few patches would reach the containers.
                Some(value) if matches!(field.name, "spec" | "template" | "metadata") || self.one_in(3) => {
                    self.change(&mut patch, value, field, depth);
                }
                None if self.one_in(schema.fields.len().max(6)) => {
                    patch.insert(field.name.to_owned(), self.value(&field.of, depth));
                }
                _ => {}
            }
        }
        patch
    }

    fn change(&mut self, patch: &mut Object, live: &Value, field: &'static SchemaField, depth: usize) {
        let name = field.name.to_owned();
        if depth > 0 && self.one_in(12) {
            patch.insert(name, Value::Null);
            return;
        }
        let changed = match (live, &field.of) {
            (Value::Object(live), SchemaType::Object(inner)) => {
                let mut inner = self.changes(live, Schema::named(inner).unwrap(), depth + 1);
                if depth > 1 && self.one_in(20) {
                    let directive = if self.one_in(2) { "replace" } else { "delete" };
                    inner.insert("$patch".to_owned(), json!(directive));
                }
                Value::Object(inner)
            }
            (Value::Object(live), SchemaType::Map(of)) => {
                let mut inner = Object::new();
                for (name, _) in live {
                    if self.one_in(2) {
                        let value = if self.one_in(3) { Value::Null } else { self.value(of, depth + 1) };
                        inner.insert(name.clone(), value);
                    }
                }
                inner.insert(self.text(), self.value(of, depth + 1));
                Value::Object(inner)
            }
            (Value::Array(live), SchemaType::List(of)) if field.patch.merges => {
                let (list, order) = match field.patch.key {
                    Some(key) => self.elements(live, of, key, depth, field.patch.retains_keys),
                    None => self.scalars(patch, &name, live, of),
                };
                if let Some(order) = order {
                    patch.insert(format!("$setElementOrder/{name}"), Value::Array(order));
                }
                if list.is_empty() && self.one_in(2) {
                    return;
                }
                Value::Array(list)
            }
            _ => self.value(&field.of, depth),
        };
        patch.insert(name, changed);
    }

    /// Changes to a list that is merged by a key, and their order.
    fn elements(
        &mut self,
        live: &[Value],
        of: &SchemaType,
        key: &str,
        depth: usize,
        retains: bool,
    ) -> (Vec<Value>, Option<Vec<Value>>) {
        let schema = of.schema().unwrap();
        let (mut changed, mut deleted, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for element in live {
            let id = &element[key];
            if self.one_in(4) {
                deleted.push(json!({ key: id, "$patch": "delete" }));
                continue;
            }
            kept.push(json!({ key: id }));
            if self.one_in(2) {
                let mut patch = self.changes(element.as_object().unwrap(), schema, depth + 1);
                patch.insert(key.to_owned(), id.clone());
                if retains && self.one_in(2) {
                    let keys: Vec<Value> = patch.keys().map(|name| json!(name)).collect();
                    patch.insert("$retainKeys".to_owned(), Value::Array(keys));
                }
                changed.push(Value::Object(patch));
            }
        }
        for _ in 0..self.rng.usize(..3) {
            let element = self.value(of, depth + 1);
            kept.push(json!({ key: element[key] }));
            changed.push(element);
        }
        self.rng.shuffle(&mut kept);
        self.rng.shuffle(&mut changed);
        let order = self.one_in(2).then(|| kept.clone());
        if order.is_some() {
            changed.sort_by_key(|element| kept.iter().position(|other| other[key] == element[key]));
        }
        if order.is_none() && self.one_in(12) {
            changed.push(json!({ "$patch": "replace" }));
        }
        changed.splice(0..0, deleted);
        if order.is_none() {
            self.rng.shuffle(&mut changed);
        }
        (changed, order)
    }

    /// Changes to a list of scalars that is merged, and their order.
    fn scalars(
        &mut self,
        patch: &mut Object,
        name: &str,
        live: &[Value],
        of: &SchemaType,
    ) -> (Vec<Value>, Option<Vec<Value>>) {
        let (deleted, mut kept): (Vec<Value>, Vec<Value>) = live.iter().cloned().partition(|_| self.one_in(3));
        let added: Vec<Value> = (0..self.rng.usize(..3)).map(|_| self.value(of, 9)).collect();
        if !deleted.is_empty() {
            patch.insert(format!("$deleteFromPrimitiveList/{name}"), Value::Array(deleted));
        }
        kept.extend(added.iter().cloned());
        let order = self.one_in(2).then_some(kept);
        (added, order)
    }

    fn text(&mut self) -> String {
        self.fresh += 1;
        format!("n{}", self.fresh)
    }

    /// Any value of a type.
    fn value(&mut self, of: &SchemaType, depth: usize) -> Value {
        match of {
            SchemaType::Any | SchemaType::Free => json!({}),
            SchemaType::Boolean => json!(self.rng.bool()),
            SchemaType::Int32 | SchemaType::Int64 => {
                self.fresh += 1;
                json!(self.fresh)
            }
            SchemaType::String => json!(self.text()),
            SchemaType::Bytes => json!(["", "YQ==", "AAEC"][self.rng.usize(..3)]),
            SchemaType::Time => json!("2026-01-02T03:04:05Z"),
            SchemaType::MicroTime => json!("2026-01-02T03:04:05.000006Z"),
            SchemaType::Quantity => json!(format!("{}Gi", self.rng.u32(1..90))),
            SchemaType::IntOrString if self.rng.bool() => json!(self.rng.u32(1..65536)),
            SchemaType::IntOrString => json!(self.text()),
            SchemaType::List(of) => (0..self.rng.usize(..3)).map(|_| self.value(of, depth + 1)).collect(),
            SchemaType::Map(of) => {
                let count = self.rng.usize(..3);
                Value::Object((0..count).map(|_| (self.text(), self.value(of, depth + 1))).collect())
            }
            SchemaType::Object(name) => {
                let schema = Schema::named(name).unwrap();
                let mut object = Object::new();
                for field in &schema.fields {
                    // Whatever a list could be merged by is there.
                    let is_key = matches!(
                        field.name,
                        "name"
                            | "containerPort"
                            | "port"
                            | "mountPath"
                            | "devicePath"
                            | "type"
                            | "ip"
                            | "uid"
                            | "topologyKey"
                    );
                    if is_key || depth < 5 && self.one_in(schema.fields.len().max(3)) {
                        object.insert(field.name.to_owned(), self.value(&field.of, depth + 1));
                    }
                }
                Value::Object(object)
            }
        }
    }
}
