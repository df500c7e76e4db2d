//! What somebody chose, in one place: the values that differ from the defaults.

use std::ffi::OsString;
use std::path::Path;

use crate::setting::Given;
use crate::{EnvPair, InvalidValue, Options, Setting};

/// Settings with their values, in the order given. Those of several places are put on top of each
/// other: of what can be given once the last counts, and what is repeatable adds up.
#[derive(Clone, Debug, Default)]
pub struct Choices(Vec<(&'static Setting, Given)>);

impl Choices {
    /// Adds a choice as a command line has it; a flag has no value.
    pub fn add(
        &mut self,
        setting: &'static Setting,
        value: Option<OsString>,
    ) -> Result<(), InvalidValue> {
        self.0.push((setting, setting.read(value)?));
        Ok(())
    }

    /// Adds a variable of which name and value are known apart.
    pub(crate) fn add_variable(&mut self, setting: &'static Setting, pair: EnvPair) {
        self.0.push((setting, Given::Variable(pair)));
    }

    /// Makes relative paths start from `directory`.
    pub fn rebase(&mut self, directory: &Path) {
        for (_, given) in &mut self.0 {
            match given {
                Given::Path(path) => *path = directory.join(&path),
                Given::Flag | Given::Text(_) | Given::Variable(_) => {}
            }
        }
    }

    /// Puts them into `options`.
    pub fn apply(&self, options: &mut Options) {
        for (setting, given) in &self.0 {
            setting.apply(given, options);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn chosen(pairs: &[(&str, &str)]) -> Choices {
        let mut choices = Choices::default();
        for (name, value) in pairs {
            let setting = Setting::named(name).unwrap();
            choices.add(setting, Some(value.into())).unwrap();
        }
        choices
    }

    #[test]
    fn the_last_counts_and_what_is_repeatable_adds_up() {
        let mut options = Options::default();
        let mut below = chosen(&[("hold", "1s"), ("env", "A=1"), ("env-file", "x"), ("cwd", "/d")]);
        below.rebase(Path::new("/etc"));
        below.apply(&mut options);
        chosen(&[("hold", "2s"), ("env", "A=2"), ("no-agent", "")]).apply(&mut options);
        assert_eq!(options.hold.to_string(), "2s");
        assert_eq!(options.env.len(), 2);
        assert_eq!(options.env[1].to_string(), "A=2");
        assert_eq!(options.env_files, [PathBuf::from("/etc/x")]);
        assert_eq!(options.cwd, Some("/d".into()));
        assert!(!options.agent);
    }
}
