//! Tests of reading and decoding together: text in, values and rendered messages out.

use super::{SourceText, UnknownFields, YamlNode, YamlValue, decode, parse, parse_strict};
use crate::text::diagnostic::{Colour, Diagnostic, Severity};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Secret, Service},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::path::Path;

fn source(text: &str) -> SourceText<'_> {
    SourceText { path: Path::new("t.yaml"), text }
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.render(Colour::Plain)).collect()
}

/// What a text gives: each document as JSON, and no diagnostic.
fn check_json(text: &str, expected: &[Json]) {
    let (nodes, diagnostics) = parse(source(text));
    assert_eq!(rendered(&diagnostics), "", "{text:?}");
    let found: Vec<Json> = nodes.iter().map(YamlNode::to_json).collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn documents() {
    check_json("", &[]);
    check_json("---\n---\n# nothing\n...\n", &[]);
    check_json(
        "a: 1\n---\nb: [2, {c: d}]\n...\nc: 1\n---\n- x\n",
        &[json!({"a": 1}), json!({"b": [2, {"c": "d"}]}), json!({"c": 1}), json!(["x"])],
    );
    check_json(
        "\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\nc: >-\r\n  p\r\n  q\r\n",
        &[json!({"a": 1, "b": "x\ny\n", "c": "p q"})],
    );
    // Scalars of every style; quoted ones are text.
    check_json(
        "[0644, 0o644, \"0644\", 'yes', !!str 12, !!int \"3\", 1.5, ~, null]",
        &[json!([420, 420, "0644", "yes", "12", 3, 1.5, null, null])],
    );
    // Keys become text as on their way through JSON.
    check_json("{1: a, 0x10: b, true: c, 1.5: d}", &[json!({"1": "a", "16": "b", "true": "c", "1.5": "d"})]);
    // Anchors, aliases, merge keys; keys of the mapping itself win, then the first merged mapping.
    check_json(
        "base: &b {x: 1, k: 2}\nmore: &m {k: 3, z: 4}\nall: {<<: [*b, *m], x: 0}\nsame: *b\n",
        &[json!({
            "base": {"x": 1, "k": 2}, "more": {"k": 3, "z": 4},
        "all": {"x": 0, "k": 2, "z": 4}, "same": {"x": 1, "k": 2}
        })],
    );
    check_json(
        "&k key: &v value\n*k : *v\n".replace("*k :", "other:").as_str(),
        &[json!({"key": "value", "other": "value"})],
    );
    check_json("\"<<\": text\n", &[json!({"<<": "text"})]);
    // JSON with tabs, escapes and surrogate pairs; a private character keeps the pair from being folded, not from being
    // text.
    check_json(
        "{\n\t\"a\": [\n\t\t1,\n\t\t-2.5e3\n\t],\n\t\"b\":\"\\/\\u00e9\\ud83d\\ude00\\\\ud83d\"\n}\n",
        &[json!({"a": [1, -2500.0], "b": "/é😀\\ud83d"})],
    );
    check_json("{\"a\": \"\u{e03d}\"}", &[json!({"a": "\u{e03d}"})]);
}

/// What a text gives beside messages that are no errors.
fn check_value(text: &str, expected: Json, messages: &[&str]) {
    let (nodes, found) = parse(source(text));
    let said: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(said, messages, "{text:?}");
    assert!(!crate::text::diagnostic::has_error(&found), "{text:?}");
    let values: Vec<Json> = nodes.iter().map(YamlNode::to_json).collect();
    assert_eq!(Json::from(values), expected, "{text:?}");
}

#[test]
fn as_kubectl_reads_it() {
    let replaced = "`<<` replaces the key `b` of line 2, as it does in a real cluster";
    let rows: &[(&str, Json, &[&str])] = &[
        ("a:\n- b: [\n  x\n  ]\n- c: {\n}\n", json!([{"a": [{"b": ["x"]}, {"c": {}}]}]), &[]),
        ("a:\n  b: \"x\n  y\"\n  c: 'x\n\n y\nz'\n", json!([{"a": {"b": "x y", "c": "x\ny z"}}]), &[]),
        ("a: &x {b: 1}\nc: {!!merge <<: *x}\n", json!([{"a": {"b": 1}, "c": {"b": 1}}]), &[]),
        ("a: &x {b: 1}\nc: {b: 2, <<: *x}\n", json!([{"a": {"b": 1}, "c": {"b": 1}}]), &[replaced]),
        (
            "a: {b: 1,\n b: 2}\n",
            json!([{"a": {"b": 2}}]),
            &["the key `b` stands twice, first in line 1; the last one counts"],
        ),
        (
            "y: off\n",
            json!([{"true": false}]),
            &["the key `y` is the boolean true to a real cluster, and so is `true` here"],
        ),
        ("a: !foo 1\n", json!([{"a": "1"}]), &["the tag !foo has no meaning here and is ignored"]),
        ("a: !!binary aGk=\nb: !!float 3\n", json!([{"a": "hi", "b": 3.0}]), &[]),
        ("a: x\u{85}  y\u{2028}  z\n", json!([{"a": "x y\u{2028}z"}]), &[]),
        ("a: x\u{feff}\n", json!([{"a": "x\u{feff}"}]), &["a byte order mark, which nobody sees, stands in this text"]),
        ("\u{feff}a: 1\n\u{feff}---\n\u{feff}b: 1\n", json!([{"a": 1}, {"b": 1}]), &[]),
        ("a: 1\u{85}---\u{85}b: 1\u{85}", json!([{"a": 1}, {"b": 1}]), &[]),
        ("{\"a\":1}{\"b\":2}\n [3]\t{\n\"c\"\n:\"\\ud800\"}", json!([{"a": 1}, {"b": 2}, [3], {"c": "\u{fffd}"}]), &[]),
        ("--- {a: 1}\n", json!([{"a": 1}]), &["kubectl refuses what follows `---` in its line"]),
        ("%YAML 1.2\n---\na: 1\n", json!([{"a": 1}]), &["kubectl refuses a file with directives such as this one"]),
        (
            "%TAG !e! tag:yaml.org,2002:\n---\na: !e!str 1\n",
            json!([{"a": "1"}]),
            &["kubectl refuses a file with directives such as this one"],
        ),
        ("a: |\n  x", json!([{"a": "x\n"}]), &[]),
    ];
    for (text, expected, messages) in rows {
        check_value(text, expected.clone(), messages);
    }
}

#[test]
fn nothing_is_passed_over() {
    let rows = [
        ("{a: 1} b\n", "this comes after the end of the document"),
        ("# c\n{a: 1}\n{b: 2}\n", "a second document begins here"),
        ("\"a\" b\n", "text follows the closing quote"),
        ("- a\n]\n", "this line is neither `key: value` nor a list item, or its indentation is wrong"),
        ("a: 1\n\u{feff}b: 2\n", "a byte order mark stands within a document"),
        ("a: b\u{1}\n", "a control character cannot stand in YAML"),
        ("a: \"\\/\"\n", "this escape is unknown"),
        ("a: 1\n\t\nb: 2\n", "a tab is used for indentation"),
        ("%FOO\n---\na: 1\n", "a line that begins with `%` is a directive, and this one is unknown"),
        ("a: | b\n  c\n", "only a digit, `+` or `-` can follow `|` and `>`"),
        ("a: !<b\n", "this tag cannot be read"),
        ("a: &\n", "a name is missing after `&` or `*`"),
        ("a: [1, 2\n", "this `[` is never closed"),
        ("a: }\n", "this `}` closes or separates nothing"),
        ("a: &x [{<<: *x}]\n", "this alias stands inside of what it names"),
        ("a: &x [1]\nb: {<<: *x}\n", "`<<` takes a mapping or a list of mappings"),
    ];
    for (text, expected) in rows {
        let (_, found) = parse(source(text));
        let errors: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(errors, [expected], "{text:?}");
        assert!(crate::text::diagnostic::has_error(&found) && found[0].place.line > 0, "{text:?}");
    }
}

#[test]
fn settings_have_each_key_once() {
    let (nodes, found) = parse_strict(source("a: {b: 1, b: 2}\nc: 1\n"));
    assert!(nodes.is_empty());
    assert_eq!(
        found[0].to_string(),
        "t.yaml:1:11: the key `b` stands twice; the first is in line 1 (remove one, or join what stands below them)"
    );
}

#[test]
fn booleans_of_old() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Both {
        text: String,
        meant: bool,
        any: Json,
    }
    let both = check_decode::<Both>(
        "text: yes\nmeant: Off\nany: [on]\n",
        UnknownFields::Deny,
        &[
            "t.yaml:1:7: text: `yes` is taken as text here, but a real cluster reads it as the boolean true (write \"yes\" \
             for the text, true for the boolean)",
            "t.yaml:2:8: meant: `Off` is read as false, as a real cluster does; other readers take it as text (write false, \
             or \"Off\" for the text)",
            "t.yaml:3:7: any[0]: `on` is read as true, as a real cluster does; other readers take it as text (write true, or \
             \"on\" for the text)",
        ],
    );
    assert_eq!(both, Some(Both { text: "yes".to_string(), meant: false, any: json!([true]) }));
}

