// What nccl.rs asks of NCCL, by c10d's half of it: sums over the GPUs of several processes. Built into the same shared object as
// shim.cpp; without NCCL's header there is only the answer that it is missing.

#include "../libtorch/message.h"

#include <cstdint>
#include <stdexcept>

#ifdef STRANDNET_NCCL

#include "../distributed/group.h"

#define USE_C10D_NCCL
#include <ATen/cuda/CUDAContext.h>
#include <c10/util/env.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

using c10d::ProcessGroupNCCL;
using std::chrono::steady_clock;

// The GPUs of several processes, connected.
struct Nccl {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<ProcessGroupNCCL> backend;
  std::chrono::seconds patience;
  // Whether something went wrong, so that nobody is to be waited for any more.
  bool lost = false;
};

namespace {

// Under which one that leaves says so in the store. A GPU that waits for it does not notice.
constexpr const char* LEFT = "left";

// Waits until a sum is done. Were that left to whoever reads a result of it next, a process that never comes would not be noticed: the
// GPU would hang, and this thread with it.
void wait_for(Nccl* nccl, const c10::intrusive_ptr<c10d::Work>& work) {
  using namespace std::chrono_literals;
  work->synchronize(); // what this thread's stream is asked for next comes after the sum
  const auto begun = steady_clock::now();
  auto look_at = begun + 1s;
  while (!work->isCompleted()) {
    const auto now = steady_clock::now();
    if (now - begun > nccl->patience) {
      throw std::runtime_error("timed out");
    }
    if (now > look_at) {
      if (nccl->store->check({LEFT})) {
        throw std::runtime_error("closed");
      }
      look_at = now + 1s;
    }
    if (now - begun < 1ms) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(50us);
    }
  }
  if (work->exception()) {
    std::rethrow_exception(work->exception());
  }
}

// Ends what GPUs wait for, at once: who frees tensors after an error waits for the GPU.
void give_up(Nccl* nccl) noexcept {
  nccl->lost = true;
  try { nccl->store->add(LEFT, 1); } catch (...) {}
  try { nccl->backend->abort(); } catch (...) {}
}

template <typename Ask>
char* message_of_exchange(Nccl* nccl, Ask ask) {
  char* message = message_of([&] {
    if (nccl->lost) {
      throw std::runtime_error("closed");
    }
    wait_for(nccl, ask(*nccl->backend));
  });
  if (message != nullptr && !nccl->lost) {
    give_up(nccl);
  }
  return message;
}

} // namespace

extern "C" {

// Whether it was built with the NCCL that libtorch was: its options have another size with another.
bool strandnet_cuda_nccl_is_there() {
  constexpr uint64_t own = (uint64_t(NCCL_MAJOR) << 32) | (NCCL_MINOR << 16) | NCCL_PATCH;
  return torch::cuda::nccl::version() == own;
}

// What tells a GPU from all others, of whatever machine: 16 bytes.
char* strandnet_cuda_nccl_uuid(int device, uint8_t* uuid) {
  return message_of([&] {
    const auto& bytes = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(device))->uuid.bytes;
    std::copy(std::begin(bytes), std::end(bytes), reinterpret_cast<char*>(uuid));
  });
}

// Connects a GPU with those of the other processes of a group, which do the same.
char* strandnet_cuda_nccl_connect(
    StrandnetGroup* group, int rank, int size, int device, int64_t seconds, Nccl** out) {
  return message_of([&] {
    // Else c10d waits for sums in a thread of its own, which ends the program where one fails.
    c10::utils::set_env("TORCH_NCCL_BLOCKING_WAIT", "1");
    auto options = ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::seconds(seconds);
    auto store = c10::make_intrusive<c10d::PrefixStore>("nccl", group->store);
    auto backend = c10::make_intrusive<ProcessGroupNCCL>(store, rank, size, options);
    at::Device own(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    *out = new Nccl{store, backend, std::chrono::seconds(seconds)};
    try {
      backend->eagerConnectSingleDevice(own);
    } catch (...) {
      give_up(*out);
      throw;
    }
  });
}

// Sums a tensor of the GPU over all processes, in place.
char* strandnet_cuda_nccl_sum(Nccl* nccl, const at::Tensor* tensor) {
  return message_of_exchange(nccl, [&](ProcessGroupNCCL& backend) {
    std::vector<at::Tensor> tensors{*tensor};
    return backend.allreduce(tensors, c10d::AllreduceOptions());
  });
}

// Copies a tensor of process 0 to all others.
char* strandnet_cuda_nccl_broadcast(Nccl* nccl, const at::Tensor* tensor) {
  return message_of_exchange(nccl, [&](ProcessGroupNCCL& backend) {
    std::vector<at::Tensor> tensors{*tensor};
    return backend.broadcast(tensors, c10d::BroadcastOptions());
  });
}

// Lets the other processes know, and does nothing to none.
void strandnet_cuda_nccl_leave(Nccl* nccl) {
  if (nccl == nullptr) {
    return;
  }
  if (!nccl->lost) {
    try {
      nccl->store->add(LEFT, 1);
      nccl->backend->shutdown();
    } catch (...) {
      give_up(nccl);
    }
  }
  delete nccl;
}

}

#else

struct StrandnetGroup;
struct Nccl;

namespace {

char* missing() {
  return message_of([] { throw std::runtime_error("this program was built without NCCL"); });
}

} // namespace

extern "C" {

bool strandnet_cuda_nccl_is_there() { return false; }
char* strandnet_cuda_nccl_uuid(int, uint8_t*) { return missing(); }
char* strandnet_cuda_nccl_connect(StrandnetGroup*, int, int, int, int64_t, Nccl**) { return missing(); }
char* strandnet_cuda_nccl_sum(Nccl*, const void*) { return missing(); }
char* strandnet_cuda_nccl_broadcast(Nccl*, const void*) { return missing(); }
void strandnet_cuda_nccl_leave(Nccl*) {}

}

#endif
