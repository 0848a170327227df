# Runs one server for the process that holds the other end of our standard input, obeys its orders,
# and when that end closes, because the process is done or dead, stops the server and removes its
# directory. The pipe is the only thing that also tells of a SIGKILL, on every system.
#
# $1: the directory; $2: the container's name, empty for a plain program; then the command.
# Each order is one line and is answered by one line.
dir=$1 container=$2
shift 2
# Whoever owns us decides when to stop; orphaned with a stopped server, the system sends us a HUP.
trap '' HUP INT PIPE
server=

signal() {
    if [ -n "$container" ]; then
        docker kill --signal "$1" "$container" >/dev/null
    else
        kill -s "$1" "$server"
    fi
}

# Until `wait` has returned, the process number can not be given to another process.
stop() {
    [ -n "$server" ] || return 0
    if [ -n "$container" ]; then
        docker rm --force "$container" >/dev/null
    fi
    kill -s KILL "$server"
    wait "$server"
    if [ -n "$container" ]; then
        # Again: the client may have made it in between.
        docker rm --force "$container" >/dev/null
    fi
    server=
}

finish() {
    stop
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 143' TERM

while read -r order; do
    case $order in
    start)
        stop
        "$@" </dev/null >>"$dir/output.log" 2>&1 &
        server=$!
        echo "$server"
        ;;
    kill) stop && echo done ;;
    pause) if signal STOP; then echo done; else echo failed; fi ;;
    resume) if signal CONT; then echo done; else echo failed; fi ;;
    esac
done
