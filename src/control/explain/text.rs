//! An explanation as people read it.

use super::{Explanation, Stage, Status};
use crate::text::escape::visible;
use std::fmt::{self, Display};

/// Columns before the text of a step.
const MARGIN_COLUMNS: usize = 21;
/// Columns of a line; a longer word stands alone.
const LINE_COLUMNS_MAX: usize = 118;

impl Stage {
    /// The word before a step.
    fn word(self) -> &'static str {
        match self {
            Stage::Zone => "zone",
            Stage::Name => "name",
            Stage::Namespace => "namespace",
            Stage::Service => "Service",
            Stage::Port => "port",
            Stage::StatefulSet => "StatefulSet",
            Stage::Pod => "pod",
            Stage::Claim => "claim",
            Stage::Endpoint => "endpoint",
            Stage::Alias => "alias",
            Stage::Records => "records",
        }
    }
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        }
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = format!("{} {}, asked by a pod of namespace {}", self.asked, self.record_type, self.namespace);
        writeln!(f, "{}", visible(&question))?;
        for (index, tried) in self.tries.iter().enumerate() {
            line(f, "", if index == 0 { "search" } else { "" }, &format!("{} {}", tried.name, tried.outcome))?;
        }
        writeln!(f, "{}", visible(&self.name))?;
        for step in &self.steps {
            line(f, step.status.word(), step.level.word(), &step.text)?;
        }
        self.answer(f)?;
        for (index, advice) in self.advice.iter().enumerate() {
            line(f, "", if index == 0 { "to do" } else { "" }, advice)?;
        }
        for (index, name) in self.did_you_mean.iter().enumerate() {
            line(f, "", if index == 0 { "did you mean" } else { "" }, name)?;
        }
        Ok(())
    }
}

impl Explanation {
    /// Only what DNS says.
    pub fn short(&self) -> String {
        match self.answer.records.as_slice() {
            [] => visible(&format!("{} {}", self.name, self.answer.outcome())) + "\n",
            records => records.iter().map(|record| visible(record) + "\n").collect(),
        }
    }

    fn answer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = &self.answer;
        let mut said = match (answer.code.as_str(), answer.records.is_empty()) {
            _ if answer.forwarded => "asked for elsewhere; here is known:".to_owned(),
            ("NOERROR", true) => "NODATA: the name exists, and has no record of this type".to_owned(),
            ("NXDOMAIN", _) => "NXDOMAIN: the name does not exist, and nothing below it does".to_owned(),
            ("YXDOMAIN", _) => "YXDOMAIN: the name that a DNAME makes of it is longer than 255 octets".to_owned(),
            (code, _) => code.to_owned(),
        };
        match answer.negative_ttl {
            Some(0) => said.push_str("; not to be remembered"),
            Some(ttl) => said.push_str(&format!("; resolvers may remember that for {ttl} s")),
            None => {}
        }
        line(f, "", "answer", &said)?;
        for record in &answer.records {
            line(f, "", "", record)?;
        }
        for error in &answer.extended_errors {
            let text = if error.text.is_empty() { String::new() } else { format!(": {}", error.text) };
            line(f, "", "", &format!("extended error {}{text}", error.code))?;
        }
        Ok(())
    }
}

/// A status, a level and a text that is broken between words.
fn line(f: &mut fmt::Formatter<'_>, status: &str, level: &str, text: &str) -> fmt::Result {
    write!(f, "  {status:<5} {level:<13}")?;
    let mut column = MARGIN_COLUMNS;
    for (index, word) in visible(text).split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > LINE_COLUMNS_MAX {
            write!(f, "\n{:MARGIN_COLUMNS$}", "")?;
            column = MARGIN_COLUMNS;
        } else if index > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += width;
    }
    writeln!(f)
}
