#!/bin/sh
# Runs this test binary once more, as the process of a host. Lambda's settings name a program without arguments.
exec "$HOST_PROGRAM" --exact conformance::process::the_process_of_a_host --ignored --nocapture --quiet
