//! Lists that are committed beside their tests: what was found is what the list says, line by line, or somebody has to look.

use std::path::Path;

use crate::failure::{Failure, Result};

/// Holds what was found against the list in this file; with `FITTRACK_BLESS` the list is written anew first.
///
/// # Errors
/// With the lines that differ, or when the file cannot be written.
pub fn holds(file: &Path, found: &str) -> Result<()> {
    if std::env::var_os("FITTRACK_BLESS").is_some() {
        std::fs::write(file, found)?;
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    if found == committed {
        return Ok(());
    }
    let differing = |one: &str, other: &str| {
        let lines: Vec<&str> = one.lines().filter(|line| !other.lines().any(|same| same == *line)).collect();
        lines.join("\n  ")
    };
    let (now, said) = (differing(found, &committed), differing(&committed, found));
    Err(Failure::new(format!("it is not as {} says; now:\n  {now}\nsaid:\n  {said}", file.display())))
}
