//! Other people's programs, ended together with everything that they started.

use std::io;

use tokio::process::{Child, Command};

/// A program in a process group of its own: a Ctrl-C at the terminal is not for it, and when this
/// is dropped before [`Group::wait`] has seen its end, all of the group is killed.
pub struct Group(Option<Child>);

impl Group {
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map(|child| Self(Some(child)))
    }

    /// The pipe to its standard input, where one was asked for; once.
    pub fn stdin(&mut self) -> Option<tokio::process::ChildStdin> {
        self.0.as_mut()?.stdin.take()
    }

    /// The pipe from its standard output, where one was asked for; once.
    pub fn stdout(&mut self) -> Option<tokio::process::ChildStdout> {
        self.0.as_mut()?.stdout.take()
    }

    /// The pipe from its standard error, where one was asked for; once.
    pub fn stderr(&mut self) -> Option<tokio::process::ChildStderr> {
        self.0.as_mut()?.stderr.take()
    }

    /// Waits for the program itself; what it left in the background is not waited for.
    pub async fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        let Some(child) = &mut self.0 else {
            return Err(io::Error::other("it ended before"));
        };
        let ended = child.wait().await;
        self.0 = None;
        ended
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self.0.as_ref().and_then(Child::id)
            && let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}
