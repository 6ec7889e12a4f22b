#!/usr/bin/env bash
# Installs what a fresh Debian 12 lacks for `make run` and `make test`. Does nothing when it is all there.
set -euo pipefail

need=()
command -v espeak-ng >/dev/null || need+=(espeak-ng) # speaks the prompts
[ ${#need[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "Run as root once, or install by hand: apt-get install ${need[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${need[*]} …"
apt-get -o DPkg::Lock::Timeout=300 update -qq
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${need[@]}" >/dev/null
