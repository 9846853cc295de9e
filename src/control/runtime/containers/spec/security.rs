//! What a container may do: the security contexts of the container and its pod.

use super::SpecError;
use crate::{
    control::runtime::{containers::NodeFacts, identity::PodIdentity},
    engine::sandbox::{Devices, ImageDetails, Seccomp, Security},
};
use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext};

/// What a container may do, made from the image `image`.
///
/// # Errors
/// `CreateContainerConfigError`: it must not run as root and would, or asks for what is not there.
pub fn security(
    pod: &Pod,
    container: &Container,
    image: &ImageDetails,
    facts: &NodeFacts,
) -> Result<Security, SpecError> {
    let (empty, empty_of_pod) = (SecurityContext::default(), PodSecurityContext::default());
    let own = container.security_context.as_ref().unwrap_or(&empty);
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()).unwrap_or(&empty_of_pod);
    let refused = |message| SpecError { reason: "CreateContainerConfigError", message };
    let user = own.run_as_user.or(of_pod.run_as_user);
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        let place = || format!("(pod: \"{}\", container: {})", PodIdentity::of(pod), container.name);
        check_non_root(user, &image.user).map_err(|message| refused(format!("{message} {}", place())))?;
    }
    if of_pod.supplemental_groups_policy.as_deref() == Some("Strict") {
        let message = "supplementalGroupsPolicy Strict is not supported: engines add the groups of the image's user";
        return Err(refused(message.to_owned()));
    }
    let privileged = own.privileged.unwrap_or(false);
    let capabilities = |list: Option<&Vec<String>>| list.into_iter().flatten().map(|name| capability(name)).collect();
    let profile = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
    Ok(Security {
        user: user_of(user, own.run_as_group.or(of_pod.run_as_group), &image.user),
        groups: of_pod.fs_group.iter().chain(of_pod.supplemental_groups.iter().flatten()).copied().collect(),
        add_capabilities: capabilities(own.capabilities.as_ref().and_then(|list| list.add.as_ref())),
        drop_capabilities: capabilities(own.capabilities.as_ref().and_then(|list| list.drop.as_ref())),
        privileged,
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        read_only_root: own.read_only_root_filesystem.unwrap_or(false),
        seccomp: seccomp(profile, privileged, facts).map_err(refused)?,
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
        devices: if privileged { Devices::All } else { Devices::None },
    })
}

/// Kubelet's `verifyRunAsNonRoot`.
fn check_non_root(user: Option<i64>, image: &str) -> Result<(), String> {
    let of_image = image.split(':').next().unwrap_or_default();
    match (user, of_image.parse::<i64>()) {
        (Some(0), _) => Err("container's runAsUser breaks non-root policy".to_owned()),
        (Some(_), _) => Ok(()),
        (None, Ok(0)) => Err("container has runAsNonRoot and image will run as root".to_owned()),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) if of_image.is_empty() => {
            Err("container has runAsNonRoot and image will run as root".to_owned())
        }
        (None, Err(_)) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({of_image}), cannot verify user is non-root"
        )),
    }
}

/// `USER:GROUP` as engines take it.
fn user_of(user: Option<i64>, group: Option<i64>, image: &str) -> Option<String> {
    let of_image = image.split(':').next().filter(|user| !user.is_empty()).unwrap_or("0");
    match (user, group) {
        (None, None) => None,
        (Some(user), None) => Some(user.to_string()),
        (Some(user), Some(group)) => Some(format!("{user}:{group}")),
        (None, Some(group)) => Some(format!("{of_image}:{group}")),
    }
}

