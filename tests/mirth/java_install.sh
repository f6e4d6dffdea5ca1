#!/bin/sh
# Installs Rhino, RabbitMQ's Java client and a Java to run them on Debian or Ubuntu, as root.
# usage: java_install.sh
set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# Of two installations at a time, the second finds what the first has done.
exec 9</var/lib/dpkg
flock 9

install() {
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 rhino librabbitmq-client-java
}
install || { apt-get update -q && install; }
