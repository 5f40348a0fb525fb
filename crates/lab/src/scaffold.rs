//! Writes a project of one's own: this repository's mains and deployment files under another name, and beside them a
//! handler, a test and a manifest that begin where most people begin.
//!
//! The files are the repository's own, compiled in. `# repository only` to `# end of repository only` is left out, and so
//! are the settings of the handler that ships (`WORK_…`).

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

/// The repository's folders that a project has too.
static FOLDERS: [(&str, Dir<'_>); 4] = [
    ("eks", include_dir!("$CARGO_MANIFEST_DIR/assets/eks")),
    ("terraform", include_dir!("$CARGO_MANIFEST_DIR/assets/terraform")),
    ("sam", include_dir!("$CARGO_MANIFEST_DIR/assets/sam")),
    ("deploy", include_dir!("$CARGO_MANIFEST_DIR/assets/deploy")),
];
/// The mains.
const MAINS: [(&str, &str); 4] = [
    ("src/main.rs", include_str!("../assets/service/main.rs")),
    ("src/bin/{name}-worker.rs", include_str!("../assets/service/bin/twinscale-worker.rs")),
    ("src/bin/lambda-sqs.rs", include_str!("../assets/service/bin/lambda-sqs.rs")),
    ("src/bin/lambda-http.rs", include_str!("../assets/service/bin/lambda-http.rs")),
];
/// What a project begins with, written with `{name}`.
const PROJECT: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("scaffold/project/Cargo.toml.in")),
    ("Makefile", include_str!("scaffold/project/Makefile.in")),
    ("README.md", include_str!("scaffold/project/README.md.in")),
    ("src/lib.rs", "//! The service: [`handler`] is what happens to a message.\n\npub mod handler;\n"),
    ("src/handler.rs", include_str!("scaffold/project/src/handler.rs")),
    ("tests/orders.rs", include_str!("scaffold/project/tests/orders.rs")),
    ("orders.jsonl", include_str!("scaffold/project/orders.jsonl")),
    (".gitignore", "/target\n/out\n.terraform\n*.tfstate*\n*.tfplan\n.aws-sam\n"),
    (".dockerignore", "*\n!Cargo.toml\n!Cargo.lock\n!src\n!eks/build-static.sh\n"),
];

