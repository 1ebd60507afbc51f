// SPDX-License-Identifier: MIT
// What becomes of VRAM that is let go of, as the daemon lets go of it: descriptors that are kept for the test's sake
// show whether a byte of it is left.
#include "cuda_rig.hpp"

#include <cerrno>
#include <functional>

#include <sys/mman.h>
#include <sys/stat.h>

#include <helper/engines.hpp>

using namespace vramswap;
using namespace vramswap::test;

namespace {

constexpr std::uint64_t size = 66ULL << 20; // two chunks

/// All bytes behind a descriptor: the fake's VRAM is a memory file.
class Bytes {
public:
    explicit Bytes(int fd) {
        struct stat status{};
        REQUIRE(::fstat(fd, &status) == 0);
        size_ = static_cast<std::size_t>(status.st_size);
        memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(memory_ != MAP_FAILED);
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    Bytes(Bytes&&) = delete;
    Bytes& operator=(Bytes&&) = delete;
    ~Bytes() { ::munmap(memory_, size_); }

    void fill() const { std::ranges::fill(all(), std::byte{0x5A}); }
    [[nodiscard]] bool zero() const {
        return std::ranges::all_of(all(), [](std::byte byte) { return byte == std::byte{0}; });
    }

private:
    [[nodiscard]] std::span<std::byte> all() const { return {static_cast<std::byte*>(memory_), size_}; }

    void* memory_ = nullptr;
    std::size_t size_ = 0;
};

bool is_chunk(const InheritedFd& one) {
    return one.name.starts_with(CudaStore::chunk_name) && one.name != CudaStore::map_name;
}

/// Which chunks have a byte that is not zero: "0 2".
std::string left_in(const std::vector<InheritedFd>& fds) {
    std::string text;
    for (const InheritedFd& one : fds)
        if (is_chunk(one) && !Bytes(one.fd.get()).zero())
            text += (text.empty() ? "" : " ") + one.name.substr(CudaStore::chunk_name.size());
    return text;
}

InheritedFd& named(std::vector<InheritedFd>& fds, const std::string& name) {
    const auto found = std::ranges::find(fds, name, &InheritedFd::name);
    REQUIRE(found != fds.end());
    return *found;
}

std::string chunk(unsigned number) {
    return std::string(CudaStore::chunk_name) + std::to_string(number);
}

/// What is logged meanwhile.
std::string said(const std::function<void()>& what) {
    const Fd words(::memfd_create("words", MFD_CLOEXEC));
    const Fd before(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    ::dup2(words.get(), STDERR_FILENO);
    what();
    ::dup2(before.get(), STDERR_FILENO);
    std::string text(4096, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(::pread(words.get(), text.data(), text.size(), 0), 0)));
    return text;
}

Config wish(std::uint64_t capacity, const std::string& gpu = "") {
    Config config;
    config.size = SizeRule::of(capacity);
    config.engine = EngineChoice::cuda;
    config.gpu = gpu;
    return config;
}

/// Contents without a zero in them, in two chunks, that a predecessor left when it died.
struct Left {
    explicit Left(const std::string& gpu = "") {
        auto engine = engines::make(wish(size, gpu), record, 0, log);
        REQUIRE(engine.has_value());
        REQUIRE((*engine)->open(size).has_value());
        inherited = duplicates((*engine)->kept());
        watched = duplicates((*engine)->kept());
        for (const InheritedFd& one : watched)
            if (is_chunk(one))
                Bytes(one.fd.get()).fill();
        REQUIRE(left_in(watched) == "0 1");
    }

    /// What is said when they are let go of.
    std::string erase() {
        return said([this] { engines::erase(record, inherited, log); });
    }

