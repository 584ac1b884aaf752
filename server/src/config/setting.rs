//! One section of the configuration, each key read from the environment or else from the file.

use std::ops::RangeInclusive;
use std::time::Duration;

use tinybase_catalog::checked::{Section, parse_duration};

use super::ConfigError;

/// One section, with the environment over it: `TINYBASE_<SECTION>_<KEY>`.
pub(super) struct Settings<'a> {
    name: &'static str,
    section: Option<Section<'a>>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

/// A section whose next key has a second, shorter variable.
pub(super) struct Also<'s, 'a> {
    settings: &'s Settings<'a>,
    variable: &'static str,
}

impl Also<'_, '_> {
    /// As [`Settings::parsed`].
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Self { settings, variable } = self;
        let own = settings.parsed(key, &parse)?;
        if settings.variable(key).is_some() {
            return Ok(own);
        }
        match (settings.environment)(variable) {
            Some(text) => {
                parse(&text).map(Some).map_err(|message| wrong_variable(variable, message))
            }
            None => Ok(own),
        }
    }
}

impl Also<'_, '_> {
    /// As [`Settings::is_variable`].
    pub(super) fn is_variable(&self, key: &str) -> bool {
        self.settings.is_variable(key) || (self.settings.environment)(self.variable).is_some()
    }
}

impl<'a> Settings<'a> {
    /// Whether a key is set in the environment.
    pub(super) fn is_variable(&self, key: &str) -> bool {
        self.variable(key).is_some()
    }

    pub(super) fn new(
        name: &'static str,
        section: Option<Section<'a>>,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { name, section, environment }
    }

    pub(super) fn section(&self) -> Option<&Section<'a>> {
        self.section.as_ref()
    }

    /// The same with a second variable for the next key.
    pub(super) fn also(&self, variable: &'static str) -> Also<'_, 'a> {
        Also { settings: self, variable }
    }

    /// A text that has to be turned into something.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section
                .string(key)?
                .map(|text| parse(&text).map_err(|message| section.wrong(key, &message)))
                .transpose()?,
            None => None,
        };
        Ok(self.over(key, &parse)?.or(in_file))
    }

    /// A whole number within bounds.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        key: &'static str,
        bounds: RangeInclusive<i64>,
    ) -> Result<Option<T>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section.integer(key, bounds.clone())?,
            None => None,
        };
        let variable = self.over(key, &|text| {
            let number =
                text.parse().map_err(|_| format!("must be a whole number, not {text:?}"))?;
            if bounds.contains(&number) {
                return Ok(number);
            }
            Err(format!("must be between {} and {}, not {number}", bounds.start(), bounds.end()))
        })?;
        Ok(variable.or(in_file).and_then(|number| T::try_from(number).ok()))
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &self,
        key: &'static str,
        bounds: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section.duration(key, bounds.clone())?,
            None => None,
        };
        let variable = self.over(key, &|text| match parse_duration(text) {
            Some(duration) if bounds.contains(&duration) => Ok(duration),
            Some(_) => Err(format!("must be between {:?} and {:?}", bounds.start(), bounds.end())),
            None => Err(format!(r#"must be a duration such as "30s", not {text:?}"#)),
        })?;
        Ok(variable.or(in_file))
    }

    /// A yes or no.
    pub(super) fn truth(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section.boolean(key)?,
            None => None,
        };
        let variable = self.over(key, &|text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("must be true or false, not {text:?}")),
        })?;
        Ok(variable.or(in_file))
    }

    /// A list of words; in the environment with commas.
    pub(super) fn words(&self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section.strings(key)?,
            None => None,
        };
        let variable = self.over(key, &|text| {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Ok(words.map(str::to_owned).collect())
        })?;
        Ok(variable.or(in_file))
    }

    /// A complaint about a key, wherever it was set.
    pub(super) fn wrong(&self, key: &str, message: &str) -> ConfigError {
        match (&self.section, self.variable(key)) {
            (Some(section), None) => section.wrong(key, message).into(),
            (_, _) => wrong_variable(&self.variable_name(key), message.to_owned()),
        }
    }

    fn variable_name(&self, key: &str) -> String {
        format!("TINYBASE_{}_{}", self.name, key).to_ascii_uppercase()
    }

    fn variable(&self, key: &str) -> Option<String> {
        (self.environment)(&self.variable_name(key))
    }

    fn over<T>(
        &self,
        key: &str,
        parse: &dyn Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.variable(key) else { return Ok(None) };
        let parsed = parse(&text);
        parsed.map(Some).map_err(|message| wrong_variable(&self.variable_name(key), message))
    }
}

fn wrong_variable(name: &str, message: String) -> ConfigError {
    ConfigError::Variable { name: name.to_owned(), message }
}
