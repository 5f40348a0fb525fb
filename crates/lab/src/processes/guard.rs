//! Ends the processes of a run when the run itself is killed: a child must never outlive it.
//!
//! Dropping a run kills its children, but nothing runs in a process that got SIGKILL. So a shell in a process group of
//! its own (where no Ctrl-C reaches it) reads from a pipe which of our children are alive. The kernel closes the pipe
//! when we are gone, however that happened, and the shell kills whoever is left. Asking the kernel itself
//! (`PR_SET_PDEATHSIG`) would take `unsafe` code between fork and exec.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps the set of living children in `$pids`, between spaces, and kills it at the end of the input.
const SCRIPT: &str = r#"
pids=" "
while read -r change pid; do
    case $change in
        +) pids="$pids$pid " ;;
        -) pids="${pids%% "$pid" *} ${pids#* "$pid" }" ;;
    esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
"#;

/// The one guard of this process, started with its first child.
static GUARD: Mutex<Option<Guard>> = Mutex::new(None);

struct Guard {
    _shell: Child,
    pipe: ChildStdin,
}

/// A child that dies with us. Drop it once the child has been waited for, since its pid may then mean another process.
#[derive(Debug)]
pub struct Watched(u32);

/// Has the child `pid` killed should this process end before the answer is dropped.
pub fn watch(pid: u32) -> Watched {
    tell('+', pid);
    Watched(pid)
}

impl Drop for Watched {
    fn drop(&mut self) {
        tell('-', self.0);
    }
}

/// Without a shell the children are killed on drop only: a run does not fail for that.
fn tell(change: char, pid: u32) {
    let mut guard = lock();
    if guard.is_none() {
        *guard = start().ok();
    }
    let told = guard.as_mut().map(|guard| writeln!(guard.pipe, "{change} {pid}"));
    if matches!(told, Some(Err(_))) {
        *guard = None;
    }
}

fn start() -> std::io::Result<Guard> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut shell = command.spawn()?;
    let pipe = shell.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    Ok(Guard { _shell: shell, pipe })
}

fn lock() -> MutexGuard<'static, Option<Guard>> {
    GUARD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_kills_the_children_that_are_left_and_no_others() {
        let sleeper = || Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let mut left = sleeper();
        let mut released = sleeper();
        let mut guard = start().expect("a shell starts");
        for line in [format!("+ {}", released.id()), format!("+ {}", left.id()), format!("- {}", released.id())] {
            writeln!(guard.pipe, "{line}").expect("the shell reads");
        }
        let Guard { _shell: mut shell, pipe } = guard;
        drop(pipe);
        shell.wait().expect("the shell ends");
        assert!(!left.wait().expect("it ends").success());
        assert_eq!(released.try_wait().expect("it can be asked"), None, "a released child lives on");
        released.kill().and_then(|()| released.wait()).expect("it is ours to kill");
    }
}
