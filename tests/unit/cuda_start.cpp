// SPDX-License-Identifier: MIT
// Each call that a start makes of the driver may fail: it says so, in words that tell which it was, and nothing is left
// behind.
#include "cuda_rig.hpp"

#include <cerrno>

using namespace vramswap;
using namespace vramswap::test;

namespace {

enum class Step { make, open, adopt, bind, lane, begin };

struct Row {
    Step step;
    const char* fault;
    int code;
    const char* words;
    std::optional<CudaPath> path = CudaPath::engine;
};

/// A start up to the step at which it fails. Whatever there is then is gone when this returns.
class Start {
public:
    explicit Start(const Row& row) : row_(row), staging_(cuda_depth * cuda_slot) {}

    /// Nothing: it did not fail, or not at this step.
    std::optional<Error> failure() {
        for (const Step step : {Step::make, Step::open, Step::adopt, Step::bind, Step::lane, Step::begin}) {
            if (step == Step::adopt && row_.step != Step::adopt)
                continue;
            if (step == row_.step && step != Step::make)
                fake_.arm(row_.fault);
            auto done = carry_out(step);
            fake_.arm("");
            if (!done)
                return step == row_.step ? std::optional(done.error()) : std::nullopt;
        }
        return std::nullopt;
    }

private:
    Result<void> carry_out(Step step) {
        switch (step) {
        case Step::make:
            return keep(engine_, CudaEngine::make({.path = row_.path, .libcuda = fake_library}));
        case Step::open:
            return engine_->open(cuda_capacity);
        case Step::adopt: {
            auto inherited = duplicates(engine_->kept());
            return engine_->adopt(cuda_capacity, inherited);
        }
        case Step::bind:
            return engine_->bind(staging_);
        case Step::lane:
            return keep(lane_, engine_->lane(0, cuda_depth));
        case Step::begin:
            return lane_->begin();
        }
        return {};
    }

    template<class Thing>
    static Result<void> keep(std::unique_ptr<Thing>& place, Result<std::unique_ptr<Thing>> made) {
        if (!made)
            return pass_on(made);
        place = std::move(*made);
        return {};
    }

    const Row& row_;
    Fake fake_{row_.step == Step::make ? row_.fault : ""};
    std::vector<std::byte> staging_;
    std::unique_ptr<CudaEngine> engine_;
    std::unique_ptr<Lane> lane_;
};

void fails_with_a_word(std::span<const Row> rows) {
    for (const Row& row : rows) {
        INFO(row.fault);
        const auto error = Start(row).failure();
        REQUIRE(error.has_value());
        INFO(error->message);
        REQUIRE(error->code == row.code);
        REQUIRE(error->message.find(row.words) != std::string::npos);
        const Fake fake;
        REQUIRE(fake.left().empty());
    }
}

} // namespace

