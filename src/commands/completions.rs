//! Completion scripts, generated from the command tree.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, ValueEnum};

use super::written::Written;
use super::{Cli, Context};
use crate::error::{Doing as _, Exit, Result};

#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  dbctl completions bash > ~/.local/share/bash-completion/completions/dbctl\n  dbctl completions --dir completions"
)]
pub struct CompletionsArgs {
    /// The shell whose script goes to stdout
    #[arg(value_enum)]
    shell: Option<Shell>,

    /// Write the scripts of all four shells into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "shell")]
    dir: Option<PathBuf>,
}

/// The shells that a script can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

impl Shell {
    pub const ALL: [Shell; 4] = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell];

    /// The name under which the shell looks for the script.
    pub const fn file_name(self) -> &'static str {
        match self {
            Shell::Bash => "dbctl.bash",
            Shell::Zsh => "_dbctl",
            Shell::Fish => "dbctl.fish",
            Shell::Powershell => "_dbctl.ps1",
        }
    }

    /// The script itself.
    pub fn script(self) -> String {
        let generator = match self {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
            Shell::Powershell => clap_complete::Shell::PowerShell,
        };
        let mut script = Vec::new();
        clap_complete::generate(generator, &mut Cli::command(), "dbctl", &mut script);
        String::from_utf8(script).expect("a script is text")
    }
}

pub fn run(args: CompletionsArgs, context: &Context) -> Result<Exit> {
    if let Some(shell) = args.shell {
        context.ui.data(&shell.script())?;
    }
    if let Some(dir) = args.dir {
        let doing = format!("writing completion scripts into {}", dir.display());
        std::fs::create_dir_all(&dir).doing(Exit::Failed, &doing)?;
        let mut written = Written::default();
        for shell in Shell::ALL {
            let file = dir.join(shell.file_name());
            std::fs::write(&file, shell.script()).doing(Exit::Failed, &doing)?;
            written.files.push(file);
        }
        context.ui.report(&written)?;
    }
    Ok(Exit::Ok)
}
