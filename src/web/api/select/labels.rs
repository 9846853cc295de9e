//! Label selectors: `app=web`, `tier!=db`, `env in (a, b)`, `env notin (a)`, `release`, `!release`, `age>3`, `age<3`.

use crate::objects::object::validate::names;
use std::collections::{BTreeMap, BTreeSet};

/// A parsed label selector: all of its requirements hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelRequirements(Vec<LabelRequirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Greater,
    Less,
}

impl LabelRequirements {
    /// Reads a selector; an empty one selects everything.
    pub fn parse(text: &str) -> Result<LabelRequirements, String> {
        let mut reader = SelectorReader { tokens: tokens(text), next: 0 };
        let mut requirements = Vec::new();
        loop {
            match reader.peek() {
                SelectorToken::End => return Ok(LabelRequirements(requirements)),
                SelectorToken::Word(_) | SelectorToken::Sign("!") => {}
                other => return Err(format!("found '{other}', expected: !, identifier, or 'end of string'")),
            }
            let requirement = reader.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?;
            requirements.push(requirement);
            match reader.take() {
                SelectorToken::End => return Ok(LabelRequirements(requirements)),
                SelectorToken::Sign(",") => {
                    let next = reader.peek();
                    if !matches!(next, SelectorToken::Word(_) | SelectorToken::Sign("!")) {
                        return Err(format!("found '{next}', expected: identifier after ','"));
                    }
                }
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
        }
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels.and_then(|labels| labels.get(&requirement.key))))
    }
}

impl LabelRequirement {
    fn holds(&self, value: Option<&String>) -> bool {
        let number = |text: &String| text.parse::<i64>().ok();
        let limit = || self.values.first().and_then(number);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Greater => value.and_then(number).zip(limit()).is_some_and(|(value, limit)| value > limit),
            Operator::Less => value.and_then(number).zip(limit()).is_some_and(|(value, limit)| value < limit),
        }
    }

    /// Upstream's checks of a whole requirement.
    fn validate(self) -> Result<LabelRequirement, String> {
        let wanted = |what: &str| Err(format!("values: Invalid value: {}: {what}", printed(&self.values)));
        match self.operator {
            Operator::In | Operator::NotIn if self.values.is_empty() => {
                return wanted("for 'in', 'notin' operators, values set can't be empty");
            }
            Operator::Greater | Operator::Less => {
                if let Some(value) = self.values.iter().find(|value| value.parse::<i64>().is_err()) {
                    let what = "for 'Gt', 'Lt' operators, the value must be an integer";
                    return Err(format!("values[0]: Invalid value: {value:?}: {what}"));
                }
            }
            _ => {}
        }
        for (index, value) in self.values.iter().enumerate() {
            let faults = names::label_value(value);
            if !faults.is_empty() {
                return Err(format!("values[{index}][{}]: Invalid value: {value:?}: {}", self.key, faults.join("; ")));
            }
        }
        Ok(self)
    }
}

fn printed(values: &BTreeSet<String>) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

/// One word or sign of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SelectorToken {
    Word(String),
    Sign(&'static str),
    End,
}

impl std::fmt::Display for SelectorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SelectorToken::Word(word) => f.write_str(word),
            SelectorToken::Sign(sign) => f.write_str(sign),
            SelectorToken::End => Ok(()),
        }
    }
}

/// The longer ones first.
const SIGNS: [&str; 9] = ["!=", "==", "!", "=", "(", ")", ",", ">", "<"];

fn sign(text: &str) -> Option<&'static str> {
    SIGNS.into_iter().find(|sign| text.starts_with(sign))
}

fn tokens(text: &str) -> Vec<SelectorToken> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = sign(rest) {
            tokens.push(SelectorToken::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let ends =
                |letter: char| letter.is_whitespace() || matches!(letter, '=' | '!' | '(' | ')' | ',' | '>' | '<');
            let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
            tokens.push(SelectorToken::Word(word.to_owned()));
            rest = after;
        }
        rest = rest.trim_start();
    }
    tokens
}

struct SelectorReader {
    tokens: Vec<SelectorToken>,
    next: usize,
}

impl SelectorReader {
    fn peek(&self) -> SelectorToken {
        self.tokens.get(self.next).cloned().unwrap_or(SelectorToken::End)
    }

