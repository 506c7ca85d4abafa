//! The readable output of a running stack: every process's log, line by line, behind its name.
//! Follows the log files, so it shows a process whoever started it, and loses nothing of one that is killed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

/// Where the reader is in each log.
pub struct Tail {
    folder: PathBuf,
    followed: BTreeMap<String, Followed>,
    coloured: bool,
}

#[derive(Default)]
struct Followed {
    offset: u64,
    unfinished_line: Vec<u8>,
}

impl Tail {
    /// Follows the logs in a folder from their present ends on.
    pub fn from_now(folder: &Path) -> Self {
        let mut tail = Self {
            folder: folder.to_path_buf(),
            followed: BTreeMap::new(),
            coloured: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        for (name, length) in logs(folder) {
            tail.followed.insert(name, Followed { offset: length, unfinished_line: Vec::new() });
        }
        tail
    }

    /// Prints what was added since the last call.
    pub fn print_new(&mut self) {
        let mut text = String::new();
        for ((name, length), colour) in logs(&self.folder).into_iter().zip(COLOURS.into_iter().cycle()) {
            let prefix = prefix(&name, self.coloured.then_some(colour));
            let followed = self.followed.entry(name.clone()).or_default();
            if length < followed.offset {
                *followed = Followed::default(); // the log was cut
            }
            for line in followed.read(&self.folder.join(format!("{name}.log"))) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{prefix} {line}");
            }
        }
        // A closed terminal is no reason to stop the stack here: the signal for it is handled elsewhere.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}

impl Followed {
    fn read(&mut self, path: &Path) -> Vec<String> {
        let mut bytes = std::mem::take(&mut self.unfinished_line);
        let read = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(1 << 20).read_to_end(&mut bytes)
        });
        self.offset += read.unwrap_or(0) as u64;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
        self.unfinished_line = bytes.split_off(end);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

fn logs(folder: &Path) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".log")?.to_owned();
            Some((name, entry.metadata().ok()?.len()))
        })
        .collect()
}

fn prefix(name: &str, colour: Option<&str>) -> String {
    match colour {
        Some(colour) => format!("\u{1b}[{colour}m{name:>13} |\u{1b}[0m"),
        None => format!("{name:>13} |"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kafka.log");
        let mut followed = Followed::default();
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(followed.read(&path), ["one"]);
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(followed.read(&path), ["two"]);
        assert!(followed.read(&path).is_empty());
    }

    #[test]
    fn colour_is_for_terminals_only() {
        assert_eq!(prefix("kafka", None), "        kafka |");
        assert!(prefix("kafka", Some("36")).starts_with('\u{1b}'));
    }
}
