#!/usr/bin/env bash
# Puts adbd, the device's end of adb, into a folder, for the tests. Debian 12 has it only among its
# backports, whose libraries must not replace those that are installed.
#
#   scripts/adbd.sh DIR
set -euo pipefail
dir=$1
[ ! -x "$dir/usr/lib/android-sdk/platform-tools/adbd" ] || exit 0

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $release" | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
cat >"$work/sources.list" <<EOF
deb $mirror $release main
deb $mirror $release-backports main
EOF
cat >"$work/apt.conf" <<EOF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
EOF
export APT_CONFIG=$work/apt.conf
apt-get update -qq
cd "$work/packages"
apt-get download -qq libprotobuf32 {adbd,android-libbase,android-libboringssl,android-libcutils,android-liblog}/"$release-backports"
cd - >/dev/null
for package in "$work/packages/"*.deb; do
    dpkg -x "$package" "$work/root"
done
mkdir -p "$(dirname "$dir")"
cp -rT "$work/root" "$dir"
