//! Whatever form is sent to the embedded queue, it answers with XML: a line is a request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twinscale_sqs::server::SqsServer;

fuzz_target!(|input: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = SqsServer::start().await;
        let server = server.expect("a free port");
        server.create_queue("q", &[("VisibilityTimeout", "0")]).expect("a new queue");
        // A long poll would only wait, and its name can be written in many ways.
        let is_short = |form: &&[u8]| !form.windows(4).any(|part| part == b"Wait") && !form.contains(&b'%');
        for form in input.split(|byte| *byte == b'\n').take(50).filter(is_short) {
            let answer = String::from_utf8(server.query(form).await).expect("UTF-8");
            assert!(answer.starts_with("<?xml version=\"1.0\"?><") && answer.ends_with("Response>"), "{answer}");
            assert!(!answer.contains(|c: char| c < ' ' && !matches!(c, '\t' | '\n')), "{answer}");
        }
    });
});
