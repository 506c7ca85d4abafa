//! What is wrong with the settings, written for the person who has just started the process.
//! All problems are collected before the process refuses, so that one attempt shows them all.

use std::fmt;

/// One setting's problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable's name.
    pub setting: String,
    /// What is wrong with it; never contains a secret.
    pub problem: String,
    /// A value that would be accepted, where the setting is known.
    pub example: Option<&'static str>,
}

/// Everything that is wrong with the settings; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings are not usable:")?;
        for error in &self.0 {
            write!(f, "  {}: {}", error.setting, error.problem)?;
            match error.example {
                Some(example) => writeln!(f, " (for example {}={example})", error.setting)?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
