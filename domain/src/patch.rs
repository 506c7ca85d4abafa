//! One field of a JSON merge patch (RFC 7396): absent, null, or a value.
//! Commands that change something carry these; `decide` applies them to the current state.
use serde::{Deserialize, Deserializer};

/// What a patch says of one field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was absent: leave it.
    #[default]
    Keep,
    /// The field was `null`: remove it.
    Clear,
    /// The field had a value: set it.
    Set(T),
}

impl<T> Patch<T> {
    /// The optional field after the patch.
    pub fn on(&self, current: Option<&T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Keep => current.cloned(),
            Self::Clear => None,
            Self::Set(value) => Some(value.clone()),
        }
    }

    /// Turns the value by a fallible function, keeping absence and null.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        match self {
            Self::Keep => Ok(Patch::Keep),
            Self::Clear => Ok(Patch::Clear),
            Self::Set(value) => f(value).map(Patch::Set),
        }
    }
}

/// With `#[serde(default)]` an absent field is `Keep`; a present `null` is `Clear`.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<T>::deserialize(deserializer)? {
            None => Self::Clear,
            Some(value) => Self::Set(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        title: Patch<String>,
    }

    fn title(json: &str) -> Patch<String> {
        serde_json::from_str::<Body>(json).unwrap().title
    }

    #[test]
    fn absent_null_and_value_are_three_things() {
        assert_eq!(title("{}"), Patch::Keep);
        assert_eq!(title(r#"{"title":null}"#), Patch::Clear);
        assert_eq!(title(r#"{"title":"x"}"#), Patch::Set("x".into()));
    }
}
