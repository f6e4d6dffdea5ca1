#!/bin/sh
# Installs PostgreSQL on Debian or Ubuntu, as root, without the cluster that the package would make and start.
# usage: localpostgres_install.sh
set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# Of two installations at a time, the second finds what the first has done.
exec 9</var/lib/dpkg
flock 9
for server in /usr/lib/postgresql/*/bin/postgres; do
    [ ! -e "$server" ] || exit 0
done

# Debian's way to have the server and no cluster: pg_createcluster(1), createcluster.conf. For this installation only.
settings=/etc/postgresql-common/createcluster.d
no_cluster=$settings/hl7-dicom-bridge.conf
trap 'rm -f $no_cluster' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p $settings
echo "create_main_cluster = off" >$no_cluster

install() {
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 postgresql
}
install || { apt-get update -q && install; }