    Log log = Log::to_standard_error();
    Record record;
    std::vector<InheritedFd> inherited;
    std::vector<InheritedFd> watched;
};

} // namespace

TEST_CASE("contents that are given up leave no byte in VRAM, new ones and such as were taken over") {
    const Fake fake("vram_mib=400");
    const Log log = Log::to_standard_error();
    Record record;
    auto first = engines::make(wish(size), record, 0, log);
    REQUIRE(first.has_value());
    REQUIRE((*first)->open(size).has_value());
    auto inherited = duplicates((*first)->kept());
    const auto watched = duplicates((*first)->kept());
    auto successor = engines::resume(wish(size), record, log);
    REQUIRE(successor.has_value());
    REQUIRE((*successor)->adopt(size, inherited).has_value());
    for (Engine* const engine : {first->get(), successor->get()}) {
        for (const InheritedFd& one : watched)
            if (is_chunk(one))
                Bytes(one.fd.get()).fill();
        REQUIRE(left_in(watched) == "0 1");
        REQUIRE(engine->erase().has_value());
        REQUIRE(left_in(watched).empty());
    }
}

TEST_CASE("a predecessor's contents that are let go of leave no byte in VRAM, and nobody has it then") {
    const Fake fake("vram_mib=140");
    {
        Left left;
        REQUIRE(left.erase().empty());
        REQUIRE(left_in(left.watched).empty());
        REQUIRE(std::ranges::none_of(left.inherited, [](const InheritedFd& one) { return bool(one.fd); }));
    }
    REQUIRE(fake.left().empty());
    const Left next; // for which there is room again
}

TEST_CASE("chunks are overwritten each by itself, whatever became of the others") {
    struct Row {
        const char* what;
        std::function<void(std::vector<InheritedFd>&)> spoil;
        const char* left;
        const char* said;
    };
    const std::string map(CudaStore::map_name);
    const auto lose = [](const std::string& name) {
        return [name](std::vector<InheritedFd>& fds) { named(fds, name).fd = Fd(); };
    };
    for (const Row& row : {
             Row{"the mark is another", [](auto&) {}, "", ""},
             Row{"the first is missing", lose(chunk(0)), "0", "1 of 2 chunks (it was not kept)"},
             Row{"the last is missing", lose(chunk(1)), "1", "1 of 2 chunks (it was not kept)"},
             Row{"the map is missing", lose(map), "", ""},
             Row{"the map is none", [&](auto& fds) { std::swap(named(fds, map).fd, named(fds, chunk(1)).fd); }, "1",
                 "of the GPU's memory could not be mapped: CUDA_ERROR_INVALID_VALUE (1)"},
             Row{"one is of another kind",
                 [](auto& fds) { named(fds, chunk(0)).fd = Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }, "0",
                 "1 of 2 chunks (the GPU's memory that was kept is not to be had: CUDA_ERROR_INVALID_VALUE (1))"},
             Row{"all are missing",
                 [&](auto& fds) {
                     for (unsigned i = 0; i < 2; ++i)
                         lose(chunk(i))(fds);
                 },
                 "0 1", "2 of 2 chunks (it was not kept)"},
         }) {
        INFO(row.what);
        const Fake fake("vram_mib=140");
        Left left;
        row.spoil(left.inherited);
        const std::string words = left.erase();
        INFO(words);
        REQUIRE(left_in(left.watched) == row.left);
        REQUIRE(words.empty() == std::string(row.said).empty());
        REQUIRE(words.find(row.said) != std::string::npos);
        REQUIRE(fake.left().empty());
    }
}

TEST_CASE("a predecessor's memory is overwritten in the new engine's context, if that is one of the same GPU") {
    const Fake fake("vram_mib=400");
    Left left;
    Record record;
    auto engine = engines::make(wish(size), record, size, left.log);
    REQUIRE(engine.has_value());
    const Fake alone("busy=1"); // no other context is to be had
    REQUIRE(left.erase().empty());
    REQUIRE(left_in(left.watched).empty());
    left.watched.clear();
    const Fake shared;
    REQUIRE((*engine)->open(size).has_value());
}

TEST_CASE("a predecessor's memory in another GPU than the new one is overwritten, too, and the new one works then") {
    const Fake fake("vram_mib=400,devices=2");
    Left left("1");
    Record record;
    auto engine = engines::make(wish(size, "0"), record, 0, left.log);
    REQUIRE(engine.has_value());
    REQUIRE(record.store != left.record.store);
    const auto before = fake.calls("cuCtxCreate");
    REQUIRE(left.erase().empty());
    REQUIRE(left_in(left.watched).empty());
    REQUIRE(fake.calls("cuCtxCreate") == before + 1);
    REQUIRE((*engine)->open(size).has_value());
    REQUIRE((*engine)->erase().has_value());
}

TEST_CASE("memory that cannot be overwritten is said, with what is known of it") {
    struct Row {
        const char* faults;
        const char* said;
    };
    for (const Row& row :
         {Row{"refuse_import=1",
              "2 of 2 chunks (the GPU's memory that was kept is not to be had: CUDA_ERROR_INVALID_VALUE"},
          Row{"no_device=1", "all of it (NVIDIA's driver finds no GPU"},
          Row{"busy=1", "all of it (another program has FAKE GPU"},
          Row{"fail=cuMemAddressReserve", "all of it (the GPU gives no addresses for 64 MiB: CUDA_ERROR_UNKNOWN"},
          Row{"fail=cuMemMap", "1 of 2 chunks (64 MiB of the GPU's memory could not be mapped"},
          Row{"sticky_at=2:700", "1 of 2 chunks (the GPU does not work: CUDA_ERROR_ILLEGAL_ADDRESS (700))"}}) {
        INFO(row.faults);
        const Fake sound("vram_mib=400");
        Left left;
        std::string words;
        {
            const Fake fake(row.faults);
            words = left.erase();
        }
        INFO(words);
        REQUIRE(words.find("of what was stored in GPU-fafa") != std::string::npos);
        REQUIRE(words.find(row.said) != std::string::npos);
        sound.arm("");
        REQUIRE(sound.left().empty());
    }
}

TEST_CASE("a GPU that cannot be used gives way to host memory, one that is full does not") {
    const Log log = Log::to_standard_error();
    for (const auto& [fault, code] : {std::pair("fail=cuMemAddressReserve:999", EIO), std::pair("fail=cuMemMap", EIO),
                                      std::pair("fail=cuMemCreate:2", ENOMEM)}) {
        INFO(fault);
        const Fake fake;
        Config config = wish(size);
        config.engine = EngineChoice::automatic;
        Record record;
        auto engine = engines::make(config, record, 0, log);
        REQUIRE(engine.has_value());
        fake.arm(fault);
        const auto opened = (*engine)->open(size);
        REQUIRE(!opened.has_value());
        REQUIRE(opened.error().code == code);
        REQUIRE(engines::fall_back(config, record, opened.error(), log).has_value() == (code != ENOMEM));
    }
}
