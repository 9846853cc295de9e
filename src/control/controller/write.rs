//! Writes of clients: one object each, under conditions, answered with the object that came of it.

use super::{
    Cascade, Controller,
    deletion::{self, Deletion, indelible},
    disruption::{self, BudgetRefusal, Eviction},
    endpoints::derived,
    namespace::create_namespace,
    pod::missing_account,
};
use crate::{
    control::{
        cluster::{Deleted, StoreError},
        runtime::PodRuntime,
    },
    objects::object::{APPLIED, FieldError, Kind, ORIGIN, Object, ObjectKey},
};
use jiff::Timestamp;

/// What a client wants. Objects are defaulted and valid in themselves.
#[derive(Debug, Clone)]
pub enum Write {
    /// A new object; without a name it gets one from its generateName.
    Create {
        /// The object.
        object: Object,
        /// Whether its namespace is made where it does not exist.
        with_namespace: bool,
    },
    /// Another version of an object that exists.
    Update {
        /// The whole object.
        object: Object,
        /// What of it is taken.
        part: Part,
        /// What must hold of the stored one.
        expected: Preconditions,
    },
    /// Deletes an object, as kubectl delete does.
    Delete {
        /// Which.
        key: ObjectKey,
        /// Seconds of grace for a pod; `None` takes the pod's own; 0 removes it at once.
        grace_seconds: Option<i64>,
        /// What becomes of what it owns.
        cascade: Cascade,
        /// What must hold of the stored one.
        expected: Preconditions,
    },
    /// Deletes a pod if the budget that selects it allows that, as `kubectl drain` asks for.
    Evict {
        /// Which.
        key: ObjectKey,
        /// Seconds of grace; `None` takes the pod's own.
        grace_seconds: Option<i64>,
        /// What must hold of the stored one.
        expected: Preconditions,
    },
}

impl Write {
    /// Everything but the status of an object, whatever the version of the stored one.
    pub fn replace(object: Object) -> Write {
        Write::Update { object, part: Part::Main, expected: Preconditions::default() }
    }

    /// Deletes an object, whatever its version.
    pub fn delete(key: ObjectKey, grace_seconds: Option<i64>, cascade: Cascade) -> Write {
        Write::Delete { key, grace_seconds, cascade, expected: Preconditions::default() }
    }
}

/// What of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status only.
    Status,
}

/// What the stored object must be for a write to be carried out; `None` is anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Its version.
    pub resource_version: Option<String>,
    /// Its uid.
    pub uid: Option<String>,
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteResult {
    /// The object as it is now; of one that is gone, as it was last.
    pub object: Object,
    /// Whether it is gone.
    pub gone: bool,
}

/// Why a write was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// There is no such object, or no such namespace to create it in.
    NotFound(ObjectKey),
    /// Another object has the name.
    AlreadyExists(ObjectKey),
    /// Another object has the name, and is on its way out.
    BeingDeleted(ObjectKey),
    /// The stored object is not what was expected; the sentence says how.
    Conflict(ObjectKey, String),
    /// It is not allowed; the sentence says why.
    Forbidden(ObjectKey, String),
    /// Its namespace is on its way out.
    Terminating(ObjectKey),
    /// A PodDisruptionBudget keeps the pod.
    Disruption(ObjectKey, BudgetRefusal),
    /// What upstream's validation says to it.
    Invalid(ObjectKey, Vec<FieldError>),
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> WriteError {
        match error {
            StoreError::NotFound(key) => WriteError::NotFound(key),
            StoreError::AlreadyExists(key) => WriteError::AlreadyExists(key),
            StoreError::NoName(key) => {
                let message = "Required value: name or generateName is required".to_owned();
                WriteError::Invalid(key, vec![FieldError { field: "metadata.name".to_owned(), message }])
            }
        }
    }
}

impl<R: PodRuntime> Controller<R> {
    /// Carries out a client's write, or with `dry_run` only finds out what would come of it. Like an event it is
    /// visible outside after the turn.
    pub fn write(&mut self, write: Write, dry_run: bool, now: Timestamp) -> Result<WriteResult, WriteError> {
        self.begin(now);
        self.distribute();
        let before = self.context.cluster.resource_version();
        let status_of = match &write {
            Write::Update { object, part: Part::Status, .. } => Some(object.key()),
            _ => None,
        };
        let mut outcome = self.write_now(write);
        if dry_run || outcome.is_err() {
            self.context.cluster.roll_back(before);
            if let Ok(written) = &mut outcome {
                // No version was given; it is still at the one it had, if it had one.
                let version =
                    self.context.cluster.get(&written.object.key()).and_then(|o| o.metadata().resource_version.clone());
                written.object.metadata_mut().resource_version = version;
            }
            return outcome;
        }
        if let (Some(key), true) = (status_of, self.context.cluster.resource_version() > before) {
            self.pods.on_status_overwritten(&key, &self.context);
        }
        self.distribute();
        outcome
    }