#[test]
fn places() {
    let text = "a: bé\nlist:\n  - {x: 1,\n     z: 2}\n  - \"é\": &n  q\nnothing:\n# c\n---\n\nlast: |\n  text\n";
    let (nodes, _) = parse(source(text));
    let place = |path: &str, index: usize| {
        let node = super::find(&nodes[index], path).unwrap();
        (node.place.line, node.place.column, node.width)
    };
    assert_eq!(place("", 0), (1, 1, 5));
    assert_eq!(place("a", 0), (1, 4, 2));
    assert_eq!(place("list", 0), (3, 3, 1 + 8 - 1));
    assert_eq!(place("list[0]", 0), (3, 5, 6));
    assert_eq!(place("list[0].z", 0), (4, 9, 1));
    assert_eq!(place("list[1].é", 0), (5, 10, 5));
    assert_eq!(place("nothing", 0), (6, 1, 7));
    assert_eq!(place("last", 1), (10, 7, 1));
}

/// What is said about a text that is wrong, and how many documents are left.
fn check_message(text: &str, documents: usize, expected: &str) {
    let (nodes, diagnostics) = parse(source(text));
    assert_eq!((rendered(&diagnostics).as_str(), nodes.len()), (expected, documents), "{text:?}");
}

#[test]
fn messages() {
    let tab = "a tab is used for indentation";
    check_message(
        "a:\n\tb: c\n",
        0,
        &format!("error: t.yaml:2:1: {tab}\n2 | \tb: c\n  | ^\n  help: indent with spaces\n"),
    );
    check_message(
        "a:\n  b: 1\n\tc: 2\n",
        0,
        &format!("error: t.yaml:3:1: {tab}\n3 | \tc: 2\n  | ^\n  help: indent with spaces\n"),
    );
    check_message(
        "a: b: c\n",
        0,
        "error: t.yaml:1:5: a second `: ` in one line\n1 | a: b: c\n  |     ^\n  help: quote the value if the `: ` \
         belongs to it\n",
    );
    check_message(
        "a:\n  b: 1\n c: 2 # why\n",
        0,
        "error: t.yaml:3:2: the indentation of this line fits none of the lines above\n3 |  c: 2 # why\n  |  ^^^^\n  \
         help: indent it as the lines it belongs with\n",
    );
    check_message(
        "a:\n  b: 1\n    c: 2\n",
        0,
        "error: t.yaml:3:5: this line is indented deeper than line 2, which already has a value\n3 |     c: 2\n  |     \
         ^^^^\n  \
         help: indent it as the lines it belongs with\n",
    );
    check_message(
        "kind: X\nspec:\nreplicas\nother: 1\n",
        0,
        "error: t.yaml:3:1: this line has no `:`\n3 | replicas\n  | ^^^^^^^^\n  \
         help: write `key: value`, or `- ` in front of an item of a list\n",
    );
    check_message(
        "a:b\nc: d\n",
        0,
        "error: t.yaml:1:1: a space is missing after the `:`\n1 | a:b\n  | ^^^\n  help: write `key: value`\n",
    );
    check_message(
        "- a\nb: c\n",
        0,
        "error: t.yaml:2:1: the indentation of this line fits none of the lines above\n2 | b: c\n  | ^^^^\n  \
         help: indent it as the lines it belongs with\n",
    );
    check_message(
        "spec:\n  x: 1\n metadata\n",
        0,
        "error: t.yaml:3:2: this line is neither `key: value` nor a list item, or its indentation is wrong\n3 |  \
         metadata\n  |  \
         ^^^^^^^^\n  help: write `key: value`, or indent it as the text above\n",
    );
    check_message(
        "a: \"open\nb: 2\n---\nc: 3\n",
        1,
        "error: t.yaml:1:4: the quoted text that begins here is never closed by `\"`\n1 | a: \"open\n  |    ^^^^^\n  \
         help: close it\n",
    );
    check_message(
        "a: 'it's'\n",
        0,
        "error: t.yaml:1:8: text follows the closing quote\n1 | a: 'it's'\n  |        ^\n  \
         help: write '' for a single quote inside of single quotes, or use double quotes\n",
    );
    check_message(
        "a: \"\\n \\q\"\n",
        0,
        "error: t.yaml:1:8: this escape is unknown\n1 | a: \"\\n \\q\"\n  |        ^^\n  \
         help: write \\\\ for a backslash, or use single quotes, in which a backslash is itself\n",
    );
    check_message(
        "ok: 1\n---\na: [1, 2\nb: 3\n---\nc: 3\n",
        2,
        "error: t.yaml:3:4: this `[` is not closed; line 4 cannot go on inside of it\n3 | a: [1, 2\n  |    ^\n  \
         help: add the missing `,` or `]`\n",
    );
    check_message(
        "a: {x: 1\n",
        0,
        "error: t.yaml:1:4: this `{` is never closed\n1 | a: {x: 1\n  |    ^\n  \
         help: add the missing `,` or `}`\n",
    );
    check_message(
        "é: 1\r\na: &x [1,\r\nb: 2\r\n",
        0,
        "error: t.yaml:2:7: this `[` is never closed\n2 | a: &x [1,\n  |       ^\n  \
         help: add the missing `,` or `]`\n",
    );
    check_message(
        "a: *nope\n",
        0,
        "error: t.yaml:1:4: no `&nope` stands above this alias\n1 | a: *nope\n  |    ^^^^^\n  \
         help: define the anchor before, in the same document; quote text that begins with `*`\n",
    );
    check_message(
        "a: &x [*x]\n",
        0,
        "error: t.yaml:1:8: this alias stands inside of what it names\n1 | a: &x [*x]\n  |        ^^\n  \
         help: write the value out, or move the anchor\n",
    );
    check_message(
        "image: @web\n",
        0,
        "error: t.yaml:1:8: a value cannot begin with `@`\n1 | image: @web\n  |        ^\n  help: put the whole value \
         in quotes\n",
    );
    check_message(
        "a: {{ .Values.x }}\n",
        0,
        "error: t.yaml:1:5: a list or mapping cannot be a key\n1 | a: {{ .Values.x }}\n  |     ^^^^^^^^^^^^^\n  \
         help: `{{` looks like a template that was not rendered; render it first, or quote it\n",
    );
    check_message(
        "a: - b\n",
        0,
        "error: t.yaml:1:4: a list cannot begin after a key on the same line\n1 | a: - b\n  |    ^\n  \
         help: put each `- ` in a line of its own below the key\n",
    );
    check_message(
        "a: 1\nb: 2\na: 3\nb: 4\n---\nc: 1\n",
        2,
        "warning: t.yaml:3:1: the key `a` stands twice, first in line 1; the last one counts\n3 | a: 3\n  | ^\n  \
         help: remove one, or join what stands below them\n\
         warning: t.yaml:4:1: the key `b` stands twice, first in line 2; the last one counts\n4 | b: 4\n  | ^\n  \
         help: remove one, or join what stands below them\n",
    );
    check_message(
        "a: 1\n---\nb: \0\n",
        1,
        "error: t.yaml:3:4: a NUL character cannot stand in YAML\n3 | b: \\u{0}\n  |    ^^^^^\n  \
         help: remove it; the file may be binary, or UTF-16 without byte order mark\n",
    );
    check_message(
        "a: {<<: 1}\n",
        0,
        "error: t.yaml:1:9: `<<` takes a mapping or a list of mappings\n1 | a: {<<: 1}\n  |         ^\n  \
         help: name the anchor of a mapping: `<<: *anchor`\n",
    );
    check_message(
        "a: !!int x\n",
        0,
        "error: t.yaml:1:4: `x` is not what its tag !!int says\n1 | a: !!int x\n  |    ^^^^^^^\n  help: remove the \
         tag\n",
    );
}

