#!/bin/bash
# Compiles for fuzzing: our crate and the targets with the fuzzer's instruments, all others without. The runtime with them
# takes most of an hour and 8 GB to compile, and is not what is looked at.
set -euo pipefail
rustc=$1
shift
arguments=("$@")
if [[ " $* " != *" --crate-name gstdensepose "* && " $* " != *" --crate-name densepose_fuzz "* && " $*" != *" targets/"* ]]; then
    arguments=()
    for argument in "$@"; do
        case $argument in
            -Cpasses=sancov-module | -Cllvm-args=-sanitizer-* | -Zsanitizer=* | -Ccodegen-units=1 | -Cdebug-assertions) ;;
            *) arguments+=("$argument") ;;
        esac
    done
fi
exec "$rustc" "${arguments[@]}"
