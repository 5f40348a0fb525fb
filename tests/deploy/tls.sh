#!/usr/bin/env bash
# The policies that refuse plain HTTP, in place: the queues of the template and of terraform in an emulator that serves TLS.
# A client and the worker reach them over TLS; what says that it came over plain HTTP is refused by the policy alone.
. "$(dirname "$0")/common.sh"

endpoint=https://127.0.0.1:4567
folder=$work/tls
worker=$(dirname "$twinscale")/twinscale-worker
[ -x "$worker" ] || fail "$worker is not here: make build"
mkdir -p "$folder"
# No authority: rustls takes no certificate of one for a server's own.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout "$folder/server.key" -out "$folder/server.crt" \
    -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 2> /dev/null
export AWS_CA_BUNDLE=$folder/server.crt SSL_CERT_FILE=$folder/server.crt

emulate "$endpoint" "$folder/ministack.log" USE_SSL=1 "MINISTACK_SSL_CERT=$folder/server.crt" "MINISTACK_SSL_KEY=$folder/server.key"
processes=("$emulator")
trap 'kill "${processes[@]}" 2> /dev/null || true' EXIT

"$sam/python" "$here/sam_transform.py" sam/template.yaml > "$folder/template.json"
drive() { "$sam/python" "$here/tls.py" "$endpoint" "$@"; }
state=()
if [ -e "$work/state.json" ]; then
    state=("$work/state.json")
else
    left_out "tls: the policies of terraform were not put in place, which wants its state from the schema stub"
fi
drive deploy "$folder/template.json" "${state[@]}" > "$folder/queues"
mapfile -t queues < "$folder/queues"
drive refused "${queues[@]}"
for queue in "${queues[@]}"; do
    drive send "$queue" 20
    env -i AWS_ENDPOINT_URL="$endpoint" AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test SSL_CERT_FILE="$SSL_CERT_FILE" \
        AWS_EC2_METADATA_DISABLED=true QUEUE_URL="$queue" HTTP_ADDR=127.0.0.1:0 ADMIN_ADDR=127.0.0.1:0 WAIT_TIME_SECS=1 SEND=off \
        WORK_WAIT=constant:5ms "$worker" > "$folder/worker.log" 2>&1 &
    processes+=($!)
    drive emptied "$queue" || { tail -5 "$folder/worker.log" && exit 1; }
    kill "${processes[-1]}"
    wait "${processes[-1]}" || fail "the worker exited with $? after SIGTERM: $folder/worker.log"
    unset 'processes[-1]'
done
say "tls: ${#queues[@]} queues with their policies: a worker consumes over TLS, and plain HTTP is refused"
