//! `$GENERATE` of BIND: numbers in a template, which becomes one record for each.

/// A `$GENERATE` that makes more records is refused.
pub(super) const GENERATE_MAX: u32 = 65_536;
/// Widest number that can be asked for.
const WIDTH_MAX: usize = 255;

/// Reads `0-9` or `0-9/3`: the numbers, at most [`GENERATE_MAX`] of them.
pub(super) fn range(text: &str) -> Result<impl Iterator<Item = u32> + use<>, String> {
    let read = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| digits && *number <= i32::MAX as u32)
    };
    let refused = || format!("`{text}` is no range; write it as 1-254, or as 0-254/2 for every second number");
    let (ends, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = ends.split_once('-').ok_or_else(refused)?;
    let (Some(start), Some(stop), Some(step)) = (read(start), read(stop), read(step)) else { return Err(refused()) };
    if start > stop || step == 0 {
        return Err(refused());
    }
    let count = (stop - start) / step + 1;
    if count > GENERATE_MAX {
        return Err(format!("{count} records in one line are too many; at most {GENERATE_MAX} are made"));
    }
    Ok((start..=stop).step_by(step as usize))
}

/// The template with the number in place of each `$` and `${offset,width,base}`; `\$` and `$$` denote the sign itself.
/// Other escapes stay as they are.
pub(super) fn expand(template: &str, number: u32) -> Result<String, String> {
    let mut out = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let found = &rest[at..];
        if found.starts_with('\\') {
            // With what it escapes.
            let end = found.chars().take(2).map(char::len_utf8).sum();
            out.push_str(&found[..end]);
            rest = &found[end..];
        } else if let Some(after) = found.strip_prefix("$$") {
            out.push_str("\\$");
            rest = after;
        } else if let Some(after) = found.strip_prefix("${") {
            let (inside, after) = after.split_once('}').ok_or("`${` without `}`")?;
            out.push_str(&format(inside, number)?);
            rest = after;
        } else {
            out.push_str(&number.to_string());
            rest = &found[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The number as `offset,width,base` wants it; the last two may be missing.
fn format(inside: &str, number: u32) -> Result<String, String> {
    let refused =
        || format!("`${{{inside}}}` is not understood; write ${{offset,width,base}} with a base of d, o, x, X, n or N");
    let mut parts = inside.split(',');
    let offset: i64 = parts.next().and_then(|text| text.parse::<i32>().ok()).ok_or_else(refused)?.into();
    let width: usize = parts.next().map_or(Ok(0), str::parse).map_err(|_| refused())?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() || width > WIDTH_MAX {
        return Err(refused());
    }
    // BIND's numbers have 32 bits, and less than 0 is printed as such in decimal only.
    let value = i32::try_from(i64::from(number) + offset).map_err(|_| format!("{number} + {offset} is too much"))?;
    match base {
        "d" => Ok(format!("{value:0width$}")),
        "o" => Ok(format!("{value:0width$o}")),
        "x" => Ok(format!("{value:0width$x}")),
        "X" => Ok(format!("{value:0width$X}")),
        "n" => Ok(nibbles(format!("{value:x}"), width)),
        "N" => Ok(nibbles(format!("{value:X}"), width)),
        _ => Err(refused()),
    }
}

/// Hexadecimal digits as labels, the last digit first, as names of ip6.arpa have them; `width` counts the dots too.
fn nibbles(digits: String, width: usize) -> String {
    let mut out = String::new();
    for digit in digits.chars().rev().map(Some).chain(std::iter::repeat(None)) {
        if digit.is_none() && out.len() >= width {
            break;
        }
        if !out.is_empty() {
            out.push('.');
            if digit.is_none() && out.len() >= width {
                break;
            }
        }
        out.push(digit.unwrap_or('0'));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let rows: [(&str, Option<&[u32]>); 13] = [
            ("1-3", Some(&[1, 2, 3])),
            ("0-5/2", Some(&[0, 2, 4])),
            ("7-7", Some(&[7])),
            ("3-1", None),
            ("1", None),
            ("-3", None),
            ("1-", None),
            ("1-3/0", None),
            ("1-3/", None),
            ("+1-3", None),
            ("0-65536", None),
            ("0-2147483648/2147483647", None),
            ("a-b", None),
        ];
        for (text, expected) in rows {
            assert_eq!(range(text).ok().map(Iterator::collect::<Vec<_>>).as_deref(), expected, "{text}");
        }
        assert_eq!(range("0-2147483647/32768").unwrap().count(), 65_536);
    }

    #[test]
    fn templates() {
        let rows = [
            ("host-$", Some("host-10")),
            ("$.$", Some("10.10")),
            ("${0}", Some("10")),
            ("${-3}", Some("7")),
            ("${5,3}", Some("015")),
            ("${0,4,x}", Some("000a")),
            ("${0,0,X}", Some("A")),
            ("${0,3,o}", Some("012")),
            (r"\$$", Some(r"\$10")),
            ("$$$", Some(r"\$10")),
            (r"\036\\$", Some(r"\036\\10")),
            ("ü$ü", Some("ü10ü")),
            ("\\", Some("\\")),
            ("${-11}", Some("-1")),
            ("${0,3,n}", Some("a.0")),
            ("${0,4,N}", Some("A.0.")),
            ("${290,1,n}", Some("c.2.1")),
            ("${", None),
            ("${}", None),
            ("${0,256}", None),
            ("${0,1,q}", None),
            ("${2147483647}", None),
            ("${0,1,d,4}", None),
        ];
        for (template, expected) in rows {
            assert_eq!(expand(template, 10).ok().as_deref(), expected, "{template}");
        }
    }
}
