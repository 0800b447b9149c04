#!/bin/sh
# Installs the Debian packages that are missing, asking nothing. Runs no command
# beyond a query when all are there, so a machine without a network builds too.
set -eu

packages="cmake curl gcc gnuplot-nox libblis-openmp-dev libc6-dev libcmocka-dev libedit-dev
libjansson-dev liblua5.4-dev libutf8proc-dev lua-unit lua5.4 make pkg-config unzip"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "saros: not a Debian system; what CMake does not find, please install by hand" >&2
  exit 0
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root="sudo"
else
  echo "saros: these packages are missing:$missing" >&2
  echo "saros: neither root nor sudo here; ask an administrator to run" >&2
  echo "  apt-get install --no-install-recommends$missing" >&2
  exit 1
fi

echo "saros: installing$missing"
install() {
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $missing
}
# The package lists of a fresh system are empty or old.
$as_root apt-get update -q || true
install
