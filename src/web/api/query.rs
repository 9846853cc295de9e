//! What follows the `?` of a request.

use super::status::StatusFailure;
use crate::text::percent;
use std::time::Duration;

/// How unknown fields are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and the reply warns of each.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// The parameters that are read; all others are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestParameters {
    /// `labelSelector`.
    pub label_selector: String,
    /// `fieldSelector`.
    pub field_selector: String,
    /// `limit`; `None` for all.
    pub limit: Option<usize>,
    /// `continue`.
    pub continue_from: String,
    /// `watch`.
    pub watch: bool,
    /// `resourceVersion`; `None` where there is none, or an empty one.
    pub resource_version: Option<u64>,
    /// `resourceVersionMatch`.
    pub resource_version_match: String,
    /// `allowWatchBookmarks`.
    pub bookmarks: bool,
    /// `sendInitialEvents`.
    pub initial_events: Option<bool>,
    /// `timeoutSeconds`.
    pub timeout: Option<Duration>,
    /// `includeObject`, of Tables.
    pub include_object: String,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// `fieldManager`.
    pub field_manager: String,
    /// `fieldValidation`.
    pub field_validation: FieldValidation,
    /// `force`, of server-side apply.
    pub force: bool,
    /// `gracePeriodSeconds`.
    pub grace_seconds: Option<i64>,
    /// `propagationPolicy`.
    pub propagation: String,
}

/// Reads what follows the `?`.
pub fn parse(query: &str) -> Result<RequestParameters, StatusFailure> {
    let mut read = RequestParameters::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |text: &str| {
            let spaced = text.replace('+', " ");
            percent::decode(&spaced).ok_or_else(|| StatusFailure::bad_request("the query is not properly encoded"))
        };
        read.take(&text(name)?, text(value)?)?;
    }
    Ok(read)
}

impl RequestParameters {
    fn take(&mut self, name: &str, value: String) -> Result<(), StatusFailure> {
        match name {
            "labelSelector" => self.label_selector = value,
            "fieldSelector" => self.field_selector = value,
            "limit" => self.limit = number::<usize>(name, &value)?.filter(|limit| *limit > 0),
            "continue" => self.continue_from = value,
            "watch" => self.watch = flag(name, &value)?,
            "resourceVersion" => self.resource_version = version(&value)?,
            "resourceVersionMatch" => self.resource_version_match = value,
            "allowWatchBookmarks" => self.bookmarks = flag(name, &value)?,
            "sendInitialEvents" if !value.is_empty() => self.initial_events = Some(flag(name, &value)?),
            "timeoutSeconds" => self.timeout = number(name, &value)?.filter(|n| *n > 0).map(Duration::from_secs),
            "includeObject" => self.include_object = value,
            "dryRun" => self.dry_run = dry_run(&value)?,
            "fieldManager" => self.field_manager = field_manager(value)?,
            "fieldValidation" => self.field_validation = field_validation(&value)?,
            "force" => self.force = flag(name, &value)?,
            "gracePeriodSeconds" => self.grace_seconds = number(name, &value)?,
            "propagationPolicy" => self.propagation = value,
            _ => {}
        }
        Ok(())
    }
}

/// `dryRun`'s value.
pub fn dry_run(value: &str) -> Result<bool, StatusFailure> {
    match value {
        "" => Ok(false),
        "All" => Ok(true),
        other => Err(StatusFailure::unprocessable(format!(
            " \"\" is invalid: dryRun: Unsupported value: {other:?}: supported values: \"All\""
        ))),
    }
}

/// Longest name of a manager, in characters, as upstream has it.
const MANAGER_CHARACTERS_MAX: usize = 128;

fn field_manager(value: String) -> Result<String, StatusFailure> {
    if value.chars().count() > MANAGER_CHARACTERS_MAX || value.chars().any(char::is_control) {
        let message =
            " \"\" is invalid: fieldManager: Invalid value: must be printable and have at most 128 characters";
        return Err(StatusFailure::unprocessable(message));
    }
    Ok(value)
}

fn field_validation(value: &str) -> Result<FieldValidation, StatusFailure> {
    match value {
        "" | "Warn" => Ok(FieldValidation::Warn),
        "Ignore" => Ok(FieldValidation::Ignore),
        "Strict" => Ok(FieldValidation::Strict),
        other => Err(StatusFailure::unprocessable(format!(
            " \"\" is invalid: fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \
             \"Warn\""
        ))),
    }
}

fn flag(name: &str, value: &str) -> Result<bool, StatusFailure> {
    match value {
        "" | "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
        _ => Err(StatusFailure::bad_request(format!("{name}: `{value}` is neither true nor false"))),
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<Option<T>, StatusFailure> {
    if value.is_empty() {
        return Ok(None);
    }
    value
        .parse()
        .map(Some)
        .map_err(|_| StatusFailure::bad_request(format!("{name}: `{value}` is no number that is possible")))
}

/// A version is a number here; clients should not know.
fn version(value: &str) -> Result<Option<u64>, StatusFailure> {
    match value {
        "" => Ok(None),
        value => value
            .parse()
            .map(Some)
            .map_err(|_| StatusFailure::bad_request(format!("Invalid value: \"{value}\": invalid resource version"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let query =
            parse("&limit=500&labelSelector=app%3Dnginx%2Ctier+in+%28a%29&watch=1&resourceVersion=0&pretty=x").unwrap();
        assert_eq!((query.limit, query.watch, query.resource_version), (Some(500), true, Some(0)));
        assert_eq!(query.label_selector, "app=nginx,tier in (a)");
        let query = parse("watch&sendInitialEvents=true&timeoutSeconds=5&dryRun=All&fieldValidation=Strict").unwrap();
        assert_eq!(
            (query.watch, query.initial_events, query.timeout),
            (true, Some(true), Some(Duration::from_secs(5)))
        );
        assert_eq!((query.dry_run, query.field_validation), (true, FieldValidation::Strict));
        assert_eq!(parse("resourceVersion=&limit=0&gracePeriodSeconds=").unwrap(), RequestParameters::default());
        for wrong in [
            "limit=-1",
            "watch=maybe",
            "resourceVersion=abc",
            "dryRun=Some",
            "fieldValidation=strict",
            "labelSelector=%zz",
            "timeoutSeconds=1e9",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
