#!/usr/bin/env bash
# needs.sh ends at once, with the name of what is missing: one tool after the other is taken away from it.
. "$(dirname "$0")/common.sh"

whole=$PATH
without() {
    local bin=$work/bin-without folder
    rm -rf "$bin"
    mkdir -p "$bin"
    local IFS=:
    for folder in $whole; do
        [ ! -d "$folder" ] || find -L "$folder" -maxdepth 1 -type f -executable ! -name "$1" -exec ln -sft "$bin" {} +
    done
    PATH=$bin "$here/needs.sh"
}

if ! "$here/needs.sh" > "$work/needs.log" 2>&1; then
    left_out "needs: $(tail -1 "$work/needs.log")"
    exit 0
fi
tools_wanted=(python3 npm kubectl curl cargo)
! grep -q podman "$work/needs.log" || tools_wanted+=(buildah)
for tool in "${tools_wanted[@]}"; do
    if without "$tool" > "$work/needs.log" 2>&1; then fail "needs.sh does not miss $tool"; fi
    grep -q "$tool is not here" "$work/needs.log" || { cat "$work/needs.log" && fail "needs.sh does not name $tool"; }
done
say "needs: ${tools_wanted[*]} are named when they are missing"
