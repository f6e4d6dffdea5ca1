#!/bin/sh
# Installs rabbitmq-server on Debian or Ubuntu, as root, without letting the system start a broker of its own.
# usage: localbroker_install.sh RABBITMQ-SERVER, the script that is there when it is installed
set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# Of two installations at a time, the second finds what the first has done.
exec 9</var/lib/dpkg
flock 9
[ ! -e "$1" ] || exit 0

fresh=
for unit in epmd.socket epmd.service rabbitmq-server.service; do
    [ -e /lib/systemd/system/$unit ] || fresh="$fresh $unit"
done

# Debian's way to keep a package from starting its services: invoke-rc.d(8), deb-systemd-invoke(1p).
policy=/usr/sbin/policy-rc.d
if [ -e $policy ] || [ -L $policy ]; then
    for service in epmd.socket rabbitmq-server; do
        answer=0
        $policy $service start || answer=$?
        if [ $answer != 101 ]; then
            echo "$policy of this machine would start $service"
            exit 1
        fi
    done
else
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    cat >$policy <<END
#!/bin/sh
# Written by hl7-dicom-bridge for one run of apt-get. Process $$ removes it; without that process it forbids nothing.
kill -0 $$ 2>/dev/null || exit 0
case "\$*" in *epmd*|*rabbitmq-server*) exit 101 ;; esac
END
    chmod 755 $policy
fi

install() {
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 rabbitmq-server
}
install || { apt-get update -q && install; }

# Not at the next boot either. Services that were here before stay as they are.
update-rc.d rabbitmq-server disable || true
if [ -n "$fresh" ] && command -v systemctl; then
    systemctl disable $fresh || true
fi
