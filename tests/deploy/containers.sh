# shellcheck shell=bash disable=SC2154 # sourced after common.sh
# Sourced: `build TARGET TAG [FLAG…]` and the settings of whichever container tool is there: docker, or podman with buildah as root.
base=docker.io/library/rust:1.95-bookworm # as in eks/Dockerfile

if docker info > /dev/null 2>&1; then
    containers=docker
elif [ "$(id -u)" = 0 ]; then
    containers=podman
    for tool in podman buildah catatonit; do
        command -v "$tool" > /dev/null || [ -x "/usr/libexec/podman/$tool" ] || fail "$tool is not here: apt-get install podman buildah catatonit runc, or start docker"
    done
    runtime=$(basename "$(command -v crun || command -v runc)" 2> /dev/null) || true
    [ -n "$runtime" ] || fail "neither crun nor runc is here: apt-get install runc"
    # What a container inside a container may do: no systemd, no journal, and the limits that it has itself.
    cat > "$work/containers.conf" <<C
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "$runtime"
cgroup_manager = "cgroupfs"
events_logger = "file"
C
    export CONTAINERS_CONF=$work/containers.conf
else
    containers=none
fi

registry_in_reach() { [ "$(curl -so /dev/null -m 5 -w '%{http_code}' https://registry-1.docker.io/v2/)" != 000 ]; }

# Without a registry, this machine's own /usr and toolchain stand in for the base image: that proves the steps of the
# Dockerfile, not the upstream image.
stand_in() {
    local root container
    root=$(mktemp -d)
    mkdir -p "$root"/{usr,etc/ssl/certs,tmp,root/.rustup,root/.cargo,var,src}
    for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp -a /etc/ld.so.cache /etc/ld.so.conf /etc/passwd /etc/group /etc/alternatives "$root/etc/"
    chmod 1777 "$root/tmp"
    container=$(buildah from scratch)
    buildah add -q "$container" "$root" / > /dev/null
    buildah config --env "PATH=/root/.rustup/toolchains/$(toolchain)/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$container"
    buildah commit -q --rm "$container" "$base" > /dev/null
    rm -rf "$root"
}

toolchain() { basename "$(dirname "$(dirname "$(rustup which cargo)")")"; }

build() {
    local target=$1 tag=$2
    if [ "$containers" = docker ]; then
        docker build -q -f eks/Dockerfile --target "$target" -t "$tag" "${@:3}" . > /dev/null
    elif registry_in_reach; then
        buildah bud --layers --network host "${@:3}" -f eks/Dockerfile --target "$target" -t "$tag" . > "$work/build.log" 2>&1 || { tail -30 "$work/build.log" && return 1; }
    else
        # Builds in this repository's target folder: what was compiled for the image serves `sam build` and a second run.
        buildah images -q "$base" > /dev/null 2>&1 || stand_in
        left_out "image: built on this machine's own toolchain, since no container registry is in reach for $base"
        buildah bud --layers --pull-never --runtime "$runtime" --network host -v /usr:/usr:ro -v "$HOME/.rustup":/root/.rustup:ro \
            -v "$HOME/.cargo/registry":/root/.cargo/registry:O -v "$PWD/target":/src/target "${@:3}" \
            -f eks/Dockerfile --target "$target" -t "$tag" . > "$work/build.log" 2>&1 || { tail -30 "$work/build.log" && return 1; }
    fi
}
