#!/bin/sh
# Install or upgrade the edge agent on this machine. Run as root from a checkout, as often as you like:
#   deploy/edge/install.sh [--pcsc]
# The journal in /var/lib/ccs-edge and the files in /etc/ccs are never touched. The new version is made beside the old
# one and takes its place in one step, so an interrupted upgrade leaves the old one running.
# DESTDIR=/some/folder tries it out there, without root: everything is made under that folder, no user, no service.
set -eu
umask 022  # the service runs as its own user, and must be able to read what root installs

root=${DESTDIR:-}
prefix=$root/opt/ccs-edge
terminal=$root/etc/ccs/terminal.toml
here=$(cd "$(dirname "$0")/../.." && pwd)
pcsc=no
for option in "$@"; do
    case $option in
        --pcsc) pcsc=yes ;;
        *) echo "unknown option $option: use $0 [--pcsc]" >&2; exit 2 ;;
    esac
done

if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "run this as root: it makes a user, a service and $prefix (or set DESTDIR to try it out in a folder)" >&2
    exit 1
fi
command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.11 or newer" >&2; exit 1; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
python3 -c 'import ensurepip' 2>/dev/null || { echo "python3-venv is missing: install it" >&2; exit 1; }

if [ -z "$root" ]; then
    getent group ccs-edge >/dev/null || groupadd --system ccs-edge
    getent passwd ccs-edge >/dev/null ||
        useradd --system --gid ccs-edge --home-dir /var/lib/ccs-edge --no-create-home --shell /usr/sbin/nologin ccs-edge
    for group in plugdev dialout; do
        if getent group "$group" >/dev/null; then usermod --append --groups "$group" ccs-edge; fi
    done
    install -d -m 0750 -o root -g ccs-edge /etc/ccs
    install -d -m 0750 -o ccs-edge -g ccs-edge /var/lib/ccs-edge
else
    install -d -m 0750 "$root/etc/ccs"
fi
install -d -m 0755 "$prefix/versions" "$root/etc/udev/rules.d" "$root/etc/modprobe.d" "$root/etc/systemd/system"

version=$(python3 - "$here/pyproject.toml" <<'PY'
import sys, tomllib
print(tomllib.load(open(sys.argv[1], "rb"))["project"]["version"])
PY
)
new="$prefix/versions/$version-$(date -u +%Y%m%dT%H%M%SZ)"
before=$(readlink "$prefix/bin" || true)
before=$(basename "${before%/bin}")
trap 'rm -rf "$new"' EXIT  # half a version is none: it must not push a whole one out
python3 -m venv "$new"
# pyscard compiles against the headers of PC/SC: only a terminal with such a reader needs them (libpcsclite-dev, swig).
awk -v pcsc="$pcsc" '/^[^ #]/ { skip = (pcsc == "no" && /^pyscard==/) } !skip' "$here/requirements/edge.txt" > "$new/locked.txt"
"$new/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$new/locked.txt"
"$new/bin/pip" install --quiet --disable-pip-version-check --no-deps "$here"
install -d -m 0755 "$new/share"
cp -r "$here/firmware_configs" "$new/share/"
# Before anything changes: the new version must start, and must understand this terminal's file.
"$new/bin/ccs-edge" --help >/dev/null
if [ -f "$terminal" ]; then "$new/bin/ccs-edge" check-config --config "$terminal"; fi

trap - EXIT
for part in bin share; do
    ln -sfn "$new/$part" "$prefix/$part.new"
    mv -T "$prefix/$part.new" "$prefix/$part"
done
install -m 0644 "$here/firmware_configs/udev/60-card-readers.rules" "$root/etc/udev/rules.d/60-card-readers.rules"
if [ "$pcsc" = yes ]; then
    # The kernel's own driver takes the reader away from pcscd; what is loaded already goes at the next boot.
    printf 'blacklist pn533_usb\nblacklist pn533\nblacklist nfc\n' > "$root/etc/modprobe.d/ccs-card-readers.conf"
    # Also where polkit is not installed: it may come later, and would close pcscd to the agent.
    rules=$root/etc/polkit-1/rules.d
    [ -d "$rules" ] || install -d -m 0755 "$rules"  # a folder that is there keeps its mode and its owner
    install -m 0644 "$here/firmware_configs/polkit/60-ccs-edge.rules" "$rules/60-ccs-edge.rules"
fi
install -m 0644 "$here/deploy/edge/ccs-edge.service" "$root/etc/systemd/system/ccs-edge.service"
# Three versions stay, so that going back is one link: the new one and the one that ran until now, whatever they are
# called and whatever the clock said, and the latest of the others. A name ends in the time of its installation.
find "$prefix/versions" -mindepth 1 -maxdepth 1 -type d ! -name "$(basename "$new")" ! -name "$before" -printf '%f\n' |
    awk -F- '{ print $NF "/" $0 }' | sort -r | tail -n +2 | cut -d / -f 2 |
    while read -r old; do rm -rf "$prefix/versions/$old"; done

if [ -n "$root" ]; then
    echo "ccs-edge $version is in $new; nothing outside $root was changed"
    exit 0
fi
if command -v udevadm >/dev/null; then udevadm control --reload && udevadm trigger --subsystem-match=usb; fi
systemctl daemon-reload
systemctl enable ccs-edge
if [ -f "$terminal" ]; then
    systemctl restart ccs-edge
    echo "ccs-edge $version runs. Examine it when nobody taps, for it holds the readers:"
    echo "systemctl stop ccs-edge; $prefix/bin/ccs-edge doctor; systemctl start ccs-edge"
else
    echo "Put this terminal's file at $terminal (start from $prefix/share/firmware_configs/terminals/), its keys"
    echo "beside it, each readable by the user ccs-edge, then: $prefix/bin/ccs-edge doctor && systemctl start ccs-edge"
fi
