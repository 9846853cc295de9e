//! What is in every namespace where the API is served: the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`
//! (upstream's controllers serviceaccount and root-ca-cert-publisher). Both are made again when they are deleted, and the
//! certificate is put back when it is changed.

use super::{
    pod_control,
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{
    Kind, Object, ObjectKey,
    namespace::{DEFAULT_ACCOUNT, ROOT_CERTIFICATE},
};
use k8s_openapi::{
    api::core::v1::{ConfigMap, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{collections::BTreeMap, sync::Arc};

/// The ConfigMap's one entry.
const ENTRY: &str = "ca.crt";
/// What clients read about it.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "the certificate that the API of headless-dns shows; a comment in its place if the API is served without one",
);

/// Keeps the objects of namespaces; without a certificate none are kept.
#[derive(Debug, Default)]
pub struct NamespaceObjects {
    /// The content of `ca.crt`; `None` where the API is not served.
    certificate: Option<Arc<str>>,
}

impl NamespaceObjects {
    /// Of a server whose API shows this certificate.
    pub fn new(certificate: Arc<str>) -> NamespaceObjects {
        NamespaceObjects { certificate: Some(certificate) }
    }

    /// The API shows another certificate from now on.
    pub fn show_certificate(&mut self, certificate: Arc<str>, context: &mut Context) {
        if self.certificate.is_none() || self.certificate.as_ref() == Some(&certificate) {
            return;
        }
        self.certificate = Some(certificate);
        let namespaces: Vec<ObjectKey> = context.cluster.of_kind(Kind::Namespace).map(Object::key).collect();
        for namespace in namespaces {
            context.queue.add(Work::new(Reconciler::NamespaceObjects, namespace));
        }
    }

    /// A namespace, or one of these objects, came, changed or went.
    pub fn on_changed(&mut self, key: &ObjectKey, context: &mut Context) {
        let namespace = match key.kind {
            Kind::Namespace => &key.name,
            Kind::ServiceAccount if key.name == DEFAULT_ACCOUNT => &key.namespace,
            Kind::ConfigMap if key.name == ROOT_CERTIFICATE => &key.namespace,
            _ => return,
        };
        if self.certificate.is_some() {
            let namespace = ObjectKey::new(Kind::Namespace, "", namespace);
            context.queue.add(Work::new(Reconciler::NamespaceObjects, namespace));
        }
    }

    /// Makes what is missing in a namespace that is not being deleted.
    pub fn reconcile(&mut self, namespace: &ObjectKey, context: &mut Context) {
        let Some(certificate) = &self.certificate else { return };
        let name = namespace.name.as_str();
        if context.cluster.namespace("", name).is_none_or(|found| found.metadata.deletion_timestamp.is_some()) {
            return;
        }
        let metadata = |name: &str| ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.name.clone()),
            ..ObjectMeta::default()
        };
        if context.cluster.get(&ObjectKey::new(Kind::ServiceAccount, name, DEFAULT_ACCOUNT)).is_none() {
            let account = ServiceAccount { metadata: metadata(DEFAULT_ACCOUNT), ..ServiceAccount::default() };
            // It fails only if the name is taken, which was looked at just now.
            let _ = pod_control::create(account.into(), context);
        }
        let data = BTreeMap::from([(ENTRY.to_owned(), certificate.to_string())]);
        let key = ObjectKey::new(Kind::ConfigMap, name, ROOT_CERTIFICATE);
        match context.cluster.get(&key) {
            None => {
                let mut metadata = metadata(ROOT_CERTIFICATE);
                metadata.annotations = Some(BTreeMap::from([(DESCRIPTION.0.to_owned(), DESCRIPTION.1.to_owned())]));
                let map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
                let _ = pod_control::create(map.into(), context);
            }
            Some(Object::Stored(standing)) => {
                let map: Option<ConfigMap> = standing.typed();
                if map.is_some_and(|map| map.data.as_ref() != Some(&data)) {
                    let data = serde_json::to_value(&data).unwrap_or_default();
                    context.cluster.edit(&key, |object| {
                        if let Object::Stored(object) = object {
                            Arc::make_mut(object).edit_body(|fields| drop(fields.insert("data".to_owned(), data)));
                        }
                    });
                }
            }
            Some(_) => {}
        }
    }
}
