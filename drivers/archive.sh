#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A static library of one object, with no global names but those that are meant for
# others: what is linked in twice (into the driver and the door) does not collide, and
# whoever needs one name gets all constructors.
#
#   archive.sh LD OBJCOPY AR OUTPUT PATTERN... -- ARCHIVE...

set -eu

ld=$1 objcopy=$2 ar=$3 output=$4
shift 4

object=$output.o
trap 'rm -f "$object" "$object.names"' EXIT
: >"$object.names"
while [ "$1" != -- ]; do
	echo "$1" >>"$object.names"
	shift
done
shift

"$ld" -r -o "$object" --whole-archive "$@"
"$objcopy" --wildcard --keep-global-symbols="$object.names" "$object"
rm -f "$output"
"$ar" crsD "$output" "$object"
