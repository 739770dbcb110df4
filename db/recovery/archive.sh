#!/bin/sh
# PostgreSQL's archive_command:  sh archive.sh '%p' FOLDER/'%f'
#
# It ends with status 0 only when TARGET is whole, on disk and the same as SOURCE. A file that is
# there is never replaced; the same content under the same name counts as archived, since after a
# crash PostgreSQL may ask again. TARGET gets its name by a hard link, which the folder's file
# system must know. With "zstd" in the file "compression" next to this script, a segment is stored
# as TARGET.zst; without that program, or if it fails, as TARGET. With a file "program" next to this
# script, that program stores it: see push.py. https://www.postgresql.org/docs/current/continuous-archiving.html
#
# Any failure ends with status 1: above 125 PostgreSQL would restart its archiver and count nothing.
set -u
source=$1
target=$2
folder=${target%/*}
name=${target##*/}
# Two servers may be told to archive to one folder by mistake, with equal process numbers.
partial=$folder/.$name.$(uname -n).$$.partial

# The group of the directory may read the files, if its owner allows it.
umask 027
# Create a file, and never write into one that is there.
set -C

fail() {
    echo "archive.sh: $name was not archived: $1" >&2
    exit 1
}

copy() {
    rm -f "$partial"
    { dd if="$source" bs=65536 "conv=$1" >"$partial"; } 2>&1
}

same_compressed() {
    { zstd -dcq <"$1" || echo "and not to its end"; } | cmp -s "$source" -
}

finish() {
    sync "$1" "$folder" || fail "$1 could not be synced to disk"
    hook after_archive "$name" "${1##*/}"
    exit 0
}

# A command of the operator, from a script that "pitr setup" has written.
hook() {
    if [ -r "${0%/*}/$1" ]; then
        sh "${0%/*}/$1" "$2" "$3" || fail "the command for $1 ended with status $?"
    fi
}

trap 'rm -f "$partial"' EXIT
trap 'exit 1' HUP INT TERM

# Two clusters may be told to archive to one folder by mistake. PostgreSQL calls this in its data
# directory; the first eight bytes of pg_control are the system identifier.
if [ -r "${0%/*}/system" ] && [ -r global/pg_control ]; then
    read -r wanted <"${0%/*}/system"
    found=$(od -An -t u8 -N 8 global/pg_control | tr -d ' ')
    [ "$found" = "$wanted" ] || fail "$folder is the archive of cluster $wanted, this is $found"
fi
if [ -e "${0%/*}/program" ]; then
    # Stored with an earlier file, and then acknowledged with its checksum.
    if ! { read -r sum stored <"$folder/.$name.ok"; } 2>/dev/null ||
        [ "$(sha256sum <"$source")" != "$sum  -" ]; then
        hook before_archive "$name" "$name"
        stored=$(sh "${0%/*}/program" "$source" "$name") || fail "its program has failed"
    fi
    rm -f "$folder/.$name.ok"
    hook after_archive "$name" "$stored"
    exit 0
fi
if [ -e "$target" ]; then
    cmp -s "$source" "$target" || fail "$target exists with other content and is never replaced"
    finish "$target"
fi
if [ -e "$target.zst" ]; then
    same_compressed "$target.zst" ||
        fail "$target.zst exists, zstd does not find the same content in it, and it is never replaced"
    finish "$target.zst"
fi
hook before_archive "$name" "$name"
# Left by an archiver that was killed. A second one at work on the same file loses its
# draft by this, fails, and is asked again.
rm -f "$folder/.$name".*.partial
compression=none
if [ -r "${0%/*}/compression" ]; then read -r compression <"${0%/*}/compression"; fi
case $compression,$name in
zstd,*.*) ;; # a history file, or the label of a base backup: a few lines
zstd,*)
    if command -v zstd >/dev/null && zstd -q -T1 -c "$source" >"$partial" &&
        same_compressed "$partial" && sync "$partial"; then
        ln "$partial" "$target.zst" || fail "it could not be given its name"
        finish "$target.zst"
    fi
    ;;
esac
# The unused rest of a segment is zeros; where dd can leave them out, it takes no room on disk.
copy sparse,fsync >/dev/null || error=$(copy fsync) || fail "$error"
cmp -s "$source" "$partial" || fail "the copy differs from $source"
ln "$partial" "$target" || fail "it could not be given its name"
finish "$target"
