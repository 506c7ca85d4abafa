//! The breaks that are meant, `schemas/openapi/breaks.txt`: each a line as it is found, with its reason indented under it.
//! The list is exact: what is not in it is refused, and what is in it and not found is refused too.
use std::collections::BTreeMap;

/// The list, each break with its reason.
pub fn read(text: &str) -> BTreeMap<String, String> {
    let mut breaks: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        if line.starts_with(' ') {
            let reason = breaks.entry(last.clone()).or_default();
            let gap = if reason.is_empty() { "" } else { " " };
            reason.extend([gap, line.trim()]);
        } else {
            line.trim_end().clone_into(&mut last);
            breaks.entry(last.clone()).or_default();
        }
    }
    breaks
}

/// What is wrong between the list and what was found; nothing where they agree.
pub fn objections(allowed: &BTreeMap<String, String>, found: &[String]) -> Vec<String> {
    let mut objections = Vec::new();
    for one in found.iter().filter(|one| !allowed.contains_key(*one)) {
        objections.push(format!("{one}\n    clients of the published document trip over this"));
    }
    for (one, reason) in allowed {
        if !found.contains(one) {
            objections.push(format!("{one}\n    is in the list of meant breaks and is none: take it out"));
        } else if reason.is_empty() {
            objections.push(format!(
                "{one}\n    is in the list of meant breaks without a reason: write it in an indented line"
            ));
        }
    }
    objections
}

#[test]
fn a_break_is_allowed_by_its_own_line_with_a_reason() {
    let list = read("# head\nquery-api GET /a: is gone\n    Nobody asked for it,\n    says the log.\n");
    let found = |breaks: &[&str]| breaks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(list["query-api GET /a: is gone"], "Nobody asked for it, says the log.");
    assert!(objections(&list, &found(&["query-api GET /a: is gone"])).is_empty());
    let [one] = &objections(&list, &found(&["query-api GET /a: is gone", "query-api GET /b: is gone"]))[..] else {
        panic!()
    };
    assert!(one.starts_with("query-api GET /b: is gone"), "{one}");
}

#[test]
fn a_line_without_a_reason_or_without_a_break_is_refused() {
    let list = read("query-api GET /a: is gone\n");
    assert!(objections(&list, &["query-api GET /a: is gone".to_owned()])[0].contains("without a reason"));
    assert!(objections(&list, &[])[0].contains("is none"));
}
