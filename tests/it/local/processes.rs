//! Looks for processes, as an outsider would.

use std::fs;

use nix::unistd::Pid;

/// Children of `parent` that run `program` and receive messages, as `/proc` tells.
pub fn children(parent: u32, program: &str) -> Vec<Pid> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        // `pid (comm) state ppid …`; a process may end while we look.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (head, tail) = stat.rsplit_once(") ").unwrap_or_default();
        let comm = head.split_once('(').map_or("", |(_, comm)| comm);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        // The kernel keeps 15 characters of a name.
        comm == &program[..program.len().min(15)]
            && tail.split(' ').nth(1) == Some(&parent)
            && !String::from_utf8_lossy(&environment).contains("RECEIVE=off")
    })
    .map(Pid::from_raw)
    .collect()
}

/// Whether the process has ended; a zombie has.
pub fn has_ended(pid: Pid) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, tail)| tail.starts_with('Z')),
        Err(_) => true,
    }
}
