#!/usr/bin/env bash
# A real single-node Apache Kafka 4.1 (KRaft) on loopback, for the end-to-end tests. Needs Java 17 and Maven.
#
#   kafka.sh libs                         fetch the jars, print their directory
#   kafka.sh serve DIR PORT CONTROLLER    start and print "ready"; stop when standard input ends
#   kafka.sh start DIR PORT CONTROLLER    start and return; the process id is in DIR/pid
#   kafka.sh kill DIR                     SIGKILL, as a crash
#   kafka.sh stop DIR                     SIGTERM, and wait
#
# `serve` is for test programs: however they end, their end of the pipe closes and the broker goes with them.
# The jars come from Maven Central once, into ${XDG_CACHE_HOME:-~/.cache}/farol/kafka-4.1.0.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/farol
libs=$cache/kafka-4.1.0

fetch() {
  [ -e "$libs/.complete" ] && return
  mkdir -p "$libs"
  # Test programs may start at the same time: one fetches, the others wait.
  exec 9> "$libs/.lock"
  flock 9
  if [ ! -e "$libs/.complete" ]; then
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs" -DincludeScope=runtime >&2
    touch "$libs/.complete"
  fi
  exec 9>&-
}

configure() { # DIR PORT CONTROLLER
  cat > "$1/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$1/data
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
message.max.bytes=33554432
replica.fetch.max.bytes=33554432
PROPERTIES
}

start() { # DIR PORT CONTROLLER
  fetch
  mkdir -p "$1"
  local dir id
  dir=$(cd "$1" && pwd)
  configure "$dir" "$2" "$3"
  if [ ! -e "$dir/data/meta.properties" ]; then
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    java -cp "$libs/*" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" > "$dir/format.log" 2>&1 \
      || { cat "$dir/format.log" >&2; exit 1; }
  fi
  : > "$dir/broker.log"
  setsid nohup java -Xmx"${KAFKA_HEAP:-512m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=INFO -cp "$libs/*" \
    kafka.Kafka "$dir/server.properties" >> "$dir/broker.log" 2>&1 < /dev/null &
  echo $! > "$dir/pid"
  for _ in $(seq 1 600); do
    kill -0 "$(cat "$dir/pid")" 2> /dev/null || { tail -20 "$dir/broker.log" >&2; echo "Kafka ended while starting" >&2; exit 1; }
    grep -q 'Kafka Server started' "$dir/broker.log" && return
    sleep 0.1
  done
  echo "Kafka did not start on port $2 within 60 s; see $dir/broker.log" >&2
  exit 1
}

end() { # DIR SIGNAL
  [ -e "$1/pid" ] || return 0
  local pid
  pid=$(cat "$1/pid")
  kill -"$2" "$pid" 2> /dev/null || true
  for _ in $(seq 1 600); do
    kill -0 "$pid" 2> /dev/null || { rm -f "$1/pid"; return 0; }
    sleep 0.1
  done
  echo "Kafka ($pid) is still there after 60 s" >&2
  exit 1
}

serve() { # DIR PORT CONTROLLER
  trap 'end "$1" KILL; rm -rf "$1"' EXIT
  start "$@"
  echo ready
  cat > /dev/null
}

case ${1:-} in
  libs) fetch; echo "$libs" ;;
  serve) shift; serve "$@" ;;
  start) start "$2" "$3" "$4" ;;
  kill) end "$2" KILL ;;
  stop) end "$2" TERM ;;
  *) sed -n '2,13p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
