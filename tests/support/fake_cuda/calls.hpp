// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace vramswap::fake_cuda {

/// Which functions were called, and how often.
class Calls {
public:
    static Calls& the() {
        static auto* const calls = new Calls;
        return *calls;
    }

    void note(std::string_view name) {
        const std::lock_guard guard(lock_);
        ++counts_[name];
        since_mark_.insert(name);
    }
    void mark() {
        const std::lock_guard guard(lock_);
        since_mark_.clear();
    }
    const char* called() {
        const std::lock_guard guard(lock_);
        text_.clear();
        for (const std::string_view name : since_mark_)
            text_.append(name).append(" ");
        return text_.c_str();
    }
    std::uint64_t count(std::string_view name) {
        const std::lock_guard guard(lock_);
        const auto found = counts_.find(name);
        return found == counts_.end() ? 0 : found->second;
    }

private:
    std::mutex lock_;
    std::map<std::string_view, std::uint64_t> counts_;
    std::set<std::string_view> since_mark_;
    std::string text_;
};

} // namespace vramswap::fake_cuda
