# Runs a throwaway PostgreSQL cluster until standard input ends, which it does when the process that holds its other end
# is gone, however it went. Then nothing is left: no process and no file. Runs in the cluster's folder. A server that ends while
# there is a file "restart" is started again.
#   $1 folder of the PostgreSQL programs   $2 folder of the cluster, removed at the end   $3 port   $4 superuser
exec 3<&0 </dev/null
trap 'rm -rf "$2"' EXIT
"$1/initdb" --pgdata=data --username="$4" --auth=trust --encoding=UTF8 --no-locale --no-sync || exit

(
	cat <&3
	: >ended
	while :; do
		kill -QUIT "$(head -n 1 data/postmaster.pid)" 2>/dev/null
		sleep 0.2
	done
) &
watcher=$!
while [ ! -e ended ]; do
	"$1/postgres" -D data -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 \
		-c fsync=off -c full_page_writes=off 3<&-
	[ -e restart ] || break
	rm restart
done
kill "$watcher" 2>/dev/null
