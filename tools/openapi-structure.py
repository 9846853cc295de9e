#!/usr/bin/env python3
"""Writes structure.txt: the fields of the served kinds, from the sources of the k8s-openapi crate that is built with.

    python3 tools/openapi-structure.py            writes it
    python3 tools/openapi-structure.py --check    tells whether it is up to date, by its exit code

The crate's types are generated from upstream's own description; its `schemars` text gives the names, types and which
fields are required, its merge functions give the types of lists. Descriptions are left out. `object::schema` reads it:

    definition [atomic]
      field[!] type [how it is merged]

`!` marks a required field. A type is a definition, a format, `[element]` or `{value}`. `atomic` is one value to
server-side apply, `set` and `map=KEYS` its types of lists, `granular` an object that is not atomic though its definition
is; `merge[=KEY]` merges a list in a strategic merge patch, where `retain` allows for `$retainKeys`, and `replaced`
replaces an object.
"""
import difflib
import glob
import json
import os
import re
import subprocess
import sys

# Kinds that no object is of, and versions of kinds that are served and not stored.
ROOTS = [
    "api.authentication.v1.SelfSubjectReview",
    "api.authentication.v1.TokenReview",
    "api.authorization.v1.LocalSubjectAccessReview",
    "api.authorization.v1.SelfSubjectAccessReview",
    "api.authorization.v1.SelfSubjectRulesReview",
    "api.authorization.v1.SubjectAccessReview",
    "api.autoscaling.v1.HorizontalPodAutoscaler",
    "api.autoscaling.v1.Scale",
    "api.core.v1.Binding",
    "api.core.v1.ComponentStatus",
    "api.events.v1.Event",
    "apimachinery.pkg.apis.meta.v1.Status",
]
# Types that are not made of fields.
LEAVES = {
    "apimachinery.pkg.api.resource.Quantity": "quantity",
    "apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "apimachinery.pkg.apis.meta.v1.Time": "date-time",
    "apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "apimachinery.pkg.runtime.RawExtension": "any",
    "apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON": "free",
    "apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "free",
    "apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "free",
    "apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "free",
}

# What the crate's merge functions do not say, from upstream's types.go: keys of more than one field (there, the crate
# has the key of strategic merge patches), lists that only server-side apply merges, and objects that are one value.
LISTS = {
    "Container.ports": "containerPort,protocol",
    "EphemeralContainer.ports": "containerPort,protocol",
    "PodSpec.topologySpreadConstraints": "topologyKey,whenUnsatisfiable",
    "ServiceSpec.ports": "port,protocol",
}
GRANULAR = {"PersistentVolumeSpec.claimRef"}
NOT_PATCHED = {"ResourceRequirements.claims", "ResourceStatus.resources"}
RETAIN = {"PodSpec.volumes", "PodSpec.resourceClaims", "PodStatus.resourceClaimStatuses"}
ATOMIC = set("""
StatefulSetSpec.volumeClaimTemplates
ConfigMapKeySelector FileKeySelector LabelSelector LocalObjectReference NodeSelector NodeSelectorTerm ObjectFieldSelector
ObjectReference OwnerReference ResourceFieldSelector SecretKeySelector SecretReference TypedLocalObjectReference
TopologySelectorTerm EndpointAddress EndpointPort
""".split())


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def served():
    """The definitions of the kinds in `kinds!`, in the packages that they are imported from."""
    [text] = [text for text in map(read, glob.glob("src/**/object/kind.rs", recursive=True)) if "\nkinds! {" in text]
    kinds = re.findall(r"^ +(\w+) \{", re.search(r"^kinds! \{(.*?)^\}\n\n", text, re.S | re.M)[1], re.M)
    package = {
        name: f"{group}.{version}"
        for group, version, names in re.findall(r"(\w+)::(v\d\w*)::(\{[^}]*\}|\w+)", text)
        for name in re.findall(r"\w+", names)
    }
    repository = {"apiextensions": "apiextensions_apiserver.pkg.apis", "apiregistration": "kube_aggregator.pkg.apis"}
    return [f"{repository.get(package[kind].split('.')[0], 'api')}.{package[kind]}.{kind}" for kind in kinds]


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def source(crate, definition):
    *folders, name = definition.split(".")
    return open(os.path.join(crate, "src", VERSION, *folders, snake(name) + ".rs"), encoding="utf-8").read()


