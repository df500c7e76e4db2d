//! The options of a service on the command line, made of the table that a file is read by, too.

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use relevo_config::{Choices, Form, InvalidValue, Setting};

/// What was chosen on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Chosen(pub(crate) Choices);

impl clap::Args for Chosen {
    fn augment_args(command: Command) -> Command {
        command.args(Setting::ALL.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Chosen {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut choices = Choices::default();
        for setting in Setting::ALL {
            // Every value was tried by its argument's parser, and flags have none.
            let mut add = |value| choices.add(setting, value).map_err(unexpected);
            if setting.form() == Form::Flag {
                if matches.get_flag(setting.name) {
                    add(None)?;
                }
            } else {
                for value in matches.get_many::<OsString>(setting.name).into_iter().flatten() {
                    add(Some(value.clone()))?;
                }
            }
        }
        Ok(Self(choices))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(setting: &'static Setting) -> Arg {
    let help = match setting.default() {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_owned(),
    };
    let argument = Arg::new(setting.name).long(setting.name).help(help);
    let argument = match setting.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    if setting.form() == Form::Flag {
        return argument.action(ArgAction::SetTrue);
    }
    let several = if setting.is_repeatable() { ArgAction::Append } else { ArgAction::Set };
    if setting.form() == Form::PathOrFlag {
        // An equals sign, because the next word is the script.
        let read = |value: OsString| Ok::<_, InvalidValue>(value);
        return argument
            .action(ArgAction::Append)
            .value_name(setting.placeholder)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("")
            .value_parser(OsStringValueParser::new().try_map(read));
    }
    // A flag for node begins with a dash, and a number that does gets the error of the number.
    let hyphen = setting.form() == Form::Number || setting.name == "node-arg";
    let read =
        move |value: OsString| Choices::default().add(setting, Some(value.clone())).map(|()| value);
    argument
        .action(several)
        .value_name(setting.placeholder)
        .allow_hyphen_values(hyphen)
        .value_parser(OsStringValueParser::new().try_map(read))
}

fn unexpected(error: InvalidValue) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ValueValidation, error)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use relevo_config::{Options, Setting};

    use super::Chosen;

    fn parse(line: &str) -> Options {
        let command = Chosen::augment_args(Command::new("run").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace()).unwrap();
        let mut options = Options::default();
        Chosen::from_arg_matches(&matches).unwrap().0.apply(&mut options);
        options
    }

    #[test]
    fn options_are_read_from_the_command_line() {
        assert_eq!(parse(""), Options::default());
        let options = parse("-w 2 --hold 1s --no-agent --env A=1 --env B=2 --node-arg --inspect");
        assert_eq!(options.workers.slots(9), 2);
        assert_eq!(options.hold.to_string(), "1s");
        assert!(!options.agent);
        assert_eq!(options.env.len(), 2);
        assert_eq!(options.node_args, ["--inspect"]);
    }

    #[test]
    fn every_setting_is_an_option() {
        let command = Chosen::augment_args(Command::new("run"));
        let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let settings: Vec<&str> = Setting::ALL.iter().map(|setting| setting.name).collect();
        assert_eq!(names, settings);
    }
}
