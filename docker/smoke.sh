#!/usr/bin/env bash
# Try both images that docker/build-rootless.sh built: train in the one, serve what it registered in the other.
#
#     docker/smoke.sh [--dir FOLDER]        the folder given to build-rootless.sh; about three minutes
#
# As root, with buildah, and apart from this machine: user 1000 in a chroot, a network with nothing but its own
# loopback (so that no port of another Ray is met), a registry in a folder between the two.
set -euo pipefail

dir=${KALSHI_IMAGES:-/var/tmp/kalshi-images}
[ "${1:-}" != --dir ] || dir=${2:?--dir wants a folder}
version=0.1.0
[ -s "$dir/driver" ] || { echo "smoke: no images in $dir: docker/build-rootless.sh --dir $dir" >&2; exit 2; }
if [ -z "${KALSHI_SMOKE_APART:-}" ]; then
  exec unshare --net --pid --fork --mount-proc env KALSHI_SMOKE_APART=1 "$0" --dir "$dir"
fi
ip link set lo up
files=$(ulimit -Hn) # a container gets 1,024 unless it is told, and no more than this shell has

store() { buildah --root "$dir/storage" --runroot "$dir/run" --storage-driver "$(cat "$dir/driver")" "$@"; }
step() { printf '\n=== %s (%s s)\n' "$*" "$SECONDS"; }
fail() { echo "smoke: $*" >&2; exit 1; }

work=$(mktemp -d "$dir/smoke-XXXXXX")
containers=()
server=
end() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" || true; fi
  for container in "${containers[@]}"; do store rm "$container" >/dev/null || true; done
  rm -rf "$work"
}
trap end EXIT
chown 1000:1000 "$work"

begin() { # NAME of an image: starts a container of it, whose name is then in $container
  container=$(store from --pull-never --ulimit "nofile=$files:$files" "localhost/kalshi-platform-$1:$version")
  containers+=("$container")
}
within() { # CONTAINER COMMAND...: runs it as the image's user, with the smoke's folder as /work
  local name=$1
  shift
  store run --isolation chroot --user 1000:1000 --volume "$work:/work" --env RAY_AUTH_TOKEN="$ray_token" \
    --env KALSHI_PLATFORM_REGISTRY=/work/registry --env KALSHI_CLIENT_TOKENS="$token" \
    --env KALSHI_ADMIN_TOKENS="$admin_token" "$name" -- "$@"
}
ask() { within "$server_container" python -c "$@"; }
secret() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
ray_token=$(secret) token=$(secret) admin_token=$(secret)

for name in train serve; do
  step "image $name says its commit"
  said=$(store inspect --type image --format '{{index .Docker.Config.Labels "org.opencontainers.image.revision"}}' \
    "localhost/kalshi-platform-$name:$version")
  echo "$said"
  [ -n "$said" ] || fail "image $name has no label org.opencontainers.image.revision"
done

begin train
trainer=$container
step "train: doctor"
within "$trainer" kalshi-platform doctor
step "train: simulate, build, train, evaluate, register"
within "$trainer" kalshi-platform simulate --out /work/recordings --events 24 --seed 7
within "$trainer" kalshi-platform dataset build --input /work/recordings --out /work/dataset
within "$trainer" kalshi-platform train --dataset /work/dataset --out /work/run --steps 16384 --level tiny
within "$trainer" kalshi-platform evaluate --run /work/run --dataset /work/dataset --out /work/judged
within "$trainer" sh -c 'grep -rho "\"commit\": *\"[^\"]*\"" /work/run/*.json | sort -u'
within "$trainer" sh -c 'grep -rhq "\"commit\": *\"[^\"]" /work/run/*.json' || fail "the run does not say its commit"
within "$trainer" kalshi-platform models register --run /work/run --dataset /work/dataset --registry /work/registry
within "$trainer" python -c '
from kalshi_platform.models.registry.store import CHALLENGER, Registry
registry = Registry("/work/registry")
registry.promote(CHALLENGER, registry.models()[0].id, reason="smoke test")'

begin serve
server_container=$container
step "serve: a limit of too few open files is refused before Ray starts"
set +e
within "$server_container" sh -c 'ulimit -n 1024; exec python -m serve_deployments.container' 2>"$work/refused"
status=$?
set -e
cat "$work/refused"
[ "$status" = 2 ] || fail "exit status $status instead of 2"
grep -q "HAProxy needs" "$work/refused" || fail "the refusal does not name HAProxy's open files"

step "serve: starts"
within "$server_container" python -m serve_deployments.container --model challenger /opt/kalshi/serve-config.yaml \
  >"$work/serve.log" 2>&1 &
server=$!
while ! within "$server_container" python /opt/kalshi/healthz.py serve >"$work/health" 2>&1; do
  kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; fail "the server ended"; }
  [ "$SECONDS" -lt 900 ] || { cat "$work/serve.log" "$work/health"; fail "not healthy within 15 minutes"; }
  sleep 2
done
cat "$work/serve.log" "$work/health"

step "serve: 401 without a token, a decision with it, metrics on port 8080"
ask '
import json, os, urllib.error, urllib.request
def get(path, data=None, **headers):
    return urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8000" + path, data, headers), timeout=30)
try:
    get("/v1/example")
    raise SystemExit("answered without a token")
except urllib.error.HTTPError as error:
    assert error.code == 401, error
    print("without a token:", error.code)
bearer = {"Authorization": "Bearer " + os.environ["KALSHI_CLIENT_TOKENS"]}
example = get("/v1/example", **bearer).read()
answer = json.load(get("/v1/decide", example, **bearer, **{"Content-Type": "application/json"}))
print("decided:", json.dumps(answer)[:300])
import time
for _ in range(30):
    text = urllib.request.urlopen("http://127.0.0.1:8080/metrics", timeout=30).read().decode()
    if "ray_kalshi_serve_decisions_total" in text:
        break
    time.sleep(1)
else:
    raise SystemExit("no ray_kalshi_serve_decisions_total on port 8080")
print("metrics:", sum(line.startswith("ray_kalshi_serve") for line in text.splitlines()), "series of the service")
'
step "serve: ends when it is asked to"
kill "$server"
wait "$server" || true
server=
step "both images work"
