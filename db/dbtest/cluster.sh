# Runs a throwaway PostgreSQL cluster until standard input ends, which it does when the process that holds its other end
# is gone, however it went. Then nothing is left: no process and no file. Runs in the cluster's folder.
#   $1 folder of the PostgreSQL programs   $2 folder of the cluster, removed at the end   $3 port   $4 superuser
exec 3<&0 </dev/null
trap 'rm -rf "$2"' EXIT
"$1/initdb" --pgdata=data --username="$4" --auth=trust --encoding=UTF8 --no-locale --no-sync || exit

"$1/postgres" -D data -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 \
	-c fsync=off -c synchronous_commit=off -c full_page_writes=off 3<&- &
server=$!
(cat <&3; kill -QUIT "$server") &
watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
