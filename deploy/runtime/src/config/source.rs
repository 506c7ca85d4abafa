//! Where settings come from: the environment, over the file named by `FITTRACK_SETTINGS_FILE`.
//! A [`Source`] remembers what was asked and what was wrong, and says all of it in `finish`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use crate::pg::{DatabaseUrl, Logins};

use super::{ConfigError, ConfigErrors, Secret, Setting};

const SETTINGS_FILE: &str = "FITTRACK_SETTINGS_FILE";
/// `true` where secrets everybody can read in the documentation will do.
const DEV: &str = "FITTRACK_DEV";

/// Names that belong to the command line around the processes, not to a process.
const TOLERATED_NAMES: &[&str] = &[SETTINGS_FILE, DEV, "FITTRACK_DIR", "FITTRACK_PORT_BASE"];
const TOLERATED_PREFIXES: &[&str] = &["FITTRACK_TEST_", "FITTRACK_LOCAL_", "FITTRACK_BENCH_"];
/// Kubernetes announces a service called `fittrack-...` through variables like these.
const SERVICE_LINK_MARKS: &[&str] = &["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"];

/// The settings given to this process, and the problems found while reading them.
pub struct Source {
    values: BTreeMap<String, String>,
    known: BTreeSet<&'static str>,
    problems: Vec<ConfigError>,
    logins: Logins,
}

/// Names alone: some values are secrets.
impl Debug for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { values, known, problems, logins: _ } = self;
        let names: Vec<&String> = values.keys().collect();
        f.debug_struct("Source").field("names", &names).field("known", known).field("problems", problems).finish()
    }
}

impl Source {
    /// Reads the environment, over the file named by `FITTRACK_SETTINGS_FILE` where that is set.
    pub fn from_env() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(key, value)| {
            // A value that is not UTF-8 is of no use to any setting; it is reported as absent.
            Some((key.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// Reads the pairs as if they were the environment (the settings file included).
    pub fn from_pairs(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let environment: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .filter(|(key, _)| key.starts_with("FITTRACK_"))
            .collect();
        let mut source =
            Self { values: BTreeMap::new(), known: BTreeSet::new(), problems: Vec::new(), logins: Logins::default() };
        if let Some(path) = environment.get(SETTINGS_FILE) {
            source.read_settings_file(path);
        }
        source.drop_shadowed_file_variants(&environment);
        source.values.extend(environment);
        source
    }

    /// The value of a setting that must be there; empty, with a problem noted, where it is not.
    pub fn required(&mut self, setting: &Setting) -> String {
        self.optional(setting).unwrap_or_else(|| {
            if !self.has_problem(setting.name) {
                self.refuse(setting, "is required and not set");
            }
            String::new()
        })
    }

    /// The value of a setting, or else its default, or else nothing.
    pub fn optional(&mut self, setting: &Setting) -> Option<String> {
        self.given(setting).or_else(|| setting.default.map(str::to_owned))
    }

    /// Like [`Source::required`], for a value that is never shown.
    pub fn secret(&mut self, setting: &Setting) -> Secret {
        Secret::new(self.required(setting))
    }

    /// Like [`Source::optional`], for a value that is never shown.
    pub fn optional_secret(&mut self, setting: &Setting) -> Option<Secret> {
        self.optional(setting).map(Secret::new)
    }

    /// The database a setting has the URL of; where that is in a file, a process follows its changes ([`Source::logins`]).
    pub fn database(&mut self, setting: &Setting) -> DatabaseUrl {
        let url = self.secret(setting);
        self.followed(setting, url)
    }

    /// Like [`Source::database`], for one that may be absent.
    pub fn optional_database(&mut self, setting: &Setting) -> Option<DatabaseUrl> {
        let url = self.optional_secret(setting)?;
        Some(self.followed(setting, url))
    }

    /// The databases asked for, those asked for later included.
    pub fn logins(&self) -> Logins {
        self.logins.clone()
    }

    fn followed(&self, setting: &Setting, url: Secret) -> DatabaseUrl {
        let database = DatabaseUrl::new(setting.name, url, self.file_of(setting).map(Into::into));
        self.logins.add(&database);
        database
    }

    /// The file a setting's value is in, where it is given as one; for values that are read again when they change.
    pub fn file_of(&self, setting: &Setting) -> Option<String> {
        self.values.get(&file_variant(setting.name)).filter(|path| !path.is_empty()).cloned()
    }

    /// The value parsed, or else the setting's default parsed, or else `fallback`.
    /// What cannot be parsed, or is required and absent, is noted as a problem (and the fallback returned).
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, setting: &Setting, fallback: T) -> T {
        let Some(text) = self.optional(setting) else {
            if setting.required && !self.has_problem(setting.name) {
                self.refuse(setting, "is required and not set");
            }
            return fallback;
        };
        match text.parse() {
            Ok(value) => value,
            Err(error) if setting.secret => {
                self.refuse(setting, &format!("cannot be used: {error}"));
                fallback
            }
            Err(error) => {
                self.refuse(setting, &format!("`{text}` cannot be used: {error}"));
                fallback
            }
        }
    }

    /// Declares settings that may be present although this run does not ask for them (another subcommand does).
    pub fn knows(&mut self, settings: &[Setting]) {
        self.known.extend(settings.iter().map(|setting| setting.name));
    }

    /// Whether this is a trial, for which secrets everybody can read and connections anybody can listen to will do.
    pub fn is_dev(&self) -> bool {
        self.values.get(DEV).is_some_and(|dev| dev == "true")
    }

    /// Notes a problem found by the caller (two settings that exclude each other, say).
    pub fn refuse(&mut self, setting: &Setting, problem: &str) {
        self.problems.push(ConfigError {
            setting: setting.name.to_owned(),
            problem: problem.to_owned(),
            example: Some(setting.example),
        });
    }

    /// Says everything that is wrong, unknown `FITTRACK_*` names included.
    pub fn finish(mut self) -> Result<(), ConfigErrors> {
        let unknown: Vec<String> = self.values.keys().filter(|key| !self.is_known(key)).cloned().collect();
        for key in unknown {
            let problem = match self.nearest_known(&key) {
                Some(name) => format!("is not a setting of this process; did you mean {name}?"),
                None => "is not a setting of this process".to_owned(),
            };
            self.problems.push(ConfigError { setting: key, problem, example: None });
        }
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigErrors(self.problems)) }
    }

