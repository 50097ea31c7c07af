#!/usr/bin/env bash
# build.sh PUBLISHED NAME: an image of a self-contained publish, from nothing but this machine: the program, the libraries that it
# needs of the system, certificates and time zones. Needs buildah, no daemon and no registry.
set -euo pipefail
published=$1 name=$2
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
container=$(buildah from scratch)
trap 'buildah rm "$container" >/dev/null' EXIT
root=$(mktemp -d)
trap 'rm -rf "$root"; buildah rm "$container" >/dev/null' EXIT
mkdir -p "$root"/{app,tmp,etc/ssl/certs,usr/share}
cp -a "$published"/. "$root/app/"
# Libraries of the system, where the loader finds them: those of the program, and what the runtime loads by itself.
extra=$(find /usr/lib /lib -name 'libssl.so.3' -o -name 'libcrypto.so.3' -o -name 'libz.so.1' -o -name 'libgssapi_krb5.so.2' 2>/dev/null)
{ find "$root/app" \( -name '*.so' -o -name sluice \) -exec ldd {} + 2>/dev/null; for file in $extra; do ldd "$file"; echo "x => $file (0)"; done; } |
    grep -oE '/[^ ]+ \(' | tr -d ' (' | grep -v "^$root" | sort -u | while read -r file; do
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
[[ -d /usr/share/zoneinfo ]] && cp -aL /usr/share/zoneinfo "$root/usr/share/"
echo 'sluice:x:10001:10001::/tmp:/sbin/nologin' >"$root/etc/passwd"
chmod 1777 "$root/tmp"
buildah copy -q "$container" "$root" / >/dev/null
buildah config --entrypoint '["/app/sluice"]' --cmd serve --user 10001:10001 --workingdir /tmp --port 7070 --port 7071 \
    --env DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt --env HOME=/tmp "$container"
buildah commit -q "$container" "$name"
