// SPDX-License-Identifier: MIT
// vramswapctl add, delete, set: silent when all went well, but for the new device's name.
#include "commands.hpp"
#include "json.hpp"
#include "terminal.hpp"

namespace vramswap::ctl {

Result<void> run_add(const AddCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    auto device = control->add(command.options);
    if (!device)
        return pass_on(device);
    return print(command.json ? json_line(json_device(*device)) : "/dev/" + device->name + "\n");
}

Result<void> run_delete(const DeleteCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    return control->del(command.device);
}

Result<void> run_set(const SetCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    return control->set(command.device, command.options);
}

} // namespace vramswap::ctl
