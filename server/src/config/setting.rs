//! One section of the configuration: each key from a flag, else the environment, else the file, and
//! written into the ledger.

use std::ops::RangeInclusive;
use std::time::Duration;

use tinybase_catalog::checked::{Section, parse_duration};

use super::ledger::{Origin, Shape};
use super::{ConfigError, FILE_NAME, Reading};

/// One section, with flags and the environment over it.
pub(super) struct Settings<'a> {
    name: &'static str,
    section: Option<Section<'a>>,
    reading: &'a Reading<'a>,
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
        self.settings.text(key, Some(self.variable), &parse)
    }

    /// As [`Settings::is_over_file`].
    pub(super) fn is_over_file(&self, key: &str) -> bool {
        let Settings { name, reading, .. } = self.settings;
        reading.sources.given(name, key, Some(self.variable)).is_some()
    }
}

impl<'a> Settings<'a> {
    pub(super) fn new(
        name: &'static str,
        section: Option<Section<'a>>,
        reading: &'a Reading<'a>,
    ) -> Self {
        Self { name, section, reading }
    }

    /// Whether a key is set by a flag or in the environment.
    pub(super) fn is_over_file(&self, key: &str) -> bool {
        self.reading.sources.given(self.name, key, None).is_some()
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
        self.text(key, None, &parse)
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
        let over = self.over(key, None, Shape::Bare, &|text| {
            let number =
                text.parse().map_err(|_| format!("must be a whole number, not {text:?}"))?;
            if bounds.contains(&number) {
                return Ok(number);
            }
            Err(format!("must be between {} and {}, not {number}", bounds.start(), bounds.end()))
        })?;
        Ok(over.or(in_file).and_then(|number| T::try_from(number).ok()))
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
        let over = self.over(key, None, Shape::Text, &|text| match parse_duration(text) {
            Some(duration) if bounds.contains(&duration) => Ok(duration),
            Some(_) => Err(format!("must be between {:?} and {:?}", bounds.start(), bounds.end())),
            None => Err(format!(r#"must be a duration such as "30s", not {text:?}"#)),
        })?;
        Ok(over.or(in_file))
    }

    /// A yes or no.
    pub(super) fn truth(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section.boolean(key)?,
            None => None,
        };
        let over =
            self.over(key, None, Shape::Bare, &|text| match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err(format!("must be true or false, not {text:?}")),
            })?;
        Ok(over.or(in_file))
    }

    /// A list of words; in the environment and in flags with commas, or as in the file.
    pub(super) fn words(&self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section.strings(key)?,
            None => None,
        };
        let over = self.over(key, None, Shape::List, &|text| {
            if text.trim_start().starts_with('[') {
                return serde_json::from_str(text)
                    .map_err(|_| format!("must be such as [\"a\", \"b\"], or a,b, not {text:?}"));
            }
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Ok(words.map(str::to_owned).collect())
        })?;
        Ok(over.or(in_file))
    }

    /// Says what a key's default is where that depends on the machine.
    pub(super) fn default_is(&self, key: &'static str, value: &str) {
        if self.reading.ledger.is_default(self.name, key) {
            self.reading.ledger.note(self.name, key, value, Origin::Default);
        }
    }

    /// A complaint about a key, wherever it was set.
    pub(super) fn wrong(&self, key: &str, message: &str) -> ConfigError {
        match (self.reading.sources.given(self.name, key, None), &self.section) {
            (Some(given), _) => given.wrong(message.to_owned()),
            (None, Some(section)) => section.wrong(key, message).into(),
            (None, None) => ConfigError::Default {
                key: format!("{}.{key}", self.name),
                message: message.to_owned(),
            },
        }
    }

    fn text<T>(
        &self,
        key: &'static str,
        also: Option<&str>,
        parse: &dyn Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let in_file = match &self.section {
            Some(section) => section
                .string(key)?
                .map(|text| parse(&text).map_err(|message| section.wrong(key, &message)))
                .transpose()?,
            None => None,
        };
        Ok(self.over(key, also, Shape::Text, parse)?.or(in_file))
    }

    /// What goes over the file; writes down what holds in the end.
    fn over<T>(
        &self,
        key: &'static str,
        also: Option<&str>,
        shape: Shape,
        parse: &dyn Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Reading { sources, ledger, defaults } = self.reading;
        if let Some(given) = sources.given(self.name, key, also) {
            let parsed = parse(&given.text).map_err(|message| given.wrong(message))?;
            ledger.note(self.name, key, &shape.write(&given.text), given.origin);
            return Ok(Some(parsed));
        }
        if let Some((line, value)) = self.section.as_ref().and_then(|section| section.written(key))
        {
            ledger.note(self.name, key, &value, Origin::File { name: FILE_NAME, line });
        } else {
            let value = defaults.get(&(self.name, key)).copied().unwrap_or_default();
            ledger.note(self.name, key, value, Origin::Default);
        }
        Ok(None)
    }
}
