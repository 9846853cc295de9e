//! Definitions that define nothing.

use super::*;

/// Whatever the reason: here it has no storage version, which validation does not let through.
#[test]
fn a_definition_that_defines_nothing_says_so_and_can_be_deleted() {
    let mut world = World::new(1);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                 "versions": []},
    });
    world.put(Object::from_json(Kind::CustomResourceDefinition, definition).unwrap());
    world.turn();
    let key = ObjectKey::new(Kind::CustomResourceDefinition, "", "widgets.example.com");
    let condition = world.controller.object(&key).unwrap().to_json()["status"]["conditions"][0].clone();
    assert_eq!((&condition["type"], &condition["status"]), (&json!("NamesAccepted"), &json!("False")));
    world.delete(key.clone(), None, Cascade::Background);
    world.turn();
    assert_eq!(world.controller.object(&key), None);
}
