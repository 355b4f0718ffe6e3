#!/usr/bin/env bash
# One entry for all roles. Anything that is no role is a command, run as it stands:
#   entrypoint head | worker HEAD[:PORT] | mlflow | submit PRESET [OPTIONS] | freezo run ...
set -euo pipefail

# Ray reads its token from a file; the secret is one. Without it the cluster would be open.
need_token() {
  export RAY_AUTH_MODE=token
  export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-/run/secrets/ray_token}"
  [ -s "$RAY_AUTH_TOKEN_PATH" ] || {
    echo "entrypoint: no Ray token in $RAY_AUTH_TOKEN_PATH; make one with: openssl rand -hex 32" >&2
    exit 2
  }
}

role="${1:-}"
case "$role" in
  head)
    need_token
    exec ray start --head --block --port="${RAY_PORT:-6379}" \
      --dashboard-host="${DASHBOARD_HOST:-0.0.0.0}" --dashboard-port="${DASHBOARD_PORT:-8265}" "${@:2}"
    ;;
  worker)
    need_token
    exec ray start --block --address="${2:?entrypoint: worker HEAD[:PORT]}" "${@:3}"
    ;;
  mlflow)
    store="${MLFLOW_BACKEND_STORE_URI:-}"
    if [ -z "$store" ]; then
      password="$(cat "${POSTGRES_PASSWORD_FILE:-/run/secrets/postgres_password}")"
      store="postgresql://freezo:${password}@${POSTGRES_HOST:-database}/mlflow"
    fi
    exec mlflow server --host 0.0.0.0 --port "${MLFLOW_PORT:-5000}" \
      --backend-store-uri "$store" --artifacts-destination "${MLFLOW_ARTIFACTS:-/storage/artifacts}" \
      --allowed-hosts "${MLFLOW_ALLOWED_HOSTS:-mlflow:5000,localhost:*,127.0.0.1:*}" "${@:2}"
    ;;
  submit)
    need_token
    exec ray job submit --address "${RAY_DASHBOARD:-http://head:8265}" \
      --entrypoint-num-cpus 0 -- python -m sweeps run "${@:2}"
    ;;
  *)
    exec "$@"
    ;;
esac
