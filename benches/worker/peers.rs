//! What people use instead, where `benches/peers/setup.sh` has set it up.

use std::path::Path;

use crate::measured::Program;

/// Those that can run here, and the names of those that cannot.
pub fn installed() -> (Vec<Program>, Vec<&'static str>) {
    let sources = folder("benches/peers");
    let built = folder("target/peers");
    let peers = [
        ("npm sqs-consumer", vec!["node".to_owned(), format!("{built}/npm/sqs_consumer.mjs")]),
        ("boto3 loop", vec![format!("{built}/venv/bin/python"), format!("{sources}/boto3_loop.py")]),
        ("ruststream-sqs-sns", vec![format!("{built}/ruststream/release/ruststream-consumer")]),
    ];
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for (name, command) in peers {
        if command.iter().filter(|part| part.contains('/')).all(|file| Path::new(file).exists()) {
            found.push(Program { name, command, variables: Vec::new() });
        } else {
            left_out.push(name);
        }
    }
    (found, left_out)
}

fn folder(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}
