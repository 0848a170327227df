# Runs one server for the process that holds the other end of this shell's standard input, and
# executes the commands of that process. When that end closes, because the process ended or was
# killed, the shell stops the server and removes its directory. Only a pipe also reports a SIGKILL
# on every system.
#
# $1: the directory; $2: the container's name, empty for a plain program; then the server's command
# line. Each command from the input is one line and is answered by one line.
dir=$1 container=$2
shift 2
# The owning process decides when to stop. When it dies while the server is stopped, the system
# sends this orphaned shell a HUP.
trap '' HUP INT PIPE
server=

signal() {
    if [ -n "$container" ]; then
        docker kill --signal "$1" "$container" >/dev/null
    else
        kill -s "$1" "$server"
    fi
}

# Until `wait` has returned, the system cannot give the process id to another process.
stop() {
    [ -n "$server" ] || return 0
    if [ -n "$container" ]; then
        docker rm --force "$container" >/dev/null
    fi
    kill -s KILL "$server"
    wait "$server"
    if [ -n "$container" ]; then
        # Repeated, since the client may have created the container in between.
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

while read -r command; do
    case $command in
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