TEST_CASE("a driver that fails while a GPU is looked for or taken says so, and nothing is left") {
    fails_with_a_word(std::array{
        Row{Step::make, "fail=cuInit", EIO, "does not start: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::make, "fail=cuDeviceGetCount", EIO, "does not say how many GPUs there are: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::make, "fail=cuDeviceGet", EIO, "says nothing about GPU 0: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::make, "fail=cuDeviceGetName", EIO, "says nothing about GPU 0"},
        Row{Step::make, "fail=cuDeviceGetUuid", EIO, "says nothing about GPU 0"},
        Row{Step::make, "fail=cuDeviceGetPCIBusId", EIO, "says nothing about GPU 0"},
        Row{Step::make, "fail=cuCtxCreate:2", ENOMEM, "not even for a context: CUDA_ERROR_OUT_OF_MEMORY (2)"},
        Row{Step::make, "fail=cuCtxCreate:46", EBUSY, "cannot be used: CUDA_ERROR_DEVICE_UNAVAILABLE (46)"},
        Row{Step::make, "busy=1", EBUSY, "for itself alone: CUDA_ERROR_DEVICE_UNAVAILABLE (46)"},
        Row{Step::make, "busy=1,fail=cuCtxCreate", EIO, "cannot be used: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::make, "busy=1,fail=cuCtxCreate:2", ENOMEM, "not even for a context"},
        Row{Step::make, "prohibited=1", EPERM, "may not be used for computing: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::make, "fail=cuModuleLoadData:218", ENOTSUP, "compute capability 7.5: CUDA error 218",
            CudaPath::kernel},
        Row{Step::make, "fail=cuModuleGetFunction:500", ENOTSUP, "lack a function: CUDA error 500", CudaPath::poll},
    });
}

TEST_CASE("a driver that fails while memory is made or taken over says so, and nothing is left") {
    fails_with_a_word(std::array{
        Row{Step::open, "fail=cuMemGetAllocationGranularity", EIO, "in which portions it gives memory"},
        Row{Step::open, "fail=cuMemGetInfo", EIO, "how much memory it has: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::open, "fail=cuMemAddressReserve", EIO, "gives no addresses for 6 MiB: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::open, "fail=cuMemAddressReserve:2", ENOMEM, "gives no addresses"},
        Row{Step::open, "fail=cuMemHostAlloc", EIO, "no memory that the GPU reaches is to be had"},
        Row{Step::open, "fail=cuMemHostAlloc:2", ENOMEM, "CUDA_ERROR_OUT_OF_MEMORY (2)"},
        Row{Step::open, "fail=cuMemHostGetDevicePointer", EIO, "does not reach memory that was made for it"},
        Row{Step::open, "fail=cuStreamCreate", EIO, "gives no stream"},
        Row{Step::open, "fail=cuMemCreate:2", ENOMEM, "gives no 6 MiB of memory: CUDA_ERROR_OUT_OF_MEMORY (2)"},
        Row{Step::open, "fail=cuMemCreate:719", EIO, "gives no 6 MiB of memory: CUDA_ERROR_LAUNCH_FAILED (719)"},
        Row{Step::open, "fail=cuMemExportToShareableHandle:801", EIO, "cannot be kept beyond this process"},
        Row{Step::open, "fail=cuMemMap", EIO, "could not be mapped: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::open, "fail=cuMemSetAccess", EIO, "could not be mapped"},
        Row{Step::open, "fail=cuMemsetD8Async", EIO, "does not work: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::open, "fail=cuMemcpyHtoDAsync", EIO, "does not work"},
        Row{Step::open, "fail=cuStreamQuery:700", EIO, "does not work: CUDA_ERROR_ILLEGAL_ADDRESS (700)"},
        Row{Step::adopt, "fail=cuMemImportFromShareableHandle", ENODEV,
            "kept is not to be had: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::adopt, "fail=cuMemMap", EIO, "could not be mapped"},
        Row{Step::adopt, "fail=cuMemSetAccess", EIO, "could not be mapped"},
        Row{Step::adopt, "fail=cuMemcpyDtoHAsync", EIO, "does not work"},
    });
}

TEST_CASE("a driver that fails while a session is made says so, and nothing is left") {
    fails_with_a_word(std::array{
        Row{Step::bind, "fail=cuMemHostRegister:801", EIO, "cuMemHostRegister says CUDA_ERROR_NOT_SUPPORTED (801)"},
        Row{Step::bind, "fail=cuMemHostRegister:2", ENOMEM, "cuMemHostRegister says CUDA_ERROR_OUT_OF_MEMORY (2)"},
        Row{Step::bind, "fail=cuMemHostGetDevicePointer", EIO, "does not tell where it sees the memory"},
        Row{Step::bind, "fail=cuMemHostAlloc:2", ENOMEM, "no memory that the GPU reaches", std::nullopt},
        Row{Step::bind, "fail=cuStreamCreate", EIO, "gives no stream", std::nullopt},
        Row{Step::bind, "fail=cuMemcpyHtoDAsync", EIO, "does not copy: CUDA_ERROR_UNKNOWN (999)", std::nullopt},
        Row{Step::bind, "fail=cuMemcpyBatchAsync:801", ENOTSUP, "the driver refuses it, CUDA_ERROR_NOT_SUPPORTED (801)",
            CudaPath::batch},
        Row{Step::bind, "fail=cuLaunchKernel:801", ENOTSUP, "the driver refuses it", CudaPath::kernel},
        Row{Step::bind, "fail=cuLaunchKernel:801", ENOTSUP, "the driver refuses it", CudaPath::poll},
        Row{Step::lane, "fail=cuMemHostAlloc", EIO, "no memory that the GPU reaches"},
        Row{Step::lane, "fail=cuStreamCreate", EIO, "gives no stream"},
        Row{Step::begin, "fail=cuCtxSetCurrent", EIO, "context does not work: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::begin, "fail=cuMemcpyHtoDAsync", EIO, "does not work: CUDA_ERROR_UNKNOWN (999)"},
        Row{Step::begin, "fail=cuMemcpyDtoHAsync", EIO, "does not work"},
        Row{Step::begin, "fail=cuMemsetD8Async", EIO, "does not work"},
        Row{Step::begin, "fail=cuStreamWriteValue32", EIO, "does not work"},
        Row{Step::begin, "fail=cuMemcpyBatchAsync", EIO, "does not work", CudaPath::batch},
        Row{Step::begin, "fail=cuLaunchKernel", EIO, "does not work", CudaPath::kernel},
        Row{Step::begin, "fail=cuLaunchKernel", EIO, "does not start the program that looks for copies",
            CudaPath::poll},
    });
}

TEST_CASE("paths that a driver fails to make ready are done without, if they were not asked for") {
    for (const char* const fault : {"fail=cuModuleLoadData:209", "fail=cuModuleGetFunction:500"}) {
        INFO(fault);
        CudaRig rig(fault, cuda_capacity, std::nullopt);
        rig.open();
        REQUIRE(rig.engine->remarks().find("kernel") == std::string::npos);
    }
}
