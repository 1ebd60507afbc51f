// SPDX-License-Identifier: MIT
#include "faults.hpp"

#include <charconv>
#include <concepts>
#include <cstdio>
#include <cstdlib>

namespace vramswap::fake_cuda {
namespace {

[[noreturn]] void refuse(std::string_view part) {
    (void)std::fprintf(stderr, "VRAMSWAP_FAKE_CUDA: '%.*s' is not understood\n", static_cast<int>(part.size()),
                       part.data());
    std::abort();
}

/// One "word=value", which is taken by the first that knows the word.
class Part {
public:
    explicit Part(std::string_view text)
        : text_(text), word_(text.substr(0, text.find('='))),
          value_(text.substr(std::min(text.size(), word_.size() + 1))) {}

    template<std::integral Number>
    Part& take(std::string_view word, Number& place) {
        if (word == word_)
            place = static_cast<Number>(number(value_));
        return *this;
    }
    Part& take(std::string_view word, std::string& place) {
        if (word == word_)
            place = known(value_);
        return *this;
    }
    Part& take(std::string_view word, cuda::Code& place) {
        if (word == word_)
            place = cuda::Code(number(value_));
        return *this;
    }
    Part& take(std::string_view word, At& place, cuda::Code usual) {
        if (word == word_)
            place = {.n = number(value_.substr(0, value_.find(':'))), .code = code_or(usual)};
        return *this;
    }
    Part& take(std::string_view word, Call& place, cuda::Code usual) {
        if (word == word_)
            place = {.name = std::string(known(value_.substr(0, value_.find(':')))), .code = code_or(usual)};
        return *this;
    }

    void finish() const {
        if (!known_)
            refuse(text_);
    }

private:
    std::string_view known(std::string_view value) {
        known_ = !value.empty();
        return value;
    }

    /// What is behind the value's colon, if there is one.
    cuda::Code code_or(cuda::Code usual) {
        const auto colon = value_.find(':');
        return colon == std::string_view::npos ? usual : cuda::Code(number(value_.substr(colon + 1)));
    }

    std::uint64_t number(std::string_view digits) {
        std::uint64_t result = 0;
        const char* const end = digits.data() + digits.size();
        const auto [rest, status] = std::from_chars(digits.data(), end, result);
        if (status != std::errc() || rest != end)
            refuse(text_);
        known_ = true;
        return result;
    }

    std::string_view text_;
    std::string_view word_;
    std::string_view value_;
    bool known_ = false;
};

void take(Part part, Faults& faults) {
    part.take("latency_us", faults.latency_us)
        .take("reorder", faults.reorder)
        .take("oom_after", faults.oom_after)
        .take("error_at", faults.error_at, cuda::Code::unknown)
        .take("sticky_at", faults.sticky_at, cuda::Code::illegal_address)
        .take("lost_at", faults.lost_at, cuda::Code::launch_failed)
        .take("blank_at", faults.blank_at, cuda::Code::launch_failed)
        .take("fail", faults.fail, cuda::Code::unknown)
        .take("block", faults.block)
        .take("hang_at", faults.hang_at)
        .take("bitflip_at", faults.bitflip_at)
        .take("refuse_register", faults.refuse_register)
        .take("refuse_import", faults.refuse_import)
        .take("version", faults.version)
        .take("no_device", faults.no_device)
        .take("init_error", faults.init_error)
        .take("busy", faults.busy)
        .take("prohibited", faults.prohibited)
        .take("missing", faults.missing)
        .take("devices", faults.devices)
        .take("vram_mib", faults.vram_mib)
        .take("no_virtual_memory", faults.no_virtual_memory)
        .take("no_posix_fds", faults.no_posix_fds)
        .take("integrated", faults.integrated)
        .take("processors", faults.processors)
        .take("invalid_copies", faults.invalid_copies)
        .take("refuse_batch", faults.refuse_batch)
        .take("refuse_kernel", faults.refuse_kernel)
        .take("display", faults.display)
        .take("ecc", faults.ecc)
        .take("old_model", faults.old_model)
        .finish();
}

} // namespace

Faults parse_faults(std::string_view text) {
    Faults faults;
    while (!text.empty()) {
        const auto comma = text.find(',');
        take(Part(text.substr(0, comma)), faults);
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return faults;
}

} // namespace vramswap::fake_cuda
