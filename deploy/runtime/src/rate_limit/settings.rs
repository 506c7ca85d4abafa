//! The allowances as operators write them: `write=10/1s:50` is ten a second with up to fifty at once; `off` counts nothing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Class;

/// More than this at once or in a window is the same as no limit, and keeps the arithmetic far from its bounds.
const MOST: u32 = 100_000_000;
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// One allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many requests
    pub quota: u32,
    /// in so long, whole seconds,
    pub window: Duration,
    /// and so many at once after a pause.
    pub burst: u32,
}

/// The allowances of all classes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits(Option<Policies>);

/// One for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policies {
    auth: Policy,
    write: Policy,
    read: Policy,
    export: Policy,
}

/// Text that is no list of allowances.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableRateLimits {
    /// No such class.
    #[error("there is no class `{0}`; there are auth, write, read and export")]
    Class(String),
    /// Not `N/WINDOW` or `N/WINDOW:BURST`.
    #[error("`{0}` is no allowance such as write=10/1s or write=10/1s:50 (windows in s, m or h, at most 24h)")]
    Policy(String),
}

impl Policy {
    const fn new(quota: u32, seconds: u64, burst: u32) -> Self {
        Self { quota, window: Duration::from_secs(seconds), burst }
    }

    pub(super) fn times(self, factor: u32) -> Self {
        Self { quota: self.quota.saturating_mul(factor), burst: self.burst.saturating_mul(factor), ..self }
    }
}

impl Policies {
    const DEFAULT: Self = Self {
        auth: Policy::new(10, 60, 10),
        write: Policy::new(10, 1, 50),
        read: Policy::new(50, 1, 250),
        export: Policy::new(5, 3600, 5),
    };

    pub(super) fn of(&self, class: Class) -> Policy {
        match class {
            Class::Auth => self.auth,
            Class::Write => self.write,
            Class::Read => self.read,
            Class::Export => self.export,
        }
    }

    fn set(&mut self, class: Class, policy: Policy) {
        match class {
            Class::Auth => self.auth = policy,
            Class::Write => self.write = policy,
            Class::Read => self.read = policy,
            Class::Export => self.export = policy,
        }
    }
}

impl RateLimits {
    /// Those of a production process; the same as the default of its setting.
    pub const PRODUCTION: Self = Self(Some(Policies::DEFAULT));
    /// No limits.
    pub const OFF: Self = Self(None);

    pub(super) fn policies(&self) -> Option<&Policies> {
        self.0.as_ref()
    }
}

/// `off`, or changes to the production ones.
impl FromStr for RateLimits {
    type Err = UnusableRateLimits;

    fn from_str(text: &str) -> Result<Self, UnusableRateLimits> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Self::OFF);
        }
        let mut policies = Policies::DEFAULT;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let unusable = || UnusableRateLimits::Policy(part.to_owned());
            let (class, policy) = part.split_once('=').ok_or_else(unusable)?;
            let class = Class::named(class.trim()).ok_or_else(|| UnusableRateLimits::Class(class.trim().to_owned()))?;
            policies.set(class, policy_of(policy.trim()).ok_or_else(unusable)?);
        }
        Ok(Self(Some(policies)))
    }
}

impl fmt::Display for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(policies) = &self.0 else { return f.write_str("off") };
        for (index, class) in Class::ALL.into_iter().enumerate() {
            let Policy { quota, window, burst } = policies.of(class);
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}={quota}/{}s:{burst}", class.as_str(), window.as_secs())?;
        }
        Ok(())
    }
}

fn policy_of(text: &str) -> Option<Policy> {
    let (quota, rest) = text.split_once('/')?;
    let (window, burst) = rest.split_once(':').unwrap_or((rest, quota));
    let number = |text: &str| text.trim().parse().ok().filter(|number| (1..=MOST).contains(number));
    Some(Policy { quota: number(quota)?, window: window_of(window.trim())?, burst: number(burst)? })
}

fn window_of(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let window = Duration::from_secs(u64::from(number) * seconds);
    (!window.is_zero() && window <= LONGEST_WINDOW).then_some(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_as_in_production() {
        let limits: RateLimits = "write=1000/1s, export = 2/24h:7".parse().unwrap();
        assert_eq!(limits.to_string(), "auth=10/60s:10,write=1000/1s:1000,read=50/1s:250,export=2/86400s:7");
        assert_eq!("".parse(), Ok(RateLimits::PRODUCTION));
        assert_eq!("Off".parse(), Ok(RateLimits::OFF));
        assert_eq!(RateLimits::PRODUCTION.to_string().parse(), Ok(RateLimits::PRODUCTION));
    }

    #[test]
    fn what_is_no_allowance_is_refused_by_name() {
        for bad in [
            "write",
            "write=",
            "write=10",
            "write=0/1s",
            "write=10/1d",
            "write=10/0s",
            "write=10/25h",
            "write=10/1s:0",
            "on",
        ] {
            let refusal = bad.parse::<RateLimits>().unwrap_err();
            assert!(refusal.to_string().contains(&format!("`{bad}`")), "{refusal}");
        }
        assert!("fly=1/1s".parse::<RateLimits>().unwrap_err().to_string().contains("no class `fly`"));
    }
}
