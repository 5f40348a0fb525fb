#!/usr/bin/env bash
# eks/components: every combination of them in production, and in a local cluster, either renders or refuses with a sentence.
# What renders is strict against KEDA's CRDs, and validate finds nothing in it.
. "$(dirname "$0")/common.sh"
wants kubectl

into=$work/combinations
rm -rf "$into"
mkdir -p "$into"

# The optional components of an overlay, in the order in which they stand there.
optional() { sed -n 's|^ *# - \.\./\.\./components/||p' "eks/overlays/$1/kustomization.yaml"; }

# Why these, together, must not be rendered; nothing where they work.
refusal() {
    local overlay=$1 on=" ${*:2} "
    has() { [[ $on == *" $1 "* ]]; }
    if has scaled-job && has message-age; then echo 'message-age and scaled-job exclude each other'; fi
    if has scaled-job && has scale-to-zero; then echo 'scale-to-zero beside scaled-job changes nothing'; fi
    if has no-sender && has public-load-balancer; then echo 'public-load-balancer makes the component sender public'; fi
    [ "$overlay" = local ] || return 0
    if has message-age; then echo 'message-age asks CloudWatch'; fi
    if has article-identity; then echo "article-identity lets KEDA's operator use its own AWS identity"; fi
    if has public-load-balancer; then echo "public-load-balancer wants AWS's load balancers"; fi
}

rendered=() refused=0
combination() {
    local overlay=$1 name copy=$into/eks reasons
    shift
    name=$overlay$(printf -- '+%s' "$@")
    rm -rf "$copy"
    cp -r eks "$copy"
    for component in "$@"; do
        if [ "$component" = no-sender ]; then
            sed -i '\|- \.\./\.\./components/sender|d' "$copy/overlays/$overlay/kustomization.yaml"
        elif grep -q "# - ../../components/$component\$" "$copy/overlays/$overlay/kustomization.yaml"; then
            sed -i "s|# - ../../components/$component\$|- ../../components/$component|" "$copy/overlays/$overlay/kustomization.yaml"
        else # none that the overlay offers
            sed -i "s|^images:|  - ../../components/$component\nimages:|" "$copy/overlays/$overlay/kustomization.yaml"
        fi
    done
    reasons=$(refusal "$overlay" "$@")
    if kubectl kustomize "$copy/overlays/$overlay" > "$into/$name.yaml" 2> "$into/$name.log"; then
        [ -z "$reasons" ] || fail "$name renders, although $reasons"
        rendered+=("$into/$name.yaml")
    else
        [ -n "$reasons" ] || { cat "$into/$name.log" && fail "$name does not render"; }
        # kustomize ends with the first of them.
        grep -qF -f <(printf '%s\n' "$reasons") "$into/$name.log" || { cat "$into/$name.log" && fail "$name says something else than: $reasons"; }
        refused=$((refused + 1))
    fi
}

read -ra components <<< "no-sender $(optional production | tr '\n' ' ')"
total=$((1 << ${#components[@]}))
for ((mask = 0; mask < total; mask++)); do
    on=()
    for i in "${!components[@]}"; do
        if ((mask >> i & 1)); then on+=("${components[i]}"); fi
    done
    combination production ${on[@]+"${on[@]}"}
done
# In a local cluster: what the overlay offers, together, and what it must refuse.
for several in $(optional local) "pod-monitor scale-to-zero" "pod-monitor scaled-job" message-age article-identity public-load-balancer; do
    read -ra on <<< "$several"
    combination local "${on[@]}"
done
"$tools/crds/bin/python" "$here/crd_check.py" "$tools/keda-crds" "${rendered[@]}"
for path in "${rendered[@]}"; do
    "$twinscale" validate --settings deploy/settings.yaml --kubernetes "$path" > "$work/validate.log" || { cat "$work/validate.log" && fail "validate finds faults in $path"; }
    grep -q '^validate: nothing found' "$work/validate.log" || { cat "$work/validate.log" && fail "validate warns of $path"; }
done
say "combinations: $total of production and some of a local cluster: ${#rendered[@]} render, pass KEDA's CRDs and validate; $refused refuse with a sentence"
