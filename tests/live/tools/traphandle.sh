#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A traphandle of snmptrapd: adds what it is told to the file $1, with an empty line behind it. It
# is one write, so that a reader never sees a part.
text=$(cat)
printf '%s\n\n' "$text" >>"$1"