    fn write_now(&mut self, write: Write) -> Result<WriteResult, WriteError> {
        let (key, gone) = match write {
            Write::Create { object, with_namespace } => (self.create_new(object, with_namespace)?, None),
            Write::Update { mut object, part, mut expected } => {
                if self.store_derived(&object.key(), &expected)? {
                    (object.metadata_mut().uid, expected) = (None, Preconditions::default());
                }
                let stored = self.expect(&object.key(), &expected)?;
                let key = stored.key();
                match part {
                    Part::Main => self.update_whole(&stored, object)?,
                    Part::Status => {
                        self.context.cluster.update(with_status(&stored, &object))?;
                    }
                }
                // The last finalizer may have gone with this.
                (key, Some(stored))
            }
            Write::Delete { key, grace_seconds, cascade, mut expected } => {
                if self.store_derived(&key, &expected)? {
                    expected = Preconditions::default();
                }
                let stored = self.expect(&key, &expected)?;
                if let Some(refusal) = indelible(&key) {
                    return Err(WriteError::Forbidden(key, refusal));
                }
                let deleted = deletion::delete(
                    &mut self.context.cluster,
                    &key,
                    Deletion { grace_seconds, cascade },
                    self.context.now,
                )?;
                debug_assert!(deleted != Deleted::Gone || self.context.cluster.get(&key).is_none());
                (key, Some(stored))
            }
            Write::Evict { key, grace_seconds, expected } => {
                let stored = self.expect(&key, &expected)?;
                self.evict(&stored, grace_seconds)?;
                (key, Some(stored))
            }
        };
        match (self.context.cluster.get(&key), gone) {
            (Some(object), _) => Ok(WriteResult { object: object.clone(), gone: false }),
            (None, Some(mut object)) => {
                // That it went is a change, too, by which clients see that their write was one.
                object.metadata_mut().resource_version = Some(self.context.cluster.resource_version().to_string());
                Ok(WriteResult { object, gone: true })
            }
            (None, None) => Err(WriteError::NotFound(key)),
        }
    }

    /// Deletes a pod, if its budget allows that.
    fn evict(&mut self, stored: &Object, grace_seconds: Option<i64>) -> Result<(), WriteError> {
        let (key, now) = (stored.key(), self.context.now);
        let Object::Pod(pod) = stored else { return Err(WriteError::NotFound(key)) };
        match disruption::decide(&self.context.cluster, pod, now) {
            Eviction::Free => {}
            Eviction::Granted(budget) => drop(self.context.cluster.update(Object::PodDisruptionBudget(budget))?),
            Eviction::Refused(refusal) => return Err(WriteError::Disruption(key, refusal)),
        }
        let deletion = Deletion { grace_seconds, ..Deletion::default() };
        deletion::delete(&mut self.context.cluster, &key, deletion, now)?;
        Ok(())
    }

    /// Endpoints that are made of a Service's slices are stored when a client writes them: with an identity of their
    /// own, so that a client that deletes them sees that those which come back are others. They give way when the
    /// Service's slices are planned the next time. Whether that was so; what is expected was said of the derived ones.
    fn store_derived(&mut self, key: &ObjectKey, expected: &Preconditions) -> Result<bool, WriteError> {
        if key.kind != Kind::Endpoints || self.context.cluster.get(key).is_some() {
            return Ok(false);
        }
        let Some(derived) = derived(&self.context.cluster, &key.namespace, &key.name).map(Object::from) else {
            return Ok(false);
        };
        as_expected(key, &derived, expected)?;
        self.context.cluster.create(derived, self.context.now)?;
        Ok(true)
    }

    /// The stored object, if it is what is expected.
    fn expect(&self, key: &ObjectKey, expected: &Preconditions) -> Result<Object, WriteError> {
        let stored = self.context.cluster.get(key).ok_or_else(|| WriteError::NotFound(key.clone()))?;
        as_expected(key, stored, expected)?;
        Ok(stored.clone())
    }

