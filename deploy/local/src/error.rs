//! What went wrong on this machine, said so that the reader can act: the problem and what to do about it.
//! Every function of this crate that can fail answers with it, and `main` turns it into an exit code.

use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the local stack, in words for the person at the keyboard.
#[derive(Debug)]
pub struct Error {
    problem: String,
    advice: Option<String>,
    wrong_use: bool,
}

impl Error {
    /// Something did not work (exit code 1).
    pub fn failed(problem: impl fmt::Display) -> Self {
        Self { problem: problem.to_string(), advice: None, wrong_use: false }
    }

    /// The command line asked for something that makes no sense (exit code 2).
    pub fn wrong_use(problem: impl fmt::Display) -> Self {
        Self { problem: problem.to_string(), advice: None, wrong_use: true }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    /// The process exit code: 2 for wrong use, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        if self.wrong_use { 2 } else { 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem)?;
        match &self.advice {
            Some(advice) => write!(formatter, "\n  what to do: {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Names what was being done when a lower layer failed: `fs::read(path).while_doing(|| format!("read {path}"))`.
pub trait WhileDoing<T> {
    /// Turns the error into "cannot DOING: CAUSE".
    fn while_doing<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: fmt::Display> WhileDoing<T> for std::result::Result<T, E> {
    fn while_doing<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|cause| Error::failed(format!("cannot {}: {cause}", doing())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_problem_and_what_to_do() {
        let error = Error::failed("port 8400 is taken").advise("pass --port-base");
        assert_eq!(error.to_string(), "port 8400 is taken\n  what to do: pass --port-base");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(Error::wrong_use("x").exit_code(), 2);
    }
}
