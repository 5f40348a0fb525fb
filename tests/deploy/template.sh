#!/usr/bin/env bash
# sam/: the template as SAM reads it, as CloudFormation gets it, and checkov.
. "$(dirname "$0")/common.sh"

"$sam/sam" validate --lint -t sam/template.yaml > "$work/sam.log" 2>&1 || { cat "$work/sam.log" && fail "sam validate --lint"; }
# Newer linters do not look into SAM's resources, so the transformed template is linted too.
"$sam/python" "$here/sam_transform.py" sam/template.yaml > "$work/template.json"
"$checks/cfn-lint" "$work/template.json"
# HttpAuth=NONE without both of these answers 403 to everybody, and no linter says so.
"$sam/python" "$here/public_url.py" "$work/template.json"
# CKV_AWS_158: logs hold no bodies, and are encrypted with CloudWatch's own key. 116: an event source mapping dead-letters by
# the queue. 117: SQS is reached without a VPC. 115: MaximumConcurrency caps the mapping. 173: the one secret (SendToken) is
# off by default, and encrypted with Lambda's own key.
"$checks/checkov" --skip-download --quiet --compact -f sam/template.yaml --framework cloudformation \
    --skip-check CKV_AWS_158,CKV_AWS_116,CKV_AWS_117,CKV_AWS_115,CKV_AWS_173
say "sam: template valid, transformed, linted"
