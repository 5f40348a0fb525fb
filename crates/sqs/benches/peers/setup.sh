#!/usr/bin/env bash
# Installs what benches/peers measures the embedded queue against: moto (with the clients of the tests, in target/clients) and
# ElasticMQ from Maven Central, in target/sqs-peers. What fails to install is left out of the measurement.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=$here/../../../../target/sqs-peers
failed=0

if ! "$here/../../tests/clients/setup.sh"; then
    echo "$0: moto was not installed" >&2
    failed=1
fi

if ! mvn --quiet --batch-mode --file "$here/pom.xml" "-Dmaven.repo.local=$to/m2" "-DoutputDirectory=$to/elasticmq" \
    dependency:copy-dependencies; then
    echo "$0: ElasticMQ was not installed: it needs java, mvn and Maven Central" >&2
    failed=1
fi

exit $failed