fn capability(name: &str) -> String {
    let name = name.to_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

/// Without a profile the engine's own counts, as with kubelet's `seccompDefault`: safer than upstream's default of none.
fn seccomp(profile: Option<&SeccompProfile>, privileged: bool, facts: &NodeFacts) -> Result<Seccomp, String> {
    if privileged {
        return Ok(Seccomp::Unconfined);
    }
    let Some(profile) = profile else { return Ok(Seccomp::RuntimeDefault) };
    match profile.type_.as_str() {
        "Unconfined" => Ok(Seccomp::Unconfined),
        "Localhost" => {
            let name = profile.localhost_profile.as_deref().unwrap_or_default();
            let found = facts.seccomp_profiles.get(name).cloned().map(Seccomp::Profile);
            found.ok_or_else(|| {
                format!("cannot load seccomp profile \"{name}\": there is no such file in the directory seccomp of the state directory")
            })
        }
        _ => Ok(Seccomp::RuntimeDefault),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{facts, pod_of},
        *,
    };

    fn made(container: &str, pod: &str, user: &str) -> Result<Security, String> {
        let (pod, container) =
            pod_of(&format!("securityContext: {{{container}}}"), &format!("securityContext: {{{pod}}}"));
        let image = ImageDetails { user: user.to_owned(), ..ImageDetails::default() };
        security(&pod, &container, &image, &facts()).map_err(|error| {
            assert_eq!(error.reason, "CreateContainerConfigError");
            error.message
        })
    }

    #[test]
    fn users() {
        let rows = [
            ("", "", "", None),
            ("", "", "app", None),
            ("runAsUser: 1000", "", "app", Some("1000")),
            ("", "runAsUser: 1000, runAsGroup: 2000", "", Some("1000:2000")),
            ("runAsUser: 0", "runAsUser: 1000, runAsGroup: 2000", "", Some("0:2000")),
            ("runAsGroup: 3000", "", "app:staff", Some("app:3000")),
            ("runAsGroup: 3000", "", "", Some("0:3000")),
            ("runAsNonRoot: true", "", "1000:0", None),
            ("runAsNonRoot: true", "runAsUser: 5", "root", Some("5")),
            ("runAsNonRoot: false", "runAsNonRoot: true", "root", None),
        ];
        for (container, pod, image, user) in rows {
            let found = made(container, pod, image).map(|security| security.user);
            assert_eq!(found, Ok(user.map(str::to_owned)), "{container} {pod} {image}");
        }
    }

    #[test]
    fn refusals() {
        let place = "(pod: \"web-0_shop(uid-1)\", container: app)";
        let rows = [
            ("runAsNonRoot: true", "", "", format!("container has runAsNonRoot and image will run as root {place}")),
            ("runAsNonRoot: true", "", "0:7", format!("container has runAsNonRoot and image will run as root {place}")),
            ("", "runAsNonRoot: true, runAsUser: 0", "7", format!("container's runAsUser breaks non-root policy {place}")),
            (
                "runAsNonRoot: true",
                "",
                "redis:redis",
                format!(
                    "container has runAsNonRoot and image has non-numeric user (redis), cannot verify user is non-root {place}"
                ),
            ),
            (
                "seccompProfile: {type: Localhost, localhostProfile: none.json}",
                "",
                "",
                "cannot load seccomp profile \"none.json\": there is no such file in the directory seccomp of the state \
                 directory"
                    .to_owned(),
            ),
            (
                "",
                "supplementalGroupsPolicy: Strict",
                "",
                "supplementalGroupsPolicy Strict is not supported: engines add the groups of the image's user".to_owned(),
            ),
        ];
        for (container, pod, image, message) in rows {
            assert_eq!(made(container, pod, image), Err(message), "{container} {pod} {image}");
        }
    }

    #[test]
    fn rights() {
        let bare = made("", "", "").unwrap();
        assert_eq!(
            (bare.seccomp.clone(), bare.devices, bare.privileged),
            (Seccomp::RuntimeDefault, Devices::None, false)
        );
        assert!(!bare.no_new_privileges && !bare.read_only_root && !bare.unmasked_proc && bare.groups.is_empty());
        let all = made(
            "capabilities: {add: [CAP_NET_ADMIN, sys_time], drop: [ALL]}, allowPrivilegeEscalation: false, \
             readOnlyRootFilesystem: true, procMount: Unmasked",
            "fsGroup: 7, supplementalGroups: [8, 9], seccompProfile: {type: Localhost, localhostProfile: audit.json}",
            "",
        );
        let expected = Security {
            user: None,
            groups: vec![7, 8, 9],
            add_capabilities: vec!["NET_ADMIN".to_owned(), "SYS_TIME".to_owned()],
            drop_capabilities: vec!["ALL".to_owned()],
            privileged: false,
            no_new_privileges: true,
            read_only_root: true,
            seccomp: Seccomp::Profile("{}".to_owned()),
            unmasked_proc: true,
            devices: Devices::None,
        };
        assert_eq!(all, Ok(expected));
        let rows = [
            ("seccompProfile: {type: Unconfined}", "seccompProfile: {type: RuntimeDefault}", Seccomp::Unconfined),
            ("", "seccompProfile: {type: Unconfined}", Seccomp::Unconfined),
            ("seccompProfile: {type: RuntimeDefault}", "seccompProfile: {type: Unconfined}", Seccomp::RuntimeDefault),
            ("privileged: true", "", Seccomp::Unconfined),
        ];
        for (container, pod, seccomp) in rows {
            let security = made(container, pod, "").unwrap();
            assert_eq!(security.seccomp, seccomp, "{container} {pod}");
            assert_eq!(
                (security.devices == Devices::All, security.privileged),
                (container.contains("priv"), container.contains("priv"))
            );
        }
    }
}
