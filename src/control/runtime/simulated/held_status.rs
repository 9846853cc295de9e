//! A pod's status in little memory while nothing is due for the pod.

use k8s_openapi::api::core::v1::PodStatus;

/// A status: as its Rust type, which takes some 2.5 KiB, or as JSON, which takes a third of that.
#[derive(Debug, Default)]
pub struct HeldStatus {
    typed: Option<Box<PodStatus>>,
    /// What holds where `typed` is `None`.
    text: Box<[u8]>,
}

impl From<PodStatus> for HeldStatus {
    fn from(status: PodStatus) -> HeldStatus {
        HeldStatus { typed: Some(Box::new(status)), text: Box::default() }
    }
}

fn read(text: &[u8]) -> PodStatus {
    serde_json::from_slice(text).unwrap_or_default()
}

impl HeldStatus {
    /// The status.
    pub fn to_status(&self) -> PodStatus {
        self.typed.as_deref().cloned().unwrap_or_else(|| read(&self.text))
    }

    /// The status, to be looked at or changed.
    pub fn edit(&mut self) -> &mut PodStatus {
        self.typed.get_or_insert_with(|| Box::new(read(&self.text)))
    }

    /// Holds it as text until somebody looks at it.
    pub fn compact(&mut self) {
        if let Some(status) = self.typed.take() {
            self.text = serde_json::to_vec(&*status).unwrap_or_default().into();
            debug_assert_eq!(serde_json::to_vec(&read(&self.text)).ok().as_deref(), Some(&*self.text));
        }
    }
}