#[test]
fn warnings_leave_the_document() {
    check_message(
        "port: 08\n",
        1,
        "warning: t.yaml:1:7: `08` begins with 0 like an octal number but is none; it is read as 8\n1 | port: 08\n  \
         |       ^^\n  help: write 8 for the number, \"08\" for the text\n",
    );
    check_message(
        "a:\n- 1\n - 2\n",
        1,
        "warning: t.yaml:3:2: this `-` begins no list item; it continues the text in the line above\n3 |  - 2\n  |  \
         ^^^\n  \
         help: indent it as the other items of the list, or quote the text\n",
    );
    check_message(
        "a: !Ref b\n",
        1,
        "warning: t.yaml:1:4: the tag !Ref has no meaning here and is ignored\n1 | a: !Ref b\n  |    ^^^^\n  help: \
         remove it\n",
    );
}

#[test]
fn limits() {
    let only_message = |text: &str| {
        let (nodes, diagnostics) = parse(source(text));
        assert!(nodes.is_empty());
        diagnostics.last().unwrap().message.clone()
    };
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    assert_eq!(only_message(&deep), "lists and mappings are nested more than 100 deep");
    assert_eq!(parse(source(&deep[1..201])).0.len(), 1);
    // Each line of the usual bomb multiplies by ten; 10^8 values must never be made.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    assert_eq!(only_message(&bomb), "the aliases of this document stand for more than 32 MiB");
    // Nesting by aliases counts as nesting.
    let mut chain = String::from("a0: &a0 [x]\n");
    for level in 1..120 {
        chain += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert_eq!(only_message(&chain), "lists and mappings are nested more than 100 deep");
    let many: String = (0..150).map(|n| format!("---\na: [{n}\n")).collect();
    assert_eq!(only_message(&many), "50 more errors in this file are not shown");
}

/// What decoding says, all messages in order; empty if it succeeds without any.
fn check_decode<T: serde::de::DeserializeOwned>(text: &str, unknown: UnknownFields, expected: &[&str]) -> Option<T> {
    let (nodes, diagnostics) = parse(source(text));
    assert_eq!(rendered(&diagnostics), "", "{text}");
    let (value, found) = match decode::<T>(source(text), &nodes[0], unknown) {
        Ok((value, found)) => (Some(value), found),
        Err(found) => (None, found),
    };
    let has_error = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(has_error, value.is_none(), "an error there is exactly if there is no value");
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected, "{text}");
    value
}

