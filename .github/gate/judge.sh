#!/usr/bin/env bash
# Judges the change by `twinscale gate`, and tells it in the job's summary and in one comment on the pull request, which later
# runs edit. Ends as the gate does: 0 it passes, 1 it fails, 64 something cannot be read.
# BASE, GOAL, MAX_COST_INCREASE, ARGUMENTS (one a line), COMMENT, PULL_REQUEST; GH_TOKEN may write comments.
set -euo pipefail

# How the comment is found again.
marker='<!-- twinscale gate -->'

flags=(--base "$BASE" --goal "$GOAL" --format markdown)
if [[ -n $MAX_COST_INCREASE ]]; then
    flags+=(--max-cost-increase "$MAX_COST_INCREASE")
fi
while IFS= read -r flag; do
    if [[ -n $flag ]]; then
        flags+=("$flag")
    fi
done <<<"$ARGUMENTS"

told=$(mktemp)
wrong=$(mktemp)
status=0
twinscale gate "${flags[@]}" >"$told" 2>"$wrong" || status=$?
cat "$wrong" >&2

body=$(mktemp)
echo "$marker" >"$body"
if [[ $status -le 1 ]]; then
    cat "$told" >>"$body"
else
    {
        echo "**twinscale gate: the change could not be judged**"
        echo
        echo '````text'
        cat "$wrong"
        echo '````'
    } >>"$body"
fi
cat "$body" >>"$GITHUB_STEP_SUMMARY"

comment() {
    local comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments found
    # The first of this marker that a bot wrote: what a person quotes is no comment of ours.
    found=$(gh api --paginate "$comments" \
        --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id") || return
    found=${found%%$'\n'*}
    if [[ -n $found ]]; then
        gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$found" -F "body=@$body"
    else
        gh api --silent --method POST "$comments" -F "body=@$body"
    fi
}

if [[ $COMMENT == true && -n $PULL_REQUEST ]]; then
    comment || echo "::warning::the pull request has no comment (pull-requests: write is needed, which a fork's" \
        "token never has): the result is in the job's summary"
fi
exit "$status"