    fn create_new(&mut self, mut object: Object, with_namespace: bool) -> Result<ObjectKey, WriteError> {
        let key = object.key();
        let is_derived =
            key.kind == Kind::Endpoints && derived(&self.context.cluster, &key.namespace, &key.name).is_some();
        match self.context.cluster.get(&key) {
            Some(standing) if standing.metadata().deletion_timestamp.is_some() => {
                return Err(WriteError::BeingDeleted(key));
            }
            Some(_) => return Err(WriteError::AlreadyExists(key)),
            None if is_derived => return Err(WriteError::AlreadyExists(key)),
            None => {}
        }
        if let Kind::Custom(custom) = key.kind {
            match self.context.cluster.definition(key.kind) {
                None => return Err(WriteError::NotFound(key)),
                Some(definition) if definition.is_terminating => {
                    let why = "create not allowed while custom resource definition is terminating";
                    let message = format!("{} {:?} is forbidden: {why}", custom.resource(), key.name);
                    return Err(WriteError::Forbidden(key, message));
                }
                Some(_) => {}
            }
        }
        if key.kind.is_namespaced() {
            match self.context.cluster.namespace("", &key.namespace) {
                Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => {
                    return Err(WriteError::Terminating(key));
                }
                None if with_namespace => {
                    create_namespace(&mut self.context.cluster, &key.namespace, self.context.now);
                }
                None => {
                    let namespace = ObjectKey::new(Kind::Namespace, "", key.namespace);
                    return Err(WriteError::NotFound(namespace));
                }
                Some(_) => {}
            }
        }
        self.own(&mut object, None)?;
        if self.context.require_references
            && let Some(refusal) = missing_account(&self.context.cluster, &object)
        {
            return Err(WriteError::Forbidden(key, refusal));
        }
        self.registry
            .create(&mut self.context.cluster, object, self.context.now)
            .map_err(|errors| WriteError::Invalid(key, errors))
    }

    fn update_whole(&mut self, stored: &Object, mut object: Object) -> Result<(), WriteError> {
        self.own(&mut object, Some(stored))?;
        let errors = self.registry.replace(&mut self.context.cluster, stored, object);
        if errors.is_empty() { Ok(()) } else { Err(WriteError::Invalid(stored.key(), errors)) }
    }

    /// What no client decides: whether its object comes from a manifest, and what the feature gates leave out.
    fn own(&self, object: &mut Object, stored: Option<&Object>) -> Result<(), WriteError> {
        for name in [ORIGIN, APPLIED] {
            let kept = stored.and_then(|stored| stored.metadata().annotations.as_ref()?.get(name));
            match (kept, &mut object.metadata_mut().annotations) {
                (Some(kept), annotations) => {
                    annotations.get_or_insert_default().insert(name.to_owned(), kept.clone());
                }
                (None, Some(annotations)) => drop(annotations.remove(name)),
                (None, None) => {}
            }
        }
        let errors = self.registry.apply_feature_gates(object);
        if errors.is_empty() { Ok(()) } else { Err(WriteError::Invalid(object.key(), errors)) }
    }
}

/// Whether an object is what a client expects it to be.
fn as_expected(key: &ObjectKey, stored: &Object, expected: &Preconditions) -> Result<(), WriteError> {
    let metadata = stored.metadata();
    let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    if !is(&expected.uid, &metadata.uid) {
        let (wanted, found) = (expected.uid.as_deref(), metadata.uid.as_deref());
        let message = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            wanted.unwrap_or_default(),
            found.unwrap_or_default()
        );
        return Err(WriteError::Conflict(key.clone(), message));
    }
    if !is(&expected.resource_version, &metadata.resource_version) {
        let message = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(WriteError::Conflict(key.clone(), message.to_owned()));
    }
    Ok(())
}

/// The stored object with the status of another version.
fn with_status(stored: &Object, sent: &Object) -> Object {
    let mut changed = stored.clone().with_status_of(sent);
    if let Some(managed) = &sent.metadata().managed_fields {
        changed.metadata_mut().managed_fields = Some(managed.clone());
    }
    changed
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |key: &ObjectKey| format!("{} \"{}\"", key.kind.group_resource(), key.name);
        match self {
            WriteError::NotFound(key) => write!(f, "{} not found", name(key)),
            WriteError::AlreadyExists(key) => write!(f, "{} already exists", name(key)),
            WriteError::BeingDeleted(key) => write!(f, "object is being deleted: {} already exists", name(key)),
            WriteError::Conflict(key, message) => {
                write!(f, "Operation cannot be fulfilled on {}: {message}", name(key))
            }
            WriteError::Forbidden(_, message) => f.write_str(message),
            WriteError::Disruption(_, refusal) => f.write_str(refusal.message()),
            WriteError::Terminating(key) => write!(
                f,
                "{} is forbidden: unable to create new content in namespace {} because it is being terminated",
                name(key),
                key.namespace
            ),
            WriteError::Invalid(key, errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                write!(f, "{} is invalid: {}", name(key), errors.join(", "))
            }
        }
    }
}

impl std::error::Error for WriteError {}
