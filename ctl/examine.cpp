// SPDX-License-Identifier: MIT
// vramswapctl doctor: the machine as it is, and what was found.
#include "commands.hpp"
#include "doctor.hpp"
#include "format.hpp"
#include "json.hpp"
#include "program.hpp"
#include "terminal.hpp"

#include <fmt/format.h>

namespace vramswap::ctl {
namespace {

/// A program's output, if it has one soon: where a GPU hangs, so does nvidia-smi.
std::optional<std::string> told_by(const std::vector<std::string>& words) {
    auto output = output_of_program(words, std::chrono::seconds(5));
    return output ? std::optional(std::move(*output)) : std::nullopt;
}

Patient patient_of(const DoctorCommand& command) {
    Patient patient{.root = command.root, .devices = {}, .gpus = {}, .signature = {}};
    if (!command.root.empty())
        return patient;
    if (auto control = Control::open())
        if (auto devices = control->devices())
            patient.devices = std::move(*devices);
    patient.gpus =
        told_by({"nvidia-smi", "--query-gpu=memory.free,memory.total,name", "--format=csv,noheader,nounits"});
    patient.signature = told_by({"modinfo", "-F", "sig_id", "vramswap"});
    return patient;
}

/// "warning  zswap          what", and below it how to mend it.
std::string finding_text(const Finding& finding, std::size_t width) {
    constexpr int health_width = 8;
    constexpr int check_width = 14;
    const std::string indent(health_width + check_width, ' ');
    std::string text =
        fmt::format("{:<{}}{:<{}}", health_word(finding.health), health_width, finding.check, check_width);
    text += wrapped(printable(finding.what), indent.size(), width) + "\n";
    if (!finding.mend.empty())
        text += indent + "-> " + wrapped(printable(finding.mend), indent.size() + 3, width) + "\n";
    return text;
}

ExitStatus status_of(Health health) {
    switch (health) {
    case Health::ok:
        return exit_done;
    case Health::warning:
        return exit_warning;
    case Health::error:
        break;
    }
    return exit_error;
}

} // namespace

Result<ExitStatus> run_doctor(const DoctorCommand& command) {
    const auto findings = examine(patient_of(command));
    std::string text;
    for (const Finding& finding : findings)
        text += command.json ? json_line({{"check", finding.check},
                                          {"health", health_word(finding.health)},
                                          {"what", finding.what},
                                          {"mend", finding.mend.empty() ? Json(nullptr) : Json(finding.mend)}})
                             : finding_text(finding, terminal_width());
    if (auto printed = print(text); !printed)
        return pass_on(printed);
    return status_of(worst(findings));
}

} // namespace vramswap::ctl
