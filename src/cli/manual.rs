//! What the manual pages must say of the command lines.

use clap::Command;

/// Each option has its place in the page of its program, and each subcommand is named there.
fn missing(command: &Command, page: &str) -> Vec<String> {
    let page = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
    let mut missing = Vec::new();
    collect(command, &page, &mut missing);
    missing
}

fn collect(command: &Command, page: &str, missing: &mut Vec<String>) {
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let names = argument.get_long_and_visible_aliases().unwrap_or_default();
        for name in names.iter().filter(|name| !page.contains(&format!("--{name}"))) {
            missing.push(format!("{} --{name}", command.get_name()));
        }
    }
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        if !page.contains(subcommand.get_name()) {
            missing.push(format!("{} {}", command.get_name(), subcommand.get_name()));
        }
        collect(subcommand, page, missing);
    }
}

#[test]
fn every_option_of_the_programs_is_in_their_manual_pages() {
    let pages = [
        (super::pulse::command(), include_str!("../../docs/man/pulse.8").to_owned()),
        (super::lvs::command(), include_str!("../../docs/man/lvs.8").to_owned()),
        (super::nanny::command(), include_str!("../../docs/man/nanny.8").to_owned()),
        (
            super::piranha::command(),
            [
                include_str!("../../docs/man/piranha.8"),
                include_str!("../../docs/man/piranha-config.8"),
                include_str!("../../docs/man/piranha-serve.8"),
            ]
            .concat(),
        ),
    ];
    let missing: Vec<_> = pages.iter().flat_map(|(command, page)| missing(command, page)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn an_option_that_a_page_lacks_is_found() {
    let command = Command::new("it").arg(clap::Arg::new("new").long("new-option"));
    assert_eq!(missing(&command, "it \\fB\\-\\-old\\fR"), ["it --new-option"]);
}
