#!/usr/bin/env bash
# Protocol checks of the embedded queue with the aws CLI: run with the endpoint URL and the path of aws. Timeouts are long, since
# the clock of the queue is fast and the CLI is slow.
set -uo pipefail
endpoint=$1 aws=$2 failed=0
sqs() { "$aws" sqs "$@" --endpoint-url "$endpoint" --output text 2>&1; }
check() { # name, expected (a pattern), got
    # shellcheck disable=SC2053
    if [[ $3 == $2 ]]; then echo "ok   $1"; else echo "FAIL $1: $3"; failed=1; fi
}

url=$(sqs create-queue --queue-name cli --attributes VisibilityTimeout=36000)
check "create-queue answers the url" "$endpoint/000000000000/cli" "$url"
check "list-queues finds it" "*$url*" "$(sqs list-queues --queue-name-prefix cli)"
check "send-message answers the MD5" "*5d41402abc4b2a76b9719d911017c592*" \
    "$(sqs send-message --queue-url "$url" --message-body hello --message-attributes 'a={DataType=String,StringValue=v}')"
handle=$(sqs receive-message --queue-url "$url" --attribute-names All --message-attribute-names All --query 'Messages[0].[Body,ReceiptHandle,Attributes.ApproximateReceiveCount,MessageAttributes.a.StringValue]')
read -r body receipt count attribute <<<"$handle"
check "receive-message brings it with its attributes" "hello 1 v" "$body $count $attribute"
check "get-queue-attributes counts it in flight" "1" \
    "$(sqs get-queue-attributes --queue-url "$url" --attribute-names All --query Attributes.ApproximateNumberOfMessagesNotVisible)"
check "change-message-visibility gives it back" "" \
    "$(sqs change-message-visibility --queue-url "$url" --receipt-handle "$receipt" --visibility-timeout 0)"
check "delete-message deletes it" "" "$(sqs delete-message --queue-url "$url" --receipt-handle "$receipt")"
check "an error names AWS's code" "*(AWS.SimpleQueueService.NonExistentQueue)*The specified queue does not exist*" \
    "$(sqs get-queue-url --queue-name no-such)"
check "a bad handle is named" "*(ReceiptHandleIsInvalid)*" "$(sqs delete-message --queue-url "$url" --receipt-handle x)"
check "purge-queue and delete-queue succeed" "" "$(sqs purge-queue --queue-url "$url")$(sqs delete-queue --queue-url "$url")"
exit $failed