#[test]
fn kubernetes_objects_decode_as_serde_json_does() {
    let directory = Path::new("src/text/yaml/testdata");
    let text = std::fs::read_to_string(directory.join("web.yaml")).unwrap();
    let set: StatefulSet = check_decode(&text, UnknownFields::Deny, &[]).unwrap();
    let (nodes, _) = parse(source(&text));
    assert_eq!(set, serde_json::from_value(nodes[0].to_json()).unwrap());
    assert_eq!(set.metadata.annotations.unwrap()["empty"], "");
}

#[test]
fn lenient_as_an_api_server() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  annotations: {a: }\nspec:\n  ports:\n  - port: 80\n    \
     targetPort: http\n  \
                - port: 1e3\n    targetPort: 81\n";
    let service: Service = check_decode(text, UnknownFields::Warn, &[]).unwrap();
    let spec = service.spec.unwrap();
    assert_eq!(spec.ports.unwrap()[1].port, 1000);
    assert_eq!(service.metadata.annotations.unwrap()["a"], "");
    let secret: Secret = check_decode("data: {k: aGk=}\n", UnknownFields::Warn, &[]).unwrap();
    assert_eq!(secret.data.unwrap()["k"].0, b"hi");
}

#[test]
fn every_fault_is_told_with_its_place() {
    check_decode::<StatefulSet>(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadat: {}\nspec:\n  replicas: three\n  serviceNam: x\n  \
         template:\n    spec:\n      \
         containers:\n      - name: 5\n        image: a\n        imag: b\n        ports: {containerPort: 1}\n      - \
         text\n      - name: c\n        \
         ports:\n        - containerPort: 3000000000\n        - containerPort: \"80\"\n",
        UnknownFields::Warn,
        &[
            "t.yaml:3:1: metadat: unknown field `metadat`; it is ignored (did you mean `metadata`?)",
            "t.yaml:5:13: spec.replicas: expected a whole number, found text \"three\"",
            "t.yaml:6:3: spec.serviceNam: unknown field `serviceNam`; it is ignored (did you mean `serviceName`?)",
            "t.yaml:10:15: spec.template.spec.containers[0].name: expected text, found the number 5 (put it in quotes)",
            "t.yaml:12:9: spec.template.spec.containers[0].imag: unknown field `imag`; it is ignored (did you mean \
             `image`?)",
            "t.yaml:13:16: spec.template.spec.containers[0].ports: expected a list, found a mapping (put `- ` in front \
             of each item)",
            "t.yaml:14:9: spec.template.spec.containers[1]: expected a mapping, found text \"text\"",
            "t.yaml:17:26: spec.template.spec.containers[2].ports[0].containerPort: 3000000000 is out of range \
             (a whole number from -2147483648 to 2147483647 is due here)",
            "t.yaml:18:26: spec.template.spec.containers[2].ports[1].containerPort: expected a whole number, found \
             text \"80\" \
             (write 80 without quotes)",
        ],
    );
    check_decode::<Service>(
        "spec:\n  Ports: []\n  zzz: 1\n",
        UnknownFields::Deny,
        &[
            "t.yaml:2:3: spec.Ports: unknown field `Ports` (did you mean `ports`?)",
            "t.yaml:3:3: spec.zzz: unknown field `zzz`",
        ],
    );
    check_decode::<Service>(
        "metadata:\n  creationTimestamp: noon\n  labels: {a.b/c: 1, d: true}\nspec:\n  publishNotReadyAddresses: \
         \"yes\"\n  ports:\n  \
         - port: 1\n    targetPort: [1]\n",
        UnknownFields::Warn,
        &[
            "t.yaml:2:22: metadata.creationTimestamp: expected a time such as \"2026-01-02T15:04:05Z\", found text \
             \"noon\"",
            "t.yaml:3:19: metadata.labels[a.b/c]: expected text, found the number 1 (put it in quotes)",
            "t.yaml:3:25: metadata.labels.d: expected text, found the boolean true (put it in quotes)",
            "t.yaml:5:29: spec.publishNotReadyAddresses: expected true or false, found text \"yes\" (write true \
             without quotes)",
            "t.yaml:8:17: spec.ports[0].targetPort: expected a whole number or text, found a list",
        ],
    );
    check_decode::<Service>(
        "apiVersion: v2\nkind: Servic\n",
        UnknownFields::Warn,
        &[
            "t.yaml:1:13: apiVersion: expected v1, found text \"v2\"",
            "t.yaml:2:7: kind: expected Service, found text \"Servic\"",
        ],
    );
    check_decode::<Service>("- 1\n", UnknownFields::Warn, &["t.yaml:1:1: expected a mapping, found a list"]);
}

