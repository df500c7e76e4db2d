//! The commands of hooks.

use relevo_core::HookKind;

use crate::InvalidValue;

/// A command for each hook that is to be run, as a shell reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookCommands(Vec<(HookKind, String)>);

impl HookCommands {
    /// The command of one, if it has one.
    pub fn get(&self, kind: HookKind) -> Option<&str> {
        self.0.iter().find(|(of, _)| *of == kind).map(|(_, command)| command.as_str())
    }

    /// Those that have one.
    pub fn kinds(&self) -> Vec<HookKind> {
        self.0.iter().map(|(kind, _)| *kind).collect()
    }

    /// An empty command takes back what a file says.
    pub(crate) fn set(&mut self, kind: HookKind, command: &str) -> Result<(), InvalidValue> {
        if command.contains('\0') {
            let reason = "has a NUL character, which no command can have";
            return Err(InvalidValue::new(command, reason, "leave it out"));
        }
        self.0.retain(|(of, _)| *of != kind);
        if !command.trim().is_empty() {
            self.0.push((kind, command.to_owned()));
            self.0.sort();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts_and_an_empty_one_takes_it_back() {
        let mut commands = HookCommands::default();
        commands.set(HookKind::Crash, "page me").unwrap();
        commands.set(HookKind::Before, "one").unwrap();
        commands.set(HookKind::Before, "two").unwrap();
        assert_eq!(commands.get(HookKind::Before), Some("two"));
        assert_eq!(commands.kinds(), [HookKind::Before, HookKind::Crash]);
        commands.set(HookKind::Before, " ").unwrap();
        assert_eq!(commands.get(HookKind::Before), None);
        assert!(commands.set(HookKind::Ready, "a\0b").is_err());
    }
}
