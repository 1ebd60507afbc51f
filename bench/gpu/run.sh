#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/gpu/run.sh [--fake] [--no-fmt] [gpu_bench's options]: checks and measures the CUDA engine on this machine's GPU,
# without the kernel module. Needs NVIDIA's driver, and to build a C++ compiler: g++ 12, or clang++ 19 with the library
# of g++ 12, or newer; CXX names another. What it has built, build/gpu/gpu_bench, needs nothing but the driver and can be
# carried to another machine; a build that fails there leaves it as it is.
#
# Leaves its report in build/gpu/report.md and .json (--report says otherwise), with plots beside it where python3 has
# matplotlib. --milliseconds N: the time of each load, 1000 without; --only STEP: the steps whose name has that.
#
# Exit status: 0 all was checked and is right; 1 something failed, could not be measured or not be built; 2 bad usage; 3
# nothing failed, but something was skipped, so that the run does not settle it: for want of CAP_NET_RAW or of the right
# to trace, since this GPU or driver has no such path, or since it was built without xxhash's headers. The report names it at its top; --allow-skips makes it a 0.
#
# --fake: no GPU but the tests' own libcuda, to see that all of it runs; the report, fake-report.md and .json, says so in
# its first line, and what it cannot have is no 3. --no-fmt: as on a machine without the headers of {fmt}, where
# bench/gpu/fmt_shim takes their place; all is in build/gpu/no-fmt then.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=build/gpu
fake=''
cxx=${CXX:-g++}
while :; do
	case ${1:-} in
	--fake) fake=yes ;;
	--no-fmt) out=build/gpu/no-fmt ;;
	*) break ;;
	esac
	shift
done
mkdir -p "$out"

# newer_than FILE: is any source newer?
newer_than() { [ -n "$(find bench/gpu helper tests/support kmod/ring.h uapi -name '*.[ch]*' -newer "$1" -print -quit)" ]; }

# compiles OPTION...: does the compiler take what is on standard input?
compiles() { "$cxx" -std=c++23 "$@" -fsyntax-only -x c++ - 2>/dev/null; }

# able: is there a compiler that will do? Says so if not.
able() {
	if ! command -v "$cxx" >/dev/null; then
		echo "there is no $cxx here: CXX=... names another C++ compiler"
	elif ! compiles <<<'#include <expected>
		std::expected<int, int> done;'; then
		echo "$cxx ($("$cxx" -dumpfullversion -dumpversion)) has no std::expected: g++ 12, clang++ 19 or newer has"
	else
		return 0
	fi
	return 1
}

build() {
	local name compilers=()
	local compile=("$cxx" -std=c++23 -O2 -g -D_FILE_OFFSET_BITS=64 -I. -Iuapi -Ihelper -Itests/support -c)
	local sources=(bench/gpu/*.cpp tests/support/kernel_half.cpp helper/cuda_*.cpp)
	for name in host_engine host_store io_loop io_thread log lowmem memory_file policy size size_rule; do
		sources+=("helper/$name.cpp")
	done
	if [ "$out" = build/gpu ] && compiles -DFMT_HEADER_ONLY <<<'#include <fmt/format.h>'; then
		compile+=(-DFMT_HEADER_ONLY)
		echo "building $out/gpu_bench"
	else
		compile+=(-Ibench/gpu/fmt_shim)
		echo "building $out/gpu_bench with bench/gpu/fmt_shim for {fmt}"
	fi
	if compiles <<<'#include <xxhash.h>'; then
		compile+=(-DVRAMSWAP_BENCH_CHECKSUMS)
		sources+=(helper/checksum_engine.cpp helper/checksum_lane.cpp helper/block_sums.cpp)
	else
		echo "without checksums: there is no xxhash.h here"
	fi
	rm -rf "$out/objects"
	mkdir -p "$out/objects"
	for name in "${sources[@]}"; do
		[ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n || true
		"${compile[@]}" -o "$out/objects/${name//\//.}.o" "$name" &
		compilers+=($!)
	done
	for name in "${compilers[@]}"; do wait "$name"; done
	"$cxx" -static-libstdc++ -static-libgcc -pthread -o "$out/gpu_bench" "$out"/objects/*.o -ldl
}

if [ ! -x "$out/gpu_bench" ] || newer_than "$out/gpu_bench"; then
	# (`set -e` counts for nothing where the result is looked at.)
	set +e
	(
		set -e
		able
		build
	)
	built=$?
	set -e
	if [ "$built" != 0 ]; then
		[ -x "$out/gpu_bench" ] || exit 1
		echo "it could not be built anew; $out/gpu_bench is what was built before"
	fi
fi

report=$out/${fake:+fake-}report
options=(--report "$report")
if [ -n "$fake" ]; then
	[ -e build/fake-cuda/libcuda.so.1 ] || make programs
	export VRAMSWAP_FAKE_CUDA=vram_mib=1024
	options+=(--library build/fake-cuda/libcuda.so.1 --size 128M --milliseconds 100)
fi
status=0
"$out/gpu_bench" "${options[@]}" "$@" || status=$?
while [ $# -gt 0 ]; do # the last one counts
	case $1 in
	--report) report=${2:-} ;;
	--report=*) report=${1#*=} ;;
	esac
	shift
done
if [ -e "$report.json" ] && /usr/bin/python3 -c 'import matplotlib' 2>/dev/null; then
	bench/gpu/plot "$report" || echo "no plots"
fi
exit "$status"
