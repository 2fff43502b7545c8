#!/bin/sh
# Install or upgrade the edge agent on this machine. Run as root from a checkout, as often as you like:
#   deploy/edge/install.sh [--pcsc]
# The journal in /var/lib/ccs-edge and the files in /etc/ccs are never touched. The new version is made beside the old
# one and takes its place in one step, so an interrupted upgrade leaves the old one running.
set -eu

prefix=/opt/ccs-edge
here=$(cd "$(dirname "$0")/../.." && pwd)
extras=edge
[ "${1:-}" = "--pcsc" ] && extras=edge,pcsc

[ "$(id -u)" = 0 ] || { echo "run this as root: it makes a user, a service and $prefix" >&2; exit 1; }
command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.11 or newer" >&2; exit 1; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }

getent group ccs-edge >/dev/null || groupadd --system ccs-edge
getent passwd ccs-edge >/dev/null ||
    useradd --system --gid ccs-edge --home-dir /var/lib/ccs-edge --no-create-home --shell /usr/sbin/nologin ccs-edge
for group in plugdev dialout; do
    if getent group "$group" >/dev/null; then usermod --append --groups "$group" ccs-edge; fi
done
install -d -m 0750 -o root -g ccs-edge /etc/ccs
install -d -m 0755 "$prefix/versions"

version=$(python3 - "$here/pyproject.toml" <<'PY'
import sys, tomllib
print(tomllib.load(open(sys.argv[1], "rb"))["project"]["version"])
PY
)
new="$prefix/versions/$version-$(date -u +%Y%m%dT%H%M%SZ)"
python3 -m venv "$new"
"$new/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$here/requirements/edge.txt"
"$new/bin/pip" install --quiet --disable-pip-version-check --no-deps "$here"
[ "$extras" = edge ] || "$new/bin/pip" install --quiet --disable-pip-version-check "pyscard>=2.3.1"
cp -r "$here/firmware_configs" "$new/share/"
if [ -f /etc/ccs/terminal.toml ]; then
    "$new/bin/ccs-edge" check-config --config /etc/ccs/terminal.toml
fi

ln -sfn "$new/bin" "$prefix/bin.new" && mv -T "$prefix/bin.new" "$prefix/bin"
ln -sfn "$new/share" "$prefix/share.new" && mv -T "$prefix/share.new" "$prefix/share"
install -m 0644 "$here/firmware_configs/udev/60-card-readers.rules" /etc/udev/rules.d/60-card-readers.rules
if [ "$extras" != edge ]; then
    printf 'blacklist pn533_usb\nblacklist pn533\nblacklist nfc\n' > /etc/modprobe.d/ccs-card-readers.conf
fi
install -m 0644 "$here/deploy/edge/ccs-edge.service" /etc/systemd/system/ccs-edge.service
systemctl daemon-reload
systemctl enable ccs-edge
if [ -f /etc/ccs/terminal.toml ]; then
    systemctl restart ccs-edge
    echo "ccs-edge $version runs. Examine it: $prefix/bin/ccs-edge doctor"
else
    echo "Put this terminal's file at /etc/ccs/terminal.toml (start from $prefix/share/firmware_configs/terminals/), its keys"
    echo "beside it, then: systemctl start ccs-edge && $prefix/bin/ccs-edge doctor"
fi
# The last three versions stay, so that going back is one link.
ls -1dt "$prefix"/versions/* | tail -n +4 | xargs -r rm -rf
