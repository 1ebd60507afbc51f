// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <cerrno>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <helper/config.hpp>

using namespace vramswap;

namespace {

Result<std::variant<Config, Text>> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "vramswapd");
    return parse_config(static_cast<int>(arguments.size()), arguments.data(), "/no such root");
}

Config good(const std::vector<const char*>& arguments) {
    auto parsed = parse(arguments);
    REQUIRE(parsed.has_value());
    REQUIRE(std::holds_alternative<Config>(*parsed));
    return std::get<Config>(*parsed);
}

} // namespace

TEST_CASE("sizes are bytes, or whole numbers with a binary suffix") {
    const std::vector<std::pair<const char*, std::uint64_t>> rows{
        {"0", 0},
        {"4096", 4096},
        {"1K", 1ULL << 10},
        {"1k", 1ULL << 10},
        {"512M", 512ULL << 20},
        {"4G", 4ULL << 30},
        {"4g", 4ULL << 30},
        {"4GiB", 4ULL << 30},
        {"4gib", 4ULL << 30},
        {"8T", 8ULL << 40},
        {"16777215T", 16777215ULL << 40},
        {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()},
    };
    for (const auto& [text, bytes] : rows) {
        INFO(text);
        const auto size = parse_size(text);
        REQUIRE(size.has_value());
        REQUIRE(*size == bytes);
    }
}

TEST_CASE("what is no size is refused in words that name it") {
    for (const char* const text : {"", "G", "-1", "+1", " 1", "1 ", "1.5G", "1,5G", "1GB", "1X", "0x10", "1Gi", "1GiBs",
                                   "four", "1G1", "18446744073709551616", "16777216T", "99999999999999999999999G"}) {
        INFO(text);
        const auto size = parse_size(text);
        REQUIRE(!size.has_value());
        REQUIRE(size.error().code == EINVAL);
        REQUIRE(size.error().message.find(std::string("'") + text + "'") != std::string::npos);
    }
}

TEST_CASE("sizes are shown exactly or in bytes") {
    const std::vector<std::pair<std::uint64_t, const char*>> rows{
        {0, "0 bytes"},
        {4095, "4095 bytes"},
        {4096, "4 KiB"},
        {1ULL << 20, "1 MiB"},
        {3ULL << 29, "1.5 GiB"},
        {4ULL << 30, "4 GiB"},
        {1ULL << 43, "8 TiB"},
        {(4ULL << 30) + 4096, "4194308 KiB"},
        {(1ULL << 30) + 1, "1073741825 bytes"},
        {65536, "64 KiB"},
        {std::numeric_limits<std::uint64_t>::max(), "18446744073709551615 bytes"},
    };
    for (const auto& [bytes, text] : rows)
        REQUIRE(size_text(bytes) == text);
}

TEST_CASE("without options there are defaults, and no size") {
    const Config config = good({});
    REQUIRE(config.device == 0);
    REQUIRE(!config.size);
    REQUIRE(config.engine == EngineChoice::automatic);
    REQUIRE(config.store.empty());
    REQUIRE(config.spin == std::chrono::microseconds(100));
    REQUIRE(config.wait_device == std::chrono::seconds(5));
}

TEST_CASE("every option is understood") {
    const Config config = good({"--device", "3", "--size=2G", "--engine", "host", "--store", "/dev/dax0.0", "--spin-us",
                                "0", "--wait-device", "60", "--foreground"});
    REQUIRE(config.device == 3);
    REQUIRE(config.size->bytes({}) == 2ULL << 30);
    REQUIRE(config.engine == EngineChoice::host);
    REQUIRE(config.store == "/dev/dax0.0");
    REQUIRE(config.spin.count() == 0);
    REQUIRE(config.wait_device.count() == 60);
}

TEST_CASE("naming a GPU or a store names its engine") {
    REQUIRE(good({"--engine", "cuda"}).engine == EngineChoice::cuda);
    REQUIRE(good({"--engine", "auto"}).engine == EngineChoice::automatic);
    REQUIRE(good({"--store", "/dev/dax0.0"}).engine == EngineChoice::host);
    for (const char* const gpu : {"0", "12", "GPU-01234567-89ab-cdef-0123-456789abcdef", "0000:65:00.0", "65:00.0"}) {
        const Config config = good({"--gpu", gpu});
        REQUIRE(config.engine == EngineChoice::cuda);
        REQUIRE(config.gpu == gpu);
    }
    REQUIRE(good({"--cuda-path", "kernel"}).engine == EngineChoice::cuda);
    REQUIRE(good({"--cuda-path", "kernel"}).cuda_path == CudaPath::kernel);
    REQUIRE(good({"--cuda-path", "poll", "--gpu", "1"}).cuda_path == CudaPath::poll);
    REQUIRE(good({"--cuda-path", "auto"}).engine == EngineChoice::automatic);
    REQUIRE(!good({"--cuda-path", "auto"}).cuda_path);
}

TEST_CASE("bad command lines are refused") {
    const std::string long_path(max_store_path + 1, 'x');
    const std::vector<std::vector<const char*>> rows{
        {"--size"},
        {"--size", "lots"},
        {"--size", "-1"},
        {"--device", "-1"},
        {"--device", "x"},
        {"--device", "16"},
        {"--engine", "opencl"},
        {"--gpu", "fast"},
        {"--cuda-path", "ether"},
        {"--cuda-path", "batch", "--engine", "host"},
        {"--cuda-path", "batch", "--store", "/dev/dax0.0"},
        {"--gpu", "GPU-"},
        {"--gpu", "0", "--engine", "host"},
        {"--gpu", "0", "--store", "/dev/dax0.0"},
        {"--engine", "cuda", "--store", "/dev/dax0.0"},
        {"--spin-us", "1001"},
        {"--spin-us", "-5"},
        {"--idle-spin", "1", "--spin-us", "2"},
        {"--headroom", "some"},
        {"--queues", "0"},
        {"--hold-timeout", "-1"},
        {"--io-timeout", "0.5"},
        {"--wait-device", "1e9"},
        {"--allow-unprepared"},
        {"--unknown"},
        {"stray"},
        {"--store", long_path.c_str()},
    };
    for (const auto& row : rows) {
        INFO(row.front());
        const auto parsed = parse(row);
        REQUIRE(!parsed.has_value());
        REQUIRE(parsed.error().code == EINVAL);
        REQUIRE(!parsed.error().message.empty());
    }
}

TEST_CASE("help and version are texts, not runs") {
    const auto help = parse({"--help"});
    REQUIRE(help.has_value());
    const std::string& text = std::get<Text>(*help).text;
    for (const char* const option : {"--device", "--size", "--engine", "--gpu", "--cuda-path", "--checksums", "--store",
                                     "--spin-us", "--wait-device", "--config", "--headroom", "/etc/vramswap.conf",
                                     "--version", "swapoff", "modprobe", "Exit status"})
        REQUIRE(text.find(option) != std::string::npos);
    const auto version = parse({"--version"});
    REQUIRE(version.has_value());
    REQUIRE(std::get<Text>(*version).text.starts_with("vramswapd "));
}