    /// The value given directly or through `<name>_FILE`; an empty value counts as absent.
    fn given(&mut self, setting: &Setting) -> Option<String> {
        self.known.insert(setting.name);
        let direct = self.values.get(setting.name).filter(|value| !value.is_empty()).cloned();
        let file = self.values.get(&file_variant(setting.name)).filter(|path| !path.is_empty()).cloned();
        match (direct, file) {
            (Some(_), Some(_)) => {
                let problem = format!("is given twice: directly and through {}", file_variant(setting.name));
                self.refuse(setting, &problem);
                None
            }
            (Some(value), None) => self.unlike_example(setting, value),
            (None, Some(path)) => {
                self.read_value_file(setting, &path).and_then(|value| self.unlike_example(setting, value))
            }
            (None, None) => None,
        }
    }

    /// The value, unless it is a secret that is in the documentation for everybody to read.
    fn unlike_example(&mut self, setting: &Setting, value: String) -> Option<String> {
        let is_dev = self.is_dev();
        let is_example = setting.secret && (value == setting.example || has_password_of(&value, setting.example));
        if is_dev || !is_example {
            return Some(value);
        }
        self.refuse(
            setting,
            &format!("has the secret of the example; choose another (or set {DEV}=true to try things out)"),
        );
        None
    }

    fn read_value_file(&mut self, setting: &Setting, path: &str) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(content) => Some(content.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => {
                let problem = format!("cannot be read from the file {path}: {error}");
                self.problems.push(ConfigError {
                    setting: setting.name.to_owned(),
                    problem,
                    example: (!setting.secret).then_some(setting.example),
                });
                None
            }
        }
    }

    fn read_settings_file(&mut self, path: &str) {
        let content = match std::fs::read_to_string(path) {
            Ok(content) => content,
            Err(error) => return self.refuse_settings_file(&format!("cannot read {path}: {error}")),
        };
        for (index, line) in content.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once('=') {
                Some((key, value)) if key.trim().starts_with("FITTRACK_") => {
                    self.values.insert(key.trim().to_owned(), unquoted(value.trim()).to_owned());
                }
                // The line itself is not shown: it may be half of a secret.
                _ => {
                    self.refuse_settings_file(&format!("{path}, line {}: expected FITTRACK_NAME=VALUE", index + 1));
                }
            }
        }
    }

    fn refuse_settings_file(&mut self, problem: &str) {
        self.problems.push(ConfigError {
            setting: SETTINGS_FILE.to_owned(),
            problem: problem.to_owned(),
            example: None,
        });
    }

    /// `X` in the environment wins over `X_FILE` in the settings file, and the other way round.
    fn drop_shadowed_file_variants(&mut self, environment: &BTreeMap<String, String>) {
        self.values.retain(|key, _| {
            let twin = key.strip_suffix("_FILE").map_or_else(|| file_variant(key), str::to_owned);
            !environment.contains_key(&twin)
        });
    }

    /// Whether a problem of this setting was noted already.
    pub fn has_problem(&self, name: &str) -> bool {
        self.problems.iter().any(|problem| problem.setting == name)
    }

    fn is_known(&self, key: &str) -> bool {
        self.known.contains(key)
            || key.strip_suffix("_FILE").is_some_and(|name| self.known.contains(name))
            || TOLERATED_NAMES.contains(&key)
            || TOLERATED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
            || SERVICE_LINK_MARKS.iter().any(|mark| key.contains(mark))
    }

    fn nearest_known(&self, key: &str) -> Option<&'static str> {
        self.known
            .iter()
            .map(|name| (edit_distance(key, name), *name))
            .min()
            .filter(|(distance, _)| *distance <= 3)
            .map(|(_, name)| name)
    }
}

/// Whether two URLs have the same password.
fn has_password_of(url: &str, other: &str) -> bool {
    let password = password_of(url);
    password.is_some() && password == password_of(other)
}

fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

fn file_variant(name: &str) -> String {
    format!("{name}_FILE")
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

/// Levenshtein distance in bytes; names are short ASCII.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let next = (previous + 1).min(*cell + 1).min(diagonal + usize::from(a != b));
            diagonal = *cell;
            *cell = next;
            previous = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
