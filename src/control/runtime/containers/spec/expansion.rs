//! References to variables in values, commands and paths: `$(NAME)`, with `$$` for a dollar sign.

/// The longest text that a process can be given as one argument or variable, in octets: Linux's `MAX_ARG_STRLEN`. Values
/// that name each other grow no further.
pub const TEXT_OCTETS_MAX: usize = 128 << 10;

/// The text would be longer than [`TEXT_OCTETS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Replaces references by what `value_of` says. What it does not know stays as it is written, and so does everything that is
/// no whole reference.
///
/// # Errors
/// The result is too long for any process.
pub fn expand<'v>(text: &str, mut value_of: impl FnMut(&str) -> Option<&'v str>) -> Result<String, TooLong> {
    let mut out = String::with_capacity(text.len().min(TEXT_OCTETS_MAX));
    let mut rest = text;
    // Looked for once: after the last one nothing is a reference any more.
    let mut has_end = true;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(literal) = after.strip_prefix('$') {
            out.push('$');
            rest = literal;
            continue;
        }
        rest = after;
        let reference = after.strip_prefix('(').filter(|_| has_end);
        match reference.map(|reference| reference.split_once(')')) {
            Some(Some((name, behind))) => {
                match value_of(name) {
                    Some(value) => out.push_str(value),
                    None => out.extend(["$(", name, ")"]),
                }
                rest = behind;
            }
            Some(None) => {
                has_end = false;
                out.push('$');
            }
            None => out.push('$'),
        }
        if out.len() > TEXT_OCTETS_MAX {
            return Err(TooLong);
        }
    }
    out.push_str(rest);
    match out.len() <= TEXT_OCTETS_MAX {
        true => Ok(out),
        false => Err(TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_and_what_is_none() {
        let rows = [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "one"),
            ("a$(A)b$(EMPTY)c", "aonebc"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$one"),
            ("$$$$(A)", "$$(A)"),
            ("$A", "$A"),
            ("$", "$"),
            ("$(", "$("),
            ("$(A", "$(A"),
            ("$(A$(A)", "$(A$(A)"),
            ("$(A))", "one)"),
            ("$()", "$()"),
            ("$( A )", "$( A )"),
            ("cost: 5$ or 5$$", "cost: 5$ or 5$"),
            ("ü$(A)ü", "üoneü"),
            // A value is not read again.
            ("$(B)", "$(A)"),
        ];
        let value_of = |name: &str| match name {
            "A" => Some("one"),
            "B" => Some("$(A)"),
            "EMPTY" => Some(""),
            _ => None,
        };
        for (text, expected) in rows {
            assert_eq!(expand(text, value_of).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn growth_has_an_end() {
        let large = "x".repeat(TEXT_OCTETS_MAX / 2);
        let value_of = |_: &str| Some(large.as_str());
        assert!(expand("$(A)$(A)", value_of).is_ok());
        assert_eq!(expand("$(A)$(A)$(A)", value_of), Err(TooLong));
        assert_eq!(expand(&"$(".repeat(TEXT_OCTETS_MAX), value_of), Err(TooLong));
    }

    proptest! {
        /// A text with every dollar sign doubled comes out as it was; one without any is left alone.
        #[test]
        fn doubled_is_literal(text in "[$()A-Cü ]{0,40}") {
            prop_assert_eq!(expand(&text.replace('$', "$$"), |_| Some("!")), Ok(text.clone()));
            let without = text.replace('$', "");
            prop_assert_eq!(expand(&without, |_| Some("!")), Ok(without));
        }

        /// Where every name stands for itself as a reference, nothing changes but doubled signs.
        #[test]
        fn names_that_stand_for_themselves(parts in proptest::collection::vec("(a|b|\\(|\\)|\\$\\(A\\)|\\$B|ß)", 0..20)) {
            let text = parts.concat();
            prop_assert_eq!(expand(&text, |_| None), Ok(text));
        }
    }
}