    fn take(&mut self) -> SelectorToken {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let is_negated = self.peek() == SelectorToken::Sign("!");
        if is_negated {
            self.take();
        }
        let key = match self.take() {
            SelectorToken::Word(word) => word,
            other => return Err(format!("found '{other}', expected: identifier")),
        };
        let faults = names::qualified_name(&key);
        if !faults.is_empty() {
            return Err(format!("<nil>: Invalid value: {key:?}: {}", faults.join("; ")));
        }
        let requirement = |operator, values| LabelRequirement { key: key.clone(), operator, values };
        if is_negated {
            return Ok(requirement(Operator::DoesNotExist, BTreeSet::new()));
        }
        if matches!(self.peek(), SelectorToken::End | SelectorToken::Sign(",")) {
            return Ok(requirement(Operator::Exists, BTreeSet::new()));
        }
        let operator = match self.take() {
            SelectorToken::Word(word) if word == "in" => return requirement(Operator::In, self.values()?).validate(),
            SelectorToken::Word(word) if word == "notin" => {
                return requirement(Operator::NotIn, self.values()?).validate();
            }
            SelectorToken::Sign("=" | "==") => Operator::In,
            SelectorToken::Sign("!=") => Operator::NotIn,
            SelectorToken::Sign(">") => Operator::Greater,
            SelectorToken::Sign("<") => Operator::Less,
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        requirement(operator, BTreeSet::from([self.exact_value()?])).validate()
    }

    /// What follows `=`, which may be nothing.
    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            SelectorToken::End | SelectorToken::Sign(",") => Ok(String::new()),
            SelectorToken::Word(word) => {
                self.take();
                Ok(word)
            }
            other => Err(format!("found '{other}', expected: identifier")),
        }
    }

    /// The values in parentheses; an empty one is between two commas.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open != SelectorToken::Sign("(") {
            return Err(format!("found '{open}' expected: '('"));
        }
        let mut values = BTreeSet::new();
        if self.peek() == SelectorToken::Sign(")") {
            self.take();
            return Ok(values);
        }
        loop {
            let value = match self.peek() {
                SelectorToken::Word(word) => {
                    self.take();
                    word
                }
                SelectorToken::Sign("," | ")") => String::new(),
                other => return Err(format!("found '{other}', expected: ',', ')' or identifier")),
            };
            values.insert(value);
            match self.take() {
                SelectorToken::Sign(",") => {}
                SelectorToken::Sign(")") => return Ok(values),
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_selected() {
        let labels = [("app", "web"), ("tier", "db"), ("age", "7"), ("a.b/c", ""), ("in", "x")];
        let labels: BTreeMap<String, String> = labels.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        for (selector, expected) in [
            ("", true),
            ("  ", true),
            ("app", true),
            ("!app", false),
            ("nope", false),
            ("! nope", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier != cache", true),
            ("app=", false),
            ("a.b/c=", true),
            ("a.b/c", true),
            ("app!=web", false),
            ("nope!=web", true),
            ("app in (web)", true),
            ("app in (api, web),tier notin (cache,queue)", true),
            ("app notin (web,api)", false),
            ("nope notin (web)", true),
            ("nope in (web)", false),
            ("a.b/c in (,x)", true),
            ("a.b/c in (x,)", true),
            ("age>6", true),
            ("age > 7", false),
            ("age<8,age>6", true),
            ("app>6", false),
            ("in", true),
            ("in in (x)", true),
            ("app=web,tier=cache", false),
        ] {
            let parsed = LabelRequirements::parse(selector).unwrap_or_else(|why| panic!("{selector}: {why}"));
            assert_eq!(parsed.matches(Some(&labels)), expected, "{selector}");
        }
        assert!(LabelRequirements::parse("!app").unwrap().matches(None));
        assert!(!LabelRequirements::parse("app").unwrap().matches(None));
    }

    #[test]
    fn what_is_refused() {
        for (selector, expected) in [
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            ("app,", "found '', expected: identifier after ','"),
            ("app=web=x", "found '=', expected: ',' or 'end of string'"),
            ("app=web x", "found 'x', expected: ',' or 'end of string'"),
            ("app web", "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"),
            ("app in web", "unable to parse requirement: found 'web' expected: '('"),
            ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
            (
                "app in ()",
                "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be \
                 empty",
            ),
            (
                "age>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must \
                 be an integer",
            ),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("app=(", "unable to parse requirement: found '(', expected: identifier"),
        ] {
            assert_eq!(LabelRequirements::parse(selector).unwrap_err(), expected, "{selector}");
        }
        for (selector, begins) in [
            (
                "app=-",
                "unable to parse requirement: values[0][app]: Invalid value: \"-\": a valid label must be an empty",
            ),
            (
                "a/b/c=d",
                "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a qualified name must consist of",
            ),
        ] {
            let why = LabelRequirements::parse(selector).unwrap_err();
            assert!(why.starts_with(begins), "{selector}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "([a-z]{1,3}|in|notin|[=!(),<> \\t-]|\\PC){0,24}") {
            if let Ok(labels) = LabelRequirements::parse(&text) {
                labels.matches(None);
            }
        }
    }
}
