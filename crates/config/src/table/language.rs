//! Options that steer how the configuration itself is read.

use super::{Argument, Row, Support, Syntax, language, row};

const fn flag(name: &'static str) -> Row {
    row(name, Syntax::Flag, Support::Language)
}

pub(super) const ROWS: &[Row] = &[
    language("ini", "FILE[:SECTION]")
        .repeatable()
        .immediate()
        .help("Read an ini file in place; `:section` alone means the ini file read last."),
    language("yaml", "FILE[:SECTION]")
        .aliases(&["yml"])
        .short('y')
        .repeatable()
        .immediate()
        .help("Read a YAML file in place."),
    language("json", "FILE[:SECTION]")
        .aliases(&["js"])
        .short('j')
        .repeatable()
        .immediate()
        .help("Read a JSON file in place."),
    language("include", "FILE")
        .repeatable()
        .immediate()
        .help("Read a file in place, its format told by its suffix."),
    language("config", "FILE")
        .repeatable()
        .immediate()
        .help("Read a file in place, its format told by its suffix."),
    language("inherit", "FILE")
        .repeatable()
        .help("Read a file after everything else; its placeholders are not expanded."),
    language("inject-before", "FILE")
        .repeatable()
        .immediate()
        .help("Put a file's text before the text of every file read later."),
    language("inject-after", "FILE")
        .repeatable()
        .immediate()
        .help("Put a file's text after the text of every file read later."),
    language("fallback-config", "FILE")
        .immediate()
        .help("Start again with this file when the start fails."),
    language("set", "NAME=VALUE")
        .short('S')
        .repeatable()
        .immediate()
        .help("Set an option or a placeholder."),
    language("set-placeholder", "NAME=VALUE")
        .aliases(&["set-ph"])
        .repeatable()
        .immediate()
        .help("Define a placeholder; an option's name is refused."),
    language("declare-option", "NAME=OPTION=VALUE;...")
        .repeatable()
        .immediate()
        .help("Define an option made of others; $1 to $9 are the words of its value."),
    language("declare-option2", "NAME=OPTION=VALUE;...")
        .repeatable()
        .help("As declare-option, defined after everything was read."),
    language("resolve", "NAME=HOST")
        .repeatable()
        .immediate()
        .help("Set a placeholder to the address of a host."),
    flag("strict")
        .immediate()
        .help("From here on an unknown option is an error instead of a placeholder."),
    language("print", "TEXT")
        .repeatable()
        .help("Print a text when the options are applied."),
    language("iprint", "TEXT")
        .repeatable()
        .immediate()
        .help("Print a text at once."),
    language("exit", "CODE")
        .argument(Argument::Optional)
        .immediate()
        .help("End at once with this exit code."),
    flag("show-config").help("Print the effective configuration at start."),
    language("blacklist", "OPTION...")
        .immediate()
        .help("Forbid options up to end-blacklist."),
    row("end-blacklist", Syntax::Flag, Support::Language)
        .argument(Argument::No)
        .default("")
        .immediate()
        .help("End of a blacklist."),
    language("whitelist", "OPTION...")
        .immediate()
        .help("Forbid all other options up to end-whitelist."),
    row("end-whitelist", Syntax::Flag, Support::Language)
        .default("")
        .immediate()
        .help("End of a whitelist."),
    language("for", "WORD...")
        .repeatable()
        .immediate()
        .help("Repeat each line up to endfor once for every word, which is %(_)."),
    language("for-glob", "PATTERN")
        .repeatable()
        .immediate()
        .help("Repeat each line up to endfor once for every file that matches."),
    language("for-readline", "FILE")
        .repeatable()
        .immediate()
        .help("Repeat each line up to endfor once for every line of a file."),
    language("for-times", "COUNT")
        .repeatable()
        .immediate()
        .help("Repeat each line up to endfor with %(_) counting from 1."),
    row("endfor", Syntax::Flag, Support::Language)
        .argument(Argument::Optional)
        .aliases(&["end-for", "endif", "end-if", "end"])
        .default("")
        .repeatable()
        .immediate()
        .help("End of a `for` or `if` block."),
    condition("if-env", "NAME[=VALUE]")
        .aliases(&["ifenv"])
        .help("Use the lines up to endif if the environment has this variable (with this value)."),
    condition("if-not-env", "NAME[=VALUE]").help(
        "Use the lines up to endif unless the environment has this variable (with this value).",
    ),
    condition("if-exists", "PATH")
        .aliases(&["ifexists"])
        .help("Use the lines up to endif if the path exists."),
    condition("if-not-exists", "PATH").help("Use the lines up to endif unless the path exists."),
    condition("if-file", "PATH").help("Use the lines up to endif if the path is a file."),
    condition("if-not-file", "PATH").help("Use the lines up to endif unless the path is a file."),
    condition("if-dir", "PATH")
        .aliases(&["ifdir", "if-directory"])
        .help("Use the lines up to endif if the path is a directory."),
    condition("if-not-dir", "PATH")
        .help("Use the lines up to endif unless the path is a directory."),
    condition("if-opt", "NAME[=VALUE]")
        .help("Use the lines up to endif if the option was set before (to this value)."),
    condition("if-not-opt", "NAME[=VALUE]")
        .help("Use the lines up to endif unless the option was set before (to this value)."),
    condition("if-plugin", "NAME")
        .aliases(&["ifplugin"])
        .help("Use the lines up to endif if uWSGI's plugin of this name has its work done here."),
    condition("if-not-plugin", "NAME").help(
        "Use the lines up to endif unless uWSGI's plugin of this name has its work done here.",
    ),
    condition("if-reload", "")
        .argument(Argument::No)
        .help("Use the lines up to endif when the instance is being reloaded."),
    condition("if-not-reload", "")
        .argument(Argument::No)
        .help("Use the lines up to endif unless the instance is being reloaded."),
    condition("if-hostname", "NAME").help("Use the lines up to endif on the host of this name."),
    condition("if-not-hostname", "NAME")
        .help("Use the lines up to endif on every host but the one of this name."),
    condition("if-hostname-match", "REGEX")
        .help("Use the lines up to endif on hosts whose name matches."),
    condition("if-not-hostname-match", "REGEX")
        .help("Use the lines up to endif on hosts whose name does not match."),
];

const fn condition(name: &'static str, form: &'static str) -> Row {
    language(name, form).repeatable().immediate()
}
