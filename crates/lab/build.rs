//! Tells the program which commit it was built from, for `--version`: from the checkout, or from what `cargo package` noted.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let version = commit().map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo:rustc-env=TWINSCALE_VERSION={version}");
}

fn commit() -> Option<String> {
    // In a package that was published; git's own answer would be of whatever checkout the registry's folder lies in.
    if let Ok(noted) = fs::read_to_string(".cargo_vcs_info.json") {
        let at = noted.find("\"sha1\": \"")? + "\"sha1\": \"".len();
        return noted.get(at..at + 12).map(str::to_owned);
    }
    let log = Path::new("../../.git/logs/HEAD");
    if !log.exists() {
        return None;
    }
    println!("cargo:rerun-if-changed={}", log.display());
    let git = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    git.status.success().then(|| String::from_utf8_lossy(&git.stdout).trim().to_owned())
}
