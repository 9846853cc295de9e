//! RoleBindings and ClusterRoleBindings.

use super::{Fields, default, object_or_new, objects, text};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn set_binding(fields: &mut Fields) {
    if let Some(role) = object_or_new(fields, "roleRef") {
        default(role, "apiGroup", GROUP);
    }
    for subject in objects(fields, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            default(subject, "apiGroup", GROUP);
        }
    }
}
