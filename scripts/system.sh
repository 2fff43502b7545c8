#!/usr/bin/env bash
# The system parts that the tests drive: installed with apt when root, else named.
set -euo pipefail
packages=(pcscd vsmartcard-vpcd libpcsclite-dev swig gcc libc6-dev mosquitto chromium-headless-shell fonts-nanum fiu-utils iproute2 nftables)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "The tests drive real parts that are missing here: ${missing[*]}. Install them with this system's package tool." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "The tests drive real parts that are missing here. As root: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "Installing ${missing[*]} …"
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=300 update -qq
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
