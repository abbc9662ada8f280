//! `skopeo completion`: scripts for shells, which ask `skopeo __complete` what may stand at the end
//! of a command line, as those of cobra do.

use std::fmt::Write as _;

use hod_pflag::{Command, Program};

use crate::failure::{Done, Failure};
use crate::screen::Screen;

/// The hidden command that scripts call; the second one leaves out what candidates mean.
const QUESTIONS: [&str; 2] = ["__complete", "__completeNoDesc"];
/// The command that prints a script.
const COMMAND: &str = "completion";
/// The scripts, by their shells.
const SCRIPTS: [(&str, &str); 4] = [
    ("bash", include_str!("completion/skopeo.bash")),
    ("fish", include_str!("completion/skopeo.fish")),
    ("powershell", include_str!("completion/skopeo.ps1")),
    ("zsh", include_str!("completion/skopeo.zsh")),
];
/// What the names of images begin with.
const STARTS: [&str; 7] = [
    "containers-storage:",
    "dir:",
    "docker:",
    "docker-archive:",
    "docker-daemon:",
    "oci:",
    "oci-archive:",
];

/// Answers a shell, or prints a script; `None` if the command line is not about completion.
pub(crate) fn run(program: &Program, args: &[String]) -> Option<Done> {
    let (first, rest) = args.split_first()?;
    if QUESTIONS.contains(&first.as_str()) {
        return Some(answer(program, rest, first == QUESTIONS[0]));
    }
    (first == COMMAND).then(|| script(rest))
}

fn answer(program: &Program, words: &[String], has_help: bool) -> Done {
    if words.is_empty() {
        return Err(Failure::new("requires at least 1 arg(s), only received 0"));
    }
    let completion = match words {
        [command, shell] if command == COMMAND => shells(shell),
        words => program.complete(words, starts_of),
    };
    let mut text = String::new();
    for candidate in &completion.candidates {
        text.push_str(&candidate.word);
        if has_help && !candidate.help.is_empty() {
            let line = candidate.help.lines().next().unwrap_or_default();
            let _ = write!(text, "\t{line}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, ":{}", completion.then as u8);
    Screen::result(text.as_bytes())?;
    let names = completion.then.names();
    Screen::complain(&format!("Completion ended with directive: {names}"));
    Ok(())
}

fn starts_of(command: &Command) -> &'static [&'static str] {
    match command.name {
        "copy" | "delete" | "inspect" | "layers" => &STARTS,
        _ => &[],
    }
}

fn shells(start: &str) -> hod_pflag::Completion {
    let shells = SCRIPTS.iter().filter(|(shell, _)| shell.starts_with(start));
    hod_pflag::Completion {
        candidates: shells
            .map(|(shell, _)| hod_pflag::Candidate {
                word: (*shell).to_owned(),
                help: format!("Generate the autocompletion script for {shell}"),
            })
            .collect(),
        then: hod_pflag::Then::Nothing,
    }
}

fn script(args: &[String]) -> Done {
    let asked = args.iter().find(|arg| !arg.starts_with('-'));
    let is_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    let found = asked.and_then(|asked| SCRIPTS.iter().find(|(shell, _)| shell == asked));
    match found {
        Some((_, script)) if !is_help => {
            let has_help = !args.iter().any(|arg| arg == "--no-descriptions");
            let question = QUESTIONS[usize::from(!has_help)];
            Screen::result(script.replace("__complete", question).as_bytes())
        }
        _ => Screen::result(help().as_bytes()),
    }
}

fn help() -> String {
    let mut text = "Generate the autocompletion script for skopeo for the specified shell.\n\n\
                    Usage:\n  skopeo completion [command]\n\nAvailable Commands:\n"
        .to_owned();
    for (shell, _) in SCRIPTS {
        let _ = writeln!(
            text,
            "  {shell:<11} Generate the autocompletion script for {shell}"
        );
    }
    text.push_str("\nFlags:\n  -h, --help              help for completion\n");
    text.push_str("      --no-descriptions   disable completion descriptions\n");
    text
}
