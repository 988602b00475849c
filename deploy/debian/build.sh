#!/bin/sh
# Packs a built program for Debian and Ubuntu, with what every Debian has: dpkg-deb.
#
#   deploy/debian/build.sh target/release/nightlatch OUT-FOLDER [ARCHITECTURE]
#
# Prints the package's path.
set -eu
program=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
architecture=${3:-$(dpkg --print-architecture)}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$repository/Cargo.toml" | head -n 1)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
install -D -m 755 "$program" "$root/usr/bin/nightlatch"
install -D -m 644 "$here/../systemd/nightlatch.service" "$root/lib/systemd/system/nightlatch.service"
install -D -m 644 "$here/../systemd/nightlatch.env" "$root/etc/nightlatch/nightlatch.env"
install -D -m 644 "$here/copyright" "$root/usr/share/doc/nightlatch/copyright"
install -D -m 644 "$repository/CHANGELOG.md" "$root/usr/share/doc/nightlatch/CHANGELOG.md"
gzip -9n "$root/usr/share/doc/nightlatch/CHANGELOG.md"

install -d -m 755 "$root/DEBIAN"
size=$(du -k -s "$root" | cut -f 1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
  "$here/control" > "$root/DEBIAN/control"
install -m 644 "$here/conffiles" "$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 755 "$here/$script" "$root/DEBIAN/$script"
done

package="$out/nightlatch_${version}_$architecture.deb"
dpkg-deb --root-owner-group -Zxz "-z${NIGHTLATCH_DEB_LEVEL:-6}" --build "$root" "$package" > /dev/null
printf '%s\n' "$package"
