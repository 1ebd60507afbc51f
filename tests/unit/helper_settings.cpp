// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <helper/settings.hpp>

using namespace vramswap;
namespace fs = std::filesystem;

namespace {

/// A system's root folder, gone at the end.
class Root {
public:
    Root() {
        std::string name = fs::temp_directory_path() / "vramswap-settings-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;
    Root(Root&&) = delete;
    Root& operator=(Root&&) = delete;
    ~Root() { fs::remove_all(path_); }

    void write(const std::string& file, const std::string& text) const {
        fs::create_directories(fs::path(path_ + file).parent_path());
        std::ofstream(path_ + file) << text;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

Result<Config> settings(const std::string& text, unsigned device = 0) {
    const auto sections = conf_parse(text, "test.conf");
    if (!sections)
        return std::unexpected(sections.error());
    return settings_of(device, *sections);
}

} // namespace

TEST_CASE("every key is understood") {
    const auto config = settings("# a comment\n"
                                 "; another\n"
                                 "\n"
                                 "[vramswap3]\n"
                                 "size = min(vram - 2G, 0.8 * vram)\n"
                                 "  engine=cuda  \r\n"
                                 "gpu = 0000:65:00.0\n"
                                 "headroom = 5%\n"
                                 "swap-priority = 32767\n"
                                 "hold-timeout = 2.5\n"
                                 "io-timeout\t=\t10\n"
                                 "queues = 8\n"
                                 "idle-spin = 0\n"
                                 "cuda-path = kernel\n"
                                 "checksums = no\n"
                                 "wait-device = 60\n",
                                 3);
    REQUIRE(config.has_value());
    REQUIRE(config->device == 3);
    REQUIRE(config->configured);
    REQUIRE(config->size->text() == "min(vram - 2G, 0.8 * vram)");
    REQUIRE(config->engine == EngineChoice::cuda);
    REQUIRE(config->gpu == "0000:65:00.0");
    REQUIRE(config->headroom->text() == "5%");
    REQUIRE(config->swap_priority == 32767);
    REQUIRE(config->hold_timeout == std::chrono::milliseconds(2500));
    REQUIRE(config->io_timeout == std::chrono::seconds(10));
    REQUIRE(config->queues == 8U);
    REQUIRE(config->spin.count() == 0);
    REQUIRE(config->cuda_path == CudaPath::kernel);
    REQUIRE(config->checksums == false);
    REQUIRE(settings("[vramswap0]\nchecksums = yes\n")->checksums == true);
    REQUIRE(!settings("[vramswap0]\nchecksums = yes\nchecksums = auto\n")->checksums);
    REQUIRE(settings("[vramswap0]\nstore = /dev/dax0.0\n")->store == "/dev/dax0.0");
    REQUIRE(config->wait_device == std::chrono::seconds(60));
}

TEST_CASE("without a section there are defaults") {
    for (const char* const text : {"", "# nothing\n", "[vramswap1]\nsize = 4G\n"}) {
        const auto config = settings(text);
        REQUIRE(config.has_value());
        REQUIRE(!config->configured);
        REQUIRE(!config->size);
        REQUIRE(config->engine == EngineChoice::automatic);
        REQUIRE(config->swap_priority == 50);
        REQUIRE(!config->hold_timeout);
        REQUIRE(!config->checksums);
    }
    REQUIRE(settings("[vramswap0]\n")->configured);
}

TEST_CASE("what comes later wins") {
    const auto config =
        settings("[vramswap0]\nsize = 1G\nqueues = 2\n[vramswap1]\nsize = 3G\n[vramswap0]\nsize = 2G\n");
    REQUIRE(config->size->text() == "2G");
    REQUIRE(config->queues == 2U);
}

TEST_CASE("mistakes are named with file and line and what is allowed") {
    struct Row {
        const char* text;
        const char* place;
        const char* words;
    };
    const std::vector<Row> rows{
        {"size = 4G\n", "test.conf:1: ", "write [vramswap0] above"},
        {"[vramswap0\n", "test.conf:1: ", "']'"},
        {"\n\n[vramswap]\n", "test.conf:3: ", "write [vramswap0]"},
        {"[vramswap00]\n", "test.conf:1: ", "write [vramswap0]"},
        {"[vramswap-1]\n", "test.conf:1: ", "write [vramswap0]"},
        {"[vramswap16]\n", "test.conf:1: ", "up to 15"},
        {"[zram0]\n", "test.conf:1: ", "[zram0] is no device"},
        {"[vramswap0]\nsize\n", "test.conf:2: ", "KEY = VALUE"},
        {"[vramswap0]\n= 4G\n", "test.conf:2: ", "KEY = VALUE"},
        {"[vramswap0]\nsise = 4G\n", "test.conf:2: ", "no key 'sise'; there are size, engine, gpu"},
        {"[vramswap0]\nSize = 4G\n", "test.conf:2: ", "no key 'Size'"},
        {"[vramswap1]\n\nspeed = 4\n", "test.conf:3: ", "no key 'speed'"}, // of another device
        {"[vramswap0]\nsize = lots\n", "test.conf:2: size: ", "a number, vram, ram"},
        {"[vramswap0]\nsize =\n", "test.conf:2: size: ", "at its end"},
        {"[vramswap0]\nsize = 4G # big\n", "test.conf:2: size: ", "before '# big'"},
        {"[vramswap0]\nsize = 0\n", "test.conf:2: size: ", "holds at least"},
        {"[vramswap0]\nsize = 64G - 64G\n", "test.conf:2: size: ", "holds at least"},
        {"[vramswap0]\nsize = 99999T\n", "test.conf:2: size: ", "at most"},
        {"[vramswap0]\nsize = 1/0\n", "test.conf:2: size: ", "zero"},
        {"[vramswap0]\nheadroom = 1/0\n", "test.conf:2: headroom: ", "zero"},
        {"[vramswap0]\nheadroom = -1\n", "test.conf:2: headroom: ", "a number, vram, ram"},
        {"[vramswap0]\nengine = opencl\n", "test.conf:2: engine: ", "auto, cuda or host"},
        {"[vramswap0]\ngpu = fast\n", "test.conf:2: gpu: ", "UUID"},
        {"[vramswap0]\nswap-priority = -1\n", "test.conf:2: swap-priority: ", "0 to 32767"},
        {"[vramswap0]\nswap-priority = 32768\n", "test.conf:2: swap-priority: ", "0 to 32767"},
        {"[vramswap0]\nhold-timeout = long\n", "test.conf:2: hold-timeout: ", "seconds, 0 to 86400"},
        {"[vramswap0]\nhold-timeout = nan\n", "test.conf:2: hold-timeout: ", "seconds, 0 to 86400"},
        {"[vramswap0]\nhold-timeout = 2min\n", "test.conf:2: hold-timeout: ", "seconds, 0 to 86400"},
        {"[vramswap0]\nhold-timeout = 0.0001\n", "test.conf:2: hold-timeout: ", "0.001 or more"},
        {"[vramswap0]\nhold-timeout = 86400.001\n", "test.conf:2: hold-timeout: ", "seconds, 0 to 86400"},
        {"[vramswap0]\nio-timeout = 0\n", "test.conf:2: io-timeout: ", "seconds, 1 to 86400"},
        {"[vramswap0]\nqueues = 65\n", "test.conf:2: queues: ", "1 to 64"},
        {"[vramswap0]\nqueues = 2.5\n", "test.conf:2: queues: ", "1 to 64"},
        {"[vramswap0]\nidle-spin = 1001\n", "test.conf:2: idle-spin: ", "0 to 1000"},
        {"[vramswap0]\ncuda-path = ether\n", "test.conf:2: cuda-path: ", "auto, engine, batch, kernel or poll"},
        {"[vramswap0]\nchecksums = crc\n", "test.conf:2: checksums: ", "auto, yes or no"},
        {"[vramswap0]\nstore =\n", "test.conf:2: store: ", "1 to 1023 bytes"},
        {"[vramswap0]\nwait-device = 3601\n", "test.conf:2: wait-device: ", "0 to 3600"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto config = settings(row.text);
        REQUIRE(!config.has_value());
        INFO(config.error().message);
        REQUIRE(config.error().message.starts_with(row.place));
        REQUIRE(config.error().message.find(row.words) != std::string::npos);
    }
}

TEST_CASE("settings that do not fit together are refused") {
    const auto complete = [](const char* text) {
        auto config = settings(std::string("[vramswap0]\n") + text);
        REQUIRE(config.has_value());
        return settings_complete(*config) ? config->engine : std::optional<EngineChoice>();
    };
    REQUIRE(complete("gpu = 0\n") == EngineChoice::cuda);
    REQUIRE(complete("cuda-path = batch\n") == EngineChoice::cuda);
    REQUIRE(complete("store = /dev/dax0.0\n") == EngineChoice::host);
    REQUIRE(complete("engine = host\n") == EngineChoice::host);
    REQUIRE(complete("size = 4G\n") == EngineChoice::automatic);
    REQUIRE(!complete("engine = host\ngpu = 0\n"));
    REQUIRE(!complete("engine = cuda\nstore = /dev/dax0.0\n"));
    REQUIRE(!complete("gpu = 0\nstore = /dev/dax0.0\n"));
    // What suits some machine is no mistake.
    REQUIRE(complete("size = ram - 2 * vram\n") == EngineChoice::automatic);
    REQUIRE(complete("size = 48G - ram\nheadroom = 24G - vram\n") == EngineChoice::automatic);
    REQUIRE(complete("size = vram - 2 * ram\n") == EngineChoice::automatic);
}

TEST_CASE("the main file comes first, drop-ins by name, and /etc masks /run masks /usr/lib") {
    const Root root;
    REQUIRE(settings_read(0, root.path())->size.has_value() == false); // no file is no mistake
    root.write("/usr/lib/vramswap.conf.d/10-vendor.conf", "[vramswap0]\nsize = 1G\nqueues = 1\n");
    root.write("/usr/lib/vramswap.conf.d/20-vendor.conf", "[vramswap0]\nswap-priority = 20\n");
    REQUIRE(settings_read(0, root.path())->size->text() == "1G");
    root.write("/etc/vramswap.conf", "[vramswap0]\nsize = 2G\nidle-spin = 7\n");
    REQUIRE(settings_read(0, root.path())->size->text() == "1G"); // the drop-in comes after it
    root.write("/run/vramswap.conf.d/10-vendor.conf", "[vramswap0]\nsize = 3G\n");
    REQUIRE(settings_read(0, root.path())->size->text() == "3G");
    root.write("/etc/vramswap.conf.d/10-vendor.conf", ""); // as a link to /dev/null
    root.write("/etc/vramswap.conf.d/30-local.conf.bak", "nonsense");
    const auto config = settings_read(0, root.path());
    REQUIRE(config->size->text() == "2G");
    REQUIRE(!config->queues);
    REQUIRE(config->swap_priority == 20);
    REQUIRE(config->spin.count() == 7);
    root.write("/etc/vramswap.conf.d/30-local.conf", "[vramswap4]\n[vramswap2]\nsize = 5G\n");
    REQUIRE(settings_devices(root.path()) == std::vector<unsigned>{0, 2, 4});
    root.write("/etc/vramswap.conf.d/40-bad.conf", "[vramswap0]\nwat = 1\n");
    REQUIRE(settings_read(0, root.path())
                .error()
                .message.starts_with(root.path() + "/etc/vramswap.conf.d/40-bad.conf:2: "));
}

TEST_CASE("a file that is named is read alone, and must be there") {
    const Root root;
    root.write("/etc/vramswap.conf", "[vramswap0]\nqueues = 2\n");
    root.write("/mine.conf", "[vramswap0]\nsize = 2G\n");
    const auto config = settings_read(0, root.path(), root.path() + "/mine.conf");
    REQUIRE(config->size->text() == "2G");
    REQUIRE(!config->queues);
    REQUIRE(settings_read(0, root.path(), "/no such file").error().code == ENOENT);
}

TEST_CASE("the command line wins over the file, and chooses a store as a whole") {
    const Root root;
    root.write("/mine.conf", "[vramswap0]\nsize = 2G\ngpu = 1\nidle-spin = 7\n[vramswap1]\nstore = /x\n");
    const std::string file = root.path() + "/mine.conf";
    const auto parse = [&file](std::vector<const char*> words) {
        words.insert(words.begin(), {"vramswapd", "--config", file.c_str()});
        return std::get<Config>(parse_config(static_cast<int>(words.size()), words.data()).value());
    };
    REQUIRE(parse({}).engine == EngineChoice::cuda);
    REQUIRE(parse({}).gpu == "1");
    REQUIRE(parse({"--size", "3G"}).size->text() == "3G");
    REQUIRE(parse({"--size", "3G"}).gpu == "1");
    REQUIRE(parse({"--engine", "host"}).gpu.empty());
    REQUIRE(parse({"--engine", "host"}).spin.count() == 7);
    REQUIRE(parse({"--spin-us", "8"}).spin.count() == 8);
    REQUIRE(parse({"--device", "1"}).store == "/x");
    REQUIRE(parse({"--device", "1"}).engine == EngineChoice::host);
}

TEST_CASE("who takes contents over reads no file, so that no mistake in one can cost them") {
    const Root root;
    root.write("/etc/vramswap.conf", "[vramswap1]\nsise = 2G\n");
    const std::array words{"vramswapd", "--device", "3", "--size", "2G"};
    const auto parse = [&](bool read_files) {
        return parse_config(static_cast<int>(words.size()), words.data(), root.path(), read_files);
    };
    REQUIRE(!parse(true).has_value());
    const auto config = std::get<Config>(parse(false).value());
    REQUIRE(config.device == 3);
    REQUIRE(config.size->text() == "2G");
    REQUIRE(!config.files_count);
    root.write("/etc/vramswap.conf", "[vramswap3]\nsize = 4G\n");
    REQUIRE(std::get<Config>(parse(true).value()).files_count);
}

TEST_CASE("a folder in the place of a file is passed over among drop-ins, and else refused by its name") {
    const Root root;
    root.write("/etc/vramswap.conf.d/10-folder.conf/file", "");
    REQUIRE(settings_read(0, root.path()).has_value());
    root.write("/etc/vramswap.conf/file", "");
    REQUIRE(settings_read(0, root.path()).error().message.find("/etc/vramswap.conf is a folder") != std::string::npos);
}
