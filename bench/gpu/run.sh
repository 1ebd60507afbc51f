#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/gpu/run.sh [--fake] [gpu_bench's options]: checks and measures the CUDA engine on this machine's GPU, without
# the kernel module. Needs NVIDIA's driver, and to build g++ 12 or newer and the headers of {fmt}; what it has
# built, build/gpu/gpu_bench, needs nothing but the driver and can be carried to another machine; a build that fails
# there leaves it as it is.
#
# Leaves its report in build/gpu/report.md and .json (--report says otherwise). --fake: no GPU but the tests' own
# libcuda, to see that all of it runs; the report, fake-report.md and .json, says so in its first line.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=build/gpu
fake=''
if [ "${1:-}" = --fake ]; then
	fake=yes
	shift
fi
mkdir -p "$out"

# newer_than FILE: is any source newer?
newer_than() { [ -n "$(find bench/gpu helper tests/support kmod/ring.h uapi -name '*.[ch]*' -newer "$1" -print -quit)" ]; }

build() {
	local name compilers=()
	local compile=("${CXX:-g++}" -std=c++23 -O2 -g -DFMT_HEADER_ONLY -D_FILE_OFFSET_BITS=64 -I. -Iuapi -Ihelper
		-Itests/support -c)
	local sources=(bench/gpu/*.cpp tests/support/kernel_half.cpp helper/cuda_*.cpp)
	for name in host_engine host_store io_loop io_thread log lowmem memory_file policy size size_rule; do
		sources+=("helper/$name.cpp")
	done
	echo "building $out/gpu_bench"
	rm -rf "$out/objects"
	mkdir -p "$out/objects"
	for name in "${sources[@]}"; do
		[ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n || true
		"${compile[@]}" -o "$out/objects/${name//\//.}.o" "$name" &
		compilers+=($!)
	done
	for name in "${compilers[@]}"; do wait "$name"; done
	"${CXX:-g++}" -static-libstdc++ -static-libgcc -pthread -o "$out/gpu_bench" "$out"/objects/*.o -ldl
}

if [ ! -x "$out/gpu_bench" ] || { newer_than "$out/gpu_bench" && command -v "${CXX:-g++}" >/dev/null; }; then
	# (In a process of its own: `set -e` counts for nothing where the result is looked at.)
	if ! (bash -euo pipefail -c "out=$out; $(declare -f build); build"); then
		[ -x "$out/gpu_bench" ] || exit 1
		echo "it could not be built anew; $out/gpu_bench is what was built before"
	fi
fi

options=(--report "$out/${fake:+fake-}report")
if [ -n "$fake" ]; then
	[ -e build/fake-cuda/libcuda.so.1 ] || make programs
	export VRAMSWAP_FAKE_CUDA=vram_mib=1024
	options+=(--library build/fake-cuda/libcuda.so.1 --size 128M --milliseconds 100)
fi
exec "$out/gpu_bench" "${options[@]}" "$@"