/// A project to be written.
#[derive(Debug)]
pub struct Project<'a> {
    /// Its folder, whose last part is its name.
    pub folder: &'a Path,
    /// A checkout of this repository to depend on; the released crates if `None`.
    pub library: Option<&'a Path>,
}

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The name would not do everywhere.
    #[error(
        "'{0}' cannot name a crate, an image and a queue at once: write 2 to 40 small letters, digits and dashes, a letter first"
    )]
    Name(String),
    /// Something is there already.
    #[error("{} is not empty: choose another folder, or empty it", .0.display())]
    NotEmpty(PathBuf),
    /// The library is not where it was said to be.
    #[error("{}: there is no crates/twinscale in it: write the path of a checkout", .0.display())]
    NoLibrary(PathBuf),
    /// The folder cannot be written.
    #[error("{}: {error}", .file.display())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Project<'_> {
    /// Writes it, and returns its name.
    ///
    /// # Errors
    /// A name that will not do, a folder that is not empty, a library that is not there, or no permission.
    pub fn write(&self) -> Result<String, ScaffoldError> {
        let name = self.name()?;
        self.is_empty()?;
        let (library, sqs) = self.dependencies()?;
        for (path, text) in PROJECT {
            let text = text.replace("{twinscale}", &library).replace("{twinscale-sqs}", &sqs);
            self.put(&path.replace("{name}", &name), &text.replace("{name}", &name), false)?;
        }
        for (path, text) in MAINS {
            let text = text.replace("twinscale_service", &name.replace('-', "_"));
            self.put(&path.replace("{name}", &name), &text, false)?;
        }
        for (folder, files) in &FOLDERS {
            self.put_all(Path::new(folder), files, &name)?;
        }
        if let Some(library) = self.library {
            // The versions that the library was tested with.
            let lock = library.join("Cargo.lock");
            let copied = std::fs::copy(&lock, self.folder.join("Cargo.lock"));
            copied.map_err(|error| ScaffoldError::Io { file: lock, error })?;
        }
        Ok(name)
    }

    fn name(&self) -> Result<String, ScaffoldError> {
        let name = self.folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (2..=40).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && !name.starts_with("twinscale")
            && name.chars().all(allowed);
        if good { Ok(name) } else { Err(ScaffoldError::Name(name)) }
    }

    fn is_empty(&self) -> Result<(), ScaffoldError> {
        match std::fs::read_dir(self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ScaffoldError::Io { file: self.folder.to_owned(), error }),
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(ScaffoldError::NotEmpty(self.folder.to_owned())),
            },
        }
    }

    /// What stands in the manifest for the library and for the queue of the tests.
    fn dependencies(&self) -> Result<(String, String), ScaffoldError> {
        let Some(library) = self.library else {
            let version = env!("CARGO_PKG_VERSION");
            return Ok((format!("\"{version}\""), format!("\"{version}\"")));
        };
        let none = |_| ScaffoldError::NoLibrary(library.to_owned());
        let at = |name: &str| library.join("crates").join(name).canonicalize().map_err(none);
        let path = |path: PathBuf| format!("{{ path = {:?} }}", path.to_string_lossy());
        Ok((path(at("twinscale")?), path(at("sqs")?)))
    }

    fn put_all(&self, under: &Path, files: &Dir<'_>, name: &str) -> Result<(), ScaffoldError> {
        for entry in files.entries() {
            match entry {
                DirEntry::Dir(folder) => self.put_all(under, folder, name)?,
                DirEntry::File(file) => {
                    let path = under.join(file.path());
                    let executable = path.extension().is_some_and(|extension| extension == "sh");
                    if let Some(text) = file.contents_utf8().filter(|_| belongs(&path)) {
                        self.put(&path.to_string_lossy(), &renamed(text, name), executable)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn put(&self, path: &str, text: &str, executable: bool) -> Result<(), ScaffoldError> {
        let file = self.folder.join(path);
        let write = || {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&file, text)?;
            if executable {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
            }
            Ok(())
        };
        write().map_err(|error| ScaffoldError::Io { file: file.clone(), error })
    }
}

/// Tests and what terraform leaves behind are this repository's own.
fn belongs(path: &Path) -> bool {
    let own = ["tests", ".terraform", ".aws-sam"];
    !path.components().any(|part| own.iter().any(|own| part.as_os_str() == *own))
        && !path.to_string_lossy().contains("tfstate")
}

/// The commands of the program, which keep its name.
const COMMANDS: [&str; 9] = ["compare", "advise", "break-even", "report", "sqs", "validate", "new", "decide", "gate"];

/// The text with the project's name in place of this one's, without what only the repository has.
fn renamed(text: &str, name: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut here = true;
    for line in text.lines() {
        let marked = line.trim_start().trim_start_matches(['#', '/', ' ']);
        match marked {
            "repository only" => here = false,
            "end of repository only" => here = true,
            _ if here && !is_work_setting(line) => {
                lines.push_str(&renamed_line(line, name));
                lines.push('\n');
            }
            _ => {}
        }
    }
    lines
}

/// A setting of the handler that ships, on a line of its own.
fn is_work_setting(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("WORK_") && line.contains([':', '='])
}

fn renamed_line(line: &str, name: &str) -> String {
    let line = line.replace("twinscale-service", name).replace("Twinscale", name);
    let mut out = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some(at) = rest.find("twinscale") {
        let (before, from) = rest.split_at(at);
        let after = &from["twinscale".len()..];
        out.push_str(before);
        let is_command =
            after.strip_prefix(' ').is_some_and(|next| COMMANDS.iter().any(|command| next.starts_with(command)));
        // Metrics have the library's name, and the laboratory's image is the laboratory's.
        let is_theirs = after.starts_with('_') || after.starts_with("-lab") || is_command;
        out.push_str(if is_theirs { "twinscale" } else { name });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_project_stands_where_ours_stood_and_what_is_the_librarys_stays() {
        for (ours, theirs) in [
            ("image: twinscale-worker", "image: orders-worker"),
            ("queue.twinscale:9324/0/twinscale-dead", "queue.orders:9324/0/orders-dead"),
            ("build -p twinscale-service", "build -p orders"),
            ("twinscale_handler_seconds", "twinscale_handler_seconds"),
            ("run `twinscale validate` on twinscale", "run `twinscale validate` on orders"),
            ("image: twinscale-lab", "image: twinscale-lab"),
        ] {
            assert_eq!(renamed_line(ours, "orders"), theirs);
        }
    }

    #[test]
    fn what_only_the_repository_has_is_left_out() {
        let text = "a\n# repository only\nb\n# end of repository only\n  WORK_WAIT: 1s\nWORK_SEED=1\nc # WORK_WAIT\n";
        assert_eq!(renamed(text, "orders"), "a\nc # WORK_WAIT\n");
    }

    #[test]
    fn names_and_folders_that_will_not_do_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| Project { folder: &folder.path().join(name), library: None }.write();
        for name in ["Orders", "1st", "a", "twinscale", "orders-", "or_ders"] {
            assert!(matches!(write(name), Err(ScaffoldError::Name(_))), "{name}");
        }
        assert_eq!(write("orders").expect("written"), "orders");
        assert!(matches!(write("orders"), Err(ScaffoldError::NotEmpty(_))));
        let nowhere = folder.path().join("nowhere");
        let away = Project { folder: &folder.path().join("away"), library: Some(&nowhere) };
        assert!(matches!(away.write(), Err(ScaffoldError::NoLibrary(_))));
    }

    #[test]
    fn nothing_of_ours_is_left_in_what_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        Project { folder: &folder.path().join("orders"), library: None }.write().expect("written");
        let kustomization =
            std::fs::read_to_string(folder.path().join("orders/eks/overlays/production/target/kustomization.yaml"));
        assert!(kustomization.expect("there").contains("namespace: orders"));
        let dockerfile = std::fs::read_to_string(folder.path().join("orders/eks/Dockerfile")).expect("there");
        for not_there in ["crates/", "twinscale-service", "lab-build"] {
            assert!(!dockerfile.contains(not_there), "{not_there} in {dockerfile}");
        }
        let main = std::fs::read_to_string(folder.path().join("orders/src/bin/orders-worker.rs")).expect("there");
        assert!(main.contains("use orders::handler::handler;") && main.contains("twinscale::worker::main(handler)"));
        assert!(folder.path().join("orders/eks/build-static.sh").metadata().is_ok());
    }
}
