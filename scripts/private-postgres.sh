# shellcheck shell=bash
# A private PostgreSQL server for a script: source this file, then call `start_postgres NAME [-c SETTING…]`. After that,
# $work is a temporary folder and "${psql[@]}" a psql command on the server (socket in $work/pg, port $port). The server
# stops and the folder is removed when the script ends.

die() { echo "${0##*/}: $*" >&2; exit 1; }

# libpq and sqlx would connect to another server if the caller's environment had PG* variables.
unset "${!PG@}"

# Debian installs the server outside PATH, and pg_config may belong to a client package without a server.
bin=
for dir in "$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v initdb || echo /-/-)")" \
  $(printf '%s\n' /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin | sort -rV); do
  if [[ -x $dir/initdb && -x $dir/postgres && -x $dir/psql ]]; then bin=$dir; break; fi
done
[[ $bin ]] || die "PostgreSQL is missing: run \`make setup\`"

# PostgreSQL refuses to run as root. The user `postgres` exists if a package created it, `nobody` always exists. setpriv
# replaces itself with the program (runuser would stay as its parent), so that $! below is the server.
as=(env)
if ((EUID == 0)); then
  user=postgres; id "$user" >/dev/null 2>&1 || user=nobody
  as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
fi

port=${port:-5432}
server=
stop() { # SIGQUIT is the immediate shutdown, without a checkpoint: the data is deleted anyway.
  if [[ $server ]]; then kill -QUIT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}

pg() { cd "$work/pg" && exec "${as[@]}" "$bin/$@"; } # The user may not be allowed to enter the checkout.

start_postgres() {
  # /tmp instead of $TMPDIR: a socket path has at most 103 bytes, and the unprivileged user must be able to reach it.
  work=$(mktemp -d "/tmp/$1.XXXXXX"); shift
  trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir -m 700 "$work/pg" # The server trusts every local connection, so only its owner may reach the socket.
  if ((EUID == 0)); then chmod 711 "$work"; chown "$user" "$work/pg"; fi
  (pg initdb -D data -U postgres -A trust -E UTF8 --locale=C --no-sync) >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "initdb failed"; }
  pg postgres -D data -k "$work/pg" -p "$port" "$@" >"$work/log" 2>&1 </dev/null &
  server=$!
  psql=("$bin/psql" -X -q -h "$work/pg" -p "$port" -U postgres -d postgres -v ON_ERROR_STOP=1)
  for _ in {1..300}; do # 30 s
    if "${psql[@]}" -c 'SELECT 1' >/dev/null 2>&1 || ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.1
  done
  "${psql[@]}" -c 'SELECT 1' >/dev/null || { cat "$work/log" >&2; die "PostgreSQL did not start"; }
}
