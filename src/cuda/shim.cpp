// What shim.rs asks of libtorch's CUDA half and tch does not bind: streams, graphs recorded on them, free memory. Every function
// returns nothing if it worked, and else a message that `strandnet_forget` frees.

#include "../libtorch/message.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

namespace {

enum class Purpose { Computing, Transferring };

// One stream of a device for each purpose. Always the same ones, because memory belongs to a stream.
c10::cuda::CUDAStream stream_for(Purpose purpose, c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<std::pair<Purpose, c10::DeviceIndex>, c10::cuda::CUDAStream> streams;
  const std::lock_guard<std::mutex> guard(mutex);
  auto found = streams.find({purpose, device});
  if (found == streams.end()) {
    found = streams.emplace(std::make_pair(purpose, device), c10::cuda::getStreamFromPool(false, device)).first;
  }
  return found->second;
}

c10::DeviceIndex index_of(int device) {
  return static_cast<c10::DeviceIndex>(device);
}

c10::DeviceGuard guard_of(c10::DeviceIndex device) {
  return c10::DeviceGuard(c10::Device(c10::kCUDA, device));
}

// A graph that leaves everything as it was if recording it fails, which libtorch 2.11 does not (pytorch#180395, #190308).
struct Graph : at::cuda::CUDAGraph {
  c10::DeviceIndex device{};
  c10::MempoolId_t own_pool{};
  bool recording = false;

  void begin(c10::DeviceIndex index) {
    device = index;
    const auto guard = guard_of(device);
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache(); // memory that a recording could not take back itself
    own_pool = at::cuda::graph_pool_handle();
    recording = true;
    // What other threads ask of CUDA meanwhile does not spoil it.
    capture_begin(own_pool, cudaStreamCaptureModeThreadLocal);
  }

  void end() {
    const auto guard = guard_of(device);
    capture_end();
    recording = false;
  }

  void abandon() noexcept {
    if (!recording) {
      return;
    }
    recording = false;
    try {
      const auto guard = guard_of(device);
      capture_end(); // throws where the recording was spoiled, and then leaves the rest undone
      return;
    } catch (...) {
    }
    for (auto& state : captured_generator_states_) {
      state.first->capturing_ = false;
    }
    try { c10::cuda::CUDACachingAllocator::endAllocateToPool(device, own_pool); } catch (...) {}
    try { at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(own_pool); } catch (...) {}
    try { c10::cuda::CUDACachingAllocator::releasePool(device, own_pool); } catch (...) {}
  }

  ~Graph() { abandon(); }
};

} // namespace

extern "C" {

// Gives this thread a stream of its own, as the default one cannot be recorded, once all that was asked for before is done.
char* strandnet_cuda_enter(int device) {
  return message_of([&] {
    const auto guard = guard_of(index_of(device));
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(stream_for(Purpose::Computing, index_of(device)));
  });
}

// Gives this thread the default stream back, also where the device is out of order.
char* strandnet_cuda_leave(int device) {
  char* unfinished = message_of([&] {
    const auto guard = guard_of(index_of(device));
    c10::cuda::device_synchronize();
  });
  char* message = message_of([&] { c10::cuda::setCurrentCUDAStream(c10::cuda::getDefaultCUDAStream(index_of(device))); });
  if (unfinished == nullptr) {
    return message;
  }
  free(message);
  return unfinished;
}

// Gives this thread, until it ends, the stream for transfers.
char* strandnet_cuda_enter_transfers(int device) {
  return message_of([&] { c10::cuda::setCurrentCUDAStream(stream_for(Purpose::Transferring, index_of(device))); });
}

// Waits until all that this thread asked for on that stream is done.
char* strandnet_cuda_wait_for_transfers(int device) {
  return message_of([&] { stream_for(Purpose::Transferring, index_of(device)).synchronize(); });
}

// Keeps the memory of a tensor, once that is dropped, until this thread's stream has done what it was asked for by then.
char* strandnet_cuda_use_here(const at::Tensor* tensor) {
  return message_of([&] { tensor->record_stream(c10::cuda::getCurrentCUDAStream(tensor->device().index()).unwrap()); });
}

// Free and total memory of a GPU in bytes. What libtorch keeps for itself is not free.
char* strandnet_cuda_memory(int device, uint64_t* free_bytes, uint64_t* total_bytes) {
  return message_of([&] {
    const auto guard = guard_of(index_of(device));
    size_t free = 0;
    size_t total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    *free_bytes = free;
    *total_bytes = total;
  });
}

char* strandnet_cuda_graph_begin(int device, Graph** graph) {
  return message_of([&] {
    *graph = new Graph();
    (*graph)->begin(index_of(device));
  });
}

char* strandnet_cuda_graph_end(Graph* graph) {
  return message_of([&] { graph->end(); });
}

char* strandnet_cuda_graph_replay(Graph* graph) {
  return message_of([&] {
    const auto guard = guard_of(graph->device);
    graph->replay();
  });
}

// Ends the recording first, if it goes on.
void strandnet_cuda_graph_free(Graph* graph) {
  delete graph;
}

}