#[test]
fn derived_types() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Step {
        name: String,
        count: u8,
        #[serde(default)]
        action: Option<Action>,
        pair: (i64, f64),
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Action {
        Stop,
        Wait(u16),
        Query { name: String },
    }
    let rows = [
        ("stop", Action::Stop),
        ("{wait: 3}", Action::Wait(3)),
        ("{query: {name: x}}", Action::Query { name: "x".to_string() }),
    ];
    for (action, expected) in rows {
        let text = format!("{{name: a, count: 1, action: {action}, pair: [1, 2]}}");
        let step: Step = check_decode(&text, UnknownFields::Deny, &[]).unwrap();
        assert_eq!(step, Step { name: "a".into(), count: 1, action: Some(expected), pair: (1, 2.0) });
    }
    let deny = UnknownFields::Deny;
    check_decode::<Step>(
        "{count: 256, action: stopp, pair: [1]}",
        deny,
        &[
            "t.yaml:1:1: name: the field `name` is missing",
            "t.yaml:1:9: count: 256 is out of range (a whole number from 0 to 255 is due here)",
            "t.yaml:1:22: action: `stopp` is not a value that is known here (did you mean `stop`?)",
            "t.yaml:1:35: pair: expected a tuple of size 2, found 1 items",
        ],
    );
    check_decode::<Vec<Step>>(
        "[{count: 256, name: a, pair: [1, 1]}, {name: , nam: b, count: 1, action: stopp, pair: [1]}]",
        deny,
        &[
            "t.yaml:1:10: [0].count: 256 is out of range (a whole number from 0 to 255 is due here)",
            "t.yaml:1:40: [1].name: expected text, found nothing (write \"\" for empty text)",
            "t.yaml:1:48: [1].nam: unknown field `nam` (did you mean `name`?)",
            "t.yaml:1:74: [1].action: `stopp` is not a value that is known here (did you mean `stop`?)",
            "t.yaml:1:87: [1].pair: expected a tuple of size 2, found 1 items",
        ],
    );
    check_decode::<Vec<Action>>(
        "[wait, {wait: x}, {stop: 1}, {stop: }, {a: 1, b: 2}, 3]",
        deny,
        &[
            "t.yaml:1:2: [0]: `wait` needs a value (write `wait: …`)",
            "t.yaml:1:15: [1].wait: expected a whole number, found text \"x\"",
            "t.yaml:1:26: [2].stop: expected nothing, found the number 1",
            "t.yaml:1:40: [4]: expected one of stop, wait, query, found a mapping",
            "t.yaml:1:54: [5]: expected text, found the number 3 (put it in quotes)",
        ],
    );
}

