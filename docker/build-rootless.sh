#!/usr/bin/env bash
# Build both images from this checkout without a container engine: buildah in a chroot, on a base from Debian.
#
#     docker/build-rootless.sh [--dir FOLDER] [--torch-index URL] [--base IMAGE] [train] [serve]
#
# Needs      root (debootstrap and mounts), Debian's packages buildah and debootstrap, git; no daemon.
# Base       Debian bookworm with python3.11, as "localhost/kalshi-base:bookworm", instead of python:3.11-slim,
#            for machines that reach no registry of images. --base names another one that buildah can pull.
# Packages   from where this machine's pip takes them: its index, folders of wheels and certificate are mounted
#            while the images are built. --torch-index adds the index of torch's CPU wheels
#            (https://download.pytorch.org/whl/cpu); without it a "+cpu" wheel must lie where pip looks.
# Images     localhost/kalshi-platform-train:0.1.0 and localhost/kalshi-platform-serve:0.1.0 in --dir.
# Again      the base and every layer that is there is used again; an interrupted build goes on from its last layer.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${KALSHI_IMAGES:-/var/tmp/kalshi-images}
torch_index=
base=
targets=()
version=0.1.0

refuse() { echo "build-rootless: $*" >&2; exit 2; }
step() { printf '=== %s (%s s)\n' "$*" "$SECONDS"; }

while [ $# -gt 0 ]; do
  case $1 in
    --dir) dir=${2:?--dir wants a folder}; shift 2 ;;
    --torch-index) torch_index=${2:?--torch-index wants a URL}; shift 2 ;;
    --base) base=${2:?--base wants an image}; shift 2 ;;
    train | serve) targets+=("$1"); shift ;;
    *) refuse "$1 is unknown: give train, serve, --dir FOLDER, --torch-index URL or --base IMAGE" ;;
  esac
done
[ ${#targets[@]} -gt 0 ] || targets=(serve train)
[ "$(id -u)" = 0 ] || refuse "debootstrap and mounts need root: run it with sudo"
for tool in buildah debootstrap git python3; do
  command -v "$tool" >/dev/null || refuse "$tool is not installed: apt-get install buildah debootstrap git python3"
done
commit=$(git -C "$root" describe --always --dirty --abbrev=12 --exclude '*') ||
  refuse "$root is no git checkout, so its images could not say which commit they are"
mkdir -p "$dir"
free_gb=$(df --output=avail -BG "$dir" | tail -n 1 | tr -dc 0-9)
[ "$free_gb" -ge 20 ] || refuse "$dir has $free_gb GB free, 20 are needed: name another folder with --dir"

# Layers share their bytes on overlay; vfs, which works everywhere, copies every layer whole.
driver=vfs
mkdir -p "$dir/try/low" "$dir/try/up" "$dir/try/work" "$dir/try/all"
if mount -t overlay overlay -o "lowerdir=$dir/try/low,upperdir=$dir/try/up,workdir=$dir/try/work" \
  "$dir/try/all" 2>/dev/null; then
  umount "$dir/try/all"
  driver=overlay
fi
rm -rf "$dir/try"
printf '%s\n' "$driver" >"$dir/driver"
store() { buildah --root "$dir/storage" --runroot "$dir/run" --storage-driver "$driver" "$@"; }

# What pip reads here, with the folders that it names: seen by the builds, kept in no image.
mounts=()
lend() { [ ! -e "$1" ] || mounts+=(--volume "$1:$1:ro"); }
{
  echo '[global]'
  for key in cert index-url extra-index-url find-links; do
    name=PIP_${key^^}
    name=${name//-/_}
    value=${!name:-$(python3 -m pip config get "global.$key" 2>/dev/null || true)}
    [ -z "$value" ] || printf '%s = %s\n' "$key" "$(tr '\n' ' ' <<<"$value")"
    for word in $value; do
      case $word in
        file://*) place=${word#file://}; lend "${place%/simple}" ;;
        /*) lend "$word" ;;
      esac
    done
  done
} >"$dir/pip.conf"
mounts+=(--volume "$dir/pip.conf:/etc/pip.conf:ro")
[ ! -d /etc/ssl/certs ] || mounts+=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)

pull=--pull
if [ -z "$base" ]; then
  pull=--pull-never
  base=localhost/kalshi-base:bookworm
  if ! store inspect --type image "$base" >/dev/null 2>&1; then
    step "base: Debian bookworm with python3.11"
    container=$(store from scratch)
    folder=$(store mount "$container")
    debootstrap --variant=minbase \
      --include=ca-certificates,python3,python3-distutils,python3-venv,python3.11-venv \
      bookworm "$folder" http://deb.debian.org/debian >"$dir/debootstrap.log" ||
      refuse "debootstrap failed: see $dir/debootstrap.log"
    ln -s python3 "$folder/usr/bin/python"
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/* "$folder"/debootstrap \
      "$folder"/usr/share/{doc,man,locale,info}/*
    store umount "$container" >/dev/null
    store config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd python3 "$container"
    store commit --quiet --rm "$container" "$base" >/dev/null
  fi
fi

for target in "${targets[@]}"; do
  image=localhost/kalshi-platform-$target:$version
  step "$image of commit $commit, storage $driver"
  store bud --format docker --isolation chroot --layers "$pull" \
    --file "$root/docker/Dockerfile" --ignorefile "$root/.dockerignore" --target "$target" --tag "$image" \
    --build-arg "BASE=$base" --build-arg "TORCH_INDEX=$torch_index" --build-arg "KALSHI_PLATFORM_COMMIT=$commit" \
    "${mounts[@]}" "$root"
done
step "done: copy one with buildah --root $dir/storage --runroot $dir/run push IMAGE docker://REGISTRY/NAME"
store images
