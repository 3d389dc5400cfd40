# A throw-away Postgres cluster on a socket of its own, to be sourced: `cluster FOLDER` makes the
# folder's server and sets PGHOST, PGUSER and PGDATABASE, `end_cluster FOLDER` ends it and removes
# the folder. Postgres refuses to run as root.
postgres_bin() {
    local found
    for found in /usr/lib/postgresql/*/bin; do
        [ -x "$found/initdb" ] && echo "$found" && return
    done
    dirname "$(command -v initdb)"
}

as_postgres=()
[ "$(id -u)" -ne 0 ] || as_postgres=(runuser -u postgres --)

cluster() {
    local folder=$1 bin
    bin=$(postgres_bin)
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$folder"
        chmod 755 "$folder"
    fi
    (
        cd "$folder"
        "${as_postgres[@]}" "$bin/initdb" -D data -U bench --auth=trust --no-sync >/dev/null
        "${as_postgres[@]}" "$bin/pg_ctl" -D data -w -l log \
            -o "-c listen_addresses='' -c unix_socket_directories='$folder'" start >/dev/null
    )
    export PGHOST=$folder PGUSER=bench PGDATABASE=postgres
    unset DATABASE_URL PGPORT
}

end_cluster() {
    "${as_postgres[@]}" "$(postgres_bin)/pg_ctl" -D "$1/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$1"
}
