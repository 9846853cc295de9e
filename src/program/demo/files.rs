//! The watched directory that a scenario writes its manifests into, and the edits it makes there.

use super::scenario::{ManifestPath, Named, Reference};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Why the directory could not be changed as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The system refused.
    #[error("{path}: {source}", path = .path.display())]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No file declares the object.
    #[error("no file that the scenario has applied declares {0}")]
    Undeclared(String),
    /// The scenario never applied this file.
    #[error("the scenario has applied no file `{}`", .0.display())]
    Unknown(PathBuf),
    /// The file that would have to be edited is no YAML.
    #[error("{file}: {reason}", file = .0.display(), reason = .1)]
    Unreadable(PathBuf, String),
    /// The object has no such container.
    #[error("{0} has no container `{1}`")]
    Container(String, String),
}

/// A temporary directory, removed when the scenario is over. Files appear in it in one step, as a careful editor writes them.
#[derive(Debug)]
pub(super) struct ManifestFiles {
    root: PathBuf,
    texts: BTreeMap<PathBuf, String>,
}

impl ManifestFiles {
    /// A new, empty directory.
    pub(super) fn create() -> Result<ManifestFiles, FileError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headless-dns-demo-{}-{count}-{:08x}", std::process::id(), fastrand::u32(..));
        let root = std::env::temp_dir().join(name);
        let files = ManifestFiles { root, texts: BTreeMap::new() };
        // `create_dir` and not `create_dir_all`: whoever has made the directory before us must not be trusted with it.
        for directory in [&files.root, &files.watched(), &files.zones()] {
            fs::create_dir(directory).map_err(system(directory))?;
        }
        Ok(files)
    }

    /// The directory that the server watches.
    pub(super) fn watched(&self) -> PathBuf {
        self.root.join("manifests")
    }

    /// An empty directory for the server's static zones.
    pub(super) fn zones(&self) -> PathBuf {
        self.root.join("zones")
    }

    /// Where the server keeps its state, if it keeps any; made by the server.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Creates or replaces a file.
    pub(super) fn write(&mut self, file: &ManifestPath, text: String) -> Result<(), FileError> {
        let path = self.watched().join(&file.0);
        let staged = self.root.join("staged");
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(system(parent))?;
        }
        fs::write(&staged, &text).map_err(system(&staged))?;
        fs::rename(&staged, &path).map_err(system(&path))?;
        self.texts.insert(file.0.clone(), text);
        Ok(())
    }

    /// Deletes a file.
    pub(super) fn remove(&mut self, file: &ManifestPath) -> Result<(), FileError> {
        if self.texts.remove(&file.0).is_none() {
            return Err(FileError::Unknown(file.0.clone()));
        }
        let path = self.watched().join(&file.0);
        fs::remove_file(&path).map_err(system(&path))
    }

    /// Merges a patch (RFC 7396) into an object where it is declared.
    pub(super) fn patch(&mut self, object: &Reference, patch: &Value) -> Result<(), FileError> {
        self.change(object, |value| {
            merge(value, patch);
            Ok(Keep::Yes)
        })
    }

    /// Sets the image of a container (the first one if `container` is `None`).
    pub(super) fn set_image(
        &mut self,
        object: &Reference,
        container: Option<&str>,
        image: &str,
    ) -> Result<(), FileError> {
        self.change(object, |value| {
            let containers = value.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
            let found = containers.and_then(|containers| {
                containers.iter_mut().find(|each| container.is_none_or(|name| each["name"].as_str() == Some(name)))
            });
            match found.and_then(Value::as_object_mut) {
                Some(found) => {
                    found.insert("image".to_owned(), json!(image));
                    Ok(Keep::Yes)
                }
                None => Err(FileError::Container(object.to_string(), container.unwrap_or("").to_owned())),
            }
        })
    }

    /// Takes an object out of its file; the file goes with its last object.
    pub(super) fn remove_object(&mut self, object: &Reference) -> Result<(), FileError> {
        self.change(object, |_| Ok(Keep::No))
    }

    fn change(
        &mut self,
        object: &Reference,
        change: impl FnOnce(&mut Value) -> Result<Keep, FileError>,
    ) -> Result<(), FileError> {
        for (path, text) in &self.texts {
            let mut documents = match documents(text) {
                Ok(documents) => documents,
                // A file that is broken on purpose declares nothing; its neighbours can still be edited.
                Err(_) => continue,
            };
            let Some(index) = documents.iter().position(|document| is(document, object)) else { continue };
            let file = ManifestPath(path.clone());
            if let Keep::No = change(&mut documents[index])? {
                documents.remove(index);
            }
            if documents.is_empty() {
                return self.remove(&file);
            }
            let texts: Result<Vec<String>, _> = documents.iter().map(serde_yaml::to_string).collect();
            let texts = texts.map_err(|error| FileError::Unreadable(file.0.clone(), error.to_string()))?;
            return self.write(&file, texts.join("---\n"));
        }
        Err(FileError::Undeclared(object.to_string()))
    }
}

