//! Whether a build works, as far as it matters to readers: only what they see makes this process unready, and which build that
//! is may change while its runner runs.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fittrack_runtime::private::Check;

/// The readiness check of a read model, seen from one of its builds; clones share it.
#[derive(Debug, Clone)]
pub struct ShownCheck {
    check: Check,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    shown: bool,
    /// Why the build does not work, where it does not.
    trouble: Option<String>,
}

impl ShownCheck {
    /// Of a build that readers see, or do not.
    pub fn new(check: Check, shown: bool) -> Self {
        let state = State { shown, trouble: Some("it has not begun".to_owned()) };
        Self { check, state: Arc::new(Mutex::new(state)) }
    }

    /// It works.
    pub fn ready(&self) {
        self.say(None);
    }

    /// It does not.
    pub fn unready(&self, trouble: impl Into<String>) {
        self.say(Some(trouble.into()));
    }

    /// Readers see it now, or do not any more.
    pub fn set_shown(&self, shown: bool) {
        let mut state = self.state();
        if state.shown != shown {
            state.shown = shown;
            self.tell(&state);
        }
    }

    fn say(&self, trouble: Option<String>) {
        let mut state = self.state();
        state.trouble = trouble;
        self.tell(&state);
    }

    fn tell(&self, state: &State) {
        match &state.trouble {
            _ if !state.shown => {}
            None => self.check.ready(),
            Some(trouble) => self.check.unready(trouble.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fittrack_runtime::private::Readiness;

    use super::*;

    #[test]
    fn only_what_readers_see_counts_and_that_may_change() {
        let check = Readiness::new().check("totals");
        let (live, warm) = (ShownCheck::new(check.clone(), true), ShownCheck::new(check.clone(), false));
        live.ready();
        warm.unready("its table is gone");
        assert!(check.is_ready());
        live.set_shown(false);
        warm.set_shown(true);
        assert!(!check.is_ready());
        warm.ready();
        live.unready("nobody minds");
        assert!(check.is_ready());
    }
}
