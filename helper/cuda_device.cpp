// SPDX-License-Identifier: MIT
#include "cuda_device.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>

#include <fcntl.h>

namespace vramswap {
namespace {

using cuda::Attribute;
using cuda::Code;

/// Room for a model's name and for a PCI address, bytes; the driver cuts what is longer.
constexpr std::size_t name_size = 128;

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

/// Domain, bus, device, function; or nothing if the text is no PCI address. "01:00.0" is in domain 0, and the function
/// may be left out.
using PciAddress = std::array<unsigned, 4>;

std::optional<PciAddress> pci_address(std::string_view text) {
    PciAddress address{};
    const auto colons = std::ranges::count(text, ':');
    if (colons != 1 && colons != 2)
        return std::nullopt;
    for (std::size_t part = colons == 2 ? 0 : 1; part < address.size() && !text.empty(); ++part) {
        const char* const end = text.data() + text.size();
        const auto [rest, status] = std::from_chars(text.data(), end, address.at(part), 16);
        const char expected = part < 2 ? ':' : '.';
        if (status != std::errc() || (rest != end && (*rest != expected || part == 3)))
            return std::nullopt;
        text = rest == end ? std::string_view() : std::string_view(rest + 1, end);
    }
    return address;
}

std::optional<std::size_t> index_of(std::string_view text) {
    std::size_t index = 0;
    const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (status != std::errc() || rest != text.data() + text.size())
        return std::nullopt;
    return index;
}

bool named(const CudaGpu& gpu, std::string_view wanted) {
    const auto address = pci_address(wanted);
    return (address && address == pci_address(gpu.pci)) || lower(wanted) == lower(cuda_uuid_text(gpu.uuid));
}

Result<CudaGpu> describe(const CudaApi& api, int ordinal) {
    CudaGpu gpu;
    std::array<char, name_size> name{};
    std::array<char, name_size> pci{};
    Code code = api.DeviceGet(&gpu.device, ordinal);
    if (code == Code::success)
        code = api.DeviceGetName(name.data(), name_size, gpu.device);
    if (code == Code::success)
        code = api.DeviceGetUuid(&gpu.uuid, gpu.device);
    if (code == Code::success)
        code = api.DeviceGetPCIBusId(pci.data(), name_size, gpu.device);
    if (code != Code::success)
        return fail(EIO, "NVIDIA's driver says nothing about GPU {}: {}", ordinal, api.text(code));
    gpu.name = name.data();
    gpu.pci = lower(pci.data());
    return gpu;
}

std::string list_text(const std::vector<CudaGpu>& gpus) {
    std::string text;
    for (std::size_t i = 0; i < gpus.size(); ++i)
        text += fmt::format("{}{}: {} {}", i == 0 ? "" : ", ", i, gpus[i].text(), cuda_uuid_text(gpus[i].uuid));
    return text;
}

} // namespace

std::string cuda_uuid_text(const cuda::Uuid& uuid) {
    std::string text = "GPU";
    for (std::size_t i = 0; i < uuid.bytes.size(); ++i)
        text += fmt::format("{}{:02x}", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid.bytes.at(i));
    return text;
}

Result<std::vector<CudaGpu>> cuda_device_list(const CudaApi& api) {
    int count = 0;
    if (const Code code = api.DeviceGetCount(&count); code != Code::success)
        return fail(EIO, "NVIDIA's driver does not list its GPUs: {}", api.text(code));
    std::vector<CudaGpu> gpus;
    for (int ordinal = 0; ordinal < count; ++ordinal) {
        auto gpu = describe(api, ordinal);
        if (!gpu)
            return pass_on(gpu);
        gpus.push_back(std::move(*gpu));
    }
    std::ranges::sort(gpus, {}, [](const CudaGpu& gpu) { return pci_address(gpu.pci).value_or(PciAddress{}); });
    return gpus;
}

Result<CudaGpu> cuda_device_choose(const std::vector<CudaGpu>& gpus, std::string_view wanted) {
    if (gpus.empty())
        return fail(ENODEV, "NVIDIA's driver lists no GPU");
    if (wanted.empty())
        return gpus.front();
    if (const auto index = index_of(wanted); index && *index < gpus.size())
        return gpus[*index];
    const auto found = std::ranges::find_if(gpus, [&](const CudaGpu& gpu) { return named(gpu, wanted); });
    if (found == gpus.end())
        return fail(ENODEV, "there is no GPU '{}' here; there are {}", wanted, list_text(gpus));
    return *found;
}

Result<CudaGpu> cuda_device_find(const CudaApi& api, std::string_view wanted) {
    const auto gpus = cuda_device_list(api);
    if (!gpus)
        return std::unexpected(gpus.error());
    return cuda_device_choose(*gpus, wanted);
}

int cuda_device_attribute(const CudaApi& api, const CudaGpu& gpu, Attribute attribute) {
    int value = 0;
    return api.DeviceGetAttribute(&value, attribute, gpu.device) == Code::success ? value : 0;
}

Result<void> cuda_device_check(const CudaApi& api, const CudaGpu& gpu) {
    const auto value = [&](Attribute attribute) { return cuda_device_attribute(api, gpu, attribute); };
    if (value(Attribute::integrated) != 0)
        return fail(ENOTSUP, "{} has no memory of its own: swapping to it would be swapping to RAM", gpu.text());
    if (value(Attribute::virtual_memory) == 0)
        return fail(ENOTSUP, "{} does not let its memory be mapped by chunks (cuMemMap)", gpu.text());
    if (value(Attribute::posix_fd_handles) == 0)
        return fail(ENOTSUP, "{} cannot keep memory beyond a process (POSIX file descriptors of memory)", gpu.text());
    if (value(Attribute::host_register_supported) == 0)
        return fail(ENOTSUP, "{} cannot reach memory of this process (cuMemHostRegister)", gpu.text());
    return {};
}

Result<Fd> cuda_device_hold(const CudaGpu& gpu, const std::string& proc, const std::string& dev) {
    constexpr std::string_view key = "Device Minor:";
    if (::access(proc.c_str(), F_OK) != 0)
        return Fd();
    const std::string about = fmt::format("{}/{}/information", proc, gpu.pci);
    std::ifstream file(about);
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key))
            continue;
        const auto digits = line.find_first_not_of(" \t", key.size());
        if (digits == std::string::npos)
            break;
        const std::string node = fmt::format("{}/nvidia{}", dev, line.substr(digits));
        Fd fd(::open(node.c_str(), O_RDWR | O_CLOEXEC));
        if (!fd)
            return fail(errno, "{} cannot be opened ({}), but must be to keep the GPU's memory when vramswapd dies",
                        node, errno_text(errno));
        return fd;
    }
    return fail(ENOENT, "{} does not tell which /dev/nvidiaN is {}; its memory could not be kept when vramswapd dies",
                about, gpu.text());
}