def schema(text):
    body = re.search(r"fn json_schema\(.*?json_schema!\((\{.*?\n        \})\)\n", text, re.S).group(1)
    body = re.sub(r'"description": "(?:[^"\\]|\\.)*",', "", body)
    body = re.sub(r"\(\{\s*let mut schema_obj = (__gen\.subschema_for::<[^(]*>\(\));.*?schema_obj\s*\}\)", r"(\1)", body, flags=re.S)
    body = re.sub(r"\(?__gen\.subschema_for::<crate::([\w:]+)>\(\)\)?", lambda m: '{"ref": "%s"}' % m[1].replace("::", "."), body)
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", body))


def typed(node, wanted):
    if "ref" in node:
        if node["ref"] in LEAVES:
            return LEAVES[node["ref"]]
        wanted.append(node["ref"])
        return node["ref"]
    if node.get("type") == "array":
        return "[%s]" % typed(node["items"], wanted)
    if node.get("type") == "object" and "additionalProperties" in node:
        return "{%s}" % typed(node["additionalProperties"], wanted)
    return node.get("format") or node.get("type") or "any"


def lists(text, names):
    """JSON name to the type of a list (or `atomic` of a map or object) and its keys."""
    found = {}
    for kind, how, field, keys in re.findall(
            r"merge_strategies::(list|map)::(\w+)\(\s*&mut self\.(\w+),\s*other\.\w+(.*?)\n        (?=crate|}|\))", text, re.S):
        found[names[field]] = (kind, how, re.findall(r"lhs\.(\w+) == rhs", keys))
    return found


def merging(definition, field, how):
    """What stands behind a field's type: how lists and maps are merged."""
    short = definition.split(".")[-1] + "." + field
    if short in ATOMIC or how and how[:2] == ("map", "atomic"):
        return " atomic"
    if short in GRANULAR:
        return " granular"
    keys = how and how[0] == "list" and how[1] == "map" and [camel(key) for key in how[2]]
    text = ""
    if how and how[1] == "set":
        text = " set"
    if short in LISTS:
        text = " map=" + LISTS[short]
    elif keys:
        text = " map=" + ",".join(keys)
    if short == "PodStatus.hostIPs":
        text = ""
    # A strategic merge patch knows one key.
    if keys and len(keys) == 1 and short not in NOT_PATCHED:
        text += " merge=" + ",".join(keys)
    if short in RETAIN:
        text += " retain"
    if short == "ObjectMeta.finalizers":
        text += " merge"
    if short == "PodDisruptionBudgetSpec.selector":
        text += " replaced"
    return text


def camel(name):
    return {"resource_id": "resourceID", "share_id": "shareID"}.get(name) or re.sub(r"_([a-z])", lambda m: m[1].upper(), name.rstrip("_"))


def origin():
    """The folder of the crate's sources and the version of Kubernetes, both as Cargo has them."""
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--locked", "--format-version", "1"]))
    package = next(package for package in metadata["packages"] if package["name"] == "k8s-openapi")
    features = next(node["features"] for node in metadata["resolve"]["nodes"] if node["id"] == package["id"])
    version = next(feature for feature in features if re.fullmatch(r"v1_\d+", feature))
    return os.path.dirname(package["manifest_path"]), version


def structures(crate):
    done, wanted = {}, served() + ROOTS
    while wanted:
        definition = wanted.pop()
        if definition in done:
            continue
        text = source(crate, definition)
        names = {rust: name for name, rust in re.findall(r'"([^"]+)" => Field::Key_(\w+),', text)}
        structure = schema(text)
        merges = lists(text, names)
        done[definition] = lines = []
        for name, node in structure.get("properties", {}).items():
            # The crate requires it; upstream's description does not.
            need = "!" if name in structure.get("required", []) and name != "metadata" else ""
            lines.append(f"  {name}{need} {typed(node, wanted)}{merging(definition, name, merges.get(name))}")
    text = []
    for definition in sorted(done):
        atomic = " atomic" if definition.split(".")[-1] in ATOMIC else ""
        text += [definition + atomic, *done[definition]]
    return "\n".join(text) + "\n"


def main():
    global VERSION
    crate, VERSION = origin()
    path = glob.glob("src/**/structure.txt", recursive=True)[0]
    written = structures(crate)
    with open(path) as file:
        before = file.read()
    if "--check" not in sys.argv:
        with open(path, "w") as file:
            file.write(written)
    elif written != before:
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), written.splitlines(True), path, "made anew"))
        sys.exit(f"{path} is not what tools/openapi-structure.py writes: run it")


main()
