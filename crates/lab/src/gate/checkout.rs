//! Files of a git repository, in its work tree and at a commit. It asks the git program: whoever has a checkout has it, and
//! five calls of its plumbing are no reason for a library that reads git's formats.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// A repository.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Its topmost folder.
    root: PathBuf,
    /// The folder in it that paths are told from.
    from: PathBuf,
}

/// Where files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// As they lie in the folder, committed or not.
    WorkTree,
    /// As they were committed.
    Commit {
        /// As it was asked for.
        name: String,
        /// Its hash.
        id: String,
    },
}

/// Why git has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program cannot be run.
    #[error("git cannot be run: {0}: install it, or put it on PATH")]
    Missing(#[source] io::Error),
    /// It refused.
    #[error("git {command}: {told}")]
    Refused {
        /// What it was asked.
        command: String,
        /// What it said.
        told: String,
    },
    /// There is no such commit here.
    #[error("{flag} {name}: git knows no such commit here: fetch it (git fetch origin), or write another")]
    Unknown {
        /// The flag it came with.
        flag: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// Two commits have no history in common, as in a shallow clone.
    #[error(
        "--base {base}: it has no commit in common with {head} here: fetch the whole history (git fetch --unshallow; \
         fetch-depth: 0 of actions/checkout)"
    )]
    NoCommonCommit {
        /// The base, as it was asked for.
        base: String,
        /// The other.
        head: String,
    },
    /// A path that lies outside.
    #[error("{}: it is not in the repository {}", .path.display(), .root.display())]
    Outside {
        /// As given.
        path: PathBuf,
        /// The repository.
        root: PathBuf,
    },
    /// A file, or a name, is no text.
    #[error("{0}: it is no UTF-8 text")]
    NoText(String),
    /// A file of the work tree cannot be read.
    #[error("{file}: {error}")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for Revision {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkTree => to.write_str("the work tree"),
            Self::Commit { name, id } if name == id => to.write_str(name),
            Self::Commit { name, id } => write!(to, "{name} ({})", id.get(..12).unwrap_or(id)),
        }
    }
}

impl Revision {
    /// How mistakes in a file call it.
    pub fn file(&self, path: &str) -> String {
        match self {
            Self::WorkTree => path.to_owned(),
            Self::Commit { name, .. } => format!("{name}:{path}"),
        }
    }
}

impl Checkout {
    /// The repository around a folder.
    ///
    /// # Errors
    /// There is no git, or no work tree.
    pub fn around(folder: &Path) -> Result<Self, GitError> {
        let ask = |what| git(folder, &["rev-parse", what]);
        let root = PathBuf::from(ask("--show-toplevel")?.trim_end_matches('\n'));
        let from = PathBuf::from(ask("--show-prefix")?.trim_end_matches('\n'));
        Ok(Self { root, from })
    }

    /// The topmost folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path as git calls it: from the topmost folder on.
    ///
    /// # Errors
    /// It lies outside.
    pub fn path(&self, given: &Path) -> Result<String, GitError> {
        let outside = || GitError::Outside { path: given.to_owned(), root: self.root.clone() };
        let inside = match given.is_absolute() {
            true => given.strip_prefix(&self.root).map_err(|_| outside())?.to_owned(),
            false => self.from.join(given),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in inside.components() {
            match part {
                Component::Normal(name) => parts.push(name.to_str().ok_or_else(outside)?),
                Component::ParentDir => {
                    parts.pop().ok_or_else(outside)?;
                }
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(parts.join("/"))
    }

    /// A commit by a name that git knows.
    ///
    /// # Errors
    /// There is none.
    pub fn commit(&self, flag: &'static str, name: &str) -> Result<Revision, GitError> {
        let unknown = || GitError::Unknown { flag, name: name.to_owned() };
        if name.starts_with('-') {
            return Err(unknown());
        }
        match git(&self.root, &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]) {
            Ok(id) => Ok(Revision::Commit { name: name.to_owned(), id: id.trim().to_owned() }),
            Err(GitError::Refused { .. }) => Err(unknown()),
            Err(error) => Err(error),
        }
    }

    /// The commit at which `head` left the branch `base`: what has come to that branch since is no change of `head`'s.
    ///
    /// # Errors
    /// There is no such commit, or no history in common.
    pub fn fork(&self, base: &str, head: &Revision) -> Result<Revision, GitError> {
        let of = match head {
            Revision::WorkTree => "HEAD",
            Revision::Commit { id, .. } => id,
        };
        let Revision::Commit { name, id } = self.commit("--base", base)? else { return Ok(Revision::WorkTree) };
        match git(&self.root, &["merge-base", &id, of]) {
            Ok(id) => Ok(Revision::Commit { name, id: id.trim().to_owned() }),
            Err(GitError::Refused { told, .. }) if told.is_empty() => {
                Err(GitError::NoCommonCommit { base: name, head: of.to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    /// The paths of all files below these folders or of these names, in order.
    ///
    /// # Errors
    /// As of git.
    pub fn files(&self, at: &Revision, below: &[&str]) -> Result<Vec<String>, GitError> {
        let listing: &[&str] = match at {
            Revision::WorkTree => &["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"],
            Revision::Commit { id, .. } => &["ls-tree", "-r", "-z", "--name-only", id, "--"],
        };
        let listed = git(&self.root, &[listing, below].concat())?;
        let mut paths: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }

    /// The text of a file; `None` if there is none of that path.
    ///
    /// # Errors
    /// It is there and cannot be read, or is no text.
    pub fn read(&self, at: &Revision, path: &str) -> Result<Option<String>, GitError> {
        match at {
            Revision::WorkTree => match std::fs::read_to_string(self.root.join(path)) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(GitError::Unreadable { file: path.to_owned(), error }),
            },
            Revision::Commit { id, .. } => {
                // Of a folder it lists the folder itself, which is no file.
                if !self.files(at, &[path])?.iter().any(|listed| listed == path) {
                    return Ok(None);
                }
                git(&self.root, &["show", &format!("{id}:{path}")]).map(Some).map_err(|error| match error {
                    GitError::NoText(_) => GitError::NoText(at.file(path)),
                    other => other,
                })
            }
        }
    }
}

/// What git prints.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let done = Command::new("git").arg("-C").arg(folder).args(arguments).output().map_err(GitError::Missing)?;
    let command = || arguments.iter().filter(|word| !word.starts_with('-')).copied().collect::<Vec<_>>().join(" ");
    if !done.status.success() {
        let told = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(GitError::Refused { command: command(), told });
    }
    String::from_utf8(done.stdout).map_err(|_| GitError::NoText(format!("what git {} prints", command())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_the_folder_that_one_is_in() {
        let checkout = Checkout { root: "/repo".into(), from: "service/".into() };
        let path = |given: &str| checkout.path(Path::new(given)).map_err(|error| error.to_string());
        assert_eq!(path("so.yaml"), Ok("service/so.yaml".to_owned()));
        assert_eq!(path("../eks/./so.yaml"), Ok("eks/so.yaml".to_owned()));
        assert_eq!(path("/repo/eks/so.yaml"), Ok("eks/so.yaml".to_owned()));
        for outside in ["../../so.yaml", "/etc/so.yaml"] {
            assert!(path(outside).is_err_and(|error| error.contains("is not in the repository /repo")));
        }
    }
}
