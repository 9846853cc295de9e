//! Aggregated ClusterRoles.

use super::*;

fn role(name: &str, labels: Value, rules: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name, "labels": labels},
           "rules": rules})
}

fn rule(resource: &str) -> Value {
    json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]})
}

#[test]
fn an_aggregated_role_has_the_rules_of_those_that_it_selects() {
    let mut world = World::new(1);
    let mut all = role("all", json!({}), json!([rule("nodes")]));
    all["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]});
    let rules = |world: &World| {
        let key = ObjectKey::new(Kind::ClusterRole, "", "all");
        let role = world.controller.object(&key).unwrap().to_json();
        let rules = role["rules"].as_array().unwrap().iter();
        rules.map(|rule| rule["resources"][0].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    world.apply(all);
    world.turn();
    assert_eq!(rules(&world), "", "rules of its own are overwritten");
    let steps = [
        (role("b", json!({"to": "all"}), json!([rule("pods"), rule("secrets")])), "pods secrets"),
        (role("a", json!({"to": "all"}), json!([rule("events"), rule("pods")])), "events pods secrets"),
        (role("c", json!({"to": "nobody"}), json!([rule("services")])), "events pods secrets"),
        (role("b", json!({"to": "nobody"}), json!([rule("pods"), rule("secrets")])), "events pods"),
        (role("a", json!({"to": "all"}), json!([rule("leases")])), "leases"),
    ];
    for (role, expected) in steps {
        world.apply(role.clone());
        world.turn();
        assert_eq!(rules(&world), expected, "{role}");
    }
    world.restart();
    world.delete(ObjectKey::new(Kind::ClusterRole, "", "a"), None, Cascade::Background);
    world.turn();
    assert_eq!(rules(&world), "");
}
