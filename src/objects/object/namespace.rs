//! What is in every namespace of a cluster.

/// The ServiceAccount that pods get which name none.
pub const DEFAULT_ACCOUNT: &str = "default";
/// The ConfigMap that holds the certificate by which pods know the API.
pub const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";