impl Drop for ManifestFiles {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's temporary directory, where somebody sweeps.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Whether a changed object stays declared.
enum Keep {
    Yes,
    No,
}

fn system(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::System { path, source }
}

/// The documents of a YAML (or JSON) stream, empty ones left out.
fn documents(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    let documents: Result<Vec<Value>, _> = serde_yaml::Deserializer::from_str(text).map(Value::deserialize).collect();
    Ok(documents?.into_iter().filter(|document| !document.is_null()).collect())
}

fn is(document: &Value, object: &Reference) -> bool {
    let Named { namespace, name } = &object.named;
    let metadata = &document["metadata"];
    document["kind"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(&object.kind))
        && metadata["name"].as_str() == Some(name)
        && metadata["namespace"].as_str().unwrap_or("default") == namespace
}

/// RFC 7396: mappings are merged, null removes, everything else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, change) in patch {
        match change {
            Value::Null => {
                target.shift_remove(key);
            }
            _ => merge(target.entry(key.clone()).or_insert(Value::Null), change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "kind: Service\nmetadata: {name: web}\n---\nkind: StatefulSet\nmetadata: {name: web, namespace: default}\n\
        spec:\n  replicas: 3\n  template: {spec: {containers: [{name: a, image: one}, {name: b, image: two}]}}\n";

    fn files() -> ManifestFiles {
        let mut files = ManifestFiles::create().unwrap();
        files.write(&path("broken.yaml"), "a: [".to_owned()).unwrap();
        files.write(&path("sub/web.yaml"), TEXT.to_owned()).unwrap();
        files
    }

    fn path(text: &str) -> ManifestPath {
        ManifestPath(text.into())
    }

    fn set() -> Reference {
        let named = Named { namespace: "default".to_owned(), name: "web".to_owned() };
        Reference { kind: "statefulset".to_owned(), named }
    }

    fn declared(files: &ManifestFiles) -> Vec<Value> {
        documents(&fs::read_to_string(files.watched().join("sub/web.yaml")).unwrap()).unwrap()
    }

    #[test]
    fn an_edit_touches_its_object_only() {
        let mut files = files();
        files.patch(&set(), &json!({"spec": {"replicas": 5, "template": {"spec": {"x": {"y": 1}}}}})).unwrap();
        files.set_image(&set(), Some("b"), "three").unwrap();
        files.set_image(&set(), None, "zero").unwrap();
        let now = declared(&files);
        assert_eq!(now[0], documents(TEXT).unwrap()[0]);
        assert_eq!(now[1]["spec"]["replicas"], 5);
        assert_eq!(now[1]["spec"]["template"]["spec"]["x"]["y"], 1);
        assert_eq!(now[1]["spec"]["template"]["spec"]["containers"][0]["image"], "zero");
        assert_eq!(now[1]["spec"]["template"]["spec"]["containers"][1]["image"], "three");
    }

    #[test]
    fn null_removes_and_lists_replace() {
        let mut value = json!({"a": 1, "b": [1, 2], "c": {"d": 1}});
        merge(&mut value, &json!({"a": null, "b": [3], "c": {"e": null, "f": 2}, "g": {"h": null}}));
        assert_eq!(value, json!({"b": [3], "c": {"d": 1, "f": 2}, "g": {}}));
    }

    #[test]
    fn objects_and_files_go() {
        let mut files = files();
        files.remove_object(&set()).unwrap();
        assert_eq!(declared(&files).len(), 1);
        files.remove(&path("sub/web.yaml")).unwrap();
        assert!(!files.watched().join("sub/web.yaml").exists());
        let error = files.remove(&path("sub/web.yaml")).unwrap_err();
        assert!(error.to_string().contains("has applied no file `sub/web.yaml`"), "{error}");
        let error = files.patch(&set(), &json!({})).unwrap_err();
        assert!(error.to_string().contains("declares statefulset web"), "{error}");
    }

    #[test]
    fn nothing_is_left_behind() {
        let files = files();
        let root = files.root.clone();
        assert!(root.exists());
        drop(files);
        assert!(!root.exists());
    }
}
