// SPDX-License-Identifier: MIT
// Start, devices and contexts.
#include "devices.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "calls.hpp"
#include "control.hpp"
#include "enter.hpp"
#include "gpu.hpp"

using namespace vramswap::cuda;
using vramswap::fake_cuda::begin;
using vramswap::fake_cuda::Calls;
using vramswap::fake_cuda::enter;
using vramswap::fake_cuda::enter_context;
using vramswap::fake_cuda::Faults;
using vramswap::fake_cuda::Gpu;

namespace {

constexpr const char* device_name = "FAKE GPU (vramswap test double, host memory)";

bool known(Device device) {
    return device >= 0 && device < Gpu::the().faults().devices;
}

/// cuDriverGetVersion and others do as they are told; nobody shall take the answers for a GPU's.
void announce() {
    static std::atomic<bool> done = false;
    if (!done.exchange(true))
        (void)std::fprintf(stderr, "fake libcuda: %s\n", device_name);
}

} // namespace

extern "C" {

Code cuInit(unsigned flags) {
    const char* const text = std::getenv("VRAMSWAP_FAKE_CUDA");
    vramswapFakeArm(text != nullptr ? text : "");
    announce();
    if (const Code code = begin("cuInit"); code != Code::success)
        return code;
    const Faults faults = Gpu::the().faults();
    if (flags != 0)
        return Code::invalid_value;
    if (faults.init_error != Code::success)
        return faults.init_error;
    if (faults.no_device || faults.devices == 0)
        return Code::no_device;
    vramswap::fake_cuda::set_initialised();
    return Code::success;
}

Code cuDriverGetVersion(int* version) {
    Calls::the().note("cuDriverGetVersion");
    const char* const text = std::getenv("VRAMSWAP_FAKE_CUDA"); // before cuInit, too
    *version = vramswap::fake_cuda::parse_faults(text != nullptr ? text : "").version;
    return Code::success;
}

Code cuGetErrorName(Code code, const char** name) {
    Calls::the().note("cuGetErrorName");
    struct Row {
        Code code;
        const char* name;
    };
    static constexpr std::array rows{
        Row{Code::success, "CUDA_SUCCESS"},
        Row{Code::invalid_value, "CUDA_ERROR_INVALID_VALUE"},
        Row{Code::out_of_memory, "CUDA_ERROR_OUT_OF_MEMORY"},
        Row{Code::device_unavailable, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
        Row{Code::invalid_context, "CUDA_ERROR_INVALID_CONTEXT"},
        Row{Code::illegal_address, "CUDA_ERROR_ILLEGAL_ADDRESS"},
        Row{Code::launch_failed, "CUDA_ERROR_LAUNCH_FAILED"},
        Row{Code::not_supported, "CUDA_ERROR_NOT_SUPPORTED"},
        Row{Code::unknown, "CUDA_ERROR_UNKNOWN"},
    };
    for (const Row& row : rows)
        if (row.code == code) {
            *name = row.name;
            return Code::success;
        }
    *name = nullptr;
    return Code::invalid_value;
}

Code cuDeviceGetCount(int* count) {
    const Code code = enter("cuDeviceGetCount");
    *count = Gpu::the().faults().devices;
    return code;
}

Code cuDeviceGet(Device* device, int ordinal) {
    const Code code = enter("cuDeviceGet");
    *device = ordinal;
    return code != Code::success || known(ordinal) ? code : Code::invalid_device;
}

Code cuDeviceGetName(char* name, int length, Device device) {
    const Code code = enter("cuDeviceGetName");
    (void)std::snprintf(name, static_cast<std::size_t>(length), "%s", device_name);
    return code != Code::success || known(device) ? code : Code::invalid_device;
}

Code cuDeviceGetUuid_v2(Uuid* uuid, Device device) {
    const Code code = enter("cuDeviceGetUuid");
    uuid->bytes.fill(0xFA);
    uuid->bytes.back() = static_cast<unsigned char>(device);
    return code != Code::success || known(device) ? code : Code::invalid_device;
}

/// The devices' order is not that of their places, as with CUDA_DEVICE_ORDER=FASTEST_FIRST.
Code cuDeviceGetPCIBusId(char* id, int length, Device device) {
    const Code code = enter("cuDeviceGetPCIBusId");
    const int bus = Gpu::the().faults().devices - device;
    (void)std::snprintf(id, static_cast<std::size_t>(length), "0000:%02X:00.0", static_cast<unsigned>(bus));
    return code != Code::success || known(device) ? code : Code::invalid_device;
}

Code cuDeviceGetAttribute(int* value, Attribute attribute, Device device) {
    const Code code = enter("cuDeviceGetAttribute");
    if (code != Code::success || !known(device))
        return code != Code::success ? code : Code::invalid_device;
    const Faults faults = Gpu::the().faults();
    switch (attribute) {
    case Attribute::multiprocessor_count:
        *value = faults.processors;
        return code;
    case Attribute::kernel_exec_timeout:
        *value = faults.display ? 1 : 0;
        return code;
    case Attribute::integrated:
        *value = faults.integrated ? 1 : 0;
        return code;
    case Attribute::compute_mode:
        *value = faults.prohibited ? compute_mode_prohibited : faults.busy ? compute_mode_exclusive_process : 0;
        return code;
    case Attribute::ecc_enabled:
        *value = faults.ecc ? 1 : 0;
        return code;
    case Attribute::host_register_supported:
        *value = 1;
        return code;
    case Attribute::virtual_memory:
        *value = faults.no_virtual_memory ? 0 : 1;
        return code;
    case Attribute::posix_fd_handles:
        *value = faults.no_posix_fds ? 0 : 1;
        return code;
    }
    return Code::invalid_value;
}

Code cuCtxCreate_v2(Context* context, unsigned /*flags*/, Device device) {
    const Code code = enter("cuCtxCreate");
    const Faults faults = Gpu::the().faults();
    if (code != Code::success || !known(device))
        return code != Code::success ? code : Code::invalid_device;
    if (faults.busy)
        return Code::device_unavailable;
    if (faults.prohibited)
        return Code::unknown;
    *context = new ContextBody{device};
    Gpu::the().add_context(*context);
    vramswap::fake_cuda::push_context(*context);
    return code;
}

Code cuCtxDestroy_v2(Context context) {
    if (const Code code = begin("cuCtxDestroy"); code != Code::success)
        return code;
    vramswap::fake_cuda::pop_context(context);
    Gpu::the().remove_context(context);
    delete context;
    return Code::success;
}

Code cuCtxSetCurrent(Context context) {
    if (const Code code = begin("cuCtxSetCurrent"); code != Code::success)
        return code;
    vramswap::fake_cuda::set_current_context(context);
    return Gpu::the().standing();
}

Code cuCtxGetDevice(Device* device) {
    const Code code = enter_context("cuCtxGetDevice");
    if (code == Code::success)
        *device = vramswap::fake_cuda::current_context()->device;
    return code;
}
}