/// The writer of YAML knows neither the line breaks nor the booleans of YAML 1.1.
fn without_old_forms(text: String) -> String {
    let is_old = matches!(super::scalar::resolve(&text).value, YamlValue::SpelledBool { .. });
    if is_old { "_".to_string() } else { text.replace(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'], "_") }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Json::from),
        "\\PC{0,20}|[\\t\\n\\r -~é\u{e000}😀]{0,20}|0644|<<|---|- a|a: b"
            .prop_map(without_old_forms)
            .prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("\\PC{0,10}|~|1", inner, 0..6)
                .prop_map(|entries| entries.into_iter().map(|(key, value)| (without_old_forms(key), value)).collect()),
        ]
    })
}

/// Whether two values are the same but for the kind of a number: 1.0 and 1 are one number in JSON.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

fn read_back(text: &str) -> Option<Json> {
    let (nodes, diagnostics) = parse(source(text));
    assert!(!crate::text::diagnostic::has_error(&diagnostics), "{text}\n{}", rendered(&diagnostics));
    let node = nodes.first()?;
    let (decoded, _) = decode::<Json>(source(text), node, UnknownFields::Deny).unwrap();
    assert!(same(&decoded, &node.to_json()));
    Some(decoded)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for text in [value.to_string(), pretty, serde_yaml::to_string(&value).unwrap()] {
            let read = read_back(&text).unwrap_or(Json::Null);
            prop_assert!(same(&read, &value), "{text}\n{read}");
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}|([a-c:\\-\\[\\]{}#&*!|>'\"%@`\\\\ \\t\\n,?~<.0-9])*") {
        let (nodes, diagnostics) = parse(source(&text));
        prop_assert!(diagnostics.iter().all(|d| d.place.line == 0 || d.place.column > 0));
        for node in &nodes {
            let _ = decode::<StatefulSet>(source(&text), node, UnknownFields::Warn);
            let _ = decode::<Json>(source(&text), node, UnknownFields::Deny);
        }
        let _ = crate::text::diagnostic::render(&diagnostics, Colour::Ansi);
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..60), mark in 0..6_usize) {
        let marks: [&[u8]; 6] = [b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\0\0\xfe\xff"];
        let octets = [marks[mark], &octets].concat();
        super::is_blank(&octets);
        match super::text(Path::new("t"), &octets) {
            Ok(text) => drop(parse(source(&text))),
            Err(error) => prop_assert!(error.place.line > 0 && error.place.column > 0),
        }
    }

    #[test]
    fn every_document_counts(count in 1..6_usize, joint in "---\n|\u{feff}---\n|---\n\u{feff}|--- # c\n|\\.\\.\\.\n---\n|---\r\n|\\.\\.\\.\n") {
        let text = (0..count).map(|number| format!("a: {number}\n")).collect::<Vec<_>>().join(&joint);
        let (nodes, found) = parse(source(&text));
        prop_assert_eq!((nodes.len(), found.len()), (count, 0), "{:?}", text);
    }
}

#[test]
fn json_has_no_infinity() {
    for number in [".inf", "-.INF", ".nan", "!!float .inf"] {
        for text in [format!("a: {number}\n"), format!("[{number}]\n"), format!("{number}\n")] {
            let (nodes, diagnostics) = parse(source(&text));
            assert!(nodes.is_empty(), "{text}");
            assert_eq!(diagnostics[0].message, "neither infinity nor not-a-number can be a value: JSON has none");
        }
    }
}