Result<CudaContext> CudaContext::make(const CudaApi& api, const CudaGpu& gpu) {
    cuda::Context context = nullptr;
    const Code code = api.CtxCreate(&context, cuda::ctx_sched_spin | cuda::ctx_map_host, gpu.device);
    if (code == Code::success)
        return CudaContext(api, context);
    const int mode = cuda_device_attribute(api, gpu, Attribute::compute_mode);
    const std::string says = api.text(code);
    if (code == Code::out_of_memory)
        return fail(ENOMEM, "{} has no memory left, not even for a context: {}; end programs that use it (nvidia-smi)",
                    gpu.text(), says);
    if (mode == cuda::compute_mode_prohibited)
        return fail(EPERM, "{} may not be used for computing: {}; nvidia-smi --id={} --compute-mode=DEFAULT allows it",
                    gpu.text(), says, gpu.pci);
    if (mode == cuda::compute_mode_exclusive_process && code == Code::device_unavailable)
        return fail(EBUSY,
                    "another program has {} for itself alone: {}; end it, or let them share it: nvidia-smi --id={} "
                    "--compute-mode=DEFAULT",
                    gpu.text(), says, gpu.pci);
    return fail(code == Code::device_unavailable ? EBUSY : EIO, "{} cannot be used: {}", gpu.text(), says);
}

} // namespace vramswap
