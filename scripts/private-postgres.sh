# shellcheck shell=bash
# For scripts that need a PostgreSQL of their own: source it, then `start_postgres NAME [-c SETTING…]`. Afterwards $work is
# a folder and $psql a command on the server's socket in $work/pg, port $port; both are gone when the script ends, however it does.

die() { echo "${0##*/}: $*" >&2; exit 1; }

# Only the private server counts: libpq and sqlx would both take what is missing from a caller's PG* variables.
unset "${!PG@}"

# Debian keeps the server out of PATH, and pg_config may belong to a client without a server: look for the programs.
bin=
for dir in "$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v initdb || echo /-/-)")" \
  $(printf '%s\n' /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin | sort -rV); do
  if [[ -x $dir/initdb && -x $dir/postgres && -x $dir/psql ]]; then bin=$dir; break; fi
done
[[ $bin ]] || die "no PostgreSQL server programs found (make postgres installs them)"

# PostgreSQL refuses to run as root; `postgres` exists wherever a package installed it, `nobody` everywhere. setpriv
# becomes the program (runuser would stay as its parent), so that $! below is the server itself.
as=(env)
if ((EUID == 0)); then
  user=postgres; id "$user" >/dev/null 2>&1 || user=nobody
  as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
fi

port=${port:-5432}
server=
stop() { # SIGQUIT, the immediate shutdown: nothing in there is worth a checkpoint.
  if [[ $server ]]; then kill -QUIT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}

pg() { cd "$work/pg" && exec "${as[@]}" "$bin/$@"; } # From there: the user may not be allowed into the checkout.

start_postgres() {
  # In /tmp, not TMPDIR: the path of a socket may have 103 bytes, and the unprivileged user must be able to reach it.
  work=$(mktemp -d "/tmp/$1.XXXXXX"); shift
  trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir -m 700 "$work/pg" # 700: the server trusts whoever reaches its socket.
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
