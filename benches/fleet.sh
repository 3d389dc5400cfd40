# A fleet of instances of the service in the present folder, to be sourced: `fleet NUMBER PORT DATABASE`
# writes dbctl.toml and starts them on memory and files; `end_fleet` kills them. Wants DBCTL, PGHOST, PGUSER.
end_fleet() {
    local file
    for file in */pid; do
        [ -f "$file" ] && kill -9 "$(cat "$file")" 2>/dev/null || true
    done
}

fleet() {
    local number=$1 port=$2 database=$3 here=$PWD i name url
    url="postgres://$PGUSER@localhost/$database?host=$(printf %s "$PGHOST" | sed 's#/#%2F#g')"
    psql -Xqd postgres -c "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database"
    "$DBCTL" keys new-kek kek.b64 >/dev/null
    cat >restart.sh <<'SH'
cd "$(dirname "$0")/$1"
if [ -f pid ]; then
    old=$(cat pid)
    kill -9 "$old" 2>/dev/null || true
    # It may hold its port for a moment; a zombie, which PID 1 may leave for a second, holds nothing.
    while grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$old/status"; do sleep 0.01; done
fi
setsid "$DBCTL" service run --env-file service.env --faults >out 2>log </dev/null &
echo $! >pid
for _ in $(seq 500); do grep -q http out 2>/dev/null && exit 0; sleep 0.02; done
echo "it did not begin to listen; its log:" >&2
tail -n 5 log >&2
exit 1
SH
    {
        echo '[runbook]'
        echo 'path = "book.md"'
        echo '[environments.production]'
        echo "database_url = \"$url\""
        echo 'kek_file = "kek.b64"'
        echo 'admin_token_file = "t-0/admin.token"'
    } >dbctl.toml
    for i in $(seq 0 $((number - 1))); do
        name=t-$i
        "$DBCTL" service init "$name" --name "$name" --listen "127.0.0.1:$((port + i))" >/dev/null
        sed -i '/^SERVICE_ADMIN_TOKEN_FILE=/d' "$name/service.env"
        {
            echo "SERVICE_ADMIN_TOKEN_FILE=$here/t-0/admin.token"
            echo "DATABASE_URL=$url"
            echo "SERVICE_KEK_FILE=$here/kek.b64"
        } >>"$name/service.env"
        {
            echo '[[environments.production.targets]]'
            echo "name = \"$name\""
            echo "groups = [\"$([ "$i" -gt 0 ] && echo rest || echo canary)\"]"
            echo "url = \"http://127.0.0.1:$((port + i))\""
            echo "env_file = \"$name/service.env\""
            echo "state_dir = \"$name/state\""
            echo "restart = [\"sh\", \"restart.sh\", \"$name\"]"
        } >>dbctl.toml
        sh restart.sh "$name"
    done
}

# A block of a runbook.
block() { printf '```toml %s\n%s\n```\n\n' "$1" "$2"; }
step() { block step "$1"; }

# What every runbook here does first: migrations and keys.
prepare() {
    local kind
    printf '# Bench\n\n## Steps\n\nAll at once.\n\n'
    for kind in migrate keys; do
        step "id = \"$kind\"
kind = \"$kind\"
phase = \"production\"
env = \"production\""
    done
}

# The way back that a runbook must have.
way_back() {
    printf '## Rollback\n\nBack.\n\n'
    step 'id = "back"
part = "rollback"
kind = "toggles"
restart = false'
    step 'id = "restart"
part = "rollback"
kind = "restart"'
    step 'id = "recover"
part = "rollback"
kind = "recover"'
}
