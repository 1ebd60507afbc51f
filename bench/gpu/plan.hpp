// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "report.hpp"

namespace vramswap::bench {

/// The bench, step by step, each in a process of its own. What there is of the report is written after each.
class Bench {
public:
    /// `report`: the path of the files that are written, without their suffixes. `only`: what the names of the steps
    /// have that are to be taken; empty: all.
    Bench(Setting setting, std::string report, std::string only)
        : setting_(std::move(setting)), path_(std::move(report)) {
        report_.only = std::move(only);
    }

    /// All that there is to be done, in its order. False if a report could not be written.
    [[nodiscard]] bool run();

    [[nodiscard]] const Report& report() const { return report_; }

private:
    [[nodiscard]] Setting with(std::optional<CudaPath> path) const;
    void step(const std::string& what, const std::function<void(Report&)>& work);
    void check(const char* what, Finding (*look)(const Setting&), std::optional<CudaPath> path);
    void loads(const Setting& setting, bool host);
    void beside(std::optional<CudaPath> path);
    void tell(const std::string& what, const Report& before) const;

    template<class Place, class Measure>
    void measure(const std::string& what, Place Report::* place, Measure measure);

    Setting setting_;
    std::string path_;
    Report report_;
    bool written_ = true;
};

} // namespace vramswap::bench
