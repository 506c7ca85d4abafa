//! How every operation was answered in a run of schemathesis, as `hooks.py` writes it down: a line for each answer.
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Of each operation: its statuses, each with how often.
pub struct Answers(BTreeMap<String, BTreeMap<u16, usize>>);

impl Answers {
    pub fn read(path: &Path) -> Self {
        Self::of(&std::fs::read_to_string(path).unwrap())
    }

    fn of(lines: &str) -> Self {
        let mut answers = BTreeMap::<_, BTreeMap<_, _>>::new();
        for line in lines.lines() {
            let (operation, status) = line.split_once(' ').unwrap();
            *answers.entry(operation.to_owned()).or_default().entry(status.parse().unwrap()).or_default() += 1;
        }
        Self(answers)
    }

    /// Whether an operation was ever done, and not only refused.
    pub fn are_a_success_of(&self, operation: &str) -> bool {
        self.0.get(operation).is_some_and(|statuses| statuses.keys().any(|status| (200..300).contains(status)))
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (operation, statuses) in &self.0 {
            write!(formatter, "  {operation:<24}")?;
            for (status, count) in statuses {
                write!(formatter, " {count} x {status}")?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

#[test]
fn what_was_only_refused_was_not_done() {
    let answers = Answers::of("get_import 404\nshow_erasure 404\nget_import 200\nget_import 404\nget_me 304\n");
    assert!(answers.are_a_success_of("get_import"));
    for operation in ["show_erasure", "get_me", "never_asked"] {
        assert!(!answers.are_a_success_of(operation), "{operation}");
    }
    assert!(answers.to_string().contains("get_import               1 x 200 2 x 404\n"), "{answers}");
}
