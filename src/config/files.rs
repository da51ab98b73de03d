//! Settings in files: a TOML file with any settings, and files with one secret each, as container platforms mount them.
//!
//! They are used as defaults of the command line, so that a flag or a variable takes precedence. A secret's file takes
//! precedence over the TOML file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::{Arg, Command};
use toml::{Table, Value};

use super::requested::requested;

const CONFIG_FLAG: &str = "--config";
/// The variable of the TOML file.
pub(crate) const CONFIG_VARIABLE: &str = "INKBOX_CONFIG";
/// What the variable of a secret's file has after the variable of the secret.
pub(super) const FILE_SUFFIX: &str = "_FILE";
/// Maximum size of a file. A larger one is not meant.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The settings that files give to this process.
#[derive(Debug, Default)]
pub struct FileSettings {
    /// Value and file, by the variable of the setting.
    values: BTreeMap<String, (String, PathBuf)>,
}

impl FileSettings {
    /// Reads the files that the environment and the command line name.
    ///
    /// # Errors
    /// A file cannot be read, or has no such setting.
    pub fn read(command: &Command) -> Result<Self, String> {
        let mut files = Self::default();
        if let Some(path) = requested(CONFIG_FLAG, CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            files.add_config(command, &read(&path)?, &path)?;
        }
        files.add_secrets(command, |name| env::var(name).ok().filter(|value| !value.is_empty()))?;
        Ok(files)
    }

    fn add_config(&mut self, command: &Command, text: &str, path: &Path) -> Result<(), String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // The first line only: the others show the file, which may have secrets.
            format!("{}: {}", path.display(), error.message())
        })?;
        for (key, value) in &table {
            let flag = key.replace('_', "-");
            let setting = command.get_arguments().find(|setting| setting.get_long() == Some(&flag));
            let Some(variable) = setting.and_then(variable).filter(|name| name != CONFIG_VARIABLE) else {
                return Err(format!("{}: there is no setting {key:?}", path.display()));
            };
            let value = text_of(value).ok_or_else(|| {
                format!(
                    "{}: {key:?} is neither a text, a number, true, false nor a list of texts",
                    path.display()
                )
            })?;
            self.values.insert(variable, (value, path.to_owned()));
        }
        Ok(())
    }

    fn add_secrets(
        &mut self,
        command: &Command,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        for name in secrets(command) {
            let file_variable = format!("{name}{FILE_SUFFIX}");
            let Some(path) = environment(&file_variable) else { continue };
            if environment(&name).is_some() {
                return Err(format!("both {name} and {file_variable} are set"));
            }
            let path = PathBuf::from(path);
            let secret = read(&path).map_err(|error| format!("{file_variable}: {error}"))?;
            let secret = secret.trim_end_matches(['\r', '\n']).to_owned();
            if secret.is_empty() {
                return Err(format!("{file_variable}: {} is empty", path.display()));
            }
            self.values.insert(name, (secret, path));
        }
        Ok(())
    }

    /// Makes the values the defaults of a command and of its subcommands.
    #[must_use]
    pub fn apply(&self, command: Command) -> Command {
        command
            .mut_args(|setting| match variable(&setting).and_then(|name| self.values.get(&name)) {
                Some((value, _)) => setting.default_value(value.clone()),
                None => setting,
            })
            .mut_subcommands(|subcommand| self.apply(subcommand))
    }

    /// The file that a setting comes from, unless a flag or a variable takes precedence.
    #[must_use]
    pub fn origin(&self, variable: &str) -> Option<&Path> {
        self.values.get(variable).map(|(_, path)| path.as_path())
    }
}

fn variable(setting: &Arg) -> Option<String> {
    setting.get_env().map(|name| name.to_string_lossy().into_owned())
}

/// The variables of the secrets of a command and its subcommands.
pub(super) fn secrets(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|setting| setting.is_hide_env_values_set()).filter_map(variable);
    let mut names: Vec<_> = own.chain(command.get_subcommands().flat_map(secrets)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{} is larger than {} KiB", path.display(), MAX_FILE_BYTES >> 10));
    }
    fs::read_to_string(path).map_err(failed)
}

/// A value as a flag takes it; a list is separated by commas.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Array(values) => {
            let texts: Option<Vec<_>> = values.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::FileSettings;

    fn config(text: &str) -> Result<FileSettings, String> {
        let mut files = FileSettings::default();
        files.add_config(&crate::cli::command(), text, Path::new("c.toml")).map(|()| files)
    }

    #[test]
    fn keys_are_flags_in_either_spelling_and_values_are_texts_numbers_and_lists() {
        let text = "message-retention = '30d'\nmax_concurrent_calls = 7\ndemo = true\nlisten = ['127.0.0.1:1', 'unix:/s']";
        let files = config(text).unwrap_or_else(|error| panic!("{error}"));
        let value = |name: &str| files.values[name].0.as_str();
        assert_eq!(value("INKBOX_MESSAGE_RETENTION"), "30d");
        assert_eq!(value("INKBOX_MAX_CONCURRENT_CALLS"), "7");
        assert_eq!(value("INKBOX_DEMO"), "true");
        assert_eq!(value("INKBOX_LISTEN"), "127.0.0.1:1,unix:/s");
        assert_eq!(files.origin("INKBOX_LISTEN"), Some(Path::new("c.toml")));
    }

    #[test]
    fn an_unknown_key_a_table_and_a_syntax_error_are_named_without_the_text_of_the_file() {
        for (text, words) in [
            ("lisen = 'x'", "no setting \"lisen\""),
            ("config = 'x'", "no setting \"config\""),
            ("[listen]\na = 1", "\"listen\" is neither"),
            ("database-url = 'postgres://u:hunter2@h", "c.toml: "),
        ] {
            let error = config(text).err().unwrap_or_default();
            assert!(error.contains(words) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
